"""GRPO and its relatives: a response's advantage is its reward against that of the others of its group.

Dr. GRPO is ``scale: none`` (with the aggregation ``constant``), RLOO is ``baseline: leave-one-out`` with ``scale: none``,
DAPO, GSPO and CISPO change the policy loss: see `configs/algorithm/`.
"""

from dataclasses import replace
from typing import Any, Literal

from torch import Tensor

from lit_rlvr.algorithms.advantages import Baseline, Scale, group_advantages
from lit_rlvr.algorithms.policy_gradient import PolicyGradient
from lit_rlvr.algorithms.returns import Reduce
from lit_rlvr.errors import UserError
from lit_rlvr.experience import Experience, Rollouts


class GRPO(PolicyGradient):
    """Group relative policy optimisation (Shao et al. 2024, arXiv 2402.03300, equation 3).

    Args:
        group: which responses are compared: those of one ``row`` (the paper: groups of 8), or ``pooled``, all the
            responses to the same problem.
        baseline: the group's mean, or the mean of the other members (``leave-one-out``).
        scale: divide advantages by the group's standard deviation (``std``), or not (``none``).
        **loss: settings of the loss; see ``PolicyGradient``.
    """

    def __init__(
        self,
        group: Literal["row", "pooled"] = "row",
        baseline: Baseline = "mean",
        scale: Scale = "std",
        **loss: Any,
    ) -> None:
        super().__init__(**loss)
        self.group = group
        self.baseline: Baseline = baseline
        self.scale: Scale = scale

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

    def advantages(self, experience: Experience, reduce: Reduce = lambda sums: sums) -> Experience:
        rollouts = experience.rollouts
        per_response = group_advantages(experience.rewards, self.groups(rollouts), self.baseline, self.scale)
        return replace(experience, advantages=rollouts.spread(per_response))
