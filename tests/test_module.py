"""RLVRModule from Python, without the command line: what a training step does to policy, engine and record."""

from pathlib import Path

import pytest
import torch
from lightning import Callback, LightningModule, Trainer

from lit_rlvr.algorithms.algorithm import Algorithm
from lit_rlvr.algorithms.grpo import GRPO
from lit_rlvr.algorithms.ppo import PPO
from lit_rlvr.data.datamodule import OneShotDataModule
from lit_rlvr.errors import UserError
from lit_rlvr.experience import StepRecord
from lit_rlvr.models.loading import load_model
from lit_rlvr.models.lora import LoRAConfig, WithoutAdapter
from lit_rlvr.models.policy import Policy
from lit_rlvr.models.weights import is_adapter, plain_name
from lit_rlvr.module import RLVRModule
from lit_rlvr.names import METRICS
from lit_rlvr.rewards.rewards import AnswerReward
from lit_rlvr.rollout.engine import Sampling
from lit_rlvr.rollout.transformers_engine import TransformersEngine
from lit_rlvr.training.update import UpdateConfig
from tests.builders import random_model


class Watch(Callback):
    """Keeps the records, and holds the engine's weights against the policy's after every step."""

    def __init__(self) -> None:
        self.records: list[StepRecord] = []

    def on_train_batch_end(  # type: ignore[no-untyped-def]
        self, trainer, pl_module: LightningModule, outputs, batch, batch_idx
    ) -> None:
        assert isinstance(pl_module, RLVRModule)
        assert pl_module.last_step is not None
        self.records.append(pl_module.last_step)
        prompt = batch.prompts[0]
        answer = pl_module.engine.generate([prompt], Sampling(temperature=0.0, max_tokens=12), seed=0)
        tokens = torch.tensor([*prompt, *answer.tokens.tolist()])
        with torch.no_grad():
            logits = pl_module.policy.model(tokens[None], use_cache=False).logits[0, len(prompt) - 1 : -1]
        logits = logits[:, : len(pl_module.tokenizer)]
        assert torch.equal(logits.argmax(-1), answer.tokens)
        expected = logits.log_softmax(-1).gather(-1, answer.tokens[:, None])[:, 0]
        torch.testing.assert_close(answer.logprobs, expected, atol=1e-4, rtol=0)


def _fit(
    repository: Path,
    steps: int = 3,
    lr: float = 1e-3,
    algorithm: Algorithm | None = None,
    max_tokens: int = 24,
    **settings,
):  # type: ignore[no-untyped-def]
    module = RLVRModule(
        str(repository / "checkpoints" / "tiny-base"),
        algorithm or GRPO(),
        TransformersEngine(),
        AnswerReward(),
        sampling=Sampling(n=8, temperature=1.0, max_tokens=max_tokens),
        optimizer=lambda parameters: torch.optim.AdamW(parameters, lr=lr),
        **settings,
    )
    watch = Watch()
    trainer = Trainer(
        max_epochs=1, accelerator="cpu", logger=False, enable_checkpointing=False, enable_progress_bar=False,
        enable_model_summary=False, callbacks=[watch],
    )  # fmt: skip
    trainer.fit(module, datamodule=OneShotDataModule(rows=2, rl_steps=steps))
    return module, watch.records


@pytest.mark.parametrize("updates", [1, 2])
def test_records_of_a_run(updates: int, repository: Path) -> None:
    module, records = _fit(repository, update=UpdateConfig(updates_per_rollout=updates))
    assert int(module.rl_step) == 3
    assert [record.rl_step for record in records] == [0, 1, 2]
    assert module.trainer.global_step == 3 * updates
    for record in records:
        rollouts, experience = record.experience.rollouts, record.experience
        assert len(rollouts) == 16
        assert set(record.metrics) <= set(METRICS)
        assert (experience.old_logprobs is None) == (updates == 1)
        assert record.metrics["rollout/logprob_diff/max"] < 1e-4
        assert record.metrics["rollout/length/mean"] == pytest.approx(rollouts.lengths.double().mean().item())
        assert record.metrics["train/reward"] == pytest.approx(experience.rewards.mean().item())
        rates = [value for name, value in record.metrics.items() if name.startswith("verdict/")]
        assert sum(rates) == pytest.approx(1.0)
        phases = {name for name in record.metrics if name.startswith("time/")}
        assert set(record.cpu_seconds) == phases
        assert all(record.cpu_seconds[name] > 0 for name in ("time/rollout", "time/forward", "time/step"))
    # The first update starts from the reference itself.
    assert records[0].metrics["train/kl"] == pytest.approx(0.0, abs=1e-5 if updates == 1 else 0.1)
    assert records[2].metrics["train/kl"] > records[0].metrics["train/kl"]


def test_each_step_draws_anew_and_a_second_run_draws_the_same(repository: Path) -> None:
    _, first = _fit(repository)
    _, second = _fit(repository)
    _, other = _fit(repository, seed=1)
    assert first[0].experience.rollouts.texts != first[1].experience.rollouts.texts
    assert [r.experience.rollouts.texts for r in first] == [r.experience.rollouts.texts for r in second]
    assert first[0].experience.rollouts.texts != other[0].experience.rollouts.texts
    assert [r.metrics["train/loss"] for r in first] == [r.metrics["train/loss"] for r in second]


