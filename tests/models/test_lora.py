"""Adapters: the policy starts as its base, they alone are trained, off they leave the base, merged they are the policy."""

import sys
from typing import Any

import peft
import pytest
import torch
from torch import Tensor
from transformers import AutoModelForCausalLM, GPT2Config, PreTrainedModel

from lit_rlvr.algorithms.packing import MicroBatch, lay_out
from lit_rlvr.errors import UserError
from lit_rlvr.models.lora import LoRAConfig, WithoutAdapter, adapter_off, add_adapter, refuse_other_adapter, saved_state
from lit_rlvr.models.policy import Policy
from lit_rlvr.models.weights import fingerprint, is_adapter, named_weights, weight_names
from tests.builders import random_model, rollouts_of

PROMPT = (3, 4, 5, 6, 7)
RESPONSES = [[8, 9, 10, 1], [11], [12, 13, 14, 15, 16, 17, 1], [9, 9]]
RANK, ALPHA = 4, 6


def _plain(architecture: str) -> PreTrainedModel:
    """GPT-2 keeps its weights transposed, and has dropout."""
    if architecture != "gpt2":
        return random_model(architecture)
    config = GPT2Config(
        vocab_size=48,
        n_embd=32,
        n_layer=2,
        n_head=2,
        n_positions=64,
        initializer_range=0.2,
        bos_token_id=0,
        eos_token_id=1,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return AutoModelForCausalLM.from_config(config)


def _adapted(architecture: str = "qwen2", targets: Any = "all-linear", size: float = 0.1) -> PreTrainedModel:
    """A model whose adapters have been trained, as it were."""
    model = _plain(architecture)
    add_adapter(model, LoRAConfig(RANK, ALPHA, targets))
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if ".lora_B." in name:
                parameter.copy_(size * torch.randn(parameter.shape, generator=generator))
    return model


def _batch(share: bool = True) -> MicroBatch:
    return lay_out(rollouts_of([PROMPT], RESPONSES, n=4), [2, 0, 3, 1], share)


def _logprobs(model: PreTrainedModel, share: bool = True) -> Tensor:
    with torch.no_grad():
        return Policy(model, 48)(_batch(share), 0.7)[0]


@pytest.mark.parametrize("architecture", ["qwen2", "llama", "gpt2"])
def test_the_policy_starts_as_its_base(architecture: str) -> None:
    model = _plain(architecture).eval()
    before = _logprobs(model)
    generator = torch.random.get_rng_state()
    described = add_adapter(model, LoRAConfig(RANK, ALPHA), "some/base", seed=3)
    assert torch.equal(generator, torch.random.get_rng_state())
    assert torch.equal(_logprobs(model), before)
    assert described["fingerprint"] == fingerprint(_plain(architecture).named_parameters())
    assert (described["base"], described["seed"], described["transposed"]) == ("some/base", 3, architecture == "gpt2")
    trained = {name for name, parameter in model.named_parameters() if parameter.requires_grad}
    assert trained == {name for name, _ in model.named_parameters() if is_adapter(name)}
    assert len(trained) == 2 * 2 * (4 if architecture == "gpt2" else 7)  # A and B, layers, linear layers of each
    assert {parameter.dtype for parameter in model.parameters()} == {torch.float32}


def test_adapters_start_the_same_for_a_seed() -> None:
    def start(seed: int) -> Tensor:
        model = random_model()
        add_adapter(model, LoRAConfig(RANK, ALPHA), seed=seed)
        return torch.cat([value.flatten() for name, value in model.named_parameters() if ".lora_A." in name])

    assert torch.equal(start(0), start(0))
    assert not torch.equal(start(0), start(1))
    assert start(0).abs().max() > 0


@pytest.mark.parametrize("share", [True, False])
@pytest.mark.parametrize("targets", ["all-linear", ["v_proj", "layers.1.mlp.down_proj"]], ids=["all", "two"])
@pytest.mark.parametrize("architecture", ["qwen2", "llama"])
def test_merged_weights_in_a_plain_model_are_the_policy(architecture: str, targets: Any, share: bool) -> None:
    model = _adapted(architecture, targets)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    weights = dict(named_weights(model))
    assert list(weights) == weight_names(model) == [name for name, _ in random_model(architecture).named_parameters()]
    plain = random_model(architecture)
    base = _logprobs(plain, share)
    plain.load_state_dict(weights, strict=False)
    torch.testing.assert_close(_logprobs(plain, share), _logprobs(model, share), atol=2e-5, rtol=0)
    assert (base - _logprobs(model, share)).abs().max() > 0.05
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


@pytest.mark.parametrize("architecture", ["qwen2", "gpt2"])
def test_merged_weights_are_what_peft_merges(architecture: str) -> None:
    model = _adapted(architecture)
    with torch.autocast("cpu", torch.bfloat16):  # as within a training step
        weights = dict(named_weights(model))
    for layer in model.modules():
        if isinstance(layer, peft.tuners.lora.LoraLayer):
            layer.merge()
    theirs = [value for name, value in model.named_parameters() if not is_adapter(name)]
    assert len(weights) == len(theirs)
    for (name, ours), value in zip(weights.items(), theirs, strict=True):
        torch.testing.assert_close(ours, value, atol=1e-6, rtol=0, msg=name)


@pytest.mark.parametrize("architecture", ["qwen2", "gpt2"])
def test_off_it_is_the_base(architecture: str) -> None:
    policy = Policy(_adapted(architecture), 48).train()
    reference = WithoutAdapter(policy)
    trained = [parameter.requires_grad for parameter in policy.parameters()]
    with torch.enable_grad():
        logprobs, entropy = reference(_batch(reference.packs), 0.7)
    assert torch.equal(logprobs, _logprobs(_plain(architecture).eval()))
    assert not logprobs.requires_grad
    assert not entropy.requires_grad
    assert policy.training
    assert policy.model.training
    assert [parameter.requires_grad for parameter in policy.parameters()] == trained
    assert (logprobs - _logprobs(policy.model.eval())).abs().max() > 0.05


def test_an_error_leaves_the_adapter_on() -> None:
    model = _adapted().eval()
    before = _logprobs(model)
    with pytest.raises(ZeroDivisionError), adapter_off(model):
        _ = 1 / 0
    assert torch.equal(_logprobs(model), before)


@pytest.mark.parametrize("checkpointing", [False, True])
def test_gradients_are_those_of_the_sum(checkpointing: bool) -> None:
    """By the chain rule on W + s B A, from the gradient of a plain model with those weights."""
    model = _adapted("llama")
    plain = random_model("llama")
    plain.load_state_dict(dict(named_weights(model)), strict=False)
    for one in (model, plain):
        policy = Policy(one, 48, checkpointing).train()
        logprobs, _ = policy(_batch(policy.packs), 1.0)
        (torch.linspace(-1, 1, len(logprobs)) * logprobs).sum().backward()
    scale = ALPHA / RANK
    for name, layer in plain.named_modules():
        if "_proj" not in name:
            continue
        adapter = model.get_submodule(name)
        down, up = adapter.lora_A["default"].weight, adapter.lora_B["default"].weight  # type: ignore[index, union-attr]
        whole = layer.weight.grad
        torch.testing.assert_close(up.grad, scale * whole @ down.T, atol=1e-4, rtol=1e-3, msg=name)  # type: ignore[operator, union-attr]
        torch.testing.assert_close(down.grad, scale * up.T @ whole, atol=1e-4, rtol=1e-3, msg=name)  # type: ignore[operator, union-attr]
    assert not [name for name, value in model.named_parameters() if value.grad is not None and not is_adapter(name)]


def test_checkpoints_leave_the_base_out() -> None:
    state = {"rl_step": torch.zeros(()), "critic.model.layers.0.weight": torch.zeros(1)}
    policy = {f"policy.model.{name}": value for name, value in _adapted().state_dict().items()}
    kept = saved_state(state | policy, {"rank": RANK})
    assert kept.keys() == state.keys() | {name for name in policy if "lora_" in name}
    assert saved_state(state | policy, None).keys() == (state | policy).keys()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"rank": 0}, r"model\.lora\.rank is 0"),
        ({"alpha": 0}, r"model\.lora\.alpha is 0"),
        ({"targets": []}, r"model\.lora\.targets is empty"),
        ({"targets": ["q_proj", "q_prj"]}, r"'q_prj' is no linear layer .*down_proj, gate_proj"),
        ({"targets": ["lm_head"]}, "'lm_head' is no linear layer below the output layer"),
        ({"targets": ["embed_tokens"]}, "'embed_tokens' is no linear layer"),
        ({"targets": ["proj"]}, "'proj' is no linear layer"),
    ],
)
def test_nonsense_is_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        add_adapter(random_model("llama"), LoRAConfig(**settings))


