"""Checkpoints by RL step, after that step's evaluation, each written whole or not at all; the policy exported at the end."""

import os
from pathlib import Path
from typing import Any

from lightning import LightningModule, Trainer
from lightning.pytorch.callbacks import Checkpoint

from lit_rlvr.errors import UserError
from lit_rlvr.files import run_folder
from lit_rlvr.models.export import export_policy
from lit_rlvr.models.weights import merged, policy_weights
from lit_rlvr.module import RLVRModule


class RLCheckpoint(Checkpoint):
    """Save the run every n RL steps and at its end.

    Lightning calls callbacks of this base class last, so the evaluation of the same step is already in the checkpoint.

    Args:
        every_n_rl_steps: the interval; 0 saves at the end alone.
        keep: how many of the latest to keep.
        export: write the trained policy as a transformers folder (`policy/` in the run's folder) at the end.
    """

    def __init__(self, every_n_rl_steps: int = 20, keep: int = 2, export: bool = True) -> None:
        if keep < 1:
            raise UserError(f"checkpoint.keep is {keep}; a run that keeps no checkpoint cannot be resumed.")
        if every_n_rl_steps < 0:
            raise UserError(f"checkpoint.every_n_rl_steps is {every_n_rl_steps}; use 0 to save at the end alone.")
        self.every_n_rl_steps = every_n_rl_steps
        self.keep = keep
        self.export = export

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Save when this step is due."""
        step = int(pl_module.rl_step)  # type: ignore[arg-type]
        last = step == trainer.datamodule.rl_steps  # type: ignore[attr-defined]
        if last or (self.every_n_rl_steps and step % self.every_n_rl_steps == 0):
            self.save(trainer, step)

    def save(self, trainer: Trainer, step: int) -> None:
        """Write `checkpoints/rl_step=N.ckpt`, point `last.ckpt` at it, remove what is over ``keep``. Collective."""
        folder = run_folder(trainer) / "checkpoints"
        final = folder / f"rl_step={step}.ckpt"
        temporary = folder / f".{final.name}.tmp"
        trainer.save_checkpoint(temporary, weights_only=False)  # optimizer and loops too
        if not trainer.is_global_zero:
            return
        os.replace(temporary, final)
        link = folder / ".last.tmp"
        link.unlink(missing_ok=True)
        link.symlink_to(final.name)
        os.replace(link, folder / "last.ckpt")
        for old in sorted(folder.glob("rl_step=*.ckpt"), key=_step_of)[: -self.keep]:
            old.unlink()

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Export the policy; sharded weights are gathered, so all ranks take part."""
        if not self.export:
            return
        assert isinstance(pl_module, RLVRModule)
        state = trainer.strategy.lightning_module_state_dict()
        if trainer.is_global_zero:
            model = pl_module.policy.model
            weights = dict(merged(model, policy_weights(state)))
            target = run_folder(trainer) / "policy"
            export_policy(weights, model.config, model.generation_config, pl_module.tokenizer, target, overwrite=True)


def _step_of(path: Path) -> int:
    return int(path.stem.partition("=")[2])
