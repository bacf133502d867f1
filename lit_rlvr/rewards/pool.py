"""Stage 3c: persistent worker processes for the symbolic step, each of which can be killed at any moment.

A worker that does not answer in time gets SIGKILL and a successor; nothing else stops a C loop on huge integers (an
alarm is only seen when the C call returns). No signal handlers and no ``multiprocessing`` start methods are used, so
the pool works from any thread and leaves the main program alone.
"""

import contextlib
import json
import os
import socket
import subprocess
import sys
import threading
import time
import warnings
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait

# sympy's caches grow with every call, and a worker that was led astray should not last.
_CALLS_PER_WORKER = 2000
# Loading sympy and the grammar takes 2-4 s; a busy file system can stretch that a lot.
_START_SECONDS = 120
# What an answer may take before its time counts as lost, and the lost seconds per worker after which a call gives up on
# the answers that are left: a policy that stalls its grader must not stall the run, a long list of fair ones may take
# its time.
_FAIR_SECONDS = 0.1
_LOST_SECONDS = 20.0
_BOOT = (
    "import json, sys; sys.path[:] = json.loads(sys.argv[2]); "
    "from lit_rlvr.rewards.worker import serve; serve(int(sys.argv[1]))"
)


class _ServerDiedError(Exception):
    """The process that forks workers is gone, and they with it."""


@dataclass
class _Worker:
    """A worker process: the pipe to it, its process id (for the server to kill), and how often it was asked."""

    connection: Connection
    pid: int
    calls: int = 0


class Pool:
    """Runs the rules' symbolic steps in worker processes. Nothing is started before the first request.

    Args:
        workers: processes.
        timeout: wall seconds per request before its worker is killed.
    """

    def __init__(self, workers: int, timeout: float) -> None:
        self.timeout = timeout
        self._count = workers
        self._reset()

    def _reset(self) -> None:
        self._lock = threading.Lock()
        self._owner = os.getpid()
        self._server: subprocess.Popen[bytes] | None = None
        self._control: socket.socket | None = None
        self._workers: list[_Worker] = []
        self.deaths = 0  # processes that something else ended

    def judge(self, requests: Sequence[tuple[str, str, str]]) -> list[str]:
        """Outcomes of (rule, answer, gold) requests.

        Returns:
            The rule's own outcomes, ``"too_costly"`` for one whose worker was killed at the time limit, ``"crashed"`` for
            one whose worker died and another's after it, ``"unreached"`` for those that slow ones before them left no time
            for.
        """
        if not requests:
            return []
        if os.getpid() != self._owner:  # forked: the processes belong to the parent
            self._forget()
        with self._lock:
            try:
                try:
                    return self._judge(requests)
                except _ServerDiedError:
                    self._died()
                    self._stop()
                    return self._judge(requests)  # of a new server
            except BaseException:  # also Ctrl-C: an answer under way must not be taken for the next call's
                self._stop()
                raise

    def _judge(self, requests: Sequence[tuple[str, str, str]]) -> list[str]:
        outcomes = ["unreached"] * len(requests)
        if self._control is None:
            self._start()
        waiting = deque(range(len(requests)))
        lost = 0.0
        tried: set[int] = set()  # whose worker died: the machine's doing as a rule, so another one gets them once
        idle = list(self._workers)
        busy: dict[Connection, tuple[_Worker, int, float]] = {}
        while (waiting and lost < _LOST_SECONDS * self._count) or busy:
            while waiting and idle and lost < _LOST_SECONDS * self._count:
                worker, index = idle.pop(), waiting.popleft()
                try:
                    worker.connection.send_bytes(json.dumps(requests[index]).encode())
                except OSError:  # it died while idle: not this request's fault
                    self._died()
                    idle.append(self._replace(worker))
                    waiting.appendleft(index)
                    continue
                worker.calls += 1
                busy[worker.connection] = (worker, index, time.monotonic() + self.timeout)
            nearest = min((deadline for _, _, deadline in busy.values()), default=0.0)
            ready = set(wait(list(busy), max(0.0, nearest - time.monotonic())))
            for connection, (worker, index, deadline) in list(busy.items()):
                if connection in ready:
                    try:
                        outcomes[index] = json.loads(connection.recv_bytes())
                    except (EOFError, OSError, ValueError):
                        self._died()
                        worker.calls = _CALLS_PER_WORKER
                        if index in tried:
                            outcomes[index] = "crashed"
                        else:
                            tried.add(index)
                            waiting.append(index)
                elif time.monotonic() >= deadline:
                    outcomes[index] = "too_costly"
                    worker.calls = _CALLS_PER_WORKER
                else:
                    continue
                lost += max(0.0, time.monotonic() - (deadline - self.timeout) - _FAIR_SECONDS)
                del busy[connection]
                idle.append(self._replace(worker) if worker.calls >= _CALLS_PER_WORKER else worker)
        return outcomes

    def _start(self) -> None:
        ours, theirs = socket.socketpair()
        with theirs:
            self._server = subprocess.Popen(
                [sys.executable, "-c", _BOOT, str(theirs.fileno()), json.dumps(sys.path)],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,  # the terminal's Ctrl-C is for the trainer, which then closes the pool
            )
        self._control = ours
        ours.settimeout(_START_SECONDS)
        if ours.recv(16) != b"ready":
            raise RuntimeError(
                "The verifier's worker server did not start: check that `python -c 'import math_verify'` works."
            )
        self._workers = [self._fork() for _ in range(self._count)]

    def _ask(self, send: Callable[[socket.socket], object]) -> bytes:
        """The server's answer to a request."""
        assert self._control is not None
        try:
            send(self._control)
            answer = self._control.recv(16)
        except OSError as error:
            raise _ServerDiedError from error
        if not answer:
            raise _ServerDiedError
        return answer

    def _died(self) -> None:
        self.deaths += 1
        warnings.warn(
            "a process of the verifier was ended from outside, as the kernel does when memory runs out; it is replaced, and its "
            "answer is judged again. If this goes on, lower model.verifier.workers or make room.",
            stacklevel=2,
        )

    def _fork(self) -> _Worker:
        ours, theirs = socket.socketpair()
        with theirs:
            pid = int(self._ask(lambda control: socket.send_fds(control, [b"fork"], [theirs.fileno()])))
        return _Worker(Connection(ours.detach()), pid)

    def _replace(self, worker: _Worker) -> _Worker:
        worker.connection.close()
        self._ask(lambda control: control.send(b"kill %d" % worker.pid))
        successor = self._fork()
        self._workers[self._workers.index(worker)] = successor
        return successor

    def _forget(self) -> None:
        for worker in self._workers:
            worker.connection.close()
        if self._control is not None:
            self._control.close()
        self._reset()

    def _stop(self) -> None:
        for worker in self._workers:
            worker.connection.close()
        self._workers = []
        if self._control is not None:
            self._control.close()
            self._control = None
        if self._server is not None:
            # The server's end is the workers' end: it is their parent, and they die with it.
            self._server.kill()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._server.wait(10)
            self._server = None

    def close(self) -> None:
        """End all processes. The pool starts anew if it is used again."""
        if os.getpid() == self._owner:
            with self._lock:
                self._stop()
