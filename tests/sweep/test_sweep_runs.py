"""Real sweeps of small runs, as a user starts, stops and goes on with them."""

import hashlib
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from lit_rlvr.checkpoints import Manifest
from lit_rlvr.errors import UserError
from lit_rlvr.sweep.command import main
from lit_rlvr.sweep.grid import Arm, read_grid
from lit_rlvr.sweep.run import Run
from lit_rlvr.sweep.runner import Runner

GRID = """
base: [configs/tiny.yaml]
arms:
  one: {title: one problem, arguments: [--evaluation.every_n_rl_steps=1]}
  strong: {title: strong entropy, arguments: [--config, configs/ablation/entropy_too_strong.yaml]}
"""
SMALL = [
    "--model.sampling.max_tokens", "16", "--data.rows", "2", "--data.rl_steps", "3", "--checkpoint.every_n_rl_steps", "1",
    "--evaluation.plans", '[{"benchmark": "tiny500", "limit": 8, "max_tokens": 8}]', "--evaluation.endpoint_plans", "[]",
]  # fmt: skip


@pytest.fixture(autouse=True)
def _in_the_checkout(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(repository)
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")


def grid_in(folder: Path, text: str = GRID) -> Path:
    path = folder / "grid.yaml"
    path.write_text(text)
    return path


def sweep(grid: Path, root: Path, *arguments: str, extra: list[str] = SMALL) -> list[str]:
    return [
        sys.executable,
        "-m",
        "lit_rlvr",
        "sweep",
        str(grid),
        "--root",
        str(root),
        "--seeds",
        "0",
        *arguments,
        "--",
        *extra,
    ]


def call(line: list[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(line, capture_output=True, text=True, check=False, timeout=240)


def figures(table: str) -> list[str]:
    """The lines of the table without the CPU seconds, which no two runs have in common."""
    return [re.sub(r"[^|]*\|$", "", line) for line in table.splitlines() if line.startswith("|")]


@pytest.fixture(scope="module")
def whole(repository: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, str]:
    """An uninterrupted sweep of two arms: its grid, its folder, its table."""
    folder = tmp_path_factory.mktemp("whole")
    line = sweep(grid_in(folder), folder / "runs", "--jobs", "2", "--table", str(folder / "table.md"))
    done = subprocess.run(line, cwd=repository, capture_output=True, text=True, check=False, timeout=240)
    assert done.returncode == 0, done.stderr + done.stdout
    table = (folder / "table.md").read_text()
    assert done.stdout.endswith(table)
    return folder / "grid.yaml", folder / "runs", table


def test_two_arms_and_their_table(whole: tuple[Path, Path, str]) -> None:
    grid, root, table = whole
    lines = table.splitlines()
    assert lines[0] == "| | greedy % | boxed % | length | train accuracy, last 10 steps % | seeds | CPU s |"
    assert [line.split("|")[1].strip() for line in lines[2:5]] == ["base model", "one problem", "strong entropy"]
    assert f"lit-rlvr sweep {grid} --root {root} --seeds 0 --jobs 2" in lines[-1]
    rows = [json.loads(line) for line in (root / "one" / "seed-0" / "evaluations.jsonl").read_text().splitlines()]
    assert [row["rl_step"] for row in rows] == [0, 1, 2, 3]
    end = 100 * rows[-1]["accuracy"]
    assert lines[3].split("|")[2].strip() == f"{end:.1f} ({end - 100 * rows[0]['accuracy']:+.1f})"
    done = json.loads((root / "strong" / "seed-0" / "done.json").read_text())
    assert set(done["files"]) == {"configs/tiny.yaml", "configs/ablation/entropy_too_strong.yaml"}
    assert 1 < done["cpu_seconds"] < 200
    assert not list(root.rglob("*.started.json"))
    assert "RL step 0 -> 3" in (root / "one" / "seed-0.log").read_text()


def test_called_again_it_runs_nothing(
    whole: tuple[Path, Path, str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    grid, root, table = whole
    monkeypatch.setattr(subprocess, "Popen", None)
    assert main(sweep(grid, root)[4:]) == 0
    printed = capsys.readouterr().out
    assert printed.startswith("2 runs, 2 done already, 0 to do.\n")
    assert figures(printed) == figures(table)


def test_changed_arguments_are_refused(whole: tuple[Path, Path, str], tmp_path: Path) -> None:
    grid, root, _ = whole
    with pytest.raises(UserError, match=r"one/seed-0 is of another grid than this.*with 3 and without 4.*--redo"):
        main(sweep(grid, root, extra=[word if word != "3" else "4" for word in SMALL])[4:])
    other = grid_in(tmp_path, GRID.replace("entropy_too_strong", "entropy_only"))
    with pytest.raises(UserError, match=r"strong/seed-0 is.*with configs/ablation/entropy_too_strong.yaml and without"):
        main(sweep(other, root)[4:])
    assert main(sweep(other, root, "--arms", "one")[4:]) == 0  # the other arm is not asked for


@pytest.mark.parametrize(
    "how", [signal.SIGTERM, *(pytest.param(one, marks=pytest.mark.slow) for one in (signal.SIGINT, signal.SIGKILL))]
)
def test_interrupted_and_gone_on_with(how: signal.Signals, whole: tuple[Path, Path, str], tmp_path: Path) -> None:
    grid, _, table = whole
    root = tmp_path / "runs"
    run, line = root / "one" / "seed-0", sweep(grid, root, "--arms", "one")
    # What a shell without job control starts in the background is born deaf to SIGINT.
    hearing = {"preexec_fn": lambda: signal.signal(signal.SIGINT, signal.SIG_DFL)}
    process = subprocess.Popen(line, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **hearing)
    while not (run / "checkpoints" / "last.ckpt").exists():
        assert process.poll() is None
        time.sleep(0.01)
    if how is signal.SIGKILL:  # the sweep can do nothing: its run is left alone, and ended here as the kernel might
        os.kill(process.pid, signal.SIGSTOP)
        (child,) = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        os.killpg(int(child), signal.SIGKILL)
    process.send_signal(how)
    out, error = process.communicate(timeout=60)
    assert process.returncode == (-9 if how is signal.SIGKILL else 128 + how)
    if how is not signal.SIGKILL:
        assert "one, seed 0: stopped" in out
        assert "lit-rlvr: stopped, 1 to do; go on with: lit-rlvr sweep" in error
    assert not (run / "done.json").exists()
    again = call(line)
    assert again.returncode == 0, again.stdout + again.stderr
    assert "one, seed 0: goes on from" in again.stdout
    assert figures(again.stdout) == figures(table)[:4]


def test_a_failing_arm_stops_no_other_and_is_tried_again(tmp_path: Path) -> None:
    rows = '--data.source, "{root}/problem.jsonl"'
    grid = grid_in(
        tmp_path, "base: [configs/tiny.yaml]\narms:\n  bad: {title: a, arguments: [" + rows + "]}\n  good: {title: b}\n"
    )
    root = tmp_path / "runs"
    done = call(sweep(grid, root))
    assert done.returncode == 1
    assert re.search(
        r"bad, seed 0: failed with status 2 after .*; .*seed-0.log ends with\n(?: +.*\n)* +lit-rlvr: error: .*problem.jsonl",
        done.stdout,
    )
    assert "good, seed 0: done" in done.stdout
    assert "1 of 2 runs failed: bad, seed 0. To try them again: lit-rlvr sweep" in done.stderr
    assert "Not done: bad, seed 0." in done.stdout
    (root / "problem.jsonl").write_text('{"problem": "Solve for x: 3x+18=42", "answer": "8"}\n')
    # The file was not there before; but the run had come to nothing, so nothing stale is left of it.
    done = call(sweep(grid, root))
    assert done.returncode == 0, done.stdout
    assert done.stdout.startswith("2 runs, 1 done already, 1 to do.")
    (root / "problem.jsonl").write_text('{"problem": "Solve for x: 3x+19=43", "answer": "8"}\n')
    with pytest.raises(UserError, match=r"bad/seed-0.*problem.jsonl changed since"):
        main(sweep(grid, root)[4:])


MISTAKES = {
    "no such grid": (["no.yaml"], "there is no grid no.yaml"),
    "unknown arm": (
        ["configs/sweep/tiny.yaml", "--arms", "one-shoot"],
        "no arm 'one-shoot'; the nearest is 'one-shot'",
    ),
    "no jobs": (["configs/sweep/tiny.yaml", "--jobs", "0"], "--jobs is 0"),
    "a seed twice": (["configs/sweep/tiny.yaml", "--seeds", "1", "1"], "names a seed twice: 1 1"),
    "unknown option": (["configs/sweep/tiny.yaml", "--seed", "1"], "seed"),
    "no grid at all": ([], "grid"),
    "a root that is no folder": (
        ["configs/sweep/tiny.yaml", "--root", "README.md"],
        "--root: the folder README.md cannot be",
    ),
    "a table that is a folder": (["configs/sweep/tiny.yaml", "--table", "tests"], "--table: tests is a folder"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_mistakes(mistake: str) -> None:
    arguments, sentence = MISTAKES[mistake]
    with pytest.raises(UserError, match=sentence):
        main(arguments)


def test_what_no_sweep_put_there_is_kept(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "one" / "seed-0").mkdir(parents=True)
    (tmp_path / "one" / "seed-0" / "precious.txt").write_text("x")
    runner = Runner([Run(arm, 0, tmp_path) for arm in read_grid(grid_in(tmp_path)).choose(["one"]).arms])
    monkeypatch.setattr(subprocess, "Popen", None)
    runner.work()
    assert list(map(str, runner.failed)) == ["one, seed 0"]
    assert "not started: " in (printed := capsys.readouterr().out)
    assert "holds files that no sweep put there" in printed
    assert (tmp_path / "one" / "seed-0" / "precious.txt").read_text() == "x"


def test_a_run_that_is_under_way_elsewhere_is_left_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    import fcntl

    monkeypatch.setattr("lit_rlvr.sweep.runner.LOCK_SECONDS", 0.2)
    run = Run(read_grid(grid_in(tmp_path)).arms[0], 0, tmp_path)
    run.log.parent.mkdir(parents=True)
    with open(run.log, "ab") as log:
        fcntl.flock(log, fcntl.LOCK_EX)
        runner = Runner([run])
        runner.work()
    assert runner.failed == [run]
    assert "another process is at work on it" in capsys.readouterr().out


def fake(root: Path, rl_steps: int, checkpoints: list[int]) -> Run:
    """What a run leaves that is at some point of its way."""
    run = Run(Arm("a", "a", "fit", ()), 0, root)
    run.begin()
    (run.folder / "checkpoints").mkdir(parents=True)
    (run.folder / "config.yaml").write_text(f"data:\n  rl_steps: {rl_steps}\n")
    for step in checkpoints:
        checkpoint = run.folder / "checkpoints" / f"rl_step={step}.ckpt"
        checkpoint.touch()
        Manifest(step, 0, hashlib.sha256(b"").hexdigest()).write(checkpoint)
    return run


def test_where_a_run_goes_on(tmp_path: Path) -> None:
    assert fake(tmp_path / "a", 100, [60, 80]).begin()[-2:] == ["--resume", "auto"]
    started = fake(tmp_path / "c", 100, [])
    (started.folder / "half.txt").touch()
    assert "--resume" not in started.begin()
    assert not started.folder.exists()


def test_a_run_is_done_when_it_says_so_and_has_its_last_step(tmp_path: Path) -> None:
    stopped = fake(tmp_path / "a", 100, [60, 80])
    assert not stopped.end(0, 10.0)  # Lightning leaves with 0 on SIGTERM
    assert not stopped.done
    (stopped.folder / "checkpoints" / "rl_step=100.ckpt").touch()
    assert not stopped.end(1, 5.5)
    assert stopped.end(0, 2.0)
    assert stopped.done
    assert stopped.cpu_seconds() == 17.5  # of all attempts


def test_damaged_checkpoints_are_not_thrown_away(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = Run(Arm("a", "a", "fit", ("--config", "configs/tiny.yaml")), 0, tmp_path)
    run.begin()
    checkpoint = run.folder / "checkpoints" / "rl_step=2.ckpt"
    checkpoint.parent.mkdir(parents=True)
    checkpoint.write_bytes(b"half of it")  # and no manifest
    runner = Runner([run])
    runner.work()
    assert runner.failed == [run]
    said = capsys.readouterr().out
    assert f"The checkpoint {checkpoint} is damaged" in said
    assert "No other is left" in said
    assert checkpoint.read_bytes() == b"half of it"


def test_comments_in_a_config_change_nothing(tmp_path: Path) -> None:
    config = tmp_path / "c.yaml"
    config.write_text("data: {rows: 4}\n")

    def run() -> Run:
        return Run(Arm("a", "a", "fit", ("--config", str(config))), 0, tmp_path)

    run().begin()
    checkpoints = run().folder / "checkpoints"
    checkpoints.mkdir(parents=True)
    (checkpoints / "rl_step=1.ckpt").touch()
    config.write_text("# More words.\ndata:\n  rows: 4\n")
    assert run().change() is None
    config.write_text("data: {rows: 5}\n")
    assert run().change() == f"{config} changed since"
    (tmp_path / "a" / "seed-0.started.json").write_text("{")
    with pytest.raises(UserError, match=r"started.json is damaged"):
        run().change()
