"""The optimizers where the configuration names none."""

from collections.abc import Iterable

import torch
from torch import Tensor
from torch.optim import Optimizer


def adamw(parameters: Iterable[Tensor]) -> Optimizer:
    """The paper's optimizer."""
    return torch.optim.AdamW(parameters, lr=1e-6, betas=(0.9, 0.999), weight_decay=0.01)


def critic_adamw(parameters: Iterable[Tensor]) -> Optimizer:
    """The same for a critic, which has a new head to learn and may move ten times as far."""
    return torch.optim.AdamW(parameters, lr=1e-5, betas=(0.9, 0.999), weight_decay=0.01)
