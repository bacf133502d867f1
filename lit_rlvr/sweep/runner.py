"""Works off the runs of a sweep, each in a process of its own: start, wait, record, say what is left.

Every run is a process group of its own, so that Ctrl-C reaches the sweep alone, which then ends its runs in order. The
log of a run is locked as long as a process of it lives: nobody begins a run that another sweep, or what is left of a
killed one, is still writing.
"""

import fcntl
import os
import signal
import subprocess
import sys
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from types import FrameType
from typing import BinaryIO

from lit_rlvr.errors import UserError
from lit_rlvr.sweep.run import Run

# A training step of a tiny run takes a second, an evaluation ten; a run that is not out by then is killed, and loses no
# more than what it did since its last checkpoint.
PATIENCE_SECONDS = 20
# Processes of a killed run (the verifier's workers) let go of its log a moment later.
LOCK_SECONDS = 5.0
_LOG_LINES = 8


@dataclass
class _Attempt:
    """A run that is under way."""

    run: Run
    process: "subprocess.Popen[bytes]"
    number: int
    began: float


class Runner:
    """Runs what is not done.

    Args:
        runs: in the order in which they are to be done.
        jobs: how many at once.
        redo: runs that are done anew, whatever there is of them.
    """

    def __init__(self, runs: Sequence[Run], jobs: int = 1, redo: Sequence[Run] = ()) -> None:
        self.jobs, self.redo = jobs, set(redo)
        self.waiting = deque(run for run in runs if run in self.redo or not run.done)
        self.total = len(self.waiting)
        self.failed: list[Run] = []
        self.stopped: int | None = None
        self._under_way: dict[int, _Attempt] = {}
        self._begun, self._seconds = 0, list[float]()

    def work(self) -> None:
        """Do all of them. Returns early, with ``stopped`` set, on SIGINT, SIGTERM or SIGHUP."""
        signals = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
        before = {which: signal.signal(which, self._stop) for which in signals}
        before[signal.SIGALRM] = signal.signal(signal.SIGALRM, self._kill)
        try:
            while self._under_way or (self.waiting and self.stopped is None):
                while self.waiting and len(self._under_way) < self.jobs and self.stopped is None:
                    self._start(self.waiting.popleft())
                if self._under_way:
                    self._wait()
        finally:
            signal.alarm(0)
            for which, handler in before.items():
                signal.signal(which, handler)

    def _start(self, run: Run) -> None:
        self._begun += 1
        number = self._begun
        try:
            with _locked_log(run) as log:
                command = run.begin(run in self.redo)
                resumed = "--resume" in command
                if not resumed:
                    log.truncate(0)
                process = subprocess.Popen(
                    [sys.executable, "-m", "lit_rlvr", *command],
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    env={"OMP_NUM_THREADS": str(max(1, (os.cpu_count() or 1) // self.jobs)), **os.environ},
                    start_new_session=True,
                )
        except UserError as error:
            self.failed.append(run)
            _say(f"[{number}/{self.total}] {run}: not started: {error}")
            return
        self._under_way[process.pid] = _Attempt(run, process, number, time.monotonic())
        how = "goes on from its newest whole checkpoint" if resumed else "started"
        _say(f"[{number}/{self.total}] {run}: {how}, log in {run.log}")
        if self.stopped is not None:  # the signal came while it was being started
            _signal_group(process.pid, signal.SIGTERM)

    def _wait(self) -> None:
        """Until one of them ends."""
        pid, status, usage = os.wait4(-1, 0)
        attempt = self._under_way.pop(pid, None)
        if attempt is None:
            return
        code = attempt.process.returncode = os.waitstatus_to_exitcode(status)
        run, seconds = attempt.run, time.monotonic() - attempt.began
        cpu = usage.ru_utime + usage.ru_stime
        complete = run.end(code, cpu)
        name = f"[{attempt.number}/{self.total}] {run}"
        if complete:
            self._seconds.append(seconds)
            _say(f"{name}: done in {seconds:.0f} s ({cpu:.0f} CPU s); {self._left()}")
        elif self.stopped is not None:
            _say(f"{name}: stopped")
        else:
            self.failed.append(run)
            _say(f"{name}: failed with status {code} after {seconds:.0f} s; {run.log} ends with\n{_tail(run)}")

    def _left(self) -> str:
        left = len(self.waiting) + len(self._under_way)
        if not left:
            return "none left"
        minutes = left * sum(self._seconds) / len(self._seconds) / self.jobs / 60
        return f"{left} left, about {minutes:.0f} min" if minutes >= 1 else f"{left} left, less than a minute"

    def _stop(self, which: int, _: FrameType | None) -> None:
        again, self.stopped = self.stopped is not None, which
        for pid in list(self._under_way):
            _signal_group(pid, signal.SIGKILL if again else signal.SIGTERM)
        signal.alarm(PATIENCE_SECONDS)

    def _kill(self, _: int, __: FrameType | None) -> None:
        for pid in list(self._under_way):
            _signal_group(pid, signal.SIGKILL)


def _locked_log(run: Run) -> BinaryIO:
    """The run's log, open for appending. The lock belongs to the open file, which the run's processes share."""
    run.log.parent.mkdir(parents=True, exist_ok=True)
    log = open(run.log, "ab")  # noqa: SIM115 - the caller closes it
    give_up = time.monotonic() + LOCK_SECONDS
    while True:
        try:
            fcntl.flock(log, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return log
        except BlockingIOError:
            if time.monotonic() > give_up:
                log.close()
                raise UserError(
                    f"another process is at work on it (it holds {run.log}); wait for it, or end it."
                ) from None
            time.sleep(0.1)


def _cores() -> int:
    """That this process may use; macOS does not say, and there all of them count."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _signal_group(pid: int, which: int) -> None:
    """To a run and all its processes. It is our child and not yet waited for, so the number is still its own."""
    try:
        os.killpg(pid, which)
    except ProcessLookupError:
        return


def _tail(run: Run) -> str:
    lines = [line for line in run.log.read_text("utf-8", errors="replace").splitlines() if line.strip()]
    return "\n".join(f"    {line}" for line in lines[-_LOG_LINES:])


def _say(line: str) -> None:
    print(line, flush=True)
