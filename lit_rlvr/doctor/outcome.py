"""What a check found, and how checks are done one after the other: those that hang on a failed one are left out.

From: the checks of this folder. To: the lines that `lit-rlvr doctor` prints.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

from lightning.pytorch.utilities import rank_zero_only

from lit_rlvr.errors import first_line
from lit_rlvr.mistakes import sentence_for


class UnfitError(Exception):
    """A check has failed; the message says why, and what to do."""


@dataclass(frozen=True)
class Outcome:
    """What a check found.

    Attributes:
        name: of the check.
        state: ``ok``, ``FAILED`` or ``skipped``.
        sentence: what was found; of a failed one why, and what to do.
    """

    name: str
    state: str
    sentence: str

    def __str__(self) -> str:
        return f"{self.state:<7} {self.name}: {self.sentence}"


@dataclass
class Findings:
    """The outcomes so far.

    Attributes:
        outcomes: in the order of the checks.
    """

    outcomes: list[Outcome] = field(default_factory=list)

    def check(self, name: str, check: Callable[[], str], *needs: str) -> None:
        """Do a check and print its outcome.

        Args:
            name: of the check.
            check: returns what it found, or raises.
            needs: checks without which this one says nothing.
        """
        missing = [one.name for one in self.outcomes if one.name in needs and one.state != "ok"]
        if missing:
            self.add(Outcome(name, "skipped", f"it needs {' and '.join(missing)}, which did not pass."))
            return
        try:
            self.add(Outcome(name, "ok", check()))
        except UnfitError as error:
            self.add(Outcome(name, "FAILED", str(error)))
        except Exception as error:  # whatever goes wrong in here would go wrong in the run
            self.fail(name, error)

    def fail(self, name: str, error: Exception) -> None:
        """Record what was raised on the way to a check."""
        said = sentence_for(error)
        unknown = f"{type(error).__name__}: {first_line(error)}; LIT_RLVR_TRACEBACK=1 lit-rlvr fit shows where."
        self.add(Outcome(name, "FAILED", said or unknown))

    def add(self, outcome: Outcome) -> None:
        """Record an outcome and print it."""
        self.outcomes.append(outcome)
        rank_zero_only(print)(outcome, flush=True)

    def has(self, name: str) -> bool:
        """Whether that check has an outcome."""
        return any(one.name == name for one in self.outcomes)

    @property
    def failed(self) -> bool:
        """Whether something is wrong."""
        return any(one.state != "ok" for one in self.outcomes)
