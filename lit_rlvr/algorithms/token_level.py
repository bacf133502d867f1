"""What PPO and REINFORCE++ share: a reward per token instead of one per group member."""

from typing import Any

from torch import Tensor

from lit_rlvr.algorithms.losses import kl_penalty
from lit_rlvr.algorithms.policy_gradient import PolicyGradient
from lit_rlvr.algorithms.returns import token_rewards
from lit_rlvr.errors import UserError
from lit_rlvr.experience import Experience, Rollouts


class TokenLevel(PolicyGradient):
    """Rewards per token, with a KL penalty among them if asked.

    Args:
        gamma: discount per token.
        kl_in_reward: each token costs this times its log-ratio to the reference (k1), beside or instead of the KL
            penalty in the loss.
        **loss: settings of the loss; see ``PolicyGradient``.
    """

    def __init__(self, gamma: float = 1.0, kl_in_reward: float = 0.0, **loss: Any) -> None:
        super().__init__(**loss)
        if not 0 < gamma <= 1:
            raise UserError(f"model.algorithm.gamma is {gamma}; a discount lies in (0, 1].")
        if kl_in_reward < 0:
            raise UserError(f"model.algorithm.kl_in_reward is {kl_in_reward}; a penalty is 0 or positive.")
        if kl_in_reward and self.kl_share < 1:
            raise UserError(
                f"model.algorithm.kl_share is {self.kl_share}, and kl_in_reward takes the KL of every token: set kl_share to 1."
            )
        self.gamma = gamma
        self.kl_in_reward = kl_in_reward

    @property
    def needs_reference(self) -> bool:
        return self.kl_coefficient > 0 or self.kl_in_reward > 0

    @property
    def needs_old_logprobs(self) -> bool:  # type: ignore[override]  # a property where the others have a constant
        return self.kl_in_reward > 0

    def check(self, samples_per_row: int, rows: int) -> None:
        """Any number of responses will do."""

    def groups(self, rollouts: Rollouts) -> Tensor:
        """Rows, as in GRPO: nothing is computed from them, but the share of rows with equal rewards then compares."""
        return rollouts.rows

    def rewards(self, experience: Experience) -> Tensor:
        """[T] rewards per token."""
        penalties = None
        if self.kl_in_reward:
            assert experience.old_logprobs is not None
            assert experience.reference_logprobs is not None
            penalties = self.kl_in_reward * kl_penalty(experience.old_logprobs, experience.reference_logprobs, "k1")
        return token_rewards(experience.rewards, experience.rollouts.lengths, penalties)
