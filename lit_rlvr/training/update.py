"""Stage 7, the update: mini-batches of token-budget micro-batches, one optimizer step per mini-batch.

From: an `Experience`. To: better weights, and the sums that become this step's metrics.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from lit_rlvr.algorithms.aggregation import Aggregation, Size, micro_batch_weight, token_weights
from lit_rlvr.algorithms.algorithm import Algorithm, TokenBatch
from lit_rlvr.algorithms.packing import MicroBatch, lay_out, micro_batches, mini_batches
from lit_rlvr.errors import UserError
from lit_rlvr.experience import Experience, Rollouts
from lit_rlvr.models.critic import Critic
from lit_rlvr.models.policy import Policy
from lit_rlvr.rollout.engine import Sampling
from lit_rlvr.training.clock import Clock
from lit_rlvr.training.parallel import Parallel


@dataclass(frozen=True)
class UpdateConfig:
    """How an experience is turned into optimizer steps.

    Attributes:
        updates_per_rollout: mini-batches, each an optimizer step on its own share of the responses. The paper's released
            code makes 1 (clipping is then inert), its text says 8.
        epochs: how many times the mini-batches are gone through; PPO often makes several.
        micro_batch_tokens: tokens in one forward and backward pass, padding and prompts included.
        aggregation: ``token-mean``, ``sequence-mean``, ``constant`` (with these three any split gives the same gradient) or
            ``paper`` (see `algorithms/aggregation.py`).
        max_grad_norm: the gradient's norm is clipped to this, policy and critic each by itself.
    """

    updates_per_rollout: int = 1
    epochs: int = 1
    micro_batch_tokens: int = 24_000
    aggregation: Aggregation = "token-mean"
    max_grad_norm: float = 1.0

    def __post_init__(self) -> None:
        if self.updates_per_rollout < 1:
            raise UserError(f"model.update.updates_per_rollout is {self.updates_per_rollout}; it must be 1 or more.")
        if self.epochs < 1:
            raise UserError(f"model.update.epochs is {self.epochs}; it must be 1 or more.")
        if self.micro_batch_tokens < 1:
            raise UserError(f"model.update.micro_batch_tokens is {self.micro_batch_tokens}; it must be positive.")
        if not self.max_grad_norm > 0:
            raise UserError(f"model.update.max_grad_norm is {self.max_grad_norm}; use a large number for no clipping.")

    @property
    def optimizer_steps(self) -> int:
        """Optimizer steps of the policy per RL step."""
        return self.updates_per_rollout * self.epochs


@dataclass(frozen=True)
class Learners:
    """What an update trains.

    Attributes:
        policy: in training mode.
        optimizer: over its parameters.
        critic: or None.
        critic_optimizer: over the critic's parameters.
        policy_learns: False while the critic warms up: everything is computed, and the policy stays as it is.
    """

    policy: Policy
    optimizer: Optimizer
    critic: Critic | None = None
    critic_optimizer: Optimizer | None = None
    policy_learns: bool = True

    @property
    def models(self) -> list[nn.Module]:
        """All of them."""
        return [self.policy] if self.critic is None else [self.policy, self.critic]


@dataclass(frozen=True)
class UpdateSums:
    """What one RL step's updates measured on this rank.

    Attributes:
        sums: metric name -> sum over ``tokens`` response tokens.
        tokens: response tokens trained on, those of every epoch.
        logprobs: [T] the policy's log-probs in the last training forward, on CPU, to hold against the engine's.
        grad_norm: mean over updates of the gradient's norm before clipping.
        clock: seconds of forward, backward and optimizer.
        critic_grad_norm: the same of the critic's gradient, or None.
    """

    sums: dict[str, float]
    tokens: int
    logprobs: Tensor
    grad_norm: float
    clock: Clock
    critic_grad_norm: float | None = None


@torch.no_grad()
def score(
    forward: Callable[[MicroBatch], Tensor], share_prompt: bool, rollouts: Rollouts, budget: int, parallel: Parallel
) -> Tensor:
    """What a model says of every response token: old log-probs, reference log-probs, values.

    Args:
        forward: micro-batch -> [T] of its tokens.
        share_prompt: whether the model takes a shared prompt.
        rollouts: the responses.
        budget: tokens per micro-batch.
        parallel: the processes this runs in.

    Returns:
        [T] float32 on CPU.
    """
    out = torch.empty(len(rollouts.tokens))
    batches = micro_batches(rollouts, list(range(len(rollouts))), budget, share_prompt)
    for chosen, live in parallel.padded(batches):
        batch = lay_out(rollouts, chosen, share_prompt)
        said = forward(batch.to(parallel.device))
        if live:
            out[batch.tokens] = said.float().cpu()
    return out


def update(
    learners: Learners,
    algorithm: Algorithm,
    experience: Experience,
    sampling: Sampling,
    config: UpdateConfig,
    parallel: Parallel,
    backward: Callable[[Tensor], None],
) -> UpdateSums:
    """Train on an experience: ``config.optimizer_steps`` optimizer steps.

    Args:
        learners: the policy, and the critic where there is one, with their optimizers.
        algorithm: its loss.
        experience: this rank's responses with advantages and whatever the loss needs.
        sampling: how the rollouts were drawn.
        config: how to cut and what to divide by.
        parallel: the processes this runs in.
        backward: ``LightningModule.manual_backward``, so that precision and strategy have their say.
    """
    rollouts, policy, critic = experience.rollouts, learners.policy, learners.critic
    share_prompt = policy.packs
    scored = torch.zeros(len(rollouts.tokens))
    sums: dict[str, float] = {}
    norms: list[list[float]] = []
    clock = Clock(parallel.device)
    for mini in mini_batches(len(rollouts), config.updates_per_rollout) * config.epochs:
        size = Size(*parallel.sum([int(rollouts.lengths[mini].sum()), len(mini)]))
        batches = parallel.padded(micro_batches(rollouts, mini, config.micro_batch_tokens, share_prompt))
        for number, (chosen, live) in enumerate(batches):
            batch = lay_out(rollouts, chosen, share_prompt)
            with parallel.synchronise(learners.models, last=number == len(batches) - 1):
                there = batch.to(parallel.device)
                logprobs, entropy = policy(there, sampling.temperature)
                values = None if critic is None else critic(there)
                tokens = _token_batch(experience, chosen, batch.tokens, config.aggregation, parallel.device)
                result = algorithm.loss(logprobs, entropy, tokens, values)
                micro = Size(len(batch.tokens) if live else 0, batch.responses)
                weight = micro_batch_weight(config.aggregation, micro, size, sampling.max_tokens, parallel.world_size)
                clock.lap("time/forward")
                backward(result.loss * weight)
                clock.lap("time/backward")
            if live:
                scored[batch.tokens] = logprobs.detach().float().cpu()
                for name, value in result.metrics.items():
                    sums[name] = sums.get(name, 0.0) + value.item()
        norms.append(_step(learners, config.max_grad_norm, parallel))
        clock.lap("time/optimizer")
    means = [sum(column) / len(norms) for column in zip(*norms, strict=True)]
    trained = len(rollouts.tokens) * config.epochs
    return UpdateSums(sums, trained, scored, means[0], clock, means[1] if critic is not None else None)


def _step(learners: Learners, max_norm: float, parallel: Parallel) -> list[float]:
    """An optimizer step of each model; returns the norms of their gradients before clipping."""
    norms = [torch.nn.utils.clip_grad_norm_(model.parameters(), max_norm) for model in learners.models]
    if learners.policy_learns:
        learners.optimizer.step()
    learners.optimizer.zero_grad()
    if learners.critic_optimizer is not None:
        learners.critic_optimizer.step()
        learners.critic_optimizer.zero_grad()
    torch.clear_autocast_cache()  # it holds bf16 copies of the weights, which have just changed
    return [parallel.full(norm).item() for norm in norms]


def _token_batch(
    experience: Experience, chosen: list[int], tokens: Tensor, aggregation: Aggregation, device: torch.device
) -> TokenBatch:
    lengths = experience.rollouts.lengths[chosen]
    weights = token_weights(aggregation, lengths.repeat_interleave(lengths))

    def take(flat: Tensor | None) -> Tensor | None:
        return None if flat is None else flat[tokens].to(device)

    return TokenBatch(
        advantages=experience.advantages[tokens].to(device),
        responses=torch.arange(len(chosen)).repeat_interleave(lengths).to(device),
        weights=None if weights is None else weights.to(device),
        old_logprobs=take(experience.old_logprobs),
        reference_logprobs=take(experience.reference_logprobs),
        old_values=take(experience.values),
        returns=take(experience.returns),
        engine_logprobs=take(experience.rollouts.logprobs),
    )
