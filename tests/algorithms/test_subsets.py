"""Sums over a random share are, in expectation, the sums over all."""

import pytest
import torch

from lit_rlvr.algorithms.subsets import kept_weights, without_advantage

DROPPABLE = torch.tensor([False, True, True, False, True, True, True])


@pytest.mark.parametrize(("share", "drawn"), [(0.5, 3), (0.2, 1), (0.01, 1), (0.8, 4)])
def test_as_many_as_asked_for_at_their_weight(share: float, drawn: int) -> None:
    weights = kept_weights(DROPPABLE, share, seed=1)
    assert weights[~DROPPABLE].tolist() == [1, 1]
    assert sorted(weights[DROPPABLE].tolist()) == pytest.approx([0.0] * (5 - drawn) + [5 / drawn] * drawn)


def test_a_sum_is_unbiased_over_all_draws() -> None:
    values = torch.tensor([3.0, -1.0, 4.0, 1.0, 5.0, 9.0, 2.0])
    draws = {tuple(kept_weights(DROPPABLE, 0.4, seed).tolist()) for seed in range(400)}
    assert len(draws) == 10  # 2 of 5
    sums = [(torch.tensor(weights) * values).sum().item() for weights in draws]
    assert sum(sums) / 10 == pytest.approx(values.sum().item())


def test_the_whole_share_and_nothing_to_drop_leave_all_in() -> None:
    assert kept_weights(DROPPABLE, 1.0, 0).tolist() == [1] * 7
    assert kept_weights(torch.zeros(3, dtype=torch.bool), 0.1, 0).tolist() == [1, 1, 1]


def test_the_same_seed_draws_the_same() -> None:
    many = torch.ones(50, dtype=torch.bool)
    assert torch.equal(kept_weights(many, 0.3, 7), kept_weights(many, 0.3, 7))
    assert not torch.equal(kept_weights(many, 0.3, 7), kept_weights(many, 0.3, 8))


def test_responses_without_advantage() -> None:
    advantages = torch.tensor([0.0, 0.0, 0.0, -1.0, 0.5, 0.0])
    assert without_advantage(advantages, torch.tensor([2, 2, 1, 1])).tolist() == [True, False, False, True]
