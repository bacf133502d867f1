"""Time a differentiable function inside a model, forward and backward, without waiting for the device."""

import time
from collections.abc import Callable
from typing import Any

import torch


class Spans:
    """Begins and ends of a function's calls on the device's own clock.

    Args:
        device: what computes.
    """

    def __init__(self, device: torch.device) -> None:
        self._on_gpu = device.type == "cuda"
        self._spans: list[tuple[str, Any, Any]] = []

    def _now(self) -> Any:
        if not self._on_gpu:
            return time.perf_counter()
        event = torch.cuda.Event(enable_timing=True)
        event.record()
        return event

    def around(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """The same function, timed; its first result must come from one autograd node, which is its whole backward pass."""

        def timed(*arguments: Any, **settings: Any) -> Any:
            start = self._now()
            results = function(*arguments, **settings)
            self._spans.append(("forward" if torch.is_grad_enabled() else "score", start, self._now()))
            node = results[0].grad_fn
            if node is not None:
                begun: list[Any] = []
                node.register_prehook(lambda _: begun.append(self._now()))
                node.register_hook(lambda *_: self._spans.append(("backward", begun.pop(), self._now())))
            return results

        return timed

    def seconds(self) -> dict[str, float]:
        """Kind of call (``forward``, ``backward``, ``score`` without gradients) -> seconds of all of them."""
        if self._on_gpu:
            torch.cuda.synchronize()
        found: dict[str, float] = {}
        for kind, start, end in self._spans:
            taken = start.elapsed_time(end) / 1e3 if self._on_gpu else end - start
            found[kind] = found.get(kind, 0.0) + taken
        return {kind: round(value, 4) for kind, value in found.items()}
