"""The other side of the pool: a small server that has sympy loaded and forks workers on request.

Why not ``multiprocessing``'s fork server: it makes every child import the user's main script again, which runs a plain
script without a ``__main__`` guard a second time, and its list of preloaded modules belongs to the whole program.

The server is started by ``pool.py`` as a fresh interpreter (so no CUDA context, no threads and no locks are forked) with
a control socket. It understands two requests: ``b"fork"`` together with a file descriptor, which the new worker serves
(answer: its process id), and ``b"kill <pid>"`` (answer: ``b"ok"``). It ends when the control socket closes, that is
when its client has closed it or has died in whatever way.
"""

import contextlib
import ctypes
import json
import os
import resource
import signal
import socket
import sys
from multiprocessing.connection import Connection

_PR_SET_PDEATHSIG = 1
# A worker holds about 0.1 GB with sympy loaded; powers and expansions that want more than this are never an answer.
_ADDRESS_SPACE = 1 << 30
# Seconds of processor time in a worker's life; it is recycled long before (see pool.py), so only a runaway gets here.
_CPU_SECONDS = 600
# Enough for lazy imports of sympy modules, too few to do harm.
_OPEN_FILES = 64
# Parsed once in the server, so that forked workers start with warm grammar tables: the first parse of each kind of
# expression costs 50-300 ms, a third of a worker's time limit.
_WARM_UP = (
    (r"\frac{x^{2}-1}{x+1}", "x-1"),
    (r"2\sqrt{3}\sin(2x)", r"4\sqrt{3}\sin(x)\cos(x)"),
    (r"\log_{2}(n)+e^{-2t}", r"n!"),
    (r"\binom{2n}{n}", r"\lfloor\frac{n}{2}\rfloor"),
)


def _limit() -> None:
    """Bound what this process can use, and tie its life to the server's."""
    with contextlib.suppress(OSError, AttributeError):  # not Linux: the server's own end then leaves workers on EOF
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    sys.dont_write_bytecode = True
    for limit, value in (
        (resource.RLIMIT_AS, _ADDRESS_SPACE),
        (resource.RLIMIT_CPU, _CPU_SECONDS),
        (resource.RLIMIT_NOFILE, _OPEN_FILES),
        (resource.RLIMIT_NPROC, 0),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_CORE, 0),
    ):
        with contextlib.suppress(ValueError, OSError):  # a hard limit below ours is already in force
            resource.setrlimit(limit, (value, value))


def _work(descriptor: int) -> None:
    """Serve requests ``[rule, answer, gold]`` with outcomes, both JSON, until the client hangs up."""
    from lit_rlvr.rewards.judges import JUDGES

    connection = Connection(descriptor)
    while True:
        try:
            rule, answer, gold = json.loads(connection.recv_bytes())
        except EOFError:
            return
        try:
            outcome: str = JUDGES[rule](answer, gold)
        except (MemoryError, RecursionError):
            outcome = "too_costly"
        except Exception:
            outcome = "crashed"
        connection.send_bytes(json.dumps(outcome).encode())


def serve(descriptor: int) -> None:
    """Run the server on a control socket until its other end closes."""
    from lit_rlvr.rewards.judges import JUDGES

    for judge in JUDGES.values():
        for gold, answer in _WARM_UP:
            judge(answer, gold)
    control = socket.socket(fileno=descriptor)
    control.send(b"ready")
    workers: set[int] = set()
    while True:
        request, descriptors, _, _ = socket.recv_fds(control, 64, 1)
        if not request:
            return
        if request == b"fork":
            pid = os.fork()
            if pid == 0:
                control.close()
                with contextlib.suppress(BaseException):
                    _limit()
                    _work(descriptors[0])
                os._exit(0)
            os.close(descriptors[0])
            workers.add(pid)
            control.send(str(pid).encode())
        else:
            pid = int(request.split()[1])
            if pid in workers:
                workers.remove(pid)
                # Not yet waited for, so the id still belongs to our child even if it has died by itself.
                os.kill(pid, signal.SIGKILL)
                os.waitpid(pid, 0)
            control.send(b"ok")
