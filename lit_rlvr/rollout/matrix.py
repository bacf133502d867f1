"""A weight matrix of the fast decoder, in the order in which its processor multiplies fastest."""

from collections.abc import Mapping
from itertools import accumulate

import torch
import torch.nn.functional as F
from torch import Tensor

BATCH_HINT = 32
"""Rows that a packed matrix is laid out for; it serves any number."""


def can_pack(dtype: torch.dtype, device: torch.device) -> bool:
    """Whether oneDNN multiplies this precision here, so that a matrix is worth laying out for it once.

    A decoding step multiplies few rows with many matrices, and would otherwise spend a third of its time on putting each
    of them in order.
    """
    if device.type != "cpu" or not torch.backends.mkldnn.is_available():
        return False
    supported = torch.float32, *([torch.bfloat16] if torch.ops.mkldnn._is_mkldnn_bf16_supported() else [])
    return dtype in supported


class Matrix:
    """One matrix of the rows of several parameters that read the same input.

    Args:
        parts: parameter name -> its rows; in this order they stand one below the other.
        columns: of each.
        dtype: of the copy.
        device: where it lives.
        bias: [all rows] or None.
    """

    def __init__(
        self,
        parts: Mapping[str, int],
        columns: int,
        dtype: torch.dtype,
        device: torch.device,
        bias: Tensor | None = None,
    ) -> None:
        ends = list(accumulate(parts.values()))
        self._places = {name: slice(end - rows, end) for (name, rows), end in zip(parts.items(), ends, strict=True)}
        self._shape, self._dtype, self._device, self._bias = (ends[-1], columns), dtype, device, bias
        self._packs = can_pack(dtype, device)
        self._missing = set(parts)
        self._weight: Tensor | None = None  # in plain order
        self._packed: Tensor | None = None

    def fill(self, name: str, rows: Tensor) -> None:
        """Take over one parameter; the matrix can be multiplied with when all have been, and again after each further round."""
        if self._weight is None:
            self._weight = torch.empty(self._shape, dtype=self._dtype, device=self._device)
        place = self._places[name]
        self._weight[place] = rows[: place.stop - place.start]
        self._missing.discard(name)
        if self._packs and not self._missing:
            self._packed = torch.ops.mkldnn._reorder_linear_weight(self._weight, BATCH_HINT)
            self._weight, self._missing = None, set(self._places)

    def __call__(self, inputs: Tensor) -> Tensor:
        """[..., columns] -> [..., all rows]."""
        if self._packed is None:
            assert self._weight is not None
            return F.linear(inputs, self._weight, self._bias)
        product: Tensor = torch.ops.mkldnn._linear_pointwise(inputs, self._packed, self._bias, "none", [], "")
        return product