def test_no_reference_without_its_term(repository: Path) -> None:
    module, records = _fit(repository, steps=1, algorithm=GRPO(kl_coefficient=0))
    assert module.reference is None
    assert "train/kl" not in records[0].metrics
    assert not [name for name in module.state_dict() if "reference" in name]


def test_with_lora_the_reference_is_the_policy_without_its_adapter(repository: Path) -> None:
    base = str(repository / "checkpoints" / "tiny-base")
    settings = {"lora": LoRAConfig(rank=4, alpha=8), "lr": 1e-2, "update": UpdateConfig(updates_per_rollout=2)}
    free, records = _fit(repository, **settings)
    copied, same = _fit(repository, reference=base, **settings)
    assert isinstance(free.reference, WithoutAdapter)
    assert isinstance(copied.reference, Policy)
    for one, other in zip(records, same, strict=True):
        assert torch.equal(one.experience.reference_logprobs, other.experience.reference_logprobs)  # type: ignore[arg-type]
        assert one.metrics["train/kl"] == other.metrics["train/kl"]
        assert one.metrics["rollout/logprob_diff/max"] < 1e-4
    assert records[2].metrics["train/kl"] > 0.01
    # What is trained is the adapter and nothing else.
    state = free.policy.model.state_dict()
    assert all(torch.equal(value, copied.policy.model.state_dict()[name]) for name, value in state.items())
    (optimizer,) = free.trainer.optimizers
    assert sum(p.numel() for group in optimizer.param_groups for p in group["params"]) == sum(
        value.numel() for name, value in state.items() if is_adapter(name)
    )
    whole = load_model(base, free.tokenizer).state_dict()
    assert all(torch.equal(value, whole[plain_name(name)]) for name, value in state.items() if not is_adapter(name))
    assert all(value.abs().max() > 0 for name, value in state.items() if is_adapter(name))


def test_ppo_trains_a_critic_beside_the_policy(repository: Path) -> None:
    algorithm = PPO(kl_coefficient=0.0, critic_warmup=2)
    module, records = _fit(
        repository,
        algorithm=algorithm,
        max_tokens=64,  # enough for an answer: without any reward there is nothing to expect
        update=UpdateConfig(updates_per_rollout=2, epochs=2),
        critic_optimizer=lambda parameters: torch.optim.AdamW(parameters, lr=1e-3),
    )
    assert module.reference is None
    for record in records:
        experience = record.experience
        assert experience.values is not None
        assert experience.returns is not None
        assert len(experience.values) == len(experience.returns) == len(experience.rollouts.tokens)
        assert set(record.metrics) <= set(METRICS)
        assert record.metrics["rollout/logprob_diff/max"] < 1e-4
    first, second, third = (record.metrics for record in records)
    assert first["train/critic/value"] == 0.0  # a new critic expects nothing, and therefore explains nothing
    assert first["train/critic/explained_variance"] == pytest.approx(0.0)
    assert second["train/critic/value"] > 0.02
    # Two steps of warm-up: the critic moves and the policy does not.
    assert first["train/approx_kl"] == second["train/approx_kl"] == 0.0
    assert third["train/approx_kl"] > 0.0
    assert first["train/critic/grad_norm"] > 0.0
    assert {"train/lr": 1e-3, "train/critic/lr": 1e-3}.items() <= third.items()
    state = set(module.state_dict())
    assert "critic.head.weight" in state
    assert not [name for name in state if "critic" in name and "lm_head" in name]


def test_no_critic_without_its_algorithm(repository: Path) -> None:
    module, records = _fit(repository, steps=1)
    assert module.critic is None
    assert not [name for name in records[0].metrics if "critic" in name]


def test_learning_rate_zero_changes_nothing(repository: Path) -> None:
    from transformers import AutoModelForCausalLM

    module, _ = _fit(repository, steps=2, lr=0.0)
    base = AutoModelForCausalLM.from_pretrained(repository / "checkpoints" / "tiny-base", dtype=torch.float32)
    for a, b in zip(module.policy.model.parameters(), base.parameters(), strict=True):
        assert torch.equal(a, b)


def test_truncated_sampling_is_warned_of(repository: Path) -> None:
    folder = str(repository / "checkpoints" / "tiny-base")
    with pytest.warns(UserWarning, match="off-policy"):
        RLVRModule(folder, GRPO(), TransformersEngine(), AnswerReward(), sampling=Sampling(top_p=0.9))
    with pytest.raises(UserError, match="temperature is 0"):
        RLVRModule(folder, GRPO(), TransformersEngine(), AnswerReward(), sampling=Sampling(temperature=0.0))


def test_a_critic_that_knows_other_tokens_is_refused(repository: Path, tmp_path: Path) -> None:
    random_model(vocabulary=48).save_pretrained(tmp_path)
    folder = str(repository / "checkpoints" / "tiny-base")
    with pytest.raises(UserError, match=r"knows 48 tokens.*has 512"):
        RLVRModule(folder, PPO(), TransformersEngine(), AnswerReward(), critic=str(tmp_path))
    RLVRModule(folder, GRPO(), TransformersEngine(), AnswerReward(), critic=str(tmp_path))  # nobody asks for it
