"""The figures: arms -> a drawn PNG each. What is shown is computed in `phenomena.py`, how it looks is in `drawing.py`."""

from collections.abc import Mapping, Sequence
from math import isnan, nan
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.ticker import PercentFormatter

from lit_rlvr.report import drawing
from lit_rlvr.report.arms import Arm, main_kind
from lit_rlvr.report.cells import signed
from lit_rlvr.report.phenomena import FormatSplit, Group, saturation
from lit_rlvr.report.reading import Kind
from lit_rlvr.report.statistics import Band, coarser

CURVE = 3
"""Evaluations from which on they are a curve rather than two ends."""

POINTS, FEW_POINTS = 150, 40
"""Points of a training curve at most: more of them, a third of a panel's width, are a thicket of noise; and at most that many
where there are too many curves for bands."""

BANDS = 6
"""Curves of one panel up to which each gets its band; more bands would hide each other."""

MARKED = 40
"""Points up to which each gets a mark."""

DYNAMICS: dict[str, tuple[str, str]] = {
    "train/entropy": ("Entropy", "nats per token"),
    "rollout/length/mean": ("Response length", "tokens"),
    "train/kl": ("KL to the base model", "nats per token"),
    "train/grad_norm": ("Gradient norm before clipping", "norm"),
    "train/zero_variance": ("Groups without variance", "% of responses"),
}
"""Logged metric -> (title, unit) of its panel."""

REFLECTION = ("Reflection", "% of test responses")

EXPLAINED = ("Critic's explained variance", "share, cut off at -1")
"""In the figure alone: once the training problem is solved the returns hardly vary, and a mean over steps says nothing."""


def curve_kinds(arm: Arm) -> list[Kind]:
    """The kinds of evaluation that make a curve; where none does, all of them."""
    lengths = {kind: len(b.steps) if (b := arm.curve(kind)) else 0 for kind in arm.kinds()}
    return [k for k, n in lengths.items() if n >= CURVE] or [k for k, n in lengths.items() if n]


def _curves(arm: Arm) -> list[Band]:
    return [curve for kind in arm.kinds() if (curve := arm.curve(kind))]


def shown_kind(arm: Arm) -> Kind | None:
    """The kind that stands for an arm where there is place for one."""
    kinds = arm.kinds()
    curves = [arm.curve(kind) for kind in kinds]
    return main_kind(kinds, [dict(zip(c.steps, c.mean, strict=True)) if c else {} for c in curves])


def accuracy_figure(arms: Sequence[Arm], file: Path) -> Path | None:
    """Training beside test accuracy, a panel per arm, the saturation step of each seed marked."""
    shown = [arm for arm in arms if arm.training_accuracy() or any(len(c.steps) > 1 for c in _curves(arm))]
    if not shown:
        return None
    kinds = list(dict.fromkeys(kind for arm in shown for kind in curve_kinds(arm)))
    figure, axes = drawing.panels(len(shown), 2.75 if len(shown) > 1 else 3.9, share_y=True)
    for panel, arm in zip(axes, shown, strict=True):
        training = arm.training_accuracy()
        if training:
            drawing.draw_band(
                panel, coarser(training, POINTS), {"color": drawing.GREY, "linewidth": 1.2}, "training problem(s)", 100
            )
        for kind in curve_kinds(arm):
            curve = arm.curve(kind)
            if curve:
                marks = len(curve.steps) <= MARKED
                drawing.draw_band(panel, curve, drawing.style(kinds.index(kind)), f"test: {kind.label}", 100, marks)
        solved = [step for run in arm.runs if (step := saturation(run).step) is not None]
        for i, step in enumerate(solved):
            label = "training problem solved (each seed)" if i == 0 else "_"
            panel.axvline(step, color=drawing.INK, linewidth=0.9, linestyle=(0, (2, 2)), label=label, zorder=1)
        _percent(panel)
        drawing.rl_steps(panel)
        if len(shown) > 1:
            panel.set_title(arm.name)
    _label_left(axes, "accuracy")
    drawing.legend(figure, axes)
    return drawing.save(figure, file)


