"""The embedded problems: nine families of small sums in forty phrasings, generated, never stored.

Stands at the very start of the line: `tiny/sets.py` draws the test problems, the training pool and the single problems
from here, `tiny/pretrain.py` the pre-training text, each from its own split.

A problem is a calculation put into words. The calculation (``12*3-7``), not its wording, decides the split, by a hash
that is the same in every process: one calculation never occurs in two splits, in whatever family or phrasing.
"""

import hashlib
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

Split = Literal["test", "train", "pretrain"]
Source = tuple[str, int]
"""A family and the number of one of its phrasings: one corner of the small web the policy was raised on."""

# Of 16 buckets, 2 are test and 2 are for reinforcement learning: the smallest families (sequences, areas) then still
# have more test calculations than the 500 problems ask of them.
_BUCKETS, _TEST, _TRAIN = 16, (0, 1), (2, 3)


@dataclass(frozen=True, slots=True)
class Step:
    """``left op right``. An operand is a number, or ``"#i"`` for the result of step i."""

    left: int | str
    op: str
    right: int | str


@dataclass(frozen=True, slots=True)
class Task:
    """A calculation and its wording.

    Attributes:
        source: family and phrasing.
        calculation: canonical expression; equal calculations are equal strings in all families.
        text: the question.
        steps: how a careful solver gets there, in order; the last result is the answer.
        answer: the right answer, a non-negative integer.
        code: the same as a Python expression.
    """

    source: Source
    calculation: str
    text: str
    steps: tuple[Step, ...]
    answer: int
    code: str


_Draft = tuple[str, Mapping[str, object], tuple[Step, ...], str]
"""What a family draws: canonical calculation, words for the phrasing, steps, code."""

_PEOPLE = ("Ida", "Omar", "Lena", "Raj", "Nora", "Paul", "Yuki", "Finn")
_GOODS = ("shells", "nuts", "marbles", "tickets", "stickers", "buttons")


def apply(left: int, op: str, right: int) -> int:
    """One exact operation. ``>`` gives the larger of two numbers."""
    match op:
        case "+":
            return left + right
        case "-":
            return left - right
        case "*":
            return left * right
        case "/":
            return left // right
        case "%":
            return left % right
        case ">":
            return max(left, right)
    raise ValueError(f"unknown operation {op!r}")


def work_out(
    steps: tuple[Step, ...], arithmetic: Callable[[int, str, int], int] = apply
) -> list[tuple[int, str, int, int]]:
    """Each step with its numbers filled in: (left, op, right, result). ``arithmetic`` does the single operations."""
    done: list[tuple[int, str, int, int]] = []
    for step in steps:
        left, right = (done[int(x[1:])][3] if isinstance(x, str) else x for x in (step.left, step.right))
        done.append((left, step.op, right, arithmetic(left, step.op, right)))
    return done


def _signed(rng: random.Random, value: int) -> tuple[str, int, int]:
    """A sign, a number and the new value, which stays within 1..99."""
    while True:
        op, number = rng.choice("+-"), rng.randint(2, 25)
        result = apply(value, op, number)
        if 0 < result < 100:
            return op, number, result


