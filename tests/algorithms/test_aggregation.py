"""The weights by which micro-batches add up."""

import pytest

from lit_rlvr.algorithms.aggregation import micro_batch_weight


def test_token_mean_is_one_over_all_tokens_whatever_the_cut() -> None:
    weights = {micro_batch_weight("token-mean", tokens, 3, 120, 12) for tokens in (1, 40, 79)}
    assert weights == {1 / 120}


def test_paper_is_the_mean_within_weighted_by_responses() -> None:
    # 2 of 8 responses with 50 tokens: their mean weighs 2/8.
    assert 50 * micro_batch_weight("paper", 50, 2, 999, 8) == pytest.approx(2 / 8)


@pytest.mark.parametrize("aggregation", ["token-mean", "paper"])
def test_ranks_are_averaged_afterwards(aggregation: str) -> None:
    one = micro_batch_weight(aggregation, 10, 2, 100, 20)  # type: ignore[arg-type]
    assert micro_batch_weight(aggregation, 10, 2, 100, 20, world_size=4) == pytest.approx(4 * one)  # type: ignore[arg-type]


def test_filler_weighs_nothing() -> None:
    assert micro_batch_weight("token-mean", 0, 1, 100, 20) == 0.0
    assert micro_batch_weight("paper", 0, 1, 100, 20) == 0.0
