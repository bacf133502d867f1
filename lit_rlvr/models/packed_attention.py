"""Attention over one packed row: a prompt, then the sequences that go on from it, nothing padded.

From: `models/body.py`, which lays a micro-batch out in one row, so that every other layer computes each token once. To: the
attention layers of any transformers model that asks its configuration which attention to use.
"""

from dataclasses import dataclass
from itertools import accumulate
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers import AttentionInterface
from transformers.masking_utils import AttentionMaskInterface, sdpa_mask
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

from lit_rlvr.models.block_attention import block_attention

PACKED = "lit_rlvr_packed"
"""What the attention is called in a model's configuration. Without a layout it is sdpa."""


KeysAndValues = dict[int, tuple[Tensor, Tensor]]
"""Attention layer's number -> keys and values [prefix, key heads, D] of a prompt."""


class NotPackableError(Exception):
    """The model's attention is not plain causal attention; says why in a few words."""


@dataclass(frozen=True)
class Layout:
    """How the tokens of a packed row belong together.

    Attributes:
        prefix: tokens at its beginning that all sequences see; 0 for none.
        lengths: tokens of each sequence, in order.
        places: [N] int64, where the sequences' tokens stand in [B, longest], flattened; None where all are equally long.
        fill: each layer puts the prefix's keys and values there; None where nothing is to be kept.
        known: where each layer finds them; the row then holds no prefix. None where it does.
    """

    prefix: int
    lengths: tuple[int, ...]
    places: Tensor | None = None
    fill: KeysAndValues | None = None
    known: KeysAndValues | None = None

    @property
    def longest(self) -> int:
        """Tokens of the longest sequence."""
        return max(self.lengths, default=0)


def places_of(lengths: tuple[int, ...], device: torch.device) -> Tensor | None:
    """``Layout.places`` of sequences with these lengths."""
    longest = max(lengths, default=0)
    if longest * len(lengths) == sum(lengths):
        return None
    counts = torch.tensor(lengths)
    starts = torch.tensor([0, *accumulate(lengths[:-1])])
    within = torch.arange(int(counts.sum())) - starts.repeat_interleave(counts)
    return (torch.arange(len(counts)) * longest).repeat_interleave(counts).add_(within).to(device)


def packed_attention(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    scaling: float | None = None,
    dropout: float = 0.0,
    layout: Layout | None = None,
    **others: Any,
) -> tuple[Tensor, None]:
    """What transformers calls in each attention layer.

    Args:
        module: the layer.
        query: [1, heads, S, D].
        key: [1, key heads, S, D].
        value: like ``key``.
        attention_mask: ignored where there is a layout.
        scaling: of the scores.
        dropout: must be 0.
        layout: of the row; without one this is transformers' own sdpa.
        **others: settings of other kinds of attention.

    Returns:
        ([1, S, heads, D], None).

    Raises:
        NotPackableError: the layer wants a cap, sinks, dropout, or a window shorter than a sequence.
    """
    if layout is None:
        result: tuple[Tensor, None] = ALL_ATTENTION_FUNCTIONS["sdpa"](
            module, query, key, value, attention_mask, scaling=scaling, dropout=dropout, **others
        )
        return result
    odd = [name for name in ("softcap", "s_aux", "position_bias") if others.get(name) is not None]
    window = others.get("sliding_window")
    if window is not None and window < layout.prefix + layout.longest:
        odd.append(f"a window of {window} tokens")
    if odd or dropout:
        raise NotPackableError(f"its attention has {odd[0] if odd else 'dropout'}")
    kind = query.device.type
    if torch.is_autocast_enabled(kind):
        query, key, value = (x.to(torch.get_autocast_dtype(kind)) for x in (query, key, value))
    query, key, value = (x[0].transpose(0, 1) for x in (query, key, value))  # [S, heads, D]
    scale = query.shape[-1] ** -0.5 if scaling is None else scaling
    number = int(module.layer_idx)  # type: ignore[arg-type]
    outs = []
    if layout.known is not None:
        common = layout.known[number]  # a layer that is not there fails: the row has no prefix for it to compute
    else:
        common = key[: layout.prefix], value[: layout.prefix]
        if layout.prefix:
            mine, query, key, value = query[: layout.prefix], *(x[layout.prefix :] for x in (query, key, value))
            nothing = common[0][:0], common[1][:0]
            outs.append(_attend(mine[None], common[0][None], common[1][None], nothing, scale)[0])
        if layout.fill is not None:
            layout.fill[number] = common
    if len(query):
        outs.append(_sequences(query, key, value, common, layout, scale))
    return torch.cat(outs)[None], None


def _sequences(
    query: Tensor, key: Tensor, value: Tensor, common: tuple[Tensor, Tensor], layout: Layout, scale: float
) -> Tensor:
    """[N, heads, D]: each sequence over the prefix and itself. Padding stands behind, where no query looks."""
    shape = len(layout.lengths), layout.longest
    places = layout.places

    def rows(flat: Tensor) -> Tensor:
        if places is not None:
            flat = flat.new_zeros(shape[0] * shape[1], *flat.shape[1:]).index_copy(0, places, flat)
        return flat.unflatten(0, shape)

    mixed = _attend(rows(query), rows(key), rows(value), common, scale).flatten(0, 1)
    return mixed if places is None else mixed.index_select(0, places)


def _attend(query: Tensor, key: Tensor, value: Tensor, prefix: tuple[Tensor, Tensor], scale: float) -> Tensor:
    """See ``block_attention``; the prefix is its keys and values."""
    prefix_key, prefix_value = prefix
    if query.device.type == "cpu" and query.dtype == torch.bfloat16:
        return block_attention(query, key, value, prefix_key, prefix_value, scale)
    batch, length = query.shape[:2]
    mask = None
    if len(prefix_key):
        key = torch.cat((prefix_key.expand(batch, *prefix_key.shape), key), dim=1)
        value = torch.cat((prefix_value.expand(batch, *prefix_value.shape), value), dim=1)
        mask = torch.ones(length, key.shape[1], dtype=torch.bool, device=query.device).tril(len(prefix_key))
    query, key, value = (x.transpose(1, 2) for x in (query, key, value))
    group = query.shape[1] // key.shape[1]
    if mask is not None and group > 1:
        # With a mask, GPUs have no fused kernel for grouped heads: the plain one would keep every score.
        key, value = (x.repeat_interleave(group, dim=1) for x in (key, value))
    mixed = F.scaled_dot_product_attention(
        query, key, value, attn_mask=mask, is_causal=mask is None, scale=scale, enable_gqa=mask is None and group > 1
    )
    return mixed.transpose(1, 2)


AttentionInterface.register(PACKED, packed_attention)
AttentionMaskInterface.register(PACKED, sdpa_mask)
