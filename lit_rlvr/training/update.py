"""Stage 7, the update: mini-batches of token-budget micro-batches, one optimizer step per mini-batch.

From: an `Experience`. To: better weights, and the sums that become this step's metrics.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.optim import Optimizer

from lit_rlvr.algorithms.aggregation import Aggregation, micro_batch_weight
from lit_rlvr.algorithms.algorithm import Algorithm, TokenBatch
from lit_rlvr.algorithms.packing import lay_out, micro_batches, mini_batches
from lit_rlvr.errors import UserError
from lit_rlvr.experience import Experience, Rollouts
from lit_rlvr.models.policy import Policy
from lit_rlvr.training.parallel import Parallel


@dataclass(frozen=True)
class UpdateConfig:
    """How an experience is turned into optimizer steps.

    Attributes:
        updates_per_rollout: optimizer steps per RL step, each on its own share of the responses. The paper's released
            code makes 1 (clipping is then inert), its text says 8.
        micro_batch_tokens: tokens in one forward and backward pass, padding and prompts included.
        aggregation: ``token-mean`` (any split gives the same gradient) or ``paper`` (see `algorithms/aggregation.py`).
        max_grad_norm: the gradient's norm is clipped to this.
    """

    updates_per_rollout: int = 1
    micro_batch_tokens: int = 24_000
    aggregation: Aggregation = "token-mean"
    max_grad_norm: float = 1.0

    def __post_init__(self) -> None:
        if self.updates_per_rollout < 1:
            raise UserError(f"model.update.updates_per_rollout is {self.updates_per_rollout}; it must be 1 or more.")
        if self.micro_batch_tokens < 1:
            raise UserError(f"model.update.micro_batch_tokens is {self.micro_batch_tokens}; it must be positive.")
        if not self.max_grad_norm > 0:
            raise UserError(f"model.update.max_grad_norm is {self.max_grad_norm}; use a large number for no clipping.")


@dataclass(frozen=True)
class UpdateSums:
    """What one RL step's updates measured on this rank.

    Attributes:
        sums: metric name -> sum over ``tokens`` response tokens.
        tokens: response tokens trained on.
        logprobs: [T] the policy's log-probs in the training forward, on CPU, to hold against the engine's.
        grad_norm: mean over updates of the gradient's norm before clipping.
        seconds: phase name -> wall seconds.
    """

    sums: dict[str, float]
    tokens: int
    logprobs: Tensor
    grad_norm: float
    seconds: dict[str, float]


@torch.no_grad()
def score(policy: Policy, rollouts: Rollouts, temperature: float, budget: int, parallel: Parallel) -> Tensor:
    """Log-probabilities [T] (CPU) of all response tokens under ``policy``: the old or the reference log-probs."""
    out = torch.empty(len(rollouts.tokens))
    batches = micro_batches(rollouts, list(range(len(rollouts))), budget, policy.shares_prompt)
    for chosen, live in parallel.padded(batches):
        batch = lay_out(rollouts, chosen, policy.shares_prompt)
        logprobs, _ = policy(batch.to(parallel.device), temperature)
        if live:
            out[batch.tokens] = logprobs.float().cpu()
    return out


def update(
    policy: Policy,
    optimizer: Optimizer,
    algorithm: Algorithm,
    experience: Experience,
    temperature: float,
    config: UpdateConfig,
    parallel: Parallel,
    backward: Callable[[Tensor], None],
) -> UpdateSums:
    """Train on an experience: ``config.updates_per_rollout`` optimizer steps.

    Args:
        policy: the model being trained, in training mode.
        optimizer: over its parameters.
        algorithm: its loss.
        experience: this rank's responses with advantages and whatever the loss needs.
        temperature: the rollouts' sampling temperature.
        config: how to cut and what to divide by.
        parallel: the processes this runs in.
        backward: ``LightningModule.manual_backward``, so that precision and strategy have their say.
    """
    rollouts = experience.rollouts
    scored = torch.zeros(len(rollouts.tokens))
    sums: dict[str, float] = {}
    norms: list[float] = []
    seconds = {"time/forward": 0.0, "time/backward": 0.0, "time/optimizer": 0.0}
    for mini in mini_batches(len(rollouts), config.updates_per_rollout):
        tokens = int(rollouts.lengths[mini].sum())
        total_tokens, total_responses = parallel.sum([tokens, len(mini)])
        batches = parallel.padded(micro_batches(rollouts, mini, config.micro_batch_tokens, policy.shares_prompt))
        for number, (chosen, live) in enumerate(batches):
            clock = time.perf_counter()
            batch = lay_out(rollouts, chosen, policy.shares_prompt)
            with parallel.synchronise(policy, last=number == len(batches) - 1):
                logprobs, entropy = policy(batch.to(parallel.device), temperature)
                result = algorithm.loss(logprobs, entropy, _token_batch(experience, batch.tokens, parallel.device))
                weight = micro_batch_weight(
                    config.aggregation,
                    len(batch.tokens) if live else 0,
                    batch.responses,
                    total_tokens,
                    total_responses,
                    parallel.world_size,
                )
                seconds["time/forward"] += -clock + (clock := time.perf_counter())
                backward(result.loss * weight)
                seconds["time/backward"] += time.perf_counter() - clock
            if live:
                scored[batch.tokens] = logprobs.detach().float().cpu()
                for name, value in result.metrics.items():
                    sums[name] = sums.get(name, 0.0) + value.item()
        clock = time.perf_counter()
        norm = torch.nn.utils.clip_grad_norm_(policy.parameters(), config.max_grad_norm)
        norms.append(parallel.full(norm).item())
        optimizer.step()
        optimizer.zero_grad()
        torch.clear_autocast_cache()  # it holds bf16 copies of the weights, which have just changed
        seconds["time/optimizer"] += time.perf_counter() - clock
    return UpdateSums(sums, len(rollouts.tokens), scored, sum(norms) / len(norms), seconds)


def _token_batch(experience: Experience, tokens: Tensor, device: torch.device) -> TokenBatch:
    def take(flat: Tensor | None) -> Tensor | None:
        return None if flat is None else flat[tokens].to(device)

    return TokenBatch(
        experience.advantages[tokens].to(device), take(experience.old_logprobs), take(experience.reference_logprobs)
    )
