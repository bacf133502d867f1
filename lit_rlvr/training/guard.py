"""The guard: what is no number is not trained on, is counted and kept, and ends the run if it goes on.

From: `training/update.py`, which skips and says so. To: `train/skipped_updates`, `batches/` in the run's folder, and one sentence
that ends the run. It stands between `RLVRModule` and the files of `training/kept_step.py`.
"""

import math
import shutil
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from lightning import Trainer
from lightning.pytorch.utilities import rank_zero_warn
from torch import Tensor
from torch.amp import GradScaler

from lit_rlvr.algorithms.algorithm import Algorithm
from lit_rlvr.errors import UserError
from lit_rlvr.experience import Experience, PromptBatch
from lit_rlvr.files import run_folder
from lit_rlvr.training.finite import EXPERIENCE, experience_tensors, find
from lit_rlvr.training.kept_step import KeptStep, digest, made_with, own_metrics, write_state
from lit_rlvr.training.parallel import Parallel
from lit_rlvr.training.update import UpdateSums

KEPT = 3
"""Skipped RL steps of which the files are kept, the latest ones: each has the parameters and twice as much of moments, and
one that happens every hundred steps must not fill a disk in days."""

MENDS = {
    "rollout log-probs": "the engine is at fault: set model.engine.init_args.dtype to float32",
    "rewards": "model.reward is at fault: look at what it gives for these responses",
    "reference log-probs": "model.reference is at fault: look at the model that it names",
}
"""What to do, by what was not finite first."""

MEND = "lower the learning rate, or compute in float32"
"""And for everything that the policy or the critic say themselves."""


@dataclass(frozen=True)
class GuardConfig:
    """What happens to RL steps in which something is NaN or infinite, and which others are saved.

    Attributes:
        stop_after: the run stops after this many RL steps in a row with a skipped optimizer step. One may be an unlucky batch,
            three are no luck: nothing in them is drawn twice.
        save_batches_every_n_rl_steps: save every n-th RL step as well, to be done again with `lit-rlvr replay`; 0 saves
            those alone in which something was skipped. Each takes three times the parameters' memory on disk, and none of
            these is removed.
    """

    stop_after: int = 3
    save_batches_every_n_rl_steps: int = 0

    def __post_init__(self) -> None:
        if self.stop_after < 1:
            raise UserError(
                f"model.guard.stop_after is {self.stop_after}; it is a number of RL steps in a row, at least 1 (a large one "
                "never stops)."
            )
        if self.save_batches_every_n_rl_steps < 0:
            raise UserError(
                f"model.guard.save_batches_every_n_rl_steps is {self.save_batches_every_n_rl_steps}; use 0 to save no RL "
                "steps but those in which something was skipped."
            )


