"""One checkpoint on disk: room is made sure of, the bytes are counted and hashed as they go, and the disk has them before it counts.

Lightning's own writer first makes the whole file in memory, beside the model that it holds.
"""

import hashlib
import os
import shutil
from pathlib import Path
from typing import Any, BinaryIO

import torch
from lightning.fabric.plugins.io import TorchCheckpointIO

SPARE_BYTES = 2**24
"""Room left for what the run writes besides: curves, evaluations, a manifest."""


class WholeFile(TorchCheckpointIO):
    """Write one checkpoint for Lightning. A failure is kept, not raised: the other processes wait at a barrier behind it.

    Attributes:
        failed: why the file could not be written, in a sentence's words.
        bytes, sha256: of the file.
    """

    def __init__(self) -> None:
        self.failed: str | None = None
        self.bytes, self.sha256 = 0, ""

    def save_checkpoint(self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any = None) -> None:
        """Write the file and have it on disk, or set ``failed`` and leave nothing."""
        path = Path(path)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            needed, free = tensor_bytes(checkpoint) + SPARE_BYTES, shutil.disk_usage(path.parent).free
            if needed > free:
                self.failed = f"it needs {needed / 1e9:.2f} GB, and the disk has {free / 1e9:.2f} GB left"
                return
            with open(path, "wb") as file:
                counted = _Counted(file)
                torch.save(checkpoint, counted)  # type: ignore[arg-type]  # it needs write() and flush() alone
                file.flush()
                os.fsync(file.fileno())
            self.bytes, self.sha256 = counted.bytes, counted.hash.hexdigest()
        except (OSError, RuntimeError) as error:  # torch says RuntimeError where the file under it said OSError
            cause = error if isinstance(error, OSError) else error.__context__
            if not isinstance(cause, OSError):
                raise
            self.failed = cause.strerror or str(cause)
        finally:
            if self.failed:
                path.unlink(missing_ok=True)


class _Counted:
    """A file that knows the length and the hash of what was written."""

    def __init__(self, file: BinaryIO) -> None:
        self._file, self.hash, self.bytes = file, hashlib.sha256(), 0

    def write(self, content: bytes) -> int:
        self.hash.update(content)
        self._file.write(content)
        self.bytes += len(content)
        return len(content)

    def flush(self) -> None:
        self._file.flush()


def tensor_bytes(content: Any) -> int:
    """Bytes of all the tensors in nested dictionaries and lists."""
    if isinstance(content, torch.Tensor):
        return content.nbytes
    if isinstance(content, dict):
        return sum(map(tensor_bytes, content.values()))
    return sum(map(tensor_bytes, content)) if isinstance(content, list | tuple) else 0
