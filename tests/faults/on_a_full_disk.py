"""Runs on a disk that others fill: in one process, as a user would start them, each in a folder of its own.

    python -m tests.faults.on_a_full_disk FOLDER        # a file system of some 60 MB, this process' own

Prints a line of JSON for an export, and one for each run: when the disk was full, the status, what was said, what was there before and after, and whether
the run could be gone on with once there was room.
"""

import contextlib
import hashlib
import io
import json
import shutil
import sys
from pathlib import Path
from typing import Any

from lightning import Callback, LightningModule, Trainer

from lit_rlvr.cli import main

SMALL = [
    "--config", "configs/tiny.yaml", "--model.sampling.max_tokens", "8", "--data.rows", "2", "--data.rl_steps", "4",
    "--evaluation.plans", '[{"benchmark": "tiny500", "limit": 9, "max_tokens": 8}]', "--evaluation.endpoint_plans", "[]",
    "--evaluation.every_n_rl_steps", "2", "--checkpoint.every_n_rl_steps", "2",
]  # fmt: skip


noted: dict[str, str] = {}
"""The checkpoints that were there when the disk was filled."""


def fill(folder: Path, spare: int = 0) -> None:
    """Leave no byte free, or some."""
    with open(folder / "filler", "wb", buffering=0) as file:
        with contextlib.suppress(OSError):
            while file.write(bytes(4096)):
                pass
        file.truncate(file.tell() - spare)


class FillsTheDisk(Callback):
    """Fills it before an RL step.

    Args:
        folder: of the disk.
        before: which step.
    """

    def __init__(self, folder: str, before: int) -> None:
        self.folder, self.before = Path(folder), before

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:
        if batch_idx == self.before:
            noted.update(checkpoints(self.folder))
            fill(self.folder)


def checkpoints(folder: Path) -> dict[str, str]:
    """What checkpoints there are, and their hashes."""
    return {p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in sorted(folder.glob("*/tiny/*/checkpoints/*"))}


def fit(folder: Path, *arguments: str) -> tuple[int, str]:
    """The status of a run, and what it said on stderr."""
    return command("fit", *SMALL, "--trainer.logger.init_args.save_dir", str(folder), *arguments)


def command(*arguments: str) -> tuple[int, str]:
    """The same of any command."""
    sys.argv = ["lit-rlvr", *arguments]
    said = io.StringIO()
    with contextlib.redirect_stderr(said), contextlib.redirect_stdout(io.StringIO()):
        try:
            main()
        except SystemExit as end:
            return int(end.code or 0), said.getvalue()
    return 0, said.getvalue()


if __name__ == "__main__":
    disk = Path(sys.argv[1])
    fill(disk, spare=2**20)  # not enough for the weights
    status, said = command("export", "checkpoints/tiny-base", str(disk / "policy"))
    (disk / "filler").unlink()
    print(json.dumps({"status": status, "said": said, "left": [str(path) for path in disk.iterdir()]}), flush=True)
    for before in (None, 0, 2):
        runs = disk / str(before)
        runs.mkdir()
        noted.clear()
        if before is None:
            fill(disk)
            status, said = fit(runs)
        else:
            filling = {"class_path": f"{__name__}.FillsTheDisk"}
            filling |= {"init_args": {"folder": str(disk), "before": before}}
            status, said = fit(runs, "--trainer.callbacks", json.dumps([filling]))
        left = checkpoints(disk)
        (disk / "filler").unlink()
        resumed, again = fit(runs, "--resume", "auto")
        row = {"before": before, "status": status, "said": said, "noted": noted, "left": left}
        print(json.dumps(row | {"resumed": resumed, "again": again}), flush=True)
        shutil.rmtree(runs)
