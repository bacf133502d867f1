"""The table of a sweep: run folders -> one line of Markdown per arm, mean and sample standard deviation over seeds.

Every figure is of the last RL step, never of the best one.
"""

import statistics
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from lit_rlvr.files import json_lines
from lit_rlvr.sweep.grid import Arm
from lit_rlvr.sweep.run import Run

Row = dict[str, Any]
Decoding = tuple[str, float, int]
"""Benchmark, temperature, responses per problem."""

LAST_STEPS = 10
"""Over which training accuracy is averaged: one step of few responses says little."""


@dataclass(frozen=True)
class Outcome:
    """What a finished run left."""

    run: Run

    @cached_property
    def rows(self) -> list[Row]:
        """Its evaluations, in order."""
        file = self.run.folder / "evaluations.jsonl"
        return [row for _, row in json_lines(file)] if file.is_file() else []

    @cached_property
    def end(self) -> dict[Decoding, Row]:
        """The evaluations of its last RL step."""
        last = max((row["rl_step"] for row in self.rows), default=0)
        return {_decoding(row): row for row in self.rows if row["rl_step"] == last}

    @cached_property
    def start(self) -> dict[Decoding, Row]:
        """Those of the base model, if it is a training run that made some."""
        if self.run.arm.verb != "fit":
            return {}
        return {_decoding(row): row for row in self.rows if row["rl_step"] == 0}

    @cached_property
    def train_accuracy(self) -> float | None:
        """Mean over the last RL steps, from the run's curves; None without any."""
        return last_accuracy(self.run.folder) if self.run.arm.verb == "fit" else None


def make_table(arms: Sequence[Arm], done: Sequence[Run], asked: Sequence[Run], line: str) -> str:
    """The whole table, with what has to be known about it below.

    Args:
        arms: the rows, in order.
        done: the finished runs.
        asked: the runs that there should be.
        line: the command that makes it.
    """
    by_arm = {arm.name: [Outcome(run) for run in done if run.arm.name == arm.name] for arm in arms}
    by_arm = {name: outcomes for name, outcomes in by_arm.items() if outcomes}
    outcomes = [outcome for some in by_arm.values() for outcome in some]
    base = _base(outcomes)
    ends = {name: {d for o in some for d in o.end} for name, some in by_arm.items()}
    seen = list(dict.fromkeys(d for outcome in outcomes for d in outcome.end))
    columns = [d for d in seen if 2 * sum(d in end for end in ends.values()) >= len(ends)]
    first = _first_of_each(columns)
    benchmarks = list(dict.fromkeys(decoding[0] for decoding in columns))

    heads = [_name(decoding, len(benchmarks) > 1) for decoding in columns]
    heads += [f"average of {len(first)} %"] if len(first) > 1 else []
    heads += ["boxed %", "length", f"train accuracy, last {LAST_STEPS} steps %", "seeds", "CPU s"]
    lines = [f"| {' | '.join(['', *heads]).strip()} |", "|---" * (len(heads) + 1) + "|"]
    if base:
        starts = [start for _, start in sorted(base.items())]
        lines.append(_line("base model", [*_scores(starts, columns, first, {}), "", str(len(starts)), ""]))
    for arm in arms:
        if arm.name in by_arm:
            some = by_arm[arm.name]
            train = [o.train_accuracy for o in some if o.train_accuracy is not None]
            cells = _scores([o.end for o in some], columns, first, base, [o.run.seed for o in some])
            cpu = statistics.median(o.run.cpu_seconds() for o in some)
            cells += [spread([100 * value for value in train]), str(len(some)), f"{cpu:.0f}"]
            lines.append(_line(arm.title, cells))
    return "\n".join([*lines, "", *_notes(outcomes, columns, first, base, asked, seen), "", f"    {line}", ""])


