"""One evaluator: in training and alone, on one process and on two, uninterrupted and killed, the same seed gives the same rows."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from lit_rlvr.cli import run as lit_rlvr
from lit_rlvr.evaluation.command import main as evaluate

SEED = "3"
PLANS = json.dumps(
    [
        {"benchmark": "tiny500", "limit": 60, "max_tokens": 24, "rules": ["qwen"]},
        {"benchmark": "tiny500", "limit": 100, "max_tokens": 12, "samples": 8, "temperature": 0.6},
    ]
)


def rows_of(folder: Path, *without: str) -> list[dict[str, Any]]:
    rows = [json.loads(line) for line in (folder / "evaluations.jsonl").read_text().split("\n") if line]
    return [{key: value for key, value in row.items() if key not in ("seconds", *without)} for row in rows]


def arguments(policy: Path, output: Path, *more: str) -> list[str]:
    line = ["--policy", str(policy), "--plans", PLANS, "--seed", SEED, "--output", str(output), "--accelerator", "cpu"]
    return [*line, *more]


def start(repository: Path, line: list[str]) -> subprocess.Popen[str]:
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}
    return subprocess.Popen(
        [sys.executable, "-m", "lit_rlvr", "evaluate", *line],
        cwd=repository,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,  # so that a kill reaches every process of it
    )


@pytest.fixture(scope="module")
def trained(repository: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of two RL steps with an evaluation at its end."""
    folder = tmp_path_factory.mktemp("trained")
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.chdir(repository)
        lit_rlvr(
            [
                "fit", "--config", "configs/tiny.yaml", "--seed_everything", SEED, "--data.rl_steps", "2", "--data.rows", "2",
                "--model.sampling.max_tokens", "24", "--model.optimizer.init_args.lr", "0.003",
                "--evaluation.every_n_rl_steps", "0", "--evaluation.at_start", "false", "--evaluation.plans", PLANS,
                "--evaluation.endpoint_plans", "[]", "--trainer.logger.init_args.save_dir", str(folder),
            ]
        )  # fmt: skip
    return folder / "tiny" / "version_0"


@pytest.fixture(scope="module")
def alone(repository: Path, trained: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The evaluation of that run's last checkpoint by the command."""
    output = tmp_path_factory.mktemp("alone") / "out"
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.chdir(repository)
        assert evaluate(arguments(trained / "checkpoints" / "last.ckpt", output)) == 0
    return output


def test_in_training_and_alone(trained: Path, alone: Path, tmp_path: Path) -> None:
    in_training = rows_of(trained)
    assert [row["rl_step"] for row in in_training] == [2, 2]
    assert rows_of(alone) == in_training
    assert evaluate(arguments(trained / "policy", tmp_path / "out")) == 0
    assert rows_of(tmp_path / "out", "rl_step") == rows_of(trained, "rl_step")
    assert {row["rl_step"] for row in rows_of(tmp_path / "out")} == {0}  # a folder does not say


def test_other_seeds_and_policies_have_other_numbers(repository: Path, alone: Path, tmp_path: Path) -> None:
    assert evaluate(arguments(repository / "checkpoints" / "tiny-base", tmp_path / "base")) == 0
    assert all(a["correct"] != b["correct"] for a, b in zip(rows_of(tmp_path / "base"), rows_of(alone), strict=True))


def test_on_two_processes(repository: Path, trained: Path, alone: Path, tmp_path: Path) -> None:
    process = start(repository, arguments(trained / "checkpoints" / "last.ckpt", tmp_path / "out", "--devices", "2"))
    out, errors = process.communicate(timeout=240)
    assert process.returncode == 0, errors[-3000:]
    assert out.count("tiny500: 60 of 500 problems") == 1  # one process speaks
    assert rows_of(tmp_path / "out") == rows_of(alone)
    files = sorted(path.name for path in (tmp_path / "out" / "responses").iterdir())
    assert files == ["tiny500@1.jsonl", "tiny500@8.jsonl"]
    for name in files:
        assert (tmp_path / "out" / "responses" / name).read_bytes() == (alone / "responses" / name).read_bytes()


def test_killed_and_gone_on_with(
    repository: Path, trained: Path, alone: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    line = arguments(trained / "checkpoints" / "last.ckpt", tmp_path / "out")
    process = start(repository, line)
    part = tmp_path / "out" / "responses" / "tiny500@8.rank0.part"
    while (
        not part.exists() or b"\n" not in part.read_bytes()
    ):  # it is there, and empty, before its first chunk is in it
        assert process.poll() is None, process.communicate()
        time.sleep(0.005)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    (done,) = rows_of(tmp_path / "out")
    assert done == rows_of(alone)[0]
    part.write_bytes(part.read_bytes() + b'{"benchmark": "tiny')  # as it might have ended
    assert evaluate(line) == 0
    said = capsys.readouterr().out
    assert "tiny500: 60 of 500 problems" not in said  # that one was done
    assert "responses are there" in said
    assert rows_of(tmp_path / "out") == rows_of(alone)
    for name in ("tiny500@1.jsonl", "tiny500@8.jsonl"):
        assert (tmp_path / "out" / "responses" / name).read_bytes() == (alone / "responses" / name).read_bytes()
