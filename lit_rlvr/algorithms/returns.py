"""Rewards, advantages and returns per token: for algorithms that look along a response instead of across a group.

From: rewards per response, the critic's values. To: `algorithms/ppo.py`, `algorithms/reinforce.py`. Pure functions on flat
ragged tensors: the tokens of response 0, then of response 1, and so on.
"""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

Reduce = Callable[[list[float]], list[float]]
"""Element-wise sum over the processes of a run."""

WHITEN_EPSILON = 1e-8
"""Added to the standard deviation: values that are all equal become 0 instead of a division by 0."""


def token_rewards(rewards: Tensor, lengths: Tensor, penalties: Tensor | None = None) -> Tensor:
    """The reward of a response at its last token, and a penalty at each token (Ouyang et al. 2022, arXiv 2203.02155, eq. 2).

    Args:
        rewards: [N] one per response.
        lengths: [N] int64, tokens per response, each at least 1.
        penalties: [T] what each token costs (a KL coefficient times a KL estimate), or None.

    Returns:
        [T] float32.
    """
    tokens = torch.zeros(int(lengths.sum())) if penalties is None else -penalties.float()
    last = lengths.cumsum(0) - 1
    return tokens.index_add(0, last, rewards.float())


def generalized_advantages(
    rewards: Tensor, values: Tensor, lengths: Tensor, gamma: float = 1.0, lam: float = 1.0
) -> Tensor:
    """GAE(gamma, lambda) along each response (Schulman et al. 2015, arXiv 1506.02438, equation 16).

    A response ends its episode, also where it was cut at the token limit: nothing is expected after it. With values of 0
    and lambda 1 the advantage is the discounted reward still to come.

    Args:
        rewards: [T] per token.
        values: [T] expected reward from before each token on.
        lengths: [N] int64, tokens per response.
        gamma: discount per token.
        lam: 0 trusts the next value, 1 the rewards alone.

    Returns:
        [T] float32; added to the values they are the returns that a critic learns.
    """
    sizes = lengths.tolist()
    reward, value = (pad_sequence(list(x.double().split(sizes)), batch_first=True) for x in (rewards, values))
    # Padding stands behind the end and is 0, so nothing flows back from it.
    following = torch.cat([value[:, 1:], torch.zeros_like(value[:, :1])], dim=1)
    advantages = reward + gamma * following - value
    for t in range(advantages.shape[1] - 2, -1, -1):
        advantages[:, t] += gamma * lam * advantages[:, t + 1]
    return torch.cat([row[:size] for row, size in zip(advantages, sizes, strict=True)]).float()


def whiten(values: Tensor, reduce: Reduce = lambda sums: sums) -> Tensor:
    """Values shifted and scaled to mean 0 and (unbiased) standard deviation 1, over all processes.

    Args:
        values: [T] of this process.
        reduce: sums over processes.

    Returns:
        [T] float32; 0 where all values are equal.
    """
    exact = values.double()
    count, total = reduce([float(len(exact)), float(exact.sum())])
    centred = exact - total / count
    (square,) = reduce([float(centred.square().sum())])
    deviation = (square / max(count - 1, 1)) ** 0.5
    return (centred / (deviation + WHITEN_EPSILON)).float()
