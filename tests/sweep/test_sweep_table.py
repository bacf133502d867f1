"""The table from hand-made run folders, against means and deviations worked out by hand."""

import json
import time
from pathlib import Path
from typing import Any

import pytest
from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.summary.writer.event_file_writer import EventFileWriter

from lit_rlvr.sweep.grid import Arm, Verb
from lit_rlvr.sweep.run import Run
from lit_rlvr.sweep.table import last_accuracy, make_table, spread


def row(step: int, accuracy: float, k: int = 1, **more: Any) -> dict[str, Any]:
    temperature = 0.0 if k == 1 else 0.6
    plain = {"benchmark": "tiny500", "problems": 500, "k": k, "temperature": temperature, "boxed": 0.5, "length": 30.0}
    return {"rl_step": step, "accuracy": accuracy, **plain, **more}


def curve(folder: Path, values: list[float], first: int = 0) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    writer = EventFileWriter(str(folder), filename_suffix=f".{first}")
    for step, value in enumerate(values, first):
        point = Summary.Value(tag="train/accuracy", simple_value=value)
        writer.add_event(Event(wall_time=time.time() + step, step=step, summary=Summary(value=[point])))
    writer.close()


def finished(root: Path, arm: Arm, seed: int, rows: list[dict[str, Any]], train: list[float], cpu: float) -> Run:
    run = Run(arm, seed, root)
    if train:
        curve(run.folder, train)
    run.folder.mkdir(parents=True, exist_ok=True)
    (run.folder / "evaluations.jsonl").write_text("".join(json.dumps(r) + "\n" for r in rows))
    (run.folder / "done.json").write_text(json.dumps({**run.inputs, "cpu_seconds": cpu}))
    return run


def arm(name: str, verb: Verb = "fit") -> Arm:
    return Arm(name, f"the {name}", verb, ())


def test_mean_deviation_and_change(tmp_path: Path) -> None:
    one, other, shown = arm("one"), arm("other"), arm("shown", "evaluate")
    runs = [
        # Step 20 is the last; the better step 10 does not count, and avg@2 is measured in one arm only.
        finished(tmp_path, one, 0, [row(0, 0.3), row(0, 0.25, 8), row(10, 0.99), row(20, 0.8, boxed=0.9, length=36.0),
                 row(20, 0.7, 8), row(20, 0.6, 2)], [0.0] * 5 + [1.0] * 10, 90.0),
        finished(tmp_path, other, 0, [row(20, 0.1), row(20, 0.2, 8)], [0.25] * 3, 80.0),
        finished(tmp_path, shown, 0, [row(0, 0.4), row(0, 0.5, 8)], [], 5.0),
        finished(tmp_path, one, 1, [row(0, 0.3), row(0, 0.35, 8), row(20, 0.84, boxed=0.8, length=38.0),
                 row(20, 0.72, 8), row(20, 0.6, 2)], [1.0] * 20, 100.0),
        finished(tmp_path, one, 2, [row(0, 0.3), row(0, 0.3, 8), row(20, 0.82, boxed=0.7, length=40.0),
                 row(20, 0.74, 8), row(20, 0.6, 2)], [0.5] * 10, 400.0),
    ]  # fmt: skip
    asked = [*runs, Run(other, 1, tmp_path)]
    lines = make_table([one, other, shown], runs, asked, "lit-rlvr sweep grid.yaml").splitlines()
    assert lines[:6] == [
        "| | greedy % | avg@8 at 0.6 % | boxed % | length | train accuracy, last 10 steps % | seeds | CPU s |",
        "|---|---|---|---|---|---|---|---|",
        "| base model | 30.0 ± 0.0 | 30.0 ± 5.0 | 50.0 ± 0.0 | 30.0 ± 0.0 |  | 3 |  |",
        # Changes of the sampled accuracy: 45, 37, 44 points, each against its own seed's base.
        "| the one | 82.0 ± 2.0 (+52.0) | 72.0 ± 2.0 (+42.0) | 80.0 ± 10.0 | 38.0 ± 2.0 | 83.3 ± 28.9 | 3 | 100 |",
        "| the other | 10.0 (-20.0) | 20.0 (-5.0) | 50.0 | 30.0 | 25.0 | 1 | 80 |",
        "| the shown | 40.0 (+10.0) | 50.0 (+25.0) | 50.0 | 30.0 |  | 1 | 5 |",
    ]
    notes = "\n".join(lines[6:])
    assert "Problems: tiny500 500. " in notes
    assert "over seeds 0, 1, 2, at the last RL step" in notes
    assert "left out: tiny500 avg@2 at 0.6." in notes
    assert "Not done: other, seed 1." in notes
    assert notes.endswith("\n    lit-rlvr sweep grid.yaml")


def test_several_benchmarks_have_an_average(tmp_path: Path) -> None:
    one = arm("one")
    rows = [row(2, 0.5, benchmark="math500"), row(2, 0.1, 8, benchmark="aime24", problems=30, boxed=0.7)]
    table = make_table([one], [run := finished(tmp_path, one, 0, rows, [0.5], 9.6)], [run], "line")
    assert table.splitlines()[0].startswith("| | math500 greedy % | aime24 avg@8 at 0.6 % | average of 2 % | boxed %")
    assert "| the one | 50.0 | 10.0 | 30.0 | 60.0 | 30.0 | 50.0 | 1 | 10 |" in table
    assert "base model" not in table
    assert "against the base" not in table
    assert "Problems: math500 500, aime24 30." in table


def test_a_run_without_evaluations_or_curves(tmp_path: Path) -> None:
    one = arm("one")
    table = make_table([one], [run := finished(tmp_path, one, 0, [], [], 1.0)], [run], "line")
    assert "| the one |  |  |  | 1 | 1 |" in table


def test_of_a_step_done_twice_the_later_counts(tmp_path: Path) -> None:
    curve(tmp_path, [0.0] * 12)
    curve(tmp_path, [1.0] * 8, first=6)
    assert last_accuracy(tmp_path) == pytest.approx(0.8)  # steps 4 and 5 are 0, steps 6 to 13 are 1
    (tmp_path / "nothing").mkdir()
    assert last_accuracy(tmp_path / "nothing") is None


def test_spread_is_the_sample_deviation() -> None:
    assert spread([80.0, 82.0, 84.0]) == "82.0 ± 2.0"
    assert spread([80.0]) == "80.0"
    assert spread([]) == ""
