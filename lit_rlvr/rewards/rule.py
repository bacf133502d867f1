"""Which rule reads and compares answers, and from where in a response the answer is taken.

``exact`` is ours and the only one a user needs; the other two are the rules of the paper's released code, so that a
reproduction can be scored as the paper was.
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from lit_rlvr.errors import UserError
from lit_rlvr.rewards import exact
from lit_rlvr.rewards.compat import deepscaler, qwen
from lit_rlvr.rewards.extract import extract_boxed, extract_flexible
from lit_rlvr.rewards.verdict import Kind


class Rule(StrEnum):
    """How answer and gold are compared."""

    EXACT = "exact"  # ours
    DEEPSCALER = "deepscaler"  # the paper's training reward
    QWEN = "qwen"  # the paper's evaluation


class Mode(StrEnum):
    """Where in the response the answer is looked for."""

    STRICT = "strict"  # the last box, and nowhere else
    FLEXIBLE = "flexible"  # without a box also "the answer is ..." and the last number


@dataclass(frozen=True, slots=True)
class Steps:
    """What a rule does in the trainer's process. Its symbolic step is in the worker.

    Attributes:
        strict, flexible: the answer of a response, or None.
        decide: (answer, gold) -> verdict, or None if it takes symbols. Never called with a blank answer.
        default: the mode the rule is known by.
    """

    strict: Callable[[str], str | None]
    flexible: Callable[[str], str | None]
    decide: Callable[[str, str], Kind | None]
    default: Mode = Mode.STRICT


RULES: dict[Rule, Steps] = {
    Rule.EXACT: Steps(extract_boxed, extract_flexible, exact.decide),
    Rule.DEEPSCALER: Steps(deepscaler.extract, extract_flexible, deepscaler.decide),
    Rule.QWEN: Steps(qwen.extract_boxed, qwen.extract, qwen.decide, Mode.FLEXIBLE),
}


def parse_rule(rule: Rule | str) -> Rule:
    """The rule of that name.

    Raises:
        UserError: there is none.
    """
    try:
        return Rule(rule)
    except ValueError:
        raise UserError(f"There is no rule {rule!r}: choose one of {', '.join(Rule)}.") from None


def parse_mode(mode: Mode | str | None) -> Mode | None:
    """The mode of that name; None stands for the rule's own.

    Raises:
        UserError: there is none.
    """
    try:
        return None if mode is None else Mode(mode)
    except ValueError:
        raise UserError(f"There is no mode {mode!r}: choose one of {', '.join(Mode)}.") from None
