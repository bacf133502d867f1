"""float16: the scale of the loss is in no gradient, no norm and no clip; an overflow costs a repetition and nothing else."""

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch.plugins.precision import MixedPrecision
from torch import Tensor
from torch.amp import GradScaler

from lit_rlvr.algorithms.grpo import GRPO
from lit_rlvr.algorithms.ppo import PPO
from lit_rlvr.experience import Experience
from lit_rlvr.models.critic import Critic
from lit_rlvr.models.policy import Policy
from lit_rlvr.rewards.verdict import Kind, Verdict
from lit_rlvr.rollout.engine import Sampling
from lit_rlvr.rollout.transformers_engine import TransformersEngine
from lit_rlvr.training.guard import GuardConfig
from lit_rlvr.training.kept_step import digest
from lit_rlvr.training.update import Learners, UpdateConfig, UpdateSums, update
from tests.builders import random_model, rollouts_of
from tests.training.small_run import replayed, small_run
from tests.training.test_update import PARALLEL, PROMPT, RESPONSES

NO_CLIP = UpdateConfig(max_grad_norm=1e9)
TOO_LARGE = 2.0**40
"""Times any gradient of ours more than float16's 65,504."""


def _experience(advantage: float = 1.0) -> Experience:
    rollouts = rollouts_of([PROMPT], RESPONSES, n=6)
    rewards = torch.tensor([1.0, 0, 0, 1, 0, 1])
    verdicts = tuple(Verdict(Kind.RIGHT if r else Kind.WRONG, "1") for r in rewards)
    experience = GRPO().advantages(Experience(rollouts, verdicts, rewards))
    return replace(experience, advantages=experience.advantages * advantage)


class Spy(torch.optim.SGD):
    """Keeps the gradient of each step and moves nothing."""

    def __init__(self, parameters: Any) -> None:
        super().__init__(parameters, lr=0.0)
        self.seen: list[Tensor] = []

    def step(self, closure: Any = None) -> None:
        self.seen.append(torch.cat([p.grad.flatten().clone() for p in self.param_groups[0]["params"]]))


def _update(learners: Learners, config: UpdateConfig = NO_CLIP, half: bool = True, **how: Any) -> UpdateSums:
    algorithm = how.pop("algorithm", GRPO(kl_coefficient=0, entropy_coefficient=0))
    experience = how.pop("experience", None) or _experience()
    sampling = Sampling(temperature=0.6, max_tokens=8)
    with torch.autocast("cpu", torch.float16, enabled=half):
        return update(learners, algorithm, experience, sampling, config, PARALLEL, Tensor.backward, **how)


def _gradient(scaler: GradScaler | None, advantage: float = 1.0, clip: float = 1e9) -> tuple[Tensor, UpdateSums]:
    policy = Policy(random_model(), 48)
    spy = Spy(policy.parameters())
    learners = Learners(policy, spy) if scaler is None else Learners(policy, spy, scaler=scaler)
    config = UpdateConfig(max_grad_norm=clip)
    sums = _update(learners, config, half=scaler is not None, experience=_experience(advantage))
    (gradient,) = spy.seen
    return gradient, sums


def _off(gradient: Tensor, exact: Tensor) -> float:
    return float((gradient - exact).norm() / exact.norm())


def _scaler(scale: float = 2.0**10, growth_interval: int = 2000) -> GradScaler:
    return GradScaler("cpu", init_scale=scale, growth_interval=growth_interval)


def test_the_scale_is_in_no_gradient_and_no_norm() -> None:
    exact, _ = _gradient(None)
    for scale in (1.0, 2.0**10):
        gradient, sums = _gradient(_scaler(scale))
        assert _off(gradient, exact) < 5e-3
        assert sums.grad_norm == pytest.approx(exact.norm().item(), rel=5e-3)


def test_what_vanishes_without_a_scale_is_there_with_it() -> None:
    exact, _ = _gradient(None, advantage=1e-8)
    without, with_scale = (_off(_gradient(_scaler(s), advantage=1e-8)[0], exact) for s in (1.0, 2.0**32))
    assert without > 0.5
    assert with_scale < 5e-3


def test_the_clip_is_of_the_gradient_itself() -> None:
    free, _ = _gradient(_scaler())
    clipped, sums = _gradient(_scaler(), clip=0.01)
    assert clipped.norm().item() == pytest.approx(0.01, rel=1e-3)
    assert sums.grad_norm == pytest.approx(free.norm().item(), rel=1e-6)
    untouched, _ = _gradient(_scaler(), clip=2 * free.norm().item())
    assert torch.equal(untouched, free)


