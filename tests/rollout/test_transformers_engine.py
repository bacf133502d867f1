"""The transformers engine passes the suite with either decoder, and chooses the right one."""

import warnings

import pytest
import torch
from engine_suite import EngineFactory, EngineSuite, assert_same, policy, small_policy, small_tokenizer  # noqa: F401
from transformers import (
    AutoModelForCausalLM,
    GPT2Config,
    LlamaConfig,
    MistralConfig,
    PreTrainedModel,
    PreTrainedTokenizerBase,
    Qwen2Config,
    Qwen3Config,
)

from lit_rlvr.errors import UserError
from lit_rlvr.rollout import decoder_choice
from lit_rlvr.rollout.engine import Sampling
from lit_rlvr.rollout.llama_decoder import LlamaDecoder
from lit_rlvr.rollout.module_decoder import ModuleDecoder
from lit_rlvr.rollout.transformers_engine import TransformersEngine

SHAPE = {
    "vocab_size": 320,
    "hidden_size": 64,
    "intermediate_size": 96,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 128,
    "bos_token_id": None,
    "eos_token_id": 1,
    "pad_token_id": 0,
}


def make_engine(policy: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, **settings: int) -> TransformersEngine:  # noqa: F811
    engine = TransformersEngine(**settings)  # type: ignore[arg-type]
    engine.setup(policy, tokenizer, torch.device("cpu"))
    return engine


class TestWithTheFastDecoder(EngineSuite):
    @pytest.fixture
    def engine(self) -> EngineFactory:
        return make_engine

    def test_it_is_the_fast_one(self, engine: EngineFactory, policy: PreTrainedModel) -> None:  # noqa: F811
        assert isinstance(engine(policy, small_tokenizer()).decoder, LlamaDecoder)


class TestWithTheGeneralDecoder(EngineSuite):
    @pytest.fixture
    def engine(self, monkeypatch: pytest.MonkeyPatch) -> EngineFactory:
        # No difference passes, so the self-check always falls back.
        monkeypatch.setattr(decoder_choice, "SELF_CHECK_TOLERANCE", -1.0)

        def make(*arguments: object, **settings: int) -> TransformersEngine:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                return make_engine(*arguments, **settings)  # type: ignore[arg-type]

        return make

    def test_it_is_the_general_one(self, engine: EngineFactory, policy: PreTrainedModel) -> None:  # noqa: F811
        assert isinstance(engine(policy, small_tokenizer()).decoder, ModuleDecoder)


