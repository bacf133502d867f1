"""Autocast on the device: the CPU's rules, so that numbers and gradients are those of the CPU's autocast.

Torch leaves the rules of a ``PrivateUse1`` device to whoever brings it. Those operators that the CPU's autocast treats and these
tables do not name raise, so that nothing is silently computed in another precision.
"""

import weakref
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from tests.accelerator.device_module import KIND

LOWER = (
    "mm", "bmm", "addmm", "addbmm", "baddbmm", "matmul", "linear", "linalg_vecdot", "conv1d", "conv2d", "conv3d", "prelu",
    "scaled_dot_product_attention",
)  # fmt: skip
"""In the 16 bits that were asked for."""

FLOAT32 = (
    "prod",
    "mse_loss",
    "l1_loss",
    "smooth_l1_loss",
    "huber_loss",
    "nll_loss",
    "kl_div",
    "cdist",
    "quantile",
    "trace",
)
"""In float32."""

PROMOTE = ("cat", "stack", "index_copy")
"""In the widest precision of the arguments."""

_WITHOUT = torch._C.DispatchKeySet(torch._C.DispatchKey.AutocastPrivateUse1)
_casts: dict[int, tuple[weakref.ref[Tensor], Tensor]] = {}  # of float32 weights, kept until autocast ends


def register(kind: type[Tensor]) -> list[torch.library.Library]:
    """Register the rules for tensors of the class ``kind``; they hold as long as what is returned lives."""
    rest = torch.library.Library("_", "IMPL")
    rest.fallback(torch.library.fallthrough_kernel, "AutocastPrivateUse1")
    aten = torch.library.Library("aten", "IMPL")
    for overload in _treated_on_cpu():
        name = overload.partition(".")[0]
        if name in LOWER:
            kernel = _in_dtype(overload, kind, None)
        elif name in FLOAT32:
            kernel = _in_dtype(overload, kind, torch.float32)
        elif name in PROMOTE:
            kernel = _in_widest(overload, kind)
        else:
            kernel = _refuse(overload)
        aten.impl(overload, kernel, "AutocastPrivateUse1")
    clear = torch.clear_autocast_cache

    def clear_both() -> None:
        _casts.clear()
        clear()

    torch.clear_autocast_cache = clear_both
    return [rest, aten]


def _treated_on_cpu() -> list[str]:
    """Names and overloads in aten for which the CPU's autocast has a rule."""
    names = [name for name in torch._C._dispatch_get_all_op_names() if name.startswith("aten::")]
    return [n.removeprefix("aten::") for n in names if torch._C._dispatch_has_kernel_for_dispatch_key(n, "AutocastCPU")]


def _operator(overload: str) -> Callable[..., Any]:
    name, _, kind = overload.partition(".")
    return getattr(getattr(torch.ops.aten, name), kind or "default")  # type: ignore[no-any-return]


def _in_dtype(overload: str, kind: type[Tensor], dtype: torch.dtype | None) -> Callable[..., Any]:
    op = _operator(overload)

    def kernel(*args: Any, **kwargs: Any) -> Any:
        wanted = dtype or torch.get_autocast_dtype(KIND)
        with torch._C._ExcludeDispatchKeyGuard(_WITHOUT):
            return op(*_cast(args, kind, wanted), **{key: _cast(value, kind, wanted) for key, value in kwargs.items()})

    return kernel


def _in_widest(overload: str, kind: type[Tensor]) -> Callable[..., Any]:
    op = _operator(overload)

    def kernel(*args: Any, **kwargs: Any) -> Any:
        wanted = torch.get_autocast_dtype(KIND)
        for value in _tensors(args):
            if _eligible(value, kind):
                wanted = torch.promote_types(wanted, value.dtype)
        with torch._C._ExcludeDispatchKeyGuard(_WITHOUT):
            return op(*_cast(args, kind, wanted), **kwargs)

    return kernel


def _refuse(overload: str) -> Callable[..., Any]:
    def kernel(*args: Any, **kwargs: Any) -> Any:
        raise NotImplementedError(
            f"autocast on {KIND} has no rule for {overload}: add it to tests/accelerator/autocast.py"
        )

    return kernel


def _tensors(value: Any) -> list[Tensor]:
    if isinstance(value, Tensor):
        return [value]
    return [tensor for item in value for tensor in _tensors(item)] if isinstance(value, list | tuple) else []


def _eligible(value: Tensor, kind: type[Tensor]) -> bool:
    return isinstance(value, kind) and value.is_floating_point() and value.dtype != torch.float64


def _cast(value: Any, kind: type[Tensor], dtype: torch.dtype) -> Any:
    if isinstance(value, list | tuple):
        return type(value)(_cast(item, kind, dtype) for item in value)
    if not isinstance(value, Tensor) or not _eligible(value, kind) or value.dtype == dtype:
        return value
    weight = value.dtype == torch.float32 and value.requires_grad and value.is_leaf and not value._is_view()
    if not (
        weight and torch.is_grad_enabled() and torch.is_autocast_cache_enabled()
    ) or dtype != torch.get_autocast_dtype(KIND):
        return value.to(dtype)
    # A weight is cast once: the gradients of all its uses come together in 16 bits, as with the autocast of torch.
    kept = _casts.get(id(value))
    if kept is None or kept[0]() is not value:
        kept = _casts[id(value)] = weakref.ref(value), value.to(dtype)
    return kept[1]
