"""The paper's figures beside yours: which published setting a run repeats, and how far apart the two are.

From `published.yaml` and the arms to rows of a table. The rule of matching: the model's id (a local folder of that name
counts), the training data's name, the reward, and the algorithm (GRPO with its standard scale and baseline, its policy loss
on or off) must be the setting's. Where a run differs from the paper's recipe beyond that, it is compared and the difference
is said. The untrained model is matched by its id alone.
"""

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import PurePosixPath
from typing import Any

import yaml

from lit_rlvr.report.arms import Arm
from lit_rlvr.report.phenomena import class_name
from lit_rlvr.report.reading import Kind, Row, Run

AVERAGE = "average-of-six"
ERRORS = 2
"""Standard errors within which two figures are called equal: about 95% of what resampling problems would give."""

_REWARDS = {"AnswerReward": "answer", "FormatReward": "format"}


@dataclass(frozen=True)
class Setting:
    """A published setting: what was trained, and its figures in percent by benchmark."""

    name: str
    model: str
    figures: Mapping[str, float]
    source: str
    data: tuple[str, ...] = ()
    reward: str | None = None
    loss: str | None = None
    when: str = "trained"
    note: str = ""


@dataclass(frozen=True)
class Published:
    """`published.yaml`; the file says what each part is."""

    source: str
    six: tuple[str, ...]
    decoding: Mapping[str, Mapping[str, Any]]
    rule: str
    template: str
    max_tokens: Mapping[str, int]
    recipe: Mapping[str, Any]
    settings: tuple[Setting, ...]
    phenomena: Mapping[str, str]


@cache
def published() -> Published:
    """The data file, read once."""
    content = yaml.safe_load((files(__package__) / "published.yaml").read_text("utf-8"))
    settings = tuple(Setting(**{**entry, "data": tuple(entry.get("data", ()))}) for entry in content.pop("settings"))
    return Published(settings=settings, six=tuple(content.pop("six")), **content)


@dataclass(frozen=True)
class Comparison:
    """One published figure beside one of yours, both in percent.

    Attributes:
        checkpoint: which of the policies of a run was taken.
        verdict: in words.
    """

    arm: str
    setting: Setting
    benchmark: str
    yours: float
    error: float
    problems: str
    decoding: str
    checkpoint: str
    verdict: str

    @property
    def theirs(self) -> float:
        """The published figure."""
        return self.setting.figures[self.benchmark]


def same_model(policy: Any, model: str) -> bool:
    """Whether a policy is that model: its hub id, or a local folder of its name."""
    return isinstance(policy, str) and (
        policy == model or PurePosixPath(policy).name.lower() == model.split("/")[1].lower()
    )


def settings_of(arm: Arm) -> list[Setting]:
    """The published settings that an arm repeats: the untrained model, and at most one trained one."""
    policy = arm.setting("model.policy")
    return [s for s in published().settings if same_model(policy, s.model) and (s.when == "base" or _trains(arm, s))]


def _trains(arm: Arm, setting: Setting) -> bool:
    source = str(arm.setting("data.source"))
    known = (source in setting.data or PurePosixPath(source).stem in setting.data) and arm.setting(
        "data.select"
    ) is None
    algorithm = class_name(arm.setting("model.algorithm.class_path"))
    given = arm.setting("model.algorithm.init_args", {}) or {}
    standard = (
        given.get("group", "row") == "row"
        and given.get("baseline", "mean") == "mean"
        and given.get("scale", "std") == "std"
    )
    loss = "policy" if given.get("policy_coefficient", 1.0) > 0 else "entropy-only"
    reward = _REWARDS.get(class_name(arm.setting("model.reward.class_path", "AnswerReward")))
    rewarded = setting.reward is None or reward == setting.reward
    return known and algorithm == "GRPO" and standard and loss == setting.loss and rewarded


def differences(arm: Arm, setting: Setting) -> list[str]:
    """Where an arm that repeats a setting leaves the paper's recipe, in words."""
    if setting.when == "base":
        return []
    found = []
    for key, theirs in published().recipe.items():
        if setting.loss == "entropy-only" and key.endswith("kl_coefficient"):
            continue
        yours = arm.setting(key, theirs)
        if yours != theirs:
            found.append(
                f"`{key}` is {yours}"
                + (
                    ""
                    if theirs is None
                    else f", theirs {theirs:g}"
                    if isinstance(theirs, float)
                    else f", theirs {theirs}"
                )
            )
    return found


def compare(arm: Arm) -> list[Comparison]:
    """Every published figure that an arm has one for.

    The paper reports the checkpoint with the best average of its six benchmarks. Where a run evaluated all six along the
    way, that choice is shown beside its last step, which alone is free of choosing on the test sets.
    """
    rows = []
    for setting in settings_of(arm):
        choices = {"before training": _first} if setting.when == "base" else {"last": _last, "best of six": _best}
        for benchmark in setting.figures:
            for words, choose in choices.items():
                found = [row for run in arm.runs if (row := choose(run, benchmark))]
                if found:
                    rows.append(_comparison(arm, setting, benchmark, words, found))
    return rows


