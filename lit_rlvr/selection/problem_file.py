"""The chosen problems as a file that `data.source` takes: they come back from it exactly as they are."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from lit_rlvr.data.prompts import SUFFIX
from lit_rlvr.errors import UserError
from lit_rlvr.experience import Problem
from lit_rlvr.files import write_jsonl


def problem_row(problem: Problem) -> dict[str, Any]:
    """The row that `data/schemas.py` reads back to this problem.

    In verl's form, the one of the paper's files. The flat forms would lose the line break that ends some of the paper's
    questions, and would take ``####`` in an answer for GSM8K's.
    """
    # One suffix is taken off on reading, so a question that ends in it needs another.
    question = problem.question + (SUFFIX if problem.question.endswith(SUFFIX) else "")
    return {
        "data_source": problem.source,
        "prompt": [{"role": "user", "content": question}],
        "reward_model": {"ground_truth": problem.answer},
        "extra_info": {"index": problem.id, "subject": problem.subject, "level": problem.level},
    }


def check_output(path: Path) -> None:
    """Refuse a name that the readers would not take.

    Raises:
        UserError: it does not end in .jsonl, or is a folder.
    """
    if path.suffix != ".jsonl":
        raise UserError(f"--output {path}: problem files are written as JSON lines; let the name end in .jsonl.")
    if path.is_dir():
        raise UserError(f"--output {path} is a folder; name a file in it.")


def write_problems(path: Path, problems: Iterable[Problem]) -> bool:
    """Write the file; False where it is there already, with the same content.

    Raises:
        UserError: it is there with another content, or cannot be written.
    """
    rows = [problem_row(problem) for problem in problems]
    try:
        if path.exists():
            if _rows_in(path) == rows:
                return False
            raise UserError(f"{path} is there already and holds something else; remove it, or name another --output.")
        write_jsonl(path, rows)
    except OSError as error:
        raise UserError(f"cannot write {path}: {error.strerror}; make room, or name another --output.") from error
    return True


def _rows_in(path: Path) -> list[Any] | None:
    try:
        return [json.loads(line) for line in path.read_text("utf-8").split("\n") if line]
    except ValueError:
        return None
