"""What a benchmark's figure may be taken on: which part settings are chosen on, which is only reported, what was trained on.

Beside `evaluation/benchmarks.py`, which reads a benchmark's whole file; asked by `evaluation/plan.py`.
"""

import hashlib
import re
from collections.abc import Iterable
from typing import Literal

from lit_rlvr.experience import Problem

Split = Literal["development", "test"]

DEVELOPMENT_SHARE = 3
"""One question in three is for choosing settings: a greedy accuracy of 20% on a third of 562 problems has a standard error
of 3 points, enough to tell a good setting from a bad one, and the rest measures the chosen one within 2."""


def question_key(question: str) -> str:
    """Letters and digits alone: two files seldom agree on spaces, quotes and capitals."""
    return re.sub(r"\W|_", "", question).lower()


def take_split(problems: Iterable[Problem], split: Split) -> tuple[Problem, ...]:
    """A benchmark's development or test problems, each question once, in the order of the file.

    The side is decided by the question's text, so that a question which stands in two files, as many of MAWPS do, is on the
    same side in both: what settings were chosen on never comes back as a test problem.
    """
    first = {question_key(problem.question): problem for problem in reversed(tuple(problems))}
    return tuple(first[key] for key in reversed(first) if (_number(key) % DEVELOPMENT_SHARE == 0) == (split != "test"))


def leave_out(problems: Iterable[Problem], trained: Iterable[Problem]) -> tuple[Problem, ...]:
    """The problems whose question is not among those trained on."""
    known = {question_key(problem.question) for problem in trained}
    return tuple(problem for problem in problems if question_key(problem.question) not in known)


def _number(key: str) -> int:
    return int.from_bytes(hashlib.blake2b(key.encode(), digest_size=8).digest(), "little")
