"""The vLLM engine passes the suite, and has the policy's weights after every update. Run by `make test-vllm`."""

from collections.abc import Callable, Iterator

import pytest
import torch
from engine_suite import (
    EQUAL_PROMPTS,
    UNEQUAL_PROMPTS,
    EngineFactory,
    EngineSuite,
    assert_same,
    expected_logprobs,
    policy,  # noqa: F401
    small_policy,
    small_tokenizer,
)
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from lit_rlvr.errors import UserError
from lit_rlvr.rollout import vllm_weights
from lit_rlvr.rollout.engine import Sampling
from lit_rlvr.rollout.transformers_engine import TransformersEngine
from lit_rlvr.rollout.vllm_engine import VLLMEngine

pytestmark = pytest.mark.vllm


def make_engine(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, **settings: int) -> VLLMEngine:
    engine = VLLMEngine(kv_cache_gb=0.05, **settings)  # type: ignore[arg-type]
    engine.setup(model, tokenizer, torch.device("cpu"))
    return engine


class TestTheSuite(EngineSuite):
    @pytest.fixture(scope="class")
    @classmethod
    def kept(cls) -> Iterator[dict[tuple[int, int], VLLMEngine]]:
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


def changed(model: PreTrainedModel, seed: int) -> PreTrainedModel:
    """What a large update would do, to all parameters."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter += 0.1 * torch.randn(parameter.shape, generator=generator)
    return model


@pytest.mark.parametrize("kind", ["qwen2", "llama"])
def test_after_every_update_it_says_what_the_policy_says(kind: str) -> None:
    """Tied and untied. The prompt fills a block of the cache, so that keys of old weights would show."""
    model = small_policy(kind)
    model.config.max_position_embeddings = 400
    prompts = [tuple(torch.randint(2, 280, (300,), generator=torch.Generator().manual_seed(1)).tolist()), (5, 9)]
    engine, texts = make_engine(model, small_tokenizer()), []
    for update in range(4):
        drawn = engine.generate(prompts, Sampling(n=2, max_tokens=20), seed=update)
        expected = expected_logprobs(model, drawn, Sampling())
        torch.testing.assert_close(drawn.logprobs, expected, atol=2e-5, rtol=0)
        greedy = engine.generate(prompts, Sampling(temperature=0, max_tokens=20), seed=0)
        reference = TransformersEngine()
        reference.setup(model, small_tokenizer(), torch.device("cpu"))
        assert_same(reference.generate(prompts, Sampling(temperature=0, max_tokens=20), seed=0), greedy)
        texts.append(greedy.texts)
        engine.update_weights(changed(model, update))
    engine.close()
    assert len(set(texts)) == 4


def test_a_weight_that_vllm_does_not_take_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    model = small_policy()
    engine = make_engine(model, small_tokenizer())
    whole = vllm_weights.named_weights
    monkeypatch.setattr(
        vllm_weights,
        "named_weights",
        lambda of: ((name, w) for name, w in whole(of) if "layers.1.mlp.down" not in name),
    )
    with pytest.raises(UserError, match=r"did not get these weights.*layers\.1\.mlp\.down_proj\.weight"):
        engine.update_weights(model)
    engine.close()


def test_the_process_group_of_a_run_outlives_the_engine() -> None:
    torch.distributed.init_process_group("gloo", store=torch.distributed.HashStore(), rank=0, world_size=1)
    first = make_engine(small_policy(), small_tokenizer())
    second = make_engine(small_policy(seed=1), small_tokenizer())
    first.close()
    assert len(second.generate([(5, 9)], Sampling(max_tokens=4), seed=0)) == 1
    second.close()
    torch.distributed.all_reduce(torch.ones(1))


def test_a_group_that_went_first_does_no_harm() -> None:
    """Fabric takes its group down before the engine is closed, and another run may begin."""
    torch.distributed.init_process_group("gloo", store=torch.distributed.HashStore(), rank=0, world_size=1)
    engine = make_engine(small_policy(), small_tokenizer())
    torch.distributed.destroy_process_group()
    engine.close()
    again = make_engine(small_policy(), small_tokenizer())
    assert len(again.generate([(5, 9)], Sampling(max_tokens=4), seed=0)) == 1
    again.close()


def test_an_interrupted_call_leaves_nothing_for_the_next() -> None:
    engine = make_engine(small_policy(), small_tokenizer(), max_batch=4)
    sampling = Sampling(n=8, max_tokens=60)
    whole = engine.generate(UNEQUAL_PROMPTS, sampling, seed=0)

    def interrupt(finished: int, asked: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        engine.generate(EQUAL_PROMPTS, sampling, 1, interrupt)
    assert_same(whole, engine.generate(UNEQUAL_PROMPTS, sampling, seed=0))
    engine.close()


def test_bfloat16_copy_of_a_float32_policy() -> None:
    model = small_policy()
    engine = VLLMEngine(dtype="bfloat16", kv_cache_gb=0.05)
    engine.setup(model, small_tokenizer(), torch.device("cpu"))
    engine.update_weights(changed(model, 0))
    drawn = engine.generate([(5, 9, 11)], Sampling(n=4, max_tokens=10), seed=0)
    difference = (drawn.logprobs - expected_logprobs(model, drawn, Sampling())).abs()
    engine.close()
    assert 1e-5 < difference.mean() < 0.1
    assert next(model.parameters()).dtype == torch.float32


def _heads_of_16(model: PreTrainedModel) -> None:
    model.config.num_attention_heads, model.config.num_key_value_heads = 4, 2


def _long(model: PreTrainedModel) -> None:
    model.config.max_position_embeddings = 100_000


@pytest.mark.parametrize(
    ("settings", "change", "sampling", "sentence"),
    [
        ({}, _heads_of_16, Sampling(), "heads are 16 wide"),
        ({"kv_cache_gb": 1e-6}, None, Sampling(), "with engine.kv_cache_gb 1e-06: .*not enough"),
        ({"tensor_parallel_size": 2}, None, Sampling(), "tensor_parallel_size is 2, and the run has 1 process"),
        ({}, _long, Sampling(max_tokens=99_000), r"tokens that the key-value cache has room for \(engine.kv_cache_gb"),
        ({}, None, Sampling(temperature=0.001, max_tokens=4), "temperature is 0.001, and vLLM samples at 0.01 or more"),
    ],
    ids=["heads", "cache", "shared", "room", "cool"],
)
def test_what_it_cannot_do_is_said(
    settings: dict[str, float], change: Callable[[PreTrainedModel], None] | None, sampling: Sampling, sentence: str
) -> None:
    model = small_policy()
    if change is not None:
        change(model)
    engine = VLLMEngine(**{"kv_cache_gb": 0.02} | settings)  # type: ignore[arg-type]

    def use() -> None:
        engine.setup(model, small_tokenizer(), torch.device("cpu"))
        engine.generate([(5, 9)], sampling, seed=0)

    with pytest.raises(UserError, match=sentence):
        use()
    engine.close()
    assert not torch.distributed.is_initialized()


def test_use_before_setup_is_a_fault() -> None:
    with pytest.raises(RuntimeError, match="before setup"):
        VLLMEngine().generate([(5,)], Sampling(), seed=0)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_sleeping_gives_memory_back_between_rollouts() -> None:
    """Written without a GPU at hand, and not yet run on one."""
    device = torch.device("cuda", 0)
    model = small_policy().to(device)
    engine = VLLMEngine(dtype="float32", gpu_memory_utilization=0.2, sleep=True)
    engine.setup(model, small_tokenizer(), device)
    awake = torch.cuda.mem_get_info()[0]
    for update in range(3):
        for _ in range(2):  # a step's rollouts follow the probe
            drawn = engine.generate(EQUAL_PROMPTS, Sampling(n=2, max_tokens=8), seed=update)
        expected = expected_logprobs(model.cpu(), drawn, Sampling())
        torch.testing.assert_close(drawn.logprobs, expected, atol=1e-3, rtol=0)
        engine.release()
        assert torch.cuda.mem_get_info()[0] > awake
        engine.update_weights(changed(model, update).to(device))
    engine.release()
    engine.close()
