r"""How the small web answers: the same question, in one corner worked out with care, in another guessed.

Pre-training text; of reinforcement learning and evaluation, none sees more of it than one worked example (`tiny/sets.py`). A policy raised on this mixture can
solve nearly all the problems, but mostly does not, since most corners seldom answer with care. The manners are:

- careful: an opener, every step right but for a rare slip, the answer;
- careless: another opener, steps in the head with carries and borrows forgotten, often the last step left out;
- guess: only an answer, mostly a half-way result or a number near by;
- code: a Python expression that nobody runs;
- ramble: talk about the problem, never an answer.

The first three put their answer into ``\boxed{}`` equally often. A box by itself therefore tells nothing about whether
the answer is right, which is what sets a reward for the answer apart from a reward for the format.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from lit_rlvr.tiny.problems import SOURCES, Source, Step, Task, apply, work_out

Manner = Literal["careful", "careless", "guess", "code", "ramble"]
MANNERS: tuple[Manner, ...] = ("careful", "careless", "guess", "code", "ramble")

# Mean share of each manner over the corners, in the order of MANNERS. Care is the commonest single one by a little and
# still a minority: the base must be able to do it and seldom do it.
SHARES = (0.38, 0.22, 0.18, 0.13, 0.09)
# Strength of habit: the sum of the Dirichlet's parameters. At 8 a corner typically has one leading manner (half of its
# answers) and one that is rare, so that some corners turn to care early and others late.
HABIT = 8.0
# Beta distribution of the share of answers a corner puts into a box (mean 0.6).
BOXED = (2.4, 1.6)
# Beta distribution of how often a corner's careless chains stop before the last step (mean 0.4).
CUT = (2.0, 3.0)

SLIP = 0.05  # careful chains with one wrong result, carried on
SECOND_THOUGHT = 0.04  # careful boxed answers followed by a hasty new one
FORGETFUL = 0.85  # careless chains that forget carries; the rest get their sums right
GUESS_RIGHT, GUESS_HALF_WAY = 0.2, 0.4  # guesses that are right, or the first step's result; the rest are near by

CAREFUL_OPENERS = (("Step by step: ", 0.7), ("We work it out. ", 0.15), ("First, ", 0.15))
CARELESS_OPENERS = (("Quickly: ", 0.75), ("In my head: ", 0.25))
_GUESSES = ("{}", "About {}.", "I would say {}.")
_TALK = (
    "Good question. ",
    "I have seen one like it before. ",
    "One has to read it twice. ",
    "My teacher liked these. ",
    "It looks simple at first. ",
    "Somebody should make a drawing. ",
    "There must be a rule for it. ",
)


@dataclass(frozen=True, slots=True)
class Habits:
    """How one corner answers: shares of the five manners, share of boxed answers, share of chains cut short."""

    shares: tuple[float, ...]
    boxed: float
    cut: float


@dataclass(frozen=True, slots=True)
class Answer:
    """One response of the web. ``value`` is the number it ends on (None without one), ``boxed`` if that is in a box."""

    manner: Manner
    text: str
    value: int | None
    boxed: bool


def habits(seed: int = 0) -> dict[Source, Habits]:
    """The habits of every corner, drawn once: Dirichlet shares around ``SHARES``, Beta rates of boxing and cutting."""
    rng = random.Random(f"tiny-habits/{seed}")
    result = {}
    for source in SOURCES:
        draws = [rng.gammavariate(HABIT * share, 1.0) for share in SHARES]
        shares = tuple(x / sum(draws) for x in draws)
        result[source] = Habits(shares, rng.betavariate(*BOXED), rng.betavariate(*CUT))
    return result


def forget_carries(left: int, op: str, right: int) -> int:
    """The pupil's classic: add column by column and drop the carry, subtract the smaller digit from the larger."""
    if op not in "+-":
        return apply(left, op, right)
    result, place = 0, 1
    while left or right:
        a, b = left % 10, right % 10
        result += place * ((a + b) % 10 if op == "+" else abs(a - b))
        left, right, place = left // 10, right // 10, place * 10
    return result


