"""Count what one micro-batch takes on a GPU, forwards and backwards through our own code, with tensors that have no content.

Tensors on the device ``meta`` go through backward passes, too, but there are two things PyTorch does not do there, and this does:
autocast, and the choice of a fused attention kernel. `tests/test_estimate_counted.py` holds the first against real autocast.
"""

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers import AutoModelForCausalLM, PretrainedConfig, PreTrainedModel

from lit_rlvr.algorithms.packing import MicroBatch
from lit_rlvr.models import body
from lit_rlvr.models.critic import Critic
from lit_rlvr.models.lora import LoRAConfig, add_adapter
from lit_rlvr.models.policy import Policy
from tests.storage_peak import StoragePeak


class FusedAttention(torch.autograd.Function):
    """Keep for the backward pass what a GPU's fused kernels keep: queries, keys, values, output, log-sum-exp, and the mask."""

    @staticmethod
    def forward(ctx: Any, query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None) -> Tensor:
        out = torch.empty_like(query)
        # Whatever kernel it then is, scaled_dot_product_attention makes numbers of a mask first.
        bias = None if mask is None else mask.new_empty(mask.shape, dtype=query.dtype)
        ctx.save_for_backward(query, key, value, out, query.new_empty(query.shape[:-1], dtype=torch.float32), bias)
        return out

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        query, key, value, *_ = ctx.saved_tensors
        return torch.empty_like(query), torch.empty_like(key), torch.empty_like(value), None


class Casts:
    """Do to a linear layer what ``torch.autocast`` does; products are all that it casts in our models.

    Casts of trained weights are made once and kept, as in autocast's cache.
    """

    def __init__(self) -> None:
        self._linear = F.linear
        self._kept: dict[int, Tensor] = {}

    def linear(self, *tensors: Tensor | None) -> Tensor:
        """Multiply in bfloat16."""
        return self._linear(*(self._cast(tensor) for tensor in tensors))  # type: ignore[arg-type]

    def _cast(self, tensor: Tensor | None) -> Tensor | None:
        if tensor is None or tensor.dtype != torch.float32:
            return tensor
        if not (tensor.is_leaf and tensor.requires_grad):
            return tensor.to(torch.bfloat16)
        if id(tensor) not in self._kept:
            self._kept[id(tensor)] = tensor.to(torch.bfloat16)
        return self._kept[id(tensor)]


@contextmanager
def on_meta(half: bool) -> Iterator[None]:
    """Compute on the device meta, in bfloat16 over float32 weights or in float32 alone.

    Functions are replaced, for a ``TorchFunctionMode`` is off in backward passes, where checkpoints compute layers again.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(F, "scaled_dot_product_attention", _fused)
        if half:
            patch.setattr(F, "linear", Casts().linear)
        patch.setattr(torch, "is_autocast_enabled", lambda kind=None: half)
        patch.setattr(torch, "get_autocast_dtype", lambda kind: torch.bfloat16)
        patch.setattr(torch, "autocast", lambda *_, **__: nullcontext())
        patch.setattr(body, "why_not_packed", lambda config: None)  # it computes; other tests try these architectures
        yield


def _fused(query: Tensor, key: Tensor, value: Tensor, attn_mask: Tensor | None = None, **_: Any) -> Tensor:
    result: Tensor = FusedAttention.apply(query, key, value, attn_mask)
    return result


def micro_batch(prompt: int, lengths: tuple[int, ...], device: str = "meta") -> MicroBatch:
    """Lay out responses without content behind a prompt: every position but the prompt's own predicts a token."""
    tokens = sum(lengths)
    where = torch.arange(prompt - 1, prompt + tokens - 1, device=device)
    ids = torch.zeros(prompt + tokens, dtype=torch.int64, device=device)
    targets = torch.zeros(tokens, dtype=torch.int64, device=device)
    return MicroBatch(ids, prompt, lengths, where, targets, targets)


def counted(
    config: PretrainedConfig,
    batch: MicroBatch,
    *,
    half: bool = True,
    checkpointing: bool = False,
    sharded: bool = False,
    critic: bool = False,
    lora: LoRAConfig | None = None,
    temperature: float = 0.6,
) -> int:
    """Bytes at the peak of a micro-batch, besides weights and gradients, which are there before and after.

    Args:
        config: of the policy.
        batch: on the device meta.
        half: products in bfloat16.
        checkpointing: recompute each layer's activations.
        sharded: as FSDP2 gathers a layer: in bfloat16, so there is nothing to cast.
        critic: run one of the policy's size beside it.
        lora: train adapters alone.
        temperature: of the log-probs.
    """
    with on_meta(half):
        model = _model(config)
        if lora is not None:
            model.requires_grad_(False)
            add_adapter(model, lora)
        models: list[nn.Module] = [Policy(model, config.get_text_config().vocab_size, checkpointing).train()]
        if critic:
            models.append(Critic(_model(config), checkpointing).to("meta").train())
        if sharded:
            for layer in (
                layer
                for one in models
                for layer in one.modules()
                if type(layer).__name__ in one.model._no_split_modules
            ):
                layer.to(torch.bfloat16)
        return micro_batch_peak(models, batch, temperature)


def _model(config: PretrainedConfig) -> PreTrainedModel:
    with torch.device("meta"):
        return AutoModelForCausalLM.from_config(config, dtype=torch.float32)


def micro_batch_peak(models: list[nn.Module], batch: MicroBatch, temperature: float) -> int:
    """The same of models that are there, on whatever device, under whatever autocast."""
    peak = StoragePeak()
    for parameter in [parameter for model in models for parameter in model.parameters()]:
        peak.leave_out(parameter)
        if parameter.requires_grad:
            parameter.grad = torch.zeros_like(parameter)
            peak.leave_out(parameter.grad)
    with peak:
        logprobs, entropy = models[0](batch, temperature)
        loss = logprobs.sum() - 0.001 * entropy.sum()
        for critic in models[1:]:
            loss = loss + critic(batch).sum()
        loss.backward()
    return peak.peak
