"""The order in which responses are taken, and what becomes of those that come back."""

import torch

from lit_rlvr.rollout.waiting import Batch, Decoded, Waiting


def everything(prompts: list[tuple[int, ...]], drawn: int, rows: int) -> int:
    return rows


def test_longest_prompts_first_and_equal_ones_together() -> None:
    waiting = Waiting([(1,), (2, 3), (1,)], n=2)
    assert waiting.take(5, everything) == Batch([(2, 3), (1,)], [[2, 3], [0, 1, 4]])
    assert waiting.take(5, everything) == Batch([(1,)], [[5]])
    assert not waiting


def test_what_does_not_fit_waits() -> None:
    waiting = Waiting([(1,), (2, 3)], n=2)
    asked: list[object] = []

    def fitting(prompts: list[tuple[int, ...]], drawn: int, rows: int) -> int:
        asked.append((prompts, drawn, rows))
        return 1

    assert waiting.take(3, fitting) == Batch([(2, 3)], [[2]])
    assert asked == [([(2, 3), (1,)], 0, 3)]


def test_what_made_room_goes_on_from_where_it_was() -> None:
    waiting = Waiting([(1, 2)], n=3)
    batch = waiting.take(3, everything)
    waiting.receive(
        batch,
        Decoded(
            tokens=torch.tensor([7, 8, 9, 8, 9]),
            logprobs=torch.tensor([-0.7, -0.8, -0.9, -0.8, -0.9]),
            lengths=torch.tensor([1, 2, 2]),
            stopped=torch.tensor([True, False, False]),
            waiting=torch.tensor([False, True, True]),
            exhausted=False,
        ),
    )
    assert waiting.finished == 1
    # Both have drawn the same, so they share what is now their prompt.
    batch = waiting.take(3, everything)
    assert batch == Batch([(1, 2, 8, 9)], [[1, 2]], drawn=2)
    waiting.receive(
        batch,
        Decoded(
            tokens=torch.tensor([4, 5]),
            logprobs=torch.tensor([-0.4, -0.5]),
            lengths=torch.tensor([1, 1]),
            stopped=torch.tensor([True, False]),
            waiting=torch.tensor([False, False]),
            exhausted=False,
        ),
    )
    assert not waiting
    assert waiting.finished == 3
    assert [drawn.tolist() for drawn in waiting.tokens] == [[7], [8, 9, 4], [8, 9, 5]]
    torch.testing.assert_close(waiting.logprobs[2], torch.tensor([-0.8, -0.9, -0.5]))
    assert waiting.stopped.tolist() == [True, True, False]
