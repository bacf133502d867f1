"""A vLLM engine that breaks down ends the run in one sentence. vLLM itself is not needed: a dead engine is all of it."""

import sys
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
import torch

from lit_rlvr.errors import UserError
from lit_rlvr.rollout import vllm_engine
from lit_rlvr.rollout.engine import Sampling
from lit_rlvr.rollout.vllm_engine import VLLMEngine
from tests.builders import random_model
from tests.data.byte_tokenizer import byte_tokenizer


class EngineDeadError(Exception):
    """As vLLM calls it."""


class DeadEngine:
    """What is left in this process of an engine whose worker was killed: every call fails, that of clearing up too."""

    model_config = SimpleNamespace(hf_text_config=SimpleNamespace(max_position_embeddings=512), max_model_len=512)

    def __init__(self, error: Exception) -> None:
        self.error = error

    def add_request(self, *_: Any) -> None:
        """Taken; nobody answers."""

    def step(self) -> None:
        raise self.error

    def abort_request(self, _: list[str]) -> None:
        raise RuntimeError("clearing up, far from the cause")


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> VLLMEngine:
    monkeypatch.setattr(vllm_engine, "check_installed", lambda: None)
    settings = ModuleType("vllm.sampling_params")
    settings.RequestOutputKind = SimpleNamespace(DELTA=0, FINAL_ONLY=1)  # type: ignore[attr-defined]
    vllm = ModuleType("vllm")
    vllm.SamplingParams = SimpleNamespace  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "vllm", vllm)
    monkeypatch.setitem(sys.modules, "vllm.sampling_params", settings)
    engine = VLLMEngine()
    engine._tokenizer, engine._device, engine._ends = byte_tokenizer(), torch.device("cpu"), (1,)
    engine._vocabulary, engine._dtype, engine._sleeps, engine._asleep = 48, torch.float32, False, False
    return engine


def dead(error: Exception) -> SimpleNamespace:
    def gone(*_: Any, **__: Any) -> None:
        raise error

    return SimpleNamespace(llm_engine=DeadEngine(error), collective_rpc=gone)


@pytest.mark.parametrize("error", [EngineDeadError("EngineCore encountered an issue.\nSee above."), BrokenPipeError()])
def test_a_dead_engine_is_one_sentence(error: Exception, engine: VLLMEngine) -> None:
    engine._llm = dead(error)
    said = rf"^The vLLM engine broke down while {{}} \({type(error).__name__}: .*\)\. The run ends; go on from .* --ckpt_path"
    with pytest.raises(UserError, match=said.format("generating")) as raised:
        engine.generate([(3, 4)], Sampling(n=2, max_tokens=4), seed=0)
    assert "clearing up" not in str(raised.value)
    assert "\n" not in str(raised.value)
    with pytest.raises(UserError, match=said.format("taking over the policy's weights")):
        engine.update_weights(random_model())


def test_what_has_a_sentence_keeps_it(engine: VLLMEngine) -> None:
    engine._llm = dead(torch.OutOfMemoryError("CUDA out of memory"))
    with pytest.raises(torch.OutOfMemoryError):
        engine.update_weights(random_model())
