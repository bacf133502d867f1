"""The optimizers where the configuration names none, and those that cannot be had under FSDP2."""

from collections.abc import Iterable

import torch
from torch import Tensor
from torch.optim import Optimizer

from lit_rlvr.errors import UserError


def adamw(parameters: Iterable[Tensor]) -> Optimizer:
    """The paper's optimizer."""
    return torch.optim.AdamW(parameters, lr=1e-6, betas=(0.9, 0.999), weight_decay=0.01)


def critic_adamw(parameters: Iterable[Tensor]) -> Optimizer:
    """The same for a critic, which has a new head to learn and may move ten times as far."""
    return torch.optim.AdamW(parameters, lr=1e-5, betas=(0.9, 0.999), weight_decay=0.01)


def refuse_unshardable(optimizers: Iterable[Optimizer]) -> None:
    """Raise ``UserError`` for optimizers whose kernels take no sharded parameters; they would fail in their first step."""
    for optimizer in optimizers:
        if type(optimizer).__module__.startswith("bitsandbytes."):
            raise UserError(
                f"{type(optimizer).__name__} of bitsandbytes cannot step sharded parameters: use trainer.strategy ddp, or keep "
                "fsdp2 and name torch.optim.AdamW, whose moments fsdp2 divides between the processes."
            )
