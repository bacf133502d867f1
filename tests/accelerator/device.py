"""An accelerator without the hardware: tensors on a device of its own, which compute on the CPU.

Each tensor of the device is a wrapper around a CPU tensor, its numbers. Every operator that reaches the backend is looked at (is
it allowed, does the program wait for it) and then done on the numbers behind: mistakes that would end a run on a GPU end it here,
results and gradients are real. The device's type is torch's ``PrivateUse1``, of which a process has one and keeps it to its end:
install it in processes that are started for it.

Left out: device generators (torch has no way to make one from Python) and streams that overlap.
"""

import copy
from collections.abc import Callable
from functools import cache
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch._ops import OpOverload
from torch.optim import optimizer as optimizers
from torch.utils import _foreach_utils
from torch.utils.backend_registration import _setup_privateuseone_for_python_backend

from tests.accelerator import attention, autocast, collectives
from tests.accelerator.counts import COUNTS
from tests.accelerator.device_module import GENERATOR, KIND, DeviceModule
from tests.accelerator.refusals import check_deterministic, check_devices, check_generator

CPU = torch.device("cpu")

WAITS = frozenset({
    "_local_scalar_dense", "item", "equal", "nonzero", "masked_select", "_unique2", "unique_consecutive", "unique_dim", "bincount",
    "is_nonzero", "argwhere",
})  # fmt: skip
"""Operators whose result is on the CPU or has a shape that depends on numbers."""

WHOLE = (torch.ops.aten.copy_.default, torch.ops.aten.silu_backward.default, torch.ops.aten.mish_backward.default)
"""Operators that torch puts together from others, with rounding of their own, for any device that brings no kernel for them."""

FUSED = frozenset({"rms_norm"})
"""Operators for which CUDA has one kernel. With gradients they come in pieces all the same: torch asks for the device's name."""

NO_LAUNCH = frozenset({
    "empty", "empty_strided", "empty_like", "new_empty", "new_empty_strided", "is_pinned", "_unsafe_view", "detach_",
})  # fmt: skip
"""What launches nothing besides views: memory is taken and nothing is written."""

ROOM = 1 << 40
"""Bytes that a tensor may grow to in place (factories like arange fill an empty one); nothing is taken for it."""

_PYTHON = torch._C.DispatchKeySet(torch._C.DispatchKey.Python)
_libraries: list[torch.library.Library] = []  # what is registered lives as long as these do


