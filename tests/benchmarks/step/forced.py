"""Responses of wanted lengths, the same on both sides: the end token is ruled out before its time, and at its time all others.

Between the model's logits and the draw: a wrapper around our engine's decoder, and the same as a processor of transformers.
"""

from collections.abc import Sequence
from typing import Any
from unittest.mock import patch

import torch
from torch import Tensor

from lit_rlvr.experience import Rollouts
from lit_rlvr.rollout.decoding import decode
from lit_rlvr.rollout.engine import Progress, Sampling
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

    def __init__(self, decoder: Any, ends: Sequence[int]) -> None:
        self._decoder, self._ends = decoder, ends

    def __getattr__(self, name: str) -> Any:
        return getattr(self._decoder, name)

    def expect(self, wanted: Sequence[int] | None, drawn: int) -> None:
        """Say how long the responses of the batch that begins next are to be.

        Args:
            wanted: tokens of each row's response; None where they shall never end.
            drawn: tokens of each that an earlier batch has drawn.
        """
        self._lengths, self._drawn = wanted, drawn

    def begin(self, prompts: Sequence[Sequence[int]], counts: Sequence[int], max_tokens: int, *room: int) -> Tensor:
        """See ``Decoder``."""
        self._limit = self._drawn + max_tokens
        never = [self._limit] * sum(counts)
        self._wanted = torch.tensor(never if self._lengths is None else self._lengths)
        self._number = self._drawn + 1
        # Logits are those of distinct prompts. Equal ones begin together, and no response has but one token.
        first = self._wanted[torch.tensor([0, *counts[:-1]]).cumsum(0)]
        logits = self._decoder.begin(prompts, counts, max_tokens, *room)
        return force(logits, first, self._number, self._ends, self._limit)

    def step(self, tokens: Tensor) -> Tensor:
        """See ``Decoder``."""
        self._number += 1
        return force(self._decoder.step(tokens), self._wanted, self._number, self._ends, self._limit)

    def keep(self, index: Tensor) -> None:
        """See ``Decoder``."""
        self._wanted = self._wanted[index]
        self._decoder.keep(index)


class ForcedEngine(TransformersEngine):
    """Our engine, with forced lengths: sample i of a call for as many responses as there are lengths gets the i-th.

    Calls for another number are the tripwire's probes, whose responses never end.
    """

    def __init__(self, lengths: Sequence[int], **settings: Any) -> None:
        super().__init__(**settings)
        self.lengths = lengths

    def setup(self, *arguments: Any) -> None:
        """See ``RolloutEngine``."""
        super().setup(*arguments)
        self._decoder = ForcedDecoder(self._decoder, list(self._ends))

    def generate(
        self, prompts: Sequence[Sequence[int]], sampling: Sampling, seed: int, progress: Progress | None = None
    ) -> Rollouts:
        """See ``RolloutEngine``."""
        forced = len(prompts) * sampling.n == len(self.lengths)

        # Rows may be decoded in several batches, and in any order: only here it is known which samples they are.
        def decode_forced(decoder: Any, batch: Any, *others: Any) -> Any:
            samples = [sample for group in batch.samples for sample in group]
            wanted = [self.lengths[sample] for sample in samples] if forced else None
            decoder.expect(wanted, getattr(batch, "drawn", 0))
            return decode(decoder, batch, *others)

        with patch("lit_rlvr.rollout.transformers_engine.decode", decode_forced):
            return super().generate(prompts, sampling, seed, progress)


class ForcedProcessor:
    """What ``generate`` of transformers calls with the logits of every step."""

    def __init__(self, lengths: Sequence[int], prompt: int, ends: Sequence[int], limit: int) -> None:
        self._wanted, self._prompt, self._ends, self._limit = torch.tensor(lengths), prompt, ends, limit

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        """Logits to logits."""
        number = input_ids.shape[1] - self._prompt + 1
        return force(scores, self._wanted, number, self._ends, self._limit)
