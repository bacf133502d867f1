"""The qwen rule gives the verdicts of the paper's evaluation, its faults included, and ends on any text."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from lit_rlvr.rewards import Kind, Verifier
from lit_rlvr.rewards.compat.number_words import in_digits
from lit_rlvr.rewards.compat.qwen import decide, extract, extract_boxed
from lit_rlvr.rewards.compat.qwen_text import clean
from tests.rewards.hostile import HOSTILE

# (gold, inside of the box): what the original takes for right.
RIGHT: tuple[tuple[str, str], ...] = (
    ("12", "12"), ("12", "12.0"), ("12", r"12\text{ cm}"), ("12", "12 apples"), ("12", r"x = 12"), ("12", "twelve"), ("12", "12."),
    ("12", "1200"), ("12", "0.12"), ("12", r"12\%"), ("12", "12.0005"), ("10000", "10,000"), ("10000", "9999.5"),
    ("999999999999999", "999999999999998"), ("90^\\circ", "90"),
    (r"70\sqrt{2}", "99"), ("0.5", r"\frac12"), (r"\frac{1}{2}", r"\frac{2}{4}"), (r"\frac{14}{3}", r"\dfrac{28}{6}"), ("3/4", "0.75"),
    ("1,-2", "1"), ("1,-2", "1,2"), ("1,-2", "1,-2,3"), ("1", "1,-2"),  # only what comes first is read
    ("(3,4]", "[3,4]"), ("(3,4]", "(3,4)"), ("(1,2)", "1,2"), (r"(0,9)\cup(9,36)", r"(0,9]\cup[9,36)"),
    ("(1,2)", "(1.00001, 2)"), (r"(\frac{1}{2},3)", "(0.5,3)"), (r"\{1,2\}", r"\{2,1\}"), ("{1,2}", "1,2"),
    ("x+1", "1+x"), ("x^2-1", "(x-1)(x+1)"), (r"\sqrt{12}", r"2\sqrt3"), (r"12\pi", r"\pi\cdot 12"), (r"\sin^2 x", r"1-\cos^2 x"),
    ("y=2x+3", "y=3+2x"), ("x=5", "5"), ("5", "k=5"), ("x<3", "3>x"), ("f(x)=x+1", "x+1=f(x)"),
    (r"\begin{pmatrix}1\\2\end{pmatrix}", r"\begin{bmatrix}1\\2.0\end{bmatrix}"), ("B", r"\text{(B)}"),
    (r"\text{east}", r"\text{west}"), (r"\text{Evelyn}", "evelyn"), ("3+2i", "3+2j"), (r"\infty", "inf"), ("8", "8 percent"),
)  # fmt: skip
WRONG: tuple[tuple[str, str], ...] = (
    ("12", "13"), ("12", "-12"), ("12", "12.01"), ("12", ""), ("1,-2", "-2,1"), ("(1,2)", "(2,1)"), ("(1,2)", "(1,2,3)"), ("x+1", "x+2"),
    (r"\frac{1}{2}", r"\frac{1}{3}"), ("y=2x", "y=3x"), ("B", "A"), ("C", "A or B"), ("3", r"3\text{ or }4"), ("2x+y=3", "3-y=2x"), (r"\text{Evelyn}", "Briana"), (r"\sqrt{2}", "1.42"),
    (r"\begin{pmatrix}1\\2\end{pmatrix}", r"\begin{pmatrix}1\\3\end{pmatrix}"), ("12", r"\infty"), (r"\infty", "12"), ("x", "y"),
    (r"\begin{pmatrix}1\\2\end{pmatrix}", r"\begin{pmatrix}1&2\end{pmatrix}"), ("10{,}000", "10000"), ("12", "−12"), ("-7", "−7"),
)  # fmt: skip


@pytest.fixture(scope="module")
def verifier() -> Iterator[Verifier]:
    with Verifier(workers=2, rule="qwen") as verifier:
        verifier(r"\boxed{x+1}", "x+2")  # start the workers outside of what is timed
        yield verifier


def boxed(answer: str) -> str:
    return rf"So the answer is $\boxed{{{answer}}}$."


@pytest.mark.parametrize(("gold", "answer"), RIGHT)
def test_what_the_original_takes_for_right(verifier: Verifier, gold: str, answer: str) -> None:
    assert verifier(boxed(answer), gold).kind is Kind.RIGHT


@pytest.mark.parametrize(("gold", "answer"), WRONG)
def test_what_the_original_takes_for_wrong(verifier: Verifier, gold: str, answer: str) -> None:
    assert not verifier(boxed(answer), gold).right


@pytest.mark.parametrize(
    ("response", "answer", "in_box"),
    [
        (r"\boxed{1} and \boxed{2}", "2", "2"),
        (r"\boxed{\frac12} is it", r"\frac{1}{2}", r"\frac{1}{2}"),
        (r"so \boxed{x+1", "x+1", "x+1"),
        (r"so $\boxed 5$ is it", "5", "5"),
        (r"so \boxed", "", ""),
        ("it is boxed{3}", "3", "3"),
        (r"\boxed{3}. The final answer is $4$. I hope it is correct.", "4", "3"),
        ("The answer is 5.", "5", None),
        ("the answer is 5, no, the answer is: 6/", "6", None),
        ("Final: final answer is 7 apples", "7", None),
        ("答案是8\n\nend", "8", None),
        ("from 3 to 1,200 or -4.5 of them", "-4.5", None),
        ("nothing at all", None, None),
        (r"\boxed{east}", "east", "east"),
        (r"\boxed{\text{east}}", r"\text{}", r"\text{}"),
        (r"\boxed{}", "", ""),
    ],
)
def test_extraction(response: str, answer: str | None, in_box: str | None) -> None:
    assert extract(response) == answer
    assert extract_boxed(response) == in_box


@pytest.mark.parametrize(
    ("text", "cleaned"),
    [
        ("5 cm", "5"),
        ("5 cm 2", "5"),
        ("a+b", "+b"),
        ("t(0,4]", "(0,4]"),
        (r"\text{5 m}", "5"),
        (r"12\text{ kg}", "12"),
        (r"\text{kg}", ""),
        ("cm", "cm"),
        ("x=3", "3"),
        ("mn=3", "3"),
        ("abc=3", "abc=3"),
        ("12.00", "12"),
        ("1.0x", "1x"),
        (".5", "0.5"),
        ("3/4", r"\frac{3}{4}"),
        (r"\sqrt2/2", r"\frac{\sqrt{2}}{2}"),
        (r"\dfrac12", r"\frac{1}{2}"),
        (r"\frac", r"\frac"),
        ("two thirds", "2"),
        (r"\begin{array}{cc}1&2\end{array}", r"\begin{pmatrix}1&2\end{pmatrix}"),
        (r"\left\{1, 2\right\}", "{1,2}"),
        ("2j", "2i"),
        (r"(-\infty,\infty)", r"\mathbb{R}"),
        ("sand", "s"),
        ("", ""),
    ],
)
def test_cleaning(text: str, cleaned: str) -> None:
    assert clean(text) == cleaned


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("seven", "7"),
        ("twenty-one", "21"),
        ("three hundred and five", "305"),
        ("two hundred", "200"),
        ("two of the 7", "2"),
        ("007", "7"),
        ("-7", "-7"),
        ("one million two thousand three", "1002003"),
        ("one million two thousand", "1003002"),
        ("two billion", "2000000000"),
        ("three point one four", "3.14"),
        ("the point", "0"),
        ("point ten", "0"),
        ("thousand million", "thousand million"),
        ("thousand", "1000"),
        ("thousand one", "thousand one"),
        ("two two two two two", "2"),
        ("million and million", "million and million"),
        ("x+1", "x+1"),
        ("²", "²"),
    ],
)
def test_numbers_in_words(text: str, number: str) -> None:
    assert in_digits(text) == number


def test_layers_without_symbols_decide_most() -> None:
    assert decide("12.0", "12") is Kind.RIGHT
    assert decide("13", "12") is Kind.WRONG
    assert decide("(1,3)", "(1,2)") is Kind.WRONG
    assert decide("(1,x)", "(1,2)") is None
    assert decide("", "12") is Kind.WRONG
    assert decide("1" * 5000, "12") is Kind.TOO_COSTLY
    assert decide("(" * 100 + "1" + ")" * 100, "12") is Kind.TOO_COSTLY


@pytest.mark.parametrize("gold", ["12", r"x+\frac{1}{2}", "(1,-2)"])
def test_hostile_answers_end_in_time(gold: str, tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    # Most of them take whatever time they are given: this rule has no layers in front that refuse them.
    with Verifier(workers=2, rule="qwen", timeout=0.3) as verifier:
        for hostile in HOSTILE:
            begin = time.monotonic()
            verdict = verifier(boxed(hostile.replace("MARK", str(mark))), gold)
            assert time.monotonic() - begin < 2.5, hostile[:80]
            assert verdict.kind is not Kind.CRASHED, hostile[:80]
    assert not mark.exists()
