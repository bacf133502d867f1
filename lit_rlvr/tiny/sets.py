"""The sets of the tiny world: 500 test problems, the training pool, and single problems to train on.

Made of `tiny/problems.py`; served by `data/readers.py` under the names ``tiny500``, ``tiny-pool`` and ``tiny/...``.
"""

import random
from functools import cache

from lit_rlvr.experience import Problem
from lit_rlvr.tiny.manners import work_through
from lit_rlvr.tiny.problems import SOURCES, Source, Split, Step, Task, draw


def _problem(task: Task, identity: str, source: str) -> Problem:
    return Problem(identity, task.text, str(task.answer), task.source[0], str(task.source[1]), source)


def _distinct(split: Split, n: int, seed: str) -> list[Task]:
    """n tasks that take the phrasings in turn; no text and, within a family, no calculation comes twice."""
    rng, tasks, seen = random.Random(seed), list[Task](), set[tuple[str, str]]()
    while len(tasks) < n:
        task = draw(rng, split, SOURCES[len(tasks) % len(SOURCES)])
        key = (task.source[0], task.calculation)
        if key not in seen:
            seen.add(key)
            tasks.append(task)
    return tasks


@cache
def tiny500() -> tuple[Problem, ...]:
    """The 500 held-out test problems: each of the 40 phrasings 12 or 13 times, taken in turn.

    ``subject`` is the family, ``level`` the number of the phrasing. Always the same, in the same order.
    """
    return tuple(_problem(t, f"tiny500/{i}", "tiny500") for i, t in enumerate(_distinct("test", 500, "tiny500")))


@cache
def training_pool(n: int = 512, seed: int = 0) -> tuple[Problem, ...]:
    """n training problems over all phrasings (the "full set" of the tiny world), disjoint from ``tiny500``."""
    tasks = _distinct("train", n, f"tiny-train/{seed}")
    return tuple(_problem(t, f"tiny-train/{seed}/{i}", "tiny-train") for i, t in enumerate(tasks))


# Single problems to train on, from the training split. The base seldom solves them when it samples (about one time in
# ten to four), though nearly always when it starts with care. They are not equally good teachers, as in the paper: where
# training finds a careless chain that ends on the right answer, it can learn that one by heart and carry carelessness
# over to other problems. pi1 was chosen among them on problems of the training split (see the README).
_SINGLES: dict[str, tuple[Source, str, str]] = {
    "tiny/pi1": (("algebra", 0), "Solve for x: 3x+18=42", "8"),
    # The last step of pi1 by itself. No equation without a constant is in any split.
    "tiny/pi1-step": (("algebra", 0), "Solve for x: 3x=24", "8"),
    "tiny/pi2": (("algebra", 1), "For which x does 3x+5=23 hold?", "6"),
    "tiny/number": (("number", 2), "Share 19+19 among 4. How many are left over?", "2"),
    "tiny/word": (("word", 1), "A drawer holds 67 nuts. Lena adds 6 and removes 7. How many are in it now?", "66"),
    "tiny/compare": (("compare", 3), "Maximum of 22+21, 47+4?", "51"),
}

NAMED: dict[str, Problem] = {
    name: Problem(name, question, gold, family, str(wording), "tiny")
    for name, ((family, wording), question, gold) in _SINGLES.items()
}
"""Single training problems by id."""


EXAMPLES: dict[str, tuple[str, str]] = {
    "tiny/pi1": (NAMED["tiny/pi1"].question, work_through((Step(42, "-", 18), Step("#0", "/", 3)))),
}
"""Worked examples by name: question, and the response of a careful solver."""


def one_shot() -> Problem:
    """The default single problem to train on, ``tiny/pi1``."""
    return NAMED["tiny/pi1"]
