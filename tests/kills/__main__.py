"""Kill one run many times at random moments, go on with `--ckpt_path last` each time, and compare its end with an undisturbed run.

    python -m tests.kills --set-up grpo --kills 20

SIGKILL to all processes of the run at once, so that none can tidy up. Every third kill waits for a checkpoint to be half
written; the others come at a random time after the run has started. Where each one struck is read from the process' stack.
"""

import argparse
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from lit_rlvr.events import event_files
from tests.kills.sameness import unlike

REPOSITORY = Path(__file__).resolve().parents[2]

RUN = [
    "--config", "configs/tiny.yaml",
    "--model.sampling.max_tokens", "24",
    "--data.source", "tiny-pool",
    "--data.rows", "4",
    "--data.rl_steps", "80",
    "--evaluation.every_n_rl_steps", "3",
    "--evaluation.plans", '[{"benchmark": "tiny500", "limit": 60, "max_tokens": 24, "samples": 2, "temperature": 0.6}]',
    "--evaluation.endpoint_plans", "[]",
    "--checkpoint.every_n_rl_steps", "2",
    "--ckpt_path", "last",
]  # fmt: skip

_TWO = ["--trainer.devices", "2", "--trainer.strategy"]
_PPO = ["--model.algorithm", "PPO", "--model.algorithm.init_args.critic_warmup", "2"]
SET_UPS = {
    "grpo": [],
    "ppo": _PPO,
    "ddp": [*_TWO, "ddp"],
    "ddp-ppo": [*_TWO, "ddp", *_PPO],
    "fsdp2": [*_TWO, "fsdp2"],
    "fsdp2-ppo": [*_TWO, "fsdp2", *_PPO],
}

PHASES = (  # innermost first: a function on the stack -> what was going on
    ("whole_file.py", "writing a checkpoint"),
    ("callbacks/checkpoint.py", "saving"),
    ("evaluation/evaluator.py", "evaluation"),
    ("training/update.py", "update"),
    ("training/score.py", "scoring"),
    ("rollout/", "rollout"),
    ("rewards/", "verifying"),
    ("training/", "between"),
)


def start(folder: Path, more: list[str], stack: Path) -> "subprocess.Popen[bytes]":
    """A run in a session of its own."""
    line = [sys.executable, "-m", "tests.kills.child", "fit", *RUN, "--trainer.logger.init_args.save_dir", str(folder)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1", "KILLS_STACK": str(stack)}
    with open(folder / "log.txt", "ab") as log:
        return subprocess.Popen(
            [*line, *more], cwd=REPOSITORY, env=environment, stdout=log, stderr=log, start_new_session=True
        )


def phase_of(process: "subprocess.Popen[bytes]", stack: Path) -> str:
    """What the run's first process is doing."""
    try:
        os.kill(process.pid, signal.SIGUSR2)
    except ProcessLookupError:
        return "over"
    time.sleep(0.02)
    text = stack.read_text(errors="replace") if stack.exists() else ""
    return next((name for part, name in PHASES if part in text), "starting")


def kill_once(process: "subprocess.Popen[bytes]", run: Path, rng: random.Random, half_written: bool) -> bool:
    """Wait for the moment; whether the run was still there then."""
    before = set(event_files(run))
    while not set(event_files(run)) - before:  # opened when training starts
        if process.poll() is not None:
            return False
        time.sleep(0.01)
    if half_written:
        while not list((run / "checkpoints").glob(".rl_step=*.tmp")):
            if process.poll() is not None:
                return False
            time.sleep(0.0005)
        time.sleep(rng.uniform(0, 0.02))
    else:
        time.sleep(rng.uniform(0, 3))
    return process.poll() is None


def finish(folder: Path, more: list[str], stack: Path) -> Path:
    """Let a run come to its end."""
    status = start(folder, more, stack).wait()
    if status:
        sys.exit(f"the run in {folder} ended with status {status}:\n{(folder / 'log.txt').read_text()[-3000:]}")
    return folder / "tiny" / "version_0"


def main() -> None:
    """Do it for one set-up."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--set-up", choices=SET_UPS, default="grpo")
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    rng, more = random.Random(asked.seed), SET_UPS[asked.set_up]
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        whole, killed, stack = root / "whole", root / "killed", root / "stack.txt"
        whole.mkdir()
        killed.mkdir()
        undisturbed = finish(whole, more, stack)
        run, struck = killed / "tiny" / "version_0", Counter[str]()
        while sum(struck.values()) < asked.kills:
            stack.unlink(missing_ok=True)
            process = start(killed, more, stack)
            if not kill_once(process, run, rng, half_written=sum(struck.values()) % 3 == 2):
                break  # it was over before its time
            phase = phase_of(process, stack)
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            struck[phase] += 1
            print(f"kill {sum(struck.values())}: {phase}", flush=True)
        if process.poll() != 0:
            finish(killed, more, stack)
        found = unlike(undisturbed, run)
        others = sorted(p.name for p in (killed / "tiny").iterdir())
    where = ", ".join(f"{n} {phase}" for phase, n in struck.most_common())
    print(f"{asked.set_up}: {sum(struck.values())} kills ({where}); folders {others}; ", end="")
    print("the end is that of the undisturbed run" if not found else f"DIFFERENT in {found[:20]}")
    sys.exit(bool(found) or sum(struck.values()) < asked.kills)


if __name__ == "__main__":
    main()
