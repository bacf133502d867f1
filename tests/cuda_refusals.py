"""Refuse what CUDA refuses where algorithms must be deterministic, by the documentation of ``use_deterministic_algorithms``."""

from collections.abc import Callable, Sequence
from typing import Any

from torch.utils._python_dispatch import TorchDispatchMode

_Condition = Callable[[Sequence[Any], dict[str, Any]], bool]


def _floating(args: Sequence[Any], kwargs: dict[str, Any]) -> bool:
    dtype = kwargs.get("dtype") or args[0].dtype
    return bool(dtype.is_floating_point or dtype.is_complex)


def _weighted(args: Sequence[Any], kwargs: dict[str, Any]) -> bool:
    return (len(args) > 1 and args[1] is not None) or kwargs.get("weights") is not None


def _not_accumulating(args: Sequence[Any], kwargs: dict[str, Any]) -> bool:
    return not (args[3] if len(args) > 3 else kwargs.get("accumulate", False))


def _of_a_dimension(args: Sequence[Any], kwargs: dict[str, Any]) -> bool:
    return len(args) > 1 or "dim" in kwargs


def _product(args: Sequence[Any], kwargs: dict[str, Any]) -> bool:
    return "prod" in (*args, *kwargs.values())


ALWAYS = frozenset(
    {
        "avg_pool3d_backward", "_adaptive_avg_pool2d_backward", "_adaptive_avg_pool3d_backward",
        "adaptive_max_pool2d_backward", "fractional_max_pool2d_backward", "fractional_max_pool3d_backward",
        "max_pool3d_with_indices_backward", "max_unpool2d", "max_unpool3d", "upsample_linear1d_backward",
        "upsample_bilinear2d_backward", "upsample_bicubic2d_backward", "upsample_trilinear3d_backward",
        "reflection_pad1d_backward", "reflection_pad2d_backward", "reflection_pad3d_backward",
        "replication_pad1d_backward", "replication_pad2d_backward", "nll_loss2d_forward", "nll_loss2d_backward",
        "ctc_loss_backward", "_ctc_loss_backward", "_embedding_bag_dense_backward", "histc",
        "_histogramdd_from_bin_cts", "kthvalue", "grid_sampler_2d_backward", "grid_sampler_3d_backward",
        "index_reduce", "index_reduce_",
    }
)  # fmt: skip
"""Operators without any deterministic kernel. The many that have another kernel for this mode are not among them."""

SOMETIMES: dict[str, _Condition] = {
    "cumsum": _floating,
    "cumsum_": _floating,
    "bincount": _weighted,
    "put": _not_accumulating,
    "put_": _not_accumulating,
    "median": _of_a_dimension,
    "nanmedian": _of_a_dimension,
    "scatter_reduce": _product,
    "scatter_reduce_": _product,
}
"""Operators that have one or not, by what they are asked."""


def has_no_deterministic_kernel(name: str, args: Sequence[Any], kwargs: dict[str, Any]) -> bool:
    """Look an operator up: whether CUDA would raise for it.

    Args:
        name: without its overload.
        args: of the call.
        kwargs: of the call.
    """
    return name in ALWAYS or (name in SOMETIMES and SOMETIMES[name](args, kwargs))


class RefusedOnCudaError(RuntimeError):
    """What CUDA would raise."""


class CudaRefusals(TorchDispatchMode):
    """Raise within it for every operation that CUDA has no deterministic form of, backward passes included."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Look at the name, then do what was asked."""
        kwargs = kwargs or {}
        if has_no_deterministic_kernel(func.overloadpacket.__name__, args, kwargs):
            raise RefusedOnCudaError(f"{func} does not have a deterministic implementation on CUDA")
        return func(*args, **kwargs)
