"""Chunked log-probs and entropies against the plain formula, with their gradients."""

import pytest
import torch

from lit_rlvr.algorithms.logprobs import logprobs_and_entropy

T, H, V = 23, 8, 31


def _inputs(dtype: torch.dtype = torch.float64) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    hidden = torch.randn(T, H, dtype=dtype, generator=generator).requires_grad_()
    head = torch.randn(V, H, dtype=dtype, generator=generator).requires_grad_()
    return hidden, head, torch.randint(V, (T,), generator=generator)


@pytest.mark.parametrize("temperature", [1.0, 0.6, 2.0])
@pytest.mark.parametrize("chunk", [V, 5 * V, 2**20])
def test_equals_the_plain_formula(temperature: float, chunk: int) -> None:
    hidden, head, targets = _inputs()
    logprobs, entropy = logprobs_and_entropy(hidden, head, targets, temperature, chunk_logits=chunk)
    plain = torch.distributions.Categorical(logits=hidden @ head.T / temperature)
    torch.testing.assert_close(logprobs, plain.log_prob(targets))
    torch.testing.assert_close(entropy, plain.entropy())
    weights = torch.randn(T, dtype=torch.float64, generator=torch.Generator().manual_seed(9))
    ours = torch.autograd.grad((weights * (logprobs + 0.1 * entropy)).sum(), (hidden, head))
    theirs = torch.autograd.grad((weights * (plain.log_prob(targets) + 0.1 * plain.entropy())).sum(), (hidden, head))
    for a, b in zip(ours, theirs, strict=True):
        torch.testing.assert_close(a, b)


def test_finite_differences() -> None:
    hidden, head, targets = _inputs()
    assert torch.autograd.gradcheck(
        lambda h, w: logprobs_and_entropy(h, w, targets[:4], 0.6, chunk_logits=2 * V),
        (hidden[:4].detach().requires_grad_(), head),
    )


def test_chunks_never_make_the_whole_tensor() -> None:
    """Every matrix the chunked pass makes has at most the allowed number of logits."""
    seen: list[int] = []

    class Watch(torch.utils._python_dispatch.TorchDispatchMode):
        def __torch_dispatch__(self, func, types, args=(), kwargs=None):  # type: ignore[no-untyped-def]
            out = func(*args, **(kwargs or {}))
            if isinstance(out, torch.Tensor) and out.ndim == 2 and out.shape[-1] == V:
                seen.append(out.shape[0])
            return out

    hidden, head, targets = _inputs()
    with Watch():  # 3 features, so that the head's own gradient [3, V] is not mistaken for logits
        logprobs, entropy = logprobs_and_entropy(hidden[:, :3], head[:, :3], targets, chunk_logits=4 * V)
        (logprobs.sum() + entropy.sum()).backward()
    assert seen
    assert max(seen) <= 4


def test_bias_and_softcap() -> None:
    hidden, head, targets = _inputs()
    bias = torch.linspace(-1, 1, V, dtype=torch.float64)
    logprobs, _ = logprobs_and_entropy(hidden, head, targets, bias=bias, softcap=3.0)
    logits = 3.0 * torch.tanh((hidden @ head.T + bias) / 3.0)
    torch.testing.assert_close(logprobs, logits.log_softmax(-1).gather(-1, targets[:, None])[:, 0])


def test_half_precision_hidden_states_are_scored_in_float32() -> None:
    hidden, head, targets = _inputs(torch.bfloat16)
    logprobs, entropy = logprobs_and_entropy(hidden, head, targets)
    assert logprobs.dtype == entropy.dtype == torch.float32


def test_one_token() -> None:
    hidden, head, targets = _inputs()
    logprobs, _ = logprobs_and_entropy(hidden[:1], head, targets[:1])
    assert logprobs.shape == (1,)
