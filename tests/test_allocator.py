"""Freed tensors leave their pages to the next ones."""

import subprocess
import sys

import pytest

from lit_rlvr.allocator import keep_freed_memory

# As a step does: many tensors are made, and then all are freed.
ROUNDS = """
import resource, sys, torch
from lit_rlvr.allocator import keep_freed_memory
if sys.argv[1] == "keep":
    keep_freed_memory()
def round():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    held = [torch.ones(2**20) for _ in range(50)]
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
round()
print(round())
"""


def test_tensors_take_the_pages_of_freed_ones() -> None:
    if not keep_freed_memory():
        pytest.skip("this C library gives memory back as it likes")
    faults = [
        int(subprocess.run([sys.executable, "-c", ROUNDS, way], check=True, capture_output=True, text=True).stdout)
        for way in ("plain", "keep")
    ]
    assert 5 * faults[1] < faults[0]
