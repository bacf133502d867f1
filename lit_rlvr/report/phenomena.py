"""The phenomena of arXiv 2504.20571 as quantities of an arm: before and after, saturation, format, subjects, manner.

Between the arms and the tables and figures. Shares are in 0..1 here; percent is made where they are shown.
"""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from lit_rlvr.report.arms import Arm
from lit_rlvr.report.reading import Kind, Row, Run
from lit_rlvr.report.statistics import (
    Decomposition,
    Spread,
    decompose,
    mcnemar,
    paired_z,
    saturation_step,
    spread,
    window_mean,
)

THRESHOLD, WINDOW = 0.99, 10
"""Of saturation, where a run's configuration does not say; those of `callbacks/tracking.py`."""


@dataclass(frozen=True)
class Endpoint:
    """An evaluation of one kind at one end of an arm, over its seeds.

    Attributes:
        error: standard error over problems, mean over the seeds: they share the problems, so it does not shrink.
        steps: RL steps of training that the seeds' policies had had.
    """

    accuracy: Spread
    error: float | None
    steps: tuple[int, ...]


def endpoints(arm: Arm, kind: Kind) -> tuple[Endpoint | None, Endpoint | None]:
    """(before training, at the last evaluation). An arm that was evaluated once has one of them."""
    firsts = [rows[0] for rows in _all_rows(arm, kind) if rows[0]["rl_step"] == 0]
    lasts = [rows[-1] for rows in _all_rows(arm, kind) if rows[-1]["rl_step"] > 0]
    return _endpoint(firsts), _endpoint(lasts)


def _endpoint(rows: Sequence[Row]) -> Endpoint | None:
    accuracy = spread([row["accuracy"] for row in rows])
    errors = [row["stderr"] for row in rows if row.get("stderr") is not None]
    if accuracy is None:
        return None
    return Endpoint(accuracy, statistics.fmean(errors) if errors else None, tuple(row["rl_step"] for row in rows))


def _all_rows(arm: Arm, kind: Kind) -> list[list[Row]]:
    """Each run's rows of one kind, of those that have any."""
    return [rows for run in arm.runs if (rows := run.rows(kind))]


def pairs(arm: Arm, kind: Kind) -> list[tuple[Row, Row]]:
    """(first, last) evaluation of each run that made two or more of the kind."""
    return [(rows[0], rows[-1]) for rows in _all_rows(arm, kind) if len(rows) > 1]


def compared_kinds(arm: Arm) -> list[Kind]:
    """For each benchmark that was evaluated twice or more, the kind evaluated most often; of equals, the first."""
    best: dict[str, Kind] = {}
    often = {kind: max(len(rows) for rows in _all_rows(arm, kind)) for kind in arm.kinds()}
    for kind, count in often.items():
        if count > 1 and (kind.benchmark not in best or count > often[best[kind.benchmark]]):
            best[kind.benchmark] = kind
    return list(best.values())


@dataclass(frozen=True)
class Gain:
    """Test accuracy of one kind since the training problem was solved.

    Attributes:
        step: RL step of the first evaluation at or after saturation.
        base: before training, if it was evaluated.
        changed: (problems gained, problems lost), for one response per problem.
        p: of the change: exact McNemar test for one response per problem, else paired z; None without paired outcomes.
    """

    kind: Kind
    step: int
    end_step: int
    base: float | None
    then: float
    end: float
    changed: tuple[int, int] | None
    p: float | None


@dataclass(frozen=True)
class Saturation:
    """When one run solved its training problem, and what happened after.

    Attributes:
        step: None if it did not.
        training_after: mean training accuracy from that step on.
        gains: one per kind that was evaluated twice or more since.
    """

    run: Run
    step: int | None
    training_after: float | None
    gains: tuple[Gain, ...]


def saturation_settings(run: Run) -> tuple[float, int]:
    """(threshold, window) of the run."""
    return run.setting("saturation.threshold", THRESHOLD), run.setting("saturation.window", WINDOW)


def saturation(run: Run) -> Saturation:
    """Of one run."""
    accuracies = run.training_accuracy()
    step = saturation_step(accuracies, *saturation_settings(run))
    if step is None:
        return Saturation(run, None, None, ())
    gains = [_gain(kind, run.rows(kind), step) for kind in run.kinds()]
    return Saturation(run, step, window_mean(accuracies, start=step), tuple(gain for gain in gains if gain))


def _gain(kind: Kind, rows: Sequence[Row], solved: int) -> Gain | None:
    since = [row for row in rows if row["rl_step"] >= solved]
    if len(since) < 2:
        return None
    then, end = since[0], since[-1]
    before, after = then.get("correct"), end.get("correct")
    changed = p = None
    if before and after and len(before) == len(after):
        if kind.k == 1:
            gained, lost, p = mcnemar(before, after)
            changed = (gained, lost)
        else:
            p = paired_z(before, after)
    base = rows[0]["accuracy"] if rows[0]["rl_step"] == 0 else None
    return Gain(kind, then["rl_step"], end["rl_step"], base, then["accuracy"], end["accuracy"], changed, p)


