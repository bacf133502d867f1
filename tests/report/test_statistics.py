"""The report's arithmetic against numbers worked out by hand."""

import pytest

from lit_rlvr.report.statistics import (
    Spread,
    band,
    coarser,
    decompose,
    mcnemar,
    paired_z,
    saturation_step,
    share_error,
    spread,
    window_mean,
)


def _accuracies(*values: float) -> dict[int, float]:
    return dict(enumerate(values))


def test_saturation_is_the_step_that_completes_the_first_full_window() -> None:
    # Rollouts of steps 5 to 14 are the first ten at 1.0.
    assert saturation_step(_accuracies(*[0.5] * 5, *[1.0] * 15)) == 14


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([1.0] * 9, None),  # no full window yet
        ([1.0] * 10, 9),
        ([0.99] * 10, 9),  # equal is enough, whatever the sum of ten floats rounds to
        ([0.989] * 30, None),
        ([1.0] * 9 + [0.9] + [1.0] * 4, 9),  # the mean of the window counts: 0.99
        ([1.0] * 9 + [0.89] + [1.0] * 10, 19),  # 0.989 until the dip has left the window
        ([], None),
    ],
)
def test_saturation_cases(values: list[float], expected: int | None) -> None:
    assert saturation_step(_accuracies(*values)) == expected


def test_saturation_with_another_window_and_threshold() -> None:
    assert saturation_step(_accuracies(0.2, 0.8, 0.9, 1.0), threshold=0.85, window=2) == 2
    assert saturation_step({40: 1.0, 41: 1.0}, window=2) == 41  # a curve that begins late keeps its steps


def test_window_mean_includes_both_ends() -> None:
    series = {0: 1.0, 1: 2.0, 2: 4.0, 3: 8.0}
    assert window_mean(series, 1, 2) == 3.0
    assert window_mean(series, start=2) == 6.0
    assert window_mean(series, stop=1) == 1.5
    assert window_mean(series, start=9) is None


def test_mcnemar_by_hand() -> None:
    # 5 gained, 1 lost: two-sided p = 2 * (C(6,5) + C(6,6)) / 64.
    gained, lost, p = mcnemar([0, 0, 0, 0, 0, 1, 1], [1, 1, 1, 1, 1, 0, 1])
    assert (gained, lost) == (5, 1)
    assert p == pytest.approx(14 / 64)
    assert mcnemar([1, 0], [1, 0]) == (0, 0, 1.0)


def test_paired_z_by_hand() -> None:
    # Differences 1, 1, 1, -1: mean 1/2, deviation 1, standard error 1/2, so z = 1 and p = 0.3173.
    assert paired_z([0, 0, 0, 1], [1, 1, 1, 0]) == pytest.approx(0.3173, abs=1e-4)
    assert paired_z([1, 2], [1, 2]) == 1.0
    assert paired_z([0, 1], [1, 2]) == 0.0  # every problem gained one


def test_spread_leaves_out_what_is_not_known() -> None:
    assert spread([0.2, None, 0.4]) == Spread(pytest.approx(0.3), 0.2, 0.4, 2)
    assert spread([None]) is None


def test_band_is_mean_and_range_at_the_common_steps() -> None:
    found = band([{0: 1.0, 10: 2.0, 20: 9.0}, {0: 3.0, 10: 4.0}, {}, {0: 2.0, 10: 9.0}])
    assert found is not None
    assert found.steps == (0, 10)
    assert found.mean == (2.0, 5.0)
    assert found.low == (1.0, 2.0)
    assert found.high == (3.0, 9.0)
    assert found.seeds == 3
    assert band([{}, {}]) is None
    assert band([{0: 1.0}, {5: 1.0}]) is None


def test_coarser_averages_neighbours() -> None:
    curve = band([{step: float(step) for step in range(5)}])
    assert curve is not None
    short = coarser(curve, 3)  # steps 0 1, 2 3, 4
    assert (short.steps, short.mean) == ((1, 3, 4), (0.5, 2.5, 4.0))
    assert coarser(curve, 5) is curve


def test_decomposition_by_hand() -> None:
    # Boxed 50% -> 90%, right among them 40% -> 80%: accuracy 20% -> 72%.
    parts = decompose((0.5, 0.9), (0.4, 0.8), (0.2, 0.72))
    assert parts.boxed == pytest.approx(0.16)  # (0.9 - 0.5) * 0.4
    assert parts.reasoning == pytest.approx(0.36)  # 0.9 * (0.8 - 0.4)
    assert parts.gain == pytest.approx(0.52)
    assert parts.rest == pytest.approx(0.0, abs=1e-12)


@pytest.mark.parametrize("outside", [0.0, 0.1])
def test_decomposition_sums_to_the_gain(outside: float) -> None:
    parts = decompose((0.3, 0.7), (0.9, 0.2), (0.27, 0.14 + outside))
    assert parts.boxed + parts.reasoning + parts.rest == pytest.approx(parts.gain)
    assert parts.rest == pytest.approx(outside)


def test_share_error() -> None:
    assert share_error(0.5, 100) == pytest.approx(0.05)
    assert share_error(1.0, 7) == 0.0
    assert share_error(0.5, 0) == 0.0
