"""Count the bytes of the tensors that are alive, and how many there were at most: of real tensors and of fake ones alike."""

import weakref
from typing import Any

import torch
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensor
from torch.utils._python_dispatch import TorchDispatchMode

aten = torch.ops.aten


class StoragePeak(TorchDispatchMode):
    """Follow every storage that an operation makes until it is freed.

    What an operation allocates and frees within itself (a kernel's workspace) is not seen.

    Attributes:
        alive: bytes of the storages that were made under this mode and are still there.
        peak: the most that ``alive`` has been.
    """

    def __init__(self) -> None:
        super().__init__()
        self.alive = self.peak = 0
        self._bytes: dict[int, int] = {}  # of each storage that is known, by its address
        self._watched: dict[int, weakref.ref[Any]] = {}
        self._resize = torch.UntypedStorage.resize_

    def leave_out(self, tensor: Tensor) -> None:
        """Count a tensor's storage as nothing, now and later."""
        self._watch(tensor.untyped_storage(), 0)

    def __enter__(self) -> "StoragePeak":
        # FSDP2 frees the gathered weights by making their storage empty, which is no operation that a mode sees.
        torch.UntypedStorage.resize_ = lambda storage, size: self._resized(storage, size)  # type: ignore[method-assign]
        return super().__enter__()  # type: ignore[no-any-return]

    def __exit__(self, *error: Any) -> None:
        torch.UntypedStorage.resize_ = self._resize  # type: ignore[method-assign]
        super().__exit__(*error)

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func is aten._local_scalar_dense.default and (args[0].is_meta or isinstance(args[0], FakeTensor)):
            return 1  # they have no content: "is any of the entropy's gradient not 0?" gets a yes
        out = func(*args, **(kwargs or {}))
        for made in out if isinstance(out, list | tuple) else (out,):
            if isinstance(made, Tensor):
                storage = made.untyped_storage()
                if storage._cdata not in self._bytes:
                    self._watch(storage, storage.nbytes())
        return out

    def _watch(self, storage: torch.UntypedStorage, size: int) -> None:
        key = storage._cdata

        def freed(_: Any) -> None:
            self.alive -= self._bytes.pop(key)
            del self._watched[key]

        self._watched[key] = weakref.ref(storage, freed)
        self._bytes[key] = size
        self._count(size)

    def _resized(self, storage: torch.UntypedStorage, size: int) -> torch.UntypedStorage:
        before = self._bytes.get(storage._cdata)
        if before is not None:
            self._bytes[storage._cdata] = size
            self._count(size - before)
        return self._resize(storage, size)

    def _count(self, more: int) -> None:
        self.alive += more
        self.peak = max(self.peak, self.alive)
