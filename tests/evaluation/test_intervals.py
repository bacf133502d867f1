"""Bootstrap intervals against plain resampling and the normal distribution."""

import random
from statistics import quantiles

import pytest
import torch

from lit_rlvr.evaluation.intervals import bootstrap_interval
from lit_rlvr.evaluation.metrics import standard_error


def test_against_resampling_problem_by_problem() -> None:
    rng = random.Random(0)
    correct = [rng.choice([0, 0, 1, 3, 8]) for _ in range(40)]
    means = [sum(rng.choices(correct, k=40)) / 320 for _ in range(20_000)]
    cuts = quantiles(means, n=40)
    low, high = bootstrap_interval(torch.tensor(correct), torch.full((40,), 8), resamples=20_000)
    assert (low, high) == (pytest.approx(cuts[0], abs=0.006), pytest.approx(cuts[-1], abs=0.006))


def test_near_two_standard_errors_where_there_are_many_problems() -> None:
    correct, sampled = torch.tensor([1] * 300 + [0] * 200), torch.ones(500, dtype=torch.int64)
    low, high = bootstrap_interval(correct, sampled)
    error = standard_error(correct, sampled)
    assert (0.6 - low) / error == pytest.approx(1.96, abs=0.2)
    assert (high - 0.6) / error == pytest.approx(1.96, abs=0.2)


def test_the_same_counts_have_the_same_interval_in_any_order() -> None:
    correct, sampled = torch.tensor([3, 0, 8, 1, 8]), torch.full((5,), 8)
    assert bootstrap_interval(correct, sampled) == bootstrap_interval(correct.flip(0), sampled)
    assert bootstrap_interval(correct, sampled, seed=1) != bootstrap_interval(correct, sampled, seed=2)
    narrow, wide = bootstrap_interval(correct, sampled, level=0.5), bootstrap_interval(correct, sampled)
    assert wide[0] < narrow[0] < narrow[1] < wide[1]


def test_problems_of_other_ranks_are_left_out() -> None:
    correct, sampled = torch.tensor([1, 0, 1, 0, 1]), torch.ones(5, dtype=torch.int64)
    padded = torch.cat([correct, torch.zeros(7, dtype=torch.int64)]), torch.cat([sampled, torch.zeros(7)])
    assert bootstrap_interval(*padded) == bootstrap_interval(correct, sampled)


def test_too_little_to_tell() -> None:
    assert bootstrap_interval(torch.tensor([1]), torch.tensor([1])) == (0, 1)
    assert bootstrap_interval(torch.tensor([]), torch.tensor([])) == (0, 1)
    assert bootstrap_interval(torch.tensor([0, 0, 0]), torch.tensor([1, 1, 1])) == (0, 0)
