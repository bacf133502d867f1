"""Left out at random and weighted: the gradient of all responses is the mean over the draws, and metrics are too."""

from dataclasses import replace

import pytest
import torch
from lightning.pytorch.strategies import SingleDeviceStrategy

from lit_rlvr.algorithms.aggregation import Aggregation
from lit_rlvr.algorithms.grpo import GRPO
from lit_rlvr.algorithms.ppo import PPO
from lit_rlvr.errors import UserError
from lit_rlvr.experience import Experience
from lit_rlvr.models.policy import Policy, frozen
from lit_rlvr.module import RLVRModule
from lit_rlvr.rewards.rewards import AnswerReward
from lit_rlvr.rewards.verdict import Kind, Verdict
from lit_rlvr.rollout.engine import Sampling
from lit_rlvr.rollout.transformers_engine import TransformersEngine
from lit_rlvr.training.parallel import Parallel
from lit_rlvr.training.score import Scorers, scored
from lit_rlvr.training.update import Learners, UpdateConfig, UpdateSums, update
from tests.builders import random_model, rollouts_of

PARALLEL = Parallel(SingleDeviceStrategy(torch.device("cpu")), torch.device("cpu"))
RESPONSES = [[8, 9, 10, 1], [11], [12, 13, 14, 15, 16, 17, 1], [9, 9], [20, 21, 22], [1, 2], [5, 6, 7], [7, 1]]
REWARDS = [1.0, 1.0, 1.0, 1.0, 1.0, 0.0, 0.0, 0.0]  # rows of two: all equal but for the third


def _experience(algorithm: GRPO, seed: int = 0) -> tuple[Experience, Policy]:
    policy = Policy(random_model(dtype=torch.float64), 48)
    reference = frozen(Policy(random_model(dtype=torch.float64), 48))
    with torch.no_grad():
        for parameter in reference.parameters():
            parameter.mul_(1.1)
    rollouts = rollouts_of([(3, 4, 5)] * 4, RESPONSES, n=2)
    verdicts = tuple(Verdict(Kind.RIGHT if reward else Kind.WRONG, "1") for reward in REWARDS)
    experience = Experience(rollouts, verdicts, torch.tensor(REWARDS))
    experience = scored(experience, Scorers(policy, reference), algorithm, 1, 1.0, 1000, PARALLEL, seed)
    return algorithm.advantages(experience), policy


def _update(config: UpdateConfig, algorithm: GRPO, seed: int, draw: int = 0) -> tuple[torch.Tensor, UpdateSums]:
    """(the gradient that reaches the optimizer [all parameters], what was measured)."""
    experience, policy = _experience(algorithm, draw)
    gradient: list[torch.Tensor] = []

    class Spy(torch.optim.SGD):
        def step(self, closure: object = None) -> None:
            gradient.extend(p.grad.flatten().clone() for p in policy.parameters() if p.grad is not None)

    learners = Learners(policy, Spy(policy.parameters(), lr=0.0))
    sampling = Sampling(max_tokens=8)
    sums = update(learners, algorithm, experience, sampling, config, PARALLEL, torch.Tensor.backward, seed)
    return torch.cat(gradient), sums


@pytest.mark.parametrize("budget", [9, 1000])
@pytest.mark.parametrize("aggregation", ["token-mean", "sequence-mean", "constant"])
def test_saturated_responses_left_out_leave_the_expected_gradient(aggregation: Aggregation, budget: int) -> None:
    algorithm = GRPO(kl_coefficient=0.3, entropy_coefficient=0.2)
    whole = UpdateConfig(micro_batch_tokens=budget, aggregation=aggregation, max_grad_norm=1e9)
    expected, all_sums = _update(whole, algorithm, 0)
    found: dict[tuple[bool, ...], tuple[torch.Tensor, UpdateSums]] = {}
    seed = 0
    while len(found) < 15:  # 2 of the 6 responses without advantage
        gradient, sums = _update(replace(whole, saturated_share=1 / 3), algorithm, seed)
        found[tuple(sums.computed.tolist())] = gradient, sums
        seed += 1
    mean = sum(gradient for gradient, _ in found.values()) / 15
    assert (mean - expected).norm() < 1e-6 * expected.norm()
    assert max((gradient - expected).norm() for gradient, _ in found.values()) > 0.05 * expected.norm()
    for name, value in all_sums.sums.items():
        assert sum(sums.sums[name] for _, sums in found.values()) / 15 == pytest.approx(value, abs=1e-5), name
    for _, sums in found.values():
        assert sums.computed.sum() < len(sums.computed)
        assert sums.computed[14:19].all()  # both responses of the row that has a gradient
        assert (sums.logprobs[~sums.computed] == 0).all()


def test_without_kl_and_entropy_nothing_is_lost() -> None:
    algorithm = GRPO(kl_coefficient=0.0, entropy_coefficient=0.0)
    expected, _ = _update(UpdateConfig(max_grad_norm=1e9), algorithm, 0)
    gradient, sums = _update(UpdateConfig(max_grad_norm=1e9, saturated_share=0.01), algorithm, 0)
    assert (gradient - expected).norm() < 1e-6 * expected.norm()
    assert sums.computed.sum() <= len(sums.computed) / 2


def test_the_reference_asked_about_a_share_leaves_the_expected_gradient() -> None:
    config = UpdateConfig(max_grad_norm=1e9)
    settings = {"kl_coefficient": 0.3, "entropy_coefficient": 0.0}
    expected, all_sums = _update(config, GRPO(**settings), 0)
    found: dict[float, tuple[torch.Tensor, UpdateSums]] = {}
    draw = 0
    while len(found) < 8:  # 1 of the 8 responses
        gradient, sums = _update(config, GRPO(kl_share=0.1, **settings), 0, draw)
        found[round(sums.sums["train/kl"], 9)] = gradient, sums
        draw += 1
    mean = sum(gradient for gradient, _ in found.values()) / 8
    assert (mean - expected).norm() < 1e-6 * expected.norm()
    assert sum(found) / 8 == pytest.approx(all_sums.sums["train/kl"], rel=1e-4)


def test_the_reference_scores_only_its_share() -> None:
    experience, _ = _experience(GRPO(kl_share=0.25))
    assert experience.reference_logprobs is not None
    assert experience.reference_weights is not None
    asked = experience.reference_weights > 0
    assert torch.equal(asked, experience.reference_logprobs != 0)
    assert set(experience.reference_weights.tolist()) == {0.0, 4.0}
    assert _experience(GRPO())[0].reference_weights is None


@pytest.mark.parametrize("share", [0.0, -0.5, 1.5])
def test_shares_that_are_none(share: float) -> None:
    with pytest.raises(UserError, match="kl_share"):
        GRPO(kl_share=share)
    with pytest.raises(UserError, match="saturated_share"):
        UpdateConfig(saturated_share=share)


def test_what_needs_every_response_is_refused_a_share(repository: object) -> None:
    with pytest.raises(UserError, match="aggregation is paper"):
        UpdateConfig(saturated_share=0.5, aggregation="paper")
    with pytest.raises(UserError, match="kl_in_reward"):
        PPO(kl_share=0.5, kl_in_reward=0.1)
    policy = f"{repository}/checkpoints/tiny-base"
    with pytest.raises(UserError, match="a critic learns from every response"):
        RLVRModule(policy, PPO(), TransformersEngine(), AnswerReward(), update=UpdateConfig(saturated_share=0.5))
