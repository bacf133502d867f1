"""What a part is given: where to compute, how much, for how long, and where its figures go."""

import gc
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import torch

from tests.benchmarks.gpu.report import Report
from tests.benchmarks.gpu.sizes import Size


class Result(NamedTuple):
    """What a part comes to.

    Attributes:
        ok: whether all that it checks holds.
        says: its most important figures, for a line of the table.
    """

    ok: bool
    says: str


@dataclass(frozen=True)
class Job:
    """One part's work.

    Attributes:
        report: takes figures as they come.
        size: how much of everything.
        device: where to compute.
        scratch: an empty folder.
        deadline: when the part will be stopped, by ``time.monotonic``.
    """

    report: Report
    size: Size
    device: torch.device
    scratch: Path
    deadline: float

    def left_s(self) -> float:
        """Seconds that are left."""
        return self.deadline - time.monotonic()

    def attempt(self, what: Callable[[], object], *keys: str | int) -> bool:
        """Put what a call returns under the keys, or beside what is there why it failed: here one way may be impossible."""
        try:
            self.report.put(what(), *keys)
        except Exception as error:
            self.report.put(f"{type(error).__name__}: {error}"[:600], *keys, "error")
            return False
        return True


def free(device: torch.device) -> None:
    """Give the memory of what nothing refers to any more back, and count the peak anew."""
    gc.collect()
    if device.type == "cuda":
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats(device)


def peak_gb(device: torch.device) -> float | None:
    """Peak of allocated GPU memory in GB since ``free``; None on CPU."""
    return round(torch.cuda.max_memory_allocated(device) / 1e9, 3) if device.type == "cuda" else None


def allocated_gb(device: torch.device) -> float:
    """Allocated GPU memory in GB; 0 on CPU."""
    return torch.cuda.memory_allocated(device) / 1e9 if device.type == "cuda" else 0.0
