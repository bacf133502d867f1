"""How many tokens the key-value cache of the transformers engine may hold: the memory that is there, less what decoding needs.

To: `transformers_engine.py`, and to whoever estimates its memory. All but ``free_bytes`` are pure functions.
"""

import sys
from pathlib import Path

import torch

from lit_rlvr.rollout.sampling import DRAW_BYTES, DRAW_ELEMENTS

UNBOUNDED = sys.maxsize
"""Room where nothing says how much memory there is."""

CACHE_SHARE = 0.8
"""Of the free memory. The rest is for what comes and goes beside the cache: one layer's keys while they are copied to a larger
place (2% of the cache at 28 layers), the scores of attention, the forward over the prompts (1.5 GB at hidden 4096), holes
between the blocks of an allocator, and on CPU the other programs of the machine."""

LOGIT_BYTES = 4
"""Of each logit of a step, which lie there while tokens are drawn: float32 at most."""


def share_out(free: int, rows: int, vocabulary: int, token_bytes: int) -> tuple[int, int]:
    """Divide the free memory between drawing and the cache.

    Args:
        free: bytes before decoding begins.
        rows: responses decoded at once, at most.
        vocabulary: logits per row.
        token_bytes: of a token's keys and values in all layers.

    Returns:
        (rows at once, fewer than ``rows`` where drawing for all would take more than half of the memory; tokens that the cache
        may hold).
    """
    while rows > 1 and drawing_bytes(rows, vocabulary) > free / 2:
        rows = (rows + 1) // 2
    return rows, max(0, int((free - drawing_bytes(rows, vocabulary)) * CACHE_SHARE)) // token_bytes


def drawing_bytes(rows: int, vocabulary: int) -> int:
    """What a step's logits and the draw from them take."""
    logits = rows * vocabulary
    return logits * LOGIT_BYTES + min(logits, DRAW_ELEMENTS) * DRAW_BYTES


def rows_at_once(room: int, rows: int, columns: int, shared: int = 0) -> int:
    """How many of ``rows`` responses of ``columns`` cached tokens each find room together; one always goes on.

    Args:
        room: tokens that the cache may hold.
        rows: that are wanted.
        columns: tokens of each row.
        shared: tokens that are cached once for all rows.
    """
    return max(1, min(rows, (room - shared) // max(1, columns)))


def free_bytes(device: torch.device) -> int | None:
    """Memory that this process could still take on ``device``, or None where nothing tells."""
    if device.type == "cpu":
        free = _free_host_bytes()
        processes = torch.distributed.get_world_size() if torch.distributed.is_initialized() else 1
        return None if free is None else free // processes
    module = torch.get_device_module(device)
    if not hasattr(module, "mem_get_info"):
        return None
    free = int(module.mem_get_info(device)[0])
    # Blocks that the allocator keeps for later are not free to others, but to us.
    return free + int(module.memory_reserved(device)) - int(module.memory_allocated(device))


def _free_host_bytes(root: Path = Path("/")) -> int | None:
    """What the kernel could give, and the control groups that the process is in would allow."""
    try:
        lines = (root / "proc/meminfo").read_text().splitlines()
        available = next(int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:"))
    except (OSError, StopIteration):
        return None
    return min([available, *_group_allowances(root)])


def _group_allowances(root: Path) -> list[int]:
    """Bytes below the limit of each control group (version 2) from the process's own upwards, where there is one."""
    try:
        groups = (root / "proc/self/cgroup").read_text().splitlines()
    except OSError:
        return []
    own = next((line.removeprefix("0::/") for line in groups if line.startswith("0::/")), None)
    if own is None:
        return []
    top = root / "sys/fs/cgroup"
    folder = top / own
    allowances = []
    for group in [folder, *(parent for parent in folder.parents if parent.is_relative_to(top))]:
        try:
            limit, used = ((group / f"memory.{name}").read_text().strip() for name in ("max", "current"))
            stat = dict(line.split() for line in (group / "memory.stat").read_text().splitlines())
        except OSError:
            continue
        if limit != "max":
            # Pages of files count as used, but give way.
            files = int(stat.get("active_file", 0)) + int(stat.get("inactive_file", 0))
            allowances.append(max(0, int(limit) - int(used) + files))
    return allowances
