r"""Stage 3b, last layer: are two expressions equal as mathematics? Runs in worker processes only.

Values at random points, computed by our own reader to 60 digits and compared to 30, decide wherever both sides can be
read: unlike simplification that takes a bounded time, and two different answers do not agree at several random points.
What the reader does not know goes to math-verify, and there too an "equal" holds only if the numbers agree.
"""

import logging
import random
import re
from typing import Any

import mpmath
import sympy
from math_verify import LatexExtractionConfig, parse, verify
from mpmath import mpc, mpf

from lit_rlvr.rewards.equivalence import Decision, compare, compare_exactly
from lit_rlvr.rewards.expression import DIGITS, Reader, TooCostlyError, UnreadableError
from lit_rlvr.rewards.limits import nesting
from lit_rlvr.rewards.structure import parse_answer, split_top

_TOLERANCE = mpf(10) ** -30
# What cancellation leaves of a zero, relative to the operands of the sum it came from.
_ZERO = mpf(10) ** -45
_POINTS = 4
# math-verify's grammar takes 0.6 s at 10 brackets in brackets, and minutes at 20.
_GRAMMAR_NESTING = 6
# Marks of program text and prose, on which the grammar can spend seconds before it gives up.
_NO_MATHEMATICS = re.compile(r"[\"':;@#?&~`]")
_RELATIONS = ("=", "\\ne", "<", ">", "\\le", "\\ge")

# It warns once that its own time-outs are off; the pool's are on.
logging.getLogger("math_verify").setLevel(logging.CRITICAL)


def judge(gold: str, answer: str) -> str:
    """Compare two normal forms with symbols.

    Returns:
        ``"equal"``, ``"different"``, ``"unparsable"`` (the answer is no mathematics) or ``"too_costly"``.
    """
    try:
        with mpmath.workdps(DIGITS):
            return str(compare(parse_answer(gold), parse_answer(answer), compare_symbolically))
    except TooCostlyError:
        return "too_costly"
    except UnreadableError:
        return "unparsable"


def compare_symbolically(gold: str, answer: str) -> Decision:
    """Compare two leaves, for good.

    Raises:
        TooCostlyError: the value is too large to compute.
        UnreadableError: the answer cannot be read.
    """
    decision = compare_exactly(gold, answer)
    if decision is not Decision.UNDECIDED:
        return decision
    gold, answer = _prepared(gold), _prepared(answer)
    if gold == answer:
        return Decision.EQUAL
    ours, theirs = _relation(gold), _relation(answer)
    if ours[0] != theirs[0]:
        return Decision.DIFFERENT
    try:
        return _compare_numerically(ours, theirs)
    except UnreadableError:
        return _compare_with_math_verify(gold, answer)


def _prepared(text: str) -> str:
    """Without units, and with degrees inside an expression as radians."""
    text = re.sub(r"(?:\\text\{[^{}]*\}(?:\^(?:\{[+-]?\d\}|\d))?|\\%)$", "", text).strip()
    return text.replace("\\text{degrees}", "\\cdot\\frac{\\pi}{180}")


def _relation(text: str) -> tuple[str, str]:
    """The relation sign, turned to point left, and the difference of its sides (or the text itself)."""
    for sign in _RELATIONS:
        sides = split_top(text, frozenset([sign]))
        if len(sides) == 2:
            if not all(sides):
                raise UnreadableError("one side is empty")
            left, right = sides[::-1] if sign in (">", "\\ge") else sides
            return {">": "<", "\\ge": "\\le"}.get(sign, sign), f"({left})-({right})"
        if len(sides) > 2:
            return "chain", text
    return "", text


def _value(text: str, seed: int, positive: bool) -> mpc:
    """The value at a point, with what cancellation left of a zero made zero."""
    reader = Reader(text, seed, positive)
    value = reader.value()
    return mpc(0) if abs(value) <= _ZERO * reader.scale else value


def _close(a: mpc, b: mpc) -> bool:
    return abs(a - b) <= _TOLERANCE * max(abs(a), abs(b))


def _compare_numerically(gold: tuple[str, str], answer: tuple[str, str]) -> Decision:
    relation = gold[0]
    # Roots and logarithms of negative letters differ by branches that nobody means.
    positive = bool(re.search(r"\\sqrt|\\log|\\ln|\^\{[^{}]*(?:/|\\frac)", gold[1] + answer[1])) and "|" not in gold[1]
    ratios: list[mpc] = []
    for seed in range(_POINTS):
        sign = positive or seed < 2
        try:
            ours = _value(gold[1], seed, sign)
        except UnreadableError:
            if seed == 0:
                _value(answer[1], seed, sign)  # is it the answer that cannot be read?
            continue
        theirs = _value(answer[1], seed, sign)
        if not relation:
            if not _close(ours, theirs):
                return Decision.DIFFERENT
            ratios.append(mpc(1))
        elif ours == 0 or theirs == 0:
            if ours != theirs:
                return Decision.DIFFERENT
        else:
            ratios.append(theirs / ours)
    if len(ratios) < 2:
        raise UnreadableError("no values")
    if not all(_close(ratio, ratios[0]) for ratio in ratios):
        return Decision.DIFFERENT
    # Both sides of an equation may be scaled by anything, those of an inequality by a positive factor only.
    scaled = ratios[0]
    if relation in ("<", "\\le") and not (abs(mpmath.im(scaled)) < _TOLERANCE and mpmath.re(scaled) > 0):
        return Decision.DIFFERENT
    return Decision.EQUAL


def _compare_with_math_verify(gold: str, answer: str) -> Decision:
    if nesting(answer) > _GRAMMAR_NESTING:
        raise TooCostlyError("nesting")
    if not _balanced(answer) or _NO_MATHEMATICS.search(answer):
        raise UnreadableError(answer)
    ours, theirs = _sympy(gold), _sympy(answer)
    if theirs is None:
        raise UnreadableError(answer)
    if ours is None:
        return Decision.DIFFERENT
    if not verify(ours, theirs, timeout_seconds=None):
        return Decision.DIFFERENT
    return Decision.EQUAL if _sympy_agree(ours, theirs) else Decision.DIFFERENT


def _balanced(text: str) -> bool:
    return all(text.count(opening) == text.count(closing) for opening, closing in ("()", "{}"))


def _sympy(text: str) -> Any:
    """math-verify's reading, or None. Its expression path, which evaluates Python, is never used."""
    config = LatexExtractionConfig(boxed_match_priority=-1)
    try:
        found = parse(f"${text}$", [config], "no_fallback", "first_match", parsing_timeout=None)
    except (ValueError, TypeError, AttributeError, NotImplementedError):
        return None
    if len(found) != 1 or not isinstance(found[0], sympy.Expr) or found[0].has(sympy.nan, sympy.zoo, sympy.oo):
        return None
    return found[0]


def _sympy_agree(ours: Any, theirs: Any) -> bool:
    """Whether two sympy expressions agree to 30 digits at three random points."""
    letters = sorted(ours.free_symbols | theirs.free_symbols, key=str)
    draw = random.Random(0)
    for _ in range(3):
        point = {letter: sympy.Rational(draw.randint(10**6, 10**7), 10**6 + 3) for letter in letters}
        values = [side.subs(point).evalf(DIGITS) for side in (ours, theirs)]
        if not all(value.is_number and value.is_finite for value in values):
            return False
        if abs(values[0] - values[1]) > sympy.Float(10) ** -30 * max(abs(value) for value in values):
            return False
    return True