@pytest.mark.parametrize(
    "config",
    [
        Qwen2Config(**SHAPE),
        Qwen3Config(**SHAPE, head_dim=24),
        MistralConfig(**SHAPE, sliding_window=None),
        LlamaConfig(**SHAPE, attention_bias=True, mlp_bias=True, tie_word_embeddings=True),
        LlamaConfig(
            **SHAPE,
            rope_parameters={
                "rope_type": "llama3",
                "rope_theta": 10000.0,
                "factor": 4.0,
                "low_freq_factor": 1.0,
                "high_freq_factor": 4.0,
                "original_max_position_embeddings": 32,
            },
        ),
        LlamaConfig(
            **SHAPE,
            rope_parameters={
                "rope_type": "yarn",
                "rope_theta": 10000.0,
                "factor": 4.0,
                "original_max_position_embeddings": 32,
            },
        ),
    ],
    ids=["qwen2", "qwen3", "mistral", "llama-biases-tied", "llama3-rope", "yarn"],
)
def test_both_decoders_score_alike(config: LlamaConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    model = AutoModelForCausalLM.from_config(config).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter += 0.1 * torch.randn(parameter.shape, generator=torch.Generator().manual_seed(0))
    sampling = Sampling(n=3, max_tokens=70)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        fast = make_engine(model, small_tokenizer())
    assert isinstance(fast.decoder, LlamaDecoder)
    monkeypatch.setattr(decoder_choice, "SELF_CHECK_TOLERANCE", -1.0)
    with pytest.warns(UserWarning, match="slower decoder"):
        general = make_engine(model, small_tokenizer())
    assert isinstance(general.decoder, ModuleDecoder)
    prompts = [(5, 9, 11), (7, 8, 200, 4, 3)]
    assert_same(fast.generate(prompts, sampling, seed=0), general.generate(prompts, sampling, seed=0))


@pytest.mark.parametrize(
    "config",
    [
        GPT2Config(vocab_size=320, n_embd=64, n_layer=2, n_head=4, n_positions=128, eos_token_id=1, bos_token_id=None),
        MistralConfig(**SHAPE, sliding_window=8),
        Qwen2Config(**SHAPE, use_sliding_window=True, sliding_window=8, max_window_layers=1),
        LlamaConfig(**SHAPE, rope_parameters={"rope_type": "dynamic", "rope_theta": 10000.0, "factor": 2.0}),
        LlamaConfig(**SHAPE, hidden_act="gelu"),
    ],
    ids=["gpt2", "mistral-window", "qwen2-window", "dynamic-rope", "gelu"],
)
def test_other_architectures_fall_back_with_one_warning(config: LlamaConfig) -> None:
    model = AutoModelForCausalLM.from_config(config).eval()
    with pytest.warns(UserWarning, match="general, slower decoder") as caught:
        engine = make_engine(model, small_tokenizer())
    assert len([warning for warning in caught if "slower decoder" in str(warning.message)]) == 1
    assert isinstance(engine.decoder, ModuleDecoder)
    rollouts = engine.generate([(5, 9, 11, 13)], Sampling(n=2, max_tokens=12), seed=0)
    tokens = torch.cat((torch.tensor([5, 9, 11, 13]), rollouts.split(rollouts.tokens)[0]))
    with torch.no_grad():
        logits = model(tokens[None], use_cache=False).logits[0, 3:-1, : len(small_tokenizer())]
    expected = logits.log_softmax(-1).gather(1, tokens[4:, None])[:, 0]
    torch.testing.assert_close(rollouts.split(rollouts.logprobs)[0], expected, atol=1e-4, rtol=0)


def test_a_prompt_is_prefilled_once(monkeypatch: pytest.MonkeyPatch) -> None:
    engine = make_engine(small_policy(), small_tokenizer())
    seen: list[list[tuple[int, ...]]] = []
    begin = engine.decoder.begin

    def watched(prompts: list[tuple[int, ...]], counts: list[int], max_tokens: int, room: int) -> torch.Tensor:
        seen.append(list(prompts))
        logits = begin(prompts, counts, max_tokens, room)
        assert len(logits) == len(prompts)
        return logits

    monkeypatch.setattr(engine.decoder, "begin", watched)
    engine.generate([(5, 9)] * 16 + [(7, 8)], Sampling(n=8, max_tokens=2), seed=0)
    assert seen == [[(5, 9), (7, 8)]]


def test_ended_rows_leave_the_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    engine = make_engine(small_policy(sharpness=1.0), small_tokenizer())
    engine._ends = tuple(range(1, 60))
    heights: list[int] = []
    step = engine.decoder.step

    def watched(tokens: torch.Tensor) -> torch.Tensor:
        heights.append(len(tokens))
        return step(tokens)

    monkeypatch.setattr(engine.decoder, "step", watched)
    rollouts = engine.generate([(5, 9)], Sampling(n=32, max_tokens=60), seed=0)
    # Every drawn token but a response's last one is fed back exactly once, and nothing else is.
    assert sum(heights) == int(rollouts.lengths.sum()) - 32


def test_token_budget_splits_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = make_engine(small_policy(), small_tokenizer())
    split = make_engine(small_policy(), small_tokenizer(), max_batch_tokens=100)
    rows: list[int] = []
    begin = split.decoder.begin

    def watched(prompts: list[tuple[int, ...]], counts: list[int], max_tokens: int, room: int) -> torch.Tensor:
        rows.append(sum(counts) * (max(map(len, prompts)) + max_tokens))
        return begin(prompts, counts, max_tokens, room)

    monkeypatch.setattr(split.decoder, "begin", watched)
    prompts, sampling = [(5, 9, 11), (6, 7, 8, 9, 10)], Sampling(n=6, max_tokens=20)
    assert_same(whole.generate(prompts, sampling, seed=0), split.generate(prompts, sampling, seed=0))
    assert len(rows) > 2
    assert max(rows) <= 100


def test_bfloat16_copy_of_a_float32_policy() -> None:
    model = small_policy()
    engine = TransformersEngine(dtype="bfloat16")
    engine.setup(model, small_tokenizer(), torch.device("cpu"))
    rollouts = engine.generate([(5, 9, 11)], Sampling(n=4, max_tokens=10), seed=0)
    tokens = torch.cat((torch.tensor([5, 9, 11]), rollouts.split(rollouts.tokens)[0]))
    with torch.no_grad():
        logits = model(tokens[None]).logits[0, 2:-1, : len(small_tokenizer())]
    expected = logits.log_softmax(-1).gather(1, tokens[3:, None])[:, 0]
    assert rollouts.logprobs.dtype == torch.float32
    assert (rollouts.split(rollouts.logprobs)[0] - expected).abs().mean() < 0.1
    assert next(model.parameters()).dtype == torch.float32


@pytest.mark.parametrize("settings", [{"dtype": "int8"}, {"max_batch": 0}, {"max_batch_tokens": -1}])
def test_wrong_settings_are_refused(settings: dict[str, object]) -> None:
    with pytest.raises(UserError, match=next(iter(settings))):
        TransformersEngine(**settings)  # type: ignore[arg-type]


def test_use_before_setup_is_a_fault() -> None:
    with pytest.raises(RuntimeError, match="before setup"):
        TransformersEngine().generate([(5,)], Sampling(), seed=0)
