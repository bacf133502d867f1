"""One process of two is killed: the other does not wait for it for ever, and says what happened."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest


def _start(repository: Path, folder: Path) -> "subprocess.Popen[str]":
    line = [sys.executable, "-m", "lit_rlvr", "fit", "--config", "configs/tiny.yaml", "--data.rl_steps", "500"]
    line += ["--model.sampling.max_tokens", "16", "--evaluation.plans", "[]", "--evaluation.endpoint_plans", "[]"]
    line += ["--checkpoint.every_n_rl_steps", "1", "--trainer.devices", "2", "--trainer.strategy", "ddp"]
    line += ["--trainer.logger.init_args.save_dir", str(folder)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}
    return subprocess.Popen(
        line, cwd=repository, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        start_new_session=True,
    )  # fmt: skip


@pytest.mark.parametrize("rank", [0, 1])
def test_the_other_ends_with_a_sentence(rank: int, repository: Path, tmp_path: Path) -> None:
    process = _start(repository, tmp_path)
    checkpoints = tmp_path / "tiny" / "version_0" / "checkpoints"
    while not (checkpoints / "rl_step=2.json").exists():
        assert process.poll() is None, process.communicate()[0]
        time.sleep(0.02)
    tasks = Path(f"/proc/{process.pid}/task").glob("*/children")
    (other,) = [
        int(child) for task in tasks for child in task.read_text().split()
        if "lit_rlvr" in Path(f"/proc/{child}/cmdline").read_text()
    ]  # fmt: skip
    began = time.monotonic()
    os.kill((process.pid, other)[rank], signal.SIGKILL)
    out = process.communicate(timeout=90)[0]  # to the end of both: they share the pipe
    assert time.monotonic() - began < 60
    # The first process may be in a rollout when its child dies: then Lightning's watchman ends it, with a line of its own.
    watched = rank == 1 and "terminated with code -9" in out
    assert watched or "another process of the run is gone" in out, out
    assert process.returncode != 0
    assert (checkpoints / "last.ckpt").exists()
