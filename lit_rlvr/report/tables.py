"""The tables: arms -> rows of cells. What they say is computed in `phenomena.py` and `published.py`; here it is put in words.

Percent with one decimal; "±" is a standard error over problems; brackets hold the range over seeds.
"""

from collections.abc import Mapping, Sequence

from lit_rlvr.report.arms import Arm
from lit_rlvr.report.cells import NONE, arrow, change, number, percent, range_of
from lit_rlvr.report.figures import DYNAMICS, shown_kind
from lit_rlvr.report.page import Table
from lit_rlvr.report.phenomena import (
    Endpoint,
    Gain,
    Phases,
    Saturation,
    class_name,
    compared_kinds,
    endpoints,
    mean_of,
    pairs,
    phases,
)

MANNER = {
    "length": ("tokens", 1, 0),
    "truncated": ("cut at the limit %", 100, 1),
    "reflection": ("reflection %", 100, 2),
    "reflection_more": ("reflection, longer list %", 100, 2),
    "code": ("code-like %", 100, 1),
    "repetition": ("repetition %", 100, 1),
}
"""Key of an evaluation row -> (words, scale, decimals)."""


def summary_table(arms: Sequence[Arm]) -> Table:
    """What each arm is, and its accuracy before and after."""
    kinds = [shown_kind(arm) for arm in arms]
    alike = len({kind for kind in kinds if kind}) <= 1
    rows = []
    for arm, kind in zip(arms, kinds, strict=True):
        before, after = endpoints(arm, kind) if kind else (None, None)
        what = (
            str(arm.setting("model.policy", NONE)),
            algorithm(arm),
            problems(arm),
            label(arm),
            class_name(arm.setting("model.reward.class_path")) or NONE,
            steps(arm),
            ", ".join(str(run.seed) for run in arm.runs if run.seed is not None) or str(len(arm.runs)),
        )
        test = [] if alike else [kind.label if kind else NONE]
        rows.append((arm.name, *what, *test, _accuracy(before), _accuracy(after)))
    known = ("model", "algorithm", "problem(s)", "label", "reward", "RL steps", "seeds")
    header = ("arm", *known, *([] if alike else ["test"]), "before %", "after %")
    same = next((f" ({kind.label})" for kind in kinds if kind and alike), "")
    caption = (
        f"Accuracy{same} before training and at the last evaluation (never the best one) ± the standard error over problems; in "
        "brackets the range over seeds."
    )
    return Table("summary", caption, header, tuple(rows), text=len(header) - 2)


def accuracy_table(arms: Sequence[Arm]) -> Table | None:
    """Every kind of evaluation of every arm; None where the summary has said it all."""
    rows = []
    for arm in arms:
        for kind in arm.kinds():
            before, after = endpoints(arm, kind)
            gained = change(before.accuracy.mean, after.accuracy.mean) if before and after else NONE
            rows.append(
                (
                    arm.name,
                    kind.benchmark,
                    kind.decoding,
                    str(kind.problems),
                    _accuracy(before),
                    _accuracy(after),
                    gained,
                )
            )
    if len(rows) <= len(arms):
        return None
    header = ("arm", "benchmark", "decoding", "problems", "before %", "after %", "change")
    return Table("accuracy", "Every benchmark and decoding; as above.", header, tuple(rows), text=3)


def algorithm(arm: Arm) -> str:
    """Class with the terms of its loss."""
    name = class_name(arm.setting("model.algorithm.class_path"))
    given = arm.setting("model.algorithm.init_args", {}) or {}
    terms = ["no policy loss"] if given.get("policy_coefficient") == 0 else []
    terms += [
        f"{word} {given[key]:g}"
        for word, key in (("KL", "kl_coefficient"), ("entropy", "entropy_coefficient"))
        if given.get(key)
    ]
    return f"{name} ({', '.join(terms)})" if name and terms else name or NONE


def problems(arm: Arm) -> str:
    """Where the training problems come from, and how many of them the history knows."""
    source, select = arm.setting("data.source"), arm.setting("data.select")
    count = max(len(run.history) for run in arm.runs)
    chosen = f", selected {', '.join(map(str, select[:4]))}{' …' if len(select) > 4 else ''}" if select else ""
    return f"{source}{chosen}" + (f" ({count:,} problems)" if count > 1 else "") if source else NONE


def label(arm: Arm) -> str:
    """Whether the training problem's answer is its own."""
    if not arm.setting("data.source"):
        return NONE
    given, wrong = arm.setting("data.label"), arm.setting("data.wrong_label_share") or 0
    return f"replaced by {given}" if given is not None else f"{100 * wrong:g}% wrong" if wrong else "own"


def steps(arm: Arm) -> str:
    """RL steps done, and planned where that is more."""
    done = sorted({run.last_step() for run in arm.runs})
    planned = arm.setting("data.rl_steps")
    reached = " to ".join(dict.fromkeys((f"{done[0]:,}", f"{done[-1]:,}")))
    return reached + (f" of {planned:,}" if isinstance(planned, int) and done[0] < planned else "")


