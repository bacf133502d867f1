"""Stage 7, the update: mini-batches of token-budget micro-batches, one optimizer step per mini-batch.

From: an `Experience`. To: better weights, and the sums that become this step's metrics.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn.utils import clip_grads_with_norm_, get_total_norm
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
from lit_rlvr.training.finite import finite_experience
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
        grad_norm: mean over updates of the gradient's norm before clipping; NaN where all were skipped.
        clock: seconds of forward, backward and optimizer.
        critic_grad_norm: the same of the critic's gradient, or None.
        skipped: optimizer steps that were not taken, on any rank, since something was not finite. Their tokens are in
            neither ``sums`` nor ``tokens``, their gradients in neither norm.
    """

    sums: dict[str, float]
    tokens: int
    logprobs: Tensor
    computed: Tensor
    grad_norm: float
    clock: Clock
    critic_grad_norm: float | None = None
    skipped: int = 0


OnSkip = Callable[[int, Mapping[str, float]], None]
"""Called at each skipped optimizer step; see :func:`update`."""


def _nobody(done: int, terms: Mapping[str, float]) -> None:
    """Whom it does not concern."""


def update(
    learners: Learners,
    algorithm: Algorithm,
    experience: Experience,
    sampling: Sampling,
    config: UpdateConfig,
    parallel: Parallel,
    backward: Callable[[Tensor], None],
    seed: int = 0,
    on_skip: OnSkip = _nobody,
    first: int = 0,
) -> UpdateSums:
    """Train on an experience: ``config.optimizer_steps`` optimizer steps, less those in which something is not finite.

    An experience that is not finite on some rank is not trained on by any. Otherwise each mini-batch is judged by itself:
    where a loss, a log-prob or the gradient is not finite on some rank, no rank takes this optimizer step, and parameters and
    moments stay as they are.

    Args:
        learners: the policy, and the critic where there is one, with their optimizers.
        algorithm: its loss.
        experience: this rank's responses with advantages and whatever the loss needs.
        sampling: how the rollouts were drawn.
        config: how to cut and what to divide by.
        parallel: the processes this runs in.
        backward: ``LightningModule.manual_backward``, so that precision and strategy have their say.
        seed: of the draw of those that are left out, where ``config.saturated_share`` is below 1.
        on_skip: called at each skip with the number of this experience's optimizer steps that came before and the sums of this
            one's metrics on this rank (none where there was no forward pass), while the gradients are still there. Every rank
            calls it.
        first: the optimizer step to begin with, for a repetition of what came after others.
    """
    rollouts, policy, critic = experience.rollouts, learners.policy, learners.critic
    share_prompt = policy.packs
    scored = torch.zeros(len(rollouts.tokens))
    kept = _kept(experience, algorithm, config, seed)
    sums: dict[str, float] = {}
    norms: list[list[float]] = []
    own: dict[str, float]
    trained = 0
    clock = Clock(parallel.device)
    minis = (mini_batches(len(rollouts), config.updates_per_rollout) * config.epochs)[first:]
    if not parallel.all(finite_experience(experience)):
        for done in range(first, config.optimizer_steps):
            on_skip(done, {})
        nothing = torch.zeros(len(scored), dtype=torch.bool)
        return UpdateSums({}, 0, scored, nothing, math.nan, clock, None if critic is None else math.nan, len(minis))
    for done, mini in enumerate(minis, start=first):
        size = Size(*parallel.sum([int(rollouts.lengths[mini].sum()), len(mini)]))
        # A rank on which none is kept keeps in step with one that counts 0.
        present = [i for i in mini if kept[i] > 0] or mini[:1]
        batches = parallel.padded(micro_batches(rollouts, present, config.micro_batch_tokens, share_prompt))
        finite, own = True, {}  # of this optimizer step
        for number, (chosen, live) in enumerate(batches):
            batch = lay_out(rollouts, chosen, share_prompt)
            with parallel.synchronise(last=number == len(batches) - 1):
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
                finite &= bool(scored[batch.tokens].isfinite().all()) and math.isfinite(result.loss.item())
                for name, value in result.metrics.items():
                    own[name] = own.get(name, 0.0) + value.item()
        taken = _step(learners, config.max_grad_norm, parallel, finite, partial(on_skip, done, own))
        if taken is not None:
            norms.append(taken)
            trained += int(rollouts.lengths[mini].sum())
            sums = {name: sums.get(name, 0.0) + value for name, value in own.items()}
        clock.lap("time/optimizer")
    means = [sum(column) / len(norms) for column in zip(*norms, strict=True)] or [math.nan] * len(learners.models)
    computed = rollouts.spread(kept > 0)
    skipped = len(minis) - len(norms)
    return UpdateSums(sums, trained, scored, computed, means[0], clock, None if critic is None else means[1], skipped)


def _kept(experience: Experience, algorithm: Algorithm, config: UpdateConfig, seed: int) -> Tensor:
    """[N] what each response counts; all of them 1 as a rule."""
    rollouts = experience.rollouts
    if config.saturated_share == 1:
        return torch.ones(len(rollouts))
    assert not algorithm.needs_critic, "a critic learns from every response"
    return kept_weights(without_advantage(experience.advantages, rollouts.lengths), config.saturated_share, seed)


def _step(
    learners: Learners, max_norm: float, parallel: Parallel, finite: bool, on_skip: Callable[[], None]
) -> list[float] | None:
    """An optimizer step of each model; returns the norms of their gradients before clipping, or None for no step."""
    norms = []
    for model in learners.models:
        parameters = list(model.parameters())
        norm = get_total_norm([p.grad for p in parameters if p.grad is not None])
        # The same in two calls as in clip_grad_norm_, but a norm that is no number is not spread over all gradients.
        if math.isfinite(number := parallel.full(norm).item()):
            clip_grads_with_norm_(parameters, max_norm, norm)
        norms.append(number)
    take = parallel.all(finite and all(map(math.isfinite, norms)))
    if not take:
        on_skip()
    elif learners.policy_learns:
        learners.optimizer.step()
    learners.optimizer.zero_grad(set_to_none=parallel.drops_gradients)
    if learners.critic_optimizer is not None:
        if take:
            learners.critic_optimizer.step()
        learners.critic_optimizer.zero_grad(set_to_none=parallel.drops_gradients)
    torch.clear_autocast_cache()  # it holds bf16 copies of the weights, which have just changed
    return norms if take else None


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
