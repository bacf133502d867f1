"""Which settings are refused, and the strategy that is ours."""

import os
from typing import Any

import pytest
import torch
from lightning import Trainer
from lightning.pytorch.strategies import FSDPStrategy, StrategyRegistry
from lightning.pytorch.utilities import rank_zero_only

from lit_rlvr.errors import UserError
from lit_rlvr.training.strategies import FSDP2Strategy, refuse_unsupported, register


@pytest.mark.parametrize(
    ("trainer", "mend"),
    [
        ({"strategy": "fsdp"}, "use fsdp2"),
        ({"strategy": "fsdp_cpu_offload"}, "use fsdp2"),
        ({"strategy": {"class_path": "lightning.pytorch.strategies.FSDPStrategy", "init_args": {}}}, "use fsdp2"),
        ({"strategy": "deepspeed_stage_3"}, "use ddp or fsdp2"),
        ({"precision": "bf16-true"}, "use bf16-mixed"),
        ({"precision": "16-true"}, "use bf16-mixed"),
    ],
)
def test_refused_with_the_mend(trainer: dict[str, Any], mend: str) -> None:
    with pytest.raises(UserError, match=mend):
        refuse_unsupported(trainer)


def test_an_instance_is_refused_too() -> None:
    with pytest.raises(UserError, match="fsdp2"):
        refuse_unsupported({"strategy": FSDPStrategy()})


def test_float16_is_for_a_gpu_with_or_without_ddp() -> None:
    for strategy in ("auto", "ddp"):
        refuse_unsupported({"strategy": strategy, "accelerator": "gpu", "precision": "16-mixed"})


@pytest.mark.parametrize("accelerator", ["cpu", "auto", None])
def test_float16_on_a_cpu_is_refused_for_what_would_come_in_its_place(
    accelerator: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.accelerator, "is_available", lambda: False)
    with pytest.raises(UserError, match="Lightning computes bf16-mixed on a CPU"):
        refuse_unsupported({"accelerator": accelerator, "precision": "16-mixed"})


@pytest.mark.parametrize(
    "strategy", ["auto", "ddp", "fsdp2", {"class_path": "lightning.pytorch.strategies.DDPStrategy"}]
)
@pytest.mark.parametrize("precision", [None, "32-true", "bf16-mixed"])
def test_supported(strategy: Any, precision: str | None) -> None:
    refuse_unsupported({"strategy": strategy, "precision": precision})


def test_as_many_devices_as_torchrun_started(monkeypatch: pytest.MonkeyPatch) -> None:
    refuse_unsupported({"devices": 1})
    monkeypatch.setenv("TORCHELASTIC_RUN_ID", "1")
    monkeypatch.setenv("WORLD_SIZE", "4")
    refuse_unsupported({"devices": 2, "num_nodes": 2})
    refuse_unsupported({"devices": "auto"})
    for trainer in ({"devices": 1}, {"devices": "4", "num_nodes": 2}):
        with pytest.raises(UserError, match="torchrun started 4 processes"):
            refuse_unsupported(trainer)


def test_fsdp2_is_registered_once() -> None:
    register()
    register()
    assert StrategyRegistry["fsdp2"]["strategy"] is FSDP2Strategy


@pytest.mark.parametrize("strategy", ["ddp", "fsdp2"])
def test_a_process_started_by_another_takes_its_share_of_the_cores(
    strategy: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    register()
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(6)), raising=False)
    monkeypatch.setenv("OMP_NUM_THREADS", "")  # so that it is put back however the launcher leaves it
    monkeypatch.delenv("OMP_NUM_THREADS")
    monkeypatch.setenv("LOCAL_RANK", "1")
    monkeypatch.setattr(rank_zero_only, "rank", 0)  # the trainer sets it, for the whole process
    launcher = Trainer(accelerator="cpu", devices=2, strategy=strategy, logger=False).strategy.launcher
    assert launcher is not None
    try:
        assert launcher.launch(torch.get_num_threads) == 3
    finally:
        torch.set_num_threads(1)
