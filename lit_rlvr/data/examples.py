"""Worked examples: a built-in name or a file -> the Examples that a prompt shows before its question.

Beside the readers: `data/prompts.py` puts it into the prompt. The paper's control without training is an evaluation with
the training problem as such an example.
"""

import warnings
from collections.abc import Iterable, Sequence
from difflib import get_close_matches
from functools import cache
from pathlib import Path
from typing import Any

from lit_rlvr.data.prompts import Example
from lit_rlvr.errors import UserError
from lit_rlvr.experience import Problem
from lit_rlvr.files import json_lines, json_text, parse_json

_QUESTION, _RESPONSE = ("question", "problem"), ("response", "solution")


@cache
def read_examples(source: str) -> tuple[Example, ...]:
    """The example of that name, or the rows of a .json or .jsonl file, each with question and response (or problem, solution).

    Raises:
        UserError: there is none, or the file holds something else.
    """
    from lit_rlvr.tiny.sets import EXAMPLES  # lazily: files need no generated problems

    if source in EXAMPLES:
        return (Example(*EXAMPLES[source]),)
    path = Path(source).expanduser()
    if path.suffix not in {".json", ".jsonl"}:
        near = get_close_matches(source, EXAMPLES, n=1)
        hint = f" (did you mean {near[0]}?)" if near else ""
        raise UserError(
            f"There is no worked example {source!r}{hint}; use {', '.join(EXAMPLES)}, or a .json or .jsonl file with "
            "questions and their responses."
        )
    return tuple(Example(_text(row, _QUESTION, path), _text(row, _RESPONSE, path)) for row in _rows(path))


def warn_if_asked(examples: Sequence[Example], problems: Iterable[Problem], where: str) -> None:
    """Warn if an example gives away the answer to one of the problems.

    The problem stays: an evaluation on fewer problems than a benchmark has is no evaluation on that benchmark.
    """
    shown = {example.question.strip() for example in examples}
    same = [problem.id for problem in problems if problem.question.strip() in shown]
    if same:
        warnings.warn(
            f"{where}: the worked example in the prompt is problem {', '.join(same[:3])} itself, whose answer it gives away.",
            stacklevel=2,
        )


def _rows(path: Path) -> list[dict[str, Any]]:
    try:
        read = [row for _, row in json_lines(path)] if path.suffix == ".jsonl" else parse_json(json_text(path))
    except OSError as error:
        raise UserError(f"The worked example {path} cannot be read: {error.strerror}.") from error
    except (ValueError, RecursionError) as error:
        raise UserError(f"The worked example {path} is not valid JSON ({error}).") from error
    rows = read if isinstance(read, list) else [read]
    if not rows or not all(isinstance(row, dict) for row in rows):
        raise UserError(f"{path} holds no worked examples: each is an object with question and response.")
    return rows


def _text(row: dict[str, Any], keys: tuple[str, ...], path: Path) -> str:
    text = next((row[key] for key in keys if key in row), None)
    if not isinstance(text, str) or not text.strip():
        raise UserError(f"{path}: the worked example has no {' or '.join(keys)} with text in it.")
    return text.strip()
