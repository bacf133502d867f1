"""Advantages from rewards: rewards of responses in, one number per response out. Pure functions.

From: `rewards/` (a 0/1 reward per response). To: `algorithms/losses.py`, through `Rollouts.spread`.
"""

from typing import Literal

import torch
from torch import Tensor

Baseline = Literal["mean", "leave-one-out"]
Scale = Literal["std", "none"]

STD_EPSILON = 1e-6
"""Added to the standard deviation, as the paper's code does. Groups without variance are zero before the division,
so this only bounds the division, it never makes an advantage out of rounding noise."""


def group_advantages(rewards: Tensor, groups: Tensor, baseline: Baseline = "mean", scale: Scale = "std") -> Tensor:
    """Reward relative to the group's mean, optionally over the group's standard deviation.

    ``mean`` with ``std`` is GRPO (Shao et al. 2024, arXiv 2402.03300, section 4.1.2), ``mean`` with ``none`` is Dr. GRPO's
    advantage (Liu et al. 2025, arXiv 2503.20783, section 3.2), ``leave-one-out`` with ``none`` is RLOO (Ahmadian et al.
    2024, arXiv 2402.14740, equation 8).

    Args:
        rewards: [N] one reward per response.
        groups: [N] int64, equal for responses of one group; any values.
        baseline: the group's mean, or the mean of the *other* members.
        scale: divide by the group's unbiased standard deviation, or not.

    Returns:
        [N] float32. A group whose rewards are all equal gets exactly 0; so does a group of one.
    """
    _, index = groups.unique(return_inverse=True)
    index = index.to(rewards.device)
    reward = rewards.double()  # a mean of 1,024 ones must be exactly 1, or saturated groups would have an advantage
    count = torch.zeros(int(index.max()) + 1, dtype=reward.dtype, device=reward.device).index_add(
        0, index, torch.ones_like(reward)
    )
    mean = torch.zeros_like(count).index_add(0, index, reward) / count
    centred = reward - mean[index]
    square = torch.zeros_like(count).index_add(0, index, centred.square())
    advantages = centred
    if baseline == "leave-one-out":  # r - mean of others = (r - mean) * n / (n - 1)
        advantages = advantages * (count / (count - 1).clamp(min=1))[index]
    if scale == "std":
        std = (square / (count - 1).clamp(min=1)).sqrt()
        advantages = advantages / (std[index] + STD_EPSILON)
    return torch.where(constant_groups(rewards, groups), 0.0, advantages).float()


def constant_groups(rewards: Tensor, groups: Tensor) -> Tensor:
    """[N] bool: does the response belong to a group whose rewards are all equal (no policy gradient comes from it)?"""
    _, index = groups.unique(return_inverse=True)
    index = index.to(rewards.device)
    size = int(index.max()) + 1
    reward = rewards.double()
    high = reward.new_full((size,), -torch.inf).scatter_reduce(0, index, reward, "amax")
    low = reward.new_full((size,), torch.inf).scatter_reduce(0, index, reward, "amin")
    return (high == low)[index]
