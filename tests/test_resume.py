"""A run that was stopped and resumed ends where an uninterrupted one does, to the last bit, on CPU."""

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

from lit_rlvr.checkpoints import read_manifest
from lit_rlvr.models.export import export_checkpoint
from tests.kills.sameness import differences, end_state, unlike

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


def attempt(repository: Path, folder: Path, rl_steps: int, *arguments: str) -> "subprocess.CompletedProcess[str]":
    line = command(folder, rl_steps, *arguments)
    return subprocess.run(line, cwd=repository, env=environment(), capture_output=True, text=True, check=False)


def run(repository: Path, folder: Path, rl_steps: int, *arguments: str) -> Path:
    done = attempt(repository, folder, rl_steps, *arguments)
    assert done.returncode == 0, done.stderr
    return folder / "tiny" / "version_0"


def assert_same(a: Any, b: Any) -> None:
    assert differences(a, b) == []


def assert_same_run(a: Path, b: Path) -> None:
    assert [place for place in unlike(a, b) if not place.startswith("curves")] == []  # they begin where b does


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
    done = attempt(repository, tmp_path, 6, "--ckpt_path", str(whole / "checkpoints" / "last.ckpt"))
    assert done.returncode == 2
    assert "has had 6 RL steps" in done.stderr


def start(repository: Path, folder: Path, rl_steps: int, *arguments: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        command(folder, rl_steps, *arguments), cwd=repository, env=environment(), text=True,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip


def wait_for(there: Path, process: "subprocess.Popen[str]") -> None:
    while not there.exists():
        assert process.poll() is None, process.communicate()[0]
        time.sleep(0.005)


def test_last_goes_on_in_the_same_folder(whole: Path, repository: Path, tmp_path: Path) -> None:
    run_folder = tmp_path / "tiny" / "version_0"
    process = start(repository, tmp_path, 6)
    wait_for(run_folder / "checkpoints" / "rl_step=4.json", process)  # its manifest, which comes last
    process.kill()
    process.wait()
    newest = max((run_folder / "checkpoints").glob("rl_step=*.ckpt"), key=lambda p: p.name)
    content = bytearray(newest.read_bytes())
    content[len(content) // 2] ^= 1  # one bit
    newest.write_bytes(content)
    done = attempt(repository, tmp_path, 6, "--ckpt_path", "last")
    assert done.returncode == 0, done.stderr
    assert f"{newest} is damaged" in done.stderr
    assert "The run goes on from" in done.stdout
    assert newest.name not in done.stdout.split("The run goes on from")[1].splitlines()[0]
    assert unlike(whole, run_folder) == []  # curves as well: one folder, no point twice
    assert [p.name for p in (tmp_path / "tiny").iterdir()] == ["version_0"]
    manifest = read_manifest(run_folder / "checkpoints" / "last.ckpt")
    assert manifest is not None
    assert manifest.finished
    # Nothing is left to do: for `last` that is a mistake, for a job that is always started with `resume: auto` it is not.
    for arguments, status in (["--ckpt_path", "last"], 2), (["--resume", "auto"], 0):
        again = attempt(repository, tmp_path, 6, *arguments)
        assert again.returncode == status
        assert "nothing left to do" in again.stdout + again.stderr


def test_a_signal_in_a_long_rollout_leaves_a_checkpoint(repository: Path, tmp_path: Path) -> None:
    # At this temperature tokens are drawn nearly evenly and responses end after hundreds: a million tokens in one rollout.
    endless = ["--model.sampling.max_tokens", "3900", "--model.sampling.n", "64", "--data.rows", "64"]
    endless += ["--model.sampling.temperature", "5"]
    kept = run(repository, tmp_path, 1, "--checkpoint.export", "false") / "checkpoints" / "rl_step=1.ckpt"
    before = kept.stat().st_mtime_ns
    arguments = ["--resume", "auto", "--evaluation.plans", "[]", *endless]
    process = start(repository, tmp_path, 3, *arguments)
    assert process.stdout is not None
    for text in process.stdout:
        if "Restored all states" in text:
            break
    time.sleep(2.0)  # the start of training, and into the rollout
    asked = time.monotonic()
    process.send_signal(signal.SIGTERM)
    out = process.communicate(timeout=60)[0]
    assert time.monotonic() - asked < 15
    assert process.returncode == 128 + signal.SIGTERM, out
    assert "SIGTERM: the run stops after RL step 1, which is saved" in out
    assert kept.stat().st_mtime_ns == before  # it was there already


def test_interrupted_and_resumed_equals_uninterrupted(whole: Path, repository: Path, tmp_path: Path) -> None:
    run_folder = tmp_path / "tiny" / "version_0"
    process = start(repository, tmp_path, 6)
    wait_for(run_folder / "checkpoints" / "rl_step=2.json", process)
    process.send_signal(signal.SIGINT)
    out = process.communicate(timeout=60)[0]
    assert process.returncode == 128 + signal.SIGINT, out
    assert "SIGINT: the run stops after RL step" in out
    run(repository, tmp_path, 6, "--resume", "auto")
    assert unlike(whole, run_folder) == []


def test_a_full_disk_stops_the_run_and_loses_nothing(repository: Path, tmp_path: Path) -> None:
    run_folder = run(repository, tmp_path, 2)
    before = {path.name: path.read_bytes() for path in (run_folder / "checkpoints").glob("rl_step=*")}
    # Where no file may grow beyond 6 MB, the next checkpoint of 8.5 MB breaks off in the middle.
    limited = ["bash", "-c", 'ulimit -f 6000; exec "$@"', "bash", *command(tmp_path, 4, "--ckpt_path", "last")]
    done = subprocess.run(limited, cwd=repository, env=environment(), capture_output=True, text=True, check=False)
    assert done.returncode == 2, done.stderr
    assert "rl_step=3.ckpt cannot be written: File too large" in done.stderr
    assert "goes on from rl_step=2.ckpt" in done.stderr
    assert {path.name: path.read_bytes() for path in (run_folder / "checkpoints").glob("rl_step=*")} == before
    assert not list((run_folder / "checkpoints").glob(".*"))
    run(repository, tmp_path, 4, "--ckpt_path", "last")


def test_one_run_at_a_time_in_a_folder(repository: Path, tmp_path: Path) -> None:
    process = start(repository, tmp_path, 50)
    wait_for(tmp_path / "tiny" / "version_0" / "checkpoints" / "rl_step=1.json", process)
    process.send_signal(signal.SIGSTOP)  # alive, and out of the others' way
    for arguments, said in (
        (["--ckpt_path", "last"], "Another run is at work in"),
        (["--trainer.logger.init_args.version", "0"], "Another run is at work in"),
    ):
        second = attempt(repository, tmp_path, 50, *arguments)
        assert second.returncode == 2
        assert said in second.stderr
        assert f"process {process.pid} on" in second.stderr
    process.kill()
    process.wait()
    files = {path: path.stat().st_mtime_ns for path in (tmp_path / "tiny" / "version_0").rglob("*") if path.is_file()}
    mixed = attempt(repository, tmp_path, 50, "--trainer.logger.init_args.version", "0")
    assert mixed.returncode == 2
    assert "holds a run already" in mixed.stderr
    lock = tmp_path / "tiny" / "version_0" / "run.lock"
    assert all(path.stat().st_mtime_ns == before for path, before in files.items() if path != lock)


def test_slurm_takes_the_job_back_and_it_goes_on(whole: Path, repository: Path, tmp_path: Path) -> None:
    called = tmp_path / "scontrol.txt"
    (tmp_path / "bin").mkdir()
    scontrol = tmp_path / "bin" / "scontrol"  # SLURM's own is not here; what it is asked for is
    scontrol.write_text(f'#!/bin/sh\necho "$@" >> {called}\n')
    scontrol.chmod(0o755)
    job = {
        **environment(), "PATH": f"{scontrol.parent}:{os.environ['PATH']}", "SLURM_JOB_ID": "77", "SLURM_JOB_NAME": "one-shot",
        "SLURM_NTASKS": "1", "SLURM_NTASKS_PER_NODE": "1", "SLURM_PROCID": "0", "SLURM_LOCALID": "0", "SLURM_NODEID": "0",
        "SLURM_NODELIST": "localhost",
    }  # fmt: skip
    run_folder = tmp_path / "tiny" / "version_0"
    process = subprocess.Popen(
        command(tmp_path, 6), cwd=repository, env=job, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    wait_for(run_folder / "checkpoints" / "rl_step=2.json", process)
    process.send_signal(signal.SIGUSR1)
    out = process.communicate(timeout=60)[0]
    assert process.returncode == 0, out
    assert called.read_text() == "requeue 77\n"
    again = {**job, "SLURM_RESTART_COUNT": "1"}
    done = subprocess.run(command(tmp_path, 6), cwd=repository, env=again, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert unlike(whole, run_folder) == []
