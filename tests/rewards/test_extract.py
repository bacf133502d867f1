"""Extraction of the last box."""

import time

import pytest

from lit_rlvr.rewards.extract import extract_boxed


@pytest.mark.parametrize(
    ("response", "answer"),
    [
        (r"so \boxed{12}.", "12"),
        (r"\boxed{1} then \boxed{2}", "2"),
        (r"\fbox{3}", "3"),
        (r"\boxed {4}", "4"),
        (r"\boxed{\frac{1}{2}}", r"\frac{1}{2}"),
        (r"\boxed{\{1,2\}}", r"\{1,2\}"),
        (r"\boxed{\left\{x\right.}", r"\left\{x\right."),
        (r"\boxed{a, \fbox{b}, c}", r"a, \fbox{b}, c"),
        (r"\boxed{\boxed{5}}", r"\boxed{5}"),
        (r"\boxed{oops \boxed{6}", "6"),
        (r"} } \boxed{7} }", "7"),
        (r"{ \boxed{8}", "8"),
        (r"line \\\boxed{9}", "9"),
        (r"slip \\boxed{10}", "10"),
        ("\\boxed{\n 11 \n}", "11"),
        (r"<think>\boxed{1}</think> \boxed{2}", "2"),
        (r"<think>a</think>\boxed{1}<think>\boxed{2}</think>\boxed{3}", "3"),
        (r"\boxed{}", ""),
        (r"\boxed{1} and \boxed{}", ""),
        (r"\boxed{1</think> \boxed{2}", "2"),
        (r"<think>\boxed{1}</think> no box", None),
        ("12", None),
        ("", None),
        (r"\boxed", None),
        (r"\boxed 5", None),
        (r"\boxed{1} \boxed{2", None),
        (r"\boxed{\boxed{1} \boxed{2", None),
        (r"\boxed{1\}", None),
        (r"\unboxed{1}", None),
    ],
)
def test_the_inside_of_the_last_box(response: str, answer: str | None) -> None:
    assert extract_boxed(response) == answer


@pytest.mark.parametrize(
    "unit",
    [r"\boxed{", r"\boxed", "{", "}", r"\boxed{}", r"\boxed   ", "\\", "</think>", r"\boxed{\{", "a{b}", r"\fbox{x}"],
)
def test_a_megabyte_of_anything_takes_linear_time(unit: str) -> None:
    begin = time.process_time()
    extract_boxed(unit * (1_000_000 // len(unit)))
    assert time.process_time() - begin < 2
