"""One RL step on disk, whole enough to be done again: `batches/rl_step=N/` in the run's folder.

From: `training/guard.py`. To: `lit-rlvr replay`. ``state.pt`` holds parameters and the states of optimizers and loss scaler as
they were, ``rankR.pt`` the experience of each process and what its update came to. Both are plain tensors, numbers and strings, which
``torch.load(weights_only=True)`` takes.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from lit_rlvr.algorithms.algorithm import Algorithm
from lit_rlvr.errors import UserError
from lit_rlvr.experience import Experience, Problem, PromptBatch, Rollouts
from lit_rlvr.files import write_atomically
from lit_rlvr.rewards.verdict import Kind, Verdict
from lit_rlvr.training.clock import Clock
from lit_rlvr.training.parallel import Parallel
from lit_rlvr.training.step_metrics import step_metrics
from lit_rlvr.training.update import UpdateSums

STATE, FORMAT = "state.pt", "lit_rlvr RL step, 1"
MACHINE = ("time/", "memory/", "rollout/tokens_per_second")
"""Beginnings of metrics that say something of the machine, and come out differently each time."""


@dataclass(frozen=True)
class KeptStep:
    """One process' part of an RL step.

    Attributes:
        rl_step: as in ``StepRecord``.
        rank: of the process.
        world_size: processes of the run.
        first: optimizer steps of this RL step that the state has had already.
        seed: of the update.
        batch: the rows that were asked for.
        experience: as the update got it.
        skipped: optimizer steps that were skipped.
        metrics: of this process alone, without those of ``MACHINE``.
        after: ``digest`` of the trained parameters after the update; empty where the run had several processes, whose
            gradients came together in it.
        made_with: what computed it.
    """

    rl_step: int
    rank: int
    world_size: int
    first: int
    seed: int
    batch: PromptBatch
    experience: Experience
    skipped: int
    metrics: Mapping[str, float]
    after: str
    made_with: str

    def write(self, folder: Path) -> Path:
        """Put it where it belongs in the step's folder, in one move."""
        content = {field.name: getattr(self, field.name) for field in fields(self)} | {
            "format": FORMAT,
            "batch": {"problems": [asdict(p) for p in self.batch.problems], "prompts": self.batch.prompts},
            "experience": _plain(self.experience),
            "metrics": dict(self.metrics),
        }
        path = folder / f"rank{self.rank}.pt"
        write_atomically(path, lambda temporary: torch.save(content, temporary))
        return path

    @classmethod
    def read(cls, path: Path) -> "KeptStep":
        """One of the files that ``write`` made.

        Raises:
            UserError: it is another file, or damaged, or not there.
        """
        content = _load(path, "experience")
        batch = content["batch"]
        problems = tuple(Problem(**problem) for problem in batch["problems"])
        given = {
            "batch": PromptBatch(problems, tuple(map(tuple, batch["prompts"]))),
            "experience": _experience(content["experience"]),
        }
        return cls(**{field.name: content[field.name] for field in fields(cls)} | given)


def write_state(
    folder: Path, parameters: Mapping[str, Tensor], optimizers: list[dict[str, Any]], scaler: Mapping[str, float]
) -> None:
    """Write what a step starts from.

    Args:
        folder: of the step.
        parameters: as a checkpoint has them.
        optimizers: their state dicts; an empty one where no step has been taken yet.
        scaler: state dict of the loss scaler; empty where there is none.
    """
    content = {"format": FORMAT, "parameters": dict(parameters), "optimizers": optimizers, "scaler": dict(scaler)}
    write_atomically(folder / STATE, lambda temporary: torch.save(content, temporary))


def read_state(folder: Path) -> tuple[dict[str, Tensor], list[dict[str, Any]], dict[str, float]]:
    """(parameters, optimizer states, scaler state) of a step; a ``UserError`` where that file is damaged or not there."""
    content = _load(folder / STATE, "parameters")
    return content["parameters"], content["optimizers"], content.get("scaler", {})


def _load(path: Path, key: str) -> dict[str, Any]:
    if not path.is_file():
        raise UserError(
            f"replay: there is no file {path}; a saved step is a folder batches/rl_step=N of a run, with {STATE} and a "
            "rank0.pt: give the path of the latter."
        )
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # whatever it is that the reader stumbles over
        raise UserError(
            f"replay: {path} cannot be read ({type(error).__name__}): it is damaged, or no saved step; give a whole "
            "batches/rl_step=N/rank0.pt of a run."
        ) from error
    if not isinstance(content, dict) or content.get("format") != FORMAT or key not in content:
        raise UserError(f"replay: {path} is no saved step of this version; give a batches/rl_step=N/rank0.pt of a run.")
    return content


def digest(parameters: Mapping[str, Tensor]) -> str:
    """Hex digits of every bit of the parameters."""
    made = hashlib.blake2b(digest_size=16)
    for name, value in sorted(parameters.items()):
        made.update(f"{name}{tuple(value.shape)}{value.dtype}".encode())
        made.update(value.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().data)
    return made.hexdigest()


def made_with(device: torch.device) -> str:
    """What bit-for-bit equality depends on besides the numbers."""
    if device.type == "cpu":
        name = f"CPU, threads: {torch.get_num_threads()}"
    else:
        named = getattr(torch.get_device_module(device), "get_device_name", None)
        name = device.type if named is None else named()
    return f"torch {torch.__version__}, {name}"


def own_metrics(experience: Experience, sums: UpdateSums, algorithm: Algorithm, parallel: Parallel) -> dict[str, float]:
    """The metrics of one process by itself, those alone that a repetition must give again."""
    clock = Clock(parallel.device)
    clock.lap("time/rollout")
    alone = Parallel(parallel.strategy, parallel.device)
    metrics = step_metrics(experience, sums, clock, algorithm, alone)
    return {name: value for name, value in metrics.items() if not name.startswith(MACHINE)}


def _plain(experience: Experience) -> dict[str, Any]:
    rollouts = experience.rollouts
    return {field.name: getattr(experience, field.name) for field in fields(experience)} | {
        "rollouts": {field.name: getattr(rollouts, field.name) for field in fields(rollouts)},
        "verdicts": [(verdict.kind.value, verdict.answer) for verdict in experience.verdicts],
    }


def _experience(content: dict[str, Any]) -> Experience:
    verdicts = tuple(Verdict(Kind(kind), answer) for kind, answer in content["verdicts"])
    return Experience(**content | {"rollouts": Rollouts(**content["rollouts"]), "verdicts": verdicts})
