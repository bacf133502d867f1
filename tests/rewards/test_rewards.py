"""Rewards made of verdicts."""

import pytest
import torch

from lit_rlvr.errors import UserError
from lit_rlvr.experience import Rollouts
from lit_rlvr.rewards.rewards import AnswerReward, FormatReward, RandomReward, Reward, WeightedReward
from lit_rlvr.rewards.verdict import Kind, Verdict

VERDICTS = (
    Verdict(Kind.RIGHT, "12"),
    Verdict(Kind.WRONG, "13"),
    Verdict(Kind.NO_ANSWER),
    Verdict(Kind.NO_ANSWER, ""),
    Verdict(Kind.UNPARSABLE, "?"),
    Verdict(Kind.TOO_COSTLY, "9!!"),
)


def rollouts(n: int) -> Rollouts:
    ones, flat = torch.ones(n, dtype=torch.int64), torch.zeros(n)
    return Rollouts(((1,),), ones * 0, ones * 0, ones, ones, flat, flat.bool(), ("",) * n)


def score(reward: Reward, seed: int = 0, verdicts: tuple[Verdict, ...] = VERDICTS) -> list[float]:
    rewards = reward(verdicts, rollouts(len(verdicts)), seed)
    assert rewards.dtype == torch.float32
    assert rewards.shape == (len(verdicts),)
    return rewards.tolist()


def test_answer_and_format() -> None:
    assert score(AnswerReward()) == [1, 0, 0, 0, 0, 0]
    assert score(FormatReward()) == [1, 1, 0, 0, 1, 1]


def test_random_depends_on_the_seed_only() -> None:
    many = VERDICTS * 500
    drawn = score(RandomReward(0.3), 5, many)
    assert drawn == score(RandomReward(0.3), 5, many[::-1])
    assert drawn != score(RandomReward(0.3), 6, many)
    assert set(drawn) == {0.0, 1.0}
    assert abs(sum(drawn) / len(drawn) - 0.3) < 0.05  # 3,000 draws: five standard errors are 0.04
    assert set(score(RandomReward(0.0), 1, many)) == {0.0}
    assert set(score(RandomReward(1.0), 1, many)) == {1.0}


def test_weighted() -> None:
    assert score(WeightedReward([AnswerReward(), FormatReward()], [1.0, 0.5])) == [1.5, 0.5, 0, 0, 0.5, 0.5]


def test_mistakes_are_said() -> None:
    with pytest.raises(UserError, match="probability"):
        RandomReward(1.5)
    with pytest.raises(UserError, match="weights"):
        WeightedReward([AnswerReward()], [1.0, 2.0])


def test_no_responses() -> None:
    assert score(AnswerReward(), verdicts=()) == []