def test_an_overflow_costs_a_repetition_and_nothing_else() -> None:
    """The scale halves until the gradient fits, and the step is that of a scale which fitted at once."""
    scaler = _scaler(TOO_LARGE)
    skips: list[int] = []
    policies, sums = [], []
    for own in (scaler, None):
        policy = Policy(random_model(), 48)
        optimizer = torch.optim.AdamW(policy.parameters(), lr=1e-2)
        learners = Learners(policy, optimizer, scaler=own or _scaler(scaler.get_scale()))
        sums.append(_update(learners, on_skip=lambda done, terms: skips.append(done)))
        policies.append(digest(policy.state_dict()))
        assert {float(s["step"]) for s in optimizer.state.values()} == {1.0}
    assert 1 < scaler.get_scale() < TOO_LARGE
    assert policies[0] == policies[1]
    assert (sums[0].sums, sums[0].tokens, sums[0].skipped, skips) == (sums[1].sums, sums[1].tokens, 0, [])


@pytest.mark.parametrize(("entropy", "scale"), [(math.nan, 2.0**10), (1e33, 1.0)])
def test_what_is_not_finite_at_any_scale_is_skipped(entropy: float, scale: float) -> None:
    """A loss that is NaN leaves the scale alone; a finite one whose gradient never fits takes it to 1 and no further."""
    scaler, skips = _scaler(), []
    policy = Policy(random_model(), 48)
    optimizer = torch.optim.AdamW(policy.parameters(), lr=1e-2)
    before = digest(policy.state_dict())
    algorithm = GRPO(kl_coefficient=0, entropy_coefficient=entropy)
    learners = Learners(policy, optimizer, scaler=scaler)
    sums = _update(learners, algorithm=algorithm, on_skip=lambda done, terms: skips.append(done))
    assert (sums.skipped, skips, scaler.get_scale()) == (1, [0], scale)
    assert digest(policy.state_dict()) == before
    assert not optimizer.state


def test_policy_and_critic_are_unscaled_by_one_number() -> None:
    """The scale doubles at each update here, once, and not between the two."""
    experience = PPO().advantages(replace(_experience(), values=torch.zeros(18), reference_logprobs=torch.zeros(18)))
    experience = replace(experience, old_logprobs=torch.full((18,), -4.0))
    seen = []
    for half in (True, False):
        policy, critic = Policy(random_model(), 48), Critic(random_model())
        critic.head.weight.data.fill_(0.1)
        spies = [Spy(policy.parameters()), Spy(critic.parameters())]
        learners = Learners(policy, spies[0], critic, spies[1])
        scaler = _scaler(growth_interval=1)
        learners = replace(learners, scaler=scaler) if half else learners
        config = UpdateConfig(max_grad_norm=1e9, epochs=2)
        _update(learners, config, half, algorithm=PPO(), experience=experience)
        seen.append([spy.seen for spy in spies])
        assert scaler.get_scale() == (2.0**12 if half else 2.0**10)
    for halves, exacts in zip(*seen, strict=True):
        assert len(halves) == 2
        for one, exact in zip(halves, exacts, strict=True):
            assert _off(one, exact) < 1e-2


def test_a_fused_optimizer_gets_the_same_gradient() -> None:
    policies = []
    for fused in (False, True):
        policy = Policy(random_model(), 48)
        optimizer = torch.optim.AdamW(policy.parameters(), lr=1e-2, fused=fused)
        _update(Learners(policy, optimizer, scaler=_scaler()), UpdateConfig(updates_per_rollout=1, epochs=1))
        policies.append(torch.cat([p.detach().flatten() for p in policy.parameters()]))
    torch.testing.assert_close(*policies, atol=1e-7, rtol=1e-5)


def _precision() -> MixedPrecision:
    """Doubles the scale at each RL step. A small one, for which of float16's smallest numbers are lost depends on it."""
    return MixedPrecision("16-mixed", "cpu", scaler=_scaler(4.0, growth_interval=1))


def test_a_run_goes_on_from_a_checkpoint_and_a_step_is_done_again(repository: Path, tmp_path: Path) -> None:
    """Bit for bit, and both need the scale as it was."""
    settings: dict[str, Any] = {"guard": GuardConfig(save_batches_every_n_rl_steps=1)}
    whole = small_run(repository, tmp_path, TransformersEngine(), precision=_precision(), **settings)
    checkpoint = str(tmp_path / "checkpoints" / "rl_step=3.ckpt")
    later = small_run(
        repository, tmp_path / "b", TransformersEngine(), precision=_precision(), checkpoint=checkpoint, **settings
    )
    assert digest(later.state_dict()) == digest(whole.state_dict())
    scales = [module.last_step.metrics["train/loss_scale"] for module in (whole, later) if module.last_step]
    assert scales == [64.0, 64.0]
    again = replayed(repository, tmp_path, 3, _precision())
    assert again.after == again.kept.after
    assert again.scaler.get_scale() == 64.0
