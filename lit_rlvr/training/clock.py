"""Wall and CPU seconds of the phases of one RL step.

From: the stages, which call ``lap`` at their ends. To: `training/step_metrics.py` (wall) and ``StepRecord.cpu_seconds``.
"""

import time
from collections.abc import Mapping

import torch


class Clock:
    """Seconds of named phases, one after the other without a gap; a phase that comes again adds to its seconds.

    Args:
        device: what computes.

    Attributes:
        wall: phase -> wall seconds.
        cpu: phase -> CPU seconds of this process, all threads together; the verifier's processes are not in it.
    """

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self.wall: dict[str, float] = {}
        self.cpu: dict[str, float] = {}
        self._last = self._read()

    def lap(self, name: str) -> None:
        """The time since the last lap, or since the clock was made, was this phase's."""
        now = self._read()
        for seconds, before, after in zip((self.wall, self.cpu), self._last, now, strict=True):
            seconds[name] = seconds.get(name, 0.0) + after - before
        self._last = now

    def _read(self) -> tuple[float, float]:
        if self.device.type != "cpu":  # kernels run on after their launch, and would count for a later phase
            torch.get_device_module(self.device).synchronize()
        return time.perf_counter(), time.process_time()


def step_seconds(step: Mapping[str, float], update: Mapping[str, float]) -> dict[str, float]:
    """Seconds of an RL step by phase, with ``time/step`` for all of it.

    Args:
        step: phase -> seconds of the whole step, among them ``time/update``.
        update: the parts that take its place.
    """
    phases = {name: seconds for name, seconds in step.items() if name != "time/update"}
    return phases | dict(update) | {"time/step": sum(step.values())}
