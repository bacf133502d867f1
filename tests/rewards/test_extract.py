"""Extraction of the last box."""

import time

import pytest

from lit_rlvr.rewards.extract import extract_boxed, extract_flexible


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


@pytest.mark.parametrize(
    ("response", "answer"),
    [
        (r"\boxed{3}, so the answer is 4", "3"),
        (r"\boxed{} The answer is 4.", "4"),
        ("The answer is 12.", "12"),
        ("The answer is 12.5. Done.", "12.5"),
        (r"the final answer is: $\frac{1}{2}$. I hope it is correct.", r"\frac{1}{2}"),
        ("The answer is\n\n\\[ 2\\sqrt{3} \\]", r"2\sqrt{3}"),
        (r"**Final Answer:** \( x=5 \)", "x=5"),
        ("Answer: **(B)**", "(B)"),
        ("The answer is 1. No: the answer is 2.", "2"),
        ("The answer is 12 because of symmetry.", "12"),
        ("The answer is not clear. We get 7 or 8", "not clear"),
        ("She has 3 + 4 = 7 left\n#### 1,234", "1,234"),
        ("so we get x = 5 and 7 apples.", "7"),
        ("x = -3", "-3"),
        ("it lies in 2-3", "3"),
        (r"hence \frac{3}{4}", r"\frac{3}{4}"),
        ("12.5% of it", "12.5%"),
        ("<think>the answer is 3</think> It is 4.", "4"),
        ("no idea", None),
        ("", None),
    ],
)
def test_the_flexible_reading(response: str, answer: str | None) -> None:
    assert extract_flexible(response) == answer


@pytest.mark.parametrize(
    "unit", ["answer is ", "$", r"\(", "#### ", "1,", "1", "answer: $", " as", "- ", r"\frac{1}{", "*"]
)
def test_the_flexible_reading_of_a_megabyte_takes_linear_time(unit: str) -> None:
    begin = time.process_time()
    extract_flexible(unit * (1_000_000 // len(unit)))
    assert time.process_time() - begin < 2
