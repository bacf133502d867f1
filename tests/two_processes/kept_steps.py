"""A callback that keeps what a run began with and what each process had in each RL step."""

from pathlib import Path
from typing import Any

import torch
from lightning import Callback, LightningModule, Trainer


class KeptSteps(Callback):
    """Writes `start.ckpt`, and a file for each rank and step.

    Args:
        folder: to write to.
    """

    def __init__(self, folder: str) -> None:
        self.folder = Path(folder)

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        trainer.save_checkpoint(self.folder / "start.ckpt", weights_only=False)

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        record: Any = pl_module.last_step
        experience = record.experience
        rollouts = experience.rollouts
        kept = {
            "prompts": [rollouts.prompts[row] for row in rollouts.rows.tolist()],
            "responses": [response.tolist() for response in rollouts.split(rollouts.tokens)],
            "advantages": [float(a[0]) for a in rollouts.split(experience.advantages)],
            "rewards": experience.rewards.tolist(),
            "metrics": dict(record.metrics),
        }
        torch.save(kept, self.folder / f"rank{trainer.global_rank}-step{record.rl_step}.pt")
