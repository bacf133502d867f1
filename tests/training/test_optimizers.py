"""Optimizers other than the default: what they change in the numbers, and that a run goes on with their states as they were."""

from collections.abc import Callable, Iterable
from importlib.util import find_spec
from pathlib import Path

import pytest
import torch
from lightning import Trainer
from torch import Tensor
from torch.optim import Optimizer

from lit_rlvr.algorithms.grpo import GRPO
from lit_rlvr.data.datamodule import OneShotDataModule
from lit_rlvr.errors import UserError
from lit_rlvr.models.export import read_checkpoint
from lit_rlvr.module import RLVRModule
from lit_rlvr.rewards.rewards import AnswerReward
from lit_rlvr.rollout.transformers_engine import TransformersEngine
from lit_rlvr.training.guard import GuardConfig
from lit_rlvr.training.kept_step import digest
from lit_rlvr.training.strategies import FSDP2Strategy
from tests.training.small_run import replayed, small_run

needs_bitsandbytes = pytest.mark.skipif(
    find_spec("bitsandbytes") is None, reason="needs bitsandbytes, of the 8bit extra"
)


def fused(parameters: Iterable[Tensor]) -> Optimizer:
    return torch.optim.AdamW(parameters, lr=1e-3, fused=True)


def in_8_bit(parameters: Iterable[Tensor]) -> Optimizer:
    from bitsandbytes.optim import AdamW8bit

    return AdamW8bit(parameters, lr=1e-3, weight_decay=0.01)


@pytest.mark.parametrize("optimizer", [fused, pytest.param(in_8_bit, marks=needs_bitsandbytes)])
def test_a_run_goes_on_and_a_step_is_done_again_bit_for_bit(
    optimizer: Callable[[Iterable[Tensor]], Optimizer], repository: Path, tmp_path: Path
) -> None:
    guard = GuardConfig(save_batches_every_n_rl_steps=2)
    whole = small_run(repository, tmp_path, TransformersEngine(), steps=3, optimizer=optimizer, guard=guard)
    checkpoint = tmp_path / "checkpoints" / "rl_step=2.ckpt"
    (state,) = read_checkpoint(checkpoint)["optimizer_states"]  # whatever reads checkpoints needs no package for it
    assert state["state"]
    later = small_run(
        repository, tmp_path / "b", TransformersEngine(), steps=3, optimizer=optimizer, checkpoint=str(checkpoint)
    )
    assert digest(later.state_dict()) == digest(whole.state_dict())
    again = replayed(repository, tmp_path, 2, None, optimizer=optimizer)
    assert again.after == again.kept.after


def _after_some_steps(optimizer: Callable[[Iterable[Tensor]], Optimizer], steps: int = 20) -> Tensor:
    """[65536] parameters that began at 0 and had the same gradients whoever stepped."""
    draw = torch.Generator().manual_seed(0)
    parameter = torch.zeros(256, 256, requires_grad=True)
    made = optimizer([parameter])
    size = torch.rand(256, 256, generator=draw) * 1e-2
    for _ in range(steps):
        parameter.grad = size * (1 + torch.randn(256, 256, generator=draw))
        made.step()
    return parameter.detach().flatten()


def test_fused_is_the_same_optimizer() -> None:
    plain = _after_some_steps(lambda parameters: torch.optim.AdamW(parameters, lr=1e-3))
    torch.testing.assert_close(_after_some_steps(fused), plain, atol=1e-7, rtol=1e-5)


@needs_bitsandbytes
def test_moments_of_8_bits_move_parameters_nearly_as_far() -> None:
    plain = _after_some_steps(lambda parameters: torch.optim.AdamW(parameters, lr=1e-3))
    coarse = _after_some_steps(in_8_bit)
    assert 0 < (coarse - plain).norm() < 0.1 * plain.norm()


@needs_bitsandbytes
def test_sharded_parameters_are_refused(repository: Path) -> None:
    tiny = str(repository / "checkpoints" / "tiny-base")
    module = RLVRModule(tiny, GRPO(), TransformersEngine(), AnswerReward(), optimizer=in_8_bit)
    trainer = Trainer(
        max_epochs=1, accelerator="cpu", devices=1, strategy=FSDP2Strategy(), logger=False, enable_checkpointing=False,
        enable_progress_bar=False, enable_model_summary=False,
    )  # fmt: skip
    with pytest.raises(UserError, match=r"AdamW8bit of bitsandbytes cannot step sharded.*strategy ddp"):
        trainer.fit(module, datamodule=OneShotDataModule(rows=2, rl_steps=1))
