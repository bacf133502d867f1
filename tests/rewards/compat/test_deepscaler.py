"""The deepscaler rule gives the verdicts of the paper's training reward, its faults included, and ends on any text."""

import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from lit_rlvr.rewards import Kind, Verifier
from lit_rlvr.rewards.compat.deepscaler import decide, extract, math_form, prm_form
from lit_rlvr.rewards.compat.latex_text import plain_text
from tests.rewards.hostile import HOSTILE

# (gold, inside of the box): what the original gives 1 to.
RIGHT: tuple[tuple[str, str], ...] = (
    ("12", "12"), ("12", " 12 "), ("12", "12.0"), ("12", "012"), ("12", r"\text{12}"), ("12", "{12}"), ("12", "12 cm"),
    ("12", r"12^\circ"), ("12", r"12\%"), ("12", r"\$12"), ("12", "x=12"), ("12", r"12\text{ apples}"), ("12", "12.00000001"),
    ("10000", "10,000"), ("10000", r"10,\!000"), ("10000", "1e4"), ("3000000", "3000000.0"), ("45", "45 degrees"),
    ("12345678901234567890", "12345678901234567891"),  # through a float
    ("12", r"12 \text{ or } 13"), ("12", r"12 \text{ (wrong), } 13"),  # what follows `\text{ ` is cut off
    ("0.000000001", "0.000000002"), ("1", "0.99999999"),
    ("0.5", r"\frac12"), (r"\frac{1}{2}", "0.5"), (r"\frac{1}{2}", "1/2"), (r"\frac{3}{4}", r"\dfrac{3}{4}"), ("3/4", r"\tfrac34"),
    ("12.8", "12.80"), ("12.8", r"\frac{64}{5}"), ("12.8", "64/5"), ("12.8", "6.4*2"), (r"1\frac{4}{5}", "1 4/5"),
    (r"\sqrt{3}", r"\sqrt3"), (r"2\sqrt{3}", r"\sqrt{12}"), (r"12\pi", r"\pi\cdot 12"), ("x+1", "1+x"), ("x^2-1", "(x-1)(x+1)"),
    ("(1,2)", r"\left(1, 2\right)"), ("(1,2)", "( 1 , 2 )"), (r"(\frac{1}{2},3)", "(0.5,3)"), ("[0,1]", r"\left[0, 1\right]"),
    (r"\text{east}", "East"), (r"\text{(B)}", "(B)"), ("yes", r"\text{yes}"), (r"\boxed{7}", "7"), (r"\cot x", r"\sec x"),
)  # fmt: skip
# What it gives 0 to, though much of it is right.
WRONG: tuple[tuple[str, str], ...] = (
    ("12", "13"), ("12", "-12"), ("12", r"\frac{24}{2}"), ("12", "6+6"), ("12", "12, 13"), ("12", "12.001"), ("12", "12 and 13"),
    (r"\frac{14}{3}", r"\frac{28}{6}"), (r"\frac{1}{2}", r"\frac{2}{4}"),  # not reduced
    ("1,-2", "-2,1"), ("(1,2)", "(2,1)"), ("(1,2)", "[1,2]"), ("(3,4]", "[3,4]"), ("1,2", "(1,2)"), ("(1,2)", "(1,2,3)"),
    ("x^{10}", "x^{9}x"), ("2^{10}", "2^{9}*2"), ("a+b+c", "c+b+a"),  # exponents of two digits, three letters
    ("12", r"12 \text{ or } 13 \text{ or } 14"), ("12.8", "12.8 kg"), ("5", "y+5"), ("12", "> 12"), ("12", ""), ("", "12"),
    ("0.5", r"50\%"), (r"\frac{1}{3}", "0.333"), ("12", r"\frac{"), (r"\boxed{7", "7"), ("x+1", "x+2"), ("x+1", "x="), ("x", "x.y"),
)  # fmt: skip


@pytest.fixture(scope="module")
def verifier() -> Iterator[Verifier]:
    with Verifier(workers=2, rule="deepscaler") as verifier:
        verifier(r"\boxed{x+1}", "x+2")  # start the workers outside of what is timed
        yield verifier


def boxed(answer: str) -> str:
    return rf"So the answer is $\boxed{{{answer}}}$."


@pytest.mark.parametrize(("gold", "answer"), RIGHT)
def test_what_the_original_rewards(verifier: Verifier, gold: str, answer: str) -> None:
    assert verifier(boxed(answer), gold).kind is Kind.RIGHT


@pytest.mark.parametrize(("gold", "answer"), WRONG)
def test_what_the_original_does_not_reward(verifier: Verifier, gold: str, answer: str) -> None:
    if gold:
        assert not verifier(boxed(answer), gold).right
    else:
        assert decide(answer, gold) is Kind.WRONG


