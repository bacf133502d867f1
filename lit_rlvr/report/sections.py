"""The order in which the report tells things: arms -> sections of text, tables, figures and samples.

Each phenomenon of arXiv 2504.20571 has its section, which says what the paper saw and shows what these runs did, also where
nothing was recorded.
"""

import statistics
from collections.abc import Callable, Sequence
from pathlib import Path

from lit_rlvr.report import effect_tables, figures, tables
from lit_rlvr.report.arms import Arm
from lit_rlvr.report.page import Block, Items, Picture, Responses, Section, Table, Text
from lit_rlvr.report.phenomena import (
    FormatSplit,
    Saturation,
    by_group,
    class_name,
    compared_kinds,
    format_split,
    saturation,
)
from lit_rlvr.report.published import compare, published, settings_of
from lit_rlvr.report.reading import Kind, Run
from lit_rlvr.report.samples import Sample, moments, parse, right_and_wrong, same_problems

TEST_PROBLEMS = 2
"""Test problems whose responses are shown."""

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
        _reflection,
        _transfer,
        _format,
        _samples,
        _published,
    ]
    return [_summary(arms, notes), *(maker(arms, folder) for maker in makers)]


def _summary(arms: Sequence[Arm], notes: Sequence[str]) -> Section:
    every = tables.accuracy_table(arms)
    missing: list[Block] = [Text("What is missing or was left out:"), Items(tuple(notes))] if notes else []
    return Section("runs", "Runs", (tables.summary_table(arms), *([every] if every else []), *missing))


