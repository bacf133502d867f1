"""Starting two processes, as a user would, and reading what they leave behind."""

import json
import os
import subprocess
import sys
from pathlib import Path

PYTHON = (sys.executable, "-m")
TORCHRUN = (sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "-m")
"""What stands before the module to run: nothing, for Lightning starts the second process itself, or `torchrun`."""


def launch(repository: Path, *line: str, launcher: tuple[str, ...] = PYTHON) -> str:
    """Run a module to its end; what it said."""
    done = attempt(repository, *line, launcher=launcher)
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


def attempt(repository: Path, *line: str, launcher: tuple[str, ...] = PYTHON) -> "subprocess.CompletedProcess[str]":
    """Run a module to its end, whatever that is."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}
    return subprocess.run(
        [*launcher, *line], cwd=repository, env=environment, capture_output=True, text=True, timeout=240, check=False
    )


def fit_line(folder: Path, *arguments: str, processes: int = 2) -> list[str]:
    """Arguments of a small run."""
    return [
        "fit", "--config", "configs/tiny.yaml", "--trainer.devices", str(processes), "--model.sampling.max_tokens", "16",
        "--model.update.updates_per_rollout", "1", "--data.rows", "4", "--data.rl_steps", "3", "--data.source", "tiny-pool",
        "--evaluation.every_n_rl_steps", "1", "--evaluation.endpoint_plans", "[]",
        "--evaluation.plans", '[{"benchmark": "tiny500", "limit": 9, "max_tokens": 8}]',
        "--checkpoint.every_n_rl_steps", "1", "--checkpoint.keep", "9",
        "--trainer.logger.init_args.save_dir", str(folder), *arguments,
    ]  # fmt: skip


def callbacks(*entries: str | dict[str, object]) -> list[str]:
    """Arguments that add callbacks: class paths, or dictionaries with settings."""
    return ["--trainer.callbacks", json.dumps([{"class_path": e} if isinstance(e, str) else e for e in entries])]


def fit(repository: Path, folder: Path, *arguments: str, launcher: tuple[str, ...] = PYTHON) -> tuple[Path, str]:
    """The run's folder and what it said."""
    said = launch(repository, "lit_rlvr", *fit_line(folder, *arguments), launcher=launcher)
    assert [p.name for p in (folder / "tiny").iterdir()] == ["version_0"]
    return folder / "tiny" / "version_0", said
