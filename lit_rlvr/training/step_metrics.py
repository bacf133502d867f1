"""The numbers of one RL step, from its experience and its update to the metrics that are logged.

From: `training/update.py` and the experience. To: the logger and `StepRecord.metrics`. Names: `lit_rlvr/names.py`.
"""

import math
import resource
import sys

import torch
from torch import Tensor

from lit_rlvr.algorithms.advantages import constant_groups
from lit_rlvr.algorithms.algorithm import Algorithm
from lit_rlvr.algorithms.losses import kl_penalty
from lit_rlvr.algorithms.mismatch import MismatchCorrection, importance_ratios
from lit_rlvr.experience import Experience, Rollouts
from lit_rlvr.rewards.verdict import Kind
from lit_rlvr.training.clock import Clock, step_seconds
from lit_rlvr.training.parallel import Parallel
from lit_rlvr.training.update import UpdateSums


def step_metrics(
    experience: Experience, sums: UpdateSums, clock: Clock, algorithm: Algorithm, parallel: Parallel
) -> dict[str, float]:
    """The numbers of one RL step, over all ranks: means over all responses or tokens, maxima over all ranks.

    Returns:
        metric name -> value, names of ``lit_rlvr.names``. Where an update was skipped, what came out as no number, or has
        nothing to be a mean of, is left out, so that no curve and no window's mean takes it in.
    """
    rollouts = experience.rollouts
    responses = len(rollouts)
    per_response = _per_response(experience, algorithm)
    # With several updates, later training forwards are of a policy that the engine has not seen yet; the old ones are of
    # the one that it sampled from.
    if experience.old_logprobs is None:
        scored, known = sums.logprobs, sums.computed
    else:
        scored, known = experience.old_logprobs, torch.ones_like(sums.computed)
    if sums.skipped:
        both = (scored.isfinite() & rollouts.logprobs.isfinite()).split(rollouts.lengths.tolist())
        known = known & rollouts.spread(torch.stack([part.all() for part in both]))  # whole responses
    difference = (scored - rollouts.logprobs)[known].abs()
    advantage = _first_token(rollouts, experience.advantages)
    names = list(per_response) + list(sums.sums)
    totals = parallel.reduce(
        [
            float(responses),
            float(len(rollouts.tokens)),
            float(len(difference)),
            float(sums.tokens),
            difference.sum().item(),
            advantage.square().sum().item(),
        ]
        + [float(value.double().sum()) for value in per_response.values()]
        + list(sums.sums.values())
    )
    count, tokens, compared, trained, difference_sum, square = totals[:6]
    metrics = {
        name: _over(total, count if name in per_response else trained)
        for name, total in zip(names, totals[6:], strict=True)
    }
    metrics["rollout/logprob_diff/mean"] = _over(difference_sum, compared)
    variance = square / count - metrics["train/advantage/mean"] ** 2
    metrics["train/advantage/std"] = 0.0 if variance < 0 else variance**0.5
    maxima = {
        "rollout/length/max": float(rollouts.lengths.max()),
        "rollout/logprob_diff/max": difference.max().item() if len(difference) else -math.inf,
        # A maximum over processes may lose what is no number.
        "train/advantage/max": advantage.abs().nan_to_num(nan=math.inf, posinf=math.inf).max().item(),
        "train/grad_norm": sums.grad_norm,  # equal on all ranks
        **({} if sums.critic_grad_norm is None else {"train/critic/grad_norm": sums.critic_grad_norm}),
        "memory/peak_gb": peak_memory_gb(parallel.device),
        **step_seconds(clock.wall, sums.clock.wall),
    }
    metrics |= dict(zip(maxima, parallel.reduce(list(maxima.values()), largest=True), strict=True))
    metrics["rollout/tokens_per_second"] = tokens / max(metrics["time/rollout"], 1e-9)
    if experience.values is not None and experience.returns is not None:
        metrics |= critic_metrics(experience.values, experience.returns, parallel)
    if compared:
        metrics |= mismatch_metrics(rollouts, scored, known, algorithm.correction, parallel)
    return {name: value for name, value in metrics.items() if not sums.skipped or math.isfinite(value)}


