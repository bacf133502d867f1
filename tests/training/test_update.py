"""The update: gradients independent of the cut, the right normaliser, old log-probs, autocast."""

from dataclasses import replace
from typing import Any

import pytest
import torch
from lightning.pytorch.strategies import SingleDeviceStrategy

from lit_rlvr.algorithms.aggregation import Aggregation
from lit_rlvr.algorithms.grpo import GRPO
from lit_rlvr.algorithms.mismatch import CorrectionKind, CorrectionLevel, MismatchCorrection
from lit_rlvr.errors import UserError
from lit_rlvr.experience import Experience, Rollouts
from lit_rlvr.models.policy import Policy, frozen
from lit_rlvr.rewards.verdict import Kind, Verdict
from lit_rlvr.rollout.engine import Sampling
from lit_rlvr.training.parallel import Parallel
from lit_rlvr.training.score import score
from lit_rlvr.training.update import Learners, UpdateConfig, UpdateSums, update
from tests.builders import random_model, rollouts_of

PARALLEL = Parallel(SingleDeviceStrategy(torch.device("cpu")), torch.device("cpu"))
PROMPT = (3, 4, 5, 6, 7)
RESPONSES = [[8, 9, 10, 1], [11], [12, 13, 14, 15, 16, 17, 1], [9, 9], [20, 21, 22], [1]]


def _experience(rewards: list[float], stopped: list[bool] | None = None, policy: Policy | None = None) -> Experience:
    rollouts = rollouts_of([PROMPT], RESPONSES, n=6, stopped=stopped)
    verdicts = tuple(Verdict(Kind.RIGHT if r else Kind.WRONG, "1") for r in rewards)
    reference = None if policy is None else _score(policy, rollouts)
    return GRPO().advantages(Experience(rollouts, verdicts, torch.tensor(rewards), reference_logprobs=reference))


def _score(policy: Policy, rollouts: Rollouts, temperature: float = 1.0, budget: int = 1000) -> torch.Tensor:
    everything = list(range(len(rollouts)))
    return score(lambda batch: policy(batch, temperature)[0], policy, rollouts, everything, budget, PARALLEL)


def _update(
    policy: Policy,
    optimizer: torch.optim.Optimizer,
    algorithm: GRPO,
    experience: Experience,
    config: UpdateConfig,
    temperature: float = 1.0,
) -> UpdateSums:
    sampling = Sampling(temperature=temperature, max_tokens=8)
    learners = Learners(policy, optimizer)
    return update(learners, algorithm, experience, sampling, config, PARALLEL, torch.Tensor.backward)


def _gradient(config: UpdateConfig, experience: Experience, algorithm: GRPO, policy: Policy) -> list[torch.Tensor]:
    """What one update hands to the optimizer, unclipped."""
    seen: list[torch.Tensor] = []

    class Spy(torch.optim.SGD):
        def step(self, closure: Any = None) -> None:
            seen.extend(p.grad.clone() for p in policy.parameters() if p.grad is not None)

    _update(policy, Spy(policy.parameters(), lr=0.0), algorithm, experience, config)
    return seen


NO_CLIP = 1e9


@pytest.mark.parametrize("budget", [1, 9, 14, 30])
@pytest.mark.parametrize("aggregation", ["token-mean", "sequence-mean", "constant"])
def test_any_cut_gives_the_same_gradient(aggregation: Aggregation, budget: int) -> None:
    policy = Policy(random_model(dtype=torch.float64), 48)
    experience = _experience([1, 0, 0, 1, 0, 1], policy=frozen(Policy(random_model("qwen2", dtype=torch.float64), 48)))
    algorithm = GRPO(kl_coefficient=0.1, entropy_coefficient=0.05)
    whole, cut = (
        _gradient(
            UpdateConfig(micro_batch_tokens=tokens, aggregation=aggregation, max_grad_norm=NO_CLIP),
            experience,
            algorithm,
            policy,
        )
        for tokens in (10_000, budget)
    )
    for a, b in zip(whole, cut, strict=True):
        assert (a - b).norm() <= 1e-6 * a.norm().clamp(min=1e-12)


