"""The room of the key-value cache from figures worked out by hand, and the free memory as the system tells it."""

from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from lit_rlvr.rollout import cache_room
from lit_rlvr.rollout.cache_room import CACHE_SHARE, drawing_bytes, free_bytes, rows_at_once, share_out

GIB = 2**30


def test_what_drawing_takes() -> None:
    assert drawing_bytes(10, 1000) == 10_000 * 68
    # No more than so many logits are drawn from at once; the others lie there.
    assert drawing_bytes(1024, 152_000) == 1024 * 152_000 * 4 + 2**25 * 64


def test_a_large_gpu() -> None:
    """A 1.5B model (28 layers, 2 key heads of 128) in bfloat16 with 58 GiB free."""
    rows, room = share_out(58 * GIB, 1024, 152_000, 28 * 2 * 2 * 128 * 2)
    assert rows == 1024
    assert room == int((58 * GIB - drawing_bytes(1024, 152_000)) * CACHE_SHARE) // 28_672
    assert rows_at_once(room, 1024, 3072 + 200) < 1024 < rows_at_once(room, 2048, 1400)


def test_little_memory_decodes_fewer_rows() -> None:
    rows, room = share_out(GIB, 1024, 152_000, 12_288)
    assert rows == 32  # of 64 the logits and their draw take 0.62 GiB
    assert room * 12_288 > GIB / 4
    assert share_out(0, 8, 1000, 512) == (1, 0)


@pytest.mark.parametrize(
    ("room", "rows", "columns", "shared", "expected"),
    [
        (100, 8, 10, 0, 8),
        (100, 16, 10, 0, 10),
        (100, 16, 10, 30, 7),
        (5, 16, 10, 0, 1),
        (100, 16, 0, 0, 16),
        (0, 4, 1, 9, 1),
    ],
)
def test_rows_at_once(room: int, rows: int, columns: int, shared: int, expected: int) -> None:
    assert rows_at_once(room, rows, columns, shared) == expected


def host(root: Path, available: int, **groups: tuple[str, int, int]) -> Path:
    """A root folder with the kernel's files; of each group (limit, bytes used, of these pages of files)."""
    (root / "proc/self").mkdir(parents=True)
    (root / "proc/meminfo").write_text(f"MemTotal: 99 kB\nMemAvailable:   {available // 1024} kB\n")
    (root / "proc/self/cgroup").write_text("12:cpu:/elsewhere\n0::/outer/inner\n")
    for name, (limit, used, files) in groups.items():
        folder = root / "sys/fs/cgroup" / {"top": "", "outer": "outer", "inner": "outer/inner"}[name]
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "memory.max").write_text(f"{limit}\n")
        (folder / "memory.current").write_text(f"{used}\n")
        (folder / "memory.stat").write_text(f"anon 7\nactive_file {files}\ninactive_file 1000\n")
    return root


@pytest.mark.parametrize(
    ("groups", "expected"),
    [
        ({}, 8 * GIB),
        ({"inner": ("max", 3 * GIB, 0)}, 8 * GIB),
        ({"inner": (str(4 * GIB), 3 * GIB, 0)}, GIB + 1000),
        ({"inner": (str(4 * GIB), 3 * GIB, GIB)}, 2 * GIB + 1000),  # pages of files give way
        ({"inner": ("max", GIB, 0), "outer": (str(2 * GIB), GIB, 0)}, GIB + 1000),
        ({"top": (str(2 * GIB), 3 * GIB, 0)}, 0),
        ({"inner": (str(64 * GIB), GIB, 0)}, 8 * GIB),
    ],
    ids=["none", "no-limit", "own", "file-pages", "parent", "top-exceeded", "wide"],
)
def test_free_memory_of_a_host(groups: dict[str, tuple[str, int, int]], expected: int, tmp_path: Path) -> None:
    assert cache_room._free_host_bytes(host(tmp_path, 8 * GIB, **groups)) == expected


def test_a_host_that_tells_nothing(tmp_path: Path) -> None:
    assert cache_room._free_host_bytes(tmp_path) is None


def test_this_host() -> None:
    free = free_bytes(torch.device("cpu"))
    assert free is None or 10**6 < free < 10**14


def test_processes_of_a_run_share_a_host(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache_room, "_free_host_bytes", lambda: 100)
    assert free_bytes(torch.device("cpu")) == 100
    torch.distributed.init_process_group("gloo", store=torch.distributed.HashStore(), rank=0, world_size=1)
    monkeypatch.setattr(torch.distributed, "get_world_size", lambda: 4)
    assert free_bytes(torch.device("cpu")) == 25


def test_free_memory_of_a_device(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the allocator keeps for later counts; a device that does not tell gives no bound."""
    module = SimpleNamespace(
        mem_get_info=lambda device: (50, 80), memory_reserved=lambda device: 20, memory_allocated=lambda device: 12
    )
    monkeypatch.setattr(torch, "get_device_module", lambda device: module)
    assert free_bytes(torch.device("cuda")) == 58
    monkeypatch.setattr(torch, "get_device_module", lambda device: SimpleNamespace())
    assert free_bytes(torch.device("mps")) is None
