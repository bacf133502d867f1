"""Rewards, advantages and whitening per token, against sums worked out by hand and against the written definition."""

import pytest
import torch

from lit_rlvr.algorithms.returns import generalized_advantages, token_rewards, whiten

LENGTHS = torch.tensor([3, 1, 2])


def test_the_reward_stands_at_the_last_token_and_penalties_everywhere() -> None:
    rewards = torch.tensor([1.0, 0.5, 0.0])
    assert token_rewards(rewards, LENGTHS).tolist() == [0, 0, 1, 0.5, 0, 0]
    penalties = torch.tensor([0.1, 0.2, 0.3, 0.4, -0.5, 0.6])
    expected = torch.tensor([-0.1, -0.2, 0.7, 0.1, 0.5, -0.6])
    torch.testing.assert_close(token_rewards(rewards, LENGTHS, penalties), expected)


def test_gae_by_hand() -> None:
    # One response of 3 tokens: rewards 0, 0, 1; values .5, .6, .8; gamma .9, lambda .5.
    #   delta_2 = 1 - .8 = .2;  delta_1 = .9*.8 - .6 = .12;  delta_0 = .9*.6 - .5 = .04
    #   A_2 = .2;  A_1 = .12 + .45*.2 = .21;  A_0 = .04 + .45*.21 = .1345
    advantages = generalized_advantages(
        torch.tensor([0.0, 0.0, 1.0]), torch.tensor([0.5, 0.6, 0.8]), torch.tensor([3]), 0.9, 0.5
    )
    torch.testing.assert_close(advantages, torch.tensor([0.1345, 0.21, 0.2]))


@pytest.mark.parametrize(("gamma", "lam"), [(1.0, 1.0), (0.99, 0.95), (0.5, 0.0)])
def test_gae_is_its_definition_and_responses_do_not_touch(gamma: float, lam: float) -> None:
    generator = torch.Generator().manual_seed(3)
    rewards, values = (torch.randn(6, generator=generator) for _ in range(2))
    expected = []
    for r, v in zip(rewards.split([3, 1, 2]), values.split([3, 1, 2]), strict=True):
        after = [*v.tolist()[1:], 0.0]  # nothing is expected after the end
        deltas = [r[t].item() + gamma * after[t] - v[t].item() for t in range(len(r))]
        expected += [sum((gamma * lam) ** (k - t) * deltas[k] for k in range(t, len(r))) for t in range(len(r))]
    torch.testing.assert_close(generalized_advantages(rewards, values, LENGTHS, gamma, lam), torch.tensor(expected))


def test_lambda_one_is_the_reward_to_come_less_the_value() -> None:
    rewards, values = torch.tensor([0.0, 0.0, 1.0, 1.0, 0.0, 0.0]), torch.tensor([0.5, 0.1, 0.2, 0.3, 0.9, 0.7])
    to_come = torch.tensor([1.0, 1.0, 1.0, 1.0, 0.0, 0.0])
    torch.testing.assert_close(generalized_advantages(rewards, values, LENGTHS), to_come - values)


def test_whitened_over_all_processes() -> None:
    whole = torch.tensor([1.0, 2.0, 4.0, 9.0])
    expected = (whole - 4.0) / whole.std()
    torch.testing.assert_close(whiten(whole), expected)
    # Two processes with half the values each: what they add up is what one with all of them has.
    exact = whole.double()
    sums = iter([[4.0, float(exact.sum())], [float((exact - exact.mean()).square().sum())]])
    torch.testing.assert_close(whiten(whole[:2], lambda _: next(sums)), expected[:2])


@pytest.mark.parametrize("values", [[0.3, 0.3, 0.3], [0.7]])
def test_equal_values_whiten_to_nothing(values: list[float]) -> None:
    assert whiten(torch.tensor(values)).abs().max() < 1e-6
