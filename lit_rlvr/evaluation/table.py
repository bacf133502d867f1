"""Evaluations for people to read: rows of ``evaluations.jsonl`` -> one table, groups of problems, and the average of the six."""

from collections.abc import Sequence
from typing import Any

from lit_rlvr.evaluation.benchmarks import PRESETS

Row = dict[str, Any]

HEADER = (
    "benchmark", "problems", "decoding", "avg@k ± se  [95%]", "pass@k", "maj@k", "boxed", "right if boxed",
    "right outside", "reflects", "code", "loops", "tokens", "cut", "seconds",
)  # fmt: skip


def render(rows: Sequence[Row]) -> str:
    """The table of some evaluations, shares in percent; below it subjects and levels, and the average of the paper's six."""
    cells = [HEADER, *map(_cells, rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    lines = [
        "  ".join(_pad(cell, width, i) for i, (cell, width) in enumerate(zip(line, widths, strict=True)))
        for line in cells
    ]
    lines += [line for row in rows for line in _groups(row)]
    six = {row["benchmark"]: row for row in rows if row["benchmark"] in PRESETS["paper-six"]}
    if len(six) == len(PRESETS["paper-six"]):
        mean, error = average(list(six.values()))
        lines.append(f"average of the six: {100 * mean:.1f} ± {100 * error:.1f}")
    return "\n".join(line.rstrip() for line in lines)


def average(rows: Sequence[Row]) -> tuple[float, float]:
    """Mean accuracy of several benchmarks, each counted once, and its standard error: their problems are independent."""
    count = len(rows)
    return sum(row["accuracy"] for row in rows) / count, sum(row["stderr"] ** 2 for row in rows) ** 0.5 / count


def _cells(row: Row) -> tuple[str, ...]:
    k, percent = row["k"], _percent
    return (
        row["benchmark"],
        f"{row['problems']:,}",
        "greedy" if row["temperature"] == 0 else f"{k} at T={row['temperature']:g}",
        f"{percent(row['accuracy'])} ± {percent(row['stderr'])}  [{percent(row['ci_low'])}, {percent(row['ci_high'])}]",
        percent(row["pass_at_k"][str(k)]) if k > 1 else "-",
        percent(row["majority"]) if k > 1 else "-",
        percent(row["boxed"]),
        percent(row["right_given_boxed"]),
        percent(row["right_outside_box"]),
        percent(row["reflection"]),
        percent(row["code"]),
        percent(row["repetition"]),
        f"{row['length']:.0f}",
        percent(row["truncated"]),
        f"{row['seconds']:.1f}",
    )


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{100 * share:.1f}"


def _pad(cell: str, width: int, column: int) -> str:
    return cell.ljust(width) if column == 0 else cell.rjust(width)


def _groups(row: Row) -> list[str]:
    """Further rules, and subjects and levels where the problems have several."""
    lines = [
        f"by the rule {rule}: {_percent(figures['accuracy'])} ± {_percent(figures['stderr'])}"
        for rule, figures in row["rules"].items()
    ]
    for kind in ("subjects", "levels"):
        if len(row[kind]) > 1:
            parts = [f"{name or '(none)'} {_percent(right)} of {count}" for name, (count, right) in row[kind].items()]
            lines.append(f"{kind}: {', '.join(parts)}")
    return [f"{row['benchmark']} {line}" for line in lines]
