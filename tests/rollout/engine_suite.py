"""What every rollout engine must do, as a class of tests over an engine factory.

A test module subclasses ``EngineSuite`` and gives an ``engine`` fixture: a function that takes a policy, a tokenizer
and ``max_batch`` and returns an engine that is set up. Policies are in float32 on CPU.
"""

import functools
import math
import re
from collections.abc import Callable

import pytest
import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import (
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedModel,
    PreTrainedTokenizerFast,
    Qwen2Config,
    Qwen2ForCausalLM,
)

from lit_rlvr.errors import UserError
from lit_rlvr.experience import Rollouts
from lit_rlvr.models.lora import LoRAConfig, add_adapter
from lit_rlvr.rollout.engine import RolloutEngine, Sampling

EngineFactory = Callable[..., RolloutEngine]
# More head rows than the tokenizer has entries, as published checkpoints have.
PADDED_VOCABULARY = 320
CORPUS = ["the quick brown fox solves 2x + 17 = 33 for x", "so the answer is 8 and that is all", "Wäre 3/4 größer?"]
EQUAL_PROMPTS = [(5, 9, 11, 40), (5, 9, 11, 40), (7, 200, 33, 12)]
_BEGINNING = tuple(range(20, 32))
SHARED_PROMPTS = [(*_BEGINNING, 5, 9), (*_BEGINNING, 60), (*_BEGINNING, 7, 200, 33), (*_BEGINNING, 5, 9)]
UNEQUAL_PROMPTS = [(5, 9, 11, 40), (60,), (7, 200, 33, 12, 99, 101, 150), (5, 9, 11, 40)]


