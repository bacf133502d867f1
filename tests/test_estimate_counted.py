"""The memory estimate of one micro-batch against what tensors without content take in the same code, to within 10%.

`python -m tests.test_estimate_counted` prints both for more set-ups than are tested.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.distributed.device_mesh import init_device_mesh
from torch.testing._internal.distributed.fake_pg import FakeStore
from transformers import AutoModelForCausalLM, PretrainedConfig

from lit_rlvr.estimate import Run, micro_batch
from lit_rlvr.models import body
from lit_rlvr.models.fresh import with_layers
from lit_rlvr.models.lora import LoRAConfig
from lit_rlvr.models.policy import Policy
from lit_rlvr.models.shape import Shape
from lit_rlvr.plan import count_parameters, count_trained
from lit_rlvr.training.sharding import shard
from tests import meta_memory
from tests.benchmarks.memory_table import MODELS
from tests.meta_memory import counted, micro_batch_peak
from tests.storage_peak import StoragePeak

PROMPT, LENGTHS = 150, (3000,) * 7 + (2850,)
"""24,000 tokens, the paper's micro-batch: seven responses at its limit and a shorter one."""


def qwen(size: str, layers: int = 28, **changes: Any) -> PretrainedConfig:
    """Qwen2.5-Math of that many parameters."""
    config = with_layers(MODELS[size], layers)
    for name, value in changes.items():
        setattr(config, name, value)
    return config


def estimated(
    config: PretrainedConfig,
    lengths: tuple[int, ...] = LENGTHS,
    prompt: int = PROMPT,
    gathered: bool = False,
    **settings: Any,
) -> float:
    """Bytes of the micro-batch by the estimate, on a GPU in 16 bits; without casts where layers are gathered in 16 bits."""
    parameters = count_parameters(config)
    run: dict[str, Any] = {"half": True, "engine_half": True, "trained": parameters, "on_cpu": False} | settings
    tokens = prompt + sum(lengths)
    parts = micro_batch(Shape.of(config, parameters), Run(len(lengths), max(lengths), prompt, tokens, **run))
    return sum(size for part, size in parts.items() if not (gathered and part == "casts"))


@pytest.mark.parametrize("sharded", [False, True], ids=["autocast", "fsdp2"])
@pytest.mark.parametrize("checkpointing", [False, True], ids=["kept", "recomputed"])
@pytest.mark.parametrize("size", ["1.5B", "7B"])
def test_a_micro_batch_of_the_paper(size: str, checkpointing: bool, sharded: bool) -> None:
    config = qwen(size)
    there = counted(config, meta_memory.micro_batch(PROMPT, LENGTHS), checkpointing=checkpointing, sharded=sharded)
    # What FSDP2 itself takes for gathering and scattering, another test looks at.
    expected = estimated(config, checkpointing=checkpointing, gathered=sharded)
    assert expected == pytest.approx(there, rel=0.1)


@pytest.mark.parametrize("checkpointing", [False, True], ids=["kept", "recomputed"])
def test_adapters_and_a_critic(checkpointing: bool) -> None:
    config = qwen("1.5B", layers=4)
    batch = meta_memory.micro_batch(PROMPT, LENGTHS[:2])
    lora, whole = LoRAConfig(), count_parameters(config)
    trained = count_trained(config, lora)
    for there, settings in (
        (counted(config, batch, checkpointing=checkpointing, lora=lora), {"trained": trained, "adapter": True}),
        (counted(config, batch, checkpointing=checkpointing, critic=True), {"critic": whole}),
        (counted(config, batch, checkpointing=checkpointing, half=False), {"half": False}),
    ):
        expected = estimated(config, LENGTHS[:2], checkpointing=checkpointing, **settings)
        assert expected == pytest.approx(there, rel=0.1), settings


SMALL = {
    "hidden_size": 64,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "intermediate_size": 256,
    "vocab_size": 128,
}


@pytest.mark.parametrize("checkpointing", [False, True], ids=["kept", "recomputed"])
def test_tensors_with_content_and_real_autocast_take_as_much(checkpointing: bool) -> None:
    """The counting and its stand-ins are right: float16, so that CPU's own attention for bfloat16 stays out."""
    config = qwen("1.5B", layers=3, **SMALL)
    policy = Policy(AutoModelForCausalLM.from_config(config, dtype=torch.float32), 128, checkpointing).train()
    lengths = (60, 60, 41)
    with torch.autocast("cpu", torch.float16):
        real = micro_batch_peak([policy], meta_memory.micro_batch(20, lengths, "cpu"), 0.6)
    there = counted(config, meta_memory.micro_batch(20, lengths), checkpointing=checkpointing)
    assert there == pytest.approx(real, rel=0.02)


def test_the_peak_is_of_what_is_alive() -> None:
    with StoragePeak() as peak:
        first = torch.zeros(1000)
        second = first + 1
        del first
        third = second.view(10, 100)
        assert peak.alive == 4000
        second.untyped_storage().resize_(0)
        assert peak.alive == 0
        del second, third
    assert peak.peak == 8000


@contextmanager
def eight_processes() -> Iterator[Any]:
    """A process group of which the other seven do nothing."""
    torch.distributed.init_process_group("fake", store=FakeStore(), rank=0, world_size=8)
    try:
        yield init_device_mesh("cpu", (8,))
    finally:
        torch.distributed.destroy_process_group()


@pytest.mark.parametrize("tied", [True, False], ids=["tied", "untied"])
def test_fsdp2_gathers_as_much(tied: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """The real FSDP2, on fake tensors: gathered layers and embeddings, their gradients, and the messages they come and go in."""
    config = qwen("1.5B", layers=4, vocab_size=8192, tie_word_embeddings=tied)
    monkeypatch.setattr(body, "why_not_packed", lambda config: None)
    lengths = (2000,)
    with eight_processes() as mesh, FakeTensorMode(allow_non_fake_inputs=True):
        policy = Policy(AutoModelForCausalLM.from_config(config, dtype=torch.float32), 8192, checkpointing=True).train()
        shard(policy, mesh, torch.device("cpu"), "32-true")
        there = micro_batch_peak([policy], meta_memory.micro_batch(100, lengths, "cpu"), 0.6)
    parameters = count_parameters(config)
    run = Run(1, 2000, 100, 2100, False, False, trained=parameters, shards=8, checkpointing=True, on_cpu=False)
    assert sum(micro_batch(Shape.of(config, parameters), run).values()) == pytest.approx(there, rel=0.1)


def main() -> None:
    """Print estimate and count of the paper's micro-batch, in GB."""
    for size in ("1.5B", "7B"):
        config, batch = qwen(size), meta_memory.micro_batch(PROMPT, LENGTHS)
        for sharded in (False, True):
            for checkpointing in (False, True):
                there = counted(config, batch, checkpointing=checkpointing, sharded=sharded) / 1e9
                expected = estimated(config, checkpointing=checkpointing, gathered=sharded) / 1e9
                rule, way = "fsdp2" if sharded else "autocast", "recomputed" if checkpointing else "kept"
                print(f"{size} {rule} {way}: counted {there:.2f}, estimated {expected:.2f}")


if __name__ == "__main__":
    main()
