"""The settings that a plan proposes where a run does not fit: the first that will do, those first that change no number."""

from dataclasses import replace
from typing import Any

import pytest

from lit_rlvr.estimate import Run, estimate
from lit_rlvr.models.shape import Shape
from lit_rlvr.remedies import remedy

SHAPE = Shape(1_543_714_304, 28, 1536, 1536, 256, 8960, 151_936)
RUN = Run(
    128, 3072, 1024, 24_000, half=True, engine_half=True, trained=SHAPE.parameters, frozen=SHAPE.parameters, on_cpu=False,
    checkpointing=True, engine="vllm", sleep=True, utilization=0.4, processes=8, shards=8,
)  # fmt: skip
"""The paper's recipe with 1.5B on eight cards."""


def _proposed(card: float, rows: int = 16, paper: bool = True, **settings: Any) -> str | None:
    run = replace(RUN, card=card * 1e9, **settings)
    assert estimate(SHAPE, run).over(card * 1e9) > 0 or estimate(SHAPE, run).at_once == 0
    found = remedy(SHAPE, run, card * 1e9, rows, paper)
    if found is None:
        return None
    assert estimate(SHAPE, found.run).over(card * 1e9) <= 0
    return found.settings


ONE: dict[str, Any] = {"processes": 1, "shards": 1, "responses": 1024}
DDP: dict[str, Any] = {"shards": 1, "held_gradients": 4.0}


@pytest.mark.parametrize(
    ("card", "settings", "proposed"),
    [
        (80, {"checkpointing": False}, "model.gradient_checkpointing true"),
        (40, {"sleep": False, "utilization": 0.6}, "model.engine.init_args.sleep true"),
        (40, {"utilization": 0.9}, "model.engine.init_args.gpu_memory_utilization 0.3"),
        (40, DDP, "trainer.strategy fsdp2"),
        (40, DDP | {"checkpointing": False}, "model.gradient_checkpointing true and trainer.strategy fsdp2"),
        (48, ONE, "--config configs/optimizer/adamw_8bit.yaml"),
        (40, ONE, "--config configs/model/lora.yaml"),
        (40, ONE | {"adapter": False, "moments": 0.0, "step_bytes": 4.0, "frozen": 3 * SHAPE.parameters}, "--config configs/model/lora.yaml"),
    ],
)  # fmt: skip
def test_the_first_that_makes_it_fit(card: float, settings: dict[str, Any], proposed: str) -> None:
    assert _proposed(card, **settings) == proposed


def test_smaller_micro_batches_say_what_they_need() -> None:
    lean: dict[str, Any] = {"adapter": True, "trained": 18_000_000, "moments": 8.0}
    # 17 rows cannot be shared out to more processes.
    assert _proposed(13, 17, **lean) == "model.update.aggregation token-mean with model.update.micro_batch_tokens 16000"
    assert _proposed(13, 17, paper=False, **lean) == "model.update.micro_batch_tokens 16000"


def test_nothing_helps_a_card_that_is_too_small() -> None:
    assert _proposed(4) is None
