"""Part 1: a few RL steps of the tiny default under each strategy in bfloat16, with and without accelerate; doctor; determinism.

Each in a process of its own, several at a time: what counts is that they run and what they log, not how long they take.
"""

import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch

from lit_rlvr.events import event_files, read_events
from tests.benchmarks.gpu.hidden import VARIABLE
from tests.benchmarks.gpu.job import Job, Result

CONFIG = ["--config", "configs/tiny.yaml"]
# A tenth of the file's learning rate: the KL of three steps is then far below what a wrong reference gives (about 8).
SHORT = [
    *("--model.sampling.temperature", "0.6"),
    *("--model.optimizer.init_args.lr", "1e-5"),
    *("--evaluation.plans", "[]"),
    *("--evaluation.endpoint_plans", "[]"),
]
CURVES = (
    "train/kl",
    "train/approx_kl",
    "train/clip_fraction",
    "train/loss",
    "train/grad_norm",
    "rollout/logprob_diff/mean",
)
LARGEST = {"train/kl": 1e-3, "train/approx_kl": 1e-3, "train/clip_fraction": 0.05, "rollout/logprob_diff/mean": 0.05}
"""What the curves may reach at any step: a right reference, ratios near 1, an engine that has the trainer's weights."""


@dataclass(frozen=True)
class Command:
    """A lit-rlvr command.

    Attributes:
        name: what it is called in the report.
        arguments: of the command.
        hidden: a package that it shall not find.
        trains: whether there are curves to look at.
    """

    name: str
    arguments: tuple[str, ...]
    hidden: str = ""
    trains: bool = True


def run(job: Job) -> Result:
    """Do the part."""
    accelerate = find_spec("accelerate") is not None
    if not accelerate:
        job.report.put("accelerate is not installed here, so no run has it", "left out")
    todo = commands(job, accelerate)
    at_once = max(1, min(len(todo), (os.cpu_count() or 2) * 3 // 4))
    job.report.put({"commands": len(todo), "at once": at_once}, "work")
    with ThreadPoolExecutor(at_once) as pool:
        running = {pool.submit(execute, job, command): command.name for command in todo}
        for done in as_completed(running):
            job.report.put(done.result(), "runs", running[done])
    runs = job.report.content["runs"]
    twice = [runs[name].get("curves") for name in ("deterministic", "deterministic again")]
    job.report.put(twice[0] is not None and twice[0] == twice[1], "deterministic_runs_equal")
    bad = [name for name, one in runs.items() if not one["ok"]]
    ok = not bad and bool(job.report.content["deterministic_runs_equal"])
    worst = max((max(one["curves"]["train/kl"]) for one in runs.values() if one.get("curves")), default=float("nan"))
    says = f"{len(runs) - len(bad)} of {len(runs)} as they should be, largest KL {worst:.1e}"
    says += f", deterministic runs {'equal' if job.report.content['deterministic_runs_equal'] else 'NOT equal'}"
    return Result(ok, says + (f"; not: {', '.join(bad)}" if bad else ""))


def commands(job: Job, accelerate: bool) -> list[Command]:
    """All runs: every strategy on one device, on two where there are two, with accelerate and without."""
    place = ["--trainer.accelerator", "cpu" if job.size.small else "gpu"]
    devices = (1, 2) if job.device.type == "cuda" and torch.cuda.device_count() > 1 else (1,)
    found = []
    for strategy in ("auto", "ddp", "fsdp2"):
        for count in devices if strategy != "auto" else (1,):
            for hidden in ("", "accelerate") if accelerate else ("accelerate",):
                name = f"{strategy} on {count}{' without' if hidden else ' with'} accelerate"
                settings = ["--trainer.strategy", strategy, "--trainer.devices", str(count)]
                steps = ["--trainer.precision", "bf16-mixed", "--data.rl_steps", str(job.size.fit_steps)]
                found.append(Command(name, ("fit", *CONFIG, *SHORT, *place, *settings, *steps), hidden))
    steady = ("fit", *CONFIG, *SHORT, *place, "--trainer.deterministic", "true", "--data.rl_steps", "1")
    found += [Command(name, steady) for name in ("deterministic", "deterministic again")]
    doctor = ("doctor", *CONFIG, *place, "--trainer.precision", "bf16-mixed")
    return [*found, Command("doctor", doctor, trains=False)]


def start(job: Job, command: Command, folder: Path) -> "subprocess.Popen[str]":
    """Start a command that keeps its run below a folder; it is in this process' group, and ends with it."""
    module = "tests.benchmarks.gpu.hidden" if command.hidden else "lit_rlvr"
    line = [sys.executable, "-m", module, *command.arguments, "--trainer.logger.init_args.save_dir", str(folder)]
    environment = os.environ | {VARIABLE: command.hidden}
    return subprocess.Popen(line, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def execute(job: Job, command: Command) -> dict[str, Any]:
    """Run a command to its end, and look at what it logged."""
    folder = job.scratch / command.name.replace(" ", "-")
    started = time.perf_counter()
    process = start(job, command, folder)
    try:
        output, _ = process.communicate(timeout=max(1.0, job.left_s() - 2))
    except subprocess.TimeoutExpired:
        process.kill()
        output, _ = process.communicate()
    found: dict[str, Any] = {"seconds": round(time.perf_counter() - started, 1), "exit_status": process.returncode}
    if process.returncode or not command.trains:
        found["output"] = output[-2500:]
    if command.trains and process.returncode == 0:
        found["curves"] = curves(next(folder.glob("*/version_0")))
        found["too_large"] = too_large(found["curves"])
    return found | {"ok": process.returncode == 0 and not found.get("too_large")}


def curves(run: Path) -> dict[str, list[float]]:
    """Curve -> its values, RL step by RL step."""
    events, _ = read_events(event_files(run))
    return {name: list(events.scalars[name].values()) for name in CURVES}


def too_large(found: dict[str, list[float]]) -> list[str]:
    """Curves that go over what they may, or are no number somewhere."""
    return [name for name, most in LARGEST.items() if not all(abs(value) <= most for value in found[name])]
