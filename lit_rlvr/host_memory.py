"""Estimate what a run needs besides its GPU: memory of the machine, and room on the disk for checkpoints."""

from dataclasses import dataclass

from lit_rlvr.estimate import Run
from lit_rlvr.models.shape import Shape

HOST_PROCESS_BYTES = 3e9
"""Of a process with CUDA's libraries, its share of a verifier, and buffers. A guess; on CPU without any it is 0.45e9."""


@dataclass(frozen=True)
class Host:
    """Bytes of one machine, of all its processes together.

    Attributes:
        loading: while models are loaded.
        running: afterwards.
    """

    loading: float
    running: float


@dataclass(frozen=True)
class Disk:
    """Bytes in the run's folder.

    Attributes:
        checkpoint: of one.
        checkpoints: of all that are there while the next one is written.
        policy: the exported one.
    """

    checkpoint: float
    checkpoints: float
    policy: float


def host_memory(shape: Shape, run: Run, processes: int) -> Host:
    """Estimate the memory of a machine.

    Args:
        shape: of the policy.
        run: of one process on a GPU.
        processes: on this machine.
    """
    whole = 4 * shape.parameters
    models = 4 * (run.trained + run.critic + run.frozen)  # an adapter's base is among the frozen
    # With shards the first process alone loads, one model at a time; otherwise each loads all of its own.
    loading = whole if run.shards > 1 else processes * models
    # Shards are put together in the first process's memory when a checkpoint is written.
    together = (4 + run.moments) * (run.trained + run.critic) if run.shards > 1 else 0
    base = processes * HOST_PROCESS_BYTES
    return Host(base + loading, base + together)


def disk_space(shape: Shape, run: Run, keep: int, export: bool) -> Disk:
    """Estimate the room for checkpoints.

    Args:
        shape: of the policy.
        run: of one process.
        keep: of the latest are kept, and the best one besides.
        export: the policy is written at the end.
    """
    one = (4 + run.moments) * (run.trained + run.critic)
    return Disk(one, (keep + 2) * one, 4 * shape.parameters if export else 0)
