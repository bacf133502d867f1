"""The wheel and the source distribution build, install, and work from where they are installed."""

import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

from lit_rlvr import __version__


@pytest.fixture(scope="module")
def built(repository: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder with both, built from a copy of the sources."""
    source = tmp_path_factory.mktemp("source") / "lit-rlvr"
    left_out = shutil.ignore_patterns(".*", "runs", "build", "dist", "*.egg-info", "__pycache__", "venv")
    shutil.copytree(repository, source, ignore=left_out)
    line = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(source / "dist"), str(source)]
    done = subprocess.run(line, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    return source / "dist"


def test_wheel_installs_and_runs(built: Path, tmp_path: Path) -> None:
    (wheel,) = built.glob("*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    assert {"lit_rlvr/module.py", "lit_rlvr/report/published.yaml"} <= set(names)
    assert not [name for name in names if name.startswith(("tests", "configs"))]
    line = [
        sys.executable,
        "-m",
        "pip",
        "install",
        "--quiet",
        "--no-deps",
        "--no-index",
        "--target",
        str(tmp_path),
        str(wheel),
    ]
    subprocess.run(line, check=True)
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    command = [sys.executable, "-m", "lit_rlvr", "--version"]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == __version__


def test_sdist_holds_what_the_readme_uses(built: Path) -> None:
    (sdist,) = built.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        names = {name.split("/", 1)[-1] for name in archive.getnames()}
    for needed in (
        "configs/tiny.yaml", "configs/problems/pi1_step.jsonl", "checkpoints/tiny-base/model.safetensors",
        "constraints.txt", "LICENSE",
    ):  # fmt: skip
        assert needed in names
