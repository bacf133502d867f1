"""Losses against hand-made arrays, and their gradients against the written formula in float64."""

import math

import pytest
import torch

from lit_rlvr.algorithms.losses import (
    KL_LIMIT,
    cispo_loss,
    clipped_policy_loss,
    clipped_value_loss,
    gspo_loss,
    kl_penalty,
)


def test_clipped_loss_by_hand() -> None:
    # ratios 2, 2, 1/2, 1/2 with advantages +, -, +, -, clip to [0.8, 1.3]:
    #   min(2, 1.3) -> 1.3 clipped; -2 is worse than -1.3 -> 2 kept; min(.5, .8) -> .5 kept; -.5 vs -.8 -> .8 clipped.
    old = torch.zeros(4, dtype=torch.float64)
    new = torch.tensor([2.0, 2.0, 0.5, 0.5], dtype=torch.float64).log().requires_grad_()
    advantages = torch.tensor([1.0, -1.0, 1.0, -1.0], dtype=torch.float64)
    loss, clipped = clipped_policy_loss(new, old, advantages, 0.2, 0.3)
    torch.testing.assert_close(loss.detach(), torch.tensor([-1.3, 2.0, -0.5, 0.8], dtype=torch.float64))
    assert clipped.tolist() == [True, False, False, True]
    loss.sum().backward()
    # d(-A * r)/d log pi = -A * r where it is free, 0 where it is clipped.
    torch.testing.assert_close(new.grad, torch.tensor([0.0, 2.0, -0.5, 0.0], dtype=torch.float64))


def test_gradient_at_the_old_policy_is_the_score_function() -> None:
    logits = torch.randn(5, 7, dtype=torch.float64, generator=torch.Generator().manual_seed(1)).requires_grad_()
    targets = torch.tensor([0, 3, 6, 2, 2])
    advantages = torch.tensor([1.0, -0.5, 2.0, 0.0, -3.0], dtype=torch.float64)
    logprobs = logits.log_softmax(-1).gather(-1, targets[:, None])[:, 0]
    loss, clipped = clipped_policy_loss(logprobs, logprobs.detach(), advantages, 0.2, 0.2)
    (gradient,) = torch.autograd.grad(loss.sum(), logits)
    # -A * (onehot - softmax), written out.
    expected = -advantages[:, None] * (torch.eye(7, dtype=torch.float64)[targets] - logits.softmax(-1))
    torch.testing.assert_close(gradient, expected.detach())
    assert not clipped.any()


def test_clipped_loss_by_finite_differences() -> None:
    generator = torch.Generator().manual_seed(5)
    old = torch.randn(20, dtype=torch.float64, generator=generator)
    advantages = torch.randn(20, dtype=torch.float64, generator=generator)
    new = (old + 0.3 * torch.randn(20, dtype=torch.float64, generator=generator)).requires_grad_()
    assert torch.autograd.gradcheck(lambda x: clipped_policy_loss(x, old, advantages, 0.2, 0.28)[0], (new,))


def test_huge_log_ratios_stay_finite() -> None:
    loss, _ = clipped_policy_loss(torch.tensor([200.0]), torch.tensor([-200.0]), torch.tensor([-1.0]), 0.2, 0.2)
    assert torch.isfinite(loss).all()


def test_kl_values_by_hand() -> None:
    policy, reference = torch.tensor([0.5, 0.25]).log(), torch.tensor([0.25, 0.5]).log()
    two = torch.tensor(2.0).log()
    torch.testing.assert_close(kl_penalty(policy, reference, "k1"), torch.stack([two, -two]))
    torch.testing.assert_close(kl_penalty(policy, reference, "k2"), (two**2 / 2).expand(2))
    torch.testing.assert_close(kl_penalty(policy, reference, "k3"), torch.stack([0.5 + two - 1, 2 - two - 1]))


def test_kl_is_zero_at_the_reference_and_bounded() -> None:
    x = torch.tensor([-1.0, -3.0])
    for estimator in ("k1", "k2", "k3"):
        assert kl_penalty(x, x, estimator).abs().max() == 0
    assert kl_penalty(torch.tensor([-100.0]), torch.tensor([0.0]), "k3").item() == KL_LIMIT


def _expected_gradient(estimator: str, logits: torch.Tensor, reference: torch.Tensor) -> torch.Tensor:
    """Mean over all tokens, weighted by their probability: the exact expectation of the estimator's gradient."""
    logprobs = logits.log_softmax(-1)
    terms = kl_penalty(logprobs, reference, estimator)  # type: ignore[arg-type]
    (gradient,) = torch.autograd.grad((logprobs.detach().exp() * terms).sum(), logits)
    return gradient


@pytest.mark.parametrize("estimator", ["k1", "k2", "k3"])
def test_expected_kl_gradient(estimator: str) -> None:
    generator = torch.Generator().manual_seed(2)
    logits = torch.randn(9, dtype=torch.float64, generator=generator).requires_grad_()
    reference = torch.randn(9, dtype=torch.float64, generator=generator).log_softmax(-1)
    logprobs = logits.log_softmax(-1)
    reverse = (logprobs.exp() * (logprobs - reference)).sum()  # KL(policy || reference)
    forward = (reference.exp() * (reference - logprobs)).sum()  # KL(reference || policy)
    (expected,) = torch.autograd.grad(forward if estimator == "k3" else reverse, logits)
    torch.testing.assert_close(_expected_gradient(estimator, logits, reference), expected)


