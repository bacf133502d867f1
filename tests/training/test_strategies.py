"""Which settings are refused, and the strategy that is ours."""

import os
from typing import Any

import pytest
import torch
from lightning import LightningModule, Trainer
from lightning.pytorch.strategies import DDPStrategy, FSDPStrategy, StrategyRegistry
from lightning.pytorch.utilities import rank_zero_only
from torch.nn.parallel import DistributedDataParallel
from torch.utils.data import DataLoader

from lit_rlvr.errors import UserError
from lit_rlvr.training.parallel import Parallel
from lit_rlvr.training.strategies import DDPInBuckets, FSDP2Strategy, refuse_unsupported, register


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


class _Gradients(LightningModule):
    """Two backward passes and an update in each step, as ours are; looks at where the gradients are."""

    def __init__(self) -> None:
        super().__init__()
        self.automatic_optimization = False
        self.net = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.Linear(4, 2))
        self.storages: list[int] = []

    def training_step(self, batch: torch.Tensor, batch_idx: int) -> None:
        assert isinstance(self.trainer.strategy, DDPStrategy)
        optimizer = self.optimizers()
        self._look()
        assert not any(p.grad is not None and p.grad.any() for p in self.net.parameters())
        with self.trainer.strategy.block_backward_sync():
            self.manual_backward(self.net(batch).sum())
        self._look()
        self.manual_backward(self.net(batch).sum())
        self._look()
        optimizer.step()  # type: ignore[union-attr]
        optimizer.zero_grad(set_to_none=Parallel(self.trainer.strategy, self.device).drops_gradients)  # type: ignore[union-attr]

    def _look(self) -> None:
        gradients = [p.grad for p in self.net.parameters()]
        self.storages.append(len({-1 if g is None else g.untyped_storage().data_ptr() for g in gradients}))

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.net.parameters(), lr=0.1)


class _Garbage(DDPInBuckets):
    """What a wrapping on another stream may leave: a copy of memory that was no zero yet."""

    def _setup_model(self, model: torch.nn.Module) -> DistributedDataParallel:
        wrapped = super()._setup_model(model)
        for _, view in self._views:
            view.fill_(7.0)
        return wrapped


@pytest.mark.parametrize(
    ("strategy", "storages"), [("ddp", [1] * 6), (_Garbage(), [1] * 6), (DDPStrategy(), [1, 4, 4, 1, 4, 4])]
)
def test_gradients_live_in_the_buckets_of_ddp(strategy: Any, storages: list[int]) -> None:
    """Of the four parameters all gradients are views of one bucket, from before the first backward pass; not in plain DDP."""
    register()
    module = _Gradients()
    trainer = Trainer(
        max_epochs=1, accelerator="cpu", devices=1, strategy=strategy, logger=False, enable_checkpointing=False,
        enable_progress_bar=False, enable_model_summary=False,
    )  # fmt: skip
    trainer.fit(module, DataLoader(torch.ones(2, 3), batch_size=1))  # type: ignore[arg-type]
    assert module.storages == storages
