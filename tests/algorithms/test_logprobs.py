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


@pytest.mark.parametrize("half", [torch.bfloat16, torch.float16])
def test_autocast_rounds_the_matrix_product_alone(half: torch.dtype) -> None:
    hidden, head, targets = _inputs(torch.float32)
    with torch.autocast("cpu", half):
        outputs = logprobs_and_entropy(hidden, head, targets, 0.6)
    logits = (hidden.to(half) @ head.to(half).T).float() / 0.6
    plain = torch.distributions.Categorical(logits=logits)
    for ours, theirs in zip(outputs, (plain.log_prob(targets), plain.entropy()), strict=True):
        torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=1e-5)  # and float32 both


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


@pytest.mark.parametrize("entropy_weight", [0.0, 0.1])
@pytest.mark.parametrize("chunk", [2 * V, 2**20])
def test_bias_and_softcap(chunk: int, entropy_weight: float) -> None:
    hidden, head, targets = _inputs()
    bias = torch.linspace(-1, 1, V, dtype=torch.float64).requires_grad_()
    logprobs, entropy = logprobs_and_entropy(hidden, head, targets, 0.7, bias=bias, softcap=3.0, chunk_logits=chunk)
    plain = torch.distributions.Categorical(logits=3.0 * torch.tanh((hidden @ head.T + bias) / 3.0) / 0.7)
    torch.testing.assert_close(logprobs, plain.log_prob(targets))
    ours = torch.autograd.grad((logprobs + entropy_weight * entropy).sum(), (hidden, head, bias))
    theirs = (plain.log_prob(targets) + entropy_weight * plain.entropy()).sum()
    for a, b in zip(ours, torch.autograd.grad(theirs, (hidden, head, bias)), strict=True):
        torch.testing.assert_close(a, b)


def test_a_frozen_head_and_a_second_backward_pass() -> None:
    """LoRA trains no head; and a graph that is kept gives the same gradient twice."""
    hidden, head, targets = _inputs()
    logprobs, entropy = logprobs_and_entropy(hidden, head.detach(), targets)
    loss = (logprobs + entropy).sum()
    first = torch.autograd.grad(loss, hidden, retain_graph=True)[0].clone()
    torch.testing.assert_close(torch.autograd.grad(loss, hidden)[0], first)


def test_autocast_rounds_the_products_and_nothing_else() -> None:
    hidden, head, targets = _inputs(torch.float32)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        logprobs, entropy = logprobs_and_entropy(hidden, head, targets, 0.6)
        (logprobs + entropy).sum().backward()
    plain = torch.distributions.Categorical(logits=(hidden.bfloat16() @ head.bfloat16().T).float() / 0.6)
    torch.testing.assert_close(logprobs, plain.log_prob(targets))
    assert hidden.grad is not None and hidden.grad.dtype == torch.float32  # noqa: PT018
    expected = torch.autograd.grad((plain.log_prob(targets) + plain.entropy()).sum(), hidden)[0]
    torch.testing.assert_close(hidden.grad, expected, atol=0.1, rtol=0.02)


def test_half_precision_hidden_states_are_scored_in_float32() -> None:
    hidden, head, targets = _inputs(torch.bfloat16)
    logprobs, entropy = logprobs_and_entropy(hidden, head, targets)
    assert logprobs.dtype == entropy.dtype == torch.float32


def test_one_token() -> None:
    hidden, head, targets = _inputs()
    logprobs, _ = logprobs_and_entropy(hidden[:1], head, targets[:1])
    assert logprobs.shape == (1,)


def test_a_gradient_is_added_at_one_place_of_each_row() -> None:
    """Exact also where the added gradient is large, and where neighbours share a target."""
    hidden, head, _ = _inputs()
    targets = torch.zeros(T, dtype=torch.int64)
    logprobs, _ = logprobs_and_entropy(hidden, head, targets, chunk_logits=5 * V)
    weights = 1e6 * torch.randn(T, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    ours = torch.autograd.grad(logprobs @ weights, (hidden, head))
    plain = (hidden @ head.T).log_softmax(-1)[:, 0]
    for a, b in zip(ours, torch.autograd.grad(plain @ weights, (hidden, head)), strict=True):
        torch.testing.assert_close(a, b)
