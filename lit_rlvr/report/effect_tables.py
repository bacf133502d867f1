"""The tables of what training did to test responses: subjects, format and reasoning, the paper's figures beside yours."""

import math
from collections.abc import Mapping, Sequence

from lit_rlvr.report.arms import Arm
from lit_rlvr.report.cells import NONE, arrow, change, percent, range_of, signed
from lit_rlvr.report.page import Table
from lit_rlvr.report.phenomena import FormatSplit, Group
from lit_rlvr.report.published import AVERAGE, Comparison, differences, published
from lit_rlvr.report.reading import Kind
from lit_rlvr.report.statistics import share_error

FORMAT_REWARD = "FormatReward"

ARMS_ACROSS = 4
"""Arms up to which each has a column of the tables per group; more of them have a row."""


def groups_table(name: str, word: str, kind: Kind, groups: Mapping[str, Sequence[Group]]) -> Table:
    """Accuracy per subject or level before and after: a row per group and a column per arm, or the other way round.

    Args:
        name: of the table.
        word: what the groups are.
        kind: of the evaluations.
        groups: arm's name -> its groups.
    """
    names = list(dict.fromkeys(group.name for of in groups.values() for group in of))
    by_name = {arm: {group.name: group for group in of} for arm, of in groups.items()}
    size = {group.name: group.problems for of in groups.values() for group in of}
    header: tuple[str, ...] = (word, "problems", *groups)
    rows = [(own, str(size[own]), *(_group_cell(of.get(own)) for of in by_name.values())) for own in names]
    if len(groups) > ARMS_ACROSS:
        header = ("arm", *(f"{own} ({size[own]})" for own in names))
        rows = [(arm, *(_group_cell(of.get(own)) for own in names)) for arm, of in by_name.items()]
    caption = (
        f"{kind.label}, percent: first → last evaluation, mean over seeds [range of the last], change ± its standard error over "
        "problems at most (that of one response per problem, unpaired)."
    )
    return Table(name, caption, header, tuple(rows))


def _group_cell(group: Group | None) -> str:
    if group is None or group.before is None:
        return NONE
    before, after = group.before.mean, group.after.mean
    error = math.hypot(share_error(before, group.problems), share_error(after, group.problems))
    return f"{percent(before)} → {percent(after)}{range_of(group.after)}; {change(before, after)} ± {percent(error)}"


def format_table(splits: Mapping[tuple[str, Kind], FormatSplit], rewards: Mapping[str, str]) -> Table:
    """The gain of each arm, split into boxing and accuracy given a box.

    Args:
        splits: (arm's name, kind) -> its split.
        rewards: arm's name -> its reward.
    """
    rows = []
    for (arm, kind), split in splits.items():
        ends = [
            arrow([None if share is None else percent(share) for share in both])
            for both in (split.boxed, split.right_given_boxed, split.outside)
        ]
        gain = [signed(100 * part) for part in (split.parts.gain, split.parts.boxed, split.parts.reasoning)]
        rows.append((arm, rewards.get(arm) or NONE, kind.label, ends[0], ends[1], *gain, ends[2]))
    header = (
        "arm",
        "reward",
        "test",
        "boxed %",
        "right, given a box %",
        "gain",
        "by boxing",
        "by reasoning",
        "right outside a box %",
    )
    caption = (
        "gain = (boxed_end − boxed_base) · right_given_box_base + boxed_end · (right_given_box_end − right_given_box_base): the first "
        "term is boxing more, the second is being right more often inside the box. Responses of all seeds pooled. Right outside a "
        "box: share of responses without a complete box that nevertheless say the right answer."
    )
    return Table("format", caption, header, tuple(rows), text=3)


def beyond_format_table(splits: Mapping[tuple[str, Kind], FormatSplit], rewards: Mapping[str, str]) -> Table | None:
    """Each arm's gain beside that of an arm rewarded for the format alone; None without such an arm.

    Args:
        splits: (arm's name, kind) -> its split.
        rewards: arm's name -> its reward.
    """
    rows = []
    for (control, kind), theirs in splits.items():
        if rewards.get(control) != FORMAT_REWARD:
            continue
        for (arm, other), split in splits.items():
            if other == kind and rewards.get(arm) != FORMAT_REWARD:
                gain, by_format = 100 * split.parts.gain, 100 * theirs.parts.gain
                cells = (signed(gain), signed(by_format), signed(gain - by_format))
                rows.append((arm, kind.label, control, *cells))
    header = ("arm", "test", "control", "gain", "gain of the control", "beyond format")
    caption = "Control: an arm rewarded for the format alone, as the paper splits its gain."
    return Table("beyond-format", caption, header, tuple(rows), text=3) if rows else None


def published_table(rows: Sequence[Comparison]) -> Table:
    """The paper's figures beside yours."""
    header = (
        "arm",
        "the paper's setting",
        "benchmark",
        "your checkpoint",
        "decoding",
        "problems",
        "theirs %",
        "yours %",
        "difference",
        "verdict",
    )
    cells = [
        (
            row.arm,
            row.setting.name,
            _benchmark(row.benchmark),
            row.checkpoint,
            row.decoding,
            row.problems,
            f"{row.theirs:.1f}",
            f"{row.yours:.1f} ± {row.error:.1f}",
            signed(row.yours - row.theirs),
            row.verdict,
        )
        for row in rows
    ]
    caption = (
        f"Theirs: {published().source}. ± is your standard error over problems, mean over seeds; within error: the two differ by no "
        "more than two of them. Best of six: the checkpoint with the best average of the six benchmarks, as the paper chose; the last "
        "step alone is free of choosing on the test sets."
    )
    return Table("published", caption, header, tuple(cells), text=5, words=("verdict",))


def orientation_table() -> Table:
    """All published figures."""
    benchmarks = list(dict.fromkeys(name for setting in published().settings for name in setting.figures))
    rows = []
    for setting in published().settings:
        where = setting.source + (f" ({setting.note})" if setting.note else "")
        figures = (f"{setting.figures[name]:.1f}" if name in setting.figures else NONE for name in benchmarks)
        rows.append((setting.model.split("/")[1], setting.name, where, *figures))
    header = ("model", "setting", "where", *map(_benchmark, benchmarks))
    return Table("orientation", f"{published().source}, percent.", header, tuple(rows), text=3)


def recipe_notes(arms: Sequence[Arm], compared: Sequence[Comparison]) -> list[str]:
    """Where a compared arm leaves the paper's recipe."""
    notes = []
    for arm in arms:
        for setting in dict.fromkeys(row.setting.name for row in compared if row.arm == arm.name):
            entry = next(row.setting for row in compared if row.arm == arm.name and row.setting.name == setting)
            told = differences(arm, entry)
            if told:
                notes.append(f"{arm.name} differs from the paper's recipe: {'; '.join(told)}.")
            if entry.note:
                notes.append(f"{arm.name} beside “{entry.name}”: {entry.note}.")
    return notes


def _benchmark(name: str) -> str:
    return name.replace("-", " ") if name == AVERAGE else name
