"""Prove on one GPU what a CPU cannot, in one command of less than nine minutes: `python -m tests.benchmarks.gpu` (`make bench-gpu`).

    python -m tests.benchmarks.gpu [--out DIR] [--parts 1,4] [--small]

Each part (`parts.py`) runs in a process of its own that is stopped at its time limit, and none stops the next. Its figures go
to DIR/part-N.json as they come, and when it has ended into DIR/summary.json, so that there are never more than two files.
A table of all parts goes to stdout. ``--small`` does every part at a size for a CPU, to see that the script works.
The exit status is 0 if every part passed. Imports nothing but Python's own: what is missing, a part says.
"""

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from tests.benchmarks.gpu.parts import PARTS, TOTAL_S
from tests.benchmarks.gpu.report import write_json

REPOSITORY = Path(__file__).resolve().parents[3]
SMALL_FACTOR = 8
"""How much longer a part may take on CPU, which has as little to do but two cores for it."""


def numbers(text: str) -> list[int]:
    """Part numbers from ``1,4``, in order and once each."""
    chosen = sorted({int(word) for word in text.split(",")})
    if not set(chosen) <= set(PARTS):
        raise argparse.ArgumentTypeError(f"there are parts {min(PARTS)} to {max(PARTS)}, separated by commas: 1,4")
    return chosen


def card() -> dict[str, str]:
    """Name, driver and memory of the first GPU, by nvidia-smi; empty where there is none."""
    wanted = ("name", "driver_version", "memory.total")
    command = ["nvidia-smi", f"--query-gpu={','.join(wanted)}", "--format=csv,noheader"]
    try:
        said = subprocess.run(command, capture_output=True, text=True, timeout=20, check=True).stdout
    except (OSError, subprocess.SubprocessError):
        return {}
    return dict(zip(wanted, (word.strip() for word in said.splitlines()[0].split(",")), strict=False)) if said else {}


def run_part(number: int, file: Path, scratch: Path, limit_s: float, small: bool) -> dict[str, Any]:
    """Run one part in a process group of its own, stopped at its limit; returns what its file holds, and how it ended.

    Args:
        number: of the part.
        file: for its figures.
        scratch: an empty folder.
        limit_s: seconds it may take.
        small: at a size for a CPU.
    """
    arguments = [str(number), str(file), str(scratch), str(limit_s), *(["--small"] if small else [])]
    path = os.pathsep.join([str(REPOSITORY), *filter(None, [os.environ.get("PYTHONPATH")])])
    environment = os.environ | {"PYTHONPATH": path, "HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false"}
    if small:
        environment["CUDA_VISIBLE_DEVICES"] = ""
    started, stopped = time.monotonic(), False
    log = scratch / "log"
    with log.open("w") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.benchmarks.gpu.part", *arguments],
            cwd=REPOSITORY,
            env=environment,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            process.wait(limit_s)
        except subprocess.TimeoutExpired:
            stopped = True
        finally:
            if process.poll() is None:
                with suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
                process.wait()
    content: dict[str, Any] = json.loads(file.read_text("utf-8")) if file.exists() else {"title": PARTS[number].title}
    content["seconds"] = round(time.monotonic() - started, 1)
    if stopped:
        content["state"] = f"stopped at its limit of {limit_s:.0f} s"
    elif content.get("state", "running") == "running":
        content["state"] = f"died with exit status {process.returncode}"
    if content["state"] != "passed":
        content["log"] = log.read_text("utf-8", "replace")[-3000:]
    return content


def table(summary: dict[str, Any]) -> str:
    """The summary as Markdown."""
    lines = [
        ", ".join(f"{name} {value}" for name, value in summary["machine"].items() if value is not None),
        "",
        "| part | shows | state | seconds | figures |",
        "|---|---|---|---|---|",
    ]
    for number, part in summary["parts"].items():
        says = " ".join(str(part.get("says", "")).split()).replace("|", "/")
        lines.append(f"| {number} | {part['title']} | {part['state']} | {part['seconds']} | {says} |")
    return "\n".join(lines)


def main(arguments: list[str] | None = None) -> int:
    """Run the parts, one after the other."""
    parser = argparse.ArgumentParser(prog="bench-gpu", description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("runs/bench-gpu"), metavar="DIR")
    parser.add_argument("--parts", type=numbers, default=list(PARTS), metavar="1,4", help="all by default")
    parser.add_argument("--small", action="store_true", help="every part at a size for a CPU")
    chosen = parser.parse_args(arguments)
    started = time.monotonic()
    found = card()
    if not chosen.small and not found:
        parser.error("nvidia-smi finds no GPU here; --small tries every part on CPU")
    chosen.out.mkdir(parents=True, exist_ok=True)
    total = TOTAL_S * (SMALL_FACTOR if chosen.small else 1)
    summary: dict[str, Any] = {"machine": {} if chosen.small else found, "small": chosen.small, "parts": {}}
    for number in chosen.parts:
        left = total - (time.monotonic() - started)
        limit = left if number == chosen.parts[-1] else min(left, total * PARTS[number].limit_s / TOTAL_S)
        file = chosen.out / f"part-{number}.json"
        file.unlink(missing_ok=True)
        with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as scratch:
            part = run_part(number, file, Path(scratch), limit, chosen.small)
        summary["machine"] |= part.pop("machine", {})
        summary["parts"][str(number)] = part
        summary["total_s"] = round(time.monotonic() - started, 1)
        write_json(chosen.out / "summary.json", summary)
        file.unlink(missing_ok=True)
        print(f"{number} {part['title']}: {part['state']} ({part['seconds']} s) {part.get('says', '')}", flush=True)
    print(f"\n{table(summary)}\n\n{chosen.out / 'summary.json'}", flush=True)
    return 0 if all(part["state"] == "passed" for part in summary["parts"].values()) else 1


if __name__ == "__main__":
    sys.exit(main())