def _over(total: float, count: float) -> float:
    return total / count if count else math.nan


def mismatch_metrics(
    rollouts: Rollouts, scored: Tensor, known: Tensor, correction: MismatchCorrection, parallel: Parallel
) -> dict[str, float]:
    """How far the engine's distribution is from the trainer's, and the weights that make up for it, if any do.

    Args:
        rollouts: responses with the engine's log-probs.
        scored: [T] the trainer's log-probs of the same tokens, those that the loss took its weights from.
        known: [T] bool, the tokens that have one: whole responses, at least one of some process.
        correction: what the loss did about the difference.
        parallel: the processes to take together.
    """
    scored, engine = scored[known], rollouts.logprobs[known]
    kl = kl_penalty(engine, scored, "k3")
    tokens, kl_sum = parallel.reduce([float(len(kl)), float(kl.double().sum())])
    metrics = {"train/mismatch/kl": kl_sum / tokens}
    if correction.kind == "off":
        return metrics
    responses = rollouts.spread(torch.arange(len(rollouts)))[known]
    ratios = importance_ratios(scored, engine, responses, correction.level)
    weights, touched = correction.weights(ratios)
    weight, share = (total / tokens for total in parallel.reduce([float(x.double().sum()) for x in (weights, touched)]))
    (largest,) = parallel.reduce([float(ratios.max()) if len(ratios) else 0.0], largest=True)
    return metrics | {
        "train/mismatch/weight/mean": weight,
        "train/mismatch/weight/max": largest,
        "train/mismatch/clipped": share,
    }


def critic_metrics(values: Tensor, returns: Tensor, parallel: Parallel) -> dict[str, float]:
    """How well the critic knew, before this RL step's updates, what was to come.

    The explained variance is 1 - Var(returns - values) / Var(returns) over all tokens: 1 for a perfect critic, 0 for one
    that knows the mean alone, and 0 by convention where all returns are equal.

    Args:
        values: [T] of this process.
        returns: [T].
        parallel: the processes to add up over.
    """
    exact, error = returns.double(), returns.double() - values.double()
    count, value, *moments = parallel.reduce(
        [float(len(exact)), float(values.double().sum())]
        + [float(x.sum()) for x in (exact, exact.square(), error, error.square())]
    )
    mean, square, error_mean, error_square = (moment / count for moment in moments)
    variance = square - mean**2
    # Sums of squares leave a rounding where the variance is 0.
    explained = 0.0 if variance <= 1e-12 else 1 - (error_square - error_mean**2) / variance
    return {"train/critic/value": value / count, "train/critic/explained_variance": explained}


def _per_response(experience: Experience, algorithm: Algorithm) -> dict[str, Tensor]:
    """Metric name -> [N]."""
    rollouts = experience.rollouts
    kinds = {f"verdict/{kind.value}": torch.tensor([v.kind is kind for v in experience.verdicts]) for kind in Kind}
    return {
        "train/reward": experience.rewards,
        "train/accuracy": kinds["verdict/right"],
        "train/boxed": torch.tensor([v.answer is not None for v in experience.verdicts]),
        "train/advantage/mean": _first_token(rollouts, experience.advantages),
        "train/zero_variance": constant_groups(experience.rewards, algorithm.groups(rollouts)),
        "rollout/length/mean": rollouts.lengths,
        "rollout/truncated": ~rollouts.stopped,
        **kinds,
    }


def _first_token(rollouts: Rollouts, flat: Tensor) -> Tensor:
    """[N]: the value at each response's first token."""
    return flat[rollouts.lengths.cumsum(0) - rollouts.lengths]


def peak_memory_gb(device: torch.device) -> float:
    """Peak memory so far in GB: allocated on the device where it keeps count, otherwise resident in this process."""
    allocated = getattr(torch.get_device_module(device), "max_memory_allocated", None)
    if allocated is not None:
        return allocated() / 1e9
    unit = 1 if sys.platform == "darwin" else 1024  # Linux counts in KiB
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e9
