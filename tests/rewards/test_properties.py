"""Properties of the verifier: what holds for whole families of answers, and for any text whatsoever."""

import time
from collections.abc import Callable, Iterator
from fractions import Fraction

import pytest
from hypothesis import HealthCheck, assume, example, given, settings
from hypothesis import strategies as st

from lit_rlvr.rewards import Kind, Verifier
from lit_rlvr.rewards.exact import decide
from lit_rlvr.rewards.extract import extract_boxed, extract_flexible
from lit_rlvr.rewards.rule import Mode, Rule
from tests.rewards.hostile import HOSTILE_RESPONSES, PIECES


@pytest.fixture(scope="module")
def verifier() -> Iterator[Verifier]:
    with Verifier(workers=2) as verifier:
        verifier(r"\boxed{x+1}", "x+2")  # start the workers outside of what is timed
        yield verifier


@pytest.fixture(scope="module")
def patient() -> Iterator[Verifier]:
    """Where the time is not the point, a busy machine must not change a verdict."""
    with Verifier(workers=2, timeout=30) as patient:
        yield patient


def properties(examples: int) -> settings:
    # A busy machine is no reason to fail, and every run tries the same examples.
    slow = [HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.function_scoped_fixture]
    return settings(max_examples=examples, derandomize=True, deadline=None, database=None, suppress_health_check=slow)


def boxed(answer: str) -> str:
    return rf"So the answer is $\boxed{{{answer}}}$."


# Text of any kind, text out of the characters of formulas, and formulas with pieces missing.
ANYTHING = (
    st.text(st.characters(exclude_categories=()), max_size=60)
    | st.text(alphabet=r"\{}()[]|^_/+-=,.!<>0123456789xynpifracsqt&$% ", max_size=60)
    | st.lists(st.sampled_from(PIECES), max_size=25).map("".join)
)


@properties(300)
@given(answer=ANYTHING, gold=ANYTHING)
@example(answer=r"\frac{\approx 24}{2}", gold="12")
@example(answer=r"(\approx", gold="x")
def test_text_and_numbers_never_raise(answer: str, gold: str) -> None:
    assert isinstance(decide(answer, gold), Kind | None)
    assert decide(gold, gold) is Kind.RIGHT


@properties(60)
@given(answer=ANYTHING, gold=ANYTHING.filter(str.strip))
def test_the_whole_verifier_never_raises(verifier: Verifier, answer: str, gold: str) -> None:
    for pair in ((boxed(answer), gold), (boxed(gold), answer if answer.strip() else "1"), (answer, gold)):
        verdict = verifier(*pair)
        assert isinstance(verdict.kind, Kind)
        assert verdict.kind is not Kind.CRASHED


@properties(60)
@given(response=ANYTHING, gold=ANYTHING.filter(str.strip), rule=st.sampled_from(Rule), mode=st.sampled_from(Mode))
def test_no_rule_and_no_mode_ever_raises(verifier: Verifier, response: str, gold: str, rule: Rule, mode: Mode) -> None:
    assert isinstance(verifier.verify_many([(response, gold)], rule=rule, mode=mode)[0].kind, Kind)


@properties(300)
@given(response=ANYTHING | st.lists(st.sampled_from(PIECES) | ANYTHING, max_size=12).map("".join))
def test_extraction_never_raises(response: str) -> None:
    strict, flexible = extract_boxed(response), extract_flexible(response)
    assert isinstance(strict, str | None)
    assert isinstance(flexible, str | None)
    if strict is not None:
        assert strict == strict.strip()
        assert strict in response
    if strict:
        assert flexible == strict


@pytest.mark.parametrize("rule", Rule)
@pytest.mark.parametrize("mode", Mode)
def test_hostile_responses_end_in_time_in_every_mode(verifier: Verifier, rule: Rule, mode: Mode) -> None:
    for response, gold in HOSTILE_RESPONSES:
        begin = time.monotonic()
        (verdict,) = verifier.verify_many([(response, gold)], rule=rule, mode=mode)
        assert time.monotonic() - begin < 2.5, response[:80]
        assert verdict.kind is not Kind.CRASHED, response[:80]


