"""Part 7: seconds of the whole tiny default, and of the way to its effect: greedy accuracy above 80% on 500 held-out problems."""

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from tests.benchmarks.gpu.job import Job, Result

GOAL = 0.8


def run(job: Job) -> Result:
    """Do the part."""
    place = ["--trainer.accelerator", "cpu" if job.size.small else "gpu"]
    where = ["--trainer.logger.init_args.save_dir", str(job.scratch)]
    line = [sys.executable, "-m", "lit_rlvr", "fit", "--config", "configs/tiny.yaml", *place, *where, *job.size.effect]
    started = time.perf_counter()
    log = job.scratch / "log-of-the-run"
    with log.open("w") as output:
        process = subprocess.Popen(line, stdout=output, stderr=subprocess.STDOUT)
    rows_file = job.scratch / "tiny" / "version_0" / "evaluations.jsonl"
    seen = 0
    while process.poll() is None:
        seen = take(job, rows_file, seen, time.perf_counter() - started)
        time.sleep(0.25)
    take(job, rows_file, seen, time.perf_counter() - started)
    job.report.put(round(time.perf_counter() - started, 1), "whole_run_s")
    if process.returncode:
        job.report.put(log.read_text("utf-8", "replace")[-2500:], "output")
        return Result(False, f"the run ended with exit status {process.returncode}")
    greedy = [row for row in job.report.content.get("evaluations", []) if row["k"] == 1]
    first = next((row for row in greedy if row["accuracy"] > GOAL), None)
    job.report.put(first, "first_above_80_percent")
    says = f"whole run {job.report.content['whole_run_s']} s, greedy {greedy[0]['accuracy']:.1%} -> {greedy[-1]['accuracy']:.1%}"
    if first is not None:
        says += f", above 80% at RL step {first['rl_step']} after {first['after_s']} s"
    return Result(first is not None or bool(job.size.effect), says)


def take(job: Job, file: Path, seen: int, after_s: float) -> int:
    """Report evaluations that have come since; returns how many there are now."""
    lines = file.read_text("utf-8").splitlines(keepends=True) if file.exists() else []
    whole = [line for line in lines if line.endswith("\n")]
    for line in whole[seen:]:
        row: dict[str, Any] = json.loads(line)
        kept = {name: row[name] for name in ("rl_step", "k", "accuracy")}
        job.report.append(kept | {"after_s": round(after_s, 1)}, "evaluations")
    return len(whole)
