"""Scores of problems: how each went, pass by pass -> one number for each, of which the highest is to come first.

Pure, without torch. The ranking follows in `ranking.py`.
"""

import math
import random
from collections.abc import Iterable, Mapping, Sequence

Curves = Mapping[str, Sequence[float]]
"""Problem id -> its accuracy in [0, 1] each time it was trained on, in order. The lists may differ in length."""


def variance(curves: Curves) -> dict[str, float]:
    """Historical variance: the population variance of each list, whatever its length (arXiv 2504.20571, section 2).

    A problem is high where training went from failing to solving it, and 0 where it was solved never or always.
    """
    scores = {}
    for problem, accuracies in curves.items():
        mean = math.fsum(accuracies) / len(accuracies)
        scores[problem] = math.fsum((value - mean) ** 2 for value in accuracies) / len(accuracies)
    return scores


def learning_impact(curves: Curves) -> dict[str, float]:
    """LIMR's learning impact measurement: how closely a problem followed the mean curve (arXiv 2502.11886).

    s_i = 1 - sum_k (r_i^k - a^k)^2 / sum_k (1 - a^k)^2, with r_i^k the accuracy of problem i in epoch k and a^k the mean
    of r^k over problems: 1 for a problem that is the mean curve, 0 for one that is as far from it as a problem solved in
    every epoch.

    Where lists differ in length, a^k is the mean over the problems that have an epoch k, and the sums of problem i run
    over the epochs that it has. (The released code drops problems that lack an epoch.) Where a^k is 1 in all of them,
    the fraction is 0 / 0: the problem was solved always like all others, so it is the mean curve and scores 1.
    """
    columns: list[list[float]] = [[] for _ in range(max(map(len, curves.values()), default=0))]
    for accuracies in curves.values():
        for epoch, value in enumerate(accuracies):
            columns[epoch].append(value)
    mean = [math.fsum(column) / len(column) for column in columns]
    scores = {}
    for problem, accuracies in curves.items():
        epochs = list(zip(accuracies, mean, strict=False))
        away = math.fsum((value - average) ** 2 for value, average in epochs)
        most = math.fsum((1 - average) ** 2 for _, average in epochs)
        scores[problem] = 1 - away / most if most else 1.0
    return scores


def random_draws(problems: Iterable[str], seed: int) -> dict[str, float]:
    """A number in [0, 1) for each problem, drawn from the seed and its id alone: neither order nor the others matter."""
    return {problem: random.Random(f"select/{seed}/{problem}").random() for problem in problems}


def reward_variance(rates: Mapping[str, float]) -> dict[str, float]:
    """p (1 - p), the variance of a 0/1 reward that is 1 with probability p.

    It is 0 for a problem that is solved never or always, whose responses all have advantage 0, and at most 1/4.
    """
    return {problem: rate * (1 - rate) for problem, rate in rates.items()}
