"""Small command lines for the accelerator and for the CPU, a process that runs them, and what is to be compared of two runs."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

import torch
from lightning.fabric.plugins.environments.lightning import find_free_network_port

from lit_rlvr.events import event_files, read_events
from lit_rlvr.training.kept_step import MACHINE

SMALL = (
    "--config", "configs/tiny.yaml", "--data.source", "tiny-pool", "--data.rows", "2", "--data.rl_steps", "2",
    "--model.sampling.n", "4", "--model.sampling.max_tokens", "16", "--model.sampling.temperature", "0.6",
    "--model.engine.init_args.dtype", "float32",  # that of the CPU, elsewhere the default is bfloat16
    "--model.reward", "RandomReward",  # so that there are advantages
    "--model.optimizer.init_args.lr", "1e-3", "--model.optimizer.init_args.foreach", "false",  # elsewhere the default is true
    "--model.update.updates_per_rollout", "1",
    "--evaluation.plans", "[]", "--evaluation.endpoint_plans", "[]",
    "--checkpoint.every_n_rl_steps", "1", "--checkpoint.keep", "9", "--checkpoint.export", "false",
)  # fmt: skip
EVALUATED = (
    "--evaluation.every_n_rl_steps", "1",
    "--evaluation.plans", '[{"benchmark": "tiny500", "limit": 5, "max_tokens": 8}]',
)  # fmt: skip
SECONDS = 280
"""Wall time that a process gets for all its lines, on a machine that is busy."""


class Done(NamedTuple):
    """What a line left: see ``tests/accelerator/child.py`` for ``result``."""

    folder: Path
    result: dict[str, Any]

    @property
    def run(self) -> Path:
        """The run's folder, of a ``fit``."""
        return self.folder / "tiny" / "version_0"


def fit_line(folder: Path, accelerator: str, *arguments: str) -> list[str]:
    """A run of two RL steps at temperature 0.6."""
    return [
        "fit",
        *SMALL,
        "--trainer.accelerator",
        accelerator,
        "--trainer.logger.init_args.save_dir",
        str(folder),
        *arguments,
    ]


def run_all(repository: Path, root: Path, lines: dict[str, list[str]]) -> dict[str, Done]:
    """Run lines in one process, or in the pair that the first of them starts.

    Args:
        repository: where to run.
        root: a folder for files; a line of name n may write to ``root / n``, which is made.
        lines: name -> command line.

    Returns:
        Name -> what was done, of the lines that were come to.
    """
    asked = []
    for name, arguments in lines.items():
        (root / name).mkdir(exist_ok=True)
        port = find_free_network_port()
        asked.append({"arguments": arguments, "result": str(root / name / "result.json"), "port": port})
    (root / "lines.json").write_text(json.dumps(asked))
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}
    child = [sys.executable, "-m", "tests.accelerator.child", str(root / "lines.json")]
    with (root / "errors.txt").open("w") as errors:
        process = subprocess.Popen(
            child, cwd=repository, env=environment, stdout=errors, stderr=errors, start_new_session=True
        )
        try:
            process.wait(timeout=SECONDS)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)  # and the process that it started
            process.wait()
    said = (root / "errors.txt").read_text()
    found = {}
    for name in lines:
        file = root / name / "result.json"
        result = json.loads(file.read_text()) if file.exists() else {"died": f"not come to\n{said[-6000:]}"}
        found[name] = Done(root / name, result)
    return found


def well(done: Done) -> Done:
    """The same, if it came to its end."""
    assert done.result["died"] is None, done.result["died"]
    return done


def curves(done: Done) -> dict[str, list[float]]:
    """Name -> values by RL step, less those that say something of the machine."""
    logged, notes = read_events(event_files(well(done).run))
    assert notes == []
    kept = {
        name: list(values.values())
        for name, values in logged.scalars.items()
        if not name.startswith(MACHINE) and "seconds" not in name
    }
    assert len(kept["train/loss"]) > 0
    return kept


def weights(done: Done) -> dict[str, torch.Tensor]:
    """What the last checkpoint holds of the module."""
    path = well(done).run / "checkpoints" / "last.ckpt"
    return torch.load(path, map_location="cpu", weights_only=True)["state_dict"]  # type: ignore[no-any-return]


def furthest(one: Done, other: Done) -> tuple[float, float]:
    """(largest relative difference of the curves, largest difference of the weights) of two runs."""
    a, b = curves(one), curves(other)
    assert a.keys() == b.keys()
    curve = max(
        abs(x - y) / max(1.0, abs(y)) for name in a for x, y in zip(a[name], b[name], strict=True) if x == x or y == y
    )
    u, v = weights(one), weights(other)
    assert u.keys() == v.keys()
    return curve, max((u[name].double() - v[name].double()).abs().max().item() for name in u)
