"""The plan's estimates against numbers worked out by hand and against the real thing."""

import os
import re
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning import Trainer
from transformers import AutoModelForCausalLM

from lit_rlvr.algorithms.grpo import GRPO
from lit_rlvr.callbacks.checkpoint import RLCheckpoint
from lit_rlvr.data.datamodule import OneShotDataModule
from lit_rlvr.errors import UserError
from lit_rlvr.models.loading import load_config
from lit_rlvr.models.lora import LoRAConfig
from lit_rlvr.module import RLVRModule
from lit_rlvr.plan import COLUMNS, Plan, count_parameters, count_trained, make_plan
from lit_rlvr.rewards.rewards import AnswerReward
from lit_rlvr.rollout.engine import Sampling
from lit_rlvr.rollout.transformers_engine import TransformersEngine
from lit_rlvr.training.strategies import register
from lit_rlvr.training.update import UpdateConfig


def _module(repository: Path, kl: float = 0.001, n: int = 4, **settings: Any) -> RLVRModule:
    sampling = Sampling(n=n, max_tokens=32)
    policy = str(repository / "checkpoints" / "tiny-base")
    return RLVRModule(
        policy, GRPO(kl_coefficient=kl), TransformersEngine(), AnswerReward(), sampling=sampling, **settings
    )


def _said(plan: Plan) -> str:
    """What is printed, in one line."""
    return " ".join(plan.render().split())


def test_parameters_are_counted_once(repository: Path) -> None:
    folder = str(repository / "checkpoints" / "tiny-base")
    real = sum(p.numel() for p in AutoModelForCausalLM.from_pretrained(folder).parameters())
    assert count_parameters(load_config(folder)) == real


def test_plan_says_what_will_be_done(repository: Path) -> None:
    data = OneShotDataModule(rows=6, rl_steps=7)
    text = _said(make_plan(_module(repository), data, Trainer(accelerator="cpu", logger=False)))
    assert "6 rows x 4 responses = 24 per RL step, at most 32 tokens" in text
    assert "7 RL steps = 7 optimizer steps" in text
    assert "evaluation none" in text


@pytest.mark.parametrize("cheaper", [{"kl": 0.0}, {"n": 2}])
def test_less_work_needs_less_memory(cheaper: dict[str, float], repository: Path) -> None:
    data, trainer = OneShotDataModule(rows=64), Trainer(accelerator="cpu", logger=False)
    whole = make_plan(_module(repository), data, trainer).memory_bytes
    assert make_plan(_module(repository, **cheaper), data, trainer).memory_bytes < whole  # type: ignore[arg-type]


def test_weights_of_a_known_model_are_the_textbook_sum(repository: Path) -> None:
    module, data = _module(repository), OneShotDataModule(rows=1)
    parameters = count_parameters(module.model_config)
    plan = make_plan(module, data, Trainer(accelerator="cpu", logger=False))
    # Weight, gradient, two moments, reference and engine copy, 4 bytes each.
    assert plan.memory_bytes > 24 * parameters


def test_an_adapter_spares_gradients_moments_and_the_reference(repository: Path) -> None:
    module, data = _module(repository), OneShotDataModule(rows=1)
    adapted = _module(repository, lora=LoRAConfig(rank=2, targets=["q_proj", "k_proj"]))
    trainer = Trainer(accelerator="cpu", logger=False)
    config = module.model_config
    heads, key_heads = config.num_attention_heads, config.num_key_value_heads
    size = config.hidden_size // heads
    trained = config.num_hidden_layers * 2 * (2 * config.hidden_size + heads * size + key_heads * size)
    assert count_trained(config, adapted.lora) == trained
    plan = make_plan(adapted, data, trainer)
    # Spared of each parameter: gradient, two moments, and the copy. Come on top: the adapter's weights and all of its.
    saved = 16 * count_parameters(config) - 16 * trained

    def held(plan: Plan) -> float:
        return sum(plan.memory.phases["update"][part] for part in ("weights", "moments", "frozen", "gradients"))

    assert held(make_plan(module, data, trainer)) - held(plan) == saved
    text = _said(plan)
    assert "the policy without its adapter, no copy" in text
    assert f"LoRA of rank 2, alpha 32, on q_proj, k_proj: {trained / 1e6:.2f}M parameters trained" in text
    explicit = _module(repository, lora=adapted.lora, reference=adapted.policy_source)
    assert held(make_plan(explicit, data, trainer)) - held(plan) == 4 * count_parameters(config)


