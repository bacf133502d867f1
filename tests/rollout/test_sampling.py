"""Distributions and draws against values worked out by hand."""

from fractions import Fraction
from itertools import accumulate

import pytest
import torch

from lit_rlvr.rollout.engine import Sampling
from lit_rlvr.rollout.sampling import draw, probabilities

LOGITS = torch.tensor([[0.1, 0.4, 0.2, 0.3]]).log()


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({}, [0.1, 0.4, 0.2, 0.3]),
        ({"temperature": 0.5}, [0.01 / 0.3, 0.16 / 0.3, 0.04 / 0.3, 0.09 / 0.3]),
        ({"temperature": 0.0, "top_k": 2}, [0.1, 0.4, 0.2, 0.3]),
        ({"top_k": 2}, [0.0, 4 / 7, 0.0, 3 / 7]),
        ({"top_k": 9}, [0.1, 0.4, 0.2, 0.3]),
        ({"top_p": 0.39}, [0.0, 1.0, 0.0, 0.0]),
        ({"top_p": 0.69}, [0.0, 4 / 7, 0.0, 3 / 7]),
        ({"top_p": 0.71}, [0.0, 4 / 9, 2 / 9, 3 / 9]),
        # Of the two kept by top-k, 4/7 is already more than half.
        ({"top_k": 2, "top_p": 0.5}, [0.0, 1.0, 0.0, 0.0]),
        # Temperature comes before the nucleus: 16/30 is already more than half, 0.4 is not.
        ({"temperature": 0.5, "top_p": 0.5}, [0.0, 1.0, 0.0, 0.0]),
    ],
    ids=str,
)
def test_distribution(settings: dict[str, float], expected: list[float]) -> None:
    probs = probabilities(LOGITS, Sampling(**settings))  # type: ignore[arg-type]
    torch.testing.assert_close(probs, torch.tensor([expected]))
    assert [value == 0 for value in probs[0].tolist()] == [value == 0 for value in expected]


def test_equal_logits_at_the_edge_of_the_nucleus_are_cut_by_rank() -> None:
    probs = probabilities(torch.zeros(1, 4), Sampling(top_p=0.5))
    torch.testing.assert_close(probs, torch.tensor([[0.5, 0.5, 0.0, 0.0]]))


def test_inverse_cumulative_distribution() -> None:
    probs = torch.tensor([[0.25, 0.0, 0.5, 0.25]]).expand(6, 4)
    uniforms = torch.tensor([0.0, 0.2499, 0.25, 0.7499, 0.75, 0.9999], dtype=torch.float64)
    tokens, chosen = draw(probs, uniforms)
    assert tokens.tolist() == [0, 0, 2, 2, 3, 3]
    assert chosen.tolist() == [0.25, 0.25, 0.5, 0.5, 0.25, 0.25]


def test_impossible_tokens_are_never_drawn_at_either_end() -> None:
    highest = torch.nextafter(torch.ones(1, dtype=torch.float64), torch.zeros(1, dtype=torch.float64))
    # Sums that are not exactly 1, as softmax leaves them, with nothing at the first and last places.
    for scale in (1.0, 0.9999999, 1.0000001, 0.3):
        probs = torch.tensor([[0.0, 0.3, 0.7, 0.0, 0.0]]) * scale
        assert draw(probs, torch.zeros(1, dtype=torch.float64))[0].tolist() == [1]
        assert draw(probs, highest)[0].tolist() == [2]


def test_greedy_takes_the_mode() -> None:
    tokens, chosen = draw(torch.tensor([[0.2, 0.5, 0.3], [0.4, 0.2, 0.4]]), None)
    assert tokens.tolist() == [1, 0]
    torch.testing.assert_close(chosen, torch.tensor([0.5, 0.4]))


def test_draws_are_those_of_an_exact_sum() -> None:
    """Fractions have no rounding: the first token whose exact cumulative mass exceeds u times the exact total."""
    generator = torch.Generator().manual_seed(0)
    probs = (4 * torch.randn(40, 700, generator=generator)).softmax(-1)
    uniforms = torch.rand(40, dtype=torch.float64, generator=generator)
    tokens, _ = draw(probs, uniforms)
    for row, uniform, token in zip(probs.tolist(), uniforms.tolist(), tokens.tolist(), strict=True):
        sums = list(accumulate(map(Fraction, row)))
        assert token == next(i for i, mass in enumerate(sums) if mass > Fraction(uniform) * sums[-1])


def test_what_is_no_number_is_told_by_its_probability() -> None:
    probs = probabilities(
        torch.tensor([[0.0, float("nan"), 1.0], [0.0, 1.0, float("inf")], [0.0, 1.0, 2.0]]), Sampling()
    )
    tokens, chosen = draw(probs, torch.full((3,), 0.5, dtype=torch.float64))
    assert chosen.isnan().tolist() == [True, True, False]
    assert 0 <= tokens.min() <= tokens.max() < 3