def _saturation(arms: Sequence[Arm], folder: Path) -> Section:
    caption = (
        "Accuracy on the training problem(s) beside test accuracy. Dashed: the RL step at which a seed had solved the training "
        f"problem. {BANDS}"
    )
    blocks = _picture("accuracy", caption, figures.accuracy_figure(arms, folder / "accuracy.png"), _ends(arms))
    found = {arm.name: [saturation(run) for run in arm.runs] for arm in arms}
    return Section(
        "saturation",
        "Post-saturation generalization",
        (
            _paper("saturation"),
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
    span = f" (from {min(means):+.1f} to {max(means):+.1f} in {len(means)} seeds)" if len(means) > 1 else ""
    return f"{what} {statistics.fmean(means):+.1f} points{span}"


def _curves(arms: Sequence[Arm], folder: Path) -> Section:
    caption = f"Test accuracy of the arms on one chart. {BANDS.split('. ')[0]}."
    blocks = _picture("curves", caption, figures.learning_curves(arms, folder / "curves.png"), _ends(arms))
    alone = (
        "There is one arm, whose curve is above."
        if len(arms) == 1
        else "No two arms were evaluated alike along the way."
    )
    return Section("curves", "Learning curves", tuple(blocks or [Text(alone)]))


def _dynamics(arms: Sequence[Arm], folder: Path) -> Section:
    caption = f"Training over RL steps. {BANDS}"
    told = "Small charts over RL steps: " + ", ".join(title for title, _ in figures.DYNAMICS.values()) + ", reflection."
    blocks = _picture("dynamics", caption, figures.dynamics_figure(arms, folder / "dynamics.png"), told)
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
        (_paper("zero_advantage"), _or(table, "These runs did not log it.")),
    )


def _reflection(arms: Sequence[Arm], folder: Path) -> Section:
    table = tables.manner_table(arms)
    note = (
        []
        if any(figures.reflection(arm) for arm in arms)
        else [Text("The evaluations of these runs did not record reflection.")]
    )
    missing = "No benchmark was evaluated twice."
    return Section(
        "reflection", "Self-reflection and the manner of responses", (_paper("reflection"), _or(table, missing), *note)
    )


def _transfer(arms: Sequence[Arm], folder: Path) -> Section:
    blocks: list[Block] = []
    kinds = list(dict.fromkeys(kind for arm in arms for kind in compared_kinds(arm)))
    for word, key in (("subject", "subjects"), ("level", "levels")):
        for kind in kinds:
            groups = {arm.name: of for arm in arms if kind in compared_kinds(arm) and (of := by_group(arm, kind, key))}
            if groups:
                name = f"{key}-{kind.benchmark}"
                caption = f"{kind.label}, per {word}: before training and at the last evaluation. The thin line is the range over seeds."
                told = f"Accuracy per {word} before and after; the table below has the numbers."
                blocks += _picture(name, caption, figures.groups_figure(groups, folder / f"{name}.png"), told)
                blocks.append(effect_tables.groups_table(name, word, kind, groups))
    if not blocks:
        blocks = [Text("No benchmark with several subjects or levels was evaluated twice.")]
    return Section("transfer", "Transfer between subjects", (_paper("transfer"), *blocks))


def _format(arms: Sequence[Arm], folder: Path) -> Section:
    splits = {(arm.name, kind): s for arm in arms for kind in compared_kinds(arm) if (s := format_split(arm, kind))}
    if not splits:
        return Section(
            "format",
            "Format against reasoning",
            (_paper("format"), Text("No benchmark was evaluated twice with boxes counted.")),
        )
    rewards = {arm.name: class_name(arm.setting("model.reward.class_path")) for arm in arms}
    panels: dict[str, dict[str, FormatSplit]] = {}
    for (arm, kind), split in splits.items():
        panels.setdefault(kind.label, {})[arm] = split
    caption = "What the gain in test accuracy is made of" + (f": {next(iter(panels))}." if len(panels) == 1 else ".")
    told = "; ".join(
        f"{arm}, {kind.label}: {100 * split.parts.gain:+.1f} points" for (arm, kind), split in splits.items()
    )
    blocks = _picture("format", caption, figures.format_figure(panels, folder / "format.png"), told)
    return Section(
        "format",
        "Format against reasoning",
        (
            _paper("format"),
            *blocks,
            effect_tables.format_table(splits, rewards),
            *_beyond_format(arms, splits, rewards),
        ),
    )


def _beyond_format(
    arms: Sequence[Arm], splits: dict[tuple[str, Kind], FormatSplit], rewards: dict[str, str]
) -> list[Block]:
    """Each arm's gain beside that of an arm rewarded for the format alone."""
    sentences = []
    for (control, kind), theirs in splits.items():
        if rewards.get(control) != "FormatReward":
            continue
        for (arm, other), split in splits.items():
            if other == kind and arm != control:
                gain, by_format = 100 * split.parts.gain, 100 * theirs.parts.gain
                sentences.append(
                    f"{arm}, {kind.label}: of a gain of {gain:+.1f} points, a reward for the format alone ({control}) brings "
                    f"{by_format:+.1f}, and {gain - by_format:+.1f} are beyond it."
                )
    if sentences:
        return [Items(tuple(sentences))]
    return [
        Text(
            "None of these arms is rewarded for the format alone; with one beside it, the part of a gain that is beyond format shows here."
        )
    ]


def _samples(arms: Sequence[Arm], folder: Path) -> Section:
    blocks: list[Block] = []
    for number, arm in enumerate(arms):
        run = next((run for run in arm.runs if run.events.texts), None)
        if run is None:
            continue
        solved = saturation(run).step
        where = f"{arm.name}, {run.folder.name}"
        training = run.events.texts.get("samples/train", {})
        if training:
            chosen = {step: right_and_wrong(parse(training[step])) for step in moments(list(training), solved)}
            blocks.append(
                _responses(f"{number}-train", f"{where}: training problem", chosen, list(training), solved, number == 0)
            )
        tag = _test_tag(arm, run)
        if tag:
            texts = run.events.texts[tag]
            shown = same_problems({step: parse(texts[step]) for step in moments(list(texts), solved)}, TEST_PROBLEMS)
            title = f"{where}: test problems of {tag.removeprefix('samples/eval/')}"
            blocks.append(_responses(f"{number}-test", title, shown, list(texts), solved, number == 0))
    text = "Responses as the run logged them, of the first seed: one that was right and one that was not, as far as there are any."
    return Section(
        "samples",
        "Responses",
        (_paper("samples"), *([Text(text), *blocks] if blocks else [Text("These runs logged no samples.")])),
    )


def _test_tag(arm: Arm, run: Run) -> str | None:
    """The sample texts of the kind that stands for the arm, or of any other."""
    kind = figures.shown_kind(arm)
    wanted = f"samples/eval/{kind.benchmark}@{kind.k}" if kind else ""
    tags = [tag for tag in run.events.texts if tag.startswith("samples/eval/")]
    return wanted if wanted in tags else tags[0] if tags else None


def _responses(
    name: str, title: str, shown: dict[int, list[Sample]], steps: list[int], solved: int | None, opened: bool
) -> Responses:
    names = moments(steps, solved)
    columns = tuple((f"RL step {step} ({names[step]})", tuple(samples)) for step, samples in shown.items())
    return Responses(name, title, columns, opened)


def _published(arms: Sequence[Arm], folder: Path) -> Section:
    rows = [row for arm in arms for row in compare(arm)]
    blocks: list[Block] = [effect_tables.published_table(rows)] if rows else []
    sentences = effect_tables.recipe_notes(arms, rows) + [
        _unmatched(arm) for arm in arms if arm.name not in {row.arm for row in rows}
    ]
    if sentences:
        blocks.append(Items(tuple(sentences)))
    if not rows:
        blocks += [
            Text("For orientation, the paper's own figures, with its models:"),
            effect_tables.orientation_table(),
        ]
    rule = (
        "A run is set beside a published figure if model, training data, reward and algorithm are that figure's; what else differs "
        "from the paper's recipe is said."
    )
    return Section("published", "The paper's figures and yours", (Text(rule), *blocks))


def _unmatched(arm: Arm) -> str:
    policy, source = arm.setting("model.policy"), arm.setting("data.source")
    if not policy:
        return f"{arm.name} has no published figure that can be found: its configuration is not known."
    if not settings_of(arm):
        trained = any(str(policy).endswith(s.model.split("/")[1]) for s in published().settings)
        why = (
            f"none is known for training `{policy}` on `{source}` this way"
            if trained
            else f"`{policy}` is not one of the paper's models"
        )
        return f"{arm.name} has no published figure: {why}."
    return f"{arm.name} repeats a published setting, but has not evaluated the benchmarks of its figures."


def _picture(name: str, caption: str, file: Path | None, alternative: str) -> list[Block]:
    return [Picture(name, file, caption, alternative)] if file else []


def _or(table: Table | None, otherwise: str) -> Block:
    return table if table else Text(otherwise)


def _paper(phenomenon: str) -> Text:
    return Text(f"In the paper, {published().phenomena[phenomenon]}.")


def _ends(arms: Sequence[Arm]) -> str:
    """The figure in words, for those who cannot see it."""
    said = []
    for arm in arms:
        kind = figures.shown_kind(arm)
        curve = arm.curve(kind) if kind else None
        if kind and curve:
            said.append(f"{arm.name}: {kind.label} {100 * curve.mean[0]:.1f}% to {100 * curve.mean[-1]:.1f}%")
    return "; ".join(said) or "Training accuracy over RL steps."
