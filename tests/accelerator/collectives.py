"""Collectives that take tensors of the device and no others, as NCCL does; gloo carries the numbers behind them.

A group has a backend for this device type alone. Torch itself then refuses CPU tensors ("No backend type associated with device
type cpu"), and puts what it sends for ``all_gather_object`` and its like on the device.
"""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor
from torch._C import _distributed_c10d as c10d

from tests.accelerator.device_module import KIND

BACKEND = "fakeccl"
"""What the backend is called."""


def register(kind: type[Tensor]) -> None:
    """Make the backend known to torch.distributed, for tensors of the class ``kind``; it is the default for the device."""
    global _kind
    _kind = kind
    dist.Backend.register_backend(BACKEND, _gloo, devices=[KIND])
    # A group that is made with gloo, as Lightning's barrier without a time limit is, serves CPU and GPUs.
    dist.Backend.backend_capability["gloo"].append(KIND)

    start = dist.init_process_group

    def without_device(*args: Any, **kwargs: Any) -> None:
        """NCCL connects at once where it is told its device, and can then split a group; gloo can do neither."""
        start(*args, **{**kwargs, "device_id": None})

    dist.init_process_group = without_device


_kind: type[Tensor] = Tensor


def _gloo(store: dist.Store, rank: int, size: int, timeout: timedelta) -> dist.ProcessGroupGloo:
    return dist.ProcessGroupGloo(store, rank, size, timeout)


def call(op: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Do one of torch's ``c10d`` operators: on the numbers, to its end, with a finished work as its result.

    Raises:
        RuntimeError: one of the tensors is not on the device.
        NotImplementedError: a collective that nobody has called yet.
    """
    name = op.overloadpacket.__name__
    if name not in _CALLS:
        raise NotImplementedError(f"{name}: add it to tests/accelerator/collectives.py")
    named = _by_name(op, args, kwargs)
    group = c10d.ProcessGroup.unbox(named["process_group"])
    backend = group._get_backend(torch.device(KIND))
    done, outputs = _CALLS[name](backend, named)
    done.wait()
    if "reduce_op" in named and _op(named) == dist.ReduceOp.AVG:
        for output in outputs if isinstance(outputs, list) else [outputs]:
            _behind(output).div_(group.size())
    future: torch.futures.Future[Any] = torch.futures.Future()
    future.set_result(outputs if isinstance(outputs, list) else [outputs])
    work = c10d.Work.boxed(c10d._create_work_from_future(future))
    return work if len(op._schema.returns) == 1 else (outputs, work)


def call_functional(op: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Tensor:
    """Do one of torch's ``_c10d_functional`` operators, which DTensors are put together with: a new tensor each.

    Raises:
        NotImplementedError: one that nobody has called yet.
    """
    name, named = op.overloadpacket.__name__, _by_name(op, args, kwargs)
    given = args[0]
    if name in ("wait_tensor", "_wrap_tensor_autograd"):  # nothing is left to wait for
        return given  # type: ignore[no-any-return]
    group = dist.distributed_c10d._resolve_process_group(named["group_name"])
    if name == "all_reduce":
        made = given.clone()
        dist.all_reduce(made, getattr(dist.ReduceOp, named["reduce_op"].upper()), group=group)
    elif name == "broadcast":
        made = given.clone()
        dist.broadcast(made, group=group, group_src=named["src"])
    elif name == "all_gather_into_tensor":
        made = given.new_empty(given.shape[0] * named["group_size"], *given.shape[1:])
        dist.all_gather_into_tensor(made, given.contiguous(), group=group)
    else:
        raise NotImplementedError(f"{name}: add it to tests/accelerator/collectives.py")
    return made  # type: ignore[no-any-return]


def _by_name(op: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
    return dict(zip((argument.name for argument in op._schema.arguments), args, strict=False)) | kwargs


def _behind(value: Any) -> Any:
    if isinstance(value, list | tuple):
        return [_behind(item) for item in value]
    if not isinstance(value, _kind):
        raise RuntimeError(f"No backend type associated with device type {value.device.type}")
    return value.behind  # type: ignore[attr-defined]


def _options(options: Any, **values: Any) -> Any:
    for key, value in values.items():
        setattr(options, key, value)
    return options


def _op(named: dict[str, Any]) -> Any:
    return dist.ReduceOp(dist.ReduceOp.RedOpType(named["reduce_op"].op()))


def _reduction(named: dict[str, Any]) -> Any:
    """Gloo knows no mean; the sum is divided when it is there."""
    op = _op(named)
    return dist.ReduceOp(dist.ReduceOp.SUM) if op == dist.ReduceOp.AVG else op


def _allreduce(backend: Any, named: dict[str, Any]) -> tuple[Any, Any]:
    options = _options(c10d.AllreduceOptions(), reduceOp=_reduction(named))
    return backend.allreduce(_behind(named["tensors"]), options), named["tensors"]


def _broadcast(backend: Any, named: dict[str, Any]) -> tuple[Any, Any]:
    options = _options(c10d.BroadcastOptions(), rootRank=named["root_rank"], rootTensor=named["root_tensor"])
    return backend.broadcast(_behind(named["tensors"]), options), named["tensors"]


def _allgather(backend: Any, named: dict[str, Any]) -> tuple[Any, Any]:
    outputs = named["output_tensors"]
    return backend.allgather(_behind(outputs), _behind(named["input_tensors"]), c10d.AllgatherOptions()), outputs


def _allgather_base(backend: Any, named: dict[str, Any]) -> tuple[Any, Any]:
    into = named["output_tensor"]
    return backend._allgather_base(_behind(into), _behind(named["input_tensor"]), c10d.AllgatherOptions()), into


def _reduce_scatter_base(backend: Any, named: dict[str, Any]) -> tuple[Any, Any]:
    options, into = _options(c10d.ReduceScatterOptions(), reduceOp=_reduction(named)), named["output_tensor"]
    return backend._reduce_scatter_base(_behind(into), _behind(named["input_tensor"]), options), into


def _gather(backend: Any, named: dict[str, Any]) -> tuple[Any, Any]:
    options, outputs = _options(c10d.GatherOptions(), rootRank=named["root_rank"]), named["output_tensors"]
    return backend.gather(_behind(outputs), _behind(named["input_tensors"]), options), outputs


def _scatter(backend: Any, named: dict[str, Any]) -> tuple[Any, Any]:
    options, outputs = _options(c10d.ScatterOptions(), rootRank=named["root_rank"]), named["output_tensors"]
    return backend.scatter(_behind(outputs), _behind(named["input_tensors"]), options), outputs


def _reduce(backend: Any, named: dict[str, Any]) -> tuple[Any, Any]:
    roots = {"rootRank": named["root_rank"], "rootTensor": named["root_tensor"]}
    options = _options(c10d.ReduceOptions(), reduceOp=_reduction(named), **roots)
    return backend.reduce(_behind(named["tensors"]), options), named["tensors"]


def _barrier(backend: Any, named: dict[str, Any]) -> tuple[Any, Any]:
    return backend.barrier(c10d.BarrierOptions()), named["tensor"]


_CALLS: dict[str, Callable[[Any, dict[str, Any]], tuple[Any, Any]]] = {
    "allreduce_": _allreduce,
    "broadcast_": _broadcast,
    "allgather_": _allgather,
    "_allgather_base_": _allgather_base,
    "_reduce_scatter_base_": _reduce_scatter_base,
    "gather_": _gather,
    "scatter_": _scatter,
    "reduce_": _reduce,
    "barrier": _barrier,
}
