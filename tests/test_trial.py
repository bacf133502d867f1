"""The plan's trial: figures that a run has, drawn out over layers, and sentences where there are none."""

from pathlib import Path
from typing import Any

import pytest
import torch
from lightning import Trainer

from lit_rlvr.algorithms.grpo import GRPO
from lit_rlvr.module import RLVRModule
from lit_rlvr.rewards.rewards import AnswerReward
from lit_rlvr.rollout.engine import RolloutEngine, Sampling
from lit_rlvr.rollout.transformers_engine import TransformersEngine
from lit_rlvr.trial import Speed, describe_speed, drawn_out, try_speed


def _module(repository: Path, policy: str | None = None, **settings: Any) -> RLVRModule:
    tiny = str(repository / "checkpoints" / "tiny-base")
    engine = settings.pop("engine", TransformersEngine())
    sampling = Sampling(n=4, max_tokens=16)
    return RLVRModule(policy or tiny, GRPO(), engine, AnswerReward(), tiny, sampling, **settings)


def _trainer(precision: Any = "32-true") -> Trainer:
    return Trainer(accelerator="cpu", logger=False, precision=precision)


@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed"])
@pytest.mark.parametrize("policy", [None, "random:llama"])
def test_a_small_policy_is_tried_whole(policy: str | None, precision: str, repository: Path) -> None:
    module = _module(repository, policy)
    before, state = torch.get_num_threads(), torch.random.get_rng_state()
    speed = try_speed(module, 2, _trainer(precision), threads=1)
    assert speed is not None
    assert speed.rollout is not None
    assert speed.rollout > 10
    assert speed.update > 10
    assert torch.get_num_threads() == before
    assert torch.equal(torch.random.get_rng_state(), state)
    line = describe_speed(speed, module, 2)
    assert f"{speed.rollout:,.0f} tokens of rollouts" in line
    assert f"{speed.step_seconds(2 * 4 * 16):,.3g} s per RL step" in line


def test_layers_that_were_not_tried() -> None:
    assert drawn_out(few=3.0, more=5.0, layers=30) == 5 + 12
    assert drawn_out(few=5.0, more=4.9, layers=30) == 4.9  # noise is no negative layer


def test_step_seconds() -> None:
    assert Speed(rollout=100.0, update=50.0).step_seconds(1000) == 30
    assert Speed(rollout=None, update=50.0).step_seconds(1000) is None


class Elsewhere(RolloutEngine):
    """An engine that keeps its weights where the plan cannot try them."""


def test_an_engine_of_its_own_kind_is_not_tried(repository: Path) -> None:
    module = _module(repository, engine=Elsewhere())
    speed = try_speed(module, 1, _trainer(), threads=1)
    assert speed is not None
    assert speed.rollout is None
    assert "Elsewhere was not tried" in describe_speed(speed, module, 1)


def test_what_is_too_large_is_not_tried(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lit_rlvr.trial.WHOLE_PARAMETERS", 1000)
    module = _module(repository)
    assert try_speed(module, 1, _trainer(), threads=1) is None
    assert describe_speed(None, module, 1).startswith("not tried: a policy of more than 0M")
