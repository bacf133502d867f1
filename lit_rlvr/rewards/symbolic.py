r"""Stage 3b, last layer: are two expressions equal as mathematics? Runs in worker processes only.

Values at random points, computed by our own reader to 60 digits and compared to 30, decide wherever both sides can be
read: unlike simplification that takes a bounded time, and two different answers do not agree at several random points.
What the reader does not know goes to math-verify, and there too an "equal" holds only if the numbers agree.
"""

import logging
import random
import re
from fractions import Fraction
from typing import Any

import mpmath
import sympy
from math_verify import LatexExtractionConfig, parse, verify
from mpmath import mpc, mpf

from lit_rlvr.rewards.equivalence import compare
from lit_rlvr.rewards.expression import Reader
from lit_rlvr.rewards.leaves import Decision, compare_exactly, rounds_to, split_rounded
from lit_rlvr.rewards.limits import nesting
from lit_rlvr.rewards.normalize import normal_form
from lit_rlvr.rewards.numbers import read_number
from lit_rlvr.rewards.structure import parse_answer, split_top
from lit_rlvr.rewards.symbols import DIGITS, FUNCTION_LETTERS, Point, TooCostlyError, UnreadableError, Whole
from lit_rlvr.rewards.units import split_unit

_TOLERANCE = mpf(10) ** -30
# Numbers beside which a difference of 1 is lost in 60 digits: then a last comparison carries as many as these can have.
_LARGE = re.compile(r"\^\{?[-+]?\d{2,}|\d{2,}!|\d{20,}|\\binom|tanh|coth|\d\^\{?\d+\^")
_MANY_DIGITS, _SOME_DIGITS = 4000, 400  # beside exponents of three digits and more, and of two
# Products that must not be turned round.
_VECTORS = re.compile(r"\\nabla|(?:\\vec|\\text|\\hat)\{[A-Za-z]\}(?:\\times)")
# What cancellation leaves of a zero, relative to the operands of the sum it came from.
_ZERO = mpf(10) ** -45
_POINTS = tuple(Point(seed, positive=seed < 2) for seed in range(8))
# Floors and ceilings tell 2n/3 and its neighbours apart at whole numbers, and factorials and signs are about these.
_FOR_WHOLE_NUMBERS = re.compile(r"\\[lr](?:floor|ceil)|!|\\binom|\(-1\)\^|[nkm]\\pi|\\pi ?[nkm]")
_MAX_CORNERS = 6  # constants around which is looked
_FAR = 18  # the first of the points with numbers of hundreds and more
_WHOLE_POINTS = (
    *(Point(seed, whole=Whole.ALL) for seed in range(24)),
    *(Point(seed, whole=Whole.COUNTERS) for seed in range(3)),
)
# math-verify's grammar takes 0.6 s at 10 brackets in brackets, and minutes at 20.
_GRAMMAR_NESTING = 6
_BARE_LOG = re.compile(r"\\log(?![A-Za-z_])|(?<![A-Za-z\\])log(?![A-Za-z_])")
# Marks of program text and prose, on which the grammar can spend seconds before it gives up.
_NO_MATHEMATICS = re.compile(r"[\"':;@#?&~`]")
_RELATIONS = ("=", "\\ne", "<", ">", "\\le", "\\ge")

# It warns once that its own time-outs are off; the pool's are on.
logging.getLogger("math_verify").setLevel(logging.CRITICAL)


def judge(answer: str, gold: str) -> str:
    """Compare answer and gold with symbols.

    Returns:
        ``"equal"``, ``"different"``, ``"unparsable"`` (the answer is no mathematics) or ``"too_costly"``.
    """
    try:
        with mpmath.workdps(DIGITS):
            return str(
                compare(parse_answer(normal_form(gold)), parse_answer(normal_form(answer)), compare_symbolically)
            )
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
    if sides := split_rounded(gold, answer):
        return _compare_rounded(gold, sides)
    if _VECTORS.search(gold) or _VECTORS.search(answer):
        return Decision.DIFFERENT
    gold, answer = _same_logarithm(_prepared(gold), _prepared(answer))
    if gold == answer:
        return Decision.EQUAL
    ours, theirs = _relation(gold), _relation(answer)
    if ours[0] != theirs[0]:
        return Decision.DIFFERENT
    try:
        return _compare_numerically(ours, theirs)
    except UnreadableError:
        if _readable(ours[1]):
            _value(theirs[1], _WHOLE_POINTS[0])  # then it is the answer that is no expression
            return Decision.DIFFERENT
        return _compare_with_math_verify(gold, answer)


def _compare_rounded(gold: str, sides: list[str]) -> Decision:
    if len(sides) == 1:
        return compare_symbolically(gold, sides[0])
    value, _ = _value(_prepared(sides[0]), _POINTS[0])
    if mpmath.im(value) != 0 or not rounds_to(Fraction(mpmath.nstr(mpmath.re(value), DIGITS)), sides[1]):
        return Decision.DIFFERENT
    either = [compare_symbolically(gold, side) for side in (sides if "." in gold else sides[:1])]
    return Decision.EQUAL if Decision.EQUAL in either else Decision.DIFFERENT


def _prepared(text: str) -> str:
    """Without units, and with degrees inside an expression as radians."""
    text = split_unit(text)[0].removesuffix("\\%")
    if (number := read_number(text)) is not None:
        return f"({number})"
    # An angle of some degrees: `180^\circ-2\alpha`. In a function or beside pi the sign is a factor.
    factor = "\\frac{\\pi}{180}" if re.search(r"\\(?:sin|cos|tan|cot|sec|csc|pi)|sin|cos|tan", text) else ""
    return text.replace("\\text{degrees}", factor)


