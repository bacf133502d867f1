"""Folders as the user names them -> arms: runs that differ in their seed alone, compared with other arms.

Between the run folders and everything that is measured on them.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from lit_rlvr.errors import UserError
from lit_rlvr.report.reading import Kind, Row, Run, is_run, kind_of, read_run
from lit_rlvr.report.statistics import Band, Series, band

SEED_FOLDER = "seed-"
"""The runs in folders of this name, side by side, are the seeds of one arm, as a sweep writes them."""

DEPTH = 2
"""How far below a named folder runs are looked for: ROOT/arm/seed-0."""

_SAME_IN_ALL_SEEDS = (
    "trainer.logger",
    "trainer.default_root_dir",
    "seed_everything",
    "ckpt_path",
    "checkpoint",
    "samples",
    "history",
)
"""Keys that may differ between the seeds of an arm: where and how often something is written changes no policy."""


@dataclass(frozen=True)
class Arm:
    """Runs of one experiment with different seeds.

    Attributes:
        name: for tables and figures.
        runs: at least one.
    """

    name: str
    runs: tuple[Run, ...]

    def setting(self, path: str, default: Any = None) -> Any:
        """A value of the configuration, that of the first run which has one."""
        return next((run.setting(path, default) for run in self.runs if run.config), default)

    def kinds(self) -> list[Kind]:
        """The kinds of evaluation that any of the runs made."""
        return list(dict.fromkeys(kind for run in self.runs for kind in run.kinds()))

    def curve(self, kind: Kind, key: str = "accuracy") -> Band | None:
        """A value of the evaluations of one kind over RL steps."""
        return band([run.curve(kind, key) for run in self.runs])

    def scalar(self, tag: str) -> Band | None:
        """A logged metric over RL steps."""
        return band([run.scalar(tag) for run in self.runs])

    def training_accuracy(self) -> Band | None:
        """Over RL steps."""
        return band([run.training_accuracy() for run in self.runs])


def main_kind(kinds: Sequence[Kind], curves: Sequence[Series]) -> Kind | None:
    """The kind that a figure with place for one shows: evaluated at the most RL steps; of equals, the first.

    Args:
        kinds: to choose from.
        curves: accuracy over RL steps of each.
    """
    longest = max((len(curve) for curve in curves), default=0)
    return next((kind for kind, curve in zip(kinds, curves, strict=True) if len(curve) == longest), None)


def find_arms(paths: Sequence[Path]) -> tuple[list[Arm], list[str]]:
    """All arms in the named folders in the order of naming, and what a reader should know of how they were put together.

    Raises:
        UserError: a folder that does not exist, or without a run in it.
    """
    groups: dict[tuple[str, str], list[Run]] = {}
    seen: set[Path] = set()
    notes: list[str] = []
    for path in paths:
        found = [folder for folder in _run_folders(path) if folder.resolve() not in seen]
        seen |= {folder.resolve() for folder in found}
        for folder in found:
            run = read_run(folder)
            notes += run.notes
            groups.setdefault(_group(run, named=folder == path), []).append(run)
    arms = []
    for name, members in zip(_names(list(groups.values())), groups.values(), strict=True):
        runs = _without_repeats(members, notes)
        notes += _differences(name, runs)
        arms.append(Arm(name, tuple(runs)))
    arms, lent = lend_bases(arms)
    return arms, list(dict.fromkeys(notes + lent))


def lend_bases(arms: Sequence[Arm]) -> tuple[list[Arm], list[str]]:
    """Runs that were not evaluated before training, with the evaluation of the same model by another run of the report.

    A sweep evaluates the base model once. Of several lenders, one with the borrower's seed comes first, for what is sampled
    depends on it. Returns the arms, and who has borrowed in a sentence.
    """
    lenders = [(run, row) for arm in arms for run in arm.runs for row in run.evaluations if row["rl_step"] == 0]
    borrowers: list[str] = []
    changed = []
    for arm in arms:
        runs = []
        for run in arm.runs:
            missing = [kind for kind in run.kinds() if run.rows(kind)[0]["rl_step"] > 0]
            found = [row for kind in missing if run.trained and (row := _base_of(run, kind, lenders))]
            runs.append(replace(run, evaluations=(*found, *run.evaluations)))
            borrowers += [arm.name] if found else []
        changed.append(Arm(arm.name, tuple(runs)))
    who = ", ".join(dict.fromkeys(borrowers))
    return changed, [
        f"Not evaluated before training, and shown with the base of another run of the same model: {who}."
    ] if who else []


def _base_of(run: Run, kind: Kind, lenders: Sequence[tuple[Run, Row]]) -> Row | None:
    policy, first = run.setting("model.policy"), run.rows(kind)[0]
    alike = [
        (lender, row)
        for lender, row in lenders
        if kind_of(row) == kind
        and lender.setting("model.policy") == policy
        and all(row.get(key) == first.get(key) for key in ("template", "max_tokens"))
    ]
    alike.sort(key=lambda pair: pair[0].seed != run.seed)  # stable
    return alike[0][1] if alike else None


def _run_folders(path: Path) -> list[Path]:
    if not path.is_dir():
        near = get_close_matches(
            path.name, [p.name for p in path.parent.iterdir()] if path.parent.is_dir() else [], n=1
        )
        hint = f"; did you mean {path.parent / near[0]}?" if near else ""
        what = "is a file" if path.exists() else "does not exist"
        raise UserError(f"{path} {what}, and a report is made of run folders{hint}")
    level = [path]
    for _ in range(DEPTH + 1):
        runs = [folder for folder in level if is_run(folder)]
        if runs:
            return runs
        level = [child for folder in level for child in _children(folder)]
    raise UserError(
        f"{path} holds no run: there is no evaluations.jsonl and no events.out.tfevents* in it nor in the {DEPTH} levels of "
        "folders below it; name the folder that `lit-rlvr fit` wrote, for instance runs/tiny/version_0."
    )


def _children(folder: Path) -> list[Path]:
    return sorted((p for p in folder.iterdir() if p.is_dir() and not p.name.startswith(".")), key=_natural)


def _natural(path: Path) -> tuple[str, int]:
    """seed-2 before seed-10."""
    stem = path.name.rstrip("0123456789")
    return stem, int(path.name[len(stem) :] or -1)


def _group(run: Run, named: bool) -> tuple[str, str]:
    """What the runs of an arm have in common: (folder, configuration). Runs named one by one need no common folder."""
    parent = str(run.folder.resolve().parent)
    if run.folder.resolve().name.startswith(SEED_FOLDER):
        return parent, ""
    settings = json.dumps(_settings(run), sort_keys=True, default=str)
    return (parent if not named or not run.trained else "", settings if run.trained else str(run.folder))


def _settings(run: Run) -> dict[str, Any]:
    """Dotted key -> value, of the keys that make an arm."""
    flat = _flatten(run.config)
    return {
        k: v for k, v in flat.items() if not any(k == left or k.startswith(f"{left}.") for left in _SAME_IN_ALL_SEEDS)
    }


def _flatten(config: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in config.items():
        if isinstance(value, Mapping):
            flat |= _flatten(value, f"{prefix}{key}.")
        else:
            flat[f"{prefix}{key}"] = value
    return flat


def _names(groups: Sequence[Sequence[Run]]) -> list[str]:
    """A name for each arm: its folder's, with as much of the path in front as tells the arms apart."""
    folders = [[run.folder.resolve() for run in runs] for runs in groups]
    # The folder above where it holds nothing but the seeds of this arm, else the run's own.
    parents = [{folder.parent for folder in own} for own in folders]
    whole = [len(p) == 1 and sum(next(iter(p)) in q for q in parents) == 1 for p in parents]
    anchors = [
        own[0].parent if alone and _is_seed(own[0]) else own[0] for own, alone in zip(folders, whole, strict=True)
    ]
    for length in range(1, max(len(anchor.parts) for anchor in anchors) + 1):
        names = ["/".join(anchor.parts[-length:]) for anchor in anchors]
        if len(set(names)) == len(names):
            break
    return names


