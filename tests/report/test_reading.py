"""A run folder read back: what is there, what is missing, what is damaged."""

import json
from pathlib import Path

import pytest

from lit_rlvr.errors import UserError
from lit_rlvr.report.reading import Kind, read_run
from tests.report.made import TINY, changed, row, write_run

GREEDY = Kind("tiny500", 1, 0.0, 4, False)


def test_rows_by_kind_and_step(tmp_path: Path) -> None:
    rows = [
        row(0, [0, 0, 0, 1]),
        row(0, [8, 0, 0, 0], k=8, temperature=0.6),
        row(20, [1, 1, 1, 1]),
        row(10, [0, 1, 0, 1]),
    ]
    run = read_run(
        write_run(tmp_path, rows=[*rows, row(10, [1, 1, 0, 1])])
    )  # evaluated again at step 10: the later counts
    assert run.kinds() == [GREEDY, Kind("tiny500", 8, 0.6, 4, False)]
    assert run.curve(GREEDY) == {0: 0.25, 10: 0.75, 20: 1.0}
    assert run.curve(GREEDY, "reflection") == {}  # an older run
    assert [k.label for k in run.kinds()] == ["tiny500, greedy", "tiny500, avg@8 at 0.6"]
    assert run.seed == 0
    assert run.last_step() == 20


def test_a_limited_evaluation_is_a_kind_of_its_own(tmp_path: Path) -> None:
    run = read_run(write_run(tmp_path, rows=[row(0, [1, 0]), row(0, [1, 0], limit=2)]))
    assert [kind.label for kind in run.kinds()] == ["tiny500, greedy", "tiny500, greedy, 2 problems only"]


def test_training_accuracy_from_events_and_before_them_from_the_history(tmp_path: Path) -> None:
    history = {"p": [0.0, 0.25, 0.5, 1.0]}
    late = {"train/accuracy": {2: 0.5, 3: 1.0}}  # the events of a run that went on in another folder
    assert read_run(write_run(tmp_path / "a", history=history, scalars=late)).training_accuracy() == {
        0: 0,
        1: 0.25,
        2: 0.5,
        3: 1,
    }
    assert read_run(write_run(tmp_path / "b", history=history)).training_accuracy() == {0: 0, 1: 0.25, 2: 0.5, 3: 1}
    both = read_run(write_run(tmp_path / "c", history={"p": [0.0, 0.5], "q": [1.0, 1.0]}))
    assert both.training_accuracy() == {0: 0.5, 1: 0.75}
    # Passes over a set: which step an entry belongs to is not known.
    assert read_run(write_run(tmp_path / "d", history={"p": [0.0, 0.5], "q": [1.0]})).training_accuracy() == {}


def test_everything_missing_is_said(tmp_path: Path) -> None:
    run = read_run(write_run(tmp_path, config=None))
    told = " ".join(run.notes)
    for what in ("no evaluations.jsonl", "no config.yaml", "no TensorBoard events"):
        assert what in told
    assert run.seed is None
    assert run.setting("model.policy") is None


def test_an_evaluation_alone(tmp_path: Path) -> None:
    folder = write_run(tmp_path, None, [row(0, [1, 0])])
    (folder / "evaluation.json").write_text('{"policy": "Qwen/Qwen2.5-Math-1.5B", "seed": 3, "rl_step": 0}')
    run = read_run(folder)
    assert run.setting("model.policy") == "Qwen/Qwen2.5-Math-1.5B"
    assert (run.seed, run.trained) == (3, False)
    assert len(run.notes) == 1
    assert "no training in it" in run.notes[0]
    (folder / "evaluation.json").write_text("[")
    assert read_run(folder).setting("model.policy") is None


def test_the_events_of_the_run_it_went_on_from(tmp_path: Path) -> None:
    write_run(tmp_path / "version_0", scalars={"train/kl": {0: 1.0, 1: 1.0, 2: 1.0}})
    config = changed(TINY, ckpt_path=str(tmp_path / "version_0" / "checkpoints" / "last.ckpt"))
    run = read_run(write_run(tmp_path / "version_1", config, scalars={"train/kl": {2: 4.0, 3: 4.0}}))
    assert run.scalar("train/kl") == {0: 1.0, 1: 1.0, 2: 4.0, 3: 4.0}
    moved = changed(TINY, ckpt_path="elsewhere/version_0/checkpoints/last.ckpt")  # found beside the run by its name
    run = read_run(write_run(tmp_path / "version_2", moved, scalars={"train/kl": {2: 4.0}}))
    assert run.scalar("train/kl") == {0: 1.0, 1: 1.0, 2: 4.0}
    lost = changed(TINY, ckpt_path="gone/version_9/checkpoints/last.ckpt")
    run = read_run(write_run(tmp_path / "version_3", lost, scalars={"train/kl": {2: 4.0}}))
    assert "went on from gone/version_9" in " ".join(run.notes)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ('{"rl_step": 10, "benchmark": "tiny500", "accu', "row 2 is not valid JSON"),
        ("[1, 2]", "row 2: it is a list"),
        ('{"gold": 1}', "row 2: it has no 'rl_step'"),
        (json.dumps(row(0, [1]) | {"accuracy": "high"}), "row 2: its 'accuracy' is 'high'"),
    ],
)
def test_a_damaged_row_is_named(tmp_path: Path, line: str, said: str) -> None:
    folder = write_run(tmp_path, rows=[row(0, [1, 0])])
    with (folder / "evaluations.jsonl").open("a") as file:
        file.write(f"{line}\n")
    with pytest.raises(UserError, match=r"evaluations\.jsonl") as error:
        read_run(folder)
    assert said in str(error.value)


@pytest.mark.parametrize("text", ["{", "- a list", "\t: ["])
def test_a_damaged_config_or_history_costs_itself_alone(tmp_path: Path, text: str) -> None:
    folder = write_run(tmp_path, rows=[row(0, [1, 0])])
    (folder / "config.yaml").write_text(text)
    (folder / "history.json").write_text(text)
    run = read_run(folder)
    assert run.config == {}
    assert run.curve(Kind("tiny500", 1, 0.0, 2, False)) == {0: 0.5}
    assert {"config.yaml", "history.json"} <= {word.rsplit("/", 1)[-1] for note in run.notes for word in note.split()}
