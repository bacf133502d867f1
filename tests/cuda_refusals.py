"""What CUDA refuses where algorithms must be deterministic, refused here: the list is that of ``use_deterministic_algorithms``."""

from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode

REFUSED = (
    "avg_pool3d_backward", "_adaptive_avg_pool2d_backward", "_adaptive_avg_pool3d_backward", "adaptive_max_pool2d_backward",
    "fractional_max_pool2d_backward", "fractional_max_pool3d_backward", "max_unpool2d", "max_unpool3d",
    "upsample_linear1d_backward", "upsample_bilinear2d_backward", "upsample_bicubic2d_backward", "upsample_trilinear3d_backward",
    "reflection_pad1d_backward", "reflection_pad2d_backward", "reflection_pad3d_backward", "nll_loss2d_forward",
    "_ctc_loss_backward", "_embedding_bag_dense_backward", "put", "put_", "histc", "_histogramdd_from_bin_cts", "bincount",
    "median.dim", "nanmedian.dim", "kthvalue", "grid_sampler_2d_backward", "grid_sampler_3d_backward", "index_reduce", "index_reduce_",
)  # fmt: skip
SUMS = ("cumsum", "cumsum_")
REDUCTIONS = ("scatter_reduce", "scatter_reduce_")


class RefusedOnCudaError(RuntimeError):
    """What CUDA would raise."""


class CudaRefusals(TorchDispatchMode):
    """Raises within it for every operation that CUDA has no deterministic form of, backward passes included."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Look at the name, then do what was asked."""
        name, _, overload = str(func).removeprefix("aten.").partition(".")
        kwargs = kwargs or {}
        result = func(*args, **kwargs)
        refused = name in REFUSED or f"{name}.{overload}" in REFUSED
        if name in SUMS and isinstance(result, torch.Tensor):
            refused = result.is_floating_point() or result.is_complex()
        if name in REDUCTIONS:
            refused = "prod" in (*args, *kwargs.values())
        if refused:
            raise RefusedOnCudaError(f"{func} does not have a deterministic implementation on CUDA")
        return result
