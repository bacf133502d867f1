"""The sections on what training did to responses: reflection, subjects, format, samples, and the paper's figures.

From arms to sections, as in `sections.py`, which puts them all in order.
"""

from collections.abc import Sequence
from pathlib import Path

from lit_rlvr.report import effect_tables, figures, tables
from lit_rlvr.report.arms import Arm
from lit_rlvr.report.cells import signed
from lit_rlvr.report.page import Block, Items, Picture, Responses, Section, Table, Text
from lit_rlvr.report.phenomena import FormatSplit, by_group, class_name, compared_kinds, format_split, saturation
from lit_rlvr.report.published import compare, published, settings_of
from lit_rlvr.report.reading import Run
from lit_rlvr.report.samples import Sample, moments, parse, right_and_wrong, same_problems

PANELS = 6
"""Arms up to which each has a panel of the figures per group; of more, the last evaluations are shown as a map."""

TEST_PROBLEMS = 2
"""Test problems whose responses are shown."""


def reflection_section(arms: Sequence[Arm], folder: Path) -> Section:
    """How often responses reflect, and what they look like."""
    table = tables.manner_table(arms)
    note = (
        []
        if any(figures.reflection(arm) for arm in arms)
        else [Text("The evaluations of these runs did not record reflection.")]
    )
    missing = "No benchmark was evaluated twice."
    return Section(
        "reflection",
        "Self-reflection and the manner of responses",
        (paper("reflection"), table_or(table, missing), *note),
    )


def transfer_section(arms: Sequence[Arm], folder: Path) -> Section:
    """Accuracy per subject and level, before and after."""
    blocks: list[Block] = []
    kinds = list(dict.fromkeys(kind for arm in arms for kind in compared_kinds(arm)))
    for word, key in (("subject", "subjects"), ("level", "levels")):
        for kind in kinds:
            groups = {arm.name: of for arm in arms if kind in compared_kinds(arm) and (of := by_group(arm, kind, key))}
            if groups:
                name = f"{key}-{kind.benchmark}"
                shown = "before training and at the last evaluation. The thin line is the range over seeds."
                if len(groups) > PANELS:
                    shown = "accuracy at the last evaluation, mean over seeds."
                caption = f"{kind.label}, per {word}: {shown}"
                told = f"Accuracy per {word} before and after; the table below has the numbers."
                draw = figures.groups_figure if len(groups) <= PANELS else figures.groups_map
                blocks += picture(name, caption, draw(groups, folder / f"{name}.png"), told)
                blocks.append(effect_tables.groups_table(name, word, kind, groups))
    if not blocks:
        blocks = [Text("No benchmark with several subjects or levels was evaluated twice.")]
    return Section("transfer", "Transfer between subjects", (paper("transfer"), *blocks))


def format_section(arms: Sequence[Arm], folder: Path) -> Section:
    """What the gain is made of."""
    splits = {(arm.name, kind): s for arm in arms for kind in compared_kinds(arm) if (s := format_split(arm, kind))}
    if not splits:
        return Section(
            "format",
            "Format against reasoning",
            (paper("format"), Text("No benchmark was evaluated twice with boxes counted.")),
        )
    rewards = {arm.name: class_name(arm.setting("model.reward.class_path")) for arm in arms}
    panels: dict[str, dict[str, FormatSplit]] = {}
    for (arm, kind), split in splits.items():
        panels.setdefault(kind.label, {})[arm] = split
    caption = "What the gain in test accuracy is made of" + (f": {next(iter(panels))}." if len(panels) == 1 else ".")
    told = "; ".join(
        f"{arm}, {kind.label}: {signed(100 * split.parts.gain)} points" for (arm, kind), split in splits.items()
    )
    blocks = picture("format", caption, figures.format_figure(panels, folder / "format.png"), told)
    beyond = effect_tables.beyond_format_table(splits, rewards)
    alone = (
        "None of these arms is rewarded for the format alone; with one, the part of a gain beyond format stands here."
    )
    return Section(
        "format",
        "Format against reasoning",
        (
            paper("format"),
            *blocks,
            effect_tables.format_table(splits, rewards),
            table_or(beyond, alone),
        ),
    )


def samples_section(arms: Sequence[Arm], folder: Path) -> Section:
    """Responses at the first step, when solved, and at the last."""
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
        (paper("samples"), *([Text(text), *blocks] if blocks else [Text("These runs logged no samples.")])),
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


def published_section(arms: Sequence[Arm], folder: Path) -> Section:
    """The paper's figures beside these runs'."""
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


def picture(name: str, caption: str, file: Path | None, alternative: str) -> list[Block]:
    """A figure with its caption, if it was drawn."""
    return [Picture(name, file, caption, alternative)] if file else []


def table_or(table: Table | None, otherwise: str) -> Block:
    """The table, or a sentence where there is none."""
    return table if table else Text(otherwise)


def paper(phenomenon: str) -> Text:
    """What the paper saw."""
    return Text(f"In the paper, {published().phenomena[phenomenon]}.")
