"""Rewards made of verdicts."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from jsonargparse import ArgumentParser

from lit_rlvr.errors import UserError
from lit_rlvr.experience import Rollouts
from lit_rlvr.rewards.rewards import (
    AnswerReward,
    FormatReward,
    OverlongPenalty,
    RandomReward,
    Reward,
    WeightedReward,
)
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
    assert score(FormatReward()) == [1, 1, 0, 0, 0, 0]
    assert score(FormatReward(), verdicts=(Verdict(Kind.CRASHED, "9"),)) == [0]


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
    assert score(WeightedReward([AnswerReward(), FormatReward()], [1.0, 0.5])) == [1.5, 0.5, 0, 0, 0, 0]


def test_mistakes_are_said() -> None:
    with pytest.raises(UserError, match="probability"):
        RandomReward(1.5)
    with pytest.raises(UserError, match="weights"):
        WeightedReward([AnswerReward()], [1.0, 2.0])
    for buffer in (0, 65):
        with pytest.raises(UserError, match=rf"buffer is {buffer} and max_tokens 64"):
            OverlongPenalty(64, buffer)


def test_no_responses() -> None:
    assert score(AnswerReward(), verdicts=()) == []


def test_overlong() -> None:
    """Eq. 13 of arXiv 2503.14476 with L_max 100 and L_cache 20, by hand."""
    lengths = torch.tensor([1, 80, 81, 90, 99, 100, 100, 130, 40])
    stopped = torch.tensor([True, True, True, True, True, True, False, True, False])
    expected = [0, 0, -0.05, -0.5, -0.95, -1, -1, -1, -1]
    responses = replace(rollouts(9), lengths=lengths, stopped=stopped)
    verdicts = (Verdict(Kind.RIGHT, "1"),) * 9
    assert OverlongPenalty(100, 20)(verdicts, responses, 0).tolist() == pytest.approx(expected)
    both = WeightedReward([AnswerReward(), OverlongPenalty(100, 20)], [1.0, 0.5])(verdicts, responses, 0)
    assert both.tolist() == pytest.approx([1 + penalty / 2 for penalty in expected])
    assert both.dtype == torch.float32
    whole = OverlongPenalty(4, 4)(
        verdicts[:4], replace(rollouts(4), lengths=torch.arange(1, 5), stopped=stopped[:4]), 0
    )
    assert whole.tolist() == [-0.25, -0.5, -0.75, -1]


@pytest.mark.parametrize(
    ("text", "kind", "settings"),
    [
        ("class_path: AnswerReward", AnswerReward, {}),
        ("class_path: FormatReward", FormatReward, {}),
        ("{class_path: RandomReward, init_args: {probability: 0.3}}", RandomReward, {"probability": 0.3}),
        (
            "{class_path: OverlongPenalty, init_args: {max_tokens: 64, buffer: 16}}",
            OverlongPenalty,
            {"max_tokens": 64, "buffer": 16},
        ),
    ],
)
def test_chosen_in_yaml_by_name(text: str, kind: type[Reward], settings: dict[str, Any]) -> None:
    reward = _from_yaml(text)
    assert type(reward) is kind
    assert vars(reward) == settings


def test_the_overlong_configuration(repository: Path) -> None:
    text = (repository / "configs" / "ablation" / "overlong.yaml").read_text("utf-8")
    reward = _from_yaml(yaml.safe_dump(yaml.safe_load(text)["model"]["reward"]))
    assert isinstance(reward, WeightedReward)
    assert [type(part) for part in reward.rewards] == [AnswerReward, OverlongPenalty]
    assert reward.weights == [1.0, 1.0]


def _from_yaml(text: str) -> Reward:
    parser = ArgumentParser(exit_on_error=False)
    parser.add_argument("--reward", type=Reward)
    reward = parser.instantiate_classes(parser.parse_string(yaml.safe_dump({"reward": yaml.safe_load(text)}))).reward
    assert isinstance(reward, Reward)
    return reward
