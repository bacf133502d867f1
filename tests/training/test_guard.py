"""What is no number is not trained on, leaves no trace in parameters, moments and curves, and ends the run in time."""

import copy
import math
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning import Callback
from lightning.pytorch.strategies import SingleDeviceStrategy
from torch import Tensor

from lit_rlvr.algorithms.algorithm import LossSums, TokenBatch
from lit_rlvr.algorithms.grpo import GRPO
from lit_rlvr.algorithms.ppo import PPO
from lit_rlvr.errors import UserError
from lit_rlvr.experience import Experience
from lit_rlvr.models.critic import Critic
from lit_rlvr.models.policy import Policy
from lit_rlvr.module import RLVRModule
from lit_rlvr.rewards.verdict import Kind, Verdict
from lit_rlvr.rollout.engine import Sampling
from lit_rlvr.rollout.transformers_engine import TransformersEngine
from lit_rlvr.training.clock import Clock
from lit_rlvr.training.guard import GuardConfig, first_culprit
from lit_rlvr.training.kept_step import KeptStep, digest
from lit_rlvr.training.parallel import Parallel
from lit_rlvr.training.step_metrics import step_metrics
from lit_rlvr.training.update import Learners, UpdateConfig, UpdateSums, update
from tests.builders import random_model, rollouts_of
from tests.training.broken_engines import NaNEngine
from tests.training.small_run import small_run

CPU = torch.device("cpu")
PARALLEL = Parallel(SingleDeviceStrategy(CPU), CPU)
RESPONSES = [[8, 9, 10, 1], [11], [12, 13, 14, 15, 16, 17, 1], [9, 9], [20, 21, 22], [1]]
REWARDS = [1.0, 0.0, 0.0, 1.0, 0.0, 1.0]


class Broken(GRPO):
    """Its loss is broken where the micro-batch has a response of so many tokens.

    Args:
        length: of that response.
        how: ``loss`` is NaN; or the loss is 0 and its ``gradient`` is NaN.
    """

    def __init__(self, length: int, how: str) -> None:
        super().__init__(kl_coefficient=0.0)
        self.length, self.how = length, how

    def loss(self, logprobs: Tensor, entropy: Tensor, batch: TokenBatch, values: Tensor | None = None) -> LossSums:
        whole = super().loss(logprobs, entropy, batch, values)
        if self.length not in batch.responses.bincount():
            return whole
        odd = {"loss": math.nan * logprobs.sum(), "gradient": (logprobs - logprobs).sqrt().sum()}[self.how]
        return replace(whole, loss=whole.loss + odd)


def _experience(**changes: Tensor) -> Experience:
    rollouts = rollouts_of([(3, 4, 5, 6, 7)], RESPONSES, n=6)
    verdicts = tuple(Verdict(Kind.RIGHT if r else Kind.WRONG, "1") for r in REWARDS)
    return replace(GRPO().advantages(Experience(rollouts, verdicts, torch.tensor(REWARDS))), **changes)


def _updated(
    algorithm: GRPO, config: UpdateConfig, experience: Experience | None = None, warm: bool = True
) -> tuple[Policy, torch.optim.Optimizer, UpdateSums, list[int]]:
    """Policy and optimizer after an update, with one of GRPO's before it so that there are moments; and the skips."""
    policy = Policy(random_model(), 48).train()
    optimizer = torch.optim.AdamW(policy.parameters(), lr=1e-2)
    learners, sampling, skips = Learners(policy, optimizer), Sampling(max_tokens=8), []
    if warm:
        update(learners, GRPO(kl_coefficient=0), _experience(), sampling, UpdateConfig(), PARALLEL, Tensor.backward)
    experience = experience or _experience()
    sums = update(
        learners, algorithm, experience, sampling, config, PARALLEL, Tensor.backward,
        on_skip=lambda done, terms: skips.append(done),
    )  # fmt: skip
    return policy, optimizer, sums, skips


def _bits(policy: torch.nn.Module, optimizer: torch.optim.Optimizer) -> str:
    moments = {f"{i}/{k}": v for i, s in optimizer.state_dict()["state"].items() for k, v in s.items()}
    return digest({**policy.state_dict(), **moments})


@pytest.mark.parametrize("how", ["loss", "gradient"])
def test_the_broken_optimizer_step_is_skipped_and_the_others_are_taken(how: str) -> None:
    """Two mini-batches of three responses; the one of seven tokens is in the first of them."""
    both = UpdateConfig(updates_per_rollout=2)
    policy, optimizer, sums, skips = _updated(Broken(7, how), both)
    assert (sums.skipped, skips) == (1, [0])
    assert sums.tokens == 6  # 2 + 3 + 1: metrics are of what was trained on
    assert math.isfinite(sums.grad_norm)
    assert all(map(math.isfinite, sums.sums.values()))
    # What two steps would leave, of which the first was never there.
    other = Policy(random_model(), 48).train()
    plain = torch.optim.AdamW(other.parameters(), lr=1e-2)
    learners = Learners(other, plain)
    update(
        learners,
        GRPO(kl_coefficient=0),
        _experience(),
        Sampling(max_tokens=8),
        UpdateConfig(),
        PARALLEL,
        Tensor.backward,
    )
    second = update(
        learners, Broken(7, how), _experience(), Sampling(max_tokens=8), both, PARALLEL, Tensor.backward, first=1
    )
    assert second.skipped == 0
    assert _bits(policy, optimizer) == _bits(other, plain)


