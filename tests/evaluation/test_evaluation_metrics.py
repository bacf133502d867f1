"""Metrics against hand-made arrays, brute force, and a split over ranks."""

import math
from itertools import combinations
from statistics import mean, stdev

import pytest
import torch

from lit_rlvr.errors import UserError
from lit_rlvr.evaluation.metrics import (
    KINDS,
    PerProblemAccuracy,
    ResponseStatistics,
    avg_at_k,
    by_group,
    pass_at_k,
    standard_error,
)
from lit_rlvr.rewards.verdict import Kind, Verdict

CORRECT = torch.tensor([0, 4, 1, 3, 0])
SAMPLED = torch.tensor([4, 4, 4, 4, 0])


def test_accuracy_is_the_mean_over_problems() -> None:
    assert avg_at_k(CORRECT, SAMPLED) == pytest.approx((0 + 1 + 0.25 + 0.75) / 4)
    assert avg_at_k(torch.tensor([1, 0]), torch.tensor([1, 3])) == pytest.approx(
        0.5
    )  # not 1/4: problems weigh the same
    assert avg_at_k(torch.tensor([0]), torch.tensor([0])) == 0


def test_the_standard_error_is_over_problems() -> None:
    assert standard_error(CORRECT, SAMPLED) == pytest.approx(stdev([0, 1, 0.25, 0.75]) / 2)
    greedy = torch.tensor([1] * 30 + [0] * 70)
    assert standard_error(greedy, torch.ones(100)) == pytest.approx(math.sqrt(0.3 * 0.7 / 99))
    assert standard_error(torch.tensor([1]), torch.tensor([1])) == 0.5


@pytest.mark.parametrize("k", [1, 2, 3, 4, 5, 6])
@pytest.mark.parametrize("right", range(7))
def test_pass_at_k_against_all_choices(right: int, k: int) -> None:
    responses = [True] * right + [False] * (6 - right)
    expected = mean(float(any(choice)) for choice in combinations(responses, k))
    assert pass_at_k(torch.tensor([right]), torch.tensor([6]), k) == pytest.approx(expected, abs=1e-12)


def test_pass_at_k_over_problems() -> None:
    assert pass_at_k(CORRECT, SAMPLED, 1) == pytest.approx(avg_at_k(CORRECT, SAMPLED))
    assert pass_at_k(CORRECT, SAMPLED, 4) == pytest.approx(3 / 4)
    assert pass_at_k(torch.tensor([5]), torch.tensor([10_000]), 5_000) == pytest.approx(1 - 0.5**5, abs=1e-3)
    with pytest.raises(UserError, match="pass@8 needs at least 8 samples per problem, and there are 4"):
        pass_at_k(CORRECT, SAMPLED, 8)


def test_groups() -> None:
    groups = by_group(CORRECT, SAMPLED, ["b", "a", "b", "a", "c"])
    assert groups == {"a": (2, pytest.approx(0.875)), "b": (2, pytest.approx(0.125))}
    assert list(groups) == ["a", "b"]


def test_the_accuracy_metric_does_not_mind_the_order_or_the_batches() -> None:
    problems = torch.tensor([0, 0, 1, 1, 2, 2, 0, 1, 2])
    right = torch.tensor([1, 0, 1, 1, 0, 0, 0, 1, 1], dtype=torch.bool)
    metric = PerProblemAccuracy(3, k=2)
    for part in (torch.tensor([8, 0, 3]), torch.tensor([1, 2, 4, 5, 6, 7])):
        metric.update(problems[part], right[part])
    assert metric.correct.tolist() == [1, 3, 1]
    assert metric.sampled.tolist() == [3, 3, 3]
    values = metric.compute()
    assert values["accuracy"].item() == pytest.approx((1 / 3 + 1 + 1 / 3) / 3)
    assert values["stderr"].item() == pytest.approx(stdev([1 / 3, 1, 1 / 3]) / math.sqrt(3))
    assert values["pass@2"].item() == pytest.approx((2 / 3 + 1 + 2 / 3) / 3)


def test_adding_up_the_states_of_ranks_counts_each_problem_once() -> None:
    """Seven problems on two ranks: uneven, the case in which padded samplers count one twice."""
    right = torch.tensor([1, 0, 0, 1, 1, 1, 0], dtype=torch.bool)
    ranks = []
    for rank in range(2):
        mine = torch.arange(rank, 7, 2)
        metric = PerProblemAccuracy(7)
        metric.update(mine, right[mine])
        ranks.append(metric)
    assert all(reduction is ranks[0]._reductions["correct"] for reduction in ranks[0]._reductions.values())
    correct, sampled = (
        ranks[0]._reductions[name](torch.stack([getattr(metric, name) for metric in ranks]))
        for name in ("correct", "sampled")
    )
    assert sampled.tolist() == [1] * 7
    assert avg_at_k(correct, sampled) == pytest.approx(4 / 7)


def test_statistics_of_responses() -> None:
    metric = ResponseStatistics()
    verdicts = [Verdict(Kind.RIGHT, "1"), Verdict(Kind.NO_ANSWER), Verdict(Kind.WRONG, "2"), Verdict(Kind.WRONG, "3")]
    boxed, stopped = torch.tensor([True, False, True, True]), torch.tensor([True, False, True, False])
    metric.update(verdicts[:1], boxed[:1], stopped[:1], torch.tensor([5]))
    metric.update(verdicts[1:], boxed[1:], stopped[1:], torch.tensor([7, 8, 20]))
    assert {name: value.item() for name, value in metric.compute().items()} == {
        "boxed": 0.75,
        "truncated": 0.5,
        "length": 10.0,
    }
    counts = dict(zip(KINDS, metric.kinds.tolist(), strict=True))
    assert counts == {**dict.fromkeys(Kind, 0), Kind.RIGHT: 1, Kind.NO_ANSWER: 1, Kind.WRONG: 2}