def test_hostile_responses_earn_nothing(verifier: Verifier) -> None:
    assert len(set(HOSTILE_RESPONSES)) == len(HOSTILE_RESPONSES) >= 40
    for response, gold in HOSTILE_RESPONSES:
        begin = time.monotonic()
        verdict = verifier(response, gold)
        assert time.monotonic() - begin < 2.5, response[:80]
        assert verdict.kind not in (Kind.RIGHT, Kind.CRASHED), response[:80]


# Families of answers.


def plain_rational(value: Fraction) -> str:
    return str(value.numerator) if value.denominator == 1 else f"{value.numerator}/{value.denominator}"


def frac(value: Fraction) -> str:
    if value.denominator == 1:
        return str(value.numerator)
    return rf"{'-' if value < 0 else ''}\frac{{{abs(value.numerator)}}}{{{value.denominator}}}"


def polynomial(coefficients: list[int], letter: str = "x") -> str:
    """The expanded form, from the highest power down; no spaces."""
    terms = []
    for power in range(len(coefficients) - 1, -1, -1):
        c = coefficients[power]
        if c:
            body = "" if power == 0 else letter if power == 1 else f"{letter}^{{{power}}}"
            terms.append(f"{c:+d}{body}" if abs(c) != 1 or not body else f"{'+' if c > 0 else '-'}{body}")
    return "".join(terms).removeprefix("+") or "0"


def times(a: list[int], b: list[int]) -> list[int]:
    product = [0] * (len(a) + len(b) - 1)
    for i, x in enumerate(a):
        for j, y in enumerate(b):
            product[i + j] += x * y
    return product


INTEGERS = st.integers(-(10**6), 10**6)
RATIONALS = st.builds(Fraction, st.integers(-999, 999), st.integers(1, 99))
NUMBERS = (
    INTEGERS.map(str) | RATIONALS.map(frac) | st.builds("{}.{:03d}".format, st.integers(0, 99), st.integers(0, 999))
)
COEFFICIENTS = st.lists(st.integers(-9, 9), min_size=2, max_size=4).filter(lambda c: c[-1] != 0)
POLYNOMIALS = COEFFICIENTS.map(polynomial)
SEVERAL = st.lists(RATIONALS, min_size=2, max_size=4, unique=True)
LISTS = SEVERAL.map(lambda values: ", ".join(map(frac, values)))
TUPLES = SEVERAL.map(lambda values: f"({', '.join(map(frac, values))})")
ENDS = st.tuples(RATIONALS, RATIONALS).filter(lambda ends: ends[0] < ends[1])
INTERVALS = st.builds(
    lambda ends, left, right: f"{left}{frac(ends[0])}, {frac(ends[1])}{right}",
    ENDS,
    st.sampled_from("(["),
    st.sampled_from(")]"),
)
FAMILIES = (NUMBERS, POLYNOMIALS, LISTS, TUPLES, INTERVALS)
GOLDS = st.one_of(*FAMILIES)


def right(patient: Verifier, gold: str, answer: str) -> bool:
    """Whether an answer is right, where it must be either right or wrong."""
    verdict = patient(boxed(answer), gold)
    assert verdict.kind in (Kind.RIGHT, Kind.WRONG), (gold, answer, verdict)
    return verdict.right


@properties(60)
@given(
    gold=GOLDS,
    before=st.sampled_from(
        ["", r"\boxed{7} ", r"<think>\boxed{7}</think>", r"<think>\boxed{7", "} } ", "{ ", r"\fbox{} ", "Step 1. "]
    ),
    after=st.sampled_from(["", ".", " is the answer.", " }", "\n\n\\]", " 7", " $7$ ", r" \box", "</s>"]),
    command=st.sampled_from([r"\boxed{%s}", r"\fbox{%s}", r"\boxed {%s}", "\\boxed{\n%s\n}", r"\boxed{\boxed{%s}}"]),
)
def test_a_response_whose_last_box_is_the_gold_is_right(
    patient: Verifier, gold: str, before: str, after: str, command: str
) -> None:
    if "<think>" in before and "</think>" not in before:
        before += "}</think> "
    assert patient(before + command % gold + after, gold).right


