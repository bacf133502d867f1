"""How the tables write numbers: percent with one decimal, signs on changes, brackets for the range over seeds."""

from collections.abc import Sequence

from lit_rlvr.report.statistics import Spread

NONE = "–"
"""Not there, or not known."""


def percent(share: float | None, decimals: int = 1) -> str:
    """0.314 -> 31.4."""
    return NONE if share is None else f"{100 * share:.{decimals}f}"


def change(before: float, after: float) -> str:
    """Difference in points, with its sign."""
    return signed(100 * (after - before))


def signed(points: float) -> str:
    """Points with their sign; none is +0.0."""
    return f"{round(points, 1) + 0.0:+.1f}"


def range_of(value: Spread) -> str:
    """The range over seeds in brackets, where it is one."""
    low, high = percent(value.low), percent(value.high)
    return f" [{low}, {high}]" if low != high else ""


def number(value: float | None) -> str:
    """Three significant digits, plainly."""
    if value is None:
        return NONE
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"


def arrow(ends: Sequence[str | None]) -> str:
    """before → after."""
    return NONE if all(end is None for end in ends) else " → ".join(end or NONE for end in ends)