class DeviceTensor(Tensor):
    """A tensor on the device.

    Attributes:
        behind: its numbers, on the CPU.
    """

    behind: Tensor
    __torch_function__ = torch._C._disabled_torch_function_impl  # type: ignore[assignment]

    @staticmethod
    def __new__(cls, behind: Tensor) -> "DeviceTensor":
        wrapper = torch.Tensor._make_wrapper_subclass(
            cls,
            behind.size(),
            strides=behind.stride(),
            storage_offset=behind.storage_offset(),
            dtype=behind.dtype,
            device=torch.device(KIND, 0),
            storage_size=ROOM,
        )
        wrapper.behind = behind
        return wrapper

    def __init__(self, behind: Tensor) -> None:
        pass

    @classmethod
    def __torch_dispatch__(
        cls, op: OpOverload, types: tuple[type, ...], args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        if any(not issubclass(kind, DeviceTensor) for kind in types):
            return NotImplemented  # a DTensor, which unpacks itself
        return call(op, args, kwargs or {})

    def __repr__(self) -> str:  # type: ignore[override]
        return f"DeviceTensor({self.behind!r})"

    def untyped_storage(self) -> torch.UntypedStorage:
        """That of the numbers, which FSDP2 frees and takes again."""
        return self.behind.untyped_storage()

    def tolist(self) -> Any:
        """Torch refuses it to subclasses."""
        return self.cpu().tolist()

    def numpy(self, *, force: bool = False) -> Any:
        """Refuse it, as for any device but the CPU."""
        if force:
            return self.detach().cpu().numpy()
        raise TypeError(
            f"can't convert {KIND}:0 device type tensor to numpy. Use Tensor.cpu() to copy the tensor first."
        )

    def __array__(self, *settings: Any) -> Any:
        return self.numpy()

    def __deepcopy__(self, memo: dict[int, Any]) -> Tensor:
        if id(self) not in memo:
            made: Tensor = DeviceTensor(copy.deepcopy(self.behind, memo))
            if isinstance(self, torch.nn.Parameter):
                made = torch.nn.Parameter(made, self.requires_grad)
            else:
                made.requires_grad_(self.requires_grad)
            memo[id(self)] = made
        return memo[id(self)]  # type: ignore[no-any-return]

    def __reduce_ex__(self, protocol: Any) -> Any:
        """Written as its numbers: torch cannot give a device of this kind the say of ``map_location`` when they are read."""
        return self.behind.detach().requires_grad_(self.requires_grad).__reduce_ex__(protocol)


class _Operator(NamedTuple):
    """What is known of an operator before it is called; see ``_look``."""

    name: str
    decomposes: bool
    pointwise: bool
    launches: bool
    seeded: bool
    takes_generator: bool


@cache
def _look(op: OpOverload) -> _Operator:
    name, schema = op.overloadpacket.__name__, op._schema
    views = any(r.alias_info is not None and not r.alias_info.is_write for r in schema.returns)
    return _Operator(
        name=name,
        decomposes=name not in FUSED
        and op not in WHOLE
        and torch._C._dispatch_has_kernel_for_dispatch_key(op.name(), "CompositeImplicitAutograd"),
        pointwise=torch.Tag.pointwise in op.tags,
        launches=not views and name not in NO_LAUNCH,
        seeded=torch.Tag.nondeterministic_seeded in op.tags,
        takes_generator=any(argument.name == "generator" for argument in schema.arguments),
    )


def call(op: OpOverload, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Do an operator whose arguments have tensors of the device among them, or the device itself.

    Raises:
        RuntimeError: for what CUDA refuses.
    """
    if op.namespace == "c10d":
        return collectives.call(op, args, kwargs)
    if op.namespace == "_c10d_functional":
        return collectives.call_functional(op, args, kwargs)
    about = _look(op)
    if about.name == "scaled_dot_product_attention":
        return attention.attend(*args, **kwargs)
    if about.decomposes:  # only in inference mode do these come whole
        result = op.decompose(*args, **kwargs)
        if result is not NotImplemented:
            return result
    ours: list[DeviceTensor] = []
    cpu: list[Tensor] = []
    plain_args = tuple(_plain(value, ours, cpu) for value in args)
    plain_kwargs = {key: _plain(value, ours, cpu) for key, value in kwargs.items()}
    check_devices(about.name, about.pointwise, args, ours, cpu)
    check_deterministic(about.name, args, kwargs)
    if about.seeded:
        check_generator(next((x for x in (*args, *kwargs.values()) if isinstance(x, torch.Generator)), None), KIND)
    _count(about, args, kwargs, cpu)
    out = _draw(op, about, plain_args, plain_kwargs) if about.seeded else op(*plain_args, **plain_kwargs)
    if about.name == "_to_copy" and kwargs.get("device") == CPU:
        return out
    return _wrapped(out, {id(tensor.behind): tensor for tensor in ours}, cpu)


def _plain(value: Any, ours: list[DeviceTensor], cpu: list[Tensor]) -> Any:
    """The argument with the numbers instead of the device's tensors; both kinds of tensor are noted down."""
    if isinstance(value, DeviceTensor):
        ours.append(value)
        return value.behind
    if isinstance(value, Tensor):
        cpu.append(value)
        return value
    if isinstance(value, list | tuple):
        return type(value)(_plain(item, ours, cpu) for item in value)
    if isinstance(value, torch.device) and value.type == KIND:
        return CPU
    return value


def _wrapped(out: Any, known: dict[int, DeviceTensor], cpu: list[Tensor]) -> Any:
    """The result with tensors of the device: a new one for new numbers, the same one for an argument that was written to."""
    if isinstance(out, Tensor):
        if any(out is tensor for tensor in cpu):
            return out
        same = known.get(id(out))
        if same is None:
            with torch.inference_mode(out.is_inference()):  # a view of a tensor from outside is no inference tensor
                return DeviceTensor(out)
        if same.shape != out.shape:
            with torch._C._ExcludeDispatchKeyGuard(_PYTHON), torch.no_grad():  # the wrapper follows
                torch.ops.aten.as_strided_.default(same, out.size(), out.stride(), out.storage_offset())
        return same
    if isinstance(out, list | tuple):
        return type(out)(_wrapped(item, known, cpu) for item in out)
    return out


def _count(about: _Operator, args: tuple[Any, ...], kwargs: dict[str, Any], cpu: list[Tensor]) -> None:
    name = about.name
    if about.launches:
        COUNTS.calls[name] += 1
    to_cpu = name == "_to_copy" and kwargs.get("device") == CPU
    of_unknown_length = name == "repeat_interleave" and kwargs.get("output_size") is None
    if name in WAITS or to_cpu or of_unknown_length:
        COUNTS.waits[name] += 1
    elif name == "copy_":
        if not isinstance(args[0], DeviceTensor):
            COUNTS.waits["copy_"] += 1
        elif not isinstance(args[1], DeviceTensor):
            COUNTS.uploads += 1
    elif "index" in name and len(args) > 1 and isinstance(args[1], list | tuple):
        COUNTS.uploads += sum(any(index is tensor for tensor in cpu) for index in args[1])
        masks = [index for index in args[1] if index is not None and index.dtype in (torch.bool, torch.uint8)]
        # One number for all places of a mask is filled in without asking how many there are.
        if any(isinstance(mask, DeviceTensor) for mask in masks) and not (len(args) > 2 and args[2].numel() == 1):
            COUNTS.waits[f"{name} of a mask"] += 1


def _draw(op: OpOverload, about: _Operator, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Do an operator with the device's own random numbers, and leave those of the CPU alone."""
    if about.takes_generator:
        return op(*args, **{**kwargs, "generator": GENERATOR})
    before = torch.get_rng_state()
    torch.set_rng_state(GENERATOR.get_state())
    try:
        return op(*args, **kwargs)
    finally:
        GENERATOR.set_state(torch.get_rng_state())
        torch.set_rng_state(before)


def _backend(op: OpOverload) -> Callable[..., Any]:
    return lambda *args, **kwargs: call(op, args, kwargs)


def install() -> torch.device:
    """Make the device known to torch in this process, once and for good; returns it."""
    _setup_privateuseone_for_python_backend(KIND, backend_module=DeviceModule())
    # Moving a module must leave its parameters the objects that they are, as it does on CUDA.
    torch.__future__.set_swap_module_params_on_conversion(True)
    # CUDA's optimizers take all parameters at once; torch looks for the exact class.
    for kinds in (optimizers._foreach_supported_types, getattr(_foreach_utils, "_foreach_supported_types", [])):
        if DeviceTensor not in kinds:
            kinds.append(DeviceTensor)
    everything = torch.library.Library("_", "IMPL")
    everything.fallback(lambda op, *args, **kwargs: call(op, args, kwargs), "PrivateUse1")
    aten = torch.library.Library("aten", "IMPL")
    for op in WHOLE:
        aten.impl(op.name().removeprefix("aten::"), _backend(op), "PrivateUse1")
    aten.impl("scaled_dot_product_attention", attention.attend, "AutogradPrivateUse1")
    _libraries.extend((everything, aten, *autocast.register(DeviceTensor)))
    collectives.register(DeviceTensor)
    return torch.device(KIND, 0)
