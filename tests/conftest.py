"""Fixtures that more than one folder of tests uses."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

REPOSITORY = Path(__file__).resolve().parents[1]


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    """Bit-for-bit claims are made for one number of threads, and the run of another test may have left two."""
    torch.set_num_threads(1)


@pytest.fixture(autouse=True)
def _leave_nothing_behind() -> Iterator[None]:
    """A run in this process may leave a process group and the launcher's variables; the next test starts without."""
    before = dict(os.environ)
    yield
    if torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()
    os.environ.clear()
    os.environ.update(before)


@pytest.fixture(scope="session")
def repository() -> Path:
    """The root of the checkout."""
    return REPOSITORY


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder with the real benchmark files, which are never part of the repository."""
    folder = Path(os.environ.get("LIT_RLVR_DATA", REPOSITORY.parent / "shared" / "data"))
    if not (folder / "benchmarks").is_dir():
        pytest.skip("needs the benchmark files: set LIT_RLVR_DATA to the folder that holds benchmarks/")
    return folder
