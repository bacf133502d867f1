"""2,000 RL steps of the tiny default: does anything grow? `python -m tests.benchmarks.soak`.

Every 50 RL steps the memory of the run's process (its peak since the last look, for it swings within a step) and of its workers,
its open files, its CPU time and the clock are read from /proc. Printed: the mean of each fifth of the run after the first 200
steps, and the last against the first of them.
"""

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
WARM_UP = 200
"""RL steps before memory is expected to be level: caches, the allocator's pools, the verifier's workers."""


def memory_mb(pid: int, field: str = "VmRSS") -> float:
    """Memory of a process that is in use and its own or shared: now, or as VmHWM at most."""
    found = re.search(rf"{field}:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    return int(found[1]) / 1024 if found else 0.0


def peak_mb(pid: int) -> float:
    """The most since this was asked for last."""
    peak = memory_mb(pid, "VmHWM")
    Path(f"/proc/{pid}/clear_refs").write_text("5")  # begin anew
    return peak


def children(pid: int) -> list[int]:
    """All processes below one."""
    below = [int(c) for task in Path(f"/proc/{pid}/task").iterdir() for c in (task / "children").read_text().split()]
    return below + [deep for child in below for deep in children(child)]


def cpu_seconds(pid: int) -> float:
    """Of the process itself."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def sample(pid: int) -> dict[str, float]:
    """Where the run stands now."""
    workers = children(pid)
    return {
        "peak MB": peak_mb(pid),
        "workers MB": sum(map(memory_mb, workers)),
        "workers": len(workers),
        "open files": len(list(Path(f"/proc/{pid}/fd").iterdir())),
        "CPU s": cpu_seconds(pid),
        "wall s": time.monotonic(),
    }


def main() -> None:
    """Run it and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rl_steps", type=int, default=2000)
    steps = parser.parse_args().rl_steps
    if steps < WARM_UP + 500:
        parser.error(
            f"--rl_steps is {steps}; a fifth of what comes after the first {WARM_UP} must have two samples in it"
        )
    samples: list[dict[str, float]] = []
    with tempfile.TemporaryDirectory() as folder:
        line = [sys.executable, "-m", "lit_rlvr", "fit", "--config", "configs/tiny.yaml", "--data.rl_steps", str(steps)]
        line += ["--evaluation.every_n_rl_steps", "100", "--trainer.logger.init_args.save_dir", folder]
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}
        process = subprocess.Popen(line, cwd=REPOSITORY, env=environment, stdout=subprocess.PIPE, text=True)
        assert process.stdout is not None
        for text in process.stdout:
            at = re.match(r"step (\d+)/", text)
            if at and int(at[1]) % 50 == 0:
                samples.append({"step": int(at[1]), **sample(process.pid)})
                print(json.dumps(samples[-1]), flush=True)
        status = process.wait()
    level = [one for one in samples if one["step"] >= WARM_UP]
    size = max(1, len(level) // 5)
    fifths = [level[i : i + size] for i in range(0, size * 5, size)]
    for key in ("peak MB", "workers MB", "open files"):
        means = [sum(one[key] for one in part) / len(part) for part in fifths if part]
        print(f"{key:<12}", *(f"{mean:9.1f}" for mean in means), f"   last/first {means[-1] / max(means[0], 1e-9):.3f}")
    for key in ("CPU s", "wall s"):
        rates = [(p[-1][key] - p[0][key]) / (p[-1]["step"] - p[0]["step"]) for p in fifths if len(p) > 1]
        end = f"   last/first {rates[-1] / rates[0]:.3f}" if rates else ""
        print(f"{key + '/step':<12}", *(f"{rate:9.3f}" for rate in rates), end)
    sys.exit(status)


if __name__ == "__main__":
    main()
