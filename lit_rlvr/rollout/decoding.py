"""The decoding loop of one batch: draw a token per live row, see which rows have ended, drop them, go on.

Rows that the cache has no more room for are dropped too; what they have drawn is kept, and they go on in a later batch.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from lit_rlvr.rollout.decoder import Decoder
from lit_rlvr.rollout.engine import Sampling
from lit_rlvr.rollout.sampling import DRAW_ELEMENTS, draw, probabilities
from lit_rlvr.rollout.stopping import StopStrings
from lit_rlvr.rollout.waiting import Batch, Decoded
from lit_rlvr.seeding import sample_uniforms

# Steps between two looks at which rows have ended. On CPU a look is nearly free; elsewhere it waits for the device,
# and with stop strings it decodes text.
CPU_LOOK, DEVICE_LOOK = 1, 8
# Share of ended rows from which even a decoder that copies its whole cache had better drop them.
WORTH_COPYING = 1 / 8
# Uniforms drawn per sample at first; doubled as responses go on, so that a high limit costs nothing by itself.
FIRST_UNIFORMS = 64

_Record = list[tuple[Tensor, Tensor, Tensor]]
"""Of each step: the live rows' places in the batch, the tokens drawn, their probabilities."""


def decode(
    decoder: Decoder,
    batch: Batch,
    sampling: Sampling,
    seed: int,
    ends: Tensor,
    stop: StopStrings,
    report: Callable[[int], None],
    room: int,
) -> Decoded:
    """Decode one batch until each response has ended or makes room for others.

    Args:
        decoder: holds the weights and the cache.
        batch: what to decode.
        sampling: how to draw.
        seed: of the random numbers, which belong to sample ids.
        ends: end tokens, int64, on the decoder's device.
        stop: stop strings, possibly none.
        report: called with the number of responses of this batch that have ended, when it grows.
        room: tokens that the cache may hold.

    Raises:
        torch.OutOfMemoryError: memory does not suffice for a single response.
    """
    record: _Record = []
    texts = _StopWatch(stop, batch)
    exhausted = False
    try:
        _take_steps(decoder, batch, sampling, seed, ends, texts, report, room, record)
    except torch.OutOfMemoryError:
        if sum(map(len, batch.samples)) == 1:
            raise
        exhausted = True
    finally:
        decoder.end()
    if exhausted:
        texts.look(record)
    return _assemble(record, batch, sampling.max_tokens, ends, texts, exhausted)


def _take_steps(
    decoder: Decoder,
    batch: Batch,
    sampling: Sampling,
    seed: int,
    ends: Tensor,
    texts: "_StopWatch",
    report: Callable[[int], None],
    room: int,
    record: _Record,
) -> None:
    """The loop; what is drawn goes to ``record``."""
    device = ends.device
    look = DEVICE_LOOK if texts or device.type != "cpu" else CPU_LOOK
    share = 0.0 if decoder.keeps_cheaply else WORTH_COPYING
    counts = [len(samples) for samples in batch.samples]
    samples = [sample for group in batch.samples for sample in group]
    uniforms = None if sampling.temperature == 0 else _Uniforms(seed, samples, batch.drawn, sampling.max_tokens, device)
    live = torch.arange(len(samples), device=device)
    done = torch.zeros(len(samples), dtype=torch.bool, device=device)
    gone = reported = 0
    logits = decoder.begin(batch.prompts, counts, sampling.max_tokens - batch.drawn, room)
    logits = logits.repeat_interleave(torch.tensor(counts, device=device), dim=0)
    for step in range(batch.drawn, sampling.max_tokens):
        tokens, chosen = _draw(logits, sampling, None if uniforms is None else uniforms.column(step, live))
        record.append((live, tokens, chosen))
        done |= (tokens[:, None] == ends).any(dim=1)
        last = step + 1 == sampling.max_tokens
        crowded = not last and decoder.fitting(len(live)) < len(live)
        if last or crowded or (step + 1) % look == 0:
            if texts:
                done |= texts.look(record).to(device)
            ended = int(done.sum())
            finished = gone + (len(live) if last else ended)
            if finished > reported:
                reported = finished
                report(finished)
            if last or ended == len(live):
                return
            if crowded or ended > share * len(live):
                index = _survivors(done.cpu())
                index = index[: decoder.fitting(len(index))]
                decoder.keep(index)
                if uniforms is not None:
                    uniforms.keep(index)
                index, gone = index.to(device), gone + ended
                live, tokens, done = live[index], tokens[index], done[: len(index)].zero_()
        logits = decoder.step(tokens)


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

    def __init__(self, seed: int, samples: list[int], first: int, limit: int, device: torch.device) -> None:
        self._seed, self._samples, self._limit, self._device = seed, samples, limit, device
        self._drawn = self._draw(samples, min(limit, max(FIRST_UNIFORMS, 2 * first)))

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

    def __init__(self, stop: StopStrings, batch: Batch) -> None:
        self._stop = stop
        # In what was drawn before there is none, but one may begin there.
        self._tokens = [list(prompt[len(prompt) - batch.drawn :]) for _, prompt in batch.rows] if stop else []
        self._seen = 0
        self.lengths: dict[int, int] = {}

    def __bool__(self) -> bool:
        return bool(self._stop)

    def look(self, record: _Record) -> Tensor:
        """[B] bool on CPU: which of the live rows have spelled a stop string by now."""
        if not self or self._seen == len(record):
            return torch.zeros(0, dtype=torch.bool)
        live = record[-1][0].tolist()
        new = torch.stack([tokens for _, tokens, _ in record[self._seen :]], dim=1).tolist()
        for place, more in zip(live, new, strict=True):
            clear = len(self._tokens[place])
            self._tokens[place] += more
            if place not in self.lengths:
                found = self._stop.shortest(self._tokens[place], clear)
                if found is not None:
                    self.lengths[place] = found
        self._seen = len(record)
        return torch.tensor([place in self.lengths for place in live], dtype=torch.bool)


def _assemble(record: _Record, batch: Batch, limit: int, ends: Tensor, texts: _StopWatch, exhausted: bool) -> Decoded:
    """Turn the record of steps into flat responses, each cut after what ended it."""
    rows, steps = len(batch.rows), len(record)
    if not record:
        return Decoded(
            tokens=torch.empty(0, dtype=torch.int64),
            logprobs=torch.empty(0),
            lengths=torch.zeros(rows, dtype=torch.int64),
            stopped=torch.zeros(rows, dtype=torch.bool),
            waiting=torch.ones(rows, dtype=torch.bool),
            exhausted=exhausted,
        )
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
    lengths = torch.where(stopped, ended.int().argmax(dim=1).cpu() + 1, (tokens >= 0).sum(dim=1).cpu())
    for place, length in texts.lengths.items():
        lengths[place] = min(length - batch.drawn, int(lengths[place]))
        stopped[place] = True
    waiting = ~stopped & (batch.drawn + lengths < limit)
    kept = torch.arange(steps) < lengths[:, None]
    return Decoded(tokens.cpu()[kept], chosen.log().cpu()[kept], lengths, stopped, waiting, exhausted)
