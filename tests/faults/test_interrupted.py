"""`evaluate`, `select` and `sweep` ended by a signal in the middle, and called again: nothing is lost, nothing done twice.

What is here has no place beside the commands' own tests, which interrupt a screen by Ctrl-C and a sweep by SIGTERM.
"""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from lit_rlvr.commands import call
from lit_rlvr.data.readers import read_problems
from lit_rlvr.selection.screen import progress_file

TINY = "checkpoints/tiny-base"


@pytest.fixture(autouse=True)
def _from_the_root(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(repository)


def status_of(command: str, arguments: list[str]) -> int:
    with pytest.raises(SystemExit) as end:
        call(command, arguments)
    return int(end.value.code or 0)


def interrupted(command: str, arguments: list[str], which: signal.Signals, begun: Callable[[], bool]) -> int:
    """How a process ends that does the command and gets the signal once ``begun``: its status, negative for a signal.

    A fork of this process, which has the packages loaded already.
    """
    child = os.fork()
    if child == 0:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        sys.stdout = sys.stderr = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115 - until the process ends
        try:
            call(command, arguments)
        except SystemExit as end:
            os._exit(int(end.code or 0))
        finally:
            os._exit(99)
    give_up = time.monotonic() + 60
    while not begun():
        assert time.monotonic() < give_up
        time.sleep(0.005)
    os.kill(child, which)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


@pytest.mark.parametrize("command", ["fit", "evaluate"])
def test_ctrl_c_while_packages_load_is_no_fault_of_ours(command: str) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "lit_rlvr", command, "--help"], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )  # fmt: skip
    while "libtorch" not in Path(f"/proc/{process.pid}/maps").read_text():
        assert process.poll() is None
        time.sleep(0.005)
    process.send_signal(signal.SIGINT)
    assert process.communicate(timeout=60)[1].splitlines()[-1:] == ["lit-rlvr: stopped."]
    assert process.returncode == 130


@pytest.mark.parametrize(("which", "status"), [(signal.SIGINT, 130), (signal.SIGKILL, -9)])
def test_an_evaluation_goes_on(which: signal.Signals, status: int, tmp_path: Path) -> None:
    def line(folder: Path) -> list[str]:
        plans = '[{"benchmark": "tiny500", "limit": 120, "max_tokens": 24}]'
        return [
            *("--policy", TINY, "--accelerator", "cpu", "--plans", plans, "--batch_responses", "4"),
            *("--output", str(folder)),
        ]

    folder = tmp_path / "out"
    part = folder / "responses" / "tiny500@1.rank0.part"
    assert interrupted("evaluate", line(folder), which, lambda: part.exists() and part.stat().st_size > 0) == status
    assert not (folder / "evaluations.jsonl").exists()
    before = part.read_bytes()
    made = before.count(b"\n")
    assert 0 < made < 120
    assert status_of("evaluate", line(folder)) == 0
    assert status_of("evaluate", line(tmp_path / "whole")) == 0
    whole, ours = (json.loads((f / "evaluations.jsonl").read_text()) for f in (tmp_path / "whole", folder))
    assert ours | {"seconds": 0} == whole | {"seconds": 0}
    assert (folder / "responses" / "tiny500@1.jsonl").read_bytes() == (
        tmp_path / "whole" / "responses" / "tiny500@1.jsonl"
    ).read_bytes()
    assert not part.exists()


def test_a_screen_that_was_killed_goes_on(tmp_path: Path) -> None:
    problems = tmp_path / "problems.jsonl"
    rows = [{"id": p.id, "problem": p.question, "answer": p.answer} for p in read_problems("tiny-pool")[:160]]
    problems.write_text("".join(json.dumps(row) + "\n" for row in rows))

    def line(rates: Path) -> list[str]:
        return [
            *("--by", "pass-rate", "--policy", TINY, "--source", str(problems), "--samples", "4", "--max_tokens", "24"),
            *("--rates", str(rates), "--count", "2"),
        ]

    parts, whole = tmp_path / "parts.json", tmp_path / "whole.json"
    assert interrupted("select", line(parts), signal.SIGKILL, progress_file(parts).exists) == -9
    assert not parts.exists()
    assert 0 < len(json.loads(progress_file(parts).read_text())["rates"]) < 160
    assert status_of("select", line(parts)) == 0
    assert status_of("select", line(whole)) == 0
    assert parts.read_bytes() == whole.read_bytes()
    assert not progress_file(parts).exists()
