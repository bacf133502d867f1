"""Per-token losses of policy-gradient methods. Pure functions: [T] tensors in, [T] tensors out, no reduction.

From: `algorithms/logprobs.py` and `algorithms/advantages.py`. To: `algorithms/grpo.py`, which adds them up; dividing by a
number of tokens happens in one place only, `algorithms/aggregation.py`.
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
    ratio = (logprobs - old_logprobs).clamp(-LOG_RATIO_LIMIT, LOG_RATIO_LIMIT).exp()
    free = -advantages * ratio
    bound = -advantages * ratio.clamp(1 - clip_low, 1 + clip_high)
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
