"""A history from its file: `history.json` of a run, the paper's `acc_step_500.json`, or rates of a screen. No torch."""

import json
from pathlib import Path
from typing import Any

from lit_rlvr.errors import UserError

Accuracies = dict[str, list[float]]


def read_history(path: Path) -> Accuracies:
    """Problem id -> accuracies in [0, 1], in the order of the file.

    Raises:
        UserError: there is no such file, or something else is in it.
    """
    try:
        content = json.loads(path.read_bytes().decode("utf-8-sig"), object_pairs_hook=_without_repeats)
    except OSError as error:
        raise UserError(f"cannot read the history {path}: {error.strerror}.") from error
    except _Repeated as error:
        raise UserError(f"the history {path} has two entries for the problem {error}; keep one of them.") from error
    except (ValueError, RecursionError) as error:
        reason = " ".join(str(error).split())
        raise UserError(f"the history {path} is not valid JSON ({reason}); was it cut off?") from error
    if not isinstance(content, dict):
        raise UserError(
            f"the history {path} holds a {_kind(content)}; it should map problem ids to lists of accuracies."
        )
    if not content:
        raise UserError(f"the history {path} holds no problems.")
    return {problem: _accuracies(problem, values, path) for problem, values in content.items()}


def _accuracies(problem: str, values: Any, path: Path) -> list[float]:
    if not isinstance(values, list):
        raise UserError(f"the history {path}: problem {problem} has a {_kind(values)}, not a list of accuracies.")
    if not values:
        raise UserError(f"the history {path}: problem {problem} has an empty list; leave the problem out.")
    for number, value in enumerate(values, start=1):
        # True is an int to Python; NaN fails the comparison.
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
            shown = json.dumps(value)[:40]
            raise UserError(
                f"the history {path}: entry {number} of problem {problem} is {shown}, not a number from 0 to 1."
            )
    return [float(value) for value in values]


def _kind(value: Any) -> str:
    names = {dict: "mapping", list: "list", str: "string", bool: "truth value", type(None): "null"}
    return names.get(type(value), "number")


class _Repeated(Exception):
    """A key that comes twice."""


def _without_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    content: dict[str, Any] = {}
    for key, value in pairs:
        if key in content:
            raise _Repeated(key)
        content[key] = value
    return content
