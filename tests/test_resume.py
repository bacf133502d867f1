"""A run that was stopped and resumed ends where an uninterrupted one does, to the last bit, on CPU."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from lit_rlvr.models.export import export_checkpoint

SMALL = [
    "--config", "configs/tiny.yaml",
    "--model.sampling.max_tokens", "16",
    "--model.update.updates_per_rollout", "2",
    "--data.source", "tiny-pool",
    "--data.rows", "4",
    "--evaluation.every_n_rl_steps", "2",
    "--evaluation.plans", '[{"benchmark": "tiny500", "limit": 8, "max_tokens": 8, "samples": 2, "temperature": 0.6}]',
    "--evaluation.endpoint_plans", "[]",
    "--checkpoint.every_n_rl_steps", "1",
    "--checkpoint.keep", "9",
]  # fmt: skip


def command(folder: Path, rl_steps: int, *arguments: str) -> list[str]:
    line = [sys.executable, "-m", "lit_rlvr.cli", "fit", *SMALL, "--data.rl_steps", str(rl_steps)]
    return [*line, "--trainer.logger.init_args.save_dir", str(folder), *arguments]


def environment() -> dict[str, str]:
    return {**os.environ, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}


def run(repository: Path, folder: Path, rl_steps: int, *arguments: str) -> Path:
    line = command(folder, rl_steps, *arguments)
    done = subprocess.run(line, cwd=repository, env=environment(), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return folder / "tiny" / "version_0"


def end_state(run: Path) -> dict[str, Any]:
    checkpoint = torch.load(run / "checkpoints" / "last.ckpt", weights_only=True)
    return {key: checkpoint[key] for key in ("state_dict", "optimizer_states", "global_step", "callbacks")}


def assert_same(a: Any, b: Any, where: str = "") -> None:
    if isinstance(a, torch.Tensor):
        assert torch.equal(a, b), where
    elif isinstance(a, dict):
        assert a.keys() == b.keys(), where
        for key in a:
            if key != "seconds":  # the one thing that a clock decides
                assert_same(a[key], b[key], f"{where}/{key}")
    elif isinstance(a, list | tuple):
        assert len(a) == len(b), where
        for i, (x, y) in enumerate(zip(a, b, strict=True)):
            assert_same(x, y, f"{where}/{i}")
    else:
        assert a == b, where


def assert_same_run(a: Path, b: Path) -> None:
    assert_same(end_state(a), end_state(b))
    assert (a / "history.json").read_text() == (b / "history.json").read_text()
    rows = [[json.loads(line) for line in (r / "evaluations.jsonl").read_text().splitlines()] for r in (a, b)]
    assert_same(*rows)


@pytest.fixture(scope="module")
def whole(repository: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six RL steps without a stop."""
    return run(repository, tmp_path_factory.mktemp("whole"), 6)


def test_resumed_equals_uninterrupted(whole: Path, repository: Path, tmp_path: Path) -> None:
    resumed = run(repository, tmp_path, 6, "--ckpt_path", str(whole / "checkpoints" / "rl_step=3.ckpt"))
    assert_same_run(whole, resumed)


def test_resumed_ppo_equals_uninterrupted(repository: Path, tmp_path: Path) -> None:
    ppo = ["--model.algorithm", "PPO", "--model.algorithm.init_args.critic_warmup", "2", "--model.update.epochs", "2"]
    whole = run(repository, tmp_path / "whole", 4, *ppo)
    checkpoint = whole / "checkpoints" / "rl_step=1.ckpt"  # in the middle of the warm-up
    resumed = run(repository, tmp_path / "resumed", 4, *ppo, "--ckpt_path", str(checkpoint))
    assert_same_run(whole, resumed)
    states = end_state(whole)
    assert len(states["optimizer_states"]) == 2
    assert states["state_dict"]["critic.head.weight"].abs().max() > 0


def test_resumed_lora_equals_uninterrupted(repository: Path, tmp_path: Path) -> None:
    lora = ["--config", "configs/model/lora.yaml", "--model.optimizer.init_args.lr", "1e-3"]
    whole = run(repository, tmp_path / "whole", 4, *lora)
    resumed = run(
        repository, tmp_path / "resumed", 4, *lora, "--ckpt_path", str(whole / "checkpoints" / "rl_step=2.ckpt")
    )
    assert_same_run(whole, resumed)
    state = end_state(whole)["state_dict"]
    assert [name for name in state if "lora_" not in name] == ["rl_step"]  # the base is not in it
    export_checkpoint(whole / "checkpoints" / "last.ckpt", tmp_path / "exported")
    exported, written = (
        load_file(folder / "model.safetensors") for folder in (tmp_path / "exported", whole / "policy")
    )
    assert_same(exported, written)
    base = load_file(repository / "checkpoints" / "tiny-base" / "model.safetensors")
    assert exported.keys() == base.keys()
    changed = {name for name, value in exported.items() if not torch.equal(value, base[name].float())}
    assert changed == {name for name in base if "_proj.weight" in name}


def test_killed_and_resumed_equals_uninterrupted(whole: Path, repository: Path, tmp_path: Path) -> None:
    process = subprocess.Popen(
        command(tmp_path / "killed", 6),
        cwd=repository,
        env=environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    checkpoints = tmp_path / "killed" / "tiny" / "version_0" / "checkpoints"
    while not (checkpoints / "rl_step=2.ckpt").exists():
        assert process.poll() is None
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    process.wait()
    resumed = run(repository, tmp_path / "resumed", 6, "--ckpt_path", str(checkpoints / "last.ckpt"))
    assert_same_run(whole, resumed)


def test_a_finished_run_can_be_made_longer(whole: Path, repository: Path, tmp_path: Path) -> None:
    short = run(repository, tmp_path / "short", 3)
    longer = run(repository, tmp_path / "long", 6, "--ckpt_path", str(short / "checkpoints" / "last.ckpt"))
    # The short run was also evaluated at its own end, which the whole one was not.
    assert_same(end_state(whole)["state_dict"], end_state(longer)["state_dict"])
    assert_same(end_state(whole)["optimizer_states"], end_state(longer)["optimizer_states"])


def test_nothing_left_to_do_is_said(whole: Path, repository: Path, tmp_path: Path) -> None:
    line = command(tmp_path, 6, "--ckpt_path", str(whole / "checkpoints" / "last.ckpt"))
    done = subprocess.run(line, cwd=repository, env=environment(), capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "has had 6 RL steps" in done.stderr
