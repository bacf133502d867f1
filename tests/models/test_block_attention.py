"""Blocks of matrix products against attention written out, with their gradients."""

import pytest
import torch

from lit_rlvr.models import block_attention as module
from lit_rlvr.models.block_attention import block_attention


def _inputs(batch: int, length: int, prefix: int, heads: int, key_heads: int, dtype: torch.dtype) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    shapes = [(batch, length, heads), (batch, length, key_heads), (batch, length, key_heads)]
    shapes += [(prefix, key_heads)] * 2
    return [torch.randn(*shape, 8, dtype=dtype, generator=generator).requires_grad_() for shape in shapes]


def _plain(query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, *prefix: torch.Tensor) -> torch.Tensor:
    """One query, one head at a time."""
    out = torch.empty_like(query)
    group = query.shape[2] // key.shape[2]
    for b, i, h in [(b, i, h) for b in range(len(query)) for i in range(query.shape[1]) for h in range(query.shape[2])]:
        keys, values = (
            torch.cat((common[:, h // group], own[b, : i + 1, h // group]))
            for common, own in zip(prefix, (key, value), strict=True)
        )
        out[b, i, h] = (0.3 * keys @ query[b, i, h]).softmax(0) @ values
    return out


@pytest.mark.parametrize(("scores", "rows"), [(2**21, 128), (60, 3), (10**9, 2)])
@pytest.mark.parametrize("prefix", [0, 5])
@pytest.mark.parametrize("key_heads", [2, 6])
def test_equals_attention_written_out(
    scores: int, rows: int, prefix: int, key_heads: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "BLOCK_SCORES", scores)
    monkeypatch.setattr(module, "BLOCK_ROWS", rows)
    inputs = _inputs(3, 7, prefix, 6, key_heads, torch.float64)
    ours = block_attention(*inputs, 0.3)
    theirs = _plain(*inputs)
    torch.testing.assert_close(ours, theirs)
    weights = torch.randn(ours.shape, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    found = torch.autograd.grad((weights * ours).sum(), inputs)
    expected = torch.autograd.grad((weights * theirs).sum(), inputs, allow_unused=prefix == 0)
    for a, b in zip(found, expected, strict=True):
        torch.testing.assert_close(a, torch.zeros_like(a) if b is None else b)


def test_bfloat16_is_rounded_and_not_wrong() -> None:
    coarse = _inputs(2, 40, 9, 6, 2, torch.bfloat16)
    fine = [x.detach().float().requires_grad_() for x in coarse]
    ours, theirs = block_attention(*coarse, 0.3), _plain(*fine)
    torch.testing.assert_close(ours.float(), theirs, atol=0.02, rtol=0.02)
    found, expected = (torch.autograd.grad(x.float().square().sum(), y) for x, y in ((ours, coarse), (theirs, fine)))
    for a, b in zip(found, expected, strict=True):
        assert (a.float() - b).norm() < 0.02 * b.norm()


def test_no_more_than_a_block_of_scores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "BLOCK_SCORES", 500)
    seen: list[int] = []

    class Watch(torch.utils._python_dispatch.TorchDispatchMode):
        def __torch_dispatch__(self, func, types, args=(), kwargs=None):  # type: ignore[no-untyped-def]
            out = func(*args, **(kwargs or {}))
            if "softmax" in str(func):
                seen.append(out.numel())
            return out

    inputs = _inputs(4, 30, 10, 6, 2, torch.float64)
    with Watch():
        block_attention(*inputs, 0.3).sum().backward()
    assert seen
    assert max(seen) <= 500
