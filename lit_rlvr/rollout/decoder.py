"""What the transformers engine asks of a decoder, and what the decoders have in common.

A decoder owns an inference copy of the weights and a key-value cache of the responses in flight. The engine
drives it: ``begin`` with some prompts, then ``step`` and ``keep`` until all responses have ended, then ``end``.
"""

from collections.abc import Sequence
from typing import Protocol

import torch
from torch import Tensor
from transformers import PreTrainedModel


class UnsupportedArchitectureError(Exception):
    """The fast decoder does not know this model; says why in a few words."""


class Decoder(Protocol):
    """One token per live row at a time, from an own copy of the weights."""

    keeps_cheaply: bool
    """Whether dropping a few rows costs little, so that it pays to do it as soon as one has ended."""

    def load(self, policy: PreTrainedModel) -> None:
        """Copy the policy's weights over the own ones. Collective where parameters are sharded."""

    def begin(self, prompts: Sequence[Sequence[int]], counts: Sequence[int], max_tokens: int) -> Tensor:
        """Prefill each of U distinct prompts once and give ``counts[u]`` adjacent rows to prompt u.

        Returns:
            [U, V] logits of the first response token, one row per distinct prompt.
        """

    def step(self, tokens: Tensor) -> Tensor:
        """Append one token to each live row: [B] int64 -> [B, V] logits of the next token."""

    def keep(self, index: Tensor) -> None:
        """Go on with the rows ``index`` ([B'] int64, on CPU, distinct): new row i is the old row index[i]."""

    def end(self) -> None:
        """Forget the responses in flight and free their cache."""


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
