"""torch's process-wide settings, the trainer's and vLLM's kept apart: beside the engine, not on the line.

vLLM expects a process of its own and sets them once, at import and while it is built. Each side finds its own again when its
turn comes: the trainer because it was configured so, vLLM because its graphs were compiled and captured under them.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch

PRECISIONS = (
    torch.backends.cuda.matmul,
    torch.backends.mkldnn.matmul,  # type: ignore[attr-defined]
    torch.backends.cudnn.conv,  # type: ignore[attr-defined]
    torch.backends.cudnn.rnn,
)
"""Whose ``fp32_precision`` vLLM sets: the first two with ``torch.set_float32_matmul_precision``, all with batch invariance."""


@dataclass(frozen=True)
class Setting:
    """One of them: how it is read and how it is written."""

    read: Callable[[], Any]
    write: Callable[[Any], object]


_own: dict[str, Any] = {}
"""What vLLM has set, for the next time that it has its turn."""


@contextmanager
def apart(device: torch.device) -> Iterator[None]:
    """Give vLLM the settings it left, and the trainer its own back at the end. What vLLM never set, it has from the trainer.

    The settings:

    - the precision of float32 matrix products: vLLM sets the highest, and a run that asked for TF32 would lose it;
    - the number of threads: on a GPU vLLM sets 1, where ``OMP_NUM_THREADS`` is not set;
    - attention by cuDNN: importing vLLM on a GPU switches it off;
    - the current CUDA stream: vLLM changes to one of its own, since graphs cannot be captured on the default stream; a trainer
      left there would reserve all its memory a second time, for torch keeps a pool for each stream;
    - deterministic algorithms: off while vLLM runs, whose sampler needs ``cumsum`` of floats, and whose log-probs depend on the
      batch anyway.

    Args:
        device: of the engine.
    """
    settings = _settings(device)
    ours = {name: setting.read() for name, setting in settings.items()}
    theirs = {**ours, "deterministic": (False, False), **{name: _own[name] for name in settings if name in _own}}
    _write(settings, theirs)
    try:
        yield
    finally:
        left = {name: setting.read() for name, setting in settings.items()}
        _own.update({name: value for name, value in left.items() if value != theirs[name]})
        _write(settings, ours)


def _write(settings: dict[str, Setting], values: dict[str, Any]) -> None:
    """Write those that are not so yet: reading one says less than writing it, where it is inherited from another."""
    for name, setting in settings.items():
        if setting.read() != values[name]:
            setting.write(values[name])


def _settings(device: torch.device) -> dict[str, Setting]:
    settings = {
        "threads": Setting(torch.get_num_threads, _SET_NUM_THREADS),
        "precision": Setting(_precision, _set_precision),
        "deterministic": Setting(
            _deterministic, lambda value: torch.use_deterministic_algorithms(value[0], warn_only=value[1])
        ),
    }
    if device.type == "cuda":
        settings["cudnn attention"] = Setting(
            torch.backends.cuda.cudnn_sdp_enabled, torch.backends.cuda.enable_cudnn_sdp
        )
        settings["stream"] = Setting(lambda: torch.cuda.current_stream(device), _set_stream)
    return settings


_SET_NUM_THREADS = torch.set_num_threads
"""torch's own: on CPU vLLM puts a function that does nothing in its place."""


def _deterministic() -> tuple[bool, bool]:
    return torch.are_deterministic_algorithms_enabled(), torch.is_deterministic_algorithms_warn_only_enabled()


def _precision() -> tuple[str | None, ...]:
    """The one name for all backends, where they agree on one, and those of the backends."""
    try:
        name: str | None = torch.get_float32_matmul_precision()
    except RuntimeError:  # set for single backends: torch then refuses to answer for all
        name = None
    return name, *(backend.fp32_precision for backend in PRECISIONS)


def _set_precision(value: tuple[str | None, ...]) -> None:
    name, *precisions = value
    if name is not None:
        torch.set_float32_matmul_precision(name)
    for backend, precision in zip(PRECISIONS, precisions, strict=True):
        if backend.fp32_precision != precision:
            backend.fp32_precision = precision


def _set_stream(stream: Any) -> None:
    """Go on there, after what is under way here."""
    stream.wait_stream(torch.cuda.current_stream(stream.device))
    torch.cuda.set_stream(stream)
