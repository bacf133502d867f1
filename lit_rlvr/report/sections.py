"""The order in which the report tells things: arms -> sections of text, tables, figures and samples.

Each phenomenon of arXiv 2504.20571 has its section, which says what the paper saw and shows what these runs did, also where
nothing was recorded.
"""

import statistics
from collections.abc import Callable, Sequence
from pathlib import Path

from lit_rlvr.report import figures, tables
from lit_rlvr.report.arms import Arm
from lit_rlvr.report.cells import signed
from lit_rlvr.report.effect_sections import (
    format_section,
    paper,
    picture,
    published_section,
    reflection_section,
    samples_section,
    table_or,
    transfer_section,
)
from lit_rlvr.report.page import Block, Items, Section, Text
from lit_rlvr.report.phenomena import Saturation, ends, saturation
from lit_rlvr.report.reading import Kind

BANDS = (
    "With several seeds a line is their mean and the shade reaches from the least to the greatest seed. Of a long run, a point "
    "of a training curve is the mean of several neighbouring RL steps."
)


def make_sections(arms: Sequence[Arm], notes: Sequence[str], folder: Path) -> list[Section]:
    """The whole report; its figures are written below ``folder``.

    Args:
        arms: at least one.
        notes: what was missing or left out, in sentences.
    """
    makers: list[Callable[[Sequence[Arm], Path], Section]] = [
        _saturation,
        _curves,
        _dynamics,
        _zero_advantage,
        reflection_section,
        transfer_section,
        format_section,
        samples_section,
        published_section,
    ]
    return [_summary(arms, notes, folder), *(maker(arms, folder) for maker in makers)]


def _summary(arms: Sequence[Arm], notes: Sequence[str], folder: Path) -> Section:
    blocks: list[Block] = [tables.summary_table(arms)]
    if len(arms) > 1:
        by_kind = {kind: ends(arms, kind) for kind in dict.fromkeys(kind for arm in arms for kind in arm.kinds())}
        panels = {kind.label: of for kind, of in by_kind.items() if len(of) > 1}
        caption = "The arms beside each other: test accuracy before training and at the last evaluation; the thin line is the range over seeds."
        blocks += picture("arms", caption, figures.groups_figure(panels, folder / "arms.png"), _ends(arms))
    every = tables.accuracy_table(arms)
    if every:
        blocks.append(every)
    if notes:
        blocks += [Text("To know about these runs:"), Items(tuple(notes))]
    return Section("runs", "Runs", tuple(blocks))


def _saturation(arms: Sequence[Arm], folder: Path) -> Section:
    caption = (
        "Accuracy on the training problem(s) beside test accuracy. Dashed: the RL step at which a seed had solved the training "
        f"problem. {BANDS}"
    )
    blocks = picture("accuracy", caption, figures.accuracy_figure(arms, folder / "accuracy.png"), _ends(arms))
    found = {arm.name: [saturation(run) for run in arm.runs] for arm in arms}
    return Section(
        "saturation",
        "Post-saturation generalization",
        (
            paper("saturation"),
            Items(tuple(_since_solved(name, seeds) for name, seeds in found.items())),
            *(blocks or [Text("No accuracy over RL steps was recorded.")]),
            tables.saturation_table(found),
        ),
    )


def _since_solved(arm: str, seeds: Sequence[Saturation]) -> str:
    """What came after saturation, of one arm in one sentence."""
    if not any(seed.run.training_accuracy() for seed in seeds):
        return f"{arm}: no training on record."
    steps = sorted(seed.step for seed in seeds if seed.step is not None)
    if not steps:
        last = max(seed.run.last_step() for seed in seeds)
        return f"{arm}: training accuracy did not reach 99% over the window in {last:,} RL steps."
    when = " to ".join(dict.fromkeys(map(str, (steps[0], steps[-1]))))
    kinds = list(dict.fromkeys(gain.kind for seed in seeds for gain in seed.gains))
    changes = [_change(kind.label, seeds, [kind]) for kind in kinds[: 1 if len(kinds) > 2 else 2]]
    if len(kinds) > 2:
        changes.append(_change(f"mean of all {len(kinds)} evaluations", seeds, kinds))
    since = f"since then {'; '.join(changes)}" if changes else "there are no two test evaluations since"
    return f"{arm}: solved at RL step {when} in {len(steps)} of {len(seeds)} {'seed' if len(seeds) == 1 else 'seeds'}; {since}."


def _change(what: str, seeds: Sequence[Saturation], kinds: Sequence[Kind]) -> str:
    """Test accuracy since saturation, mean over kinds, over the seeds that made all of them."""
    changes = [[100 * (gain.end - gain.then) for gain in seed.gains if gain.kind in kinds] for seed in seeds]
    means = [statistics.fmean(own) for own in changes if len(own) == len(kinds)]
    if not means:
        return f"{what} not evaluated alike by any seed"
    low, high = signed(min(means)), signed(max(means))
    span = f" (from {low} to {high} in {len(means)} seeds)" if low != high else ""
    return f"{what} {signed(statistics.fmean(means))} points{span}"


def _curves(arms: Sequence[Arm], folder: Path) -> Section:
    caption = f"Test accuracy of the arms on one chart. {BANDS.split('. ')[0]}."
    blocks = picture("curves", caption, figures.learning_curves(arms, folder / "curves.png"), _ends(arms))
    alone = (
        "There is one arm, whose curve is above."
        if len(arms) == 1
        else "No two arms were evaluated alike three times or more."
    )
    return Section("curves", "Learning curves", tuple(blocks or [Text(alone)]))


def _dynamics(arms: Sequence[Arm], folder: Path) -> Section:
    caption = f"Training over RL steps. {BANDS}"
    told = "Small charts over RL steps: " + ", ".join(title for title, _ in figures.DYNAMICS.values()) + ", reflection."
    blocks = picture("dynamics", caption, figures.dynamics_figure(arms, folder / "dynamics.png"), told)
    table = tables.dynamics_table(arms)
    absent = [title for tag, (title, _) in figures.DYNAMICS.items() if not any(arm.scalar(tag) for arm in arms)]
    absent += [figures.REFLECTION[0]] if not any(figures.reflection(arm) for arm in arms) else []
    note = [Text(f"Not recorded by these runs: {', '.join(absent)}.")] if absent else []
    return Section("dynamics", "Training over RL steps", (*blocks, *([table] if table else []), *note))


def _zero_advantage(arms: Sequence[Arm], folder: Path) -> Section:
    table = tables.zero_advantage_table(arms)
    return Section(
        "zero-advantage",
        "Zero advantage at saturation",
        (paper("zero_advantage"), table_or(table, "These runs did not log it.")),
    )


def _ends(arms: Sequence[Arm]) -> str:
    """The figure in words, for those who cannot see it."""
    said = []
    for arm in arms:
        kind = figures.shown_kind(arm)
        curve = arm.curve(kind) if kind else None
        if kind and curve:
            ends = dict.fromkeys((f"{100 * curve.mean[0]:.1f}%", f"{100 * curve.mean[-1]:.1f}%"))
            said.append(f"{arm.name}: {kind.label} {' to '.join(ends)}")
    return "; ".join(said) or "Training accuracy over RL steps."