@pytest.mark.parametrize("family", FAMILIES, ids=["numbers", "polynomials", "lists", "tuples", "intervals"])
def test_verdicts_are_symmetric(patient: Verifier, family: st.SearchStrategy[str]) -> None:
    @properties(100)
    @given(pair=st.tuples(family, family))
    @example(pair=("12", "12"))
    def check(pair: tuple[str, str]) -> None:
        assert right(patient, *pair) == right(patient, *pair[::-1])

    check()


@properties(60)
@given(pair=st.tuples(GOLDS, GOLDS))
def test_verdicts_are_symmetric_between_families(patient: Verifier, pair: tuple[str, str]) -> None:
    one, other = patient(boxed(pair[1]), pair[0]), patient(boxed(pair[0]), pair[1])
    assert one.right == other.right


def _resized(text: str) -> str:
    return text.replace("(", r"\left(").replace(")", r"\right)").replace("[", r"\left[").replace("]", r"\right]")


DRESSES: dict[str, Callable[[str], str]] = {
    "dollars": lambda text: f"${text}$",
    "double dollars": lambda text: f"$${text}$$",
    "round": lambda text: rf"\({text}\)",
    "square": lambda text: rf"\[{text}\]",
    "display style": lambda text: rf"\displaystyle {text}",
    "dfrac": lambda text: text.replace(r"\frac", r"\dfrac"),
    "tfrac": lambda text: text.replace(r"\frac", r"\tfrac"),
    "spaces": lambda text: f"  {text} ".replace("+", " + ").replace("-", "- "),
    "thin spaces": lambda text: rf"\, {text} \;".replace("+", r"\,+\,"),
    "new lines": lambda text: f"\n{text}\n",
    "full stop": lambda text: f"{text}.",
    "braces": lambda text: f"{{{text}}}",
    "bold": lambda text: f"**{text}**",
    "signs": lambda text: text.replace("-", "−"),
    "wide": lambda text: text.translate(str.maketrans("0123456789", "０１２３４５６７８９")),
}


@pytest.mark.parametrize("dress", DRESSES)
def test_dress_changes_no_verdict(patient: Verifier, dress: str) -> None:
    @properties(40)
    @given(gold=GOLDS, other=GOLDS)
    def check(gold: str, other: str) -> None:
        assert patient(boxed(DRESSES[dress](gold)), gold).right
        assert patient(boxed(gold), DRESSES[dress](gold)).right
        assert patient(boxed(DRESSES[dress](other)), gold).right == patient(boxed(other), gold).right

    check()


@properties(60)
@given(gold=TUPLES | INTERVALS, other=TUPLES | INTERVALS)
def test_the_size_of_brackets_changes_no_verdict(patient: Verifier, gold: str, other: str) -> None:
    assert patient(boxed(_resized(gold)), gold).right
    assert patient(boxed(_resized(other)), gold).right == patient(boxed(other), gold).right


@properties(100)
@given(
    value=st.integers(1000, 10**12),
    mark=st.sampled_from([",", "{,}", r",\!", r"\,", r",\! "]),
    sign=st.sampled_from(["", "-"]),
)
def test_thousands_marks_change_no_verdict(value: int, mark: str, sign: str) -> None:
    marked = sign + f"{value:,}".replace(",", mark)
    assert decide(marked, f"{sign}{value}") is Kind.RIGHT
    assert decide(f"{sign}{value}", marked) is Kind.RIGHT
    assert decide(marked, f"{sign}{value + 1}") is Kind.WRONG
    assert decide(f"{sign}{value * 1000}", marked) is Kind.WRONG