@dataclass(frozen=True)
class _Figure:
    """One run's figure, a share, at one step. ``why`` says why it cannot be compared."""

    step: int
    accuracy: float
    error: float
    problems: str
    decoding: str
    why: str


def _comparison(arm: Arm, setting: Setting, benchmark: str, words: str, found: Sequence[_Figure]) -> Comparison:
    yours = 100 * statistics.fmean(figure.accuracy for figure in found)
    error = 100 * statistics.fmean(figure.error for figure in found)
    why = next((figure.why for figure in found if figure.why), "")
    steps = sorted({figure.step for figure in found})
    planned = arm.setting("data.rl_steps")
    when = f"RL step {' / '.join(f'{step:,}' for step in steps)}" + (
        f" of {planned:,}" if words == "last" and planned else ""
    )
    return Comparison(
        arm.name,
        setting,
        benchmark,
        yours,
        error,
        found[0].problems,
        found[0].decoding,
        words if setting.when == "base" else f"{words}: {when}",
        f"not comparable: {why}" if why else verdict(setting.figures[benchmark], yours, error),
    )


def verdict(theirs: float, yours: float, error: float) -> str:
    """In words, by :data:`ERRORS` standard errors of yours; all in percent."""
    difference = yours - theirs
    if abs(difference) <= ERRORS * error:
        return "within error"
    return f"{'above' if difference > 0 else 'below'} by {abs(difference):.1f}"


def _first(run: Run, benchmark: str) -> _Figure | None:
    return _at(run, benchmark, 0)


def _last(run: Run, benchmark: str) -> _Figure | None:
    steps = [step for step in _steps(run, benchmark) if step > 0]
    return _at(run, benchmark, steps[-1]) if steps else None


def _best(run: Run, benchmark: str) -> _Figure | None:
    averages = {step: figure for step in _steps(run, AVERAGE) if step > 0 and (figure := _at(run, AVERAGE, step))}
    if len(averages) < 2:
        return None
    best = max(averages, key=lambda step: averages[step].accuracy)
    return _at(run, benchmark, best)


def _steps(run: Run, benchmark: str) -> list[int]:
    if benchmark == AVERAGE:
        return sorted(set.intersection(*(set(_steps(run, name)) for name in published().six)))
    kind = _kind(run, benchmark)
    return [row["rl_step"] for row in run.rows(kind)] if kind else []


def _kind(run: Run, benchmark: str) -> Kind | None:
    """The run's evaluations of a benchmark: those decoded as the paper did, on all problems, if there are any."""
    kinds = [kind for kind in run.kinds() if kind.benchmark == benchmark]
    return min(kinds, key=lambda kind: len(_unlike(kind))) if kinds else None


def _unlike(kind: Kind) -> list[str]:
    theirs = published().decoding[kind.benchmark]
    found = [f"{kind.problems} of {theirs['problems']} problems"] if kind.problems != theirs["problems"] else []
    if kind.example:
        found.append("an example stands in the prompt")
    if (kind.k, kind.temperature) != (theirs["k"], theirs["temperature"]):
        found.append(
            f"{kind.decoding} instead of {Kind(kind.benchmark, theirs['k'], theirs['temperature'], 0, False).decoding}"
        )
    return found


def _at(run: Run, benchmark: str, step: int) -> _Figure | None:
    if benchmark == AVERAGE:
        parts = [_at(run, name, step) for name in published().six]
        known = [part for part in parts if part]
        if len(known) < len(parts):
            return None
        error = math.sqrt(sum(part.error**2 for part in known)) / len(known)
        why = next((f"{part.why} ({name})" for name, part in zip(published().six, known, strict=True) if part.why), "")
        mean = statistics.fmean(part.accuracy for part in known)
        problems = f"{sum(int(part.problems) for part in known):,}"
        return _Figure(step, mean, error, problems, "each as its own", why)
    kind = _kind(run, benchmark)
    row = next((row for row in run.rows(kind) if row["rl_step"] == step), None) if kind else None
    if kind is None or row is None:
        return None
    accuracy, error, rule = _scored(row)
    unlike = _unlike(kind)
    tokens, usual = row.get("max_tokens"), _token_limit(run)
    if tokens is not None and usual is not None and tokens != usual:
        unlike.append(f"at most {tokens:,} tokens instead of {usual:,}")
    template = row.get("template") or published().template
    prompt = f", prompt {template}" if template != published().template else ""
    decoding = kind.decoding + (f", {tokens:,} tokens" if tokens else "") + f"{prompt}, scored by {rule}"
    return _Figure(step, accuracy, error, str(kind.problems), decoding, "; ".join(unlike))


def _scored(row: Row) -> tuple[float, float, str]:
    """(accuracy, standard error, rule): by the paper's rule of evaluation where the row has it, else by ours."""
    by_rule = (row.get("rules") or {}).get(published().rule)
    if by_rule:
        return by_rule["accuracy"], by_rule["stderr"], published().rule
    return row["accuracy"], row.get("stderr") or 0.0, "exact"


def _token_limit(run: Run) -> int | None:
    policy = run.setting("model.policy")
    return next((limit for model, limit in published().max_tokens.items() if same_model(policy, model)), None)