def learning_curves(arms: Sequence[Arm], file: Path) -> Path | None:
    """Test accuracy of all arms on one chart, a panel per kind of evaluation of which two have a curve."""
    curves = {
        kind: {i: c for i, arm in enumerate(arms) if (c := arm.curve(kind)) and len(c.steps) >= CURVE}
        for kind in dict.fromkeys(kind for arm in arms for kind in arm.kinds())
    }
    curves = {kind: of for kind, of in curves.items() if len(of) > 1}
    if not curves:
        return None
    figure, axes = drawing.panels(len(curves), 2.9 if len(curves) > 1 else 4.2)
    for panel, (kind, of) in zip(axes, curves.items(), strict=True):
        for i, curve in of.items():
            look = drawing.style(i) | {"bands": len(of) <= BANDS}
            drawing.draw_band(panel, curve, look, arms[i].name, 100, len(curve.steps) <= MARKED)
        panel.set_title(kind.label)
        panel.set_ylim(bottom=0)
        panel.yaxis.set_major_formatter(PercentFormatter(decimals=0))
        drawing.rl_steps(panel)
    _label_left(axes, "test accuracy")
    drawing.legend(figure, axes)
    return drawing.save(figure, file)


def dynamics_figure(arms: Sequence[Arm], file: Path) -> Path | None:
    """Entropy, length, KL, gradient norm, zero-variance share and reflection over RL steps, as small multiples."""
    found: list[tuple[tuple[str, str], dict[int, Band]]] = [
        (words, {i: b for i, arm in enumerate(arms) if (b := arm.scalar(tag))}) for tag, words in DYNAMICS.items()
    ]
    explained = {i: b for i, arm in enumerate(arms) if (b := arm.scalar("train/critic/explained_variance"))}
    found.append((EXPLAINED, explained))
    found.append((REFLECTION, {i: b for i, arm in enumerate(arms) if (b := reflection(arm))}))
    found = [(words, curves) for words, curves in found if curves]
    if not found:
        return None
    figure, axes = drawing.panels(len(found), 2.35)
    for panel, ((title, unit), curves) in zip(axes, found, strict=True):
        percent = unit.startswith("%")
        for i, curve in curves.items():
            look = drawing.style(i) | {"linewidth": 1.2, "bands": len(curves) <= BANDS}
            drawing.draw_band(
                panel,
                coarser(curve, POINTS if len(curves) <= BANDS else FEW_POINTS),
                look,
                arms[i].name,
                100 if percent else 1,
                title == REFLECTION[0],
            )
        panel.set_title(title)
        panel.set_ylabel(unit)
        if title == EXPLAINED[0]:
            panel.set_ylim(-1, 1.05)
        else:
            panel.set_ylim(bottom=0, top=max(panel.get_ylim()[1], 1.0) if percent else None)
        drawing.rl_steps(panel)
    if len(arms) > 1:
        drawing.legend(figure, axes)
    return drawing.save(figure, file)


def reflection(arm: Arm) -> Band | None:
    """Share of test responses that reflect, over RL steps, in the kind evaluated most often among those that record it."""
    kinds = arm.kinds()
    curves = [arm.curve(kind, "reflection") for kind in kinds]
    kind = main_kind(kinds, [dict(zip(c.steps, c.mean, strict=True)) if c else {} for c in curves])
    return curves[kinds.index(kind)] if kind else None


def groups_figure(panels: Mapping[str, Sequence[Group]], file: Path) -> Path | None:
    """Accuracy per group before and after, as dots with a line between; the range over seeds as a thin line.

    Args:
        panels: title of a panel -> its groups.
        file: to write.
    """
    shown = {title: of for title, of in panels.items() if of}
    if not shown:
        return None
    names = list(dict.fromkeys(group.name for of in shown.values() for group in of))
    figure, axes = drawing.panels(len(shown), 0.27 * len(names) + 0.85, share_y=True)
    for panel, (title, of) in zip(axes, shown.items(), strict=True):
        for group in of:
            y, after = names.index(group.name), 100 * group.after.mean
            if group.before:
                before = 100 * group.before.mean
                panel.plot([before, after], [y, y], color="#bdbdbd", linewidth=2.4, zorder=1, solid_capstyle="round")
                hollow = {"markerfacecolor": "white", "markeredgecolor": drawing.GREY}
                panel.plot([before], [y], "o", markersize=5.5, label="before training", **hollow)  # type: ignore[arg-type]
            span = [100 * group.after.low, 100 * group.after.high]
            panel.plot(span, [y, y], color=drawing.COLOURS[0], linewidth=1, zorder=2)
            panel.plot([after], [y], "o", markersize=5.5, color=drawing.COLOURS[0], label="last evaluation")
        panel.set_yticks(range(len(names)), names)
        panel.set_ylim(len(names) - 0.5, -0.5)
        panel.grid(axis="y", visible=False)
        panel.set_xlim(-3, 103)
        panel.xaxis.set_major_formatter(PercentFormatter(decimals=0))
        panel.set_xlabel("accuracy")
        if len(shown) > 1:
            panel.set_title(title)
    drawing.legend(figure, axes)
    return drawing.save(figure, file)