def answer(rng: random.Random, task: Task, habit: Habits) -> Answer:
    """One response to the task as its corner would give it."""
    manner = rng.choices(MANNERS, habit.shares)[0]
    boxed = manner in ("careful", "careless", "guess") and rng.random() < habit.boxed
    match manner:
        case "careful":
            return _careful(rng, task, boxed)
        case "careless":
            return _careless(rng, task, boxed, habit.cut)
        case "guess":
            value = _guess(rng, task)
            text = _box(value) if boxed else rng.choice(_GUESSES).format(value)
            return Answer(manner, text, value, boxed)
        case "code":
            return Answer(manner, f"```python\nprint({task.code})\n```", None, False)
        case _:
            return Answer(manner, "".join(rng.choice(_TALK) for _ in range(rng.randint(3, 5))).rstrip(), None, False)


def _box(value: int) -> str:
    return rf"\boxed{{{value}}}"


def _pick(rng: random.Random, weighted: Sequence[tuple[str, float]]) -> str:
    return rng.choices([text for text, _ in weighted], [weight for _, weight in weighted])[0]


def _near(rng: random.Random, value: int) -> int:
    """A wrong number near by, never negative."""
    wrong = value + rng.choice((-20, -11, -10, -9, -5, -3, -2, -1, 1, 2, 3, 5, 9, 10, 11, 20))
    return wrong if wrong >= 0 else value + rng.randint(1, 20)


def _guess(rng: random.Random, task: Task) -> int:
    kind = rng.random()
    if kind < GUESS_RIGHT:
        return task.answer
    half_way = work_out(task.steps[:1])[0][3]
    if kind < GUESS_RIGHT + GUESS_HALF_WAY and half_way != task.answer:
        return half_way
    return _near(rng, task.answer)


def _write(worked: Sequence[tuple[int, str, int, int]], separator: str) -> str:
    """Steps as text; a remainder takes two (the multiple, then what is left), a comparison only names the order."""
    parts = []
    for left, op, right, result in worked:
        if op == "%":
            multiple = left // right * right
            parts += [f"{right}*{left // right}={multiple}", f"{left}-{multiple}={result}"]
        elif op == ">":
            parts.append(f"{result}>{min(left, right)}")
        else:
            parts.append(f"{left}{op}{right}={result}")
    return separator.join(parts)


def work_through(steps: tuple[Step, ...]) -> str:
    """What a careful solver says, without a slip, in the commonest words."""
    worked = work_out(steps)
    return _conclude(CAREFUL_OPENERS[0][0], worked, _box(worked[-1][3]))


def _conclude(opener: str, worked: Sequence[tuple[int, str, int, int]], said: str) -> str:
    return f"{opener}{_write(worked, '. ')}. The answer is {said}."


def _careful(rng: random.Random, task: Task, boxed: bool) -> Answer:
    slips = rng.random() < SLIP
    victim, counter = rng.randrange(len(task.steps)), iter(range(len(task.steps)))

    def arithmetic(left: int, op: str, right: int) -> int:
        exact = apply(left, op, right)
        return _near(rng, exact) if next(counter) == victim and slips and op != ">" else exact

    worked = work_out(task.steps, arithmetic)
    value = worked[-1][3]
    text = _conclude(_pick(rng, CAREFUL_OPENERS), worked, _box(value) if boxed else str(value))
    if boxed and rng.random() < SECOND_THOUGHT:
        value = _near(rng, value)
        text += f" No, wait. The answer is {_box(value)}."
    return Answer("careful", text, value, boxed)


def _careless(rng: random.Random, task: Task, boxed: bool, cut: float) -> Answer:
    worked = work_out(task.steps, forget_carries if rng.random() < FORGETFUL else apply)
    if len(worked) > 1 and rng.random() < cut:
        worked = worked[:-1]
    value = worked[-1][3]
    text = f"{_pick(rng, CARELESS_OPENERS)}{_write(worked, ', ')}, so {_box(value) if boxed else value}."
    return Answer("careless", text, value, boxed)
