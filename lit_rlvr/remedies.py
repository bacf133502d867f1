"""Which settings make a run fit a card: candidates, and combinations of them, tried by the same estimate."""

from dataclasses import replace
from itertools import combinations, product
from typing import NamedTuple

from lit_rlvr.estimate import Run, estimate
from lit_rlvr.models.shape import Shape

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
    """Find the first change, or the first combination of changes, that makes a run fit.

    First come those that leave the numbers as they are, alone and together, then each of the others with as few of them as will do.

    Args:
        shape: of the policy.
        run: of one process, too large.
        card: its bytes.
        rows: of this process, which more processes would share.
        paper: the aggregation is the one whose gradient depends on the micro-batch.
    """
    free, costly = _free(run), _costly(shape, run, rows, paper)
    for few in range(len(costly) + 1):
        for many in range(len(free) + 1):
            for kinds in product(combinations(costly, few), combinations(free, many)):
                for changes in product(*kinds[1], *kinds[0]):
                    changed = run
                    for change in changes:
                        changed = replace(changed, **change.values)  # type: ignore[arg-type]
                    if changed.shards > 1 and changed.moments == EIGHT_BIT_MOMENTS:
                        continue  # bitsandbytes takes no shards
                    memory = estimate(shape, changed)
                    if memory.over(card) <= 0 and memory.at_once > 0:
                        return Remedy(" and ".join(change.settings for change in changes), changed)
    return None


class _Change(NamedTuple):
    settings: str
    values: dict[str, object]


def _free(run: Run) -> list[list[_Change]]:
    """Kinds of changes that leave the numbers as they are, each with its forms, the mildest first."""
    kinds = []
    if not run.checkpointing:
        kinds.append([_Change("model.gradient_checkpointing true", {"checkpointing": True})])
    if run.engine == "vllm":
        if not run.sleep:
            kinds.append([_Change("model.engine.init_args.sleep true", {"sleep": True})])
        key = "model.engine.init_args.gpu_memory_utilization"
        kinds.append([_Change(f"{key} {v:g}", {"utilization": v}) for v in UTILIZATIONS if v < run.utilization])
    if run.processes > 1 and run.shards == 1:
        kinds.append([_Change("trainer.strategy fsdp2", _sharded(run, run.processes))])
    return kinds


def _costly(shape: Shape, run: Run, rows: int, paper: bool) -> list[list[_Change]]:
    """Kinds that change the numbers or need more machines."""
    kinds = []
    if run.moments > EIGHT_BIT_MOMENTS and not run.adapter:
        values: dict[str, object] = {"moments": EIGHT_BIT_MOMENTS, "step_bytes": 0.0}
        kinds.append([_Change("--config configs/optimizer/adamw_8bit.yaml", values)])
    if not run.adapter:
        kinds.append([_Change("--config configs/model/lora.yaml", _adapter(shape, run))])
    more = [n for n in DEVICES if n > run.processes and rows * run.processes % n == 0]
    kinds.append([_Change(f"trainer.strategy fsdp2 with trainer.devices {n}", _sharded(run, n)) for n in more])
    mean = "model.update.aggregation token-mean with " if paper else ""
    kinds.append(
        [
            _Change(f"{mean}model.update.micro_batch_tokens {tokens}", {"micro_batch_tokens": tokens})
            for tokens in MICRO_BATCHES
            if tokens < run.micro_batch_tokens
        ]
    )
    return kinds


def _adapter(shape: Shape, run: Run) -> dict[str, object]:
    """Adapters on all linear layers; without them the policy is its own reference."""
    ends = (
        2 * (shape.hidden + shape.queries) + 2 * (shape.hidden + shape.keys) + 3 * (shape.hidden + shape.intermediate)
    )
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
