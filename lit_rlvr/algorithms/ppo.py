"""PPO: advantages along each response from a learned critic, by GAE; the critic learns the returns beside the policy."""

from dataclasses import replace
from typing import Any

from torch import Tensor

from lit_rlvr.algorithms.algorithm import LossSums, TokenBatch
from lit_rlvr.algorithms.losses import clipped_value_loss
from lit_rlvr.algorithms.returns import Reduce, generalized_advantages, whiten
from lit_rlvr.algorithms.token_level import TokenLevel
from lit_rlvr.errors import UserError
from lit_rlvr.experience import Experience


class PPO(TokenLevel):
    """Proximal policy optimisation with a critic (Schulman et al. 2017, arXiv 1707.06347).

    Args:
        lam: lambda of GAE; 1 trusts the rewards alone, less trusts the critic more.
        whiten: shift and scale advantages to mean 0 and standard deviation 1 over all tokens of an RL step.
        value_clip: the critic's loss is clipped where its value moves further than this within an RL step.
        critic_warmup: RL steps at the beginning in which only the critic learns.
        **rewards: ``gamma``, ``kl_in_reward`` and the settings of the loss.
    """

    needs_critic = True

    def __init__(
        self,
        lam: float = 1.0,
        whiten: bool = True,
        value_clip: float = 0.2,
        critic_warmup: int = 0,
        **rewards: Any,
    ) -> None:
        super().__init__(**rewards)
        if not 0 <= lam <= 1:
            raise UserError(f"model.algorithm.lam is {lam}; lambda of GAE lies in [0, 1].")
        if not value_clip > 0:
            raise UserError(f"model.algorithm.value_clip is {value_clip}; use a large number for no clipping.")
        if critic_warmup < 0:
            raise UserError(f"model.algorithm.critic_warmup is {critic_warmup}; it is a number of RL steps.")
        self.lam = lam
        self.whiten = whiten
        self.value_clip = value_clip
        self.critic_warmup = critic_warmup

    def advantages(self, experience: Experience, reduce: Reduce = lambda sums: sums) -> Experience:
        assert experience.values is not None
        lengths = experience.rollouts.lengths
        advantages = generalized_advantages(self.rewards(experience), experience.values, lengths, self.gamma, self.lam)
        returns = advantages + experience.values
        return replace(
            experience, advantages=whiten(advantages, reduce) if self.whiten else advantages, returns=returns
        )

    def loss(self, logprobs: Tensor, entropy: Tensor, batch: TokenBatch, values: Tensor | None = None) -> LossSums:
        assert values is not None
        assert batch.old_values is not None
        assert batch.returns is not None
        policy = super().loss(logprobs, entropy, batch)
        value, clipped = clipped_value_loss(values, batch.old_values, batch.returns, self.value_clip)
        metrics = {
            "train/critic/loss": batch.total(value.detach()),
            "train/critic/clip_fraction": batch.total(clipped),
        }
        # One sum for one backward pass: policy and critic share no parameter, so neither feels the other's part.
        return LossSums(policy.loss + batch.sum(value), policy.metrics | metrics)
