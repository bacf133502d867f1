"""The module that torch looks up by the device's name (``torch.cuda`` for CUDA): what libraries ask about a device."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

from tests.accelerator.counts import COUNTS

KIND = "fakegpu"
"""The device's type."""

SEED_SHIFT = 0x5EED
"""Added to every seed: a GPU draws other numbers than the CPU from the same one, and nothing may count on their being equal."""

GENERATOR = torch.Generator()
"""The device's random numbers."""


class Stream:
    """A queue of work; there is one, and its work is done when it is asked for."""

    def __init__(self, device: Any = None, priority: int = 0) -> None:
        pass

    @property
    def device(self) -> torch.device:
        """The only one."""
        return torch.device(KIND, 0)

    def wait_stream(self, stream: "Stream") -> None:
        """Return at once, as do the others."""

    def wait_event(self, event: "Event") -> None:
        pass

    def record_event(self, event: "Event | None" = None) -> "Event":
        return event or Event()

    def synchronize(self) -> None:
        COUNTS.waits["synchronize"] += 1


class Event:
    """A mark in a stream; it is passed when it is set."""

    def __init__(self, *settings: Any, **others: Any) -> None:
        pass

    def record(self, stream: Stream | None = None) -> "Event":
        return self

    def wait(self, stream: Stream | None = None) -> None:
        pass

    def query(self) -> bool:
        return True

    def synchronize(self) -> None:
        COUNTS.waits["synchronize"] += 1


class DeviceModule:
    """One device, always there."""

    Stream, Event = Stream, Event
    _stream = Stream()

    def is_available(self) -> bool:
        return True

    def is_initialized(self) -> bool:
        return True

    def _is_in_bad_fork(self) -> bool:
        return False

    def device_count(self) -> int:
        return 1

    def current_device(self) -> int:
        return 0

    def set_device(self, device: Any) -> None:
        """Take the only one."""
        if (torch.device(KIND, device) if isinstance(device, int) else torch.device(device)).index not in (None, 0):
            raise RuntimeError(f"{device} is not there: a process has one {KIND} device")

    def get_device_name(self, device: Any = None) -> str:
        return "a GPU that is none"

    @contextmanager
    def device(self, index: Any) -> Iterator[None]:
        self.set_device(index)
        yield

    def synchronize(self, device: Any = None) -> None:
        COUNTS.waits["synchronize"] += 1

    def current_stream(self, device: Any = None) -> Stream:
        return self._stream

    default_stream = current_stream

    @contextmanager
    def stream(self, stream: Stream | None) -> Iterator[None]:
        yield

    def set_stream(self, stream: Stream) -> None:
        pass

    def manual_seed(self, seed: int) -> None:
        GENERATOR.manual_seed(int(seed) + SEED_SHIFT)

    manual_seed_all = manual_seed

    def get_rng_state(self, device: Any = KIND) -> Tensor:
        return GENERATOR.get_state()

    def set_rng_state(self, state: Tensor, device: Any = KIND) -> None:
        GENERATOR.set_state(state)

    def get_amp_supported_dtype(self) -> list[torch.dtype]:
        return [torch.bfloat16, torch.float16]

    def is_bf16_supported(self) -> bool:
        return True

    def empty_cache(self) -> None:
        pass

    def max_memory_allocated(self, device: Any = None) -> int:
        """Bytes; this device keeps no books."""
        return 0

    memory_allocated = memory_reserved = max_memory_reserved = max_memory_allocated

    def reset_peak_memory_stats(self, device: Any = None) -> None:
        pass