@functools.cache
def small_tokenizer() -> PreTrainedTokenizerFast:
    """A byte-level BPE of about 290 entries with an end token."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=290,
        special_tokens=["<pad>", "<end>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(CORPUS, trainer)
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token="<end>", pad_token="<pad>")


def small_policy(kind: str = "qwen2", seed: int = 0, sharpness: float = 4.0) -> PreTrainedModel:
    """A random policy of hidden size 64 whose distributions are far from uniform."""
    shape = {
        "vocab_size": PADDED_VOCABULARY,
        "hidden_size": 64,
        "intermediate_size": 96,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "num_key_value_heads": 1,
        "max_position_embeddings": 128,
        "eos_token_id": 1,
        "bos_token_id": None,
        "pad_token_id": 0,
    }
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        if kind == "qwen2":
            policy: PreTrainedModel = Qwen2ForCausalLM(Qwen2Config(**shape, tie_word_embeddings=True))
        else:
            policy = LlamaForCausalLM(LlamaConfig(**shape, tie_word_embeddings=False))
        with torch.no_grad():
            for parameter in policy.parameters():
                parameter += 0.05 * torch.randn_like(parameter)
            policy.get_output_embeddings().weight *= sharpness
    return policy.eval()


def expected_logprobs(policy: PreTrainedModel, rollouts: Rollouts, sampling: Sampling) -> torch.Tensor:
    """Log-probs of the sampled tokens from one plain forward per response, filters written token by token."""
    vocabulary = len(small_tokenizer())
    result = []
    for row, tokens in zip(rollouts.rows.tolist(), rollouts.split(rollouts.tokens), strict=True):
        prompt = torch.tensor(rollouts.prompts[row])
        with torch.no_grad():
            logits = policy(torch.cat((prompt, tokens))[None], use_cache=False).logits[0, :, :vocabulary].double()
        for place, token in enumerate(tokens.tolist()):
            scores = logits[len(prompt) - 1 + place] / (sampling.temperature or 1.0)
            ranked = scores.argsort(descending=True).tolist()
            if sampling.temperature > 0:
                ranked = ranked[: sampling.top_k or None]
                probs = scores[ranked].softmax(0).tolist()
                kept = next((i + 1 for i in range(len(ranked)) if sum(probs[: i + 1]) >= sampling.top_p), len(ranked))
                ranked = ranked[:kept]
            assert token in ranked, "a token outside top-k / top-p was drawn"
            result.append((scores[token] - scores[ranked].logsumexp(0)).item())
    return torch.tensor(result)


def assert_same(left: Rollouts, right: Rollouts) -> None:
    """The same responses; log-probs up to the rounding of another batch height."""
    assert left.texts == right.texts
    for name in ("rows", "problems", "tokens", "lengths", "stopped"):
        assert torch.equal(getattr(left, name), getattr(right, name)), name
    torch.testing.assert_close(left.logprobs, right.logprobs, atol=2e-5, rtol=0)


@pytest.fixture(scope="module", params=["qwen2", "llama"])
def policy(request: pytest.FixtureRequest) -> PreTrainedModel:
    """A small random policy of each architecture."""
    return small_policy(request.param, seed=1)  # one that does not repeat itself at once


class EngineSuite:
    """The tests; ``engine(policy, tokenizer, max_batch=1024)`` comes from the subclass's module."""

    @pytest.mark.parametrize(
        "settings",
        [
            {"temperature": 1.0},
            {"temperature": 0.6},
            {"temperature": 0.0},
            {"top_k": 5},
            {"temperature": 0.8, "top_p": 0.7},
            {"temperature": 1.3, "top_k": 40, "top_p": 0.9},
        ],
        ids=str,
    )
    @pytest.mark.parametrize(
        "prompts",
        [EQUAL_PROMPTS, UNEQUAL_PROMPTS, SHARED_PROMPTS, [*SHARED_PROMPTS[::3], (*_BEGINNING, 6, 8)]],
        ids=["equal", "unequal", "shared", "shared-equal"],
    )
    def test_logprobs_are_those_of_a_plain_forward(
        self, engine: EngineFactory, policy: PreTrainedModel, prompts: list[tuple[int, ...]], settings: dict[str, float]
    ) -> None:
        sampling = Sampling(n=3, max_tokens=12, **settings)
        rollouts = engine(policy, small_tokenizer()).generate(prompts, sampling, seed=1)
        expected = expected_logprobs(policy, rollouts, sampling)
        torch.testing.assert_close(rollouts.logprobs, expected, atol=1e-4, rtol=0)

    def test_fields_describe_the_responses(self, engine: EngineFactory, policy: PreTrainedModel) -> None:
        tokenizer = small_tokenizer()
        rollouts = engine(policy, tokenizer).generate(UNEQUAL_PROMPTS, Sampling(n=2, max_tokens=30), seed=0)
        assert rollouts.prompts == tuple(UNEQUAL_PROMPTS)
        assert len(rollouts) == 8
        assert rollouts.rows.tolist() == [0, 0, 1, 1, 2, 2, 3, 3]
        assert rollouts.problems.tolist() == [0, 0, 1, 1, 2, 2, 0, 0]
        assert rollouts.tokens.dtype == rollouts.rows.dtype == rollouts.lengths.dtype == torch.int64
        assert rollouts.logprobs.dtype == torch.float32
        assert rollouts.stopped.dtype == torch.bool
        assert rollouts.lengths.sum() == len(rollouts.tokens) == len(rollouts.logprobs)
        for tokens, text in zip(rollouts.split(rollouts.tokens), rollouts.texts, strict=True):
            assert text == tokenizer.decode(tokens.tolist(), skip_special_tokens=True)

    def test_no_prompts_give_no_responses(self, engine: EngineFactory) -> None:
        rollouts = engine(small_policy(), small_tokenizer()).generate([], Sampling(), seed=0)
        assert len(rollouts) == len(rollouts.tokens) == len(rollouts.rows) == 0

    def test_rows_of_one_prompt_draw_their_own_responses(self, engine: EngineFactory, policy: PreTrainedModel) -> None:
        rollouts = engine(policy, small_tokenizer()).generate([(5, 9, 11)] * 4, Sampling(n=4, max_tokens=16), seed=0)
        assert len({tuple(tokens.tolist()) for tokens in rollouts.split(rollouts.tokens)}) > 12
        assert rollouts.problems.tolist() == [0] * 16

    def test_same_seed_same_rollouts_whatever_the_batch_split(
        self, engine: EngineFactory, policy: PreTrainedModel
    ) -> None:
        sampling = Sampling(n=5, max_tokens=80)
        whole = engine(policy, small_tokenizer()).generate(UNEQUAL_PROMPTS, sampling, seed=3)
        for max_batch in (1024, 7, 1):
            split = engine(policy, small_tokenizer(), max_batch=max_batch)
            assert_same(whole, split.generate(UNEQUAL_PROMPTS, sampling, seed=3))

    def test_other_seed_other_rollouts(self, engine: EngineFactory, policy: PreTrainedModel) -> None:
        sampling = Sampling(n=4, max_tokens=16)
        made = engine(policy, small_tokenizer())
        assert made.generate(EQUAL_PROMPTS, sampling, 0).texts != made.generate(EQUAL_PROMPTS, sampling, 1).texts

    def test_global_random_state_is_left_alone(self, engine: EngineFactory, policy: PreTrainedModel) -> None:
        before = torch.get_rng_state()
        engine(policy, small_tokenizer()).generate(EQUAL_PROMPTS, Sampling(n=2, max_tokens=8), seed=0)
        assert torch.equal(torch.get_rng_state(), before)

    @pytest.mark.parametrize("prompt", UNEQUAL_PROMPTS[:3])
    def test_greedy_equals_generate(
        self, engine: EngineFactory, policy: PreTrainedModel, prompt: tuple[int, ...]
    ) -> None:
        ids = torch.tensor([prompt])
        unused = list(range(len(small_tokenizer()), PADDED_VOCABULARY))
        reference = policy.generate(
            ids, attention_mask=torch.ones_like(ids), do_sample=False, max_new_tokens=40, suppress_tokens=unused
        )[0, len(prompt) :]
        # Among others, so that padding is involved.
        rollouts = engine(policy, small_tokenizer()).generate(
            [(3,) * 9, prompt], Sampling(temperature=0, max_tokens=40), seed=0
        )
        assert rollouts.split(rollouts.tokens)[1].tolist() == reference.tolist()

    def test_end_tokens_of_configuration_and_tokenizer(self, engine: EngineFactory) -> None:
        policy = small_policy(sharpness=1.0)
        policy.generation_config.eos_token_id = [100, 101]
        rollouts = engine(policy, small_tokenizer()).generate([(5, 9)], Sampling(n=64, max_tokens=120), seed=0)
        lasts = set()
        for tokens, stopped in zip(rollouts.split(rollouts.tokens), rollouts.stopped.tolist(), strict=True):
            *body, last = tokens.tolist()
            assert not {1, 100, 101} & set(body)
            assert stopped == (last in {1, 100, 101})
            assert stopped or len(tokens) == 120
            lasts |= {last} if stopped else set()
        assert lasts == {1, 100, 101}

    def test_end_token_is_not_in_the_text(self, engine: EngineFactory) -> None:
        tokenizer, policy = small_tokenizer(), small_policy(sharpness=1.0)
        policy.generation_config.eos_token_id = list(range(50, 200))
        rollouts = engine(policy, tokenizer).generate([(5, 9)], Sampling(n=16, max_tokens=40), seed=0)
        ended = rollouts.stopped.tolist()
        assert any(ended)
        for tokens, text, stopped in zip(rollouts.split(rollouts.tokens), rollouts.texts, ended, strict=True):
            ids = tokens.tolist()[:-1] if stopped else tokens.tolist()
            assert text == tokenizer.decode(ids, skip_special_tokens=True)

    @pytest.mark.parametrize("max_tokens", [1, 2, 9, 100])
    def test_token_limit(self, engine: EngineFactory, policy: PreTrainedModel, max_tokens: int) -> None:
        sampling = Sampling(n=8, max_tokens=max_tokens)
        rollouts = engine(policy, small_tokenizer()).generate([(5, 9, 3)], sampling, seed=2)
        assert rollouts.lengths.min() >= 1
        assert rollouts.lengths.max() <= max_tokens
        assert (rollouts.lengths[~rollouts.stopped] == max_tokens).all()

    def test_a_special_token_given_as_stop_string_ends_a_response(
        self, engine: EngineFactory, policy: PreTrainedModel
    ) -> None:
        """Decoding leaves it out, so it would never be found in the text."""
        made = engine(policy, small_tokenizer())
        rollouts = made.generate(EQUAL_PROMPTS, Sampling(n=200, max_tokens=60, stop=("<pad>",)), seed=1)
        hit = 0
        for tokens, stopped in zip(rollouts.split(rollouts.tokens), rollouts.stopped.tolist(), strict=True):
            assert 0 not in tokens[:-1].tolist()
            hit += stopped and int(tokens[-1]) == 0
        assert hit > 0

    @pytest.mark.parametrize("stop", [("e",), ("the", "5"), ()])
    def test_stop_strings(self, engine: EngineFactory, policy: PreTrainedModel, stop: tuple[str, ...]) -> None:
        tokenizer = small_tokenizer()
        made = engine(policy, tokenizer)
        prompts = [(5, 9, 11), (7, 8)]
        free = made.generate(prompts, Sampling(n=64, max_tokens=45), seed=4)
        # A pair of characters that some response really holds, most likely spelled by two tokens.
        stop = stop or (next(iter(re.findall(r"[!-~]{2}", " ".join(free.texts)))), "never said")
        stopped = made.generate(prompts, Sampling(n=64, max_tokens=45, stop=stop), seed=4)
        cut = 0
        for index, (long, short) in enumerate(zip(free.split(free.tokens), stopped.split(stopped.tokens), strict=True)):
            ids = long.tolist()
            texts = [tokenizer.decode(ids[:k], skip_special_tokens=True) for k in range(1, len(ids) + 1)]
            length = next((k for k, text in enumerate(texts, 1) if any(s in text for s in stop)), None)
            if length is None:
                assert short.tolist() == ids
                continue
            cut += 1
            assert short.tolist() == ids[:length]
            assert stopped.stopped[index]
            text = texts[length - 1]
            assert stopped.texts[index] == text[: min(text.find(s) for s in stop if s in text)]
        assert cut > 0

    def test_padding_rows_of_the_head_are_never_drawn(self, engine: EngineFactory) -> None:
        policy = small_policy("llama")
        vocabulary = len(small_tokenizer())
        with torch.no_grad():
            policy.lm_head.weight[vocabulary:] = 100 * policy.lm_head.weight[2]
            policy.lm_head.weight[vocabulary + 1 :: 2] *= -1
        for temperature in (0.0, 2.0):
            sampling = Sampling(n=32, max_tokens=20, temperature=temperature)
            rollouts = engine(policy, small_tokenizer()).generate([(5, 9)], sampling, seed=0)
            assert rollouts.tokens.max() < vocabulary

    def test_update_weights_replaces_all_weights(self, engine: EngineFactory) -> None:
        first, second = small_policy(seed=0), small_policy(seed=1)
        sampling = Sampling(n=4, max_tokens=10)
        made = engine(first, small_tokenizer())
        before = made.generate(EQUAL_PROMPTS, sampling, seed=0)
        made.update_weights(second)
        after = made.generate(EQUAL_PROMPTS, sampling, seed=0)
        assert before.texts != after.texts
        assert_same(after, engine(second, small_tokenizer()).generate(EQUAL_PROMPTS, sampling, seed=0))

    def test_an_adapter_is_merged_into_the_weights(self, engine: EngineFactory) -> None:
        policy, sampling = small_policy("llama"), Sampling(n=4, max_tokens=10)
        plain = engine(policy, small_tokenizer()).generate(EQUAL_PROMPTS, sampling, seed=0)
        add_adapter(policy, LoRAConfig(rank=4, alpha=8))
        made = engine(policy, small_tokenizer())
        assert_same(plain, made.generate(EQUAL_PROMPTS, sampling, seed=0))  # it starts as its base
        with torch.no_grad(), torch.random.fork_rng():
            torch.manual_seed(0)
            for name, parameter in policy.named_parameters():
                if ".lora_B." in name:
                    parameter.normal_(std=0.05)
        made.update_weights(policy)
        rollouts = made.generate(EQUAL_PROMPTS, sampling, seed=0)
        assert rollouts.texts != plain.texts
        expected = expected_logprobs(policy, rollouts, sampling)
        torch.testing.assert_close(rollouts.logprobs, expected, atol=1e-4, rtol=0)

    def test_engine_owns_its_weights(self, engine: EngineFactory) -> None:
        policy = small_policy()
        made = engine(policy, small_tokenizer())
        before = made.generate(EQUAL_PROMPTS, Sampling(max_tokens=10), seed=0)
        with torch.no_grad():
            for parameter in policy.parameters():
                parameter.zero_()
        assert_same(before, made.generate(EQUAL_PROMPTS, Sampling(max_tokens=10), seed=0))

    def test_frequencies_follow_the_softmax(self, engine: EngineFactory) -> None:
        policy, count = small_policy(sharpness=2.0), 20_000
        rollouts = engine(policy, small_tokenizer(), max_batch=4096).generate(
            [(5, 9, 11)], Sampling(n=count, max_tokens=1, temperature=0.7), seed=0
        )
        with torch.no_grad():
            logits = policy(torch.tensor([[5, 9, 11]])).logits[0, -1, : len(small_tokenizer())]
        expected = count * (logits.double() / 0.7).softmax(0)
        observed = torch.bincount(rollouts.tokens, minlength=len(expected)).double()
        common = expected >= 5
        cells = [(observed[common], expected[common]), (observed[~common].sum()[None], expected[~common].sum()[None])]
        chi_square = sum(((seen - hoped).square() / hoped).sum().item() for seen, hoped in cells)
        freedom = int(common.sum())
        assert freedom > 20
        # Mean k, variance 2k: five standard deviations.
        assert abs(chi_square - freedom) < 5 * math.sqrt(2 * freedom)

    def test_progress_counts_up_to_all(self, engine: EngineFactory, policy: PreTrainedModel) -> None:
        seen: list[tuple[int, int]] = []
        made = engine(policy, small_tokenizer(), max_batch=6)
        made.generate(
            UNEQUAL_PROMPTS, Sampling(n=4, max_tokens=20), 0, lambda finished, asked: seen.append((finished, asked))
        )
        finished = [pair[0] for pair in seen]
        assert {pair[1] for pair in seen} == {16}
        assert finished == sorted(set(finished))
        assert finished[-1] == 16

    def test_too_long_and_empty_prompts_are_refused(self, engine: EngineFactory) -> None:
        made = engine(small_policy(), small_tokenizer())
        made.generate([(5,) * 120], Sampling(max_tokens=8), seed=0)
        with pytest.raises(UserError, match=r"121 tokens.*128 positions"):
            made.generate([(5,), (5,) * 121], Sampling(max_tokens=8), seed=0)
        with pytest.raises(UserError, match="row 1 is empty"):
            made.generate([(5,), ()], Sampling(max_tokens=8), seed=0)

    def test_autocast_around_it_changes_nothing(self, engine: EngineFactory, policy: PreTrainedModel) -> None:
        made = engine(policy, small_tokenizer())
        plain = made.generate(UNEQUAL_PROMPTS, Sampling(max_tokens=10), seed=0)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            inside = made.generate(UNEQUAL_PROMPTS, Sampling(max_tokens=10), seed=0)
        assert torch.equal(plain.logprobs, inside.logprobs)

    def test_results_may_take_part_in_training(self, engine: EngineFactory, policy: PreTrainedModel) -> None:
        rollouts = engine(policy, small_tokenizer()).generate([(5, 9)], Sampling(max_tokens=4), seed=0)
        weight = torch.ones(len(rollouts.logprobs), requires_grad=True)
        (weight * rollouts.logprobs).sum().backward()
        torch.testing.assert_close(weight.grad, rollouts.logprobs)

    def test_close_twice(self, engine: EngineFactory) -> None:
        made = engine(small_policy(), small_tokenizer())
        made.close()
        made.close()
        assert isinstance(made, RolloutEngine)