@pytest.mark.parametrize("how", ["loss", "gradient"])
def test_nothing_moves_where_all_is_broken(how: str) -> None:
    before = _updated(GRPO(kl_coefficient=0), UpdateConfig(), warm=False)
    after = _updated(Broken(7, how), UpdateConfig())
    assert _bits(*before[:2]) == _bits(*after[:2])
    assert all(p.grad is None for p in after[0].parameters())
    sums = after[2]
    assert (sums.skipped, sums.tokens, sums.sums) == (1, 0, {})
    assert math.isnan(sums.grad_norm)
    assert first_culprit(_experience(), sums, PARALLEL) == ("a loss or gradients", 0)


@pytest.mark.parametrize("part", ["advantages", "old_logprobs", "reference_logprobs"])
def test_an_experience_that_is_not_finite_is_not_trained_on(part: str) -> None:
    broken = torch.zeros(18)
    broken[4] = math.inf
    experience = _experience(**{part: broken})
    before = _updated(GRPO(kl_coefficient=0), UpdateConfig(), warm=False)
    policy, optimizer, sums, skips = _updated(GRPO(), UpdateConfig(updates_per_rollout=2, epochs=2), experience)
    assert _bits(*before[:2]) == _bits(policy, optimizer)
    assert (sums.skipped, skips) == (4, [0, 1, 2, 3])
    assert not sums.computed.any()
    assert first_culprit(experience, sums, PARALLEL)[0] == part.replace("_logprobs", " log-probs")


def test_a_critic_stays_where_the_policy_stays() -> None:
    model = random_model()
    policy, critic = Policy(model, 48).train(), Critic(copy.deepcopy(model)).train()
    optimizers = [torch.optim.AdamW(m.parameters(), lr=1e-2) for m in (policy, critic)]
    learners = Learners(policy, optimizers[0], critic, optimizers[1])
    before = digest({**policy.state_dict(), **critic.state_dict()})
    experience = PPO().advantages(replace(_experience(), values=torch.zeros(18), reference_logprobs=torch.zeros(18)))
    for parameter in critic.head.parameters():
        parameter.data.fill_(1e38)  # the value's square overflows; the policy's part is finite
    with_head = digest({**policy.state_dict(), **critic.state_dict()})
    sums = update(learners, PPO(), experience, Sampling(max_tokens=8), UpdateConfig(), PARALLEL, Tensor.backward)
    assert sums.skipped == 1
    assert before != with_head == digest({**policy.state_dict(), **critic.state_dict()})
    assert not any(o.state for o in optimizers)
    assert sums.critic_grad_norm is not None


class Records(Callback):
    """The metrics of each step, and the policy after it."""

    def __init__(self) -> None:
        self.metrics: list[dict[str, float]] = []
        self.policies: list[str] = []

    def on_train_batch_end(self, trainer: Any, pl_module: Any, *_: Any) -> None:
        self.metrics.append(dict(pl_module.last_step.metrics))
        self.policies.append(digest(pl_module.policy.state_dict()))


class Watched(RLVRModule):
    """Brings its callback with it."""

    def configure_callbacks(self) -> list[Callback]:
        self.records = Records()
        return [self.records]


