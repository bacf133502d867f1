"""Checkpoints by RL step, after that step's evaluation, each written whole or not at all; the policy exported at the end."""

import os
import signal
import subprocess
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

from lightning import LightningModule, Trainer
from lightning.pytorch.callbacks import Checkpoint
from lightning.pytorch.utilities import rank_zero_warn

from lit_rlvr.callbacks.evaluate import PeriodicEvaluation
from lit_rlvr.callbacks.samples import tensorboard_writer
from lit_rlvr.checkpoints import Manifest, checkpoint_file, checkpoints, manifest_file, read_manifest
from lit_rlvr.errors import UserError
from lit_rlvr.events import event_files
from lit_rlvr.files import run_folder
from lit_rlvr.models.export import export_policy
from lit_rlvr.models.weights import merged, policy_weights
from lit_rlvr.module import RLVRModule
from lit_rlvr.training.interrupt import Interrupted, listening, stop_if_asked
from lit_rlvr.training.whole_file import WholeFile


class RLCheckpoint(Checkpoint):
    """Save the run every n RL steps, at its end, and when a signal stops it.

    Lightning calls callbacks of this base class last, so the evaluation of the same step is already in the checkpoint.

    Args:
        every_n_rl_steps: the interval; 0 saves at the end alone.
        keep: how many of the latest to keep.
        best_by: the evaluation, as `benchmark@k` or `benchmark`, by whose accuracy the best checkpoint is kept besides
            them; the first of evaluation.plans by default. It is chosen among those that are written anyway.
        export: write the trained policy as a transformers folder (`policy/` in the run's folder) at the end.
    """

    def __init__(
        self, every_n_rl_steps: int = 20, keep: int = 2, best_by: str | None = None, export: bool = True
    ) -> None:
        if keep < 1:
            raise UserError(f"checkpoint.keep is {keep}; a run that keeps no checkpoint cannot be resumed.")
        if every_n_rl_steps < 0:
            raise UserError(f"checkpoint.every_n_rl_steps is {every_n_rl_steps}; use 0 to save at the end alone.")
        self.every_n_rl_steps = every_n_rl_steps
        self.keep = keep
        self.best_by = best_by
        self.export = export
        self.best: dict[str, float] | None = None  # RL step and accuracy
        self._saved: int | None = None
        self._signals = ExitStack()

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Refuse to choose by an evaluation that is not made."""
        made = [f"{plan.benchmark}@{plan.k}" for plan in self._evaluation(trainer).plans]
        if self.best_by is not None and not any(self.best_by in (name, name.split("@")[0]) for name in made):
            raise UserError(
                f"checkpoint.best_by is {self.best_by!r}, and evaluation.plans has {', '.join(made) or 'none'}: name one of "
                "them, or leave the key out."
            )

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """From here on there is something to save."""
        self._signals.enter_context(listening(trainer))

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Save when this step is due; stop if a signal came during it."""
        step = int(pl_module.rl_step)  # type: ignore[arg-type]
        last = step == trainer.datamodule.rl_steps  # type: ignore[attr-defined]
        if last or (self.every_n_rl_steps and step % self.every_n_rl_steps == 0):
            self.save(trainer, step)
        stop_if_asked(trainer.world_size)

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        """Stopped by a signal: save where the run stands, and hand the job back to SLURM if it asked."""
        if isinstance(exception, Interrupted):
            self._stop(trainer, int(pl_module.rl_step), exception)  # type: ignore[arg-type]
        self._signals.close()

    def save(self, trainer: Trainer, step: int) -> None:
        """Write `checkpoints/rl_step=N.ckpt`, point `last.ckpt` at it, remove what is over ``keep``. Collective.

        Raises:
            UserError: on every process, if it cannot be written. What was there before is still there.
        """
        final = checkpoint_file(run_folder(trainer), step)
        folder = final.parent
        temporary = folder / f".{final.name}.tmp"
        self._choose_best(trainer, step)
        events = _flushed(trainer)
        writer, before = WholeFile(), trainer.strategy.checkpoint_io
        trainer.strategy.checkpoint_io = writer
        try:
            trainer.save_checkpoint(temporary, weights_only=False)  # optimizer and loops too
        finally:
            trainer.strategy.checkpoint_io = before
        if trainer.is_global_zero and not writer.failed:
            try:
                manifest = Manifest(step, writer.bytes, writer.sha256, events)
                os.replace(temporary, final)
                manifest.write(final)
                _link(final, "last.ckpt")
                self._tidy(folder)
            except OSError as error:
                writer.failed = error.strerror or str(error)
        failed = trainer.strategy.broadcast(writer.failed)
        if failed:
            rest = [path.name for _, path in checkpoints(folder.parent) if read_manifest(path)]
            go_on = f"--ckpt_path last then goes on from {rest[-1]}" if rest else "no earlier one is there"
            raise UserError(
                f"The checkpoint {final} cannot be written: {failed}. The run stops here; make room, and {go_on}."
            )
        self._saved = step

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Export the policy; sharded weights are gathered, so all ranks take part."""
        self._signals.close()
        step = int(pl_module.rl_step)  # type: ignore[arg-type]
        if self._saved != step:  # the last step was done before a stop, and what was left of the run came after it
            self.save(trainer, step)
        if self.export:
            assert isinstance(pl_module, RLVRModule)
            state = trainer.strategy.lightning_module_state_dict()
            if trainer.is_global_zero:
                model = pl_module.policy.model
                weights = dict(merged(model, policy_weights(state)))
                target = run_folder(trainer) / "policy"
                export_policy(
                    weights, model.config, model.generation_config, pl_module.tokenizer, target, overwrite=True
                )
        if trainer.is_global_zero:
            final = checkpoint_file(run_folder(trainer), step)
            manifest = read_manifest(final)
            assert manifest is not None
            replace(manifest, finished=True).write(final)

    def _stop(self, trainer: Trainer, step: int, stop: Interrupted) -> None:
        name = signal.Signals(stop.signum).name
        if step == 0:
            said = "before the first RL step was done, so there is nothing to save"
        else:
            here = checkpoint_file(run_folder(trainer), step)
            # What the run went on from is not written over: the moment between two files is the only one that could lose it.
            if not trainer.strategy.broadcast(read_manifest(here) is not None):
                self.save(trainer, step)
            said = f"after RL step {step}, which is saved: --ckpt_path last goes on from there"
        trainer.print(f"{name}: the run stops {said}.", flush=True)
        if stop.requeue and trainer.is_global_zero:
            _requeue()

    def _choose_best(self, trainer: Trainer, step: int) -> None:
        """Remember this step if its evaluation is better than that of every checkpoint before it."""
        evaluation = self._evaluation(trainer)
        wanted = self.best_by or next((f"{plan.benchmark}@{plan.k}" for plan in evaluation.plans), "")
        for row in evaluation.rows:
            if row["rl_step"] == step and wanted in (f"{row['benchmark']}@{row['k']}", row["benchmark"]):
                if self.best is None or row["accuracy"] > self.best["accuracy"]:
                    self.best = {"rl_step": step, "accuracy": row["accuracy"]}
                return

    @staticmethod
    def _evaluation(trainer: Trainer) -> PeriodicEvaluation:
        found = [c for c in trainer.callbacks if isinstance(c, PeriodicEvaluation)]  # type: ignore[attr-defined]
        return found[0] if found else PeriodicEvaluation()

    def _tidy(self, folder: Path) -> None:
        """Remove the checkpoints that are neither among the latest nor the best, and what a killed process left behind."""
        found = checkpoints(folder.parent)
        best = next((path for step, path in found if self.best is not None and step == self.best["rl_step"]), None)
        if best is not None:
            _link(best, "best.ckpt")
        for _, old in found[: -self.keep]:
            if old != best:
                old.unlink()
                manifest_file(old).unlink(missing_ok=True)
        for left in folder.glob(".rl_step=*.tmp"):
            left.unlink()

    # In the checkpoint, so that a resumed run keeps the best of all.

    def state_dict(self) -> dict[str, Any]:
        """The best so far."""
        return {"best": self.best}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on from it."""
        self.best = state_dict["best"]


