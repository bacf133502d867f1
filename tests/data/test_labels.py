"""Wrong labels: how many, which, and that they are wrong."""

import time

import pytest

from lit_rlvr.data.labels import corrupt_labels, replace_labels
from lit_rlvr.errors import UserError
from lit_rlvr.experience import Problem

PROBLEMS = tuple(Problem(str(i), f"Q{i}", str(i % 7)) for i in range(50))


def test_one_label_for_all() -> None:
    replaced = replace_labels(PROBLEMS[:3], " 12.7 ")
    assert [p.answer for p in replaced] == ["12.7"] * 3
    assert [(p.id, p.question) for p in replaced] == [(p.id, p.question) for p in PROBLEMS[:3]]
    with pytest.raises(UserError, match=r"data\.label is blank"):
        replace_labels(PROBLEMS, "  ")


@pytest.mark.parametrize(("share", "wrong"), [(0.0, 0), (0.6, 30), (0.9, 45), (1.0, 50)])
def test_the_share_is_exact_and_the_labels_are_borrowed(share: float, wrong: int) -> None:
    corrupted = corrupt_labels(PROBLEMS, share, seed=3)
    assert sum(a.answer != b.answer for a, b in zip(PROBLEMS, corrupted, strict=True)) == wrong
    assert {p.answer for p in corrupted} <= {p.answer for p in PROBLEMS}
    assert [p.question for p in corrupted] == [p.question for p in PROBLEMS]


def test_the_seed_decides() -> None:
    assert corrupt_labels(PROBLEMS, 0.5, seed=1) == corrupt_labels(PROBLEMS, 0.5, seed=1)
    assert corrupt_labels(PROBLEMS, 0.5, seed=1) != corrupt_labels(PROBLEMS, 0.5, seed=2)


def test_the_same_number_in_other_writing_is_not_wrong() -> None:
    problems = (Problem("a", "Q", "12"), Problem("b", "Q", "12.0"), Problem("c", "Q", "5"))
    for seed in range(20):
        assert [p.answer for p in corrupt_labels(problems, 1, seed)][:2] == ["5", "5"]


@pytest.mark.parametrize(
    ("own", "same"),
    [
        (r"\frac{1}{2}", ["0.5", r"\dfrac12", r"\frac{\sqrt{4}}{4}"]),
        ("x^2+2x", ["x(x+2)", "2x+x^2"]),  # not told from a number without symbols
        ("1,234", ["1234", "1234.0"]),
        (r"\text{(A)}", ["A", "(A)"]),
        (r"12\%", ["12", "12%"]),
    ],
)
def test_a_borrowed_label_is_never_right_by_the_verifier(own: str, same: list[str]) -> None:
    problems = tuple(Problem(answer, "Q", answer) for answer in [own, *same, "77", "5"])
    assert {corrupt_labels(problems, 1, seed)[0].answer for seed in range(6)} == {"77", "5"}


def test_most_of_a_large_set_at_once() -> None:
    """Seconds would be felt at every start of a run, on every rank."""
    problems = tuple(Problem(str(i), "Q", rf"\frac{{{i}}}{{7}}") for i in range(2000))
    start = time.process_time()
    corrupted = corrupt_labels(problems, 0.9, seed=0)
    assert time.process_time() - start < 5
    assert sum(a.answer != b.answer for a, b in zip(problems, corrupted, strict=True)) == 1800


def test_nothing_to_borrow() -> None:
    with pytest.raises(UserError, match=r"use data\.label"):
        corrupt_labels(PROBLEMS[:1], 1.0, seed=0)


@pytest.mark.parametrize("share", [-0.1, 1.1])
def test_no_share(share: float) -> None:
    with pytest.raises(UserError, match="from 0 to 1"):
        corrupt_labels(PROBLEMS, share, seed=0)
