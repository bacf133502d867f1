"""Importance weights for rollouts that come from a slightly other distribution than the trainer's. Pure functions.

From: the trainer's and the engine's log-probs of the same tokens. To: `algorithms/policy_gradient.py`, which multiplies the
policy loss of each token by its weight, and `training/step_metrics.py`, which reports the weights.

An engine rounds where the trainer does not, or samples with weights of 16 bits: its rollouts are then off-policy by a
little at every token (Yao et al. 2025, "Your Efficient RL Framework Secretly Brings You Off-Policy RL Training"). With
w = pi_trainer / pi_engine, an expectation under the trainer's policy is one of w times the same under the engine's.
"""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from lit_rlvr.algorithms.losses import LOG_RATIO_LIMIT
from lit_rlvr.errors import UserError

CorrectionKind = Literal["off", "truncate", "mask"]
CorrectionLevel = Literal["token", "sequence"]

_KEY = "model.algorithm.init_args.correction"


@dataclass(frozen=True)
class MismatchCorrection:
    """Which weights the tokens of the policy loss get. KL penalty and entropy bonus are not weighted.

    Attributes:
        kind: ``off``, ``truncate`` (weights above the threshold become the threshold) or ``mask`` (weights outside
            [lower, threshold] become 0).
        level: a weight of its own for each ``token``, or one for all tokens of a ``sequence``. Within the threshold only the
            second is without bias, but its variance grows with the response: it is for short ones.
        threshold: the largest weight; 2 is the usual one for truncation, 5 for masking tokens.
        lower: the smallest weight that a mask keeps; IcePop's is 0.5. 0 keeps all small ones.
    """

    kind: CorrectionKind = "off"
    level: CorrectionLevel = "token"
    threshold: float = 2.0
    lower: float = 0.0

    def __post_init__(self) -> None:
        # A weight of 1, where engine and trainer agree, must stay what it is.
        if not self.threshold >= 1:
            raise UserError(f"{_KEY}.threshold is {self.threshold}; it bounds weights that are near 1: use 1 or more.")
        if not 0 <= self.lower <= 1:
            raise UserError(f"{_KEY}.lower is {self.lower}; it bounds weights that are near 1: use 0 to 1.")
        if self.lower and self.kind == "truncate":
            raise UserError(
                f"{_KEY}.lower is {self.lower}, which only kind mask looks at: set kind to mask, or lower to 0."
            )

    def weights(self, ratios: Tensor) -> tuple[Tensor, Tensor]:
        """(weights [T], touched [T] bool) of the ratios [T] that ``importance_ratios`` gives at ``level``."""
        match self.kind:
            case "truncate":
                return truncated_weights(ratios, self.threshold)
            case "mask":
                return masked_weights(ratios, self.lower, self.threshold)
            case "off":
                return torch.ones_like(ratios), torch.zeros_like(ratios, dtype=torch.bool)


def importance_ratios(logprobs: Tensor, engine_logprobs: Tensor, responses: Tensor, level: CorrectionLevel) -> Tensor:
    """pi_trainer / pi_engine of each token, or of the response that it belongs to.

    Of a response it is the product over its tokens. Its geometric mean, which does not grow with the length, is no
    importance weight (its expectation of anything is not the trainer's) and is therefore not offered.

    Args:
        logprobs: [T] of the trainer's policy as it was when the rollouts were made; no gradient goes through them.
        engine_logprobs: [T] of the distribution that was sampled from.
        responses: [T] int64, which response each token belongs to, counted from 0.
        level: ``token`` or ``sequence``.

    Returns:
        [T], without gradient; exactly 1 where the two agree.
    """
    log_ratio = (logprobs - engine_logprobs).detach()
    if level == "sequence" and len(responses):
        sums = log_ratio.new_zeros(int(responses.max()) + 1).index_add(0, responses, log_ratio)
        log_ratio = sums[responses]
    return log_ratio.clamp(-LOG_RATIO_LIMIT, LOG_RATIO_LIMIT).exp()


def truncated_weights(ratios: Tensor, threshold: float) -> tuple[Tensor, Tensor]:
    """Truncated importance sampling: min(w, C) (Yao et al. 2025; the estimator is Ionides 2008's).

    Args:
        ratios: [T].
        threshold: C.

    Returns:
        (weights [T], truncated [T] bool).
    """
    return ratios.clamp(max=threshold), ratios > threshold


def masked_weights(ratios: Tensor, lower: float, upper: float) -> tuple[Tensor, Tensor]:
    """Masked importance sampling: w within the bounds, 0 outside.

    Token by token this is IcePop (Zhao et al. 2025; INTELLECT-3, arXiv 2512.16144, keeps 0.5 to 5), by whole responses that
    of Liu, Li et al. 2025 ("When Speed Kills Stability"). What is masked still counts as a token where the loss is divided,
    so a mask never makes the rest louder.

    Args:
        ratios: [T].
        lower: smallest weight kept.
        upper: largest weight kept.

    Returns:
        (weights [T], masked [T] bool).
    """
    masked = ~((ratios >= lower) & (ratios <= upper))  # what is no number is masked, too
    return ratios.masked_fill(masked, 0.0), masked