@properties(200)
@given(value=RATIONALS, factor=st.integers(1, 50))
def test_rationals_equal_their_multiples_and_not_their_neighbours(value: Fraction, factor: int) -> None:
    spelled = rf"\frac{{{value.numerator * factor}}}{{{value.denominator * factor}}}"
    for gold in (frac(value), plain_rational(value)):
        assert decide(spelled, gold) is Kind.RIGHT
        assert decide(gold, spelled) is Kind.RIGHT
        for near in (value + Fraction(1, value.denominator), value + Fraction(1, 10**4), value + 1, 2 * value + 1):
            if near != value:
                assert decide(frac(near), gold) is Kind.WRONG
                assert decide(gold, frac(near)) is Kind.WRONG
        if value:
            assert decide(frac(-value), gold) is Kind.WRONG
            if abs(value) != 1:
                assert decide(frac(1 / value), gold) is Kind.WRONG


@properties(100)
@given(digits=st.integers(0, 10**9), places=st.integers(1, 8), zeros=st.integers(0, 4))
def test_decimals_equal_their_fractions_and_not_their_neighbours(digits: int, places: int, zeros: int) -> None:
    value = Fraction(digits, 10**places)
    whole, part = divmod(digits, 10**places)
    text = f"{whole}.{part:0{places}d}" + "0" * zeros
    assert decide(text, frac(value)) is Kind.RIGHT
    assert decide(frac(value), text) is Kind.RIGHT
    assert decide(frac(value + Fraction(1, 10**places)), text) is Kind.WRONG


@properties(100)
@given(
    factors=st.lists(st.tuples(st.integers(-9, 9), st.integers(1, 4)).map(list), min_size=2, max_size=4),
    scale=st.integers(-5, 5).filter(bool),
    place=st.integers(0, 4),
    change=st.integers(-3, 3).filter(bool),
)
def test_polynomials_equal_their_factors_and_no_others(
    patient: Verifier, factors: list[list[int]], scale: int, place: int, change: int
) -> None:
    expanded = [scale]
    for factor in factors:
        expanded = times(expanded, factor)
    factored = {1: "", -1: "-"}.get(scale, str(scale)) + "".join(f"({polynomial(factor)})" for factor in factors)
    gold = polynomial(expanded)
    assert right(patient, gold, factored)
    assert right(patient, factored, gold)
    changed = list(expanded)
    changed[place % len(changed)] += change
    assert not right(patient, gold, polynomial(changed))
    assert not right(patient, polynomial(changed), factored)


@properties(100)
@given(coefficients=COEFFICIENTS.filter(lambda c: sum(map(bool, c)) >= 2), letters=st.permutations("xyzab"))
def test_polynomials_keep_their_letter(patient: Verifier, coefficients: list[int], letters: list[str]) -> None:
    gold = polynomial(coefficients, letters[0])
    turned = "+".join(f"({polynomial([0] * i + [c], letters[0])})" for i, c in enumerate(coefficients) if c)
    assert right(patient, gold, turned)
    assert not right(patient, gold, polynomial(coefficients, letters[1]))


@properties(80)
@given(data=st.data(), values=SEVERAL)
def test_the_order_of_a_list_does_not_matter(data: st.DataObject, values: list[Fraction]) -> None:
    other = data.draw(st.permutations(values))
    gold, answer = (", ".join(map(frac, items)) for items in (values, other))
    assert decide(answer, gold) is Kind.RIGHT
    assert decide(rf"\{{{answer}\}}", gold) is Kind.RIGHT
    assert decide(" \\text{ and } ".join(map(frac, other)), gold) is Kind.RIGHT
    place = data.draw(st.integers(0, len(values) - 1))
    for changed in (
        other[:place] + other[place + 1 :],
        [*other, max(other) + 1],
        [*other[:place], max(other) + 1, *other[place + 1 :]],
    ):
        assert decide(", ".join(map(frac, changed)), gold) is Kind.WRONG
        assert decide(gold, ", ".join(map(frac, changed))) is Kind.WRONG


@properties(80)
@given(values=SEVERAL, data=st.data())
def test_the_order_of_a_tuple_matters(values: list[Fraction], data: st.DataObject) -> None:
    i, j = data.draw(st.tuples(*[st.integers(0, len(values) - 1)] * 2).filter(lambda pair: pair[0] != pair[1]))
    swapped = list(values)
    swapped[i], swapped[j] = swapped[j], swapped[i]
    gold, answer = (f"({', '.join(map(frac, items))})" for items in (values, swapped))
    assert decide(_resized(gold), gold) is Kind.RIGHT
    assert decide(answer, gold) is Kind.WRONG
    assert decide(gold, answer) is Kind.WRONG
    assert decide(f"({', '.join(map(frac, [*values, values[0]]))})", gold) is Kind.WRONG


