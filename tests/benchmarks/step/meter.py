"""What is measured of either side, by the same code: seconds by phase, tokens per second, memory, MFU.

From: the side, which says when it has loaded and when each step has ended. To: one JSON object.
"""

import os
import statistics
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from transformers import AutoConfig

from lit_rlvr.training.step_metrics import peak_memory_gb
from tests.benchmarks.flops import Shape, step_flops
from tests.benchmarks.step.works import Precision, Task

STATUS = Path("/proc/self/status")
PHASES = ("rollout", "verify", "score", "forward", "backward", "optimizer", "sync")
# A GPU is through with 2,048 cubed before it has got going.
CUBE = {"cpu": 2048, "cuda": 8192}


def device() -> torch.device:
    """Where both sides compute."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def synchronised() -> tuple[float, float]:
    """(wall, CPU) seconds, when all that was asked of the device is done."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter(), time.process_time()


def peak_resident_gb() -> float:
    """Peak resident memory of this process; not `ru_maxrss`, in which Linux counts the parent's peak, too."""
    if not STATUS.exists():
        return peak_memory_gb(torch.device("cpu"))
    (line,) = (line for line in STATUS.read_text().splitlines() if line.startswith("VmHWM:"))
    return int(line.split()[1]) * 1024 / 1e9


def matmul_rate(precision: Precision) -> float:
    """Operations per second of a large matrix product: the best of five, after one that is not counted."""
    size = CUBE[device().type]
    dtype = torch.float32 if precision == "fp32" else torch.bfloat16
    left, right = (torch.randn(size, size, device=device()).to(dtype) for _ in range(2))
    seconds = []
    for _ in range(6):
        start, _ = synchronised()
        left @ right
        seconds.append(synchronised()[0] - start)
    return 2 * size**3 / min(seconds[1:])


class Meter:
    """Follows one side through its steps.

    Args:
        task: what it does.
    """

    def __init__(self, task: Task) -> None:
        self._task = task
        self._rates = [matmul_rate(task.precision)]
        self._steps: list[dict[str, Any]] = []

    def loaded(self) -> None:
        """Everything is in memory and the first step begins."""
        self._loaded = peak_resident_gb()
        if torch.cuda.is_available():
            torch.cuda.reset_peak_memory_stats()
        self._last = synchronised()

    def step(self, wall: Mapping[str, float], cpu: Mapping[str, float]) -> None:
        """An RL step has ended, whose phases took so long; what lies between steps counts as part of it.

        Args:
            wall: phase -> wall seconds.
            cpu: phase -> CPU seconds; empty where they are not known.
        """
        now = synchronised()
        whole = [after - before for before, after in zip(self._last, now, strict=True)]
        self._last = now
        self._steps.append(
            {
                "wall": {"step": whole[0], **_phases(wall, whole[0])},
                "cpu": {"step": whole[1], **_phases(cpu, whole[1])},
            }
        )

    def result(self) -> dict[str, Any]:
        """Medians over the steps after the first."""
        peak = peak_resident_gb()
        self._rates.append(matmul_rate(self._task.precision))
        seconds = {
            kind: {
                name: statistics.median(step[kind][name] for step in self._steps[1:]) for name in self._steps[1][kind]
            }
            for kind in ("wall", "cpu")
        }
        wall, task = seconds["wall"], self._task
        tokens = sum(task.lengths)
        useful = step_flops(Shape.of(AutoConfig.from_pretrained(task.folder)), len(task.ids), task.lengths)
        learning = wall["forward"] + wall["backward"]
        rate = max(self._rates)  # a machine is never faster than it is; the other was disturbed
        return {
            "precision": task.precision,
            "steps": len(self._steps) - 1,
            "wall_seconds": _rounded(wall),
            "cpu_seconds": _rounded(seconds["cpu"]),
            "first_step_wall_seconds": round(self._steps[0]["wall"]["step"], 4),
            "response_tokens": tokens,
            "tokens_per_second": {
                "rollout": round(tokens / wall["rollout"], 1),
                "step": round(tokens / wall["step"], 1),
            },
            "memory_gb": {
                "loaded": round(self._loaded, 3),
                "peak": round(peak, 3),
                **({"gpu_peak": round(peak_memory_gb(device()), 3)} if torch.cuda.is_available() else {}),
            },
            "useful_gflop": round(useful / 1e9, 1),
            "matmul_gflop_per_second": {
                "before": round(self._rates[0] / 1e9, 1),
                "after": round(self._rates[1] / 1e9, 1),
            },
            "mfu": round(useful / learning / rate, 4),
            "load": round(os.getloadavg()[0], 2),
        }


def _phases(seconds: Mapping[str, float], whole: float) -> dict[str, float]:
    """All phases and the rest of the step; nothing where nothing is known."""
    if not seconds:
        return {}
    known = {phase: seconds.get(phase, 0.0) for phase in PHASES}
    return {**known, "other": whole - sum(known.values())}


def _rounded(seconds: Mapping[str, float]) -> dict[str, float]:
    return {name: round(value, 4) for name, value in seconds.items()}