def _times(a: int, b: int) -> tuple[Step, ...]:
    """a*b for a one-digit b: small tables at once, otherwise by tens and units."""
    if a <= 12 or a % 10 == 0:
        return (Step(a, "*", b),)
    return (Step(a // 10 * 10, "*", b), Step(a % 10, "*", b), Step("#0", "+", "#1"))


def _arith(rng: random.Random) -> _Draft:
    start = rng.randint(10, 75)
    first, a, value = _signed(rng, start)
    expression = f"{start}{first}{a}"
    steps: tuple[Step, ...] = (Step(start, first, a),)
    if rng.random() < 2 / 3:
        second, b, _ = _signed(rng, value)
        expression, steps = f"{expression}{second}{b}", (*steps, Step("#0", second, b))
    return expression, {"e": expression}, steps, expression


def _algebra(rng: random.Random) -> _Draft:
    a, x, op = rng.randint(2, 9), rng.randint(2, 10), rng.choice("+-")
    b = rng.randint(1, 25) if op == "+" else rng.randint(1, min(25, a * x - 1))
    c, inverse = apply(a * x, op, b), "-" if op == "+" else "+"
    equation = f"{a}x{op}{b}={c}"
    return equation, {"e": equation}, (Step(c, inverse, b), Step("#0", "/", a)), f"({c}{inverse}{b})//{a}"


def _product(rng: random.Random) -> _Draft:
    a, b, c = rng.randint(11, 19), rng.randint(2, 5), rng.randint(1, 25)
    op = rng.choice("+-") if c < a * b else "+"
    steps, expression = _times(a, b), f"{a}*{b}{op}{c}"
    return expression, {"e": expression}, (*steps, Step(f"#{len(steps) - 1}", op, c)), expression


def _compare(rng: random.Random) -> _Draft:
    while True:
        a, b = rng.randint(10, 75), rng.randint(10, 75)
        (f, m, v), (g, n, w) = _signed(rng, a), _signed(rng, b)
        if v != w:
            break
    one, two = f"{a}{f}{m}", f"{b}{g}{n}"
    steps = (Step(a, f, m), Step(b, g, n), Step("#0", ">", "#1"))
    return "|".join(sorted((one, two))), {"e": one, "f": two}, steps, f"max({one},{two})"


def _word(rng: random.Random) -> _Draft:
    while True:
        a, b, c = rng.randint(10, 75), rng.randint(2, 25), rng.randint(2, 25)
        if a + b < 100 and a + b > c:
            break
    words = {"a": a, "b": b, "c": c, "N": rng.choice(_PEOPLE), "T": rng.choice(_GOODS)}
    return f"{a}+{b}-{c}", words, (Step(a, "+", b), Step("#0", "-", c)), f"{a}+{b}-{c}"


def _rate(rng: random.Random) -> _Draft:
    while True:
        a, b, c = rng.randint(3, 12), rng.randint(2, 9), rng.randint(1, 25)
        if a * b > c:
            break
    words = {"a": a, "b": b, "c": c, "N": rng.choice(_PEOPLE), "T": rng.choice(_GOODS)}
    return f"{a}*{b}-{c}", words, (Step(a, "*", b), Step("#0", "-", c)), f"{a}*{b}-{c}"


def _sequence(rng: random.Random) -> _Draft:
    gap, op = rng.randint(2, 12), rng.choice("++-")
    start = rng.randint(1, 48) + (4 * gap if op == "-" else 0)
    terms = [start + i * gap * (1 if op == "+" else -1) for i in range(4)]
    shown, high, low = ", ".join(map(str, terms)), max(terms[:2]), min(terms[:2])
    return f"{shown},?", {"e": shown}, (Step(high, "-", low), Step(terms[3], op, "#0")), f"{terms[3]}{op}{gap}"


def _geometry(rng: random.Random) -> _Draft:
    if rng.random() < 0.3:
        a, b = rng.randint(11, 29), rng.randint(2, 5)
        return f"{a}*{b}", {"a": a, "b": b, "q": "area"}, _times(a, b), f"{a}*{b}"
    a, b = rng.randint(8, 35), rng.randint(2, 14)
    return f"2*({a}+{b})", {"a": a, "b": b, "q": "perimeter"}, (Step(a, "+", b), Step(2, "*", "#0")), f"2*({a}+{b})"


def _number(rng: random.Random) -> _Draft:
    d = rng.randint(3, 9)
    n, k = rng.randint(d, 6 * d), rng.randint(1, 20)
    words = {"n": n, "k": k, "d": d}
    return f"({n}+{k})%{d}", words, (Step(n, "+", k), Step("#0", "%", d)), f"({n}+{k})%{d}"


_FAMILIES: dict[str, tuple[Callable[[random.Random], _Draft], tuple[str, ...]]] = {
    "arith": (
        _arith,
        (
            "Add up: {e}",
            "How much is {e}?",
            "What does {e} come to?",
            "Please calculate {e}.",
            "{e} equals what?",
            "Value of {e}?",
        ),
    ),
    "algebra": (
        _algebra,
        (
            "Solve for x: {e}",
            "For which x does {e} hold?",
            "We know that {e}. What is x?",
            "Determine x from {e}.",
            "Let {e}. Then x = ?",
        ),
    ),
    "product": (
        _product,
        (
            "Find {e}.",
            "Multiply first: {e}",
            "What number is {e}?",
            "Evaluate the expression {e}.",
            "Tell me the result of {e}.",
        ),
    ),
    "compare": (
        _compare,
        (
            "Which one is bigger: {e} or {f}?",
            "Give the greater of {e} and {f}.",
            "Take {e} and {f}. How much is the larger one?",
            "Maximum of {e}, {f}?",
        ),
    ),
    "word": (
        _word,
        (
            "{N} owns {a} {T}, gets {b} more and sells {c}. How many {T} are there in the end?",
            "A drawer holds {a} {T}. {N} adds {b} and removes {c}. How many are in it now?",
            "At first {a} {T}, then {b} more, then {c} fewer. How many {T}?",
            "{N} won {b} {T} and lost {c}, starting from {a}. Count them.",
        ),
    ),
    "rate": (
        _rate,
        (
            "{N} fills {a} jars with {b} {T} each and gives {c} away. How many {T} remain?",
            "There are {a} bags of {b} {T}. {c} {T} go missing. How many are left?",
            "{N} orders {a} sets of {b} {T} but {c} are broken. How many are good?",
            "{a} trays, {b} {T} on each, {c} eaten by mice. What is left?",
        ),
    ),
    "sequence": (
        _sequence,
        (
            "What follows {e}?",
            "Next number: {e}, ...",
            "A list goes {e}. Which number comes after that?",
            "Extend the pattern {e} by one term.",
        ),
    ),
    "geometry": (
        _geometry,
        (
            "The sides of a rectangle are {a} and {b}. What is its {q}?",
            "Find the {q} of a {a} by {b} rectangle.",
            "A yard is {a} m long and {b} m wide. How big is the {q}?",
            "{q} of a rectangle, {a} x {b}",
        ),
    ),
    "number": (
        _number,
        (
            "What remainder does {n}+{k} leave when divided by {d}?",
            "({n}+{k}) mod {d} = ?",
            "Share {n}+{k} among {d}. How many are left over?",
            "Remainder of ({n}+{k}) / {d}?",
        ),
    ),
}

SOURCES: tuple[Source, ...] = tuple(
    (name, i) for name, (_, wordings) in _FAMILIES.items() for i in range(len(wordings))
)


def split_of(calculation: str) -> Split:
    """The one split in which a calculation may appear."""
    bucket = int.from_bytes(hashlib.md5(calculation.encode(), usedforsecurity=False).digest()[:8], "big") % _BUCKETS
    return "test" if bucket in _TEST else "train" if bucket in _TRAIN else "pretrain"


def draw(rng: random.Random, split: Split, source: Source) -> Task:
    """One task of a split in the given family and phrasing, by rejection."""
    drawer, wordings = _FAMILIES[source[0]]
    while True:
        calculation, words, steps, code = drawer(rng)
        if split_of(calculation) == split:
            text = wordings[source[1]].format(**words)
            return Task(source, calculation, text, steps, work_out(steps)[-1][3], code)
