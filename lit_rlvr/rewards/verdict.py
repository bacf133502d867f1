"""What the verifier says of one response, and why."""

from dataclasses import dataclass
from enum import StrEnum


class Kind(StrEnum):
    """Why a verdict came out as it did."""

    RIGHT = "right"
    WRONG = "wrong"
    NO_ANSWER = "no_answer"  # the response has no complete \boxed{...}
    UNPARSABLE = "unparsable"  # boxed, but no reading of it as mathematics was found
    TOO_COSTLY = "too_costly"  # over the static limits, or the worker was killed at its time limit
    CRASHED = "crashed"  # the worker died or raised


@dataclass(frozen=True, slots=True)
class Verdict:
    """The verifier's judgement of one response against one gold answer.

    Attributes:
        kind: the judgement and its reason; only ``Kind.RIGHT`` counts as correct.
        answer: what was extracted from the response (the inside of the last box), or None.
    """

    kind: Kind
    answer: str | None = None

    @property
    def right(self) -> bool:
        return self.kind is Kind.RIGHT
