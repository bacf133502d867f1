"""What the trainer calls on an engine, and when: the two methods that an engine may have or not."""

from pathlib import Path
from typing import Any

import pytest

from lit_rlvr.errors import UserError
from lit_rlvr.rollout.engine import RolloutEngine, check_engine, release_memory
from lit_rlvr.rollout.transformers_engine import TransformersEngine
from tests.training.small_run import small_run


class Recorded(TransformersEngine):
    """Writes down what is called, with the number of responses that are asked for."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[str] = []

    def check(self) -> None:
        self.calls.append("check")

    def setup(self, *arguments: Any) -> None:
        self.calls.append("setup")
        super().setup(*arguments)

    def generate(self, prompts: Any, sampling: Any, *arguments: Any) -> Any:
        self.calls.append(f"generate {len(prompts) * sampling.n}")
        return super().generate(prompts, sampling, *arguments)

    def release(self) -> None:
        self.calls.append("release")

    def update_weights(self, policy: Any) -> None:
        self.calls.append("update_weights")
        super().update_weights(policy)


class OfSomebodyElse:
    """The four methods of an engine and no more, without a base class of ours."""

    def __init__(self) -> None:
        whole = TransformersEngine()
        self.setup, self.generate = whole.setup, whole.generate
        self.update_weights, self.close = whole.update_weights, whole.close


def test_memory_is_released_once_a_step_between_the_rollouts_and_the_sync(repository: Path, tmp_path: Path) -> None:
    engine = Recorded()
    small_run(repository, tmp_path, engine, steps=2)
    step = ["generate 16", "release", "update_weights", "generate 8"]  # the last is the probe
    assert engine.calls == ["check", "setup", "generate 8", *step, *step]


def test_an_engine_without_them_runs(repository: Path, tmp_path: Path) -> None:
    engine: Any = OfSomebodyElse()
    assert isinstance(engine, RolloutEngine)
    check_engine(engine)
    release_memory(engine)
    module = small_run(repository, tmp_path, engine, steps=1)
    assert int(module.rl_step) == 1


def test_a_refusal_comes_before_anything_is_loaded(
    repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Refusing(Recorded):
        def check(self) -> None:
            raise UserError("not on this machine")

    monkeypatch.setattr("lit_rlvr.module.load_model", lambda *_: pytest.fail("loaded"))
    engine = Refusing()
    with pytest.raises(UserError, match="not on this machine"):
        small_run(repository, tmp_path, engine, steps=1)
    assert engine.calls == []