def groups_map(panels: Mapping[str, Sequence[Group]], file: Path) -> Path:
    """Accuracy per group at the last evaluation as a map, a row per arm: for more arms than there is place for panels."""
    names = list(dict.fromkeys(group.name for of in panels.values() for group in of))
    values = [
        [next((100 * g.after.mean for g in of if g.name == name), nan) for name in names] for of in panels.values()
    ]
    figure, (axes,) = drawing.panels(1, 0.3 * len(panels) + 0.9, wide=True)
    axes.imshow(values, cmap="Blues", vmin=0, vmax=100, aspect="auto")
    for y, row in enumerate(values):
        for x, value in enumerate(row):
            shade = "white" if value > 60 else drawing.INK  # the map's blue is dark from there on
            axes.text(x, y, "" if isnan(value) else f"{value:.0f}", ha="center", va="center", color=shade, fontsize=8.5)
    axes.set_xticks(range(len(names)), names)
    axes.set_yticks(range(len(panels)), list(panels))
    axes.grid(visible=False)
    axes.set_xlabel("accuracy at the last evaluation, %")
    return drawing.save(figure, file)


def format_figure(splits: Mapping[str, Mapping[str, FormatSplit]], file: Path) -> Path | None:
    """What each arm's gain is made of: a bar for boxing, one for accuracy given a box, a mark at their sum.

    Args:
        splits: evaluation -> arm -> its split; a panel per evaluation.
        file: to write.
    """
    if not splits:
        return None
    arms = list(dict.fromkeys(arm for of in splits.values() for arm in of))
    figure, axes = drawing.panels(len(splits), 0.4 * len(arms) + 0.95, share_y=True)
    for panel, (title, of) in zip(axes, splits.items(), strict=True):
        labels = {drawing.COLOURS[4]: "more answers in a box", drawing.COLOURS[0]: "boxed answers more often right"}
        for arm, split in of.items():
            y, ends = arms.index(arm), {1: 0.0, -1: 0.0}
            for value, colour in zip((split.parts.boxed, split.parts.reasoning), labels, strict=True):
                side = 1 if value >= 0 else -1
                panel.barh(y, 100 * value, left=100 * ends[side], height=0.55, color=colour, label=labels[colour])
                ends[side] += value
            gain = 100 * split.parts.gain
            panel.plot([gain], [y], "D", color=drawing.INK, markersize=4.5, label="gain in accuracy")
            beside = (100 * ends[1], y)
            panel.annotate(signed(gain), beside, (7, 0), textcoords="offset points", va="center", fontsize=8.5)
        panel.set_yticks(range(len(arms)), arms)
        panel.set_ylim(len(arms) - 0.5, -0.5)
        panel.grid(axis="y", visible=False)
        panel.axvline(0, color=drawing.GREY, linewidth=0.8)
        panel.set_xlabel("points of test accuracy")
        panel.margins(x=0.2)
        if len(splits) > 1:
            panel.set_title(title)
    drawing.legend(figure, axes)
    return drawing.save(figure, file)


def _percent(axes: Axes) -> None:
    axes.set_ylim(-2, 103)
    axes.yaxis.set_major_formatter(PercentFormatter(decimals=0))


def _label_left(axes: Sequence[Axes], label: str) -> None:
    """Of panels with one y-axis, those at the left edge say what it is."""
    for panel in axes:
        if panel.get_subplotspec().is_first_col():  # type: ignore[union-attr]
            panel.set_ylabel(label)
