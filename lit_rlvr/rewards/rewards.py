"""Stage 3d: rewards made of verdicts. Chosen in YAML by class path."""

from abc import ABC, abstractmethod
from collections.abc import Sequence

import torch
from torch import Tensor

from lit_rlvr.errors import UserError
from lit_rlvr.experience import Rollouts
from lit_rlvr.rewards.verdict import Kind, Verdict


class Reward(ABC):
    """What the verdicts are worth to the policy."""

    @abstractmethod
    def __call__(self, verdicts: Sequence[Verdict], rollouts: Rollouts, seed: int) -> Tensor:
        """Score N responses.

        Args:
            verdicts: N verdicts.
            rollouts: the N responses.
            seed: of whatever is drawn; the same seed gives the same rewards.

        Returns:
            [N] float32 on CPU.
        """


class AnswerReward(Reward):
    """1 for a right answer, 0 for anything else: the paper's only reward."""

    def __call__(self, verdicts: Sequence[Verdict], rollouts: Rollouts, seed: int) -> Tensor:
        return torch.tensor([float(verdict.right) for verdict in verdicts], dtype=torch.float32)


class FormatReward(Reward):
    """1 for a box that can be read as an answer, right or wrong: the control that tells manner from reasoning.

    A box that is empty, or that the verifier cannot read or will not compute, earns nothing.
    """

    def __call__(self, verdicts: Sequence[Verdict], rollouts: Rollouts, seed: int) -> Tensor:
        readable = (Kind.RIGHT, Kind.WRONG)
        return torch.tensor([float(verdict.kind in readable) for verdict in verdicts], dtype=torch.float32)


class RandomReward(Reward):
    """1 with a fixed probability, whatever the response: the control for what the update does by itself.

    Args:
        probability: of a reward of 1, between 0 and 1.
    """

    def __init__(self, probability: float = 0.5) -> None:
        if not 0 <= probability <= 1:
            raise UserError(f"RandomReward.probability is {probability}: give a number from 0 to 1.")
        self.probability = probability

    def __call__(self, verdicts: Sequence[Verdict], rollouts: Rollouts, seed: int) -> Tensor:
        draws = torch.rand(len(verdicts), generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
        return (draws < self.probability).to(torch.float32)


class OverlongPenalty(Reward):
    """0 for a response that leaves the token limit alone, falling to -1 for one that is cut there.

    The soft overlong punishment of DAPO (arXiv 2503.14476, eq. 13), meant to be added to another reward by
    :class:`WeightedReward`: a response that nearly reached the limit hears of it before it is cut.

    Args:
        max_tokens: the limit of the rollouts, ``model.sampling.max_tokens``.
        buffer: tokens before it over which the penalty grows, in proportion, from 0 to -1.
    """

    def __init__(self, max_tokens: int, buffer: int) -> None:
        if not 1 <= buffer <= max_tokens:
            raise UserError(
                f"OverlongPenalty.buffer is {buffer} and max_tokens {max_tokens}: give a buffer from 1 to max_tokens."
            )
        self.max_tokens = max_tokens
        self.buffer = buffer

    def __call__(self, verdicts: Sequence[Verdict], rollouts: Rollouts, seed: int) -> Tensor:
        spare = self.max_tokens - rollouts.lengths.to("cpu", torch.float32)
        penalty = (spare / self.buffer - 1).clamp(-1, 0)
        return penalty.masked_fill(~rollouts.stopped.cpu(), -1.0)


class WeightedReward(Reward):
    """A weighted sum of rewards.

    Args:
        rewards: at least one.
        weights: one per reward.
    """

    def __init__(self, rewards: list[Reward], weights: list[float]) -> None:
        if not rewards or len(rewards) != len(weights):
            raise UserError(
                f"WeightedReward has {len(rewards)} rewards and {len(weights)} weights: give at least one reward and "
                "one weight for each."
            )
        self.rewards = rewards
        self.weights = weights

    def __call__(self, verdicts: Sequence[Verdict], rollouts: Rollouts, seed: int) -> Tensor:
        total = torch.zeros(len(verdicts), dtype=torch.float32)
        for reward, weight in zip(self.rewards, self.weights, strict=True):
            total = total + weight * reward(verdicts, rollouts, seed)
        return total
