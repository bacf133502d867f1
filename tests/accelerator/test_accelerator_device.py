"""The accelerator itself, check by check; they are done in a process of its own."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.accelerator.device_checks import CHECKS


@pytest.fixture(scope="module")
def results(repository: Path) -> dict[str, str | None]:
    """Name of a check -> what went wrong."""
    child = [sys.executable, "-m", "tests.accelerator.device_checks"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}
    done = subprocess.run(
        child, cwd=repository, env=environment, capture_output=True, text=True, timeout=240, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.parametrize("name", CHECKS)
def test_accelerator(name: str, results: dict[str, str | None]) -> None:
    assert results[name] is None, results[name]
