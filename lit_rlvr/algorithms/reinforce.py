"""REINFORCE++: no critic and no groups; rewards still to come, normalised over everything that was sampled."""

from dataclasses import replace

import torch

from lit_rlvr.algorithms.returns import Reduce, generalized_advantages, whiten
from lit_rlvr.algorithms.token_level import TokenLevel
from lit_rlvr.experience import Experience


class ReinforcePlusPlus(TokenLevel):
    """PPO's loss on the reward still to come, whitened over the tokens of the whole RL step, all processes together.

    REINFORCE++ (Hu et al. 2025, arXiv 2501.03262, section 3). With ``kl_in_reward`` as there, tokens of one response differ
    by the penalties that still lie before them.
    """

    def advantages(self, experience: Experience, reduce: Reduce = lambda sums: sums) -> Experience:
        rewards = self.rewards(experience)
        to_come = generalized_advantages(
            rewards, torch.zeros_like(rewards), experience.rollouts.lengths, self.gamma, 1.0
        )
        return replace(experience, advantages=whiten(to_come, reduce))
