"""majority@k on hand-made verdicts."""

from fractions import Fraction

import pytest

from lit_rlvr.evaluation.voting import ballot, majority_credit
from lit_rlvr.rewards.verdict import Kind, Verdict


def verdicts(*answers: str | None, gold: str = "4") -> list[Verdict]:
    kinds = [Kind.NO_ANSWER if a is None else Kind.RIGHT if a == gold else Kind.WRONG for a in answers]
    return [Verdict(kind, answer) for kind, answer in zip(kinds, answers, strict=True)]


@pytest.mark.parametrize(
    ("answers", "credit"),
    [
        (["4"], 1),
        (["5"], 0),
        ([None], 0),
        ([], 0),
        (["4", "5", "4"], 1),
        (["5", "5", "4"], 0),
        (["4", None, None, None], 1),  # what did not answer does not vote
        (["4", " ", " "], 1),
        (["4", "5"], 1 / 2),
        (["4", "5", "6", None], 1 / 3),
        (["5", "6", "4", "4", "5"], 1 / 2),
        (["5", "5", "6", "6", "4"], 0),
        (["7/2", "3.5", r"\frac{7}{2}", "4", "4"], 0),  # three spellings of one number against two of another
        ([r"$x+1$", "x + 1", "4"], 0),
    ],
)
def test_credit(answers: list[str | None], credit: float) -> None:
    assert majority_credit(verdicts(*answers)) == pytest.approx(credit)


def test_ballots() -> None:
    assert ballot("12.80") == ballot(r"\frac{64}{5}") == Fraction(64, 5)
    assert ballot("1,450") == ballot("1450") == ballot(r"1450\text{ }")
    assert ballot(r"\dfrac{x}{2}") == ballot(r"\frac{x}{2}") != ballot("x/3")
    assert ballot(None) is ballot("") is ballot("  ") is None
    long = "9" * 10_000
    assert ballot(long) == long