def _is_seed(folder: Path) -> bool:
    return folder.name.startswith((SEED_FOLDER, "version_"))


def _without_repeats(runs: Sequence[Run], notes: list[str]) -> list[Run]:
    """One run per seed: a second with the same seed is the same experiment, not a further one."""
    kept: dict[Any, Run] = {}
    for run in runs:
        key = run.folder if run.seed is None else run.seed
        other = kept.get(key)
        if other is None:
            kept[key] = run
            continue
        longer, shorter = (run, other) if run.last_step() > other.last_step() else (other, run)
        kept[key] = longer
        notes.append(
            f"{shorter.folder} has the seed and the configuration of {longer.folder} and was left out: it is the same "
            "experiment, not a further seed."
        )
    return list(kept.values())


def _differences(name: str, runs: Sequence[Run]) -> list[str]:
    notes = []
    known = [_settings(run) for run in runs if run.config]
    keys = sorted({key for settings in known for key in settings if settings.get(key) != known[0].get(key)})
    keys += sorted(
        {key for key in (known[0] if known else {}) for settings in known[1:] if key not in settings} - set(keys)
    )
    if keys:
        notes.append(f"The seeds of {name} differ in more than their seed: {', '.join(keys[:6])}.")
    steps = {run.last_step() for run in runs}
    if len(steps) > 1:
        reached = ", ".join(f"{run.folder.name} {run.last_step()}" for run in runs)
        notes.append(
            f"The seeds of {name} have come to different RL steps ({reached}); curves end where the shortest does."
        )
    return notes
