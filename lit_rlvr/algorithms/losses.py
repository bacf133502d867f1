"""Per-token losses of policy-gradient methods. Pure functions: [T] tensors in, [T] tensors out, no reduction.

From: `algorithms/logprobs.py`, `algorithms/advantages.py` and `algorithms/returns.py`. To: `algorithms/policy_gradient.py`,
which adds them up; dividing by a number of tokens happens in one place only, `algorithms/aggregation.py`.
"""

from typing import Literal

import torch
from torch import Tensor

KLEstimator = Literal["k1", "k2", "k3"]

LOG_RATIO_LIMIT = 20.0
"""exp(20) is 4.9e8: a single token whose policies differ by more would overflow the sum, so log-ratios stop here."""

KL_LIMIT = 10.0
"""The paper's code clamps each token's k3 to [-10, 10]; beyond it the term is constant and pushes nothing."""


def clipped_policy_loss(
    logprobs: Tensor, old_logprobs: Tensor, advantages: Tensor, clip_low: float, clip_high: float
) -> tuple[Tensor, Tensor]:
    """PPO's clipped surrogate (Schulman et al. 2017, arXiv 1707.06347, equation 7), with its own bound on either side.

    Args:
        logprobs: [T] of the policy being trained, with gradient.
        old_logprobs: [T] of the policy that made the rollouts, without.
        advantages: [T].
        clip_low: the ratio is not rewarded below 1 - clip_low.
        clip_high: nor above 1 + clip_high (DAPO's clip-higher sets it apart; arXiv 2503.14476, equation 10).

    Returns:
        (loss [T], clipped [T] bool: tokens at which the bound is active and the gradient is therefore 0).
    """
    return _surrogate(logprobs - old_logprobs, advantages, clip_low, clip_high)


def gspo_loss(
    logprobs: Tensor, old_logprobs: Tensor, advantages: Tensor, responses: Tensor, clip_low: float, clip_high: float
) -> tuple[Tensor, Tensor]:
    """PPO's surrogate with the ratio of whole responses (GSPO; Zheng et al. 2025, arXiv 2507.18071, equations 7 and 14).

    The ratio of a response is the geometric mean of its tokens' ratios, and its bound keeps or drops the response as a
    whole. Written per token (equation 14), where each token has that value and its own gradient: with the aggregation
    ``sequence-mean`` their sum is the gradient of equation 5.

    Args:
        logprobs: [T] of the policy being trained, with gradient.
        old_logprobs: [T] of the policy that made the rollouts, without.
        advantages: [T], equal within a response.
        responses: [T] int64, which response each token belongs to, counted from 0.
        clip_low: the ratio is not rewarded below 1 - clip_low; the geometric mean moves little, so 3e-4 in the paper.
        clip_high: nor above 1 + clip_high; 4e-4 in the paper.

    Returns:
        (loss [T], clipped [T] bool).
    """
    log_ratio = (logprobs - old_logprobs).detach()
    count = int(responses.max()) + 1
    size = log_ratio.new_zeros(count).index_add(0, responses, torch.ones_like(log_ratio))
    mean = log_ratio.new_zeros(count).index_add(0, responses, log_ratio) / size.clamp(min=1)
    return _surrogate(mean[responses] + logprobs - logprobs.detach(), advantages, clip_low, clip_high)


def cispo_loss(
    logprobs: Tensor, old_logprobs: Tensor, advantages: Tensor, clip_low: float, clip_high: float
) -> tuple[Tensor, Tensor]:
    """REINFORCE weighted by a clipped probability ratio (CISPO; MiniMax 2025, arXiv 2506.13585, equations 4 and 5).

    Where PPO's bound takes a token's gradient away, here only its weight is bounded: every token goes on teaching.

    Args:
        logprobs: [T] of the policy being trained, with gradient.
        old_logprobs: [T] of the policy that made the rollouts, without.
        advantages: [T].
        clip_low: the weight is at least 1 - clip_low; 1 for no lower bound.
        clip_high: and at most 1 + clip_high.

    Returns:
        (loss [T], clipped [T] bool: tokens whose weight is bounded).
    """
    ratio = (logprobs - old_logprobs).detach().clamp(-LOG_RATIO_LIMIT, LOG_RATIO_LIMIT).exp()
    weight = ratio.clamp(1 - clip_low, 1 + clip_high)
    return -weight * advantages * logprobs, weight != ratio


def _surrogate(log_ratio: Tensor, advantages: Tensor, clip_low: float, clip_high: float) -> tuple[Tensor, Tensor]:
    ratio = log_ratio.clamp(-LOG_RATIO_LIMIT, LOG_RATIO_LIMIT).exp()
    free = -advantages * ratio
    bound = -advantages * ratio.clamp(1 - clip_low, 1 + clip_high)
    return torch.maximum(free, bound), (bound > free).detach()


def clipped_value_loss(values: Tensor, old_values: Tensor, returns: Tensor, clip: float) -> tuple[Tensor, Tensor]:
    """Half the squared error of the critic, or of its value held within ``clip`` of the old one, whichever is greater.

    The clipping of PPO's reference implementation (described in Engstrom et al. 2020, arXiv 2005.12729, section 3).

    Args:
        values: [T] of the critic being trained, with gradient.
        old_values: [T] of the critic before this RL step's updates, without.
        returns: [T] what it is to expect.
        clip: how far a value may move.

    Returns:
        (loss [T], clipped [T] bool: tokens at which the gradient is therefore 0).
    """
    held = old_values + (values - old_values).clamp(-clip, clip)
    free, bound = (values - returns).square() / 2, (held - returns).square() / 2
    return torch.maximum(free, bound), (bound > free).detach()


def kl_penalty(logprobs: Tensor, reference_logprobs: Tensor, estimator: KLEstimator = "k3") -> Tensor:
    """Estimate of KL(policy || reference) at tokens drawn from the policy (Schulman, "Approximating KL divergence").

    With r = log reference - log policy:

    - ``k1`` = -r. Its own gradient is the score function, whose expectation is 0, so minimising it would do nothing.
      Here it carries the gradient of ``k2``: the value is k1's, the gradient is that of the KL.
    - ``k2`` = r^2 / 2. Its expected gradient is exactly that of KL(policy || reference).
    - ``k3`` = exp(r) - r - 1, never negative, the paper's choice. Its expected gradient is that of KL(reference ||
      policy); near the reference the two agree.

    Args:
        logprobs: [T], with gradient.
        reference_logprobs: [T], without.
        estimator: which of the three.

    Returns:
        [T].
    """
    r = (reference_logprobs - logprobs).clamp(-LOG_RATIO_LIMIT, LOG_RATIO_LIMIT)
    if estimator == "k3":
        return (r.exp() - r - 1).clamp(max=KL_LIMIT)
    k2 = r.square() / 2
    if estimator == "k2":
        return k2
    return -r.detach() + (k2 - k2.detach())
