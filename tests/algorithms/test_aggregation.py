"""The weights by which tokens and micro-batches add up."""

from typing import get_args

import pytest
import torch

from lit_rlvr.algorithms.aggregation import Aggregation, Size, micro_batch_weight, token_weights


def test_token_mean_is_one_over_all_tokens_whatever_the_cut() -> None:
    weights = {micro_batch_weight("token-mean", Size(tokens, 3), Size(120, 12), 50) for tokens in (1, 40, 79)}
    assert weights == {1 / 120}


def test_paper_is_the_mean_within_weighted_by_responses() -> None:
    # 2 of 8 responses with 50 tokens: their mean weighs 2/8.
    assert 50 * micro_batch_weight("paper", Size(50, 2), Size(999, 8), 64) == pytest.approx(2 / 8)


def test_sequence_mean_is_the_mean_of_the_means() -> None:
    per_token, lengths = (
        torch.tensor([1.0, 5.0, 5.0, 5.0]),
        torch.tensor([1, 3]),
    )  # means 1 and 5, of 4 responses in all
    weights = token_weights("sequence-mean", lengths.repeat_interleave(lengths))
    assert weights is not None
    summed = (weights * per_token).sum() * micro_batch_weight("sequence-mean", Size(4, 2), Size(20, 4), 64)
    assert summed.item() == pytest.approx((1 + 5) / 4)


def test_constant_divides_by_the_limit_whatever_the_lengths() -> None:
    for tokens in (4, 40):
        assert micro_batch_weight("constant", Size(tokens, 2), Size(2 * tokens, 4), 64) == pytest.approx(1 / (4 * 64))
    assert token_weights("constant", torch.tensor([3, 3, 3])) is None


@pytest.mark.parametrize("aggregation", get_args(Aggregation))
def test_ranks_are_averaged_afterwards(aggregation: Aggregation) -> None:
    one = micro_batch_weight(aggregation, Size(10, 2), Size(100, 20), 64)
    assert micro_batch_weight(aggregation, Size(10, 2), Size(100, 20), 64, world_size=4) == pytest.approx(4 * one)


@pytest.mark.parametrize("aggregation", get_args(Aggregation))
def test_filler_weighs_nothing(aggregation: Aggregation) -> None:
    assert micro_batch_weight(aggregation, Size(0, 1), Size(100, 20), 64) == 0.0


def test_no_two_aggregations_are_the_same() -> None:
    sums = set()
    for aggregation in get_args(Aggregation):
        lengths = torch.tensor([1, 3])
        weights = token_weights(aggregation, lengths.repeat_interleave(lengths))
        per_token = torch.tensor([1.0, 5.0, 5.0, 7.0]) * (1 if weights is None else weights)
        sums.add(round(per_token.sum().item() * micro_batch_weight(aggregation, Size(4, 2), Size(20, 4), 64), 9))
    assert len(sums) == len(get_args(Aggregation))
