"""How numbers are written."""

import pytest

from lit_rlvr.report.cells import arrow, change, number, percent, range_of, signed
from lit_rlvr.report.statistics import Spread


@pytest.mark.parametrize(
    ("value", "written"), [(0.0, "0"), (0.00123456, "0.00123"), (12.345, "12.3"), (1234.5, "1,234"), (None, "–")]
)
def test_numbers(value: float | None, written: str) -> None:
    assert number(value) == written


def test_no_negative_nothing() -> None:
    assert [signed(v) for v in (-0.04, 0.0, 1.25, -1.0)] == ["+0.0", "+0.0", "+1.2", "-1.0"]


def test_shares() -> None:
    assert percent(0.3141) == "31.4"
    assert percent(None) == "–"
    assert change(0.5, 0.25) == "-25.0"


def test_a_range_is_shown_where_it_is_one() -> None:
    assert range_of(Spread(0.5, 0.25, 0.75, 2)) == " [25.0, 75.0]"
    assert range_of(Spread(0.5, 0.50001, 0.50002, 2)) == ""


def test_arrows() -> None:
    assert arrow(["1", None, "3"]) == "1 → – → 3"
    assert arrow([None, None]) == "–"
