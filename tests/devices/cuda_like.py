"""A CUDA device that is only pretended, to Python: tensors said to be on ``cuda:0`` lie in memory and compute on the CPU.

It has the manners of CUDA that end runs at their start: operations refuse tensors of two devices, draws refuse a generator of
another device, and under ``torch.device("cuda:0")``, where Lightning calls `configure_model`, a factory that is given no device
makes its tensor there. Numbers and gradients are real. Not seen: what happens inside one call of torch, and in a backward pass.
"""

import importlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from lightning.fabric.accelerators.cpu import CPUAccelerator as FabricCPU
from lightning.fabric.strategies.single_device import SingleDeviceStrategy as FabricSingle
from lightning.pytorch.accelerators.cpu import CPUAccelerator
from lightning.pytorch.strategies import SingleDeviceStrategy
from torch import Tensor
from torch.multiprocessing.reductions import StorageWeakRef
from torch.overrides import TorchFunctionMode
from torch.utils import _device as default_device

CUDA, CPU = torch.device("cuda", 0), torch.device("cpu")

_FACTORIES: frozenset[Any] = frozenset(default_device._device_constructors())
_GET_ITEM, _SET_ITEM = Tensor.__getitem__, Tensor.__setitem__
_MEETS_ANY: frozenset[Any] = frozenset(
    {Tensor.copy_, Tensor.type_as, Tensor.__repr__, Tensor.__format__, torch._has_compatible_shallow_copy_type}
)
"""What takes tensors of two devices, or changes the device."""


