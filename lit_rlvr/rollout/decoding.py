"""The decoding loop of one batch: draw a token per live row, see which rows have ended, drop them, go on."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from lit_rlvr.rollout.decoder import Decoder
from lit_rlvr.rollout.engine import Sampling
from lit_rlvr.rollout.sampling import draw, probabilities
from lit_rlvr.rollout.stopping import StopStrings
from lit_rlvr.seeding import sample_uniforms

# Steps between two looks at which rows have ended. On CPU a look is nearly free; elsewhere it waits for the device,
# and with stop strings it decodes text.
CPU_LOOK, DEVICE_LOOK = 1, 8
# Share of ended rows from which even a decoder that copies its whole cache had better drop them.
WORTH_COPYING = 1 / 8
# Uniforms drawn per sample at first; doubled as responses go on, so that a high limit costs nothing by itself.
FIRST_UNIFORMS = 64
# Logits turned into probabilities at once: the float64 cumulative sum of this many takes 0.5 GB.
DRAW_ELEMENTS = 1 << 26


@dataclass(frozen=True)
class Batch:
    """Distinct prompts decoded together, and for each the ids of the samples that answer it."""

    prompts: list[tuple[int, ...]]
    samples: list[list[int]]


@dataclass(frozen=True)
class Decoded:
    """Responses of a batch, on CPU, in the order of its samples.

    Attributes:
        tokens: [T] int64, flat.
        logprobs: [T] float32, flat.
        lengths: [B] int64.
        stopped: [B] bool, False where the token limit cut the response.
    """

    tokens: Tensor
    logprobs: Tensor
    lengths: Tensor
    stopped: Tensor


def decode(
    decoder: Decoder,
    batch: Batch,
    sampling: Sampling,
    seed: int,
    ends: Tensor,
    stop: StopStrings,
    report: Callable[[int], None],
) -> Decoded:
    """Decode one batch to its end.

    Args:
        decoder: holds the weights and the cache.
        batch: what to decode.
        sampling: how to draw.
        seed: of the random numbers, which belong to sample ids.
        ends: end tokens, int64, on the decoder's device.
        stop: stop strings, possibly none.
        report: called with the number of responses of this batch that have ended, when it grows.
    """
    device = ends.device
    look = DEVICE_LOOK if stop or device.type != "cpu" else CPU_LOOK
    share = 0.0 if decoder.keeps_cheaply else WORTH_COPYING
    counts = [len(samples) for samples in batch.samples]
    samples = [sample for group in batch.samples for sample in group]
    uniforms = None if sampling.temperature == 0 else _Uniforms(seed, samples, sampling.max_tokens, device)
    texts = _StopWatch(stop, len(samples))
    live = torch.arange(len(samples), device=device)
    done = torch.zeros(len(samples), dtype=torch.bool, device=device)
    record: list[tuple[Tensor, Tensor, Tensor]] = []
    reported = 0
    logits = decoder.begin(batch.prompts, counts, sampling.max_tokens)
    logits = logits.repeat_interleave(torch.tensor(counts, device=device), dim=0)
    for step in range(sampling.max_tokens):
        tokens, chosen = _draw(logits, sampling, None if uniforms is None else uniforms.column(step, live))
        record.append((live, tokens, chosen))
        done |= (tokens[:, None] == ends).any(dim=1)
        last = step + 1 == sampling.max_tokens
        if last or (step + 1) % look == 0:
            if stop:
                done |= texts.look(record, step + 1).to(device)
            ended = int(done.sum())
            finished = len(samples) - len(live) + (len(live) if last else ended)
            if finished > reported:
                reported = finished
                report(finished)
            if last or ended == len(live):
                break
            if ended > share * len(live):
                index = _survivors(done.cpu())
                decoder.keep(index)
                if uniforms is not None:
                    uniforms.keep(index)
                index = index.to(device)
                live, tokens, done = live[index], tokens[index], done[: len(index)].zero_()
        logits = decoder.step(tokens)
    decoder.end()
    return _assemble(record, ends, texts)


def _draw(logits: Tensor, sampling: Sampling, uniforms: Tensor | None) -> tuple[Tensor, Tensor]:
    rows = max(1, DRAW_ELEMENTS // logits.shape[1])
    if len(logits) <= rows:
        return draw(probabilities(logits, sampling), uniforms)
    parts = [
        draw(
            probabilities(logits[start : start + rows], sampling),
            None if uniforms is None else uniforms[start : start + rows],
        )
        for start in range(0, len(logits), rows)
    ]
    return torch.cat([tokens for tokens, _ in parts]), torch.cat([chosen for _, chosen in parts])


def _survivors(done: Tensor) -> Tensor:
    """Rows to keep, the last ones moved into the places of those that ended, so that few rows change place."""
    kept = ~done
    remaining = int(kept.sum())
    index = torch.arange(remaining)
    index[done[:remaining]] = remaining + kept[remaining:].nonzero()[:, 0]
    return index


class _Uniforms:
    """The random numbers of the live rows, drawn as far ahead as responses have got."""

    def __init__(self, seed: int, samples: list[int], limit: int, device: torch.device) -> None:
        self._seed, self._samples, self._limit, self._device = seed, samples, limit, device
        self._drawn = self._draw(samples, min(limit, FIRST_UNIFORMS))

    def _draw(self, samples: list[int], length: int) -> Tensor:
        # A step's numbers lie side by side, as they are read.
        return sample_uniforms(self._seed, samples, length).T.contiguous().to(self._device)

    def column(self, step: int, live: Tensor) -> Tensor:
        """[B] float64 for this step; ``live`` are the rows' places in the batch."""
        if step == len(self._drawn):
            samples = [self._samples[place] for place in live.tolist()]
            self._drawn = self._draw(samples, min(self._limit, 2 * step))
        return self._drawn[step, : len(live)]

    def keep(self, index: Tensor) -> None:
        into = (index != torch.arange(len(index))).nonzero()[:, 0]
        self._drawn[:, into.to(self._device)] = self._drawn[:, index[into].to(self._device)]


