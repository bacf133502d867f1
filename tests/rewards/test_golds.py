"""Every benchmark's own golds: each equals itself, also in other dress, and none of its changed forms."""

from pathlib import Path

import pytest

from lit_rlvr.rewards import Verifier
from tests.rewards.golds import KINDS, Report, changes, judge, read_golds

ROWS = {
    "math500": 500,
    "aime24": 30,
    "aime25": 30,
    "amc23": 40,
    "minerva_math": 272,
    "olympiadbench": 675,
    "dsr_sub": 1209,
}
# Rows of the training file that whoever reads it must leave out, or that no box can hold.
LEFT_OUT = [("empty", ""), ("missing brace", r"\frac{2 k n}{n+k-1}-2 \frac{k!n!}{(k+n-1)!")]
# How many changed golds of each kind there are at least, counted by rows: a slip in `changes` must not go unnoticed.
AT_LEAST = {
    "last digit + 1": 2750,
    "sign": 2700,
    "element dropped": 160,
    "element doubled": 150,
    "interval end": 80,
    "tuple order": 75,
    "other word/letter": 185,
}
# (kind, gold, changed gold) that may be judged equal, with the reason. None is known.
ALLOWED: set[tuple[str, str, str]] = set()


@pytest.fixture(scope="module")
def reports(shared_data: Path) -> dict[str, Report]:
    with Verifier() as verifier:
        return {name: judge(verifier, golds) for name, golds in read_golds(shared_data).items()}


def test_all_rows_are_judged(reports: dict[str, Report]) -> None:
    assert {name: report.golds.rows for name, report in reports.items()} == ROWS
    assert {name: report.golds.left_out for name, report in reports.items() if report.golds.left_out} == {
        "dsr_sub": LEFT_OUT
    }
    assert sum(len(report.golds.kept) for report in reports.values()) == sum(ROWS.values()) - len(LEFT_OUT)
    pairs = {kind: sum(report.pairs[kind] for report in reports.values()) for kind in KINDS}
    assert {kind: count for kind, count in pairs.items() if count < AT_LEAST[kind]} == {}


@pytest.mark.parametrize("name", ROWS)
def test_every_gold_equals_itself_also_in_other_dress(reports: dict[str, Report], name: str) -> None:
    assert reports[name].unequal == []


@pytest.mark.parametrize("name", ROWS)
def test_no_changed_gold_is_right(reports: dict[str, Report], name: str) -> None:
    assert [case for case in reports[name].equal if case not in ALLOWED] == []


@pytest.mark.parametrize(
    ("gold", "expected"),
    [
        ("12.80", [("last digit + 1", "12.81"), ("sign", "-12.80")]),
        ("-9", [("last digit + 1", "-8"), ("sign", "9")]),
        ("0", [("last digit + 1", "1")]),
        ("1.04e-3", [("last digit + 1", "1.05e-3"), ("last digit + 1", "1.04e-4"), ("sign", "-1.04e-3")]),
        (r"10,\!080", [("last digit + 1", "10081"), ("sign", "-10080")]),
        ("52_8", [("last digit + 1", "53_8"), ("sign", "-52_8")]),
        (r"15\mbox{ cm}^2", [("last digit + 1", r"16\mbox{ cm}^2"), ("sign", r"-15\mbox{ cm}^2")]),
        (r"1 \pm \sqrt{19}", [("last digit + 1", r"1 \pm \sqrt{18}"), ("element dropped", r"1 + \sqrt{19}")]),
        (r"\text{(E)}", [("other word/letter", r"\text{(A)}")]),
        (r"\text{east}", [("other word/letter", r"\text{west}")]),
        ("2k", [("last digit + 1", "3k"), ("sign", "-2k"), ("other word/letter", "2n")]),
        (r"k \ge 2", [("last digit + 1", r"k \ge 3"), ("sign", r"k \ge-2"), ("interval end", "k > 2")]),
        (
            "$1$,$-2$",
            [("last digit + 1", "1,-3"), ("sign", "1,2"), ("element dropped", "1"), ("element doubled", "1,-2,-2")],
        ),
        (
            r"\left(-\infty,-5\right]",
            [
                ("last digit + 1", r"(-\infty,-6]"),
                ("sign", r"(-\infty,5]"),
                ("element dropped", r"(-\infty]"),
                ("element doubled", r"(-\infty,-5,-5]"),
                ("interval end", r"(-\infty,-5)"),
                ("tuple order", r"(-5,-\infty]"),
            ],
        ),
        (
            r"\begin{pmatrix}-1&0\\0&2\end{pmatrix}",
            [
                ("last digit + 1", r"\begin{pmatrix}-1&0\\0&3\end{pmatrix}"),
                ("sign", r"\begin{pmatrix}-1&0\\0&-2\end{pmatrix}"),
                ("tuple order", r"\begin{pmatrix}0&-1\\0&2\end{pmatrix}"),
            ],
        ),
    ],
)
def test_changes(gold: str, expected: list[tuple[str, str]]) -> None:
    assert changes(gold) == expected
