"""Host memory and disk, by hand."""

from dataclasses import replace

from lit_rlvr.estimate import Run
from lit_rlvr.host_memory import HOST_PROCESS_BYTES, disk_space, host_memory
from lit_rlvr.models.shape import Shape

SHAPE = Shape(parameters=1000, layers=10, hidden=6, queries=6, keys=2, intermediate=20, vocabulary=50)
RUN = Run(4, 8, 4, 100, True, True, trained=1000, frozen=1000, on_cpu=False)


def test_every_process_loads_all_of_its_own_without_shards() -> None:
    host = host_memory(SHAPE, RUN, 8)
    assert host.loading == 8 * (HOST_PROCESS_BYTES + 8 * 1000)
    assert host.running == 8 * HOST_PROCESS_BYTES


def test_with_shards_the_first_one_loads_and_puts_checkpoints_together() -> None:
    host = host_memory(SHAPE, replace(RUN, shards=8), 8)
    assert host.loading - 8 * HOST_PROCESS_BYTES == 4 * 1000
    assert host.running - 8 * HOST_PROCESS_BYTES == 12 * 1000


def test_checkpoints_hold_weights_and_moments() -> None:
    disk = disk_space(SHAPE, RUN, keep=2, export=True)
    assert (disk.checkpoint, disk.checkpoints, disk.policy) == (12_000, 48_000, 4000)
    adapter = disk_space(SHAPE, replace(RUN, trained=10, adapter=True), keep=2, export=False)
    assert (adapter.checkpoint, adapter.policy) == (120, 0)