class _StopWatch:
    """Looks for stop strings in the responses from time to time and remembers where each first appeared."""

    def __init__(self, stop: StopStrings, rows: int) -> None:
        self._stop = stop
        self._tokens: list[list[int]] = [[] for _ in range(rows)] if stop else []
        self._seen = 0
        self.lengths: dict[int, int] = {}

    def look(self, record: list[tuple[Tensor, Tensor, Tensor]], steps: int) -> Tensor:
        """[B] bool on CPU: which of the live rows have spelled a stop string within the ``steps`` recorded ones."""
        live = record[-1][0].tolist()
        new = torch.stack([tokens for _, tokens, _ in record[self._seen : steps]], dim=1).tolist()
        for place, more in zip(live, new, strict=True):
            clear = len(self._tokens[place])
            self._tokens[place] += more
            if place not in self.lengths:
                found = self._stop.shortest(self._tokens[place], clear)
                if found is not None:
                    self.lengths[place] = found
        self._seen = steps
        return torch.tensor([place in self.lengths for place in live], dtype=torch.bool)


def _assemble(record: list[tuple[Tensor, Tensor, Tensor]], ends: Tensor, texts: _StopWatch) -> Decoded:
    """Turn the record of steps into flat responses, each cut after what ended it."""
    rows, steps = len(record[0][0]), len(record)
    heights = torch.tensor([len(live) for live, _, _ in record], device=ends.device)
    at = (
        torch.cat([live for live, _, _ in record]),
        torch.arange(steps, device=ends.device).repeat_interleave(heights),
    )
    tokens = torch.full((rows, steps), -1, dtype=torch.int64, device=ends.device)
    chosen = torch.ones(rows, steps, dtype=torch.float32, device=ends.device)
    tokens[at] = torch.cat([drawn for _, drawn, _ in record])
    chosen[at] = torch.cat([probability for _, _, probability in record])
    ended = torch.isin(tokens, ends)
    stopped = ended.any(dim=1).cpu()
    lengths = torch.where(stopped, ended.int().argmax(dim=1).cpu() + 1, steps)
    for place, length in texts.lengths.items():
        lengths[place] = min(length, int(lengths[place]))
        stopped[place] = True
    kept = torch.arange(steps) < lengths[:, None]
    return Decoded(tokens.cpu()[kept], chosen.log().cpu()[kept], lengths, stopped)
