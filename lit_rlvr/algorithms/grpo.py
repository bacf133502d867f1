"""GRPO: group-relative advantages, clipped policy loss, KL to the reference, entropy bonus.

The defaults are the recipe of arXiv 2504.20571. Dr. GRPO is ``scale: none``, RLOO is ``baseline: leave-one-out`` with
``scale: none``.
"""

from typing import Literal

from torch import Tensor

from lit_rlvr.algorithms.advantages import Baseline, Scale, group_advantages
from lit_rlvr.algorithms.algorithm import Algorithm, LossSums, TokenBatch
from lit_rlvr.algorithms.losses import KLEstimator, clipped_policy_loss, kl_penalty
from lit_rlvr.errors import UserError
from lit_rlvr.experience import Rollouts


class GRPO(Algorithm):
    """Group relative policy optimisation (Shao et al. 2024, arXiv 2402.03300, equation 3).

    Args:
        group: which responses are compared: those of one ``row`` (the paper: groups of 8), or ``pooled``, all the
            responses to the same problem.
        baseline: the group's mean, or the mean of the other members (``leave-one-out``).
        scale: divide advantages by the group's standard deviation (``std``), or not (``none``).
        clip_low: the probability ratio is clipped below 1 - clip_low.
        clip_high: and above 1 + clip_high.
        policy_coefficient: weight of the policy loss; 0 trains on the other terms alone.
        kl_coefficient: weight of the KL penalty to the reference; 0 builds no reference.
        kl_estimator: ``k1``, ``k2`` or ``k3`` (see ``kl_penalty``).
        entropy_coefficient: weight of the entropy *bonus* (the paper's alpha is minus this number).
    """

    def __init__(
        self,
        group: Literal["row", "pooled"] = "row",
        baseline: Baseline = "mean",
        scale: Scale = "std",
        clip_low: float = 0.2,
        clip_high: float = 0.2,
        policy_coefficient: float = 1.0,
        kl_coefficient: float = 0.001,
        kl_estimator: KLEstimator = "k3",
        entropy_coefficient: float = 0.001,
    ) -> None:
        if not 0 <= clip_low < 1 or clip_high < 0:
            raise UserError(
                f"model.algorithm clips to [1 - {clip_low}, 1 + {clip_high}]; clip_low must lie in [0, 1), clip_high >= 0."
            )
        if kl_coefficient < 0:
            raise UserError(f"model.algorithm.kl_coefficient is {kl_coefficient}; a penalty is 0 or positive.")
        self.group = group
        self.baseline: Baseline = baseline
        self.scale: Scale = scale
        self.clip_low = clip_low
        self.clip_high = clip_high
        self.policy_coefficient = policy_coefficient
        self.kl_coefficient = kl_coefficient
        self.kl_estimator: KLEstimator = kl_estimator
        self.entropy_coefficient = entropy_coefficient

    @property
    def needs_reference(self) -> bool:
        return self.kl_coefficient > 0

    def check(self, samples_per_row: int, rows: int) -> None:
        size = samples_per_row if self.group == "row" else samples_per_row * rows
        if size < 2:
            what = "a standard deviation" if self.scale == "std" else "a baseline"
            raise UserError(
                f"model.sampling.n is {samples_per_row}, so each advantage group has one response and {what} cannot be "
                "taken: set model.sampling.n to 2 or more, or model.algorithm.init_args.group to pooled with more rows."
            )

    def groups(self, rollouts: Rollouts) -> Tensor:
        return rollouts.rows if self.group == "row" else rollouts.problems

    def advantages(self, rollouts: Rollouts, rewards: Tensor) -> Tensor:
        per_response = group_advantages(rewards, self.groups(rollouts), self.baseline, self.scale)
        return rollouts.spread(per_response)

    def loss(self, logprobs: Tensor, entropy: Tensor, batch: TokenBatch) -> LossSums:
        old = logprobs.detach() if batch.old_logprobs is None else batch.old_logprobs
        policy, clipped = clipped_policy_loss(logprobs, old, batch.advantages, self.clip_low, self.clip_high)
        total = self.policy_coefficient * policy - self.entropy_coefficient * entropy
        metrics = {
            "train/loss/policy": policy.detach().sum(),
            "train/entropy": entropy.detach().sum(),
            "train/clip_fraction": clipped.sum(),
            "train/approx_kl": kl_penalty(old, logprobs.detach(), "k3").sum(),
        }
        if batch.reference_logprobs is not None:
            kl = kl_penalty(logprobs, batch.reference_logprobs, self.kl_estimator)
            total = total + self.kl_coefficient * kl
            metrics["train/kl"] = kl.detach().sum()
        metrics["train/loss"] = total.detach().sum()
        return LossSums(total.sum(), metrics)