def test_k3_by_finite_differences() -> None:
    generator = torch.Generator().manual_seed(6)
    reference = -torch.rand(12, dtype=torch.float64, generator=generator)
    policy = (-torch.rand(12, dtype=torch.float64, generator=generator)).requires_grad_()
    assert torch.autograd.gradcheck(lambda x: kl_penalty(x, reference, "k3"), (policy,))


def test_gspo_by_hand() -> None:
    # Response 0: log-ratios .2 and -.1, mean .05; response 1: log-ratio -.4. Clip to [0.8, 1.02].
    #   s_0 = e^.05 = 1.0513, above 1.02 with a positive advantage: clipped; s_1 = e^-.4 = .6703, below .8 with a negative
    #   advantage: clipped, value .8.
    old = torch.zeros(3, dtype=torch.float64)
    new = torch.tensor([0.2, -0.1, -0.4], dtype=torch.float64).requires_grad_()
    responses = torch.tensor([0, 0, 1])
    loss, clipped = gspo_loss(new, old, torch.tensor([1.0, 1.0, -1.0], dtype=torch.float64), responses, 0.2, 0.02)
    torch.testing.assert_close(loss.detach(), torch.tensor([-1.02, -1.02, 0.8], dtype=torch.float64))
    assert clipped.tolist() == [True, True, True]
    # Free, each token has the ratio of its response, and its own gradient.
    loss, clipped = gspo_loss(new, old, torch.tensor([2.0, 2.0, -1.0], dtype=torch.float64), responses, 0.5, 0.5)
    (gradient,) = torch.autograd.grad(loss.sum(), new)
    expected = torch.tensor([-2 * math.exp(0.05), -2 * math.exp(0.05), math.exp(-0.4)], dtype=torch.float64)
    torch.testing.assert_close(loss.detach(), expected)
    torch.testing.assert_close(gradient, expected)
    assert not clipped.any()


def test_gspo_with_the_mean_over_each_response_is_the_gradient_of_its_paper() -> None:
    """Equation 5: the mean over responses of s_i A_i, s_i the exponential of the mean log-ratio."""
    generator = torch.Generator().manual_seed(2)
    old = torch.randn(7, dtype=torch.float64, generator=generator)
    new = (old + 0.1 * torch.randn(7, dtype=torch.float64, generator=generator)).requires_grad_()
    lengths = torch.tensor([3, 4])
    responses = torch.arange(2).repeat_interleave(lengths)
    advantages = torch.tensor([0.7, -1.3], dtype=torch.float64)
    loss, _ = gspo_loss(new, old, advantages[responses], responses, 0.9, 9.0)
    ours = torch.autograd.grad((loss / lengths[responses]).sum() / 2, new)
    objective = torch.stack(
        [-a * (n - o).mean().exp() for a, n, o in zip(advantages, new.split([3, 4]), old.split([3, 4]), strict=True)]
    ).mean()
    torch.testing.assert_close(ours, torch.autograd.grad(objective, new))


def test_cispo_by_hand() -> None:
    # Ratios 2, 2, 1/2 with advantages +1, -1, +1; weights clipped to [0.8, 1.3]: 1.3, 1.3, .8; loss -weight * A * log pi.
    new = torch.tensor([2.0, 2.0, 0.5], dtype=torch.float64).log().requires_grad_()
    advantages = torch.tensor([1.0, -1.0, 1.0], dtype=torch.float64)
    loss, clipped = cispo_loss(new, torch.zeros(3, dtype=torch.float64), advantages, 0.2, 0.3)
    log2 = math.log(2)
    torch.testing.assert_close(loss.detach(), torch.tensor([-1.3 * log2, 1.3 * log2, 0.8 * log2], dtype=torch.float64))
    assert clipped.tolist() == [True, True, True]
    # Bounded tokens go on teaching: PPO's gradient would be 0 at the first.
    (gradient,) = torch.autograd.grad(loss.sum(), new)
    torch.testing.assert_close(gradient, torch.tensor([-1.3, 1.3, -0.8], dtype=torch.float64))


def test_value_loss_by_hand() -> None:
    # old 0, returns 1, clip .2. Value .5: free .125, held at .2: .32 -> clipped. Value -.5: free 1.125, held at -.2: .72 ->
    # free. Value .1: within the bound, .405.
    values = torch.tensor([0.5, -0.5, 0.1], dtype=torch.float64).requires_grad_()
    loss, clipped = clipped_value_loss(values, torch.zeros(3), torch.ones(3), 0.2)
    torch.testing.assert_close(loss.detach(), torch.tensor([0.32, 1.125, 0.405], dtype=torch.float64))
    assert clipped.tolist() == [True, False, False]
    (gradient,) = torch.autograd.grad(loss.sum(), values)
    torch.testing.assert_close(gradient, torch.tensor([0.0, -1.5, -0.9], dtype=torch.float64))
