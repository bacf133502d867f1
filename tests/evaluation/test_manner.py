"""What a text shows, on texts written for it."""

import random
import time

import pytest

from lit_rlvr.evaluation.manner import MANNERS, is_code, reflects, reflects_more, repeats
from lit_rlvr.tiny.manners import answer, habits
from lit_rlvr.tiny.problems import SOURCES, draw

WORDS = [
    "we",
    "find",
    "that",
    "the",
    "sum",
    "of",
    "all",
    "x",
    "and",
    "y",
    "is",
    "equal",
    "to",
    "12",
    r"\frac{1}{2}",
    "so",
]


@pytest.mark.parametrize(
    "text",
    [
        "Let me rethink this.",
        "We RECHECK the sum.",
        "Rechecking gives 4.",
        "I rethought it",
        "it was recalculated, twice",
        "so recalculating:",
        "(recheck)",
        "he rechecks it",
        "now recalculate",
    ],
)
def test_the_papers_three_words_in_all_their_forms(text: str) -> None:
    assert reflects(text)
    assert reflects_more(text)


@pytest.mark.parametrize(
    "text", ["", "We think, check and calculate.", "prerethinking", "the rechecker", "forethought"]
)
def test_no_reflection(text: str) -> None:
    assert not reflects(text)
    assert not reflects_more(text)


@pytest.mark.parametrize(
    "text",
    [
        "The answer is 4. Wait, that is odd.",
        "No, wait. The answer is 3.",
        "wait - 7 is prime",
        "Hmm, so x = 2",
        "let us double-check",
        "On second thought, 5",
        "I made a mistake in line 2",
        "Let's check again.",
        "we try it once more",
        "re-check",
        "a recalculation",
        "Reconsidering the case",
        "so we start over",
        "re-evaluate f(2)",
    ],
)
def test_only_the_longer_list(text: str) -> None:
    assert reflects_more(text)
    assert not reflects(text)


@pytest.mark.parametrize(
    "text",
    [
        "They wait, and then leave.",
        "Wait for the bus: 5 min",
        "How long did the bus wait?",
        "a mistake of 3 cm",
        "check: 4 = 4",
    ],
)
def test_words_of_problems_are_no_reflection(text: str) -> None:
    assert not reflects_more(text)


@pytest.mark.parametrize(
    "text",
    [
        "```python\nx = 1\n```",
        "So:\n  def f(x):\n    return x",
        "import math",
        "from sympy import symbols",
        "We use sympy here.",
        "a\n>>> print(3)",
    ],
)
def test_code(text: str) -> None:
    assert is_code(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "We import 3 apples from Spain.",
        "Define f(x)=x.",
        r"\text{print}(3)",
        "the blueprint (1)",
        "`x`",
        "import three;\ndraw(A);",
    ],
)
def test_no_code(text: str) -> None:
    assert not is_code(text)


def test_the_tiny_policys_code_is_recognised_and_its_other_manners_are_not() -> None:
    rng, found = random.Random(0), set()
    for source in SOURCES:
        for _ in range(20):
            said = answer(rng, draw(rng, "train", source), habits()[source])
            assert is_code(said.text) == (said.manner == "code"), said.text
            assert not repeats(said.text), said.text
            found.add(said.manner)
    assert len(found) == 5


@pytest.mark.parametrize("period", [1, 20, 100, 300])
def test_loops(period: int) -> None:
    rng = random.Random(0)
    loop = " ".join(rng.choice(WORDS) for _ in range(period))[:period]
    assert repeats(("A good beginning. " + loop * 2000)[:5000])
    assert repeats("é" * 300 + loop * (1200 // period + 1))


def test_no_loops() -> None:
    rng = random.Random(0)
    assert not repeats(" ".join(rng.choice(WORDS) for _ in range(1000)))
    assert not repeats("")
    assert not repeats("so so so so")
    assert not repeats("".join(f"f({i}) = {i * i}, " for i in range(200)))
    assert not repeats("0" * 2000 + " ".join(rng.choice(WORDS) for _ in range(400)))  # a loop that was left


def test_hostile_texts_take_no_time() -> None:
    for text in (
        "wait " * 60_000,
        "re-" * 100_000,
        "print" * 60_000,
        "\n" * 300_000,
        "check it " * 30_000,
        "\ud800" * 9,
    ):
        clock = time.process_time()
        for shows in MANNERS.values():
            shows(text)
        assert time.process_time() - clock < 0.5