def test_a_run_goes_on_after_bad_rollouts(repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Steps 1, 2 and 4 of 6 have a log-prob that is NaN: two in a row are not three."""
    monkeypatch.setattr("tests.training.small_run.RLVRModule", Watched)
    with pytest.warns(UserWarning, match="RL step 1 has rollout log-probs that are not finite") as caught:
        module = small_run(
            repository, tmp_path, NaNEngine([1, 2, 4]), steps=6, update=UpdateConfig(updates_per_rollout=2)
        )
    assert isinstance(module, Watched)
    assert sum("not finite" in str(w.message) for w in caught) == 1
    metrics, policies = module.records.metrics, module.records.policies
    assert [m["train/skipped_updates"] for m in metrics] == [0, 2, 4, 4, 6, 6]
    assert policies[0] == policies[1] == policies[2] != policies[3] == policies[4] != policies[5]
    for i, step in enumerate(metrics):
        assert all(map(math.isfinite, step.values())), step
        assert ("train/loss" in step) == ("train/grad_norm" in step) == (i not in (1, 2, 4))
        # Of the engine's mismatch the good responses still tell.
        assert step["rollout/logprob_diff/mean"] < 1e-5
    kept = sorted(p.name for p in (tmp_path / "batches").iterdir())
    assert kept == ["rl_step=1-skipped", "rl_step=2-skipped", "rl_step=4-skipped"]


def test_it_stops_after_some_in_a_row_with_the_batch_on_disk(repository: Path, tmp_path: Path) -> None:
    with pytest.raises(
        UserError, match=r"RL step 4 has rollout log-probs .*3 RL steps in a row.*stop_after is 3\. The engine"
    ) as stop:
        small_run(repository, tmp_path, NaNEngine([0, 2, 3, 4]), steps=9)
    folder = tmp_path / "batches" / "rl_step=4-skipped"
    assert f"lit-rlvr replay {folder / 'rank0.pt'}" in str(stop.value)
    kept = KeptStep.read(folder / "rank0.pt")
    assert (kept.rl_step, kept.first, kept.skipped) == (4, 0, 1)
    assert kept.experience.rollouts.logprobs.isnan().nonzero().flatten().tolist() == [
        len(kept.experience.rollouts.tokens) - 1
    ]
    assert len(list((tmp_path / "batches").iterdir())) == 3  # of the four the latest
    assert not list(tmp_path.rglob("*.tmp"))


def test_counts_and_warning_go_through_a_checkpoint(repository: Path, tmp_path: Path) -> None:
    with pytest.warns(UserWarning, match="not finite"):
        small_run(repository, tmp_path, NaNEngine([0, 1]), steps=2)
    checkpoint = str(tmp_path / "checkpoints" / "last.ckpt")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        module = small_run(repository, tmp_path / "b", NaNEngine([2]), steps=5, checkpoint=checkpoint)
    assert not [w for w in caught if "not finite" in str(w.message)]
    assert module.last_step is not None
    assert module.last_step.metrics["train/skipped_updates"] == 3
    with pytest.raises(UserError, match="RL step 2 has rollout"):
        small_run(repository, tmp_path / "c", NaNEngine([0]), steps=5, checkpoint=checkpoint)


def test_a_folder_that_cannot_be_written_does_not_end_the_run(repository: Path, tmp_path: Path) -> None:
    (tmp_path / "batches").write_text("in the way")
    with pytest.warns(UserWarning, match="could not be saved in"):
        module = small_run(repository, tmp_path, NaNEngine([1]), steps=3)
    assert int(module.rl_step) == 3
    with pytest.raises(UserError, match=r"not finite; it could not be saved\. Updates were skipped"):
        small_run(repository, tmp_path, NaNEngine([0]), steps=3, guard=GuardConfig(stop_after=1))


def test_metrics_of_a_step_in_which_nothing_could_be_compared() -> None:
    """Every log-prob of the engine is NaN, and so is a reward: what is left is finite, and means what it did."""
    experience = _experience(rewards=torch.tensor([math.nan, *REWARDS[1:]]), advantages=torch.full((18,), math.nan))
    experience = replace(experience, rollouts=replace(experience.rollouts, logprobs=torch.full((18,), math.nan)))
    sums = _updated(GRPO(), UpdateConfig(), experience)[2]
    clock = Clock(CPU)
    clock.lap("time/rollout")
    metrics = step_metrics(experience, sums, clock, GRPO(), PARALLEL)
    assert all(map(math.isfinite, metrics.values())), metrics
    assert metrics["train/accuracy"] == 0.5
    gone = {"train/reward", "train/advantage/mean", "train/advantage/std", "train/advantage/max", "train/loss"}
    gone |= {"rollout/logprob_diff/mean", "rollout/logprob_diff/max", "train/mismatch/kl", "train/grad_norm"}
    assert not gone & set(metrics)


@pytest.mark.parametrize(
    ("wrong", "key"),
    [
        ({"stop_after": 0}, "stop_after is 0"),
        ({"save_batches_every_n_rl_steps": -1}, "save_batches_every_n_rl_steps is -1"),
    ],
)
def test_nonsense_names_its_key(wrong: dict[str, int], key: str) -> None:
    with pytest.raises(UserError, match=rf"model\.guard\.{key}"):
        GuardConfig(**wrong)


def test_saving_changes_nothing(repository: Path, tmp_path: Path) -> None:
    bare = small_run(repository, tmp_path / "a", TransformersEngine(), steps=3)
    saved = small_run(
        repository, tmp_path / "b", TransformersEngine(), steps=3, guard=GuardConfig(save_batches_every_n_rl_steps=1)
    )
    assert digest(bare.state_dict()) == digest(saved.state_dict())
    assert [p.name for p in sorted((tmp_path / "b" / "batches").iterdir())] == ["rl_step=0", "rl_step=1", "rl_step=2"]
