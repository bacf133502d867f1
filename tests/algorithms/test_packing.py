"""Cutting and laying out: nothing lost, nothing doubled, every selected position predicts its target."""

import pytest
import torch

from lit_rlvr.algorithms.packing import MIN_SHARED, lay_out, micro_batches, mini_batches
from tests.builders import rollouts_of


@pytest.mark.parametrize(("responses", "updates"), [(8, 1), (8, 3), (7, 7), (64, 8)])
def test_mini_batches_are_a_partition(responses: int, updates: int) -> None:
    parts = mini_batches(responses, updates)
    assert [i for part in parts for i in part] == list(range(responses))
    assert len(parts) == updates
    assert max(map(len, parts)) - min(map(len, parts)) <= 1


@pytest.mark.parametrize("budget", [1, 20, 60, 10_000])
@pytest.mark.parametrize("share", [True, False])
@pytest.mark.parametrize("prompts", [[(1, 2, 3)] * 4, [(1, 2, 3), (4, 5), (1, 2, 3), (6,)]])
def test_micro_batches_are_a_partition_within_budget(budget: int, share: bool, prompts: list[tuple[int, ...]]) -> None:
    rollouts = rollouts_of(prompts, [[5] * n for n in (1, 9, 4, 4, 7, 2, 3, 8)], n=2)
    chosen = [0, 2, 3, 4, 5, 6, 7]
    batches = micro_batches(rollouts, chosen, budget, share)
    assert sorted(i for batch in batches for i in batch) == chosen
    for batch in batches:
        laid = lay_out(rollouts, batch, share)
        assert laid.ids.numel() <= budget or len(batch) == 1


def test_nothing_is_padded_and_neighbours_are_of_similar_length() -> None:
    rollouts = rollouts_of([(1, 2, 3)], [[5] * n for n in (1, 16) * 8], n=16)
    batches = micro_batches(rollouts, list(range(16)), 8 * 16 + 3)
    rows = [lay_out(rollouts, batch) for batch in batches]
    # The prompt once in each, and of every response all but its last token.
    assert sum(row.ids.numel() for row in rows) == 3 * len(batches) + int(rollouts.lengths.sum()) - 16
    assert [set(row.lengths) for row in rows] == [{15}, {0}]


def test_shared_prompt_layout() -> None:
    rollouts = rollouts_of([(7, 8, 9)], [[1, 2, 3], [4], [5, 6]], n=3)
    batch = lay_out(rollouts, [0, 1, 2])
    assert batch.prefix == 3
    assert batch.ids.tolist() == [7, 8, 9, 1, 2, 5]
    assert batch.lengths == (2, 0, 1)
    assert batch.select.tolist() == [2, 3, 4, 2, 2, 5]  # the 9 predicts the first token of each
    assert batch.targets.tolist() == [1, 2, 3, 4, 5, 6]
    assert batch.responses == 3


def test_layout_of_different_prompts() -> None:
    rollouts = rollouts_of([(7, 8), (9,)], [[1, 2], [3]], n=1)
    batch = lay_out(rollouts, [1, 0])
    assert batch.prefix == 0
    assert batch.ids.tolist() == [9, 7, 8, 1]
    assert batch.lengths == (1, 3)
    assert batch.select.tolist() == [0, 2, 3]
    assert batch.targets.tolist() == [3, 1, 2]
    assert batch.tokens.tolist() == [2, 0, 1]


def test_many_responses_to_each_of_two_prompts_share_them() -> None:
    n = MIN_SHARED
    rollouts = rollouts_of([(1, 2, 3), (4, 5, 6)], [[5, 5]] * (2 * n), n=n)
    batches = micro_batches(rollouts, list(range(2 * n)), 10_000)
    assert len(batches) == 2
    assert all(lay_out(rollouts, batch).prefix == 3 for batch in batches)


def test_one_token_responses_to_a_one_token_prompt() -> None:
    rollouts = rollouts_of([(7,)], [[1], [3]], n=2)
    batch = lay_out(rollouts, [0, 1])
    assert (batch.ids.tolist(), batch.lengths, batch.select.tolist()) == ([7], (0, 0), [0, 0])
    assert torch.equal(batch.targets, torch.tensor([1, 3]))