@pytest.mark.parametrize(
    ("response", "answer"),
    [
        (r"\boxed{1} and \boxed{2}", "2"),
        (r"\boxed{\frac{1}{2}} is it", r"\frac{1}{2}"),
        (r"\boxed{ 7 }", " 7 "),
        (r"\boxed{}", ""),
        (r"\boxed{1} and \boxed{2", None),
        (r"\boxed 5", None),
        (r"\boxed {5}", None),
        (r"\boxed5{6}", None),
        (r"\fbox{5}", None),
        (r"\boxed{4} \fbox{5}", "4"),
        (r"\boxed{\fbox{5}}", r"\fbox{5}"),
        (r"\boxed{\boxed{5}}", "5"),
        (r"\boxed{\{1}", None),
        ("the answer is 5", None),
    ],
)
def test_extraction(response: str, answer: str | None) -> None:
    assert extract(response) == answer


def test_layers_without_symbols_decide_most() -> None:
    assert decide("12.0", "12") is Kind.RIGHT
    assert decide("13", "12") is Kind.WRONG
    assert decide(r"\sqrt{12}", r"2\sqrt{3}") is None
    assert decide("1" * 5000, "12") is Kind.TOO_COSTLY
    assert decide("(" * 100 + "1" + ")" * 100, "12") is Kind.TOO_COSTLY


@pytest.mark.parametrize(
    ("text", "form"),
    [
        (r" \dfrac12 ", r"\frac{1}{2}"),
        (r"\frac1{72}", r"\frac{1}{72}"),
        ("3/4", r"\frac{3}{4}"),
        ("03/4", "03/4"),
        ("k = 5", "5"),
        ("kk = 5", "kk=5"),
        ("k=.5", ".5"),
        (r"\sqrt3+\sqrt{5}", r"\sqrt{3}+\sqrt{5}"),
        (r"1 + \sqrt", r"1 + \sqrt"),
        (r"\frac", r"\frac"),
        ("", ""),
    ],
)
def test_math_form(text: str, form: str) -> None:
    assert math_form(text) == form


@pytest.mark.parametrize(
    ("text", "form"),
    [
        ("3 million", "3*10^6"),
        (r"1 \frac{1}{2}", "1+1/2"),
        (r"\frac{a+b}{2}", "a+b/2"),
        (r"\begin{pmatrix} 1 & 2 \\ 3 & x \end{pmatrix}", "[1+2;3x]"),
        (r"5 \text{ meters}^2", "5^2"),
        ("5 meters^2", "5"),
        ("- 3", "-3"),
        (r"\mathbf{A}", "𝐀"),
    ],
)
def test_prm_form(text: str, form: str) -> None:
    assert prm_form(text) == form


@pytest.mark.parametrize(
    ("latex", "text"),
    [
        (r"x^{10}", "x^10"),
        (r"\sqrt[3]{4}\cdot\frac12", "√(4)·1/2"),
        (r"\frac\pi2 \le \alpha", "π/2 ≤α"),
        (r"\text{a b}\unknown{c}", "a bc"),
        (r"\bar{x}\texttt{gone}", "x̅"),
        (r"\begin{array}{cc}1&2\\3&4\end{array}", "[ 1 2; 3 4 ]"),
        (r"\mathbb{R}\mathcal{F}\mathfrak{C}", "ℝℱℭ"),
        (r"\{1\}--2~", "{1}–2\xa0"),
        ("}{", ""),
    ],
)
def test_plain_text(latex: str, text: str) -> None:
    assert plain_text(latex) == text


@pytest.mark.parametrize("latex", [r"\frac{1}", r"\sqrt", r"\frac", r"\sqrt\sqrt2"])
def test_plain_text_without_an_argument(latex: str) -> None:
    with pytest.raises(ValueError, match="argument"):
        plain_text(latex)


@pytest.mark.parametrize("gold", ["12", "12.8", r"x+\frac{1}{2}", "(1,-2)"])
def test_hostile_answers_end_in_time(verifier: Verifier, gold: str, tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    for hostile in HOSTILE:
        begin = time.monotonic()
        verdict = verifier(boxed(hostile.replace("MARK", str(mark))), gold)
        assert time.monotonic() - begin < 2.5, hostile[:80]
        assert verdict.kind is not Kind.CRASHED, hostile[:80]
    assert not mark.exists()


def test_the_trainer_does_not_load_sympy() -> None:
    code = "import sys; from lit_rlvr.rewards.compat import deepscaler, qwen; sys.exit('sympy' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
