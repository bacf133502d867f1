"""Stopping a run from outside: a signal -> the same decision on every process -> `callbacks/checkpoint.py` saves and the run ends.

An RL step changes the policy only in its update. A rollout or an evaluation may therefore be left at once, for what a checkpoint
would then hold is the state after the step before; an update is finished first.
"""

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType

import torch.distributed as dist
from lightning import Trainer
from lightning.fabric.plugins.environments import SLURMEnvironment
from lightning.pytorch.strategies.launchers import _SubprocessScriptLauncher


class Interrupted(BaseException):
    """The run is to end now. Not an `Exception`: nothing on the way may take it for a fault and go on.

    Attributes:
        signum: the signal; on a process that got none itself, SIGTERM.
        requeue: SLURM is to start the job again.
    """

    def __init__(self, signum: int = signal.SIGTERM, requeue: bool = False) -> None:
        super().__init__(f"stopped by {signal.Signals(signum).name}")
        self.signum, self.requeue = signum, requeue


_asked: Interrupted | None = None
_at_once = False


@contextmanager
def at_once() -> Iterator[None]:
    """What is done in here is left the moment a signal comes, or not begun. To stand inside :func:`together`."""
    global _at_once
    _at_once = True
    try:
        if _asked is not None:
            raise _asked
        yield
    finally:
        _at_once = False


@contextmanager
def together(world_size: int) -> Iterator[None]:
    """What is done in here ends with `Interrupted` on every process if a signal came to one of them. Collective."""
    with suppress(Interrupted):  # the other processes have to hear of it before this one leaves
        yield
    stop_if_asked(world_size)


def stop_if_asked(world_size: int) -> None:
    """Raise `Interrupted` on every process if a signal came to one of them. Collective."""
    heard: list[tuple[int, bool] | None] = [None if _asked is None else (_asked.signum, _asked.requeue)]
    if world_size > 1 and dist.is_initialized():
        mine = heard[0]
        heard = [None] * world_size
        dist.all_gather_object(heard, mine)
    for one in heard:
        if one is not None:
            raise Interrupted(*one)


@contextmanager
def listening(trainer: Trainer) -> Iterator[None]:
    """Signals ask the run to stop, in place of Lightning's handlers, which may start a collective in the midst of another.

    SIGTERM and SIGINT stop it; under SLURM with auto-requeue, so does the signal before the time limit, and the job is to be
    started again. The first process hands on what comes to it; a second SIGINT ends it without saving.
    """
    global _asked
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    _asked = None
    signals = {signal.SIGTERM: False, signal.SIGINT: False}
    environment = trainer._accelerator_connector.cluster_environment
    if isinstance(environment, SLURMEnvironment) and environment.auto_requeue and environment.requeue_signal:
        signals[environment.requeue_signal] = True
    before = {which: signal.signal(which, _handler(trainer, requeue)) for which, requeue in signals.items()}
    try:
        yield
    finally:
        for which, handler in before.items():
            signal.signal(which, handler)


def _handler(trainer: Trainer, requeue: bool) -> Callable[[int, FrameType | None], None]:
    def hear(signum: int, _: FrameType | None) -> None:
        global _asked
        launcher = trainer.strategy.launcher
        children = launcher.procs if isinstance(launcher, _SubprocessScriptLauncher) else []
        if _asked is None:
            _asked = Interrupted(signum, requeue)
            for child in children:
                child.send_signal(signum)
            if _at_once:
                raise _asked
        elif signum == signal.SIGINT and trainer.is_global_zero:
            for child in children:
                child.kill()
            os._exit(128 + signum)

    return hear
