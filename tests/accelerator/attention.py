"""Scaled dot-product attention on the device: the CPU's fused kernel where the CPU would take it, otherwise the plain form."""

from typing import Any

import torch
from torch import Tensor


def attend(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attn_mask: Tensor | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    *,
    scale: float | None = None,
    enable_gqa: bool = False,
) -> Tensor:
    """See ``torch.nn.functional.scaled_dot_product_attention``, which chooses a kernel for devices that it knows only.

    With the CPU's kernel the numbers are those of the CPU, and there is one call forward and one back, as on a GPU.
    """
    fused = False
    tensors = [tensor for tensor in (query, key, value, attn_mask) if tensor is not None]
    behind: list[Any] = [getattr(tensor, "behind", None) for tensor in (query, key, value, attn_mask)]
    if all(hasattr(tensor, "behind") for tensor in tensors):
        settings = {"scale": scale, "enable_gqa": enable_gqa}
        choice = torch._fused_sdp_choice(*behind, dropout_p, is_causal, **settings)
        fused = choice == torch.nn.attention.SDPBackend.FLASH_ATTENTION.value
    if not fused:  # or on two devices: what comes next refuses that
        mixed, _ = torch.ops.aten._scaled_dot_product_attention_math.default(
            query, key, value, attn_mask, dropout_p, is_causal, scale=scale, enable_gqa=enable_gqa
        )
        return mixed  # type: ignore[no-any-return]
    if attn_mask is not None and attn_mask.dtype == torch.bool:
        attn_mask = torch.zeros_like(attn_mask, dtype=query.dtype).masked_fill_(~attn_mask, float("-inf"))
    mixed, _ = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu.default(
        query, key, value, dropout_p, is_causal, attn_mask=attn_mask, scale=scale
    )
    return mixed  # type: ignore[no-any-return]
