"""Read off a configured run what its memory depends on, for the card that is here or for one that is not.

From: the module, the data's sizes, and Lightning's trainer. To: `estimate.py`, `host_memory.py`.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import torch
from jsonargparse import Namespace
from lightning import Trainer
from lightning.pytorch.strategies import DDPStrategy
from torch import Tensor, nn
from torch.optim import Optimizer

from lit_rlvr.errors import UserError
from lit_rlvr.estimate import Engine, Run
from lit_rlvr.module import RLVRModule
from lit_rlvr.rollout.engine import engine_dtype
from lit_rlvr.rollout.transformers_engine import TransformersEngine
from lit_rlvr.rollout.vllm_engine import VLLMEngine
from lit_rlvr.training.strategies import FSDP2Strategy, gradients_are_views

ADAMW_BYTES = 8
"""Of state per parameter: what an optimizer is taken to keep that cannot be tried on a CPU."""

PROBE = 256
"""Rows and columns of the matrix that an optimizer is tried on: large enough for 8-bit states, which small tensors do not get."""


@dataclass(frozen=True)
class Card:
    """A GPU that a run is planned for.

    Attributes:
        name: how to call it.
        bytes: its memory.
    """

    name: str
    bytes: float


def card_of(trainer: Trainer, memory: float | None) -> Card | None:
    """Name the card of a process: the real one, or a thought one where its memory is given.

    Args:
        trainer: of the run.
        memory: in GB (10^9 bytes), or None for the real one.

    Returns:
        The card, or None where the run is on CPU.
    """
    if memory is not None:
        return Card(f"a card of {memory:g} GB (--memory)", memory * 1e9)
    device = trainer.strategy.root_device
    if device.type != "cuda":
        return None
    properties = torch.cuda.get_device_properties(device)
    return Card(properties.name, properties.total_memory)


def plan_for_a_card_elsewhere(memory: float, trainer: Namespace) -> None:
    """Make the trainer's section one that Lightning takes on a machine without that card; nothing is started by it.

    Args:
        memory: of the card, in GB.
        trainer: the section, changed in place: on CPU, with as many processes as GPUs were asked for.

    Raises:
        UserError: the memory is no size of a card.
    """
    if not memory > 0:
        raise UserError(f"--memory is {memory:g}; give the size of a GPU's memory in GB, such as 80.")
    trainer.accelerator = "cpu"
    trainer.devices = _devices(trainer.devices)
    if trainer.precision == "16-mixed":  # Lightning takes it on GPUs alone, and a number is as wide in bfloat16
        trainer.precision = "bf16-mixed"


def _devices(asked: Any) -> int:
    """How many devices a value of ``trainer.devices`` means; all that are here where it does not say."""
    if isinstance(asked, list):
        return len(asked)
    text = str(asked)
    if "," in text:
        return len([part for part in text.split(",") if part.strip()])
    if text.isdigit():
        return int(text)
    return max(1, torch.cuda.device_count())


def planned_run(
    module: RLVRModule, parameters: int, trained: int, rows: int, prompt: int, trainer: Trainer, card: Card | None
) -> Run:
    """Gather what the memory of one process depends on.

    Args:
        module: of the run.
        parameters: of the policy.
        trained: of them, or of its adapter.
        rows: of this process.
        prompt: tokens of the longest prompt.
        trainer: of the run.
        card: that it is planned for, or None on CPU.
    """
    frozen = 0 if module.lora is None else parameters  # the base under an adapter
    if module.algorithm.needs_reference and module.reference_source is not None:
        frozen += parameters
    device = torch.device("cpu") if card is None else torch.device("cuda")
    critic = parameters if module.algorithm.needs_critic else 0  # a body of the policy's size, as a rule
    moments, step_bytes = _of_both(module, trained, critic, card is not None)
    held, gradients = _gradient_bytes(trainer)
    return Run(
        responses=rows * module.sampling.n,
        tokens=module.sampling.max_tokens,
        prompt=prompt,
        micro_batch_tokens=module.update_config.micro_batch_tokens,
        half="16" in str(trainer.precision),
        engine_half=engine_dtype(getattr(module.engine, "dtype", "auto"), device) != torch.float32,
        trained=trained,
        frozen=frozen,
        critic=critic,
        adapter=module.lora is not None,
        processes=trainer.world_size,
        shards=trainer.world_size if isinstance(trainer.strategy, FSDP2Strategy) else 1,
        held_gradients=held,
        gradients=gradients,
        moments=moments,
        step_bytes=step_bytes,
        checkpointing=module.gradient_checkpointing,
        card=None if card is None else card.bytes,
        on_cpu=card is None,
        **_engine_settings(module.engine),
    )


def _engine_settings(engine: object) -> dict[str, Any]:
    kind: Engine = "elsewhere"
    if isinstance(engine, TransformersEngine):
        kind = "transformers"
    if not isinstance(engine, VLLMEngine):
        return {"engine": kind, "max_batch": getattr(engine, "max_batch", 1024)}
    return {
        "engine": "vllm",
        "max_batch": engine.max_batch,
        "utilization": engine.gpu_memory_utilization,
        "sleep": engine.sleep,
        "sharing": engine.tensor_parallel_size,
        "engine_bytes": engine.kv_cache_gb * 2**30,
    }


def _gradient_bytes(trainer: Trainer) -> tuple[float, float]:
    """Bytes of gradient per trained parameter: that stay between updates, and that are there during one."""
    strategy = trainer.strategy
    if not isinstance(strategy, DDPStrategy):
        return 0, 4
    # Buckets stay. Where gradients are no views of them, there is a second copy while a model is updated.
    return 4, 4 if gradients_are_views(strategy) else 8


def _of_both(module: RLVRModule, trained: int, critic: int, on_gpu: bool) -> tuple[float, float]:
    """``state_bytes`` of the policy's optimizer, or the mean of that and the critic's."""
    own = state_bytes(module.optimizer_factory, on_gpu)
    if not critic:
        return own
    other = state_bytes(module.critic_optimizer_factory, on_gpu)
    moments, step = ((a * trained + b * critic) / (trained + critic) for a, b in zip(own, other, strict=True))
    return moments, step


def state_bytes(factory: Callable[[Iterable[Tensor]], Optimizer], on_gpu: bool = False) -> tuple[float, float]:
    """Find out how much an optimizer keeps by taking one step with it.

    Args:
        factory: parameters -> optimizer.
        on_gpu: it will run there.

    Returns:
        Bytes of state per parameter, and bytes per parameter that a step takes for itself.
    """
    weight = nn.Parameter(torch.zeros(PROBE, PROBE))
    optimizer = factory([weight])
    kind = type(optimizer)
    if "8bit" in kind.__name__.lower():  # two states of a byte and their scales; torchao would compile for a minute
        return 2.1, 0
    weight.grad = torch.zeros_like(weight)
    try:
        optimizer.step()
    except Exception:  # whatever one says that runs on GPUs alone
        return ADAMW_BYTES, 0
    state = sum(value.nbytes for value in optimizer.state[weight].values() if isinstance(value, Tensor) and value.ndim)
    # On a GPU PyTorch's own take all parameters at once where they are not fused, and a list of all square roots with it.
    listed = on_gpu and kind.__module__.startswith("torch.optim") and not optimizer.defaults.get("fused")
    return state / weight.numel(), 4.0 if listed else 0.0