def saturation_table(found: Mapping[str, Sequence[Saturation]]) -> Table:
    """Test accuracy when the training problem is solved and at the end, paired over the problems, per seed.

    Args:
        found: arm's name -> its seeds.
    """
    rows: list[tuple[str, ...]] = []
    for arm, seeds in found.items():
        for seed in seeds:
            who = (arm, seed.run.folder.name)
            if seed.step is None:
                solved = "not solved" if seed.run.training_accuracy() else "no training"
                rows.append((*who, NONE, solved, *[NONE] * 8))
                continue
            since = (str(seed.step), percent(seed.training_after))
            if not seed.gains:
                rows.append((*who, "no two evaluations since", *since, *[NONE] * 7))
            rows += [(*who, gain.kind.label, *since, *_gain_cells(gain)) for gain in seed.gains]
    header = (
        *("arm", "seed", "test", "solved at RL step", "training since %", "RL steps", "base %", "then %", "end %"),
        *("change", "gained, lost", "p"),
    )
    caption = (
        "Solved: the first RL step at which the training accuracy, averaged over the window (10 RL steps), reaches 99%. Then: "
        "the first evaluation from that step on. p is two-sided and paired over the problems: exact McNemar test for one "
        "response per problem (with the problems gained and lost), z of the mean difference for several."
    )
    return Table("saturation", caption, header, tuple(rows), text=3)


def _gain_cells(gain: Gain) -> tuple[str, ...]:
    changed = f"{gain.changed[0]}, {gain.changed[1]}" if gain.changed else NONE
    return (
        f"{gain.step} → {gain.end_step}",
        percent(gain.base),
        percent(gain.then),
        percent(gain.end),
        change(gain.then, gain.end),
        changed,
        NONE if gain.p is None else f"{gain.p:.2g}",
    )


def dynamics_table(arms: Sequence[Arm]) -> Table | None:
    """Entropy, length and so on in the first steps, when the problem is solved, and in the last ones."""
    found = {tag: [phases(arm, tag) for arm in arms] for tag in DYNAMICS}
    shown = [tag for tag, of in found.items() if any(of)]
    rows = []
    for i, arm in enumerate(arms):
        parts = [found[tag][i] for tag in shown]
        if any(parts):
            scales = [100 if DYNAMICS[tag][1].startswith("%") else 1 for tag in shown]
            rows.append((arm.name, *(_phases_cell(part, scale) for part, scale in zip(parts, scales, strict=True))))
    header = ("arm", *(f"{DYNAMICS[tag][0]}, {DYNAMICS[tag][1]}" for tag in shown))
    caption = (
        "First steps → when the training problem is solved → last steps: means over 10 RL steps each (the window of saturation), "
        "and over seeds."
    )
    return Table("dynamics", caption, header, tuple(rows)) if rows else None


def _phases_cell(found: Phases | None, scale: float) -> str:
    if found is None:
        return NONE
    return arrow([None if part is None else number(scale * part) for part in (found.first, found.solving, found.last)])


def zero_advantage_table(arms: Sequence[Arm]) -> Table | None:
    """How much there is left to learn from, before and after the problem is solved."""
    rows = []
    for arm in arms:
        idle, norm = phases(arm, "train/zero_variance"), phases(arm, "train/grad_norm")
        if idle:
            norms = (number(norm.first), number(norm.since), number(norm.last)) if norm else (NONE,) * 3
            rows.append((arm.name, percent(idle.first), percent(idle.since), percent(idle.last), *norms))
    header = (
        "arm",
        "no variance: first steps %",
        "since solved %",
        "last steps %",
        "gradient norm: first steps",
        "since solved",
        "last steps",
    )
    caption = (
        "Share of responses in groups whose rewards are all equal: their advantage is zero, and the policy loss has no gradient "
        "from them. Means over seeds; first and last are 10 RL steps each."
    )
    return Table("zero-advantage", caption, header, tuple(rows)) if rows else None


def manner_table(arms: Sequence[Arm]) -> Table | None:
    """What test responses look like, before and after."""
    found = [(arm, kind, pairs(arm, kind)) for arm in arms for kind in compared_kinds(arm)]
    keys = [
        key for key in MANNER if any(row.get(key) is not None for _, _, both in found for pair in both for row in pair)
    ]
    rows = []
    for arm, kind, both in found:
        cells = []
        for key in keys:
            _, scale, decimals = MANNER[key]
            ends = [mean_of([pair[i] for pair in both], key) for i in (0, 1)]
            cells.append(arrow([None if end is None else f"{scale * end:.{decimals}f}" for end in ends]))
        rows.append((arm.name, kind.label, *cells))
    header = ("arm", "test", *(MANNER[key][0] for key in keys))
    caption = "First → last evaluation, means over seeds. Reflection: share of responses with `rethink`, `recheck` or `recalculate`."
    return Table("manner", caption, header, tuple(rows), text=2) if rows and keys else None


def _accuracy(end: Endpoint | None) -> str:
    if end is None:
        return NONE
    error = "" if end.error is None else f" ± {percent(end.error)}"
    return f"{percent(end.accuracy.mean)}{error}{range_of(end.accuracy)}"
