"""GRPO as a whole: the loss against its written formula, and every switch."""

from dataclasses import replace

import pytest
import torch

from lit_rlvr.algorithms.algorithm import TokenBatch
from lit_rlvr.algorithms.grpo import GRPO
from lit_rlvr.errors import UserError
from lit_rlvr.experience import Experience, Rollouts
from tests.builders import rollouts_of

RESPONSES = torch.tensor([0, 0, 0, 1, 1, 1])


def _tokens() -> tuple[torch.Tensor, torch.Tensor, TokenBatch]:
    generator = torch.Generator().manual_seed(0)
    draw = lambda: torch.randn(6, dtype=torch.float64, generator=generator)  # noqa: E731
    batch = TokenBatch(draw(), RESPONSES, None, draw() - 2, draw() - 2)
    return (draw() - 2).requires_grad_(), draw().abs().requires_grad_(), batch


def _advantages(algorithm: GRPO, rollouts: Rollouts, rewards: list[float]) -> list[float]:
    return algorithm.advantages(Experience(rollouts, (), torch.tensor(rewards))).advantages.tolist()


def test_loss_is_the_written_formula() -> None:
    logprobs, entropy, batch = _tokens()
    assert batch.old_logprobs is not None
    assert batch.reference_logprobs is not None
    out = GRPO(kl_coefficient=0.3, entropy_coefficient=0.2).loss(logprobs, entropy, batch)
    ratio = (logprobs - batch.old_logprobs).exp()
    surrogate = torch.minimum(batch.advantages * ratio, batch.advantages * ratio.clamp(0.8, 1.2))
    r = batch.reference_logprobs - logprobs
    formula = (-surrogate + 0.3 * (r.exp() - r - 1).clamp(max=10) - 0.2 * entropy).sum()
    torch.testing.assert_close(out.loss, formula)
    ours, theirs = torch.autograd.grad(out.loss, logprobs), torch.autograd.grad(formula, logprobs)
    torch.testing.assert_close(ours, theirs)
    torch.testing.assert_close(out.metrics["train/loss"], formula.detach())
    torch.testing.assert_close(out.metrics["train/entropy"], entropy.detach().sum())


def test_each_term_switches_off() -> None:
    logprobs, entropy, batch = _tokens()
    entropy_only = GRPO(policy_coefficient=0, kl_coefficient=0, entropy_coefficient=0.5).loss(
        logprobs, entropy, TokenBatch(batch.advantages, RESPONSES)
    )
    torch.testing.assert_close(entropy_only.loss, -0.5 * entropy.sum())
    assert "train/kl" not in entropy_only.metrics
    assert not GRPO(kl_coefficient=0).needs_reference
    assert GRPO().needs_reference


def test_without_old_logprobs_the_ratio_is_one_and_nothing_clips() -> None:
    logprobs, entropy, batch = _tokens()
    out = GRPO(kl_coefficient=0, entropy_coefficient=0).loss(logprobs, entropy, TokenBatch(batch.advantages, RESPONSES))
    torch.testing.assert_close(out.loss.detach(), -batch.advantages.sum())
    torch.testing.assert_close(torch.autograd.grad(out.loss, logprobs)[0], -batch.advantages)
    assert out.metrics["train/clip_fraction"] == 0
    assert out.metrics["train/approx_kl"] == 0


def test_advantages_by_row_and_pooled() -> None:
    rollouts = rollouts_of([(1, 2), (1, 2)], [[3], [3, 3], [3], [3, 3, 3]], n=2)
    rewards = [1.0, 1.0, 0.0, 1.0]
    by_row = _advantages(GRPO(group="row", scale="none"), rollouts, rewards)
    assert by_row == [0, 0, 0, -0.5, 0.5, 0.5, 0.5]  # spread over tokens: lengths 1, 2, 1, 3
    pooled = _advantages(GRPO(group="pooled", scale="none"), rollouts, rewards)
    assert pooled == [0.25, 0.25, 0.25, -0.75, 0.25, 0.25, 0.25]


def test_rows_of_different_problems_never_pool() -> None:
    rollouts = rollouts_of([(1, 2), (1, 3)], [[3], [3], [3], [3]], n=2)
    pooled = _advantages(GRPO(group="pooled", scale="none"), rollouts, [1.0, 0.0, 0.0, 0.0])
    assert pooled == [0.5, -0.5, 0.0, 0.0]


def test_tokens_count_by_their_weights() -> None:
    logprobs, entropy, batch = _tokens()
    weights = torch.tensor([1 / 3] * 3 + [1 / 2] * 3, dtype=torch.float64)
    weighted = GRPO().loss(logprobs, entropy, replace(batch, weights=weights))
    first, second = (
        GRPO().loss(
            logprobs[part],
            entropy[part],
            TokenBatch(
                batch.advantages[part],
                batch.responses[part] * 0,
                None,
                batch.old_logprobs[part],
                batch.reference_logprobs[part],  # type: ignore[index]
            ),
        )
        for part in (slice(0, 3), slice(3, 6))
    )
    torch.testing.assert_close(weighted.loss, first.loss / 3 + second.loss / 2)
    # Metrics are plain sums over tokens.
    torch.testing.assert_close(weighted.metrics["train/loss"], (first.loss + second.loss).detach())


@pytest.mark.parametrize("kind", ["gspo", "cispo"])
def test_the_policy_loss_is_chosen(kind: str) -> None:
    logprobs, entropy, batch = _tokens()
    losses = {name: GRPO(policy_loss=name).loss(logprobs, entropy, batch).loss.item() for name in ("ppo", kind)}
    assert losses["ppo"] != pytest.approx(losses[kind])


def test_groups_of_one_are_refused() -> None:
    with pytest.raises(UserError, match=r"sampling\.n is 1.*standard deviation"):
        GRPO().check(samples_per_row=1, rows=8)
    GRPO(group="pooled").check(samples_per_row=1, rows=8)
    with pytest.raises(UserError, match="clip_low"):
        GRPO(clip_low=1.5)
    with pytest.raises(UserError, match="kl_coefficient"):
        GRPO(kl_coefficient=-1)
