"""Which settings make a run fit a card: candidates, and combinations of them, tried by the same estimate."""

from collections.abc import Iterator
from dataclasses import replace
from itertools import combinations
from typing import NamedTuple

from lit_rlvr.estimate import Run, Shape, estimate

EIGHT_BIT_MOMENTS = 2.1
"""Bytes per parameter of AdamW's states in 8 bits: two of a byte, and a scale for each block of them."""

UTILIZATIONS = (0.3, 0.25, 0.2, 0.15, 0.1)
MICRO_BATCHES = (16_000, 12_000, 8_000, 6_000, 4_000)
DEVICES = (2, 4, 8, 16)
LORA_RANK = 16
"""As `configs/model/lora.yaml` has it."""


class Remedy(NamedTuple):
    """A change of the run, and what the user writes for it."""

    settings: str
    run: Run


def remedy(shape: Shape, run: Run, card: float, rows: int, paper: bool) -> Remedy | None:
    """Find the first change that makes a run fit, or the first pair or more of them where one is not enough.

    Those come first that leave the numbers as they are.

    Args:
        shape: of the policy.
        run: of one process, too large.
        card: its bytes.
        rows: of this process, which more processes would share.
        paper: the aggregation is the one whose gradient depends on the micro-batch, which is then left as it is.
    """
    kinds = [kind for kind in _kinds(shape, run, rows, paper) if kind]
    for count in range(1, len(kinds) + 1):
        for chosen in combinations(kinds, count):
            for changes in _products(chosen):
                changed = run
                for change in changes:
                    changed = change.apply(changed)
                memory = estimate(shape, changed)
                if memory.over(card) <= 0 and memory.at_once > 0:
                    return Remedy(" and ".join(change.settings for change in changes), changed)
    return None


class _Change(NamedTuple):
    settings: str
    values: dict[str, object]

    def apply(self, run: Run) -> Run:
        return replace(run, **self.values)  # type: ignore[arg-type]


def _kinds(shape: Shape, run: Run, rows: int, paper: bool) -> Iterator[list[_Change]]:
    """For each kind of change its forms, the mildest first; none where it changes nothing."""
    if not run.checkpointing:
        yield [_Change("model.gradient_checkpointing true", {"checkpointing": True})]
    vllm = run.engine == "vllm"
    if vllm and not run.sleep:
        yield [_Change("model.engine.init_args.sleep true", {"sleep": True})]
    if vllm:
        lower = [value for value in UTILIZATIONS if value < run.utilization]
        yield [_Change(f"model.engine.init_args.gpu_memory_utilization {v:g}", {"utilization": v}) for v in lower]
    if run.moments > EIGHT_BIT_MOMENTS and not run.adapter:
        yield [_Change("--config configs/optimizer/adamw_8bit.yaml", {"moments": EIGHT_BIT_MOMENTS, "step_bytes": 0.0})]
    if not run.adapter:
        yield [_Change("--config configs/model/lora.yaml", _adapter(shape, run))]
    yield [
        _Change(f"trainer.strategy fsdp2 with trainer.devices {processes}", _sharded(run, processes))
        for processes in DEVICES
        if processes > run.shards and processes >= run.processes and rows * run.processes % processes == 0
    ]
    if not paper:
        fewer = [tokens for tokens in MICRO_BATCHES if tokens < run.micro_batch_tokens]
        yield [_Change(f"model.update.micro_batch_tokens {tokens}", {"micro_batch_tokens": tokens}) for tokens in fewer]


def _products(kinds: tuple[list[_Change], ...]) -> Iterator[tuple[_Change, ...]]:
    if not kinds:
        yield ()
        return
    for rest in _products(kinds[1:]):
        for first in kinds[0]:
            yield (first, *rest)


def _adapter(shape: Shape, run: Run) -> dict[str, object]:
    """Adapters on all linear layers; without them the policy is its own reference."""
    ends = 2 * (shape.hidden + shape.queries) + 2 * (shape.hidden + shape.keys) + 3 * (shape.hidden + shape.intermediate)
    return {"adapter": True, "trained": LORA_RANK * ends * shape.layers, "frozen": shape.parameters}


def _sharded(run: Run, processes: int) -> dict[str, object]:
    """Weights, gradients and moments divided between so many processes, and the responses too."""
    responses = max(1, run.responses * run.processes // processes)
    return {
        "shards": processes,
        "processes": processes,
        "responses": responses,
        "held_gradients": 0.0,
        "gradients": 4.0,
    }
