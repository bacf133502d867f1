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
from lit_rlvr.algorithms.packing import lay_out, micro_batches, mini_batches
from lit_rlvr.algorithms.subsets import kept_weights, without_advantage
from lit_rlvr.errors import UserError
from lit_rlvr.experience import Experience
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
        saturated_share: share of the responses without advantage that is computed, others at each RL step. They have
            nothing to say in the policy loss; in entropy bonus and KL penalty those that stay weigh 1 / share, so that the
            gradient is the same in expectation. For runs whose training accuracy has long been near 100%.
    """

    updates_per_rollout: int = 1
    epochs: int = 1
    micro_batch_tokens: int = 24_000
    aggregation: Aggregation = "token-mean"
    max_grad_norm: float = 1.0
    saturated_share: float = 1.0

    def __post_init__(self) -> None:
        if self.updates_per_rollout < 1:
            raise UserError(f"model.update.updates_per_rollout is {self.updates_per_rollout}; it must be 1 or more.")
        if self.epochs < 1:
            raise UserError(f"model.update.epochs is {self.epochs}; it must be 1 or more.")
        if self.micro_batch_tokens < 1:
            raise UserError(f"model.update.micro_batch_tokens is {self.micro_batch_tokens}; it must be positive.")
        if not 0 < self.saturated_share <= 1:
            raise UserError(
                f"model.update.saturated_share is {self.saturated_share}; it is a share of the responses without advantage, "
                "above 0 and at most 1."
            )
        if self.saturated_share < 1 and self.aggregation == "paper":
            raise UserError(
                "model.update.saturated_share is below 1 and aggregation is paper, whose divisor depends on which responses "
                "are there: the gradient would be another one. Use token-mean."
            )
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
        computed: [T] bool, the tokens that have one; others were left out.
        grad_norm: mean over updates of the gradient's norm before clipping.
        clock: seconds of forward, backward and optimizer.
        critic_grad_norm: the same of the critic's gradient, or None.
    """

    sums: dict[str, float]
    tokens: int
    logprobs: Tensor
    computed: Tensor
    grad_norm: float
    clock: Clock
    critic_grad_norm: float | None = None


def update(
    learners: Learners,
    algorithm: Algorithm,
    experience: Experience,
    sampling: Sampling,
    config: UpdateConfig,
    parallel: Parallel,
    backward: Callable[[Tensor], None],
    seed: int = 0,
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
        seed: of the draw of those that are left out, where ``config.saturated_share`` is below 1.
    """
    rollouts, policy, critic = experience.rollouts, learners.policy, learners.critic
    share_prompt = policy.packs
    scored = torch.zeros(len(rollouts.tokens))
    kept = _kept(experience, algorithm, config, seed)
    sums: dict[str, float] = {}
    norms: list[list[float]] = []
    clock = Clock(parallel.device)
    for mini in mini_batches(len(rollouts), config.updates_per_rollout) * config.epochs:
        size = Size(*parallel.sum([int(rollouts.lengths[mini].sum()), len(mini)]))
        # A rank on which none is kept keeps in step with one that counts 0.
        present = [i for i in mini if kept[i] > 0] or mini[:1]
        batches = parallel.padded(micro_batches(rollouts, present, config.micro_batch_tokens, share_prompt))
        for number, (chosen, live) in enumerate(batches):
            batch = lay_out(rollouts, chosen, share_prompt)
            with parallel.synchronise(learners.models, last=number == len(batches) - 1):
                there = batch.to(parallel.device)
                logprobs, entropy = policy(there, sampling.temperature)
                values = None if critic is None else critic(there)
                tokens = _token_batch(experience, chosen, batch.tokens, config.aggregation, kept, parallel.device)
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
    computed = rollouts.spread(kept > 0)
    return UpdateSums(sums, trained, scored, computed, means[0], clock, means[1] if critic is not None else None)


def _kept(experience: Experience, algorithm: Algorithm, config: UpdateConfig, seed: int) -> Tensor:
    """[N] what each response counts; all of them 1 as a rule."""
    rollouts = experience.rollouts
    if config.saturated_share == 1:
        return torch.ones(len(rollouts))
    assert not algorithm.needs_critic, "a critic learns from every response"
    return kept_weights(without_advantage(experience.advantages, rollouts.lengths), config.saturated_share, seed)


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
    experience: Experience,
    chosen: list[int],
    tokens: Tensor,
    aggregation: Aggregation,
    kept: Tensor,
    device: torch.device,
) -> TokenBatch:
    lengths = experience.rollouts.lengths[chosen]
    weights = token_weights(aggregation, lengths.repeat_interleave(lengths))

    def take(flat: Tensor | None) -> Tensor | None:
        return None if flat is None else flat[tokens].to(device)

    return TokenBatch(
        advantages=experience.advantages[tokens].to(device),
        responses=torch.arange(len(chosen)).repeat_interleave(lengths).to(device),
        weights=None if weights is None else weights.to(device),
        kept=None if bool((kept == 1).all()) else kept[chosen].repeat_interleave(lengths).to(device),
        old_logprobs=take(experience.old_logprobs),
        reference_logprobs=take(experience.reference_logprobs),
        reference_weights=take(experience.reference_weights),
        old_values=take(experience.values),
        returns=take(experience.returns),
        engine_logprobs=take(experience.rollouts.logprobs),
    )
