"""The verifier's settings, as configurations write them."""

from dataclasses import dataclass
from math import isfinite
from typing import Literal

from lit_rlvr.errors import UserError
from lit_rlvr.rewards.rule import Mode
from lit_rlvr.rewards.verifier import Verifier


@dataclass(frozen=True)
class VerifierConfig:
    """How responses are judged in training.

    Whatever the rule, the answer must stand in the last box: a reward for answers found elsewhere would pay for any text
    that happens to hold the right number. Evaluation reports its main figure by the ``exact`` rule in any case.

    Attributes:
        rule: ``exact`` (ours), or for reproductions ``deepscaler`` (the paper's reward) or ``qwen`` (its evaluation).
        workers: processes for answers that take symbols, on each rank.
        timeout: wall seconds per such answer before it counts as too costly.
    """

    rule: Literal["exact", "deepscaler", "qwen"] = "exact"
    workers: int = 2
    timeout: float = 1.0

    def __post_init__(self) -> None:
        if self.workers < 1:
            raise UserError(f"model.verifier.workers is {self.workers}; it must be 1 or more.")
        if not (self.timeout > 0 and isfinite(self.timeout)):
            raise UserError(f"model.verifier.timeout is {self.timeout}; it must be a positive number of seconds.")

    def build(self) -> Verifier:
        """The verifier; its processes start when they are first needed."""
        return Verifier(self.workers, self.timeout, self.rule, Mode.STRICT)
