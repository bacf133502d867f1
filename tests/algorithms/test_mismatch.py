"""The mismatch correction: weights by hand, expectations by enumeration, and nothing changed where nothing differs."""

import math
from itertools import product
from typing import Any

import pytest
import torch

from lit_rlvr.algorithms.algorithm import TokenBatch
from lit_rlvr.algorithms.grpo import GRPO
from lit_rlvr.algorithms.mismatch import (
    CorrectionKind,
    CorrectionLevel,
    MismatchCorrection,
    importance_ratios,
    masked_weights,
    truncated_weights,
)
from lit_rlvr.algorithms.policy_gradient import PolicyGradient, PolicyLoss
from lit_rlvr.algorithms.ppo import PPO
from lit_rlvr.algorithms.reinforce import ReinforcePlusPlus
from lit_rlvr.errors import UserError

RESPONSES = torch.tensor([0, 0, 0, 1, 2, 2])
TRAINER = [-1.0, -2.0, -0.5, -3.0, -0.1, -0.7]
ENGINE = [-1.2, -1.5, -0.5, -4.5, -0.4, -0.2]
EVERYTHING = 1e6
"""A threshold that touches nothing."""


def test_ratios_by_hand() -> None:
    trainer, engine = torch.tensor(TRAINER, dtype=torch.float64), torch.tensor(ENGINE, dtype=torch.float64)
    token = importance_ratios(trainer, engine, RESPONSES, "token")
    assert token.tolist() == pytest.approx([math.exp(x) for x in (0.2, -0.5, 0.0, 1.5, 0.3, -0.5)])
    sequence = importance_ratios(trainer, engine, RESPONSES, "sequence")
    # Sums over the three responses: 0.2 - 0.5 + 0, 1.5, 0.3 - 0.5.
    assert sequence.tolist() == pytest.approx([math.exp(x) for x in (-0.3, -0.3, -0.3, 1.5, -0.2, -0.2)])


def test_truncation_and_mask_by_hand() -> None:
    ratios = torch.tensor([0.3, 0.5, 1.0, 2.0, 2.5, 90.0])
    weights, touched = truncated_weights(ratios, 2.0)
    assert weights.tolist() == pytest.approx([0.3, 0.5, 1.0, 2.0, 2.0, 2.0])
    assert touched.tolist() == [False, False, False, False, True, True]
    weights, touched = masked_weights(ratios, 0.5, 2.5)
    assert weights.tolist() == [0.0, 0.5, 1.0, 2.0, 2.5, 0.0]
    assert touched.tolist() == [True, False, False, False, False, True]
    weights, touched = masked_weights(torch.tensor([float("nan"), 1.0]), 0.0, 2.0)
    assert weights.tolist() == [0.0, 1.0]
    assert touched.tolist() == [True, False]


def test_ratios_carry_no_gradient_and_stay_finite() -> None:
    trainer = torch.tensor([200.0, -200.0], requires_grad=True)
    for level in ("token", "sequence"):
        ratios = importance_ratios(trainer, -trainer.detach(), torch.tensor([0, 1]), level)
        assert not ratios.requires_grad
        assert torch.isfinite(ratios).all()


ALGORITHMS: list[tuple[type[PolicyGradient], PolicyLoss]] = [
    (GRPO, "ppo"),
    (GRPO, "gspo"),
    (GRPO, "cispo"),
    (PPO, "ppo"),
    (ReinforcePlusPlus, "ppo"),
]


def _loss(
    algorithm: PolicyGradient, engine: list[float], old: list[float] | None = None
) -> tuple[torch.Tensor, torch.Tensor]:
    """(loss, its gradient with respect to the log-probs) of six tokens."""
    logprobs = torch.tensor(TRAINER, requires_grad=True)
    advantages = torch.tensor([1.0, 1.0, 1.0, -2.0, 0.5, 0.5])
    batch = TokenBatch(
        advantages,
        RESPONSES,
        old_logprobs=None if old is None else torch.tensor(old),
        reference_logprobs=torch.tensor(TRAINER) - 0.1,
        old_values=torch.zeros(6) if algorithm.needs_critic else None,
        returns=torch.ones(6) if algorithm.needs_critic else None,
        engine_logprobs=torch.tensor(engine),
    )
    values = torch.full((6,), 0.3) if algorithm.needs_critic else None
    loss = algorithm.loss(logprobs, logprobs.exp(), batch, values).loss
    return loss.detach(), torch.autograd.grad(loss, logprobs)[0]


