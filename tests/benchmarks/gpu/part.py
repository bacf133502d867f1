"""Do one part of `make bench-gpu` in this process: `python -m tests.benchmarks.gpu.part NUMBER JSON SCRATCH SECONDS [--small]`."""

import argparse
import sys
import time
import traceback
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from tests.benchmarks.gpu.parts import PARTS
from tests.benchmarks.gpu.report import Report

PACKAGES = ("torch", "transformers", "lightning", "triton", "accelerate", "jsonargparse")


def main(arguments: list[str] | None = None) -> int:
    """Run the part; its state, result or error end up in its file."""
    deadline = time.monotonic()
    parser = argparse.ArgumentParser(prog="part", description=__doc__)
    parser.add_argument("number", type=int, choices=PARTS)
    parser.add_argument("json", type=Path)
    parser.add_argument("scratch", type=Path)
    parser.add_argument("seconds", type=float)
    parser.add_argument("--small", action="store_true")
    chosen = parser.parse_args(arguments)
    part = PARTS[chosen.number]
    report = Report(chosen.json)
    report.put(part.title, "title")
    report.put("running", "state")
    try:
        import torch

        from tests.benchmarks.gpu.job import Job
        from tests.benchmarks.gpu.sizes import FULL, SMALL

        device = torch.device("cpu" if chosen.small else "cuda")
        report.put(machine(device), "machine")
        module = import_module(f"tests.benchmarks.gpu.{part.module}")
        job = Job(report, SMALL if chosen.small else FULL, device, chosen.scratch, deadline + chosen.seconds)
        ok, says = module.run(job)
    except ModuleNotFoundError as error:
        report.put(f"the package {error.name} is not installed here", "says")
        report.put("left out", "state")
        return 1
    except Exception as error:
        report.put(f"{type(error).__name__}: {error}"[:300], "says")
        report.put(traceback.format_exc()[-4000:], "error")
        report.put("failed", "state")
        return 1
    report.put(says, "says")
    report.put("passed" if ok else "not as it should be", "state")
    return 0 if ok else 1


def machine(device: Any) -> dict[str, Any]:
    """The device and the versions of what computes."""
    import torch

    found: dict[str, Any] = {"device": "cpu", "cuda": torch.version.cuda, "python": sys.version.split()[0]}
    if device.type == "cuda":
        free, total = torch.cuda.mem_get_info()
        found |= {
            "device": torch.cuda.get_device_name(),
            "devices": torch.cuda.device_count(),
            "memory_gb": round(total / 1e9, 1),
            "free_gb": round(free / 1e9, 1),
        }
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = None
    return found


if __name__ == "__main__":
    sys.exit(main())
