"""One run of a sweep, an arm with a seed: what its files say about it, and how it is begun, gone on with, and ended.

Made of the grid's arms, worked off by `runner.py`. A run's folder is ``ROOT/<arm>/seed-<n>``. Beside it are the log,
``seed-<n>.log``, and ``seed-<n>.started.json``: what the run was begun with, and the CPU seconds spent so far. When it is
complete, ``done.json`` in the folder says the same.
"""

import hashlib
import json
import os
import shutil
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import yaml

from lit_rlvr.checkpoints import checkpoints
from lit_rlvr.errors import UserError
from lit_rlvr.files import write_json
from lit_rlvr.sweep.grid import Arm

_INPUTS = {".yaml", ".yml", ".json", ".jsonl", ".parquet"}


@dataclass(frozen=True)
class Run:
    """An arm with a seed, in the sweep's folder ``root``."""

    arm: Arm
    seed: int
    root: Path

    def __str__(self) -> str:
        return f"{self.arm.name}, seed {self.seed}"

    @property
    def folder(self) -> Path:
        """Where it writes."""
        return self.arm.folder(self.root, self.seed)

    @property
    def log(self) -> Path:
        """Everything that it says."""
        return self.folder.with_name(f"{self.folder.name}.log")

    @property
    def _started(self) -> Path:
        return self.folder.with_name(f"{self.folder.name}.started.json")

    @cached_property
    def inputs(self) -> dict[str, Any]:
        """What decides the result: verb, arguments, and a digest of every file that they name."""
        words = [part for argument in self.arm.arguments for part in (argument, argument.partition("=")[2])]
        paths = {word: Path(word.replace("{root}", str(self.root))) for word in words}
        files = {word: _digest(p) for word, p in paths.items() if p.suffix in _INPUTS and os.path.isfile(p)}
        return {"verb": self.arm.verb, "arguments": list(self.arm.arguments), "files": files}

    @property
    def done(self) -> bool:
        """Whether it is complete."""
        return (self.folder / "done.json").is_file()

    def change(self) -> str | None:
        """What differs between now and when the run was begun or done; None if nothing does, or nothing is left of it."""
        file = self.folder / "done.json" if self.done else self._started
        if not file.is_file() or self._came_to_nothing():
            return None
        then, now = _read(file), self.inputs
        if any(key not in then for key in now):
            return f"{file} does not say with which arguments"
        if (then["verb"], then["arguments"]) != (now["verb"], now["arguments"]):
            old, new = ([arm["verb"], *arm["arguments"]] for arm in (then, now))
            gone, come = ([part for part in a if part not in b] for a, b in ((old, new), (new, old)))
            parts = [f"{word} {' '.join(some)}" for word, some in (("with", gone), ("without", come)) if some]
            return f"it was begun {' and '.join(parts) or 'with the arguments in another order'}"
        changed = [
            name for name in {**then["files"], **now["files"]} if then["files"].get(name) != now["files"].get(name)
        ]
        return f"{', '.join(changed)} changed since" if changed else None

    def begin(self, redo: bool = False) -> list[str]:
        """Make the folder ready; returns the command, which goes on from the last checkpoint if there is one.

        Raises:
            UserError: the folder holds what no sweep put there.
        """
        if redo:
            self.forget()
        known = self._started.is_file()
        if not known and self.folder.is_dir() and any(self.folder.iterdir()):
            raise UserError(
                f"{self.folder} holds files that no sweep put there; move them away, or give another --root."
            )
        command = self.arm.command(self.root, self.seed)
        if self.arm.verb == "fit":
            if known and checkpoints(self.folder):  # where all are damaged, the run says so and is not thrown away
                command += ["--resume", "auto"]
            else:
                self.forget()
        if not self._started.is_file():
            write_json(self._started, {**self.inputs, "cpu_seconds": 0.0})
        return command

    def forget(self) -> None:
        """Remove the run, whatever there is of it."""
        shutil.rmtree(self.folder, ignore_errors=True)
        self._started.unlink(missing_ok=True)

    def end(self, status: int, cpu_seconds: float) -> bool:
        """Record an attempt that ended with this status; whether the run is now complete."""
        spent = {**self.inputs, "cpu_seconds": round(_read(self._started)["cpu_seconds"] + cpu_seconds, 1)}
        # Not the status alone: Lightning leaves with 0 when it is told to stop by SIGTERM.
        complete = status == 0 and self._complete()
        write_json(self.folder / "done.json" if complete else self._started, spent)
        if complete:
            self._started.unlink()
        return complete

    def cpu_seconds(self) -> float:
        """Of all attempts together, once it is done."""
        return float(_read(self.folder / "done.json")["cpu_seconds"])

    def _came_to_nothing(self) -> bool:
        """Whether it ended before its first checkpoint: it begins anew, and what it was begun with no longer matters."""
        return self.arm.verb == "fit" and not self.done and not checkpoints(self.folder)

    def _complete(self) -> bool:
        if self.arm.verb == "evaluate":
            return (self.folder / "evaluations.jsonl").is_file()
        steps = [step for step, _ in checkpoints(self.folder)]
        return bool(steps) and steps[-1] >= self._rl_steps()

    def _rl_steps(self) -> int:
        config = self.folder / "config.yaml"
        if not config.is_file():
            return 0
        return int(yaml.safe_load(config.read_text("utf-8"))["data"]["rl_steps"])


def _read(file: Path) -> dict[str, Any]:
    try:
        content = json.loads(file.read_text("utf-8"))
        assert isinstance(content, dict)
    except (ValueError, AssertionError) as error:
        raise UserError(f"{file} is damaged; remove its run with --redo.") from error
    return content


def _digest(path: Path) -> str:
    """Of what a file says: comments and layout of YAML do not count."""
    content = path.read_bytes()
    if path.suffix in {".yaml", ".yml"}:
        content = json.dumps(yaml.safe_load(content), sort_keys=True, default=str).encode()
    return hashlib.blake2b(content, digest_size=8).hexdigest()
