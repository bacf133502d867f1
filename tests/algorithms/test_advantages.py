"""Group-relative advantages against numbers worked out by hand."""

import math

import pytest
import torch

from lit_rlvr.algorithms.advantages import STD_EPSILON, constant_groups, group_advantages

REWARDS = torch.tensor([1.0, 0.0, 0.0, 0.0, 1.0, 1.0, 1.0, 1.0])
GROUPS = torch.tensor([0, 0, 0, 0, 5, 5, 5, 5])


def test_std_normalised_against_hand_values() -> None:
    # Group of (1, 0, 0, 0): mean 1/4, unbiased variance (9/16 + 3/16) / 3 = 1/4, so std 1/2.
    expected = torch.tensor([0.75, -0.25, -0.25, -0.25]) / (0.5 + STD_EPSILON)
    advantages = group_advantages(REWARDS, GROUPS)
    torch.testing.assert_close(advantages[:4], expected)
    assert advantages[4:].tolist() == [0.0] * 4  # all equal: exactly zero


def test_without_std_is_the_centred_reward() -> None:
    advantages = group_advantages(REWARDS, GROUPS, scale="none")
    assert advantages[:4].tolist() == [0.75, -0.25, -0.25, -0.25]


def test_leave_one_out_subtracts_the_mean_of_the_others() -> None:
    advantages = group_advantages(REWARDS, GROUPS, baseline="leave-one-out", scale="none")
    for i in range(4):
        others = [REWARDS[j].item() for j in range(4) if j != i]
        assert advantages[i].item() == pytest.approx(REWARDS[i].item() - sum(others) / 3)


def test_groups_do_not_depend_on_order() -> None:
    generator = torch.Generator().manual_seed(3)
    rewards = torch.rand(12, generator=generator)
    groups = torch.tensor([7, 2, 9] * 4)
    order = torch.randperm(12, generator=generator)
    torch.testing.assert_close(
        group_advantages(rewards, groups)[order], group_advantages(rewards[order], groups[order])
    )


@pytest.mark.parametrize("size", [3, 7, 8, 1023])
@pytest.mark.parametrize("value", [0.0, 1.0, 0.1, 1 / 3])
def test_zero_variance_is_exactly_zero(size: int, value: float) -> None:
    rewards = torch.full((size,), value)
    groups = torch.zeros(size, dtype=torch.long)
    assert group_advantages(rewards, groups).abs().max() == 0
    assert constant_groups(rewards, groups).all()


def test_group_of_one_has_no_advantage() -> None:
    assert group_advantages(torch.tensor([1.0]), torch.tensor([0]), "leave-one-out", "none").item() == 0


def test_real_rewards_keep_zero_mean_and_unit_variance() -> None:
    rewards = torch.rand(64, generator=torch.Generator().manual_seed(0))
    advantages = group_advantages(rewards, torch.zeros(64, dtype=torch.long))
    assert abs(advantages.mean().item()) < 1e-6
    assert math.isclose(advantages.std().item(), 1.0, rel_tol=1e-4)


def test_constant_groups_marks_members_of_flat_groups_only() -> None:
    assert constant_groups(REWARDS, GROUPS).tolist() == [False] * 4 + [True] * 4