@dataclass(frozen=True)
class FormatSplit:
    """Boxing and accuracy given a box, pooled over the responses of all seeds; each (base, end)."""

    boxed: tuple[float, float]
    right_given_boxed: tuple[float, float]
    accuracy: tuple[float, float]
    outside: tuple[float | None, float | None]
    parts: Decomposition


def format_split(arm: Arm, kind: Kind) -> FormatSplit | None:
    """Of an arm; None where the rows do not tell, or where no response of the base or of the end has a box."""
    both = [pair for pair in pairs(arm, kind) if all(row.get("boxed") is not None for row in pair)]
    if not both:
        return None
    ends = [[pair[i] for pair in both] for i in (0, 1)]
    boxed = [statistics.fmean(row["boxed"] for row in rows) for rows in ends]
    if 0 in boxed:
        return None
    right = [statistics.fmean(_boxed_and_right(row) for row in rows) for rows in ends]
    given = (right[0] / boxed[0], right[1] / boxed[1])
    accuracy = [statistics.fmean(row["accuracy"] for row in rows) for rows in ends]
    outside = [mean_of(rows, "right_outside_box") for rows in ends]
    split = decompose((boxed[0], boxed[1]), given, (accuracy[0], accuracy[1]))
    return FormatSplit((boxed[0], boxed[1]), given, (accuracy[0], accuracy[1]), (outside[0], outside[1]), split)


def _boxed_and_right(row: Row) -> float:
    """Share of responses that are boxed and right. Rows without the newer key count only boxed answers as right."""
    given = row.get("right_given_boxed")
    return float(row["accuracy"] if given is None else row["boxed"] * given)


def mean_of(rows: Sequence[Row], key: str) -> float | None:
    """Mean of a value over rows that have it."""
    known = [row[key] for row in rows if row.get(key) is not None]
    return statistics.fmean(known) if known else None


@dataclass(frozen=True)
class Group:
    """One subject or level, or a whole benchmark: its problems and accuracy before and after, over the seeds."""

    name: str
    problems: int
    before: Spread | None
    after: Spread


def by_group(arm: Arm, kind: Kind, key: str) -> list[Group]:
    """Accuracy within groups of problems, before and after.

    Args:
        key: ``subjects`` or ``levels``. Problems without one are left out; a single group is none.
    """
    both = [(a.get(key) or {}, b.get(key) or {}) for a, b in pairs(arm, kind)]
    names = [name for name in (both[0][1] if both else {}) if name]
    groups = []
    for name in names:
        found = [(a[name], b[name]) for a, b in both if name in a and name in b]
        before, after = spread([a[1] for a, _ in found]), spread([b[1] for _, b in found])
        if before and after:
            groups.append(Group(name, found[0][1][0], before, after))
    return groups if len(groups) > 1 else []


def ends(arms: Sequence[Arm], kind: Kind) -> list[Group]:
    """The arms themselves as groups of one kind of evaluation; one that was evaluated once stands at its only value."""
    groups = []
    for arm in arms:
        before, after = endpoints(arm, kind)
        last = after or before
        if last:
            first = before.accuracy if before and after else None
            groups.append(Group(arm.name, kind.problems, first, last.accuracy))
    return groups


@dataclass(frozen=True)
class Phases:
    """A quantity of training, mean over seeds: in the first steps, in those that solved the problem, since, and at last."""

    first: float | None
    solving: float | None
    since: float | None
    last: float | None


def phases(arm: Arm, tag: str) -> Phases | None:
    """Of a logged metric; each part is a mean over the window of saturation (``since``: over all steps from it on)."""
    columns: list[list[float | None]] = []
    for run in arm.runs:
        series = run.scalar(tag)
        if not series:
            continue
        solved, window = saturation(run).step, saturation_settings(run)[1]
        start, end = min(series), max(series)
        columns.append(
            [
                window_mean(series, stop=start + window - 1),
                None if solved is None else window_mean(series, solved - window + 1, solved),
                None if solved is None else window_mean(series, start=solved),
                window_mean(series, start=end - window + 1) if end - start >= window else None,
            ]
        )
    means = [spread(column) for column in zip(*columns, strict=True)]
    return Phases(*(m.mean if m else None for m in means)) if columns else None


def class_name(path: Any) -> str:
    """`lit_rlvr.algorithms.grpo.GRPO` -> `GRPO`."""
    return str(path).rsplit(".", 1)[-1] if path else ""
