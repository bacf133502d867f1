"""What a line of `evaluations.jsonl` holds, for all who read one back: the report, the folder of an evaluation, a re-scoring."""

from math import isfinite
from typing import Any

from lit_rlvr.errors import shown

_NUMBER = (int, float)
_NEEDED: dict[str, Any] = {
    "rl_step": int,
    "benchmark": str,
    "problems": int,
    "k": int,
    "temperature": _NUMBER,
    "accuracy": _NUMBER,
}
_LATER: dict[str, Any] = {
    **dict.fromkeys(
        ("stderr", "ci_low", "ci_high", "majority", "boxed", "right_given_boxed", "truncated", "length"), _NUMBER
    ),
    **dict.fromkeys(("right_outside_box", "reflection", "code", "repetition", "seconds"), _NUMBER),
    **dict.fromkeys(("template", "example", "split", "exclude"), str),
    **dict.fromkeys(("limit", "max_tokens"), int),
    **dict.fromkeys(("rules", "pass_at_k", "verdicts", "subjects", "levels"), dict),
    "correct": list,
}
"""Keys that older rows lack; null stands for what there is none of."""


def fault(row: Any) -> str:
    """What is wrong with a row, or nothing."""
    if not isinstance(row, dict):
        return f"it is a {type(row).__name__}, not an object"
    for key, kind in _NEEDED.items():
        if key not in row:
            return f"it has no {key!r}, so it is no evaluation of lit-rlvr"
        if not _is(row[key], kind):
            return f"its {key!r} is {shown(row[key])}"
    for key, kind in _LATER.items():
        if row.get(key) is not None and not _is(row[key], kind):
            return f"its {key!r} is {shown(row[key])}"
    for key in ("subjects", "levels"):
        for name, pair in (row.get(key) or {}).items():
            if not (isinstance(pair, list) and len(pair) == 2 and all(_is(value, _NUMBER) for value in pair)):
                return f"its {key!r} has {shown(pair)} for {shown(name)}"
    for rule, figures in (row.get("rules") or {}).items():
        if not isinstance(figures, dict) or not all(_is(figures.get(key), _NUMBER) for key in ("accuracy", "stderr")):
            return f"its 'rules' has {shown(figures)} for {shown(rule)}"
    if not all(_is(count, int) for count in row.get("correct") or []):
        return f"its 'correct' is {shown(row['correct'])}"
    return ""


def _is(value: Any, kind: Any) -> bool:
    if not isinstance(value, kind) or isinstance(value, bool):
        return False
    # Counts and shares are small; what no float can hold was never one.
    return not isinstance(value, int | float) or (isfinite(value) if isinstance(value, float) else abs(value) < 1 << 53)
