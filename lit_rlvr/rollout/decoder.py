"""What the transformers engine asks of a decoder, and what the decoders have in common.

A decoder owns an inference copy of the weights and a key-value cache of the responses in flight. The engine
drives it: ``begin`` with some prompts, then ``step`` and ``keep`` until all responses have ended, then ``end``. Before a
step it asks how many rows still find room.
"""

from collections.abc import Sequence
from typing import Protocol

import torch
from torch import Tensor
from transformers import PreTrainedModel

from lit_rlvr.rollout.cache_room import UNBOUNDED, rows_at_once

# Prompt tokens per prefill forward: bounds its activations (at hidden 4096 and bfloat16, the gate-up activations of
# this many tokens take 1.5 GB).
PREFILL_TOKENS = 32768
# Response columns a cache has room for at first; it doubles as responses go on, since most end early.
FIRST_COLUMNS = 64


class UnsupportedArchitectureError(Exception):
    """The fast decoder does not know this model; says why in a few words."""


class Decoder(Protocol):
    """One token per live row at a time, from an own copy of the weights."""

    keeps_cheaply: bool
    """Whether dropping a few rows costs little, so that it pays to do it as soon as one has ended."""

    token_bytes: int
    """Of the cached keys and values of one token in all layers."""

    def load(self, policy: PreTrainedModel) -> None:
        """Copy the policy's weights over the own ones. Collective where parameters are sharded."""

    def split(self, prompts: Sequence[Sequence[int]]) -> tuple[int, int]:
        """(tokens of these prompts that are cached once for all, tokens that are cached for each row)."""

    def begin(
        self, prompts: Sequence[Sequence[int]], counts: Sequence[int], max_tokens: int, room: int = UNBOUNDED
    ) -> Tensor:
        """Prefill each of U distinct prompts once and give ``counts[u]`` adjacent rows to prompt u.

        Args:
            prompts: token ids.
            counts: rows of each.
            max_tokens: steps at most.
            room: tokens that the cache may hold; a single row goes beyond it.

        Returns:
            [U, V] logits of the first response token, one row per distinct prompt.
        """

    def fitting(self, rows: int) -> int:
        """How many of the live rows, if these are ``rows``, the next step has room for; at least 1."""

    def step(self, tokens: Tensor) -> Tensor:
        """Append one token to each live row: [B] int64 -> [B, V] logits of the next token."""

    def keep(self, index: Tensor) -> None:
        """Go on with the rows ``index`` ([B'] int64, on CPU, distinct): new row i is the old row index[i]."""

    def end(self) -> None:
        """Forget the responses in flight and free their cache."""


def rows_that_go_on(room: int, rows: int, columns: int, more: int, limit: int) -> int:
    """How many of ``rows`` rows may go on where a cache is full.

    All, if each can have ``more`` columns. Otherwise as few as can have twice as many, or all that they may ever need, so that
    the rest makes place once for many steps.

    Args:
        room: tokens that the cache may hold.
        rows: that are live.
        columns: cached tokens of each row.
        more: columns that are worth making the cache larger for.
        limit: columns that a row can ever need.
    """
    if rows * min(limit, columns + more) <= room:
        return rows
    return rows_at_once(room, rows, min(limit, 2 * columns))


def left_padded(prompts: Sequence[Sequence[int]], device: torch.device) -> tuple[Tensor, Tensor | None, Tensor]:
    """Prompts as one matrix, padded on the left so that all end in the last column.

    Returns:
        (ids [U, P] int64, real [U, P] bool or None where nothing is padding, positions [U, P] int64 from 0 at each
        prompt's first token).
    """
    width = max(len(prompt) for prompt in prompts)
    ids = torch.zeros(len(prompts), width, dtype=torch.int64)
    for row, prompt in enumerate(prompts):
        ids[row, width - len(prompt) :] = torch.tensor(prompt, dtype=torch.int64)
    starts = torch.tensor([width - len(prompt) for prompt in prompts])
    columns = torch.arange(width)
    positions = (columns - starts[:, None]).clamp_(min=0)
    real = columns >= starts[:, None] if bool((starts > 0).any()) else None
    return ids.to(device), None if real is None else real.to(device), positions.to(device)
