"""A mistake made for real: a folder laid out, a command line given to the shell's own entry point, and what came of it.

From: the tables in `*_mistakes.py`. To: `test_mistakes.py`, which checks them, and `table.py`, which prints them.
"""

import contextlib
import hashlib
import io
import os
import shutil
import sys
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import torch

from lit_rlvr.__main__ import main

REPOSITORY = Path(__file__).resolve().parents[2]
BASE = REPOSITORY / "checkpoints" / "tiny-base"
HERE = "{room}"
"""In a command line, a file or a variable: the folder of the mistake."""

SMALL = (
    "--config", "configs/tiny.yaml",
    "--model.sampling.max_tokens", "8",
    "--data.rows", "2",
    "--data.rl_steps", "1",
    "--evaluation.plans", "[]",
    "--evaluation.endpoint_plans", "[]",
    "--trainer.logger.init_args.save_dir", f"{HERE}/runs",
)  # fmt: skip
"""A run that would take a second, if it ever began."""


@dataclass(frozen=True)
class Mistake:
    """Something that a user gets wrong.

    Attributes:
        what: in words, for the table.
        command: the command line.
        says: a pattern that the sentence must match: the place, and how to mend it.
        files: name -> content of what lies in the folder beforehand.
        prepare: lays out what is no plain file.
        environment: variables; an empty value unsets one.
        without: packages that are not installed.
    """

    what: str
    command: tuple[str, ...]
    says: str
    files: dict[str, str | bytes] = field(default_factory=dict)
    prepare: Callable[[Path], object] | None = None
    environment: dict[str, str] = field(default_factory=dict)
    without: tuple[str, ...] = ()


@dataclass(frozen=True)
class Outcome:
    """What the user gets: the exit status, the error stream, and whether the folder is as it was, byte for byte."""

    status: int
    errors: str
    untouched: bool

    @property
    def sentences(self) -> list[str]:
        """The lines meant as the answer to the mistake."""
        return [line for line in self.errors.splitlines() if line.startswith("lit-rlvr: error: ")]


def fit(*arguments: str) -> tuple[str, ...]:
    """`lit-rlvr fit` with a small configuration and these arguments."""
    return ("fit", *SMALL, *arguments)


def fit_on(config: str) -> tuple[str, ...]:
    """`lit-rlvr fit` with the tiny configuration and a file of the folder on top of it."""
    return fit("--config", f"{HERE}/{config}")


def evaluate(*arguments: str) -> tuple[str, ...]:
    """`lit-rlvr evaluate` of the embedded policy into a folder that is not there."""
    return ("evaluate", "--policy", "checkpoints/tiny-base", "--output", f"{HERE}/out", *arguments)


def model_folder(change: Callable[[Path], object]) -> Callable[[Path], None]:
    """A copy of the embedded policy, changed, as ``model`` in the folder."""

    def prepare(room: Path) -> None:
        shutil.copytree(BASE, room / "model")
        change(room / "model")

    return prepare


@cache
def _kept() -> TemporaryDirectory[str]:
    return TemporaryDirectory()


@cache
def checkpoint() -> Path:
    """A checkpoint of one RL step of the embedded policy, made once."""
    folder = Path(_kept().name)
    line = fit("--trainer.logger.init_args.name", "whole", "--checkpoint.export", "false")
    outcome = run(line, folder)
    assert outcome.status == 0, outcome.errors
    return folder / "runs" / "whole" / "version_0" / "checkpoints" / "rl_step=1.ckpt"


def with_checkpoint(change: Callable[[bytes], bytes] = bytes) -> Callable[[Path], None]:
    """That checkpoint, its bytes changed, as ``run.ckpt`` in the folder."""
    return lambda room: (room / "run.ckpt").write_bytes(change(checkpoint().read_bytes()))  # type: ignore[return-value]


def make(mistake: Mistake, room: Path) -> Outcome:
    """Make the mistake in an empty folder."""
    for name, content in mistake.files.items():
        (room / name).parent.mkdir(parents=True, exist_ok=True)
        data = content.replace(HERE, str(room)).encode() if isinstance(content, str) else content
        (room / name).write_bytes(data)
    if mistake.prepare is not None:
        mistake.prepare(room)
    return run(mistake.command, room, mistake.environment, mistake.without)


def run(
    command: tuple[str, ...],
    room: Path,
    environment: dict[str, str] | None = None,
    without: tuple[str, ...] = (),
) -> Outcome:
    """Give a command line to the entry point of the shell, in this process."""
    before = snapshot(room)
    words = ["lit-rlvr", *(word.replace(HERE, str(room)) for word in command)]
    errors, status = io.StringIO(), 0
    with contextlib.ExitStack() as stack:
        stack.enter_context(_as_user(words, room, environment or {}, without))
        stack.enter_context(contextlib.redirect_stdout(io.StringIO()))
        stack.enter_context(contextlib.redirect_stderr(errors))
        stack.enter_context(warnings.catch_warnings())
        warnings.simplefilter("ignore")  # said elsewhere; only the sentence is looked at here
        try:
            main()
        except SystemExit as end:
            status = end.code if isinstance(end.code, int) else int(end.code is not None)
    return Outcome(status, errors.getvalue(), snapshot(room) == before)


@contextlib.contextmanager
def _as_user(words: list[str], room: Path, environment: dict[str, str], without: tuple[str, ...]) -> Iterator[None]:
    """The process as a shell would have started it, in the checkout; afterwards as it was."""
    old = dict(os.environ), list(sys.argv), Path.cwd(), {name: sys.modules.get(name) for name in without}
    os.environ.pop("LIT_RLVR_TRACEBACK", None)
    os.environ.update({"HF_HUB_OFFLINE": "1"})
    for name, value in environment.items():
        os.environ.pop(name, None)
        if value:
            os.environ[name] = value.replace(HERE, str(room))
    sys.argv[:] = words
    sys.modules.update(dict.fromkeys(without))  # type: ignore[arg-type]  # None: Python then finds no such package
    os.chdir(REPOSITORY)
    threads = torch.get_num_threads()
    try:
        yield
    finally:
        torch.set_num_threads(threads)
        os.chdir(old[2])
        sys.argv[:] = old[1]
        os.environ.clear()
        os.environ.update(old[0])
        for name, module in old[3].items():
            if module is None:
                del sys.modules[name]
            else:
                sys.modules[name] = module


def snapshot(folder: Path) -> dict[str, str]:
    """Every file, folder and link below, with a digest of what it holds."""
    return {str(path.relative_to(folder)): _digest(path) for path in sorted(folder.rglob("*"))}


def _digest(path: Path) -> str:
    if path.is_symlink():
        return f"-> {os.readlink(path)}"
    return "folder" if path.is_dir() else hashlib.sha256(path.read_bytes()).hexdigest()