@pytest.mark.parametrize("level", ["token", "sequence"])
@pytest.mark.parametrize("kind", ["truncate", "mask"])
def test_any_cut_gives_the_same_corrected_gradient(kind: CorrectionKind, level: CorrectionLevel) -> None:
    policy = Policy(random_model(dtype=torch.float64), 48)
    experience = _experience([1, 0, 0, 1, 0, 1])
    noise = 0.5 * torch.randn(len(experience.rollouts.tokens), generator=torch.Generator().manual_seed(3))
    engine = _score(policy, experience.rollouts) + noise
    experience = replace(experience, rollouts=replace(experience.rollouts, logprobs=engine))
    correction = MismatchCorrection(kind, level, threshold=1.3)
    off, whole, *cuts = (
        _gradient(
            UpdateConfig(micro_batch_tokens=tokens, max_grad_norm=NO_CLIP),
            experience,
            GRPO(kl_coefficient=0, correction=how),
            policy,
        )
        for tokens, how in [(10_000, MismatchCorrection()), *((tokens, correction) for tokens in (10_000, 1, 9, 30))]
    )
    for cut in cuts:
        for a, b in zip(whole, cut, strict=True):
            assert (a - b).norm() <= 1e-6 * a.norm().clamp(min=1e-12)
    assert max((a - b).norm() / a.norm() for a, b in zip(off, whole, strict=True)) > 0.1


def test_paper_aggregation_depends_on_the_cut_as_the_formula_says() -> None:
    policy = Policy(random_model(dtype=torch.float64), 48)
    experience = _experience([1, 0, 0, 1, 0, 1])
    algorithm = GRPO(kl_coefficient=0, entropy_coefficient=0)
    config = UpdateConfig(micro_batch_tokens=1, aggregation="paper", max_grad_norm=NO_CLIP)
    ours = _gradient(config, experience, algorithm, policy)  # micro-batches of one response
    per_token = [-experience.advantages.double()[i] for i in range(len(experience.advantages))]
    from lit_rlvr.algorithms.packing import lay_out

    total = torch.zeros((), dtype=torch.float64)
    for i in range(6):
        batch = lay_out(experience.rollouts, [i])
        logprobs, _ = policy(batch, 1.0)
        weights = torch.stack([per_token[t] for t in batch.tokens.tolist()])
        total = total + (weights * logprobs).mean() / 6  # the ratio's gradient at the old policy is the log-prob's
    theirs = torch.autograd.grad(total, list(policy.parameters()))
    for a, b in zip(ours, theirs, strict=True):
        torch.testing.assert_close(a, b, atol=1e-9, rtol=1e-5)


def test_zero_variance_leaves_only_kl_and_entropy() -> None:
    policy = Policy(random_model(dtype=torch.float64), 48)
    experience = _experience([1, 1, 1, 1, 1, 1])
    silent = _gradient(UpdateConfig(), experience, GRPO(kl_coefficient=0, entropy_coefficient=0), policy)
    assert all(g.abs().max() == 0 for g in silent)
    loud = _gradient(UpdateConfig(), experience, GRPO(kl_coefficient=0, entropy_coefficient=0.1), policy)
    assert any(g.abs().max() > 0 for g in loud)


def test_all_truncated_responses_train_like_any_other() -> None:
    policy = Policy(random_model(dtype=torch.float64), 48)
    algorithm = GRPO(kl_coefficient=0)
    cut = _gradient(UpdateConfig(), _experience([0, 1, 0, 0, 1, 0], [False] * 6), algorithm, policy)
    ended = _gradient(UpdateConfig(), _experience([0, 1, 0, 0, 1, 0], [True] * 6), algorithm, policy)
    assert all(torch.equal(a, b) for a, b in zip(cut, ended, strict=True))
    assert any(g.abs().max() > 0 for g in cut)