@pytest.mark.parametrize(
    ("strategy", "devices", "line"),
    [
        ("auto", 1, "1 (SingleDevice), 6 rows = 24 responses and 8 threads, precision 32-true"),
        ("auto", 2, "2 (DDP), 3 rows = 12 responses and 4 threads each, the whole model, precision 32-true"),
        ("ddp", 6, "6 (DDP), 1 row = 4 responses and 1 thread each, the whole model, precision 32-true"),
        (
            "fsdp2",
            2,
            "2 (FSDP2), 3 rows = 12 responses and 4 threads each, weights, gradients and moments sharded, the engine's copy "
            "whole, precision 32-true",
        ),
    ],
)
def test_the_plan_says_what_each_process_does(
    strategy: str, devices: int, line: str, repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    register()
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)), raising=False)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setattr(torch, "get_num_threads", lambda: 8)
    trainer = Trainer(accelerator="cpu", devices=devices, strategy=strategy, logger=False)
    assert f"processes {line}" in _said(make_plan(_module(repository), OneShotDataModule(rows=6), trainer))


def test_a_thread_count_that_was_given_is_shown(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    monkeypatch.setattr(torch, "get_num_threads", lambda: 3)
    trainer = Trainer(accelerator="cpu", devices=2, strategy="ddp", logger=False)
    assert "and 3 threads each" in _said(make_plan(_module(repository), OneShotDataModule(rows=6), trainer))


def test_rows_that_processes_cannot_share_are_refused(repository: Path) -> None:
    trainer = Trainer(accelerator="cpu", devices=4, strategy="ddp", logger=False)
    with pytest.raises(UserError, match=r"data\.rows is 6, which 4 processes"):
        make_plan(_module(repository), OneShotDataModule(rows=6), trainer)


def test_no_line_is_longer_than_a_terminal_is_wide(repository: Path) -> None:
    plan = make_plan(_module(repository), OneShotDataModule(rows=6), Trainer(accelerator="cpu", logger=False), 80)
    assert max(map(len, plan.render().splitlines())) <= COLUMNS


def test_a_card_is_named_and_fits_or_does_not(repository: Path) -> None:
    data, trainer = OneShotDataModule(rows=64), Trainer(accelerator="cpu", logger=False)
    text = _said(make_plan(_module(repository), data, trainer, 80))
    assert "card a card of 80 GB (--memory): fits, with 7" in text
    assert "to mend it" not in text
    assert "of the machine's memory while models are loaded" in text
    # 1.5 GB of CUDA's own, and activations.
    module = _module(repository, update=UpdateConfig(micro_batch_tokens=100_000))
    text = _said(make_plan(module, data, trainer, 2.5))
    assert re.search(r"a card of 2.5 GB \(--memory\): DOES NOT FIT, \d.\d GB too much \(10% of it is kept free\)", text)
    assert re.search(r"to mend it model\.gradient_checkpointing true: then about 2.0 GB", text)


def test_on_cpu_no_card_is_named_and_checkpoints_are_counted(repository: Path) -> None:
    data, trainer = (
        OneShotDataModule(rows=6),
        Trainer(accelerator="cpu", logger=False, callbacks=[RLCheckpoint(keep=3)]),
    )
    text = _said(make_plan(_module(repository), data, trainer))
    assert " card " not in text
    one = 12 * count_parameters(_module(repository).model_config) / 1e6
    assert (
        f"disk {one:.1f} MB a checkpoint, up to {5 * one:.1f} MB for all, and {one / 3:.1f} MB for the policy" in text
    )