@pytest.mark.parametrize("level", ["token", "sequence"])
@pytest.mark.parametrize("kind", ["truncate", "mask"])
@pytest.mark.parametrize(("algorithm", "loss"), ALGORITHMS)
def test_where_engine_and_trainer_agree_nothing_changes(
    algorithm: type[PolicyGradient], loss: PolicyLoss, kind: CorrectionKind, level: CorrectionLevel
) -> None:
    correction = MismatchCorrection(kind, level)
    for one, other in zip(
        _loss(algorithm(policy_loss=loss, correction=correction), TRAINER),
        _loss(algorithm(policy_loss=loss), TRAINER),
        strict=True,
    ):
        assert torch.equal(one, other)


@pytest.mark.parametrize("level", ["token", "sequence"])
@pytest.mark.parametrize(("algorithm", "loss"), ALGORITHMS)
def test_each_tokens_policy_gradient_is_weighted_and_nothing_else(
    algorithm: type[PolicyGradient], loss: PolicyLoss, level: CorrectionLevel
) -> None:
    """The gradient with the correction is the weights times that of the policy loss, plus that of all other terms."""
    correction = MismatchCorrection("truncate", level, threshold=1.2)
    _, corrected = _loss(algorithm(policy_loss=loss, correction=correction), ENGINE)
    _, whole = _loss(algorithm(policy_loss=loss), ENGINE)
    _, others = _loss(algorithm(policy_loss=loss, policy_coefficient=0.0), ENGINE)
    exponents = {"token": (0.2, -0.5, 0.0, 1.5, 0.3, -0.5), "sequence": (-0.3, -0.3, -0.3, 1.5, -0.2, -0.2)}[level]
    weights = torch.tensor([min(math.exp(x), 1.2) for x in exponents])
    torch.testing.assert_close(corrected, weights * (whole - others) + others)
    _, without = _loss(algorithm(policy_loss=loss, policy_coefficient=0.0, correction=correction), ENGINE)
    assert torch.equal(without, others)


def test_with_several_updates_the_weights_are_those_of_the_old_policy() -> None:
    """The policy that moved on is held against the old one by the loss itself."""
    old = [x - 0.05 for x in TRAINER]
    correction = MismatchCorrection("truncate", threshold=EVERYTHING)
    _, corrected = _loss(GRPO(correction=correction, kl_coefficient=0.0, entropy_coefficient=0.0), ENGINE, old)
    _, plain = _loss(GRPO(kl_coefficient=0.0, entropy_coefficient=0.0), ENGINE, old)
    weights = torch.tensor([math.exp(a - b) for a, b in zip(old, ENGINE, strict=True)])
    torch.testing.assert_close(corrected, weights * plain)