@properties(80)
@given(
    ends=ENDS,
    brackets=st.tuples(st.sampled_from("(["), st.sampled_from(")]")),
    step=RATIONALS.filter(lambda step: step > 0),
)
def test_a_changed_end_of_an_interval_is_wrong(
    patient: Verifier, ends: tuple[Fraction, Fraction], brackets: tuple[str, str], step: Fraction
) -> None:
    low, high = ends
    left, right_ = brackets

    def interval(a: Fraction, b: Fraction, opening: str = left, closing: str = right_) -> str:
        return f"{opening}{frac(a)}, {frac(b)}{closing}"

    gold = interval(low, high)
    assert decide(_resized(gold), gold) is Kind.RIGHT
    assert decide(rf"x \in {gold}", gold) is Kind.RIGHT
    signs = {"(": "<", "[": r"\le", ")": "<", "]": r"\le"}
    assert decide(rf"{frac(low)} {signs[left]} x {signs[right_]} {frac(high)}", gold) is Kind.RIGHT
    others = [
        interval(low - step, high),
        interval(low, high + step),
        interval(low, high, opening="[" if left == "(" else "("),
        interval(low, high, closing="]" if right_ == ")" else ")"),
        interval(high, low),
        rf"{gold} \cup ({frac(high + 1)}, {frac(high + 2)})",
    ]
    for other in others:
        assert decide(other, gold) is Kind.WRONG, other
        assert decide(gold, other) is Kind.WRONG, other
    for other in (rf"{left}{frac(low)}, \infty)", rf"(-\infty, {frac(high)}{right_}"):
        assert not patient(boxed(other), gold).right
        assert not patient(boxed(gold), other).right


def _linear(a: int, b: int) -> str:
    return polynomial([b, a], "n")


@properties(150)
@given(
    one=st.tuples(st.integers(1, 6), st.integers(-6, 6), st.integers(2, 7)),
    other=st.tuples(st.integers(1, 6), st.integers(-6, 6), st.integers(2, 7)),
    shift=st.integers(-3, 3),
    ceiling=st.booleans(),
    related=st.booleans(),
)
def test_floors_and_ceilings_agree_where_they_do_at_all_whole_numbers(
    patient: Verifier, one: tuple[int, int, int], other: tuple[int, int, int], shift: int, ceiling: bool, related: bool
) -> None:
    a, b, c = one
    if related:  # the same values in other words, or nearly: a floor of a ceiling's form, moved by whole numbers
        other = (a, b + c * shift + (c - 1 if ceiling else 0), c)
    p, q, r = other
    truth = all(
        (-(-(a * n + b) // c) if ceiling else (a * n + b) // c) + (shift if related else 0) == (p * n + q) // r
        for n in range(1, 200)
    )
    left, right_ = (r"\lceil", r"\rceil") if ceiling else (r"\lfloor", r"\rfloor")
    gold = rf"{left} \frac{{{_linear(a, b)}}}{{{c}}} {right_}" + (f"{shift:+d}" if related and shift else "")
    answer = rf"\left\lfloor \frac{{{_linear(p, q)}}}{{{r}}} \right\rfloor"
    assert right(patient, gold, answer) == truth
    assert right(patient, answer, gold) == truth


@properties(80)
@given(one=COEFFICIENTS, other=COEFFICIENTS)
def test_a_quotient_of_polynomials_is_what_it_cancels_to(patient: Verifier, one: list[int], other: list[int]) -> None:
    gold = polynomial(one)
    answer = rf"\frac{{{polynomial(times(one, other))}}}{{{polynomial(other)}}}"
    assert right(patient, gold, answer)
    assume(polynomial(other) not in ("1", "-1"))
    assert not right(patient, gold, rf"\frac{{{polynomial(times(one, other))}+1}}{{{polynomial(other)}}}")