def test_without_peft_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "peft", None)
    with pytest.raises(UserError, match=r"pip install 'lit-rlvr\[lora\]'"):
        LoRAConfig()


OURS = {"rank": 4, "alpha": 8, "targets": ["q_proj"], "base": "a", "fingerprint": "0a"}


@pytest.mark.parametrize(
    ("theirs", "ours", "message"),
    [
        (None, OURS, "model.lora is set"),
        (OURS, None, "rank 4, alpha 8"),
        (OURS | {"rank": 8}, OURS, r"model\.lora\.rank is 4 and the checkpoint's is 8"),
        (OURS | {"alpha": 9}, OURS, r"model\.lora\.alpha is 8"),
        (OURS | {"targets": ["up_proj"]}, OURS, r"model\.lora\.targets is \['q_proj'\]"),
        (OURS | {"fingerprint": "0b", "base": "b"}, OURS, "a is not the base of the checkpoint's adapter, b"),
    ],
)
def test_another_adapter_is_not_resumed(theirs: Any, ours: Any, message: str) -> None:
    with pytest.raises(UserError, match=message):
        refuse_other_adapter(theirs, ours)


def test_the_same_adapter_is_resumed_wherever_its_base_lies() -> None:
    refuse_other_adapter(OURS | {"base": "moved"}, OURS)
    refuse_other_adapter(None, None)
