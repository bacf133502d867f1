"""Rows that make room and go on later answer as if they had never been interrupted, and the cache stays within its room."""

import warnings
from collections.abc import Callable, Iterator

import pytest
import torch
from engine_suite import SHARED_PROMPTS, UNEQUAL_PROMPTS, assert_same, small_policy, small_tokenizer

from lit_rlvr.errors import UserError
from lit_rlvr.experience import Rollouts
from lit_rlvr.rollout import decoder_choice, llama_decoder, module_decoder, transformers_engine
from lit_rlvr.rollout.engine import Sampling
from lit_rlvr.rollout.llama_decoder import LlamaDecoder
from lit_rlvr.rollout.module_decoder import ModuleDecoder
from lit_rlvr.rollout.transformers_engine import TransformersEngine

PROMPTS = {"one": [(5, 9, 11)] * 2, "unequal": UNEQUAL_PROMPTS, "shared": SHARED_PROMPTS}
# Cached tokens; the responses of a test, all at their limit, would take three to five times as many.
ROOM = 500

Make = Callable[..., TransformersEngine]


@pytest.fixture(params=["fast", "general"])
def make(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Make:
    """Builds an engine with either decoder."""
    if request.param == "general":
        monkeypatch.setattr(decoder_choice, "SELF_CHECK_TOLERANCE", -1.0)

    def build(**settings: int) -> TransformersEngine:
        engine = TransformersEngine(**settings)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            engine.setup(small_policy(seed=1), small_tokenizer(), torch.device("cpu"))
        assert isinstance(engine.decoder, LlamaDecoder if request.param == "fast" else ModuleDecoder)
        return engine

    return build


def give_room(monkeypatch: pytest.MonkeyPatch, tokens: int) -> None:
    """As if this much of the free memory were left for the cache; it begins small, for responses are short here."""
    for module in (transformers_engine, llama_decoder):
        monkeypatch.setattr(module, "FIRST_COLUMNS", 8)
    monkeypatch.setattr(transformers_engine, "share_out", lambda free, rows, vocabulary, token_bytes: (rows, tokens))


def cache_tensors(decoder: object) -> Iterator[torch.Tensor]:
    """All that a decoder holds of the responses in flight."""
    if isinstance(decoder, LlamaDecoder):
        yield from (*decoder._keys, *decoder._values, *(tensor for pair in decoder._common for tensor in pair))
    elif isinstance(decoder, ModuleDecoder):
        for layer in () if decoder._cache is None else decoder._cache.layers:
            yield from (layer.keys, layer.values)


class Watch:
    """What the decoder of an engine was asked for, and how many tokens its cache held."""

    def __init__(self, engine: TransformersEngine, monkeypatch: pytest.MonkeyPatch) -> None:
        self.prompts: list[int] = []
        self.rows: list[int] = []
        self.held = 0
        decoder = engine.decoder
        for name in ("begin", "step", "keep"):
            monkeypatch.setattr(decoder, name, self._watched(decoder, name))

    def _watched(self, decoder: object, name: str) -> Callable[..., object]:
        method = getattr(decoder, name)

        def watched(*arguments: object) -> object:
            if name == "begin":
                prompts, counts = arguments[:2]
                self.prompts.append(max(map(len, prompts)))
                self.rows.append(sum(counts))
            result = method(*arguments)
            held = sum(tensor.nbytes for tensor in cache_tensors(decoder))
            self.held = max(self.held, held // decoder.token_bytes)
            return result

        return watched


def generate(engine: TransformersEngine, prompts: list[tuple[int, ...]], sampling: Sampling) -> Rollouts:
    seen: list[int] = []
    rollouts = engine.generate(prompts, sampling, 3, lambda finished, asked: seen.append(finished))
    assert seen == sorted(set(seen))
    assert seen[-1] == len(rollouts)
    return rollouts


@pytest.mark.parametrize(
    ("prompts", "settings"),
    [
        ("one", {"temperature": 0.6}),
        ("unequal", {"temperature": 0.6}),
        ("shared", {"temperature": 0.6, "top_p": 0.9}),
        ("unequal", {"temperature": 0.0}),
        ("one", {"stop": ("e", "5x")}),
        ("unequal", {"stop": ("e", "5x")}),
    ],
    ids=str,
)
def test_responses_that_made_room_are_the_same(
    make: Make, prompts: str, settings: dict[str, object], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = PROMPTS[prompts]
    sampling = Sampling(n=24 // len(asked), max_tokens=80, **settings)  # type: ignore[arg-type]
    whole = generate(make(), asked, sampling)
    give_room(monkeypatch, ROOM)
    engine = make()
    watch = Watch(engine, monkeypatch)
    assert_same(whole, generate(engine, asked, sampling))
    assert len(watch.rows) > 1
    assert max(watch.prompts) > max(map(len, asked))  # some went on behind what they had drawn
    assert ROOM / 2 < watch.held <= ROOM


@pytest.mark.parametrize("room", [0, 20])
def test_one_row_goes_on_beyond_the_room(make: Make, room: int, monkeypatch: pytest.MonkeyPatch) -> None:
    sampling = Sampling(n=1, max_tokens=30)
    whole = generate(make(), UNEQUAL_PROMPTS, sampling)
    give_room(monkeypatch, room)
    engine = make()
    watch = Watch(engine, monkeypatch)
    assert_same(whole, generate(engine, UNEQUAL_PROMPTS, sampling))
    assert watch.rows[0] == 1


def test_many_begin_though_few_may_reach_the_limit(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is reserved, and those that make room do so once for many steps."""
    give_room(monkeypatch, ROOM)
    engine = make()
    watch = Watch(engine, monkeypatch)
    generate(engine, [(5, 9, 11)], Sampling(n=24, max_tokens=80))
    assert watch.rows[0] == 24
    assert len(watch.rows) <= 8


def test_max_batch_still_splits(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    sampling = Sampling(n=6, max_tokens=40)
    whole = generate(make(), UNEQUAL_PROMPTS, sampling)
    give_room(monkeypatch, ROOM // 2)
    assert_same(whole, generate(make(max_batch=7), UNEQUAL_PROMPTS, sampling))


def test_a_named_limit_goes_before_the_memory(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    give_room(monkeypatch, 1)
    engine = make(max_batch_tokens=600)
    watch = Watch(engine, monkeypatch)
    generate(engine, [(5, 9, 11)], Sampling(n=16, max_tokens=57))
    assert watch.rows == [10, 6]


@pytest.mark.parametrize("where", ["begin", "step"])
@pytest.mark.parametrize("stop", [(), ("e", "5x")], ids=["free", "stop"])
def test_out_of_memory_halves_the_rows(
    make: Make, where: str, stop: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    """An estimate can be wrong."""
    sampling = Sampling(n=3, max_tokens=40, stop=stop)
    whole = generate(make(), UNEQUAL_PROMPTS, sampling)
    engine = make()
    method = getattr(engine.decoder, where)
    calls = 0

    def small(*arguments: object) -> object:
        nonlocal calls
        calls += 1
        if (sum(arguments[1]) if where == "begin" else len(arguments[0])) > 5 and calls % 11 in (0, 1):
            raise torch.OutOfMemoryError("full")
        return method(*arguments)

    monkeypatch.setattr(engine.decoder, where, small)
    monkeypatch.setattr(transformers_engine, "free_bytes", lambda device: None)
    assert_same(whole, generate(engine, UNEQUAL_PROMPTS, sampling))
    assert calls > 1


def test_out_of_memory_with_one_response_names_the_setting(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    engine = make()

    def full(tokens: torch.Tensor) -> torch.Tensor:
        raise torch.OutOfMemoryError("full")

    monkeypatch.setattr(engine.decoder, "step", full)
    with pytest.raises(UserError, match=r"single response of 30 tokens to a prompt of 2: lower sampling\.max_tokens"):
        engine.generate([(5, 9)], Sampling(n=8, max_tokens=30), seed=0)
    assert not list(cache_tensors(engine.decoder))


def test_long_prompts_are_read_in_parts(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    sampling = Sampling(n=3, max_tokens=6)
    whole = generate(make(), SHARED_PROMPTS + UNEQUAL_PROMPTS, sampling)
    for module in (llama_decoder, module_decoder):
        monkeypatch.setattr(module, "PREFILL_TOKENS", 16)
    assert_same(whole, generate(make(), SHARED_PROMPTS + UNEQUAL_PROMPTS, sampling))