def _flushed(trainer: Trainer) -> dict[str, int]:
    """Length of the run's TensorBoard files, all that was logged being in them: what comes after is not the checkpoint's."""
    writer = tensorboard_writer(trainer)
    if writer is None:
        return {}
    writer.flush()
    lengths = {}
    for path in event_files(run_folder(trainer)):
        with open(path, "rb") as file:
            os.fsync(file.fileno())
        lengths[path.name] = path.stat().st_size
    return lengths


def _link(target: Path, name: str) -> None:
    link = target.with_name(f".{name}.tmp")
    link.unlink(missing_ok=True)
    link.symlink_to(target.name)
    os.replace(link, target.with_name(name))


def _requeue() -> None:
    """Ask SLURM to start this job again, as Lightning does."""
    array = os.environ.get("SLURM_ARRAY_JOB_ID")
    job = f"{array}_{os.environ['SLURM_ARRAY_TASK_ID']}" if array else os.environ.get("SLURM_JOB_ID", "")
    try:
        done = subprocess.run(["scontrol", "requeue", job], capture_output=True, text=True, check=False)
        failed = done.stderr.strip() if done.returncode else None
    except OSError as error:
        failed = str(error)
    if failed:
        rank_zero_warn(f"SLURM did not take job {job} back ({failed}): start it again yourself with --ckpt_path last.")
