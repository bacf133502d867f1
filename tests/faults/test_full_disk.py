"""A disk that others fill up, a real one: before a run, before its first step, after its first checkpoint, and in an export."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.two_processes.launch import launch

IN_A_NAMESPACE = ("unshare", "--user", "--map-root-user", "--mount", "sh", "-c")
"""As root of it, one may mount."""


@pytest.fixture(scope="module")
def found(repository: Path, tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    disk = tmp_path_factory.mktemp("disk")
    mount = f"mount -t tmpfs -o size=60m tmpfs {disk}"
    try:
        subprocess.run([*IN_A_NAMESPACE, mount], check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError) as error:
        pytest.skip(f"no file system of one's own can be mounted here: {error}")
    line = f"{mount} && exec {sys.executable} -m tests.faults.on_a_full_disk {disk}"
    return [json.loads(row) for row in launch(repository, line, launcher=IN_A_NAMESPACE).splitlines()]


def test_an_export_leaves_nothing_of_itself(found: list[dict[str, Any]]) -> None:
    export = found[0]
    assert export["status"] == 2
    (sentence,) = [line for line in export["said"].splitlines() if line.startswith("lit-rlvr: error: ")]
    assert "policy cannot be written (" in sentence
    assert "No space left on device" in sentence
    assert export["left"] == []


def test_each_ends_in_a_sentence_and_goes_on_once_there_is_room(found: list[dict[str, Any]]) -> None:
    assert [row["before"] for row in found[1:]] == [None, 0, 2]
    for row in found[1:]:
        sentences = [line for line in row["said"].splitlines() if line.startswith("lit-rlvr: error: ")]
        assert len(sentences) == 1, row["said"]
        assert "No space left on device" in sentences[0] or "the disk has 0.00 GB left" in sentences[0]
        assert f"{row['before']}/tiny/version_0" in sentences[0]
        assert "Traceback" not in row["said"]
        assert row["status"] == 2
        assert row["resumed"] == 0, row["again"]


def test_the_checkpoints_are_what_they_were(found: list[dict[str, Any]]) -> None:
    assert {"rl_step=2.ckpt", "rl_step=2.json", "last.ckpt"} <= set(found[3]["noted"])
    for row in found[1:]:
        assert row["left"] == row["noted"]
