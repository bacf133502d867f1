"""Accuracy on each training problem, pass by pass: `history.json`, from which problems can be selected by variance."""

import json
from collections.abc import Iterable, Mapping
from contextlib import suppress
from typing import Any

import torch.distributed as dist
from lightning import Callback, LightningModule, Trainer

from lit_rlvr.errors import UserError
from lit_rlvr.experience import StepRecord
from lit_rlvr.files import run_folder, write_atomically

Counts = Mapping[str, tuple[int, int]]
"""Problem id -> (responses that were right, responses)."""


class AccuracyHistory(Callback):
    """Record the training accuracy of every problem each time it is trained on.

    `history.json` in the run's folder maps each problem id to a list with an entry for every RL step that trained on the
    problem: the share of right responses over all its rows and all processes. With one problem, entry i belongs to RL
    step i. The historical variance score of arXiv 2504.20571 ranks problems by the variance of these lists.

    Args:
        every_n_rl_steps: how often the file is written; 0 writes it at the end alone.
    """

    def __init__(self, every_n_rl_steps: int = 10) -> None:
        if every_n_rl_steps < 0:
            raise UserError(f"history.every_n_rl_steps is {every_n_rl_steps}; use 0 to write at the end alone.")
        self.every_n_rl_steps = every_n_rl_steps
        self.accuracies: dict[str, list[float]] = {}

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Add the step. Collective."""
        record: StepRecord | None = getattr(pl_module, "last_step", None)
        if record is None:
            return
        # Every process keeps the whole history, so the checkpoint is right whichever of them writes it.
        for problem, accuracy in merge(gather(count_right(record), trainer.world_size)).items():
            self.accuracies.setdefault(problem, []).append(accuracy)
        if self.every_n_rl_steps and (record.rl_step + 1) % self.every_n_rl_steps == 0:
            self.write(trainer)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """The whole history."""
        self.write(trainer)

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        """What there is when a run is stopped."""
        # A full disk may be what stops it, and has its sentence; checkpoints hold the history too.
        with suppress(OSError):
            self.write(trainer)

    def write(self, trainer: Trainer) -> None:
        """Replace `history.json`: one line per problem."""
        if not trainer.is_global_zero or not self.accuracies:
            return
        lines = [
            f"{json.dumps(problem, ensure_ascii=False)}: {json.dumps(accuracies)}"
            for problem, accuracies in self.accuracies.items()
        ]
        text = "{\n" + ",\n".join(lines) + "\n}\n"

        write_atomically(run_folder(trainer) / "history.json", lambda path: path.write_text(text, "utf-8"))

    # In the checkpoint, so that a resumed run ends with the file of an uninterrupted one.

    def state_dict(self) -> dict[str, Any]:
        """The history so far."""
        return {"accuracies": {problem: list(values) for problem, values in self.accuracies.items()}}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on from it."""
        self.accuracies = {problem: list(values) for problem, values in state_dict["accuracies"].items()}


def count_right(record: StepRecord) -> Counts:
    """Right and all responses of each problem in this process' share of the step."""
    counts: dict[str, tuple[int, int]] = {}
    rows = record.experience.rollouts.rows.tolist()
    for row, verdict in zip(rows, record.experience.verdicts, strict=True):
        problem = record.batch.problems[row].id
        right, asked = counts.get(problem, (0, 0))
        counts[problem] = right + verdict.right, asked + 1
    return counts


def gather(counts: Counts, world_size: int) -> list[Counts]:
    """The counts of every process, in the order of ranks, on every process."""
    if world_size == 1:
        return [counts]
    parts: list[Any] = [None] * world_size
    dist.all_gather_object(parts, counts)
    return parts


def merge(parts: Iterable[Counts]) -> dict[str, float]:
    """Accuracy of each problem over all parts, to six decimals (the responses of a step number thousands at most)."""
    totals: dict[str, tuple[int, int]] = {}
    for part in parts:
        for problem, (right, asked) in part.items():
            before = totals.get(problem, (0, 0))
            totals[problem] = before[0] + right, before[1] + asked
    return {problem: round(right / asked, 6) for problem, (right, asked) in totals.items()}
