"""Refuse what CUDA refuses: tensors of two devices in one operator, generators of the CPU, and kernels that are not deterministic.

From: ``device.py``, before an operator runs. Where CUDA allows a CPU tensor beside its own, it is allowed here too.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from tests.cuda_refusals import has_no_deterministic_kernel

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


def check_deterministic(name: str, args: Sequence[Any], kwargs: dict[str, Any]) -> None:
    """Raise ``RuntimeError`` where deterministic algorithms are asked for and CUDA has none."""
    if not torch.are_deterministic_algorithms_enabled() or torch.is_deterministic_algorithms_warn_only_enabled():
        return
    if has_no_deterministic_kernel(name, args, kwargs):
        raise RuntimeError(
            f"{name} does not have a deterministic implementation on this device, and torch.use_deterministic_algorithms(True) "
            "is set."
        )
