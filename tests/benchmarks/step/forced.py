"""Responses of wanted lengths, the same on both sides: the end token is ruled out before its time, and at its time all others.

Between the model's logits and the draw: a wrapper around our engine's decoder, and the same as a processor of transformers.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from lit_rlvr.rollout.transformers_engine import TransformersEngine

RULED_OUT = -1e4
"""No token with this logit is ever drawn, and it is a number in every precision."""


def force(logits: Tensor, wanted: Tensor, number: int, ends: Sequence[int], limit: int) -> Tensor:
    """Change logits in place so that rows end when they are wanted to.

    Args:
        logits: [B, V] of each row's next token.
        wanted: [B] int64 on CPU, tokens that each response is to have.
        number: of the next token in its response, counted from 1.
        ends: end tokens.
        limit: a response of this length is cut, and has no end token.
    """
    logits[:, list(ends)] = RULED_OUT
    ending = ((wanted == number) & (wanted < limit)).nonzero()[:, 0]
    if len(ending):
        logits[ending] = RULED_OUT
        logits[ending, ends[0]] = 0.0
    return logits


class ForcedDecoder:
    """A decoder of ours, with forced lengths."""

    def __init__(self, decoder: Any, lengths: Sequence[int], ends: Sequence[int]) -> None:
        self._decoder, self._lengths, self._ends = decoder, torch.tensor(lengths), ends

    def __getattr__(self, name: str) -> Any:
        return getattr(self._decoder, name)

    def begin(self, prompts: Sequence[Sequence[int]], counts: Sequence[int], max_tokens: int, room: int) -> Tensor:
        """The rollouts of a step, in one batch; or the tripwire's few tokens, which never end."""
        assert len(prompts) == 1
        rows, probe = counts[0], torch.full((counts[0],), max_tokens)
        self._wanted = self._lengths if rows == len(self._lengths) else probe
        self._number, self._limit = 1, max_tokens
        return force(self._decoder.begin(prompts, counts, max_tokens, room), probe[:1], 1, self._ends, max_tokens)

    def step(self, tokens: Tensor) -> Tensor:
        """See ``Decoder``."""
        self._number += 1
        return force(self._decoder.step(tokens), self._wanted, self._number, self._ends, self._limit)

    def keep(self, index: Tensor) -> None:
        """See ``Decoder``."""
        self._wanted = self._wanted[index]
        self._decoder.keep(index)


class ForcedEngine(TransformersEngine):
    """Our engine, with forced lengths."""

    def __init__(self, lengths: Sequence[int], **settings: Any) -> None:
        super().__init__(**settings)
        self.lengths = lengths

    def setup(self, *arguments: Any) -> None:
        """See ``RolloutEngine``."""
        super().setup(*arguments)
        self._decoder = ForcedDecoder(self._decoder, self.lengths, list(self._ends))


class ForcedProcessor:
    """What ``generate`` of transformers calls with the logits of every step."""

    def __init__(self, lengths: Sequence[int], prompt: int, ends: Sequence[int], limit: int) -> None:
        self._wanted, self._prompt, self._ends, self._limit = torch.tensor(lengths), prompt, ends, limit

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        """Logits to logits."""
        number = input_ids.shape[1] - self._prompt + 1
        return force(scores, self._wanted, number, self._ends, self._limit)