class Guard:
    """Counts over a run. Every rank has one, and all come to the same counts.

    Args:
        config: as the user wrote it.

    Attributes:
        skipped: optimizer steps skipped so far.
        in_a_row: RL steps up to the last one with a skip in each.
        warned: whether the user knows.
    """

    def __init__(self, config: GuardConfig) -> None:
        self.config = config
        self.skipped = self.in_a_row = 0
        self.warned = False
        self._last = self._mend = ""

    def state(self) -> dict[str, Any]:
        """For the checkpoint."""
        return {"skipped": self.skipped, "in_a_row": self.in_a_row, "warned": self.warned}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from it; a checkpoint of before there was a guard has nothing."""
        self.skipped, self.in_a_row = state.get("skipped", 0), state.get("in_a_row", 0)
        self.warned = state.get("warned", False)

    def watch(
        self,
        trainer: Trainer,
        parallel: Parallel,
        parameters: Callable[[], Mapping[str, Tensor]],
        scaler: GradScaler,
        rl_step: int,
        seed: int,
    ) -> "WatchedStep":
        """Before an update. Collective.

        Args:
            trainer: of the run.
            parallel: its processes.
            parameters: what of the module a checkpoint would hold, whole on rank 0; collective.
            scaler: of the loss.
            rl_step: the current one.
            seed: of the update.
        """
        step = WatchedStep(trainer, parallel, parameters, scaler, rl_step, seed)
        every = self.config.save_batches_every_n_rl_steps
        if every and rl_step % every == 0:
            step.keep(0, f"rl_step={rl_step}")
        return step

    def count(
        self, step: "WatchedStep", batch: PromptBatch, experience: Experience, sums: UpdateSums, algorithm: Algorithm
    ) -> None:
        """After the update: write what is to be kept, count, warn once. Collective."""
        saved = step.write(batch, experience, sums, algorithm)
        self.skipped += sums.skipped
        self.in_a_row = self.in_a_row + 1 if sums.skipped else 0
        if not sums.skipped:
            return
        what, rank = first_culprit(experience, sums, step.parallel)
        where = f"replay it with `lit-rlvr replay {step.folder}/rank{rank}.pt`" if saved else "it could not be saved"
        self._mend = MENDS.get(what, MEND)
        self._last = f"RL step {step.rl_step} has {what} that are not finite; {where}."
        if not self.warned:
            self.warned = True
            rank_zero_warn(
                f"{self._last} Optimizer steps skipped: {sums.skipped}, with parameters and moments left as they were "
                f"(train/skipped_updates counts on; this warning comes once). If it goes on, {self._mend}. After "
                f"{self.config.stop_after} such RL steps in a row the run stops."
            )

    def hold(self) -> None:
        """Stop where it has gone on for too long: equal on all ranks."""
        if self.in_a_row >= self.config.stop_after:
            raise UserError(
                f"{self._last} Updates were skipped in {self.in_a_row} RL steps in a row, and model.guard.stop_after is "
                f"{self.config.stop_after}. {self._mend[0].upper()}{self._mend[1:]}, and resume from the last checkpoint."
            )


class WatchedStep:
    """One RL step's update, of which the state is kept as soon as it is known to be of use.

    Args: as for ``Guard.watch``.
    """

    def __init__(
        self,
        trainer: Trainer,
        parallel: Parallel,
        parameters: Callable[[], Mapping[str, Tensor]],
        scaler: GradScaler,
        rl_step: int,
        seed: int,
    ) -> None:
        self.trainer, self.parallel, self.parameters, self.scaler = trainer, parallel, parameters, scaler
        self.rl_step, self.seed = rl_step, seed
        self.folder: Path | None = None
        self.first = 0
        self.failed = False

    def on_skip(self, done: int, terms: Mapping[str, float]) -> None:
        """See ``update``: the parameters are still those that the optimizer step would have changed."""
        if self.folder is None:
            self.keep(done, f"rl_step={self.rl_step}-skipped")

    def keep(self, done: int, name: str) -> None:
        """Write parameters and the states of optimizers and scaler, gathered from all ranks, by the first one."""
        strategy = self.trainer.strategy
        # Where it runs is for the first rank to say: another's logger may count itself a version further.
        own = run_folder(self.trainer) / "batches" / name
        if self.parallel.rank == 0:  # a resumed run comes here again: nothing of two runs may stand together
            shutil.rmtree(own, ignore_errors=True)
        self.folder = Path(strategy.broadcast(str(own)))
        self.first = done
        parameters = self.parameters()
        # FSDP2 would make the moments up, with a step behind them, where there are none yet.
        optimizers = [strategy.optimizer_state(o) if o.state else {} for o in self.trainer.optimizers]
        if self.parallel.rank == 0:
            folder, scaler = self.folder, self.scaler.state_dict()
            self._try(lambda: write_state(folder, parameters, optimizers, scaler))

    def write(self, batch: PromptBatch, experience: Experience, sums: UpdateSums, algorithm: Algorithm) -> bool:
        """Write this rank's part, if the step is kept; whether all of it is on disk."""
        if self.folder is None:
            return False
        folder, several = self.folder, self.parallel.world_size > 1
        kept = KeptStep(
            self.rl_step, self.parallel.rank, self.parallel.world_size, self.first, self.seed, batch, experience,
            sums.skipped, own_metrics(experience, sums, algorithm, self.parallel),
            "" if several else digest(self.parameters()), made_with(self.parallel.device),
        )  # fmt: skip
        self._try(lambda: kept.write(folder))
        written = self.parallel.all(not self.failed)
        if self.parallel.rank == 0:
            for old in sorted(folder.parent.glob("rl_step=*-skipped"), key=_step_of)[:-KEPT]:
                shutil.rmtree(old, ignore_errors=True)
        return written

    def _try(self, write: Callable[[], object]) -> None:
        """A disk that is full must not end on one rank what the others wait in; said once."""
        if self.failed:
            return
        try:
            write()
        except (OSError, RuntimeError) as error:  # torch has its own word for a full disk
            self.failed = True
            warnings.warn(f"RL step {self.rl_step} could not be saved in {self.folder}: {error}", stacklevel=2)


def first_culprit(experience: Experience, sums: UpdateSums, parallel: Parallel) -> tuple[str, int]:
    """What was not finite, the earliest on the line of whatever was, and the first rank that saw it. Collective."""
    trained = {"log-probs of the policy in its update": sums.logprobs, "a loss or gradients": torch.tensor(math.nan)}
    stages = [*EXPERIENCE, *trained]
    tensors = {**experience_tensors(experience), **trained}
    own = next(i for i, name in enumerate(stages) if name in tensors and find(name, tensors[name]).bad)
    (least,) = parallel.reduce([-float(own)], largest=True)
    (rank,) = parallel.reduce([-float(parallel.rank) if own == -least else -math.inf], largest=True)
    return stages[int(-least)], int(-rank)


def _step_of(folder: Path) -> int:
    return int(folder.name.removeprefix("rl_step=").removesuffix("-skipped"))
