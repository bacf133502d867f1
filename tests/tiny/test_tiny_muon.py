"""Muon: updates have singular values near 1, and it agrees with the textbook on a first step."""

import pytest
import torch
from torch import nn

from lit_rlvr.tiny.muon import Muon, orthogonalised


@pytest.mark.parametrize("shape", [(3, 16, 16), (2, 8, 24), (2, 24, 8)])
def test_singular_values_come_near_one_and_directions_stay(shape: tuple[int, ...]):
    generator = torch.Generator().manual_seed(0)
    matrices = torch.randn(shape, generator=generator)
    result = orthogonalised(matrices)
    assert torch.linalg.svdvals(result).max() < 1.3
    assert torch.linalg.svdvals(result).median() > 0.6
    u, _, v = torch.linalg.svd(matrices, full_matrices=False)
    core = u.mT @ result @ v.mT
    off_diagonal = core - torch.diag_embed(core.diagonal(dim1=-2, dim2=-1))
    assert off_diagonal.abs().max() < 1e-3


def test_first_step_is_minus_rate_times_orthogonal_factor_with_decay():
    generator = torch.Generator().manual_seed(1)
    start, gradient = torch.randn(12, 4, generator=generator), torch.randn(12, 4, generator=generator)
    weight = nn.Parameter(start.clone())
    weight.grad = gradient.clone()
    Muon([weight], lr=0.1, weight_decay=0.5).step()
    update = orthogonalised(gradient[None])[0] * (12 / 4) ** 0.5
    torch.testing.assert_close(weight.detach(), start * (1 - 0.05) - 0.1 * update, rtol=1e-4, atol=1e-5)


def test_descends():
    torch.manual_seed(0)
    target, weight = torch.randn(6, 6), nn.Parameter(torch.zeros(6, 6))
    optimizer = Muon([weight], lr=0.05)
    for step in range(100):
        # Every step has the same length whatever the gradient, so only a falling rate can settle.
        optimizer.param_groups[0]["lr"] = 0.15 * (1 - step / 100)
        optimizer.zero_grad()
        ((weight - target) ** 2).sum().backward()
        optimizer.step()
    assert ((weight - target) ** 2).mean() < 0.01 * (target**2).mean()
