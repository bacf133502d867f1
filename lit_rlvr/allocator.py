"""Memory that freed tensors leave behind stays with the process, ready for the next ones."""

import ctypes
import sys
from functools import cache

# Of glibc's <malloc.h>.
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3

MMAP_BYTES = 2**26
"""Blocks below this come from memory that is kept: a layer's activations. Larger ones would leave larger holes."""

KEPT_BYTES = 2**29
"""Free memory at the end of the heap beyond this goes back to the system."""


@cache
def keep_freed_memory() -> bool:
    """Make glibc keep what is freed; on another C library nothing happens.

    It would give it back to the system as soon as the backward pass frees activations, and get it again for the next forward
    pass as pages of zeros: a step on CPU then spends a tenth of its time on page faults. PyTorch's own allocator for GPUs
    keeps memory for the same reason.

    Returns:
        Whether there was something to set.
    """
    if sys.platform != "linux":
        return False
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):  # musl has none
        return False
    return bool(mallopt(_M_MMAP_THRESHOLD, MMAP_BYTES)) and bool(mallopt(_M_TRIM_THRESHOLD, KEPT_BYTES))
