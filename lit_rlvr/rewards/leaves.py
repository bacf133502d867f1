"""Stage 3b, fourth layer: two single expressions, compared by text, exact numbers, units and words, without symbols."""

import re
from dataclasses import dataclass
from enum import StrEnum
from fractions import Fraction

from lit_rlvr.rewards.numbers import read_based, read_counting_words, read_number
from lit_rlvr.rewards.structure import is_name, split_top
from lit_rlvr.rewards.units import read_several, split_scale, split_unit, units_clash


class Decision(StrEnum):
    """The outcome of a comparison."""

    EQUAL = "equal"
    DIFFERENT = "different"
    UNDECIDED = "undecided"  # equal or not only by computing with symbols


_WORD = re.compile(r"\\text\{[^{}]*\}")
# A multiple choice: a letter, in any brackets, perhaps with the option written out: `B`, `(b)`, `B. 12`.
_CHOICE = re.compile(
    r"(?P<open>\(?)\s*(?:\\text\{\s*\(?(?P<text>[A-Ja-j])(?P<inner>[).:]*)\s*\}|(?P<plain>[A-Ja-j]))\s*(?P<close>[).:]*)"
    r"(?P<option>.*)",
    re.DOTALL,
)
# Letter and option in one text command, as chat models write them; the mark after the letter tells it from a word.
_CHOICE_IN_TEXT = re.compile(r"\\text\{\s*(\(?[A-Ja-j][).:]+[^{}]*)\}")
_SECOND_CHOICE = re.compile(r"\([A-J]\)|(?<![A-Za-z])[A-J][.)]|\b(?:or|and)\W{1,3}[A-J]\b")
_RATIO = re.compile(r"\d{1,9}(?::\d{1,9})+")
_TIME = re.compile(r"\d{1,2}:[0-5]\d(?::[0-5]\d)?")
_ROMAN = re.compile(r"[IVX]{2,}")


@dataclass(frozen=True, slots=True)
class _Quantity:
    body: str
    unit: str
    percent: bool
    scale: int

    @property
    def value(self) -> Fraction | None:
        number = read_number(self.body)
        return None if number is None else number * self.scale


def _quantity(text: str) -> _Quantity:
    text, scale = split_scale(text)
    body, unit = split_unit(text)
    percent = body.endswith("\\%") or unit == "percent"
    return _Quantity(body.removesuffix("\\%").strip(), "" if unit == "percent" else unit, percent, scale)


def both(decisions: list[Decision]) -> Decision:
    """Equal if all are equal, different if any is different."""
    if Decision.DIFFERENT in decisions:
        return Decision.DIFFERENT
    return Decision.UNDECIDED if Decision.UNDECIDED in decisions else Decision.EQUAL


def decided(equal: bool) -> Decision:
    return Decision.EQUAL if equal else Decision.DIFFERENT


def _choice(text: str) -> tuple[str, bool, bool] | None:
    """Letter, whether an option is written out after it, and whether it is marked as a choice; None if it is none."""
    whole = _CHOICE_IN_TEXT.fullmatch(text)
    match = _CHOICE.fullmatch(whole[1] if whole else text)
    if match is None:
        return None
    closed = bool(match["close"] or match["inner"])
    if match["option"] and (not closed or match["option"].startswith(",") or _SECOND_CHOICE.search(match["option"])):
        return None
    return match["text"] or match["plain"], bool(match["option"]), closed or match["text"] is not None


def compare_choices(gold: str, answer: str) -> Decision:
    """Compare two options of a multiple choice; undecided if they are none.

    A small letter counts as one only if the gold is marked as a choice or a capital, for `e` is also a number.
    """
    ours, theirs = _choice(gold), _choice(answer)
    if not ours or not theirs or (ours[1] and theirs[1]) or (ours[0].islower() and not ours[2]):
        return Decision.UNDECIDED
    if "e" in (ours[0], theirs[0]) and not (ours[2] and theirs[2]):
        return Decision.UNDECIDED  # also a number
    return decided(ours[0].upper() == theirs[0].upper())


def split_rounded(gold: str, answer: str) -> list[str]:
    r"""The sides of an answer like ``\frac{2}{3}\approx0.67`` where the gold has no such sign, else nothing.

    A name on the left is dropped: ``x\approx5`` has the one side 5.
    """
    if "\\approx" not in answer or "\\approx" in gold:
        return []
    sides = split_top(answer, frozenset(["\\approx"]))
    if len(sides) == 1:  # the sign stands in a bracket
        return []
    return sides[1:] if not sides[0] or is_name(sides[0]) else sides


def rounds_to(value: Fraction, rounded: str) -> bool:
    """Whether a decimal is a value rounded or cut off at its last place."""
    match = re.fullmatch(r"[+-]?\d+(?:\.(\d+))?", rounded)
    if match is None:
        return False
    place, shown = Fraction(1, 10 ** len(match[1] or "")), Fraction(rounded)
    return 2 * abs(shown - value) <= place or 0 <= abs(value) - abs(shown) < place


