"""An evaluation and a run that is stopped, on two processes with a pretended device each, and what they gave to torch.distributed.

python -m tests.devices.collectives FOLDER
"""

import json
import os
import pickle
import signal
import sys
import traceback
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from lightning import Callback, LightningModule, Trainer
from torch import Tensor

from lit_rlvr.cli import run
from lit_rlvr.commands import call
from lit_rlvr.training.interrupt import Interrupted
from tests.devices.cuda_like import CUDA, cuda_like, tensors_in
from tests.two_processes.launch import callbacks, fit_line

OF_TENSORS = (
    "all_reduce", "broadcast", "reduce", "all_gather", "gather", "scatter", "reduce_scatter", "all_to_all", "send", "recv",
    "all_gather_into_tensor", "reduce_scatter_tensor", "all_to_all_single", "isend", "irecv",
)  # fmt: skip
OF_OBJECTS = (
    "all_gather_object", "broadcast_object_list", "gather_object", "scatter_object_list", "send_object_list",
    "recv_object_list",
)  # fmt: skip
"""These put what they are given into a tensor of torch's own, with NCCL on the current GPU, which Lightning sets."""


class Watch:
    """Stands before the functions of `torch.distributed`.

    Attributes:
        calls: function -> the modules of this package, or else of others, that call it.
        wrong: what was not on the device, or in an object though it is on it.
    """

    def __init__(self) -> None:
        self.calls: dict[str, set[str]] = {}
        self.wrong: list[str] = []
        for name in OF_TENSORS:
            setattr(dist, name, self._before(name, getattr(dist, name), self._look_at_tensors))
        for name in OF_OBJECTS:
            setattr(dist, name, self._before(name, getattr(dist, name), self._look_at_objects))

    def _before(self, name: str, function: Callable[..., Any], look: Callable[[str, Any], None]) -> Callable[..., Any]:
        def looked(*arguments: Any, **settings: Any) -> Any:
            stack = [f.f_globals.get("__name__", "") for f, _ in traceback.walk_stack(sys._getframe(1))]
            own = next((module for module in stack if module.startswith("lit_rlvr.")), stack[0])
            self.calls.setdefault(name, set()).add(own)
            look(f"{name} by {own}", (arguments, settings))
            return function(*arguments, **settings)

        return looked

    def _look_at_tensors(self, where: str, given: Any) -> None:
        self.wrong += [f"{where}: {tuple(t.shape)} on {t.device}" for t in tensors_in(given) if t.device != CUDA]

    def _look_at_objects(self, where: str, given: Any) -> None:
        found: list[Tensor] = []

        class Finder(pickle.Pickler):
            def persistent_id(self, obj: Any) -> Any:
                if isinstance(obj, Tensor):
                    found.append(obj)
                return "left out" if isinstance(obj, Tensor | dist.ProcessGroup) else None

        Finder(BytesIO()).dump(given)
        self.wrong += [f"{where}: {tuple(t.shape)} on {t.device}" for t in found if t.device == CUDA]


class Stop(Callback):
    """Sends SIGTERM to the second process alone, in the second RL step."""

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:
        if batch_idx == 1 and trainer.global_rank == 1:
            os.kill(os.getpid(), signal.SIGTERM)


def main(folder: Path) -> None:
    """Both, one after the other; each rank's findings into a file of its own."""
    torch.set_num_threads(1)
    watch = Watch()
    exact = ["--model.engine.init_args.dtype", "float32"]  # of a device it would be bfloat16
    more = [
        "--trainer.strategy",
        "ddp",
        "--config",
        "configs/algorithm/ppo.yaml",
        *exact,
        *callbacks("tests.devices.collectives.Stop"),
    ]
    kept = ["--model.guard.save_batches_every_n_rl_steps", "1", "--model.update.updates_per_rollout", "2"]
    ends: list[Any] = []
    plan = '[{"benchmark": "tiny500", "limit": 9, "max_tokens": 8}]'
    evaluation = ["--policy", "checkpoints/tiny-base", "--accelerator", "cpu", "--devices", "2", "--plans", plan]
    evaluation += ["--engine.init_args.dtype", "float32", "--output", str(folder / "out")]
    with cuda_like():
        # The evaluation first: what asked a run to stop is remembered until the next run.
        for command in (lambda: call("evaluate", evaluation), lambda: run(fit_line(folder, *more, *kept))):
            try:
                command()
            except Interrupted as stop:
                ends.append(str(stop))
            except SystemExit as end:
                ends.append(end.code)
    calls = {name: sorted(modules) for name, modules in watch.calls.items()}
    found = {"ends": ends, "calls": calls, "wrong": watch.wrong}
    (folder / f"rank{os.environ.get('LOCAL_RANK', '0')}.json").write_text(json.dumps(found))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