def _train(config: UpdateConfig, autocast: bool = False, lr: float = 0.3) -> tuple[Policy, dict[str, float]]:
    policy = Policy(random_model(), 48)
    experience = _experience([1, 0, 0, 1, 0, 1])
    with torch.autocast("cpu", torch.bfloat16, enabled=autocast):
        if config.optimizer_steps > 1:
            experience = replace(experience, old_logprobs=_score(policy, experience.rollouts))
        optimizer = torch.optim.SGD(policy.parameters(), lr=lr)
        out = _update(policy, optimizer, GRPO(kl_coefficient=0), experience, config)
    return policy, out.sums


def test_several_updates_change_the_ratio() -> None:
    """The first update is on the old policy (ratio 1), later ones are not: the approximate KL to it is above 0."""
    _, once = _train(UpdateConfig(updates_per_rollout=1))
    _, thrice = _train(UpdateConfig(updates_per_rollout=3))
    assert once["train/approx_kl"] == 0
    assert thrice["train/approx_kl"] > 1e-4


def test_epochs_go_through_the_same_mini_batches_again() -> None:
    policy, once = _train(UpdateConfig(updates_per_rollout=2))
    again, twice = _train(UpdateConfig(updates_per_rollout=2, epochs=2))
    assert twice["train/approx_kl"] > once["train/approx_kl"]  # the second pass is further from the old policy
    experience = _experience([1, 0, 0, 1, 0, 1])
    experience = replace(experience, old_logprobs=_score(Policy(random_model(), 48), experience.rollouts))
    optimizer = torch.optim.SGD(policy.parameters(), lr=0.3)
    _update(policy, optimizer, GRPO(kl_coefficient=0), experience, UpdateConfig(updates_per_rollout=2))
    for a, b in zip(policy.parameters(), again.parameters(), strict=True):
        assert torch.equal(a, b)


def test_autocast_sees_every_update() -> None:
    """bf16-mixed keeps bf16 copies of the weights; used after an update, they would hide it from the next."""
    _, exact = _train(UpdateConfig(updates_per_rollout=3))
    policy, mixed = _train(UpdateConfig(updates_per_rollout=3), autocast=True)
    assert mixed["train/approx_kl"] == pytest.approx(exact["train/approx_kl"], rel=0.3)
    assert all(p.dtype == torch.float32 for p in policy.parameters())


def test_score_equals_the_training_forward() -> None:
    policy = Policy(random_model(), 48)
    experience = _experience([1, 0, 0, 1, 0, 1])
    before = _score(policy, experience.rollouts, 0.6, 12)
    optimizer = torch.optim.SGD(policy.parameters(), lr=0.1)
    config = UpdateConfig(micro_batch_tokens=30)
    out = _update(policy, optimizer, GRPO(kl_coefficient=0), experience, config, temperature=0.6)
    torch.testing.assert_close(out.logprobs, before, atol=1e-5, rtol=0)


def test_gradient_norm_is_clipped() -> None:
    policy = Policy(random_model(), 48)
    clipped = _gradient(
        UpdateConfig(max_grad_norm=0.01), _experience([1, 0, 0, 1, 0, 1]), GRPO(kl_coefficient=0), policy
    )
    assert torch.stack([g.norm() for g in clipped]).norm().item() == pytest.approx(0.01, rel=1e-3)


@pytest.mark.parametrize(
    ("wrong", "key"),
    [
        ({"updates_per_rollout": 0}, "updates_per_rollout"),
        ({"epochs": 0}, "epochs"),
        ({"micro_batch_tokens": 0}, "micro_batch_tokens"),
        ({"max_grad_norm": 0}, "max_grad_norm"),
    ],
)
def test_wrong_settings_name_their_key(wrong: dict[str, Any], key: str) -> None:
    with pytest.raises(UserError, match=key):
        UpdateConfig(**wrong)
