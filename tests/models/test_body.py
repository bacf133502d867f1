"""The packed row against padded rows: which models take it, what a frozen one remembers, and what happens to the rest."""

import warnings
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import nn
from transformers import AutoConfig, AutoModelForCausalLM

from lit_rlvr.algorithms.packing import MicroBatch, lay_out
from lit_rlvr.models import body as module
from lit_rlvr.models.body import Body, chosen, padded_states, why_not_packed
from lit_rlvr.models.loading import RANDOM_SHAPE
from tests.builders import random_model, rollouts_of

PROMPT = (3, 4, 5, 6, 7)
RESPONSES = [[8, 9, 10, 1], [11], [12, 13, 14, 15, 16, 17, 1], [9, 9]]


def _batch(chosen: tuple[int, ...] = (2, 0, 3, 1)) -> MicroBatch:
    return lay_out(rollouts_of([PROMPT], RESPONSES, n=4), list(chosen))


def _config(architecture: str, **settings: object) -> AutoConfig:
    return AutoConfig.for_model(architecture, **RANDOM_SHAPE, vocab_size=48, **settings)  # type: ignore[no-any-return]


@pytest.mark.parametrize("architecture", ["qwen2", "llama", "qwen3", "mistral", "gemma3_text", "olmo2", "gpt_neox"])
def test_a_packed_row_is_right_for(architecture: str) -> None:
    assert why_not_packed(_config(architecture)) is None


@pytest.mark.parametrize("sizes", [(2, 0, 3, 1), (2,), (1,), (0, 0)])
@pytest.mark.parametrize("architecture", ["qwen2", "llama"])
def test_equals_padded_rows(architecture: str, sizes: tuple[int, ...]) -> None:
    body, batch = Body(random_model(architecture)), _batch(sizes)
    assert body.packs
    torch.testing.assert_close(body.hidden(batch), padded_states(body.model, batch)[batch.select], atol=1e-5, rtol=0)


def test_bfloat16_autocast_stays_near_float32() -> None:
    body, batch = Body(random_model()), _batch()
    exact = body.hidden(batch)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        coarse = body.hidden(batch)
        padded = padded_states(body.model, batch)[batch.select]
    assert (coarse - exact).norm() < 1.5 * (padded - exact).norm() < 0.06 * exact.norm()


def test_attention_that_cannot_be_packed_is_padded_with_a_warning() -> None:
    capped = AutoModelForCausalLM.from_config(_config("gemma2"))
    with pytest.warns(
        UserWarning, match="general, slower forward pass: for model type 'gemma2' its attention has softcap"
    ):
        body = Body(capped)
    assert not body.packs
    assert body.hidden(_batch()).shape == (14, 64)


def test_a_wrong_packed_row_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    right = module.packed_states
    monkeypatch.setattr(module, "packed_states", lambda model, batch: right(model, batch).roll(1, 0))
    monkeypatch.setattr(module, "_packs", {})
    assert "the packed one differs from it by" in str(why_not_packed(_config("qwen2")))


def test_a_window_shorter_than_a_sequence_is_kept_to() -> None:
    model = AutoModelForCausalLM.from_config(_config("mistral", sliding_window=10))
    body, long, short = Body(model), _batch((2,)), _batch((3,))
    assert body.packs
    for batch in (long, short):
        expected = model.base_model(batch.ids[None], use_cache=False).last_hidden_state[0]
        torch.testing.assert_close(body.hidden(batch), expected[batch.select], atol=1e-5, rtol=0)


def test_a_frozen_model_computes_a_prompt_once() -> None:
    body = Body(random_model()).requires_grad_(False)
    computed: list[int] = []
    body.model.get_input_embeddings().register_forward_hook(lambda m, i, out: computed.append(out.shape[1]))
    for sizes in ((2, 0), (3,), (1,), (2, 0, 3, 1)):
        batch = _batch(sizes)
        with torch.no_grad():
            states = body.hidden(batch)
            torch.testing.assert_close(states, padded_states(body.model, batch)[batch.select], atol=1e-5, rtol=0)
    # 5 + 6 + 3 tokens the first time, from then on nothing but the sequences; where there are none, the prompt after all.
    assert computed[::2] == [14, 1, 5, 10]
    other = lay_out(rollouts_of([(9, 8)], RESPONSES, n=4), [0])
    torch.testing.assert_close(body.hidden(other), padded_states(body.model, other)[other.select], atol=1e-5, rtol=0)


def test_a_layer_that_gets_copies_of_its_arguments_is_found_out() -> None:
    body = Body(random_model()).requires_grad_(False)

    def copied(
        layer: nn.Module, arguments: tuple[Any, ...], named: dict[str, Any]
    ) -> tuple[tuple[Any, ...], dict[str, Any]]:
        layout = named["layout"]
        return arguments, {**named, "layout": replace(layout, fill=None if layout.fill is None else dict(layout.fill))}

    hook = body.model.model.layers[1].register_forward_pre_hook(copied, with_kwargs=True)
    with torch.no_grad(), pytest.raises(RuntimeError, match="Of 2 attention layers only 1 remembered"):
        body.hidden(_batch())
    hook.remove()
    with torch.no_grad():
        body.hidden(_batch())
        assert body._remembered is not None
        del body._remembered.memory[1]
        with pytest.raises(KeyError):  # and not the whole row's attention joined with half a memory
            body.hidden(_batch())


def test_a_model_in_training_remembers_nothing() -> None:
    body, batch = Body(random_model()), _batch()
    with torch.no_grad():
        before = body.hidden(batch)
        for parameter in body.parameters():
            parameter.mul_(1.5)
        assert not torch.allclose(body.hidden(batch), before, atol=1e-3)


def test_without_a_layout_the_model_is_the_plain_one() -> None:
    model = random_model()
    ids, mask = torch.tensor([[0, 0, 3, 4], [5, 6, 7, 8]]), torch.tensor([[0, 0, 1, 1], [1, 1, 1, 1]])
    expected = model(ids, attention_mask=mask).logits
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        Body(model)
    torch.testing.assert_close(model(ids, attention_mask=mask).logits[:, 2:], expected[:, 2:])


def test_the_gradient_does_not_depend_on_how_threads_take_turns() -> None:
    batch = lay_out(rollouts_of([PROMPT], [[8, 9, 10, 11, 1]] * 64, n=64), list(range(64)))
    states = torch.randn(len(batch.ids), 256, generator=torch.Generator().manual_seed(0)).requires_grad_()
    weights = torch.randn(len(batch.select), 256, generator=torch.Generator().manual_seed(1))
    torch.set_num_threads(2)
    seen = [torch.autograd.grad((chosen(states, batch) * weights).sum(), states)[0] for _ in range(50)]
    assert all(torch.equal(one, seen[0]) for one in seen)
