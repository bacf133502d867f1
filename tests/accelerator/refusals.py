"""Refuse what CUDA refuses: tensors of two devices in one operator, generators of the CPU, and kernels that are not deterministic.

From: ``device.py``, before an operator runs. Where CUDA allows a CPU tensor beside its own, it is allowed here too.
"""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

INDEXING = frozenset({"index", "index_put", "index_put_", "_index_put_impl_", "_unsafe_index", "_unsafe_index_put"})
"""Subscripts: their index tensors may be on the CPU, whence they are copied."""

COPIES = frozenset({"copy_", "_to_copy", "copy", "_foreach_copy_", "lift_fresh", "lift"})
"""Operators that exist to take something from one device to another."""

TAKE_NUMBERS = frozenset(
    {"masked_fill", "masked_fill_", "fill", "fill_", "where", "clamp", "clamp_", "clamp_min", "clamp_max"}
)
"""Operators beside the element-wise ones for which a CPU tensor without dimensions is as good as a number."""


def check_devices(
    name: str, pointwise: bool, args: Sequence[Any], ours: Sequence[Tensor], cpu: Sequence[Tensor]
) -> None:
    """Raise ``RuntimeError`` where CUDA would for tensors of two devices.

    Args:
        name: of the operator, without its overload.
        pointwise: whether it works element by element.
        args: its positional arguments.
        ours: the tensors among its arguments that are on the device.
        cpu: those on the CPU.
    """
    if not ours or not cpu or name in COPIES:
        return
    device = ours[0].device
    if name in INDEXING:
        into = args[0]
        if any(into is tensor for tensor in cpu):
            raise RuntimeError(
                f"indices should be either on cpu or on the same device as the indexed tensor (cpu), not {device}"
            )
        values = [value for value in args[2:3] if any(value is tensor for tensor in cpu)]
        if any(value.dim() > 0 for value in values):
            raise RuntimeError(
                f"{name}: expected the values to be on {device}, as the indexed tensor is, and found cpu"
            )
        return
    numbers = pointwise or name in TAKE_NUMBERS or name.startswith("_foreach_")
    if numbers and all(tensor.dim() == 0 for tensor in cpu) and not (name.endswith("_") and args[0] in _Same(cpu)):
        return
    raise RuntimeError(
        f"Expected all tensors to be on the same device, but found at least two devices, {device} and cpu! ({name})"
    )


class _Same(tuple[Tensor, ...]):
    """Tensors of which one may ask by identity."""

    def __contains__(self, tensor: object) -> bool:
        return any(tensor is own for own in self)


def check_generator(generator: torch.Generator | None, kind: str) -> None:
    """Raise ``RuntimeError`` for a generator of another device than ``kind``."""
    if generator is not None and generator.device.type != kind:
        raise RuntimeError(f"Expected a '{kind}' device type for generator but found '{generator.device.type}'")


def _always(args: Sequence[Any], kwargs: dict[str, Any]) -> bool:
    return True


def _floating(args: Sequence[Any], kwargs: dict[str, Any]) -> bool:
    dtype = kwargs.get("dtype") or args[0].dtype
    return bool(dtype.is_floating_point or dtype.is_complex)


def _weighted(args: Sequence[Any], kwargs: dict[str, Any]) -> bool:
    return (len(args) > 1 and args[1] is not None) or kwargs.get("weights") is not None


def _not_accumulating(args: Sequence[Any], kwargs: dict[str, Any]) -> bool:
    return not (args[3] if len(args) > 3 else kwargs.get("accumulate", False))


_Condition = Callable[[Sequence[Any], dict[str, Any]], bool]
NOT_DETERMINISTIC: dict[str, _Condition] = {
    "cumsum": _floating,
    "cumsum_": _floating,
    "histc": _always,
    "bincount": _weighted,
    "kthvalue": _always,
    "median": _always,  # with a dimension; median of everything has no kernel of its own in the list
    "put_": _not_accumulating,
    "ctc_loss_backward": _always,
    "_ctc_loss_backward": _always,
    "nll_loss2d_forward": _always,
    "nll_loss2d_backward": _always,
    "_embedding_bag_dense_backward": _always,
    "grid_sampler_2d_backward": _always,
    "grid_sampler_3d_backward": _always,
    "upsample_linear1d_backward": _always,
    "upsample_bilinear2d_backward": _always,
    "upsample_bicubic2d_backward": _always,
    "upsample_trilinear3d_backward": _always,
    "reflection_pad1d_backward": _always,
    "reflection_pad2d_backward": _always,
    "replication_pad1d_backward": _always,
    "replication_pad2d_backward": _always,
    "avg_pool3d_backward": _always,
    "max_pool3d_with_indices_backward": _always,
    "_adaptive_avg_pool2d_backward": _always,
    "adaptive_max_pool2d_backward": _always,
}
"""What the documentation of ``torch.use_deterministic_algorithms`` says of CUDA, by operator: when it raises. Quantized,
sparse and three-dimensional operators that no language model has are left out, and so are the many that have another,
deterministic kernel for this mode."""


def check_deterministic(name: str, args: Sequence[Any], kwargs: dict[str, Any]) -> None:
    """Raise ``RuntimeError`` where deterministic algorithms are asked for and CUDA has none."""
    if not torch.are_deterministic_algorithms_enabled() or torch.is_deterministic_algorithms_warn_only_enabled():
        return
    refused = NOT_DETERMINISTIC.get(name)
    if refused is not None and refused(args, kwargs):
        raise RuntimeError(
            f"{name} does not have a deterministic implementation on this device, and torch.use_deterministic_algorithms(True) "
            "is set."
        )
