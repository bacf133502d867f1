"""Losses against hand-made arrays, and their gradients against the written formula in float64."""

import pytest
import torch

from lit_rlvr.algorithms.losses import KL_LIMIT, clipped_policy_loss, kl_penalty


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
