"""Load a model once for all processes and shard it with FSDP2, one decoder layer after the other.

From: a function that loads. To: a `Body` of which each process holds a share. No process but the first ever holds more than
one layer of it whole, and none holds a second copy.
"""

from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from lightning.pytorch.strategies import ModelParallelStrategy, Strategy
from torch import Tensor, nn
from torch.distributed.device_mesh import DeviceMesh
from torch.distributed.fsdp import FSDPModule, MixedPrecisionPolicy, fully_shard
from transformers import AutoModelForCausalLM, PreTrainedModel

from lit_rlvr.errors import UserError
from lit_rlvr.models.body import Body

AnyBody = TypeVar("AnyBody", bound=Body)


def load_once(load: Callable[[], PreTrainedModel], strategy: Strategy) -> PreTrainedModel:
    """Load a model; where the strategy shards, on rank 0, and give every other rank the same one on ``meta``. Collective.

    Args:
        load: makes the model; called by all ranks, or on rank 0 alone.
        strategy: of the run.

    Raises:
        UserError: ``load`` did, with the same sentence on all ranks.
    """
    if not isinstance(strategy, ModelParallelStrategy):
        return load()
    model: PreTrainedModel | None = None
    said: Any = None
    if strategy.is_global_zero:
        try:
            model = load()
            said = (model.config, model.generation_config)
        except UserError as error:
            said = str(error)
    said = strategy.broadcast(said)
    if isinstance(said, str):
        raise UserError(said)
    if model is None:
        config, generation = said
        with torch.device("meta"):
            model = AutoModelForCausalLM.from_config(config, dtype=torch.float32)
        model.generation_config = generation
    return model


def sharded(body: AnyBody, strategy: Strategy) -> AnyBody:
    """Shard a policy, reference or critic over all processes where the strategy does; give it back. Collective."""
    if isinstance(strategy, ModelParallelStrategy):
        mesh, precision = strategy.device_mesh["data_parallel"], str(strategy.precision_plugin.precision)
        shard(body, mesh, strategy.root_device, precision)
    return body


def shard(body: Body, mesh: DeviceMesh, device: torch.device, precision: str) -> None:
    """Shard a policy, reference or critic over the mesh: each decoder layer by itself, then what is left. Collective.

    In ``bf16-mixed`` the layers are gathered in bfloat16. What is left (embedding, last norm, heads) is gathered in float32, and
    nobody casts what the layers are given: the residual stream is float32 then, as it is under autocast on one device or with
    DDP, and so are the log-probs but for the rounding of the layers' norm weights. Casting inputs would also hand the layers
    copies of `Layout`, whose dictionary they are to fill.

    Args:
        body: with rank 0's weights; on other ranks they may be on ``meta``.
        mesh: of all processes.
        device: of this process.
        precision: ``trainer.precision``.
    """
    half = MixedPrecisionPolicy(param_dtype=torch.bfloat16, reduce_dtype=torch.float32, cast_forward_inputs=False)
    for layer in _layers(body):
        _send_from_first(layer, mesh, device)
        fully_shard(layer, mesh=mesh, mp_policy=half if precision == "bf16-mixed" else MixedPrecisionPolicy())
    _send_from_first(body, mesh, device)
    fully_shard(body, mesh=mesh, mp_policy=MixedPrecisionPolicy())


def _layers(body: Body) -> list[nn.Module]:
    names = set(getattr(body.model, "_no_split_modules", None) or ())
    return [module for module in body.model.modules() if type(module).__name__ in names]


def _send_from_first(unit: nn.Module, mesh: DeviceMesh, device: torch.device) -> None:
    """Put parameters and buffers of a unit, as rank 0 has them, onto every rank's device; tied ones stay tied."""
    sent: dict[Tensor, Tensor] = {}
    for module in _not_sharded_yet(unit):
        for tensors in (module._parameters, module._buffers):
            for name, tensor in tensors.items():
                if tensor is not None:
                    if tensor not in sent:
                        sent[tensor] = _from_first(tensor, mesh, device)
                    tensors[name] = sent[tensor]  # type: ignore[assignment]


def _from_first(tensor: Tensor, mesh: DeviceMesh, device: torch.device) -> Tensor:
    first = dist.get_rank() == 0
    value = tensor.detach().to(device).contiguous() if first else torch.empty_like(tensor, device=device)
    dist.broadcast(value, src=0, group=mesh.get_group())
    return nn.Parameter(value, tensor.requires_grad) if isinstance(tensor, nn.Parameter) else value


def _not_sharded_yet(module: nn.Module) -> Iterator[nn.Module]:
    yield module
    for child in module.children():
        if not isinstance(child, FSDPModule):
            yield from _not_sharded_yet(child)
