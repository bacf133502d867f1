"""What is named as no number, where, and how many."""

import math

import pytest
import torch

from lit_rlvr.experience import Experience
from lit_rlvr.rewards.verdict import Kind, Verdict
from lit_rlvr.training.finite import EXPERIENCE, experience_tensors, find, finite_experience
from tests.builders import rollouts_of


def test_the_first_and_the_number_of_them() -> None:
    found = find("x", torch.tensor([[0.0, 1.0], [-math.inf, math.nan]]))
    assert (found.count, found.bad, found.first, found.value) == (4, 2, 2, -math.inf)
    assert str(found) == "2 of 4 not finite, the first -inf at 2"
    assert str(find("x", torch.zeros(1500))) == "finite, all 1,500"
    assert find("whole numbers", torch.tensor([3])).bad == find("none", torch.empty(0)).bad == 0


@pytest.mark.parametrize("name", EXPERIENCE)
@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_every_part_of_an_experience_counts(name: str, value: float) -> None:
    def full(length: int) -> torch.Tensor:
        return torch.zeros(length)

    rollouts = rollouts_of([(1, 2)], [[3, 4], [5]], n=2)
    verdicts = (Verdict(Kind.WRONG),) * 2
    experience = Experience(rollouts, verdicts, full(2), full(3), full(3), full(3), None, full(3), full(3))
    assert finite_experience(experience)
    assert list(experience_tensors(experience)) == list(EXPERIENCE)
    experience_tensors(experience)[name][1] = value
    assert not finite_experience(experience)