def _notes(
    outcomes: list[Outcome], columns: list[Decoding], first: list[Decoding], base: Any, asked: Sequence[Run],
    seen: list[Decoding],
) -> list[str]:  # fmt: skip
    problems = {d[0]: {o.end[d]["problems"] for o in outcomes if d in o.end} for d in columns}
    counts = [f"{name} {' or '.join(f'{n:,}' for n in sorted(found))}" for name, found in problems.items()]
    seeds = ", ".join(map(str, sorted({o.run.seed for o in outcomes})))
    text = f"Problems: {', '.join(counts) or 'none'}. Mean ± sample standard deviation over seeds {seeds}, at the last RL step"
    text += "; in brackets the change against the base model" if base else ""
    if first:
        text += f". Boxed and length (tokens) are of {', '.join(_name(d, True).removesuffix(' %') for d in first)}"
    notes = [f"{text}. CPU seconds of a whole run, median."]
    rest = [_name(d, True).removesuffix(" %") for d in seen if d not in columns]
    notes += [f"Measured in fewer than half of the rows and left out: {', '.join(rest)}."] if rest else []
    missing = [str(run) for run in asked if run not in {o.run for o in outcomes}]
    notes += [f"Not done: {'; '.join(missing)}."] if missing else []
    return notes


def _base(outcomes: Iterable[Outcome]) -> dict[int, dict[Decoding, Row]]:
    """Seed -> evaluations of the base model, from the first arm that has them."""
    base: dict[int, dict[Decoding, Row]] = {}
    for outcome in outcomes:
        if outcome.start:
            base.setdefault(outcome.run.seed, outcome.start)
    return base


def _scores(
    ends: list[dict[Decoding, Row]],
    columns: list[Decoding],
    first: list[Decoding],
    base: dict[int, dict[Decoding, Row]],
    seeds: Sequence[int] = (),
) -> list[str]:
    """Accuracies, their average over benchmarks, boxed share, length: a cell each."""

    def accuracy(decodings: list[Decoding]) -> str:
        own = [100 * mean for end in ends if (mean := _mean(end, decodings, "accuracy")) is not None]
        changes = [
            100 * (after - before)
            for end, seed in zip(ends, seeds, strict=False)
            if (after := _mean(end, decodings, "accuracy")) is not None
            and (before := _mean(base.get(seed, {}), decodings, "accuracy")) is not None
        ]
        return spread(own) + (f" ({statistics.fmean(changes):+.1f})" if changes else "")

    cells = [accuracy([decoding]) for decoding in columns]
    cells += [accuracy(first)] if len(first) > 1 else []
    for key, scale in (("boxed", 100.0), ("length", 1.0)):
        cells.append(spread([scale * v for end in ends if (v := _mean(end, first, key)) is not None]))
    return cells


def _mean(end: dict[Decoding, Row], decodings: list[Decoding], key: str) -> float | None:
    """Over the benchmarks, each of them counting the same; None if one is missing."""
    values = [end[decoding][key] for decoding in decodings if decoding in end]
    return statistics.fmean(values) if values and len(values) == len(decodings) else None


def spread(values: list[float]) -> str:
    """Mean and sample standard deviation; a single value has none."""
    if not values:
        return ""
    mean = f"{statistics.fmean(values):.1f}"
    return f"{mean} ± {statistics.stdev(values):.1f}" if len(values) > 1 else mean


def last_accuracy(folder: Path, steps: int = LAST_STEPS) -> float | None:
    """Mean of `train/accuracy` over the last RL steps, from a run's TensorBoard events.

    Not from `history.json`, which says of a set of many problems when each was seen, but not in which step.
    """
    from lit_rlvr.events import event_files, read_events  # tensorboard takes a second

    curve = read_events(event_files(folder))[0].scalars.get("train/accuracy", {})
    return statistics.fmean(list(curve.values())[-steps:]) if curve else None


def _first_of_each(columns: list[Decoding]) -> list[Decoding]:
    """One decoding per benchmark, the least random one."""
    order: Callable[[Decoding], tuple[float, int]] = lambda d: (d[1], d[2])  # noqa: E731
    return [min((d for d in columns if d[0] == name), key=order) for name in dict.fromkeys(d[0] for d in columns)]


def _decoding(row: Row) -> Decoding:
    return str(row["benchmark"]), float(row["temperature"]), int(row["k"])


def _name(decoding: Decoding, with_benchmark: bool) -> str:
    benchmark, temperature, k = decoding
    how = "greedy %" if temperature == 0 else f"avg@{k} at {temperature:g} %"
    return f"{benchmark} {how}" if with_benchmark else how


def _line(title: str, cells: list[str]) -> str:
    return f"| {' | '.join([title, *cells])} |"
