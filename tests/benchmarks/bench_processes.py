"""Seconds per RL step of the tiny default on one process and on two, the same rows in all.

    python tests/benchmarks/bench_processes.py [--rounds 2] [--rl_steps 20] [--ways ddp-2x1 …] [--rows 8]

Whole runs of the command, in turns (A B C A B C), without evaluations; the seconds of a step are the run's own
(`time/step`, the slowest rank's), medians over all steps but the first two of each run. A way is named
STRATEGY-PROCESSESxTHREADS. Prints JSON.
"""

import argparse
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from lit_rlvr.events import event_files, read_events

REPOSITORY = Path(__file__).resolve().parents[2]
WAYS = ("auto-1x1", "auto-1x2", "ddp-2x1", "fsdp2-2x1")
PHASES = ("rollout", "verify", "score", "forward", "backward", "optimizer", "sync")
WARM_UP = 2  # the first step allocates, and under FSDP2 the second still does


def run(way: str, rows: int, rl_steps: int) -> dict[str, list[float]]:
    """Metric -> its value in each step of a run, those of the warm-up left out."""
    strategy, processes, threads = re.fullmatch(r"(\w+)-(\d+)x(\d+)", way).groups()
    with tempfile.TemporaryDirectory() as folder:
        line = [
            sys.executable, "-m", "lit_rlvr", "fit", "--config", "configs/tiny.yaml", "--trainer.strategy", strategy,
            "--trainer.devices", processes, "--data.rows", str(rows), "--data.rl_steps", str(rl_steps),
            "--evaluation.plans", "[]", "--evaluation.endpoint_plans", "[]", "--checkpoint.every_n_rl_steps", "0",
            "--checkpoint.export", "false", "--trainer.logger.init_args.save_dir", folder,
        ]  # fmt: skip
        environment = {**os.environ, "OMP_NUM_THREADS": threads, "HF_HUB_OFFLINE": "1"}
        done = subprocess.run(line, cwd=REPOSITORY, env=environment, capture_output=True, text=True, check=False)
        if done.returncode:
            sys.exit(f"{way} failed:\n{done.stderr[-2000:]}")
        events, _ = read_events(event_files(Path(folder) / "tiny" / "version_0"))
    wanted = ["time/step", "rollout/tokens_per_second", "rollout/length/mean", *(f"time/{phase}" for phase in PHASES)]
    return {name: list(events.scalars[name].values())[WARM_UP:] for name in wanted}


def main() -> None:
    """Run every way in turns and print what a step took."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--rl_steps", type=int, default=20)
    parser.add_argument("--rows", type=int, default=8)
    parser.add_argument("--ways", nargs="+", default=list(WAYS))
    options = parser.parse_args()
    if options.rl_steps <= WARM_UP:
        parser.error(f"--rl_steps must be above {WARM_UP}: that many are left out")
    found: dict[str, list[dict[str, list[float]]]] = {way: [] for way in options.ways}
    for turn in range(options.rounds):
        for way in options.ways:
            found[way].append(run(way, options.rows, options.rl_steps))
            seconds = statistics.median(found[way][-1]["time/step"])
            print(f"round {turn + 1}  {way:<12} {seconds:7.3f} s per RL step", file=sys.stderr, flush=True)
    report = {}
    for way, runs in found.items():
        medians = {name: statistics.median([value for one in runs for value in one[name]]) for name in runs[0]}
        step = medians.pop("time/step")
        report[way] = {
            "seconds_per_step": round(step, 4),
            "steps_per_second": round(1 / step, 3),
            "of_each_run": [round(statistics.median(one["time/step"]), 4) for one in runs],
            **{name: round(value, 4) for name, value in medians.items()},
        }
    base = report[options.ways[0]]["seconds_per_step"]
    for entry in report.values():
        entry["times_as_fast_as_the_first"] = round(base / entry["seconds_per_step"], 3)
    cores = len(os.sched_getaffinity(0))
    print(json.dumps({"cores": cores, "rows": options.rows, "rl_steps": options.rl_steps, "ways": report}, indent=1))


if __name__ == "__main__":
    main()
