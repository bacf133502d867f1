"""Bootstrap intervals of an accuracy over problems. Beside the metrics, below the results."""

import numpy as np
from torch import Tensor

from lit_rlvr.evaluation.metrics import shares

RESAMPLES = 2000
"""Enough for the ends of a 95% interval to settle within a tenth of the standard error."""


def bootstrap_interval(
    correct: Tensor, sampled: Tensor, level: float = 0.95, resamples: int = RESAMPLES, seed: int = 0
) -> tuple[float, float]:
    """Percentile interval of :func:`lit_rlvr.evaluation.metrics.avg_at_k`, problems being what is drawn again.

    Efron & Tibshirani, An Introduction to the Bootstrap (1993), section 13.3. The problems' shares take few different
    values (k + 1 at most), so that drawing P problems with replacement is one multinomial draw over those values.

    Args:
        correct: [P], right responses per problem.
        sampled: [P], responses per problem; problems without any are left out.
        level: share of resamples that lies inside.
        resamples: how many.
        seed: of the draws: the same counts always have the same interval.

    Returns:
        Lower and upper end. With fewer than two problems nothing can be said, and it is 0 to 1; where all problems came
        out alike it is that one point, for the bootstrap knows nothing of what it was not shown.
    """
    values, counts = np.unique(shares(correct, sampled).numpy(), return_counts=True)
    problems = int(counts.sum())
    if problems < 2:
        return 0.0, 1.0
    drawn = np.random.default_rng(seed).multinomial(problems, counts / problems, size=resamples)
    tail = 100 * (1 - level) / 2
    low, high = np.percentile(drawn @ values / problems, [tail, 100 - tail])
    return float(low), float(high)
