"""A run folder -> `Run`: its evaluations, curves, sample texts, per-problem history and configuration.

What is missing or unreadable costs its own part of the report, and is said in a sentence; only a damaged
`evaluations.jsonl` stops it, for a report without some of its rows would be wrong rather than short.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from lit_rlvr.config_files import load_yaml
from lit_rlvr.errors import UserError
from lit_rlvr.evaluation.rows import fault
from lit_rlvr.events import Events, event_files, read_events
from lit_rlvr.files import json_lines

Row = Mapping[str, Any]
"""A line of `evaluations.jsonl`. Older runs lack the newer keys."""

MANIFEST = "evaluation.json"
"""The file by which a folder of `lit-rlvr evaluate` is known."""

_KINDS: dict[str, Any] = {
    **dict.fromkeys(("model.policy", "data.source", "model.algorithm.class_path", "model.reward.class_path"), str),
    **dict.fromkeys(("data.rl_steps", "saturation.window"), int),
    **dict.fromkeys(("saturation.threshold", "data.wrong_label_share"), (int, float)),
    **dict.fromkeys(("model.algorithm.init_args", "model.sampling"), Mapping),
    "data.select": list,
}
"""What the settings that a report reads must be, where they are there at all."""


class Kind(NamedTuple):
    """What makes two evaluations comparable: benchmark, decoding, how many of its problems, an example in the prompt."""

    benchmark: str
    k: int
    temperature: float
    problems: int
    limited: bool
    example: str = ""

    @property
    def decoding(self) -> str:
        """In words."""
        return "greedy" if self.temperature == 0 else f"avg@{self.k} at temperature {self.temperature:g}"

    @property
    def label(self) -> str:
        """Benchmark and decoding in few words."""
        how = "greedy" if self.temperature == 0 else f"avg@{self.k} at {self.temperature:g}"
        limited = f", {self.problems} problems only" if self.limited else ""
        return f"{self.benchmark}, {how}{limited}" + (f", after the example {self.example}" if self.example else "")


@dataclass(frozen=True)
class Run:
    """One run: one seed of one arm.

    Attributes:
        folder: where it was found.
        config: `config.yaml`, empty if there is none.
        evaluations: rows in the order of the file.
        history: training problem -> accuracy at each RL step that trained on it.
        events: curves and sample texts by tag.
        notes: what was missing, in sentences.
    """

    folder: Path
    config: Mapping[str, Any] = field(default_factory=dict)
    evaluations: tuple[Row, ...] = ()
    history: Mapping[str, list[float]] = field(default_factory=dict)
    events: Events = field(default_factory=lambda: Events({}, {}))
    notes: tuple[str, ...] = ()

    def setting(self, path: str, default: Any = None) -> Any:
        """A value of the configuration by its dotted key."""
        return _setting(self.config, path, default)

    @property
    def trained(self) -> bool:
        """Whether it is known to be a training run, rather than an evaluation alone."""
        return "data" in self.config

    @property
    def seed(self) -> int | None:
        """Of the run; None where the configuration does not say."""
        seed = self.setting("seed_everything")
        return seed if isinstance(seed, int) and not isinstance(seed, bool) else None

    def kinds(self) -> list[Kind]:
        """The kinds of evaluation that the run made, in order."""
        return list(dict.fromkeys(kind_of(row) for row in self.evaluations))

    def rows(self, kind: Kind) -> list[Row]:
        """Evaluations of one kind by rising RL step; of two at one step, the later."""
        return [
            row for _, row in sorted({row["rl_step"]: row for row in self.evaluations if kind_of(row) == kind}.items())
        ]

    def curve(self, kind: Kind, key: str = "accuracy") -> dict[int, float]:
        """RL step -> a value of the evaluations of one kind; empty where rows lack it."""
        return {row["rl_step"]: float(row[key]) for row in self.rows(kind) if _is_number(row.get(key))}

    def scalar(self, tag: str) -> dict[int, float]:
        """RL step -> a logged metric; empty if it was not logged."""
        return self.events.scalars.get(tag, {})

    def training_accuracy(self) -> dict[int, float]:
        """RL step -> share of right responses to the training problem(s).

        From the events; where these begin late (a run resumed in another folder) or are missing, from the history, which
        knows the step of an entry where every step trained on every problem.
        """
        logged = self.scalar("train/accuracy")
        lists = list(self.history.values())
        if lists and len({len(values) for values in lists}) == 1 and len(lists[0]) > len(logged):
            recorded = {step: sum(values) / len(values) for step, values in enumerate(zip(*lists, strict=True))}
            if not logged or max(recorded) >= max(logged):
                return recorded | logged
        return logged

    def last_step(self) -> int:
        """RL steps that the run has done, as far as its files tell."""
        trained = self.training_accuracy()
        return max([row["rl_step"] for row in self.evaluations] + [max(trained) + 1 if trained else 0])


def _setting(config: Mapping[str, Any], path: str, default: Any = None) -> Any:
    value: Any = config
    for key in path.split("."):
        if not isinstance(value, Mapping) or key not in value:
            return default
        value = value[key]
    return value


def kind_of(row: Row) -> Kind:
    """The kind of an evaluation."""
    limited = row.get("limit") is not None
    return Kind(
        row["benchmark"], row["k"], float(row["temperature"]), row["problems"], limited, row.get("example") or ""
    )


def is_run(folder: Path) -> bool:
    """Whether a run has written there."""
    return (folder / "evaluations.jsonl").is_file() or bool(event_files(folder))


def read_run(folder: Path) -> Run:
    """Everything that a run folder tells.

    Raises:
        UserError: `evaluations.jsonl` is damaged.
    """
    notes: list[str] = []
    alone = _read_manifest(folder / MANIFEST)
    config = _read_config(folder / "config.yaml", notes) if alone is None else alone
    history = _read_history(folder / "history.json", notes)
    files = [*_files_before(config, folder, notes), *event_files(folder)]
    events, unread = read_events(files)
    if alone is not None:
        notes.append(f"{folder} is an evaluation by `lit-rlvr evaluate`: there is no training in it to show.")
    elif not files:
        notes.append(f"{folder} has no TensorBoard events: its curves over RL steps and its samples are missing.")
    evaluations = _read_evaluations(folder / "evaluations.jsonl", notes)
    return Run(folder, config, evaluations, history, events, tuple(notes + unread))


def _read_evaluations(path: Path, notes: list[str]) -> tuple[Row, ...]:
    if not path.is_file():
        notes.append(f"{path.parent} has no evaluations.jsonl: its test accuracy is missing.")
        return ()
    rows = []
    for number, row in json_lines(path):
        wrong = fault(row)
        if wrong:
            raise UserError(
                f"{path}, row {number}: {wrong}; remove that line, or evaluate again: a report without it would mislead."
            )
        rows.append(row)
    if not rows:
        notes.append(f"{path} is empty: the run has not been evaluated yet.")
    return tuple(rows)


def _read_config(path: Path, notes: list[str]) -> Mapping[str, Any]:
    if not path.is_file():
        notes.append(f"{path.parent} has no config.yaml: its model, problem and reward are not known.")
        return {}
    try:
        config = load_yaml(path)
    except (UserError, OSError):
        config = None
    if not isinstance(config, dict) or any(
        value is not None and not isinstance(value, kind)
        for key, kind in _KINDS.items()
        for value in [_setting(config, key)]
    ):
        notes.append(f"{path} is not a readable configuration: the run's model, problem and reward are not known.")
        return {}
    return config


def _read_manifest(path: Path) -> Mapping[str, Any] | None:
    """What `lit-rlvr evaluate` says of its policy, under the keys of a run's configuration; None in a run's folder."""
    if not path.is_file() or (path.parent / "config.yaml").is_file():
        return None
    try:
        manifest = json.loads(path.read_text("utf-8"))
        return {"model": {"policy": manifest["policy"]}, "seed_everything": manifest.get("seed")}
    except (ValueError, TypeError, KeyError):
        return {}


def _read_history(path: Path, notes: list[str]) -> Mapping[str, list[float]]:
    if not path.is_file():
        return {}  # the events tell the same
    try:
        history = json.loads(path.read_text("utf-8"))
        return {str(problem): [float(value) for value in values] for problem, values in history.items()}
    except (ValueError, TypeError, AttributeError):
        notes.append(f"{path} is not a readable history and was left out.")
        return {}


def _files_before(config: Mapping[str, Any], folder: Path, notes: list[str], depth: int = 16) -> list[Path]:
    """The event files of the run that this one went on from in another folder, if `ckpt_path` says so; oldest first.

    Evaluations and history travel in the checkpoint, curves do not.
    """
    checkpoint = config.get("ckpt_path")
    if not isinstance(checkpoint, str) or depth == 0:
        return []
    named = Path(checkpoint).parent.parent  # RUN/checkpoints/NAME.ckpt
    for before in (named, folder.parent / named.name):
        if before.resolve() == folder.resolve():
            return []
        if event_files(before):
            earlier = _read_config(before / "config.yaml", []) if (before / "config.yaml").is_file() else {}
            return [*_files_before(earlier, before, notes, depth - 1), *event_files(before)]
    notes.append(f"{folder} went on from {checkpoint}, which is not there: its curves begin where it went on.")
    return []


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
