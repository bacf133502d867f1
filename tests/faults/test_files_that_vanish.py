"""Files and folders that go, or cannot be written to, before and during a run."""

import os
import shutil
from pathlib import Path
from typing import Any

import pytest
from lightning import Callback, LightningModule, Trainer

from lit_rlvr.cli import main
from lit_rlvr.commands import call
from lit_rlvr.files import json_lines

SMALL = [
    "--config", "configs/tiny.yaml", "--model.sampling.max_tokens", "8", "--data.rows", "2", "--data.rl_steps", "3",
    "--evaluation.every_n_rl_steps", "1", "--evaluation.endpoint_plans", "[]",
]  # fmt: skip


class BreaksAtStepOne(Callback):
    """Does something to files once the first RL step is done.

    Args:
        remove: files to remove.
        replace: put a regular file where the run's folder is.
    """

    def __init__(self, remove: list[str] | None = None, replace: bool = False) -> None:
        self.remove, self.replace = remove or [], replace

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:
        if batch_idx == 1:
            for file in self.remove:
                os.unlink(file)
            if self.replace:
                folder = Path(str(trainer.log_dir))
                shutil.rmtree(folder)
                folder.touch()


@pytest.fixture(autouse=True)
def _from_the_root(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(repository)
    monkeypatch.delenv("LIT_RLVR_TRACEBACK", raising=False)


def fit(monkeypatch: pytest.MonkeyPatch, folder: Path, *arguments: str) -> int:
    """The exit status of a small run."""
    monkeypatch.setattr(
        "sys.argv", ["lit-rlvr", "fit", *SMALL, "--trainer.logger.init_args.save_dir", str(folder), *arguments]
    )
    try:
        main()
    except SystemExit as end:
        return int(end.code or 0)
    return 0


def benchmark(folder: Path) -> tuple[Path, Path]:
    """A file of two problems, and one of a third that is excluded."""
    folder.mkdir(exist_ok=True)
    ours, excluded = folder / "ours.jsonl", folder / "excluded.jsonl"
    ours.write_text('{"problem": "1+1?", "answer": "2"}\n{"problem": "1+2?", "answer": "3"}\n')
    excluded.write_text('{"problem": "1+3?", "answer": "4"}\n')
    return ours, excluded


def test_a_benchmark_that_vanishes_during_a_run_is_evaluated_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ours, excluded = benchmark(tmp_path)
    plan = f'[{{"benchmark": "aime24", "path": "{ours}", "exclude": "{excluded}", "limit": 2, "samples": 2, "max_tokens": 8}}]'
    breaking = f'[{{"class_path": "{__name__}.BreaksAtStepOne", "init_args": {{"remove": ["{ours}", "{excluded}"]}}}}]'
    assert fit(monkeypatch, tmp_path / "runs", "--evaluation.plans", plan, "--trainer.callbacks", breaking) == 0
    assert not ours.exists()
    rows = [row for _, row in json_lines(tmp_path / "runs" / "tiny" / "version_0" / "evaluations.jsonl")]
    assert [(row["rl_step"], row["problems"]) for row in rows] == [(0, 2), (1, 2), (2, 2), (3, 2)]


@pytest.mark.parametrize("which", [0, 1], ids=["benchmark", "exclude"])
def test_a_benchmark_that_has_vanished_stops_fit_and_evaluate_before_anything(
    which: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    files = benchmark(tmp_path)
    files[which].unlink()
    plan = f'[{{"benchmark": "aime24", "path": "{files[0]}", "exclude": "{files[1]}", "limit": 2}}]'
    with pytest.raises(SystemExit, match="2"):
        call("evaluate", ["--policy", "checkpoints/tiny-base", "--plans", plan, "--output", str(tmp_path / "out")])
    (said,) = capsys.readouterr().err.splitlines()
    assert said.startswith("lit-rlvr: error: ")
    assert str(files[which]) in said
    assert not (tmp_path / "out").exists()
    assert fit(monkeypatch, tmp_path / "runs", "--evaluation.plans", plan) == 2
    assert str(files[which]) in capsys.readouterr().err
    assert not list(tmp_path.rglob("*.ckpt"))


def unwritable(folder: Path, how: str) -> Path:
    if how == "below a file":
        (folder / "file").touch()
        return folder / "file" / "runs"
    if how == "a dangling link":
        (folder / "link").symlink_to(folder / "nowhere" / "at" / "all")
        return folder / "link"
    return Path("/proc/nowhere")


@pytest.mark.parametrize("how", ["below a file", "a dangling link", "no place for files"])
def test_a_logger_that_cannot_write_stops_the_run_at_once(
    how: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = unwritable(tmp_path, how)
    assert fit(monkeypatch, folder, "--evaluation.plans", "[]") == 2
    printed = capsys.readouterr()
    (said,) = [line for line in printed.err.splitlines() if line.startswith("lit-rlvr: error:")]
    assert str(folder) in said
    assert "cannot be made" in said or "cannot be written to" in said
    assert "step 1/3" not in printed.out


def test_a_folder_that_goes_during_a_run_stops_it_in_a_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """And nothing hangs: TensorBoard writes in a thread of its own, which has ended by then."""
    breaking = f'[{{"class_path": "{__name__}.BreaksAtStepOne", "init_args": {{"replace": true}}}}]'
    assert fit(monkeypatch, tmp_path / "runs", "--evaluation.plans", "[]", "--trainer.callbacks", breaking) == 2
    (said,) = [line for line in capsys.readouterr().err.splitlines() if line.startswith("lit-rlvr: error:")]
    assert said.startswith(f"lit-rlvr: error: {tmp_path / 'runs' / 'tiny' / 'version_0'}")
    assert (tmp_path / "runs" / "tiny" / "version_0").read_bytes() == b""