def _policies(tokens: int, steps: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Logits of a trainer and of an engine near it: [steps, tokens (the first token), tokens (the next)], float64."""
    generator = torch.Generator().manual_seed(0)
    trainer, noise = (torch.randn(steps, tokens, tokens, dtype=torch.float64, generator=generator) for _ in range(2))
    return trainer.requires_grad_(), trainer.detach() + 0.4 * noise


def _logprobs(logits: torch.Tensor, sequences: list[tuple[int, ...]]) -> torch.Tensor:
    """[sequences * steps] log-probs of each token, which depends on the token before it (the first on token 0)."""
    table = logits.log_softmax(-1)
    return torch.stack([table[i, (0, *s)[i], token] for s in sequences for i, token in enumerate(s)])


def _gradients(
    tokens: int, steps: int, correction: MismatchCorrection, loss: PolicyLoss
) -> tuple[torch.Tensor, torch.Tensor]:
    """(expected gradient of the loss under the engine's distribution, gradient of -E[reward] under the trainer's)."""
    trainer, engine = _policies(tokens, steps)
    sequences = list(product(range(tokens), repeat=steps))
    rewards = torch.randn(len(sequences), dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    ours, theirs = _logprobs(trainer, sequences), _logprobs(engine, sequences)
    probabilities = theirs.view(-1, steps).sum(1).exp()
    assert probabilities.sum().item() == pytest.approx(1.0)
    batch = TokenBatch(
        advantages=rewards.repeat_interleave(steps),
        responses=torch.arange(len(sequences)).repeat_interleave(steps),
        weights=probabilities.repeat_interleave(steps),  # how often the engine draws each
        engine_logprobs=theirs,
    )
    algorithm = GRPO(policy_loss=loss, kl_coefficient=0.0, entropy_coefficient=0.0, correction=correction)
    expected = torch.autograd.grad(algorithm.loss(ours, torch.zeros_like(ours), batch).loss, trainer, retain_graph=True)
    objective = -(ours.view(-1, steps).sum(1).exp() * rewards).sum()
    return expected[0], torch.autograd.grad(objective, trainer)[0]


@pytest.mark.parametrize("loss", ["ppo", "gspo", "cispo"])
@pytest.mark.parametrize(
    ("steps", "kind", "level"),
    [(1, "truncate", "token"), (1, "mask", "token"), (3, "truncate", "sequence"), (3, "mask", "sequence")],
)
def test_expected_gradient_is_the_on_policy_one(
    steps: int, kind: CorrectionKind, level: CorrectionLevel, loss: PolicyLoss
) -> None:
    """All sequences of the vocabulary, each as often as the engine draws it."""
    corrected, on_policy = _gradients(4, steps, MismatchCorrection(kind, level, EVERYTHING), loss)
    torch.testing.assert_close(corrected, on_policy)
    plain, _ = _gradients(4, steps, MismatchCorrection(), loss)
    assert (plain - on_policy).norm() > 0.05 * on_policy.norm()


def test_token_weights_come_nearer_without_being_exact() -> None:
    """A token's weight knows nothing of how likely the engine made the tokens before and after it."""
    token, on_policy = _gradients(4, 3, MismatchCorrection("truncate", "token", EVERYTHING), "ppo")
    plain, _ = _gradients(4, 3, MismatchCorrection(), "ppo")
    assert 0.01 * on_policy.norm() < (token - on_policy).norm() < (plain - on_policy).norm()


def test_a_threshold_that_binds_is_the_formula_of_it() -> None:
    corrected, on_policy = _gradients(4, 1, MismatchCorrection("truncate", "token", 1.1), "ppo")
    trainer, engine = _policies(4, 1)
    pi, mu = trainer[0, 0].softmax(0), engine[0, 0].softmax(0)
    rewards = torch.randn(4, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    weights = (pi / mu).detach().clamp(max=1.1)
    (formula,) = torch.autograd.grad(-(mu * weights * rewards * pi.log()).sum(), trainer)
    torch.testing.assert_close(corrected, formula)
    assert not torch.allclose(corrected, on_policy)


@pytest.mark.parametrize(
    ("wrong", "key"),
    [
        ({"threshold": 0.5}, r"correction\.threshold is 0\.5"),
        ({"threshold": math.nan}, r"correction\.threshold is nan"),
        ({"kind": "mask", "lower": 1.5}, r"correction\.lower is 1\.5"),
        ({"kind": "mask", "lower": -0.1}, r"correction\.lower is -0\.1"),
        ({"kind": "truncate", "lower": 0.5}, "only kind mask"),
    ],
)
def test_nonsense_names_its_key(wrong: dict[str, Any], key: str) -> None:
    with pytest.raises(UserError, match=key):
        MismatchCorrection(**wrong)
