"""Freed tensors leave their pages to the next ones."""

import resource
import sys

import pytest
import torch

from lit_rlvr.allocator import keep_freed_memory


def _page_faults() -> int:
    """Of three tensors of 64 MiB, one after the other."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(3):
        torch.ones(2**24)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before


def test_tensors_take_the_pages_of_freed_ones() -> None:
    if not keep_freed_memory():
        assert sys.platform != "linux" or "musl" in str(sys.version)
        pytest.skip("this C library gives memory back as it likes")
    _page_faults()
    assert _page_faults() < 2**26 / 4096 / 10  # a tenth of the pages of one
