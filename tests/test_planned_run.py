"""What a plan reads off a run: the card, the optimizer's states, the strategy's gradients, the engine."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from jsonargparse import Namespace
from lightning import Trainer
from lightning.pytorch.strategies import DDPStrategy

from lit_rlvr.algorithms.grpo import GRPO
from lit_rlvr.errors import UserError
from lit_rlvr.estimate import Run
from lit_rlvr.module import RLVRModule
from lit_rlvr.planned_run import Card, card_of, plan_for_a_card_elsewhere, planned_run, state_bytes
from lit_rlvr.rewards.rewards import AnswerReward
from lit_rlvr.rollout.engine import Sampling
from lit_rlvr.rollout.transformers_engine import TransformersEngine
from lit_rlvr.rollout.vllm_engine import VLLMEngine
from lit_rlvr.training.strategies import register


def _run(repository: Path, engine: Any = None, card: Card | None = None, **trainer: Any) -> Run:
    policy = str(repository / "checkpoints" / "tiny-base")
    module = RLVRModule(
        policy, GRPO(), engine or TransformersEngine(), AnswerReward(), sampling=Sampling(n=4, max_tokens=32)
    )
    register()
    return planned_run(module, 1000, 1000, 2, 64, Trainer(accelerator="cpu", logger=False, **trainer), card)


@pytest.mark.parametrize(
    ("optimizer", "state"),
    [
        (lambda p: torch.optim.AdamW(p), 8),
        (lambda p: torch.optim.AdamW(p, amsgrad=True), 12),
        (lambda p: torch.optim.SGD(p, lr=0.1), 0),
        (lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.9), 4),
    ],
)
def test_states_are_counted_by_taking_a_step(optimizer: Any, state: int) -> None:
    assert state_bytes(optimizer)[0] == pytest.approx(state, abs=0.01)
    assert state_bytes(optimizer, on_gpu=False)[1] == 0


def test_a_step_takes_a_list_of_temporaries_on_a_gpu_where_it_is_not_fused() -> None:
    assert state_bytes(lambda p: torch.optim.AdamW(p), on_gpu=True)[1] == 4
    assert state_bytes(lambda p: torch.optim.AdamW(p, fused=True), on_gpu=True)[1] == 0


def test_states_in_eight_bits_are_known_by_name() -> None:
    class AdamW8bit(torch.optim.AdamW):
        pass

    assert state_bytes(lambda p: AdamW8bit(p))[0] == pytest.approx(2, abs=0.2)


def test_gradients_of_each_strategy(repository: Path) -> None:
    single = _run(repository)
    assert (single.held_gradients, single.gradients, single.shards) == (0, 4, 1)
    ours = _run(repository, devices=2, strategy="ddp")
    assert (ours.held_gradients, ours.gradients, ours.shards) == (4, 4, 1)
    plain = _run(repository, devices=2, strategy=DDPStrategy())
    assert (plain.held_gradients, plain.gradients) == (4, 8)
    sharded = _run(repository, devices=2, strategy="fsdp2")
    assert (sharded.held_gradients, sharded.gradients, sharded.shards) == (0, 4, 2)


def test_the_engine_computes_in_bfloat16_on_a_card(repository: Path) -> None:
    assert not _run(repository).engine_half
    card = Card("one", 80e9)
    assert _run(repository, card=card).engine_half
    run = _run(repository, VLLMEngine(gpu_memory_utilization=0.3, sleep=True, tensor_parallel_size=2), card)
    assert (run.engine, run.utilization, run.sleep, run.sharing, run.card) == ("vllm", 0.3, True, 2, 80e9)
    assert not run.on_cpu


def test_the_real_card_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    trainer: Any = SimpleNamespace(strategy=SimpleNamespace(root_device=torch.device("cuda:0")))
    here = SimpleNamespace(name="NVIDIA H100 80GB HBM3", total_memory=85_000_000_000)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda device: here)
    assert card_of(trainer, None) == Card("NVIDIA H100 80GB HBM3", 85e9)
    assert card_of(trainer, 40) == Card("a card of 40 GB (--memory)", 40e9)
    assert card_of(Trainer(accelerator="cpu", logger=False), None) is None


@pytest.mark.parametrize(
    ("asked", "devices"), [(8, 8), ("8", 8), ("auto", 1), (-1, 1), ([0, 3], 2), ("0,1,2", 3), ("0,", 1)]
)
def test_a_card_elsewhere_takes_as_many_processes_as_asked_for(
    asked: Any, devices: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    section = Namespace(accelerator="gpu", devices=asked, precision="16-mixed")
    plan_for_a_card_elsewhere(80, section)
    assert (section.accelerator, section.devices, section.precision) == ("cpu", devices, "bf16-mixed")


def test_a_card_has_some_memory() -> None:
    with pytest.raises(UserError, match="--memory is 0"):
        plan_for_a_card_elsewhere(0, Namespace())


def test_an_optimizer_for_gpus_alone_counts_as_adamw() -> None:
    class OnGPUs(torch.optim.SGD):
        def step(self, closure: Any = None) -> None:
            raise RuntimeError("this kernel is not compiled for CPU")

    assert state_bytes(lambda parameters: OnGPUs(parameters, lr=1.0)) == (8, 0)
