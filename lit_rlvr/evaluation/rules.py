"""Ways of scoring that an evaluation reports beside its main figure: a rule, and where the answer is looked for.

Written in configs as ``rule`` or ``rule/mode``. The main figure is always :data:`MAIN`, whatever training is rewarded by.
"""

from collections.abc import Sequence
from typing import NamedTuple

from lit_rlvr.errors import UserError
from lit_rlvr.rewards.rule import RULES, Mode, Rule


class Scoring(NamedTuple):
    """How responses are scored."""

    rule: Rule
    mode: Mode

    @property
    def name(self) -> str:
        """What curves and rows call it: the rule, with the mode where it is not the one the rule is known by."""
        return self.rule.value if self.mode is RULES[self.rule].default else f"{self.rule.value}/{self.mode.value}"


MAIN = Scoring(Rule.EXACT, Mode.STRICT)
"""The main figure's: our rule on the last box, and nothing else."""


def parse_scoring(text: str) -> Scoring:
    """A way of scoring as configs write it: ``qwen``, ``exact/flexible``; without a mode, the rule's own.

    Raises:
        UserError: there is no such rule or mode.
    """
    rule, slash, mode = text.partition("/")
    if rule not in list(Rule) or (slash and mode not in list(Mode)):
        raise UserError(
            f"There is no rule {text!r} to evaluate by: use one of {', '.join(Rule)}, with /{' or /'.join(Mode)} after it "
            "to say where the answer is looked for."
        )
    return Scoring(Rule(rule), Mode(mode) if slash else RULES[Rule(rule)].default)


def parse_scorings(texts: Sequence[str]) -> dict[str, Scoring]:
    """Name -> way of scoring, in the order they are written in.

    Raises:
        UserError: one of them does not exist, or two are the same.
    """
    scorings: dict[str, Scoring] = {}
    for text in texts:
        scoring = parse_scoring(text)
        if scoring.name in scorings:
            raise UserError(f"The rule {scoring.name} is to be evaluated by twice; leave one of the two out.")
        scorings[scoring.name] = scoring
    return scorings
