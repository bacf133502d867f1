"""The wall clock jumps by an hour, there and back, all the time: nothing in a run is measured by it."""

import itertools
import re
import time
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning import Trainer
from lightning.pytorch.loggers import TensorBoardLogger

from lit_rlvr.algorithms.grpo import GRPO
from lit_rlvr.callbacks.evaluate import PeriodicEvaluation
from lit_rlvr.callbacks.progress import RLProgressBar
from lit_rlvr.data.datamodule import OneShotDataModule
from lit_rlvr.evaluation.plan import EvaluationPlan
from lit_rlvr.events import event_files, read_events
from lit_rlvr.files import json_lines
from lit_rlvr.module import RLVRModule
from lit_rlvr.rewards.pool import Pool
from lit_rlvr.rewards.rewards import AnswerReward
from lit_rlvr.rollout.engine import Sampling
from lit_rlvr.rollout.transformers_engine import TransformersEngine

REAL = time.time


@pytest.fixture
def jumping(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each look at the clock is an hour off, in turn ahead and behind."""
    hours = itertools.cycle([0, 3600, -3600])
    monkeypatch.setattr(time, "time", lambda: REAL() + next(hours))


def test_nothing_of_ours_asks_the_wall_clock(repository: Path) -> None:
    files = list((repository / "lit_rlvr").rglob("*.py"))
    assert len(files) > 100
    asked = re.compile(r"\btime\.time(_ns)?\(|from time import|datetime|\bgmtime|\blocaltime|CLOCK_REALTIME")
    assert [str(file) for file in files if asked.search(file.read_text("utf-8"))] == []


def run(repository: Path, folder: Path) -> RLVRModule:
    module = RLVRModule(
        str(repository / "checkpoints" / "tiny-base"), GRPO(), TransformersEngine(), AnswerReward(),
        sampling=Sampling(n=4, max_tokens=8),
    )  # fmt: skip
    trainer = Trainer(
        max_epochs=1, accelerator="cpu", enable_checkpointing=False, enable_model_summary=False, log_every_n_steps=1,
        logger=TensorBoardLogger(folder, name="", version="run"),
        callbacks=[PeriodicEvaluation([EvaluationPlan("tiny500", limit=4, max_tokens=8)], every_n_rl_steps=1), RLProgressBar()],
    )  # fmt: skip
    trainer.fit(module, datamodule=OneShotDataModule(rows=2, rl_steps=3))
    return module


def test_a_run_is_the_same_and_its_seconds_are_true(
    repository: Path, tmp_path: Path, request: pytest.FixtureRequest, capsys: pytest.CaptureFixture[str]
) -> None:
    steady = run(repository, tmp_path / "steady")
    request.getfixturevalue("jumping")
    begin = time.monotonic()
    jumped = run(repository, tmp_path / "jumped")
    took = time.monotonic() - begin
    assert all(torch.equal(a, b) for a, b in zip(steady.parameters(), jumped.parameters(), strict=True))

    def rows(name: str) -> list[dict[str, Any]]:
        return [row for _, row in json_lines(tmp_path / name / "run" / "evaluations.jsonl")]

    assert [row | {"seconds": 0} for row in rows("jumped")] == [row | {"seconds": 0} for row in rows("steady")]
    assert all(0 < row["seconds"] < took for row in rows("jumped"))
    events, notes = read_events(event_files(tmp_path / "jumped" / "run"))
    assert notes == []
    for name, values in events.scalars.items():
        assert list(values) == sorted(values)
        if name.startswith("time/"):
            assert all(0 <= seconds < took for seconds in values.values()), name
    assert list(events.scalars["time/step"]) == [0, 1, 2]
    shown = re.findall(r"([-\d.]+)s$", capsys.readouterr().out, re.MULTILINE)  # at the end of each step's line
    assert shown
    assert all(0 <= float(seconds) < took for seconds in shown)


def test_the_verifier_s_time_limit_holds(jumping: None) -> None:
    """Neither is a fair answer cut short nor a slow one let go on."""
    pool = Pool(workers=1, timeout=1.5)
    try:
        begin = time.monotonic()
        outcomes = pool.judge([("exact", "1+x", "x+1"), ("qwen", "(x+y+z)^{400}", "1"), ("exact", "2+x", "x+2")])
        assert outcomes == ["equal", "too_costly", "equal"]
        assert time.monotonic() - begin < 20
    finally:
        pool.close()
