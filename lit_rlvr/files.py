"""Where a run writes, and how: always to a temporary name first, so that no reader ever meets half a file."""

import json
import os
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from lightning import Trainer


def run_folder(trainer: Trainer) -> Path:
    """The folder of this run: the first logger's that has one, or the trainer's root directory.

    For rank 0, which alone writes. ``trainer.log_dir`` would be the same, but it is a collective operation: asked for on
    one rank alone, it waits for the others for ever.
    """
    for logger in trainer.loggers:
        folder = getattr(logger, "log_dir", None)
        if folder:
            return Path(folder)
    return Path(trainer.default_root_dir)


def write_atomically(path: Path, write: Callable[[Path], object]) -> None:
    """Let ``write`` fill a temporary file beside ``path``, then put it in its place in one move."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        write(temporary)
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def write_json(path: Path, content: Any) -> None:
    """One JSON document."""
    write_atomically(path, lambda p: p.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", "utf-8"))


def write_jsonl(path: Path, rows: Iterable[Mapping[str, Any]]) -> None:
    """One JSON object per line."""
    text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    write_atomically(path, lambda p: p.write_text(text, "utf-8"))
