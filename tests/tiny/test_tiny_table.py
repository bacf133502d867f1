"""The arithmetic of the README's table, on hand-made runs."""

import json
from pathlib import Path

import pytest

from lit_rlvr.tiny.table import (
    ARMS,
    last_accuracy,
    make_saturation_table,
    make_table,
    mcnemar,
    paired_z,
    saturation_step,
    spread,
)


def _run(folder: Path, history: list[float], evaluations: list[tuple[int, float, int, list[int]]]) -> Path:
    folder.mkdir(parents=True)
    (folder / "history.json").write_text(json.dumps({"p": history}))
    rows = [
        {"rl_step": step, "temperature": t, "k": k, "accuracy": sum(correct) / len(correct) / k, "correct": correct}
        for step, t, k, correct in evaluations
    ]
    (folder / "evaluations.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (folder / "done.json").write_text('{"cpu_seconds": 12.4}')
    return folder


@pytest.fixture
def run(tmp_path: Path) -> Path:
    history = [0.5] * 5 + [1.0] * 15
    evaluations = [(0, 0.0, 1, [0, 0, 0, 0]), (0, 0.6, 8, [8, 0, 0, 0]), (10, 0.0, 1, [1, 0, 0, 1])]
    evaluations += [(16, 0.0, 1, [1, 1, 0, 0]), (16, 0.6, 2, [2, 1, 0, 0])]
    evaluations += [(20, 0.0, 1, [1, 1, 1, 0]), (20, 0.6, 2, [2, 2, 1, 0]), (20, 0.6, 8, [8, 8, 0, 0])]
    return _run(tmp_path / "seed-0", history, evaluations)


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


def test_saturation_is_the_first_full_window(run: Path) -> None:
    assert saturation_step(run) == 15  # the ten steps from 5 to 14 are the first at 1.0
    assert saturation_step(run, threshold=1.01) is None


def test_tables(run: Path) -> None:
    assert last_accuracy(run) == 1.0
    table = make_table({"one-shot": [run]})
    assert "| base | 0.0 | 25.0 | | |" in table
    assert f"| {ARMS['one-shot'][0]} | 75.0 ± 0.0 | 50.0 ± 0.0 | 100.0 ± 0.0 | 12 |" in table
    assert "| seed-0 | 15 | 50.0 -> 75.0 | 1, 0 | 1 | 37.5 -> 62.5 |" in make_saturation_table([run])


def test_spread_is_the_sample_deviation() -> None:
    assert spread([80.0, 82.0, 84.0]) == "82.0 ± 2.0"
    assert spread([80.0]) == "80.0 ± 0.0"
