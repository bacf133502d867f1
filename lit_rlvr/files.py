"""Where a run writes, and how: always to a temporary name first, so that no reader ever meets half a file."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lit_rlvr.errors import UserError

if TYPE_CHECKING:  # it takes seconds to load, and those that only read files need none of it
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
    """Let ``write`` fill a temporary file beside ``path``, then put it in its place in one move.

    Raises:
        OSError: it cannot be written; what was there is still there. It names the file, as Python's own does not when a disk
            is full.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        write(temporary)
        os.replace(temporary, path)
    except OSError as error:
        # Of an error without a number Python would then print neither text nor file.
        if error.errno is not None and error.filename is None:
            error.filename = str(path)
        raise
    finally:
        temporary.unlink(missing_ok=True)


def write_json(path: Path, content: Any) -> None:
    """One JSON document."""
    write_atomically(path, lambda p: p.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", "utf-8"))


def write_jsonl(path: Path, rows: Iterable[Mapping[str, Any]]) -> None:
    """One JSON object per line."""
    text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    write_atomically(path, lambda p: p.write_text(text, "utf-8"))


def json_text(path: Path) -> str:
    """The text of a file, without a byte order mark.

    Raises:
        UserError: it is not UTF-8.
    """
    content = path.read_bytes()
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        row = content[: error.start].count(b"\n") + 1
        raise UserError(f"{path}, row {row}: byte {error.start} is not valid UTF-8; save the file as UTF-8.") from error


def parse_json(text: str) -> Any:
    """What a JSON text says.

    Raises:
        ValueError: it is no JSON, or an escape in it means half a character, which no file could hold again.
        RecursionError: its brackets have no end.
    """
    content = json.loads(text)
    if r"\ud" in text.lower():
        json.dumps(content, ensure_ascii=False).encode()
    return content


def json_lines(path: Path) -> list[tuple[int, Any]]:
    """What stands on each line of a .jsonl file, with its number, counted from 1; blank lines are left out.

    Raises:
        UserError: a line is not JSON.
    """
    rows = []
    # Not splitlines(): a JSON string may hold U+2028 and its like unescaped, and they do not end a row.
    for number, line in enumerate(json_text(path).split("\n"), start=1):
        if line.strip():
            try:
                rows.append((number, parse_json(line)))
            except (ValueError, RecursionError) as error:
                why = " ".join(str(error).split())[:200].rstrip(".")
                raise UserError(
                    f"{path}, row {number} is not valid JSON ({why}); a .jsonl file holds one JSON object per line."
                ) from error
    return rows
