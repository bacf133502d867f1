"""Look at what a call sends to the device: its kernels by time, and how many launches it takes."""

from collections.abc import Callable
from typing import Any

import torch
from torch.profiler import ProfilerActivity, profile
from torch.utils._python_dispatch import TorchDispatchMode

LAUNCHES = ("cudaLaunchKernel", "cuLaunchKernel", "cudaGraphLaunch")
WAITS = ("cudaStreamSynchronize", "cudaDeviceSynchronize", "cudaEventSynchronize")
COPIES = ("cudaMemcpy",)


def profiled(call: Callable[[], object], device: torch.device) -> Any:
    """Averages by name of all that the profiler sees of a call."""
    activities = [ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if device.type == "cuda" else [])]
    with profile(activities=activities) as seen:
        call()
        if device.type == "cuda":
            torch.cuda.synchronize(device)
    return seen.key_averages()


def kernels(call: Callable[[], object], device: torch.device, top: int = 6) -> list[dict[str, Any]]:
    """The kernels that take longest (on CPU: operators), with calls and milliseconds."""
    on_gpu = device.type == "cuda"
    rows = [
        (getattr(event, "self_device_time_total", 0) if on_gpu else event.self_cpu_time_total, event)
        for event in profiled(call, device)
        if not on_gpu or event.device_type == torch.autograd.DeviceType.CUDA
    ]
    longest = sorted(rows, key=lambda row: -row[0])[:top]
    return [{"name": event.key[:120], "calls": event.count, "ms": round(time / 1e3, 3)} for time, event in longest]


def launches(call: Callable[[], object], device: torch.device) -> dict[str, int]:
    """How often a call makes the device start, copy and wait; nothing is known of that on CPU."""
    if device.type != "cuda":
        return {}
    events = profiled(call, device)

    def count(names: tuple[str, ...]) -> int:
        return sum(event.count for event in events if event.key.startswith(names))

    return {"launches": count(LAUNCHES), "copies": count(COPIES), "waits": count(WAITS)}


class Operators(TorchDispatchMode):
    """Count the operators that reach a device; views cost no launch and are left out."""

    def __init__(self) -> None:
        super().__init__()
        self.count = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.count += not func.is_view
        return func(*args, **(kwargs or {}))
