"""PPO and REINFORCE++ as a whole: rewards, values, advantages and both losses; what tells them from GRPO."""

from dataclasses import replace

import pytest
import torch

from lit_rlvr.algorithms.algorithm import TokenBatch
from lit_rlvr.algorithms.grpo import GRPO
from lit_rlvr.algorithms.ppo import PPO
from lit_rlvr.algorithms.reinforce import ReinforcePlusPlus
from lit_rlvr.errors import UserError
from lit_rlvr.experience import Experience
from tests.builders import rollouts_of

ROLLOUTS = rollouts_of([(1, 2)], [[3, 4], [5]], n=2)
EXPERIENCE = Experience(ROLLOUTS, (), torch.tensor([1.0, 0.0]), values=torch.tensor([0.25, 0.5, 0.75]))


def test_advantages_and_returns() -> None:
    out = PPO(whiten=False).advantages(EXPERIENCE)
    torch.testing.assert_close(out.advantages, torch.tensor([0.75, 0.5, -0.75]))
    torch.testing.assert_close(out.returns, torch.tensor([1.0, 1.0, 0.0]))
    # lambda 0: the next value less this one, and the reward at the end.
    out = PPO(whiten=False, lam=0.0).advantages(EXPERIENCE)
    torch.testing.assert_close(out.advantages, torch.tensor([0.25, 0.5, -0.75]))
    torch.testing.assert_close(out.returns, torch.tensor([0.5, 1.0, 0.0]))


def test_whitening_leaves_the_returns_alone() -> None:
    plain, white = PPO(whiten=False).advantages(EXPERIENCE), PPO().advantages(EXPERIENCE)
    torch.testing.assert_close(white.advantages.mean(), torch.tensor(0.0))
    torch.testing.assert_close(white.advantages.std(), torch.tensor(1.0))
    assert white.returns is not None
    assert plain.returns is not None
    assert torch.equal(white.returns, plain.returns)


@pytest.mark.parametrize("algorithm", [PPO, ReinforcePlusPlus])
def test_kl_in_the_reward(algorithm: type[PPO | ReinforcePlusPlus]) -> None:
    ppo = algorithm(kl_in_reward=0.1, kl_coefficient=0.0)
    assert ppo.needs_reference
    assert ppo.needs_old_logprobs
    known = replace(
        EXPERIENCE, old_logprobs=torch.tensor([-1.0, -2.0, -3.0]), reference_logprobs=torch.tensor([-2.0, -2.0, -1.0])
    )
    # k1 = old - reference = 1, 0, -2.
    torch.testing.assert_close(ppo.rewards(known), torch.tensor([-0.1, 1.0, 0.2]))
    plain = algorithm(kl_coefficient=0.0)
    assert not plain.needs_reference
    assert not plain.needs_old_logprobs


def test_reinforce_whitens_the_reward_to_come() -> None:
    out = ReinforcePlusPlus().advantages(EXPERIENCE)
    to_come = torch.tensor([1.0, 1.0, 0.0])
    torch.testing.assert_close(out.advantages, (to_come - to_come.mean()) / to_come.std())
    assert out.returns is None
    grpo = GRPO().advantages(EXPERIENCE)
    assert not torch.allclose(out.advantages, grpo.advantages)


def test_both_losses_in_one_sum_and_neither_feels_the_other() -> None:
    generator = torch.Generator().manual_seed(0)
    draw = lambda: torch.randn(3, dtype=torch.float64, generator=generator)  # noqa: E731
    logprobs, entropy, values = draw().requires_grad_(), draw().requires_grad_(), draw().requires_grad_()
    weights = torch.tensor([0.5, 0.5, 1.0], dtype=torch.float64)
    batch = TokenBatch(draw(), torch.tensor([0, 0, 1]), weights, old_logprobs=draw(), old_values=draw(), returns=draw())
    out = PPO(kl_coefficient=0.0).loss(logprobs, entropy, batch, values)
    alone = GRPO(kl_coefficient=0.0).loss(logprobs, entropy, batch)
    assert batch.returns is not None
    assert batch.old_values is not None
    held = batch.old_values + (values - batch.old_values).clamp(-0.2, 0.2)
    value = torch.maximum((values - batch.returns).square(), (held - batch.returns).square()) / 2
    torch.testing.assert_close(out.loss, alone.loss + (weights * value).sum())
    torch.testing.assert_close(out.metrics["train/critic/loss"], value.detach().sum())
    ours = torch.autograd.grad(out.loss, [logprobs, entropy], retain_graph=True)
    theirs = torch.autograd.grad(alone.loss, [logprobs, entropy])
    for a, b in zip(ours, theirs, strict=True):
        assert torch.equal(a, b)


@pytest.mark.parametrize(
    ("wrong", "key"),
    [
        ({"lam": 1.5}, "lam is 1.5"),
        ({"gamma": 0.0}, "gamma is 0"),
        ({"value_clip": 0.0}, "value_clip"),
        ({"critic_warmup": -1}, "critic_warmup"),
        ({"kl_in_reward": -0.1}, "kl_in_reward"),
        ({"clip_low": 1.0}, "clip_low"),
    ],
)
def test_wrong_settings_name_their_key(wrong: dict[str, float], key: str) -> None:
    with pytest.raises(UserError, match=key):
        PPO(**wrong)  # type: ignore[arg-type]
