"""The clock: no second is lost or counted twice, and CPU time is that of the process, not the time gone by."""

import time

import pytest
import torch

from lit_rlvr.training.clock import Clock, step_seconds


def _work(cpu_seconds: float) -> None:
    until = time.process_time() + cpu_seconds
    while time.process_time() < until:
        pass


def test_laps_add_up_and_leave_no_gap() -> None:
    wall, cpu = time.perf_counter(), time.process_time()
    clock = Clock(torch.device("cpu"))
    for _ in range(2):
        _work(0.02)
        clock.lap("time/forward")
        time.sleep(0.02)
        clock.lap("time/backward")
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    assert list(clock.wall) == list(clock.cpu) == ["time/forward", "time/backward"]
    assert clock.cpu["time/forward"] > 0.039  # both laps of it
    # The two kinds of time come from two clocks, which need not agree to the microsecond.
    assert clock.wall["time/forward"] > 0.039
    assert clock.wall["time/backward"] > 0.039
    assert clock.cpu["time/backward"] < 0.02  # asleep
    assert sum(clock.wall.values()) == pytest.approx(wall, abs=0.01)
    assert sum(clock.cpu.values()) == pytest.approx(cpu, abs=0.01)


def test_the_parts_of_an_update_take_its_place() -> None:
    step = {"time/rollout": 3.0, "time/update": 5.0, "time/sync": 1.0}
    parts = {"time/forward": 1.5, "time/backward": 2.5}
    assert step_seconds(step, parts) == {
        "time/rollout": 3.0,
        "time/sync": 1.0,
        "time/forward": 1.5,
        "time/backward": 2.5,
        "time/step": 9.0,  # what the update spent besides its parts is in it
    }
