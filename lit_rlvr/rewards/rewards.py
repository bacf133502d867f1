"""Stage 3d: rewards made of verdicts. Chosen in YAML by class path."""

from abc import ABC, abstractmethod
from collections.abc import Sequence

import torch
from torch import Tensor

from lit_rlvr.errors import UserError
from lit_rlvr.experience import Rollouts
from lit_rlvr.rewards.verdict import Verdict


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
    """1 for a complete, non-empty box, whatever is in it: the control that tells manner from reasoning."""

    def __call__(self, verdicts: Sequence[Verdict], rollouts: Rollouts, seed: int) -> Tensor:
        return torch.tensor([float(bool(verdict.answer)) for verdict in verdicts], dtype=torch.float32)


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