def _compare_rounded(gold: str, sides: list[str]) -> Decision:
    if len(sides) == 1:
        return compare_exactly(gold, sides[0])
    value = read_number(sides[0]) if len(sides) == 2 else None
    if value is None:
        return Decision.UNDECIDED if len(sides) == 2 else Decision.DIFFERENT
    if not rounds_to(value, sides[1]):
        return Decision.DIFFERENT
    # The rounded side counts where the gold is a decimal itself.
    either = [compare_exactly(gold, side) for side in (sides if "." in gold else sides[:1])]
    return Decision.EQUAL if Decision.EQUAL in either else both(either)


def compare_exactly(gold: str, answer: str) -> Decision:
    """Compare two leaves by text, units and exact numbers."""
    if gold == answer:
        return Decision.EQUAL
    if sides := split_rounded(gold, answer):
        return _compare_rounded(gold, sides)
    ours, theirs = _quantity(gold), _quantity(answer)
    if units_clash(ours.unit, theirs.unit) or (ours.percent and theirs.unit) or (theirs.percent and ours.unit):
        return Decision.DIFFERENT
    if not ours.body or not theirs.body or ours.body.startswith("\\text") or _WORD.fullmatch(theirs.body):
        return _compare_words(gold, answer)
    value, other = ours.value, theirs.value
    if value is not None and other is not None:
        if ours.percent == theirs.percent:
            return decided(value == other)
        if ours.percent:  # the gold has the sign: it may be left out, or the share be written as a number
            return decided(other in (value, value / 100))
        # Only the answer has it: beside a share (a fraction, or below 1) it means hundredths, else it repeats what the
        # question said.
        share = abs(value) < 1 or "/" in ours.body or "\\frac" in ours.body
        return decided(other == 100 * value if share else other == value)
    based, other_based = read_based(ours.body), read_based(theirs.body)
    if based and (other_based or other is not None) and not theirs.percent:
        # The question gives the base, so an answer may leave it out; it must not name another.
        return decided(based == (other_based or (theirs.body, based[1])))
    if other_based and value is not None:
        return decided(other_based[1] == 10 and read_number(other_based[0]) == value)
    if _RATIO.fullmatch(ours.body):
        return _compare_ratios(ours, theirs)
    if ours.scale != theirs.scale:
        return Decision.DIFFERENT
    several = read_several(gold), read_several(answer)
    if any(several):
        return decided(several[0] == several[1])
    infinite = [side.body.lstrip("+").strip() in ("\\infty", "-\\infty") for side in (ours, theirs)]
    if any(infinite) or _ROMAN.fullmatch(ours.body):
        return decided(ours.body.lstrip("+") == theirs.body.lstrip("+"))
    if ours.body == theirs.body and ours.percent == theirs.percent:
        return Decision.EQUAL
    if not theirs.body.isascii() or "\\text" in theirs.body.replace("\\text{degrees}", ""):
        return Decision.UNDECIDED if "\\text" in ours.body else Decision.DIFFERENT
    return Decision.UNDECIDED


def _compare_ratios(gold: _Quantity, answer: _Quantity) -> Decision:
    """``3:4`` is 6:8, and as one number 3/4; ``4:40`` may be a time, and then it is neither 1:10 nor 1/10."""
    ours = [int(part) for part in gold.body.split(":")]
    if gold.body == answer.body or _TIME.fullmatch(gold.body):
        return decided(gold.body == answer.body)
    if not _RATIO.fullmatch(answer.body):
        return decided(
            len(ours) == 2 and not answer.percent and answer.value is not None and ours[1] * answer.value == ours[0]
        )
    theirs = [int(part) for part in answer.body.split(":")]
    same = len(ours) == len(theirs) and all(a * theirs[0] == b * ours[0] for a, b in zip(ours, theirs, strict=True))
    return decided(same and any(theirs))


def _compare_words(gold: str, answer: str) -> Decision:
    counted = [read_number(text) or read_counting_words(re.sub(r"\\text|[{}]", "", text)) for text in (gold, answer)]
    if None not in counted:
        return decided(counted[0] == counted[1])
    return decided(words_of(gold) == words_of(answer) != "")


def words_of(text: str) -> str:
    """Letters and digits of an answer in words, folded."""
    bare = re.sub(r"(?<=\d)\.(?=\d)", "!", re.sub(r"\\text|[{}$\\]", " ", text))
    folded = re.sub(r"[^a-z0-9+\-*/^=<>()'!]+", "", bare.casefold())
    return folded[1:-1] if re.fullmatch(r"\([a-z]\)", folded) else folded