class CudaLike(TorchFunctionMode):
    """While it is entered, ``cuda:0`` is there.

    Attributes:
        reseeded: how often the device's own random numbers were seeded.
    """

    def __init__(self) -> None:
        super().__init__()
        self.reseeded = 0
        self._there: dict[int, StorageWeakRef] = {}  # by address, which stays taken as long as the reference is held

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = dict(kwargs or {})
        name = getattr(func, "__name__", "")
        if name in ("__get__", "__set__", "__delete__"):
            return self._attribute(func, args)
        if func in (Tensor.to, Tensor.cpu, Tensor.cuda):
            return self._moved(func, args, kwargs)
        if func is Tensor.numpy and self.holds(args[0]):
            raise TypeError("can't convert cuda:0 device type tensor to numpy. Use Tensor.cpu() first.")
        tensors = list(tensors_in((args, kwargs)))
        device = self._goal(func, tensors, kwargs)
        self._refuse_foreign_generator(kwargs.get("generator"), device)
        if func not in _MEETS_ANY:
            self._refuse_mixture(func, args, tensors)
        if "device" in kwargs or func in _FACTORIES:
            kwargs["device"] = CPU if device == CUDA else device
        made = func(*args, **kwargs)
        if device == CUDA:
            self._mark(made)
        return made

    def holds(self, tensor: Tensor) -> bool:
        """Whether a tensor is said to be on the device."""
        if tensor.device.type != "cpu" or tensor.layout != torch.strided:
            return False
        found = self._there.get(tensor.untyped_storage()._cdata)
        return found is not None and not found.expired()

    def _mark(self, made: Any) -> None:
        if len(self._there) > 10_000:  # references to storages that are gone
            self._there = {key: found for key, found in self._there.items() if not found.expired()}
        for tensor in tensors_in(made):
            if tensor.device.type == "cpu" and tensor.layout == torch.strided:
                storage = tensor.untyped_storage()
                self._there[storage._cdata] = StorageWeakRef(storage)

    def _attribute(self, func: Any, args: tuple[Any, ...]) -> Any:
        got = func(*args)
        if not self.holds(args[0]):
            return got
        which = func.__self__.__name__
        if which == "device":
            return CUDA
        if which in ("is_cuda", "is_cpu"):
            return which == "is_cuda"
        self._mark(got)  # .grad, .data, .T
        return got

    def _moved(self, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Tensor:
        tensor, there = args[0], self.holds(args[0])
        if func is not Tensor.to:
            goal = CPU if func is Tensor.cpu else CUDA
            args, kwargs = (tensor,), {}
        else:
            given = [*args[1:], *kwargs.values()]
            goal = CUDA if there else tensor.device
            for one in given:
                if isinstance(one, torch.device | str):
                    goal = torch.device(one)
                elif isinstance(one, Tensor):
                    goal = CUDA if self.holds(one) else one.device
            real = CPU if goal.type == "cuda" else goal

            def put(one: Any) -> Any:
                return real if isinstance(one, torch.device | str) else one

            args, kwargs = (tensor, *map(put, args[1:])), {key: put(value) for key, value in kwargs.items()}
        changes = there != (goal.type == "cuda")
        moved: Tensor = tensor.to(*args[1:], **kwargs)
        if changes and moved.untyped_storage()._cdata == tensor.untyped_storage()._cdata:
            moved = moved.clone()
        if goal.type == "cuda":
            self._mark(moved)
        return moved

    def _goal(self, func: Any, tensors: list[Tensor], kwargs: dict[str, Any]) -> torch.device:
        """Where the result will be."""
        if kwargs.get("device") is not None:
            asked = torch.device(kwargs["device"])
            return CUDA if asked.type == "cuda" else asked
        if func in _FACTORIES and not (func is torch.as_tensor and tensors):
            there = default_device.CURRENT_DEVICE or CPU
            return CUDA if there.type == "cuda" else there
        if func in (Tensor.copy_, _SET_ITEM, _GET_ITEM):
            tensors = tensors[:1]
        if any(map(self.holds, tensors)):
            return CUDA
        return tensors[0].device if tensors else CPU

    def _refuse_foreign_generator(self, generator: Any, device: torch.device) -> None:
        if isinstance(generator, torch.Generator) and generator.device.type != device.type and device.type != "meta":
            raise RuntimeError(
                f"Expected a '{device.type}' device type for generator but found '{generator.device.type}'"
            )

    def _refuse_mixture(self, func: Any, args: tuple[Any, ...], tensors: list[Tensor]) -> None:
        if torch._C._current_graph_task_id() != -1:  # gradients that autograd has made by itself bear no mark
            return
        first = bool(tensors) and self.holds(tensors[0])
        if func is _GET_ITEM and first:  # may be asked by indices of either
            return
        if func is _SET_ITEM and first and not any(True for _ in tensors_in(args[1])):  # a copy
            return
        there = [self.holds(tensor) for tensor in tensors]
        foreign = [t for t, on in zip(tensors, there, strict=True) if not on and t.dim() > 0 and t.device == CPU]
        if any(there) and foreign:
            name = getattr(func, "__name__", func)
            raise RuntimeError(
                f"Expected all tensors to be on the same device, but found at least two devices, cuda:0 and cpu! ({name})"
            )


def tensors_in(content: Any) -> Iterator[Tensor]:
    """Those in nested tuples, lists and dictionaries."""
    if isinstance(content, Tensor):
        yield content
    elif isinstance(content, tuple | list):
        for one in content:
            yield from tensors_in(one)
    elif isinstance(content, dict):
        yield from tensors_in(tuple(content.values()))


class _OnCuda(SingleDeviceStrategy):
    def __init__(self, device: Any = None) -> None:
        super().__init__(CUDA)


class _FabricOnCuda(FabricSingle):
    def __init__(self, device: Any = None) -> None:
        super().__init__(CUDA)


@contextmanager
def cuda_like() -> Iterator[CudaLike]:
    """Lightning's device, single or of each of several processes, is the pretended one, and its driver answers."""
    mode = CudaLike()

    def count_seed(seed: int) -> None:
        mode.reseeded += 1

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("lightning.pytorch.trainer.connectors.accelerator_connector.SingleDeviceStrategy", _OnCuda)
        patch.setattr("lightning.fabric.connector.SingleDeviceStrategy", _FabricOnCuda)
        for accelerator in (CPUAccelerator, FabricCPU):
            patch.setattr(accelerator, "setup_device", lambda self, device: None)
        for library, ids in (("pytorch", "determine_ddp_device_ids"), ("fabric", "_determine_ddp_device_ids")):
            ddp = importlib.import_module(f"lightning.{library}.strategies.ddp")
            patch.setattr(ddp.DDPStrategy, "root_device", CUDA)
            patch.setattr(ddp.DDPStrategy, ids, lambda self: None)
            patch.setattr(ddp.DDPStrategy, "_get_process_group_backend", lambda self: "gloo")
            patch.setattr(ddp, "_init_dist_connection", _connected_by_gloo(ddp._init_dist_connection))
        patch.setattr(torch.cuda, "synchronize", lambda device=None: None)
        for asked in ("max_memory_allocated", "memory_allocated", "memory_reserved"):
            patch.setattr(torch.cuda, asked, lambda device=None: 0)
        patch.setattr(torch.cuda, "mem_get_info", lambda device=None: (80 * 10**9, 80 * 10**9))
        patch.setattr(torch.cuda, "get_device_name", lambda device=None: "a pretended one")
        properties = SimpleNamespace(name="a pretended one", total_memory=80 * 10**9)
        patch.setattr(torch.cuda, "get_device_properties", lambda device=None: properties)
        patch.setattr(torch.cuda, "manual_seed_all", count_seed)
        with mode:
            yield mode


def _connected_by_gloo(connect: Callable[..., None]) -> Callable[..., None]:
    def without_device(*arguments: Any, device_id: Any = None, **settings: Any) -> None:
        connect(*arguments, **settings)

    return without_device
