"""The vLLM engine passes the suite, and has the policy's weights after every update. Run by `make test-vllm`."""

from collections.abc import Iterator

import pytest
import torch
from engine_suite import EngineFactory, EngineSuite, assert_same, policy, small_policy, small_tokenizer  # noqa: F401
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from lit_rlvr.rollout.vllm_engine import VLLMEngine

pytestmark = pytest.mark.vllm


def make_engine(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, **settings: int) -> VLLMEngine:
    engine = VLLMEngine(kv_cache_gb=0.05, **settings)  # type: ignore[arg-type]
    engine.setup(model, tokenizer, torch.device("cpu"))
    return engine


class TestTheSuite(EngineSuite):
    @pytest.fixture(scope="class")
    def kept(self) -> Iterator[dict[tuple[int, int], VLLMEngine]]:
        """Engines of the suite's shared policies, whose weights no test changes: one takes two seconds to build."""
        engines: dict[tuple[int, int], VLLMEngine] = {}
        yield engines
        for engine in engines.values():
            engine.close()

    @pytest.fixture
    def engine(
        self, request: pytest.FixtureRequest, kept: dict[tuple[int, int], VLLMEngine]
    ) -> Iterator[EngineFactory]:
        shared = request.getfixturevalue("policy") if "policy" in request.fixturenames else None
        own: list[VLLMEngine] = []

        def make(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, max_batch: int = 1024) -> VLLMEngine:
            if model is not shared:
                own.append(make_engine(model, tokenizer, max_batch=max_batch))
                return own[-1]
            key = id(model), max_batch
            if key not in kept:
                kept[key] = make_engine(model, tokenizer, max_batch=max_batch)
            return kept[key]

        yield make
        for engine in own:
            engine.close()
