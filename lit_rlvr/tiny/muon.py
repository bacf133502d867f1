"""Muon for pre-training: momentum whose matrices are orthogonalised before they are applied.

PyTorch has one too, but it orthogonalises in bfloat16, which costs more than the whole forward and backward pass on a
CPU without bfloat16 units; this one keeps float32 and treats matrices of one shape together.
"""

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn

# Quintic iteration x -> a x + b x^3 + c x^5 on the singular values (K. Jordan, "Muon", 2024): its slope at 0 is steep
# enough that five rounds bring all of them near 1.
_A, _B, _C = 3.4445, -4.7750, 2.0315
_ROUNDS = 5


def orthogonalised(matrices: Tensor) -> Tensor:
    """About the nearest matrix with orthonormal rows or columns, for each of a stack: [n, rows, columns]."""
    x = matrices.mT if matrices.shape[-2] > matrices.shape[-1] else matrices
    x = x / x.norm(dim=(-2, -1), keepdim=True).clamp_min(1e-7)
    for _ in range(_ROUNDS):
        square = x @ x.mT
        x = _A * x + (_B * square + _C * square @ square) @ x
    return x.mT if matrices.shape[-2] > matrices.shape[-1] else x


class Muon(torch.optim.Optimizer):
    """Nesterov momentum, orthogonalised, times sqrt(max(1, rows/columns)); decoupled weight decay. Matrices only."""

    def __init__(
        self, parameters: Iterable[nn.Parameter], lr: float, momentum: float = 0.95, weight_decay: float = 0.0
    ) -> None:
        super().__init__(parameters, {"lr": lr, "momentum": momentum, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:  # type: ignore[override]
        """One update of every parameter that has a gradient."""
        if closure is not None:
            raise ValueError("Muon takes no closure")
        for group in self.param_groups:
            shapes: dict[torch.Size, list[nn.Parameter]] = {}
            for parameter in group["params"]:
                if parameter.grad is not None:
                    shapes.setdefault(parameter.shape, []).append(parameter)
            for shape, alike in shapes.items():
                updates = orthogonalised(torch.stack([self._momentum(p, group["momentum"]) for p in alike]))
                scale = max(1.0, shape[0] / shape[1]) ** 0.5
                for parameter, update in zip(alike, updates, strict=True):
                    parameter.mul_(1 - group["lr"] * group["weight_decay"])
                    parameter.sub_(update, alpha=group["lr"] * scale)

    def _momentum(self, parameter: nn.Parameter, momentum: float) -> Tensor:
        gradient = parameter.grad
        assert gradient is not None
        state = self.state[parameter]
        average = state.setdefault("average", torch.zeros_like(parameter))
        average.lerp_(gradient, 1 - momentum)
        return gradient.lerp(average, momentum)
