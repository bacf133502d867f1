"""What all algorithms share: a policy loss, a KL penalty to the reference, an entropy bonus. They differ in advantages.

The defaults are the recipe of arXiv 2504.20571.
"""

from typing import Literal

from torch import Tensor

from lit_rlvr.algorithms.algorithm import Algorithm, LossSums, TokenBatch
from lit_rlvr.algorithms.losses import KLEstimator, cispo_loss, clipped_policy_loss, gspo_loss, kl_penalty
from lit_rlvr.algorithms.mismatch import MismatchCorrection, importance_ratios
from lit_rlvr.errors import UserError

PolicyLoss = Literal["ppo", "gspo", "cispo"]


class PolicyGradient(Algorithm):
    """Policy loss + KL penalty - entropy bonus.

    Args:
        policy_loss: how far one batch may move the policy: ``ppo`` clips each token's probability ratio, ``gspo`` that of
            the whole response, ``cispo`` clips the weight of a token and never its gradient.
        clip_low: the probability ratio is clipped below 1 - clip_low.
        clip_high: and above 1 + clip_high.
        policy_coefficient: weight of the policy loss; 0 trains on the other terms alone.
        kl_coefficient: weight of the KL penalty to the reference; 0 builds no reference.
        kl_estimator: ``k1``, ``k2`` or ``k3`` (see ``kl_penalty``).
        kl_share: share of the responses whose KL is measured, others at each RL step; theirs weighs 1 / share, so that the
            penalty is the same in expectation and the reference's forward passes cost that share.
        entropy_coefficient: weight of the entropy *bonus* (the paper's alpha is minus this number).
        correction: importance weights on the policy loss, for engines that round where the trainer does not.
    """

    def __init__(
        self,
        policy_loss: PolicyLoss = "ppo",
        clip_low: float = 0.2,
        clip_high: float = 0.2,
        policy_coefficient: float = 1.0,
        kl_coefficient: float = 0.001,
        kl_estimator: KLEstimator = "k3",
        kl_share: float = 1.0,
        entropy_coefficient: float = 0.001,
        correction: MismatchCorrection = MismatchCorrection(),  # noqa: B008  # frozen
    ) -> None:
        # CISPO's weight has no lower bound in its paper: a clip_low of 1 stands for none.
        bounded = 0 <= clip_low < 1 or (policy_loss == "cispo" and clip_low == 1)
        if not bounded or clip_high < 0:
            raise UserError(
                f"model.algorithm clips to [1 - {clip_low}, 1 + {clip_high}]; clip_low must lie in [0, 1), clip_high >= 0."
            )
        if kl_coefficient < 0:
            raise UserError(f"model.algorithm.kl_coefficient is {kl_coefficient}; a penalty is 0 or positive.")
        if not 0 < kl_share <= 1:
            raise UserError(
                f"model.algorithm.kl_share is {kl_share}; it is a share of the responses, above 0 and at most 1. For no "
                "penalty set kl_coefficient to 0."
            )
        self.policy_loss: PolicyLoss = policy_loss
        self.clip_low = clip_low
        self.clip_high = clip_high
        self.policy_coefficient = policy_coefficient
        self.kl_coefficient = kl_coefficient
        self.kl_estimator: KLEstimator = kl_estimator
        self.kl_share = kl_share
        self.entropy_coefficient = entropy_coefficient
        self.correction = correction

    @property
    def needs_reference(self) -> bool:
        return self.kl_coefficient > 0

    def loss(self, logprobs: Tensor, entropy: Tensor, batch: TokenBatch, values: Tensor | None = None) -> LossSums:
        old = logprobs.detach() if batch.old_logprobs is None else batch.old_logprobs
        policy, clipped = self._policy_loss(logprobs, old, batch)
        if self.correction.kind != "off":
            assert batch.engine_logprobs is not None
            ratios = importance_ratios(old, batch.engine_logprobs, batch.responses, self.correction.level)
            policy = self.correction.weights(ratios)[0] * policy
        total = self.policy_coefficient * policy - self.entropy_coefficient * entropy
        metrics = {
            "train/loss/policy": batch.total(policy.detach()),
            "train/entropy": batch.total(entropy.detach()),
            "train/clip_fraction": batch.total(clipped),
            "train/approx_kl": batch.total(kl_penalty(old, logprobs.detach(), "k3")),
        }
        if batch.reference_logprobs is not None and self.kl_coefficient > 0:
            kl = kl_penalty(logprobs, batch.reference_logprobs, self.kl_estimator)
            kl = kl if batch.reference_weights is None else batch.reference_weights * kl
            total = total + self.kl_coefficient * kl
            metrics["train/kl"] = batch.total(kl.detach())
        metrics["train/loss"] = batch.total(total.detach())
        return LossSums(batch.sum(total), metrics)

    def _policy_loss(self, logprobs: Tensor, old: Tensor, batch: TokenBatch) -> tuple[Tensor, Tensor]:
        bounds = self.clip_low, self.clip_high
        match self.policy_loss:
            case "ppo":
                return clipped_policy_loss(logprobs, old, batch.advantages, *bounds)
            case "cispo":
                return cispo_loss(logprobs, old, batch.advantages, *bounds)
            case "gspo":
                return gspo_loss(logprobs, old, batch.advantages, batch.responses, *bounds)