def _same_logarithm(gold: str, answer: str) -> tuple[str, str]:
    """A bare log has the base that the question uses: ten, where the other side says so or has no logarithm at all."""
    bare = [_BARE_LOG.search(text) for text in (gold, answer)]
    others = (gold, answer)[1 if bare[0] else 0]
    if bool(bare[0]) != bool(bare[1]) and ("\\lg" in others or "log_{10}" in others or not re.search("ln|log", others)):
        return _BARE_LOG.sub(r"\\lg ", gold), _BARE_LOG.sub(r"\\lg ", answer)
    return gold, answer


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


def _value(text: str, point: Point, functions: frozenset[str] = FUNCTION_LETTERS) -> tuple[mpc, bool]:
    """The value at a point, and whether it is one of several branches."""
    reader = Reader(text, point, functions)
    return reader.value(), reader.branched


def _close(a: mpc, b: mpc) -> bool:
    return abs(a - b) <= mpf(10) ** (-mpmath.mp.dps // 2) * max(abs(a), abs(b))


def _functions(text: str) -> frozenset[str]:
    """Letters that name functions: those that are never without a bracket."""
    plain = re.findall(r"(?<![\\A-Za-z])([A-Za-z])(?!'*\()", re.sub(r"\\[A-Za-z]+", "\\\\", text))
    return FUNCTION_LETTERS - (set(plain) - set("fgF"))


def _points(text: str) -> tuple[Point, ...]:
    """Where two sides are compared; around the constants too, where floors and absolute values have their corners."""
    whole = bool(_FOR_WHOLE_NUMBERS.search(text))
    points = _WHOLE_POINTS if whole else _POINTS
    if not whole and "|" not in text and "\\sqrt" not in text:
        return points
    constants = sorted({int(number) for number in re.findall(r"(?<![\d.])\d{2,6}(?![\d.])", text)})[:_MAX_CORNERS]
    corners = [c for n in constants for c in ((n - 1, n, n + 1, 2 * n) if whole else (2 * n, -2 * n))]
    return points + tuple(Point(_FAR, positive=whole or at > 0, whole=Whole.ALL, at=at) for at in corners)


def _compare_numerically(gold: tuple[str, str], answer: tuple[str, str]) -> Decision:
    relation, both = gold[0], gold[1] + " " + answer[1]
    functions = _functions(both)
    ratios: list[mpc] = []
    for point in _points(both):
        try:
            ours, branched = _value(gold[1], point, functions)
            theirs, also_branched = _value(answer[1], point, functions)
        except UnreadableError:
            continue
        except TooCostlyError:
            if point.seed < _FAR:
                raise
            continue  # the numbers that are far out are a second look
        if not point.positive and (branched or also_branched) and "|" not in both:
            continue  # of negative letters, roots and logarithms differ by branches that nobody means
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
    if not relation and _LARGE.search(both):
        with mpmath.workdps(_MANY_DIGITS if re.search(r"\d{3}", both) else _SOME_DIGITS):
            if not _close(*(_value(side[1], _WHOLE_POINTS[0], functions)[0] for side in (gold, answer))):
                return Decision.DIFFERENT
    # Both sides of an equation may be scaled by anything, those of an inequality by a positive factor only.
    scaled = ratios[0]
    if relation in ("<", "\\le") and not (abs(mpmath.im(scaled)) < _TOLERANCE and mpmath.re(scaled) > 0):
        return Decision.DIFFERENT
    return Decision.EQUAL


def _readable(text: str) -> bool:
    for point in (_POINTS[0], _WHOLE_POINTS[0], _WHOLE_POINTS[1]):
        try:
            _value(text, point)
        except UnreadableError:
            continue
        return True
    return False


def _compare_with_math_verify(gold: str, answer: str) -> Decision:
    if nesting(answer) > _GRAMMAR_NESTING:
        raise TooCostlyError("nesting")
    if not _balanced(answer) or _NO_MATHEMATICS.search(
        answer.replace("&", "") if "matrix" in gold + answer else answer
    ):
        raise UnreadableError(answer)
    ours, theirs = None if ":" in gold else _sympy(gold), _sympy(answer)
    if theirs is None:
        raise UnreadableError(answer)
    if ours is None:
        return Decision.DIFFERENT
    if isinstance(ours, sympy.MatrixBase) or isinstance(theirs, sympy.MatrixBase):
        same_shape = getattr(ours, "shape", ()) == getattr(theirs, "shape", ())
        equal = same_shape and all(_sympy_agree(a, b) for a, b in zip(ours, theirs, strict=True))
        return Decision.EQUAL if equal else Decision.DIFFERENT
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
    # It swallows the errors of its own parser; what came through from sympy would count as a crash, and is a text not read.
    except (ValueError, TypeError, AttributeError, NotImplementedError):
        return None
    if len(found) != 1:
        return None
    value = found[0].doit() if isinstance(found[0], sympy.MatrixExpr) else found[0]
    value = value.as_explicit() if isinstance(value, sympy.MatrixExpr) else value
    if not isinstance(value, sympy.Expr | sympy.MatrixBase) or value.has(sympy.nan, sympy.zoo, sympy.oo):
        return None
    return value


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
