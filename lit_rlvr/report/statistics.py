"""The report's arithmetic: when a problem is solved, paired tests, seeds as a band, what a gain is made of.

Pure functions on plain numbers; between the runs that are read and the tables and figures that show them.
"""

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

Series = Mapping[int, float]
"""RL step -> value, steps rising."""

ROUNDING = 1e-9
"""A mean of floats may come out a rounding below the threshold it equals."""


def saturation_step(accuracies: Series, threshold: float = 0.99, window: int = 10) -> int | None:
    """The first RL step at which the training accuracy, averaged over the last ``window`` steps, reaches ``threshold``.

    It is the step of the rollouts that complete the window, the same number that the run prints and that `train/saturated`
    shows: the policy that made them had had that many RL steps.

    Args:
        accuracies: training accuracy at every RL step.
        threshold: share of right responses from which on the problem counts as solved.
        window: RL steps that are averaged.
    """
    steps, values = list(accuracies), list(accuracies.values())
    for end in range(window, len(values) + 1):
        if statistics.fmean(values[end - window : end]) >= threshold - ROUNDING:
            return steps[end - 1]
    return None


def window_mean(series: Series, start: int | None = None, stop: int | None = None) -> float | None:
    """Mean over the RL steps from ``start`` to ``stop``, both included; None where there are none."""
    values = [v for step, v in series.items() if (start is None or step >= start) and (stop is None or step <= stop)]
    return statistics.fmean(values) if values else None


def mcnemar(before: Sequence[int], after: Sequence[int]) -> tuple[int, int, float]:
    """Exact two-sided McNemar test on 0/1 outcomes of the same problems: (gained, lost, p)."""
    gained = sum(b < a for b, a in zip(before, after, strict=True))
    lost = sum(b > a for b, a in zip(before, after, strict=True))
    changed = gained + lost
    tail = sum(math.comb(changed, i) for i in range(max(gained, lost), changed + 1)) / 2**changed if changed else 0.5
    return gained, lost, min(1.0, 2 * tail)


def paired_z(before: Sequence[int], after: Sequence[int]) -> float:
    """Two-sided p of the mean difference per problem (normal approximation), for counts of right samples."""
    differences = [a - b for b, a in zip(before, after, strict=True)]
    mean = statistics.fmean(differences)
    error = statistics.stdev(differences) / math.sqrt(len(differences)) if len(differences) > 1 else 0.0
    if error == 0:  # no problem differs from another: the change is certain, or there is none
        return float(mean == 0)
    return math.erfc(abs(mean) / error / math.sqrt(2))


def share_error(share: float, problems: int) -> float:
    """Standard error over problems of a share, at most: that of one response per problem, sqrt(p (1-p) / n)."""
    return math.sqrt(share * (1 - share) / problems) if problems else 0.0


@dataclass(frozen=True)
class Spread:
    """Mean and range of one quantity over seeds."""

    mean: float
    low: float
    high: float
    count: int


def spread(values: Sequence[float | None]) -> Spread | None:
    """Over the values that there are; None if there are none."""
    known = [value for value in values if value is not None]
    return Spread(statistics.fmean(known), min(known), max(known), len(known)) if known else None


@dataclass(frozen=True)
class Band:
    """A curve of several seeds: per RL step the mean, the least and the greatest. All four have one length."""

    steps: tuple[int, ...]
    mean: tuple[float, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]
    seeds: int


def band(series: Sequence[Series]) -> Band | None:
    """Mean with the range from the least to the greatest seed, at the RL steps that all of them have.

    Seeds without a single value are left out: a mean of other seeds at other steps would jump where one begins or ends.
    """
    known = [s for s in series if s]
    steps = sorted(set.intersection(*(set(s) for s in known))) if known else []
    if not steps:
        return None
    columns = [[s[step] for s in known] for step in steps]
    return Band(
        tuple(steps),
        tuple(statistics.fmean(column) for column in columns),
        tuple(min(column) for column in columns),
        tuple(max(column) for column in columns),
        len(known),
    )


def coarser(curve: Band, points: int) -> Band:
    """The curve in at most ``points`` points: means over equally many neighbouring RL steps each, the last maybe over fewer."""
    size = -(-len(curve.steps) // points)
    if size <= 1:
        return curve
    parts = [slice(start, start + size) for start in range(0, len(curve.steps), size)]
    middle = tuple(curve.steps[part][len(curve.steps[part]) // 2] for part in parts)
    mean, low, high = (tuple(statistics.fmean(side[p]) for p in parts) for side in (curve.mean, curve.low, curve.high))
    return Band(middle, mean, low, high, curve.seeds)


@dataclass(frozen=True)
class Decomposition:
    """What a gain in accuracy is made of; all shares of responses, or differences of them.

    Attributes:
        boxed: more responses put their answer into a box, at the base's accuracy among boxed ones.
        reasoning: more of the boxed answers are right, at the end's share of boxes.
        rest: what is right without a box; 0 where the score asks for one.
    """

    gain: float
    boxed: float
    reasoning: float
    rest: float


def decompose(
    boxed: tuple[float, float], right_given_boxed: tuple[float, float], accuracy: tuple[float, float]
) -> Decomposition:
    """Split a gain into boxing and accuracy given a box.

    gain = (boxed_end - boxed_base) * right_given_boxed_base + boxed_end * (right_given_boxed_end - right_given_boxed_base).

    Args:
        boxed: share of responses with a complete box, (base, end).
        right_given_boxed: accuracy among those, (base, end).
        accuracy: share of right responses, (base, end).
    """
    by_box = (boxed[1] - boxed[0]) * right_given_boxed[0]
    by_reasoning = boxed[1] * (right_given_boxed[1] - right_given_boxed[0])
    gain = accuracy[1] - accuracy[0]
    return Decomposition(gain, by_box, by_reasoning, gain - by_box - by_reasoning)
