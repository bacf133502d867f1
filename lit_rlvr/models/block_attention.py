"""Causal attention of many sequences behind one common prefix, on CPU: blocks of plain matrix products.

From: `models/packed_attention.py`. A pure function with a written gradient. The fused kernel for CPU goes back through
bfloat16 at a tenth of the speed of matrix products; this takes half its time, and no more than a block of scores ever
exists. In float32 the fused kernel is the faster one.
"""

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

BLOCK_SCORES = 2**21
"""Scores held at once (4 MiB in bfloat16), so that a block stays in a processor's cache from one pass to the next."""

BLOCK_ROWS = 128
"""Queries of a sequence in one block: those of a block compute at most this many scores in vain."""


def block_attention(
    query: Tensor, key: Tensor, value: Tensor, prefix_key: Tensor, prefix_value: Tensor, scale: float
) -> Tensor:
    """softmax(scale * Q K^T) V, where a query sees the whole prefix and its own sequence up to itself.

    Args:
        query: [B, L, heads, D].
        key: [B, L, key heads, D]; ``heads / key heads`` neighbouring query heads share a key head.
        value: like ``key``.
        prefix_key: [P, key heads, D]; P may be 0.
        prefix_value: like ``prefix_key``.
        scale: of the scores.

    Returns:
        [B, L, heads, D].
    """
    result: Tensor = _BlockAttention.apply(query, key, value, prefix_key, prefix_value, scale)
    return result


class _BlockAttention(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, query: Tensor, key: Tensor, value: Tensor, prefix_key: Tensor, prefix_value: Tensor, scale: float
    ) -> Tensor:
        out = torch.empty_like(query)
        with torch.autocast(query.device.type, enabled=False):
            for part, keys, values in _parts(query, key, value, prefix_key, prefix_value):
                for rows in _rows(query, len(prefix_key)):
                    probabilities = _probabilities(
                        _heads_first(query[part, rows], key), keys, rows, len(prefix_key), scale
                    )
                    seen = probabilities.shape[-1]
                    mixed = torch.bmm(probabilities, values[:, :seen])
                    out[part, rows] = _heads_last(mixed, out[part, rows].shape)
        ctx.save_for_backward(query, key, value, prefix_key, prefix_value)
        ctx.scale = scale
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_out: Tensor) -> tuple[Tensor | None, ...]:
        query, key, value, prefix_key, prefix_value = ctx.saved_tensors
        prefix, scale = len(prefix_key), ctx.scale
        grad_query, grad_key, grad_value = (torch.empty_like(x) for x in (query, key, value))
        # Sums over many sequences: in 16 bits the later ones would round away.
        exact = torch.promote_types(query.dtype, torch.float32)
        grad_prefix = [torch.zeros(x.shape, dtype=exact, device=x.device) for x in (prefix_key, prefix_value)]
        with torch.autocast(query.device.type, enabled=False):
            for part, keys, values in _parts(query, key, value, prefix_key, prefix_value):
                sums = [torch.zeros(x.shape, dtype=exact, device=x.device) for x in (keys, values)]
                for rows in _rows(query, prefix):
                    asked = _heads_first(query[part, rows], key)
                    said = _heads_first(grad_out[part, rows], key)
                    probabilities = _probabilities(asked, keys, rows, prefix, scale)
                    seen = probabilities.shape[-1]
                    sums[1][:, :seen] += torch.bmm(probabilities.mT, said)
                    slope = torch.bmm(said, values[:, :seen].mT)
                    slope = torch.ops.aten._softmax_backward_data(slope, probabilities, -1, slope.dtype)
                    sums[0][:, :seen] += torch.bmm(slope.mT, asked).mul_(scale)
                    mixed = torch.bmm(slope, keys[:, :seen]).mul_(scale)
                    grad_query[part, rows] = _heads_last(mixed, grad_query[part, rows].shape)
                for own, common, total in zip((grad_key, grad_value), grad_prefix, sums, strict=True):
                    whole = total.unflatten(0, (-1, key.shape[2])).transpose(1, 2)  # [b, P + L, key heads, D]
                    own[part] = whole[:, prefix:]
                    common += whole[:, :prefix].sum(0)
        return grad_query, grad_key, grad_value, *(x.to(query.dtype) for x in grad_prefix), None


def _parts(
    query: Tensor, key: Tensor, value: Tensor, prefix_key: Tensor, prefix_value: Tensor
) -> Iterator[tuple[slice, Tensor, Tensor]]:
    """Some sequences at a time, with their keys and values behind the prefix's: [b * key heads, P + L, D] each."""
    batch, length, heads, _ = query.shape
    seen = length + len(prefix_key)
    size = max(1, BLOCK_SCORES // (heads * min(length, BLOCK_ROWS) * seen))
    for start in range(0, batch, size):
        part = slice(start, min(start + size, batch))
        count = part.stop - part.start
        keys, values = (
            torch.cat((common.expand(count, *common.shape), own[part]), dim=1)
            .transpose(1, 2)
            .flatten(0, 1)
            .contiguous()
            for common, own in ((prefix_key, key), (prefix_value, value))
        )
        yield part, keys, values


def _rows(query: Tensor, prefix: int) -> Iterator[slice]:
    """Some queries of each sequence at a time: few enough for one sequence's scores to be a block."""
    length, heads = query.shape[1:3]
    size = max(1, min(BLOCK_ROWS, BLOCK_SCORES // (heads * (prefix + length))))
    for start in range(0, length, size):
        yield slice(start, min(start + size, length))


def _probabilities(asked: Tensor, keys: Tensor, rows: slice, prefix: int, scale: float) -> Tensor:
    """Of the keys up to the last one that the rows see: [b * key heads, group * rows, P + rows.stop]."""
    count, seen = rows.stop - rows.start, prefix + rows.stop
    hidden = asked.new_full((count, seen), float("-inf")).triu(prefix + rows.start + 1)
    hidden = hidden.repeat(asked.shape[1] // count, 1)
    scores = torch.baddbmm(hidden.expand(len(asked), -1, -1), asked, keys[:, :seen].mT, alpha=scale)
    return torch.softmax(scores, dim=-1)


def _heads_first(rows: Tensor, key: Tensor) -> Tensor:
    """[b, R, heads, D] -> [b * key heads, group * R, D]."""
    grouped = rows.unflatten(2, (key.shape[2], -1)).permute(0, 2, 3, 1, 4)
    return grouped.reshape(len(rows) * key.shape[2], -1, rows.shape[-1])


def _heads_last(mixed: Tensor, shape: torch.Size) -> Tensor:
    """[b * key heads, group * R, D] -> [b, R, heads, D], the given shape."""
    batch, rows, heads, size = shape
    group = mixed.shape[1] // rows
    return mixed.view(batch, heads // group, group, rows, size).permute(0, 3, 1, 2, 4).reshape(shape)
