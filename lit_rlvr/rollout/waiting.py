"""The responses of one call of the engine: which wait to begin or to go on, and what has been drawn of each.

To: `transformers_engine.py`, which takes one batch after the other, has it decoded and brings back what was drawn.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Batch:
    """Distinct prompts decoded together, and for each the ids of the samples that answer it.

    Attributes:
        prompts: token ids; with ``drawn`` tokens of the responses at their ends.
        samples: ids for each prompt.
        drawn: tokens of each response that are there already: those that go on do so from the same step.
    """

    prompts: list[tuple[int, ...]]
    samples: list[list[int]]
    drawn: int = 0

    @property
    def rows(self) -> list[tuple[int, tuple[int, ...]]]:
        """(sample, prompt) of each row."""
        groups = zip(self.prompts, self.samples, strict=True)
        return [(sample, prompt) for prompt, samples in groups for sample in samples]


@dataclass(frozen=True)
class Decoded:
    """What a batch drew, on CPU, in the order of its samples.

    Attributes:
        tokens: [T] int64, flat.
        logprobs: [T] float32, flat.
        lengths: [B] int64.
        stopped: [B] bool, False where the token limit cut the response, and where it waits.
        waiting: [B] bool, True where the response had to make room before its end.
        exhausted: the device was out of memory; all that had not ended waits.
    """

    tokens: Tensor
    logprobs: Tensor
    lengths: Tensor
    stopped: Tensor
    waiting: Tensor
    exhausted: bool


class Waiting:
    """The queue, and what has been drawn. Equal prompts stand together, so that each is computed once.

    Args:
        prompts: of R rows.
        n: samples of each; sample k of row r has the id ``r * n + k``.

    Attributes:
        tokens: of each sample so far, int64.
        logprobs: of each sample so far, float32.
        stopped: [R * n] bool, which have ended themselves.
        finished: samples that wait no more.
    """

    def __init__(self, prompts: Sequence[tuple[int, ...]], n: int) -> None:
        # From (tokens drawn already, prompt with them) to samples.
        self._samples: dict[tuple[int, tuple[int, ...]], list[int]] = {}
        for row, prompt in enumerate(prompts):
            self._samples.setdefault((0, prompt), []).extend(range(row * n, (row + 1) * n))
        total = len(prompts) * n
        self.tokens: list[Tensor] = [torch.empty(0, dtype=torch.int64)] * total
        self.logprobs: list[Tensor] = [torch.empty(0)] * total
        self.stopped = torch.zeros(total, dtype=torch.bool)
        self.finished = 0

    def __bool__(self) -> bool:
        return bool(self._samples)

    def take(self, most: int, fitting: Callable[[list[tuple[int, ...]], int, int], int]) -> Batch:
        """The next batch: what has got furthest, of that the longest prompts.

        Neighbours are then of similar length, and memory is needed early or never.

        Args:
            most: samples at once.
            fitting: how many rows of these (prompts, longest first; tokens drawn; rows wanted) find room, at least 1.
        """
        drawn = max(drawn for drawn, _ in self._samples)
        prompts = sorted((prompt for there, prompt in self._samples if there == drawn), key=len, reverse=True)
        batch = self._first(prompts, drawn, most)
        wanted = sum(map(len, batch.samples))
        batch = self._first(prompts, drawn, fitting(batch.prompts, drawn, wanted))
        for prompt, taken in zip(batch.prompts, batch.samples, strict=True):
            left = self._samples.pop((drawn, prompt))[len(taken) :]
            if left:
                self._samples[drawn, prompt] = left
        return batch

    def receive(self, batch: Batch, decoded: Decoded) -> None:
        """Take over what a batch drew; what has not ended waits again, behind a prompt that its tokens are part of."""
        lengths = decoded.lengths.tolist()
        pieces = decoded.tokens.split(lengths), decoded.logprobs.split(lengths)
        for (sample, prompt), waits, drawn, scored in zip(batch.rows, decoded.waiting.tolist(), *pieces, strict=True):
            self.tokens[sample] = torch.cat((self.tokens[sample], drawn))
            self.logprobs[sample] = torch.cat((self.logprobs[sample], scored))
            if waits:
                place = batch.drawn + len(drawn), (*prompt, *drawn.tolist())
                self._samples.setdefault(place, []).append(sample)
        self.stopped[[sample for sample, _ in batch.rows]] = decoded.stopped
        self.finished += int((~decoded.waiting).sum())

    def _first(self, prompts: list[tuple[int, ...]], drawn: int, rows: int) -> Batch:
        batch = Batch([], [], drawn)
        for prompt in prompts:
            if rows == 0:
                break
            batch.prompts.append(prompt)
            batch.samples.append(self._samples[drawn, prompt][:rows])
            rows -= len(batch.samples[-1])
        return batch
