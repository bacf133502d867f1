"""Going on with a run: which one and from which checkpoint, and its folder made as it was when that was written.

From the command line's `--ckpt_path` and `--resume` to a checkpoint file and the folder that the run goes on in.
"""

import os
import sys
from collections.abc import MutableMapping
from pathlib import Path
from typing import Any, NamedTuple

from jsonargparse import Namespace
from lightning.pytorch.utilities import rank_zero_warn

from lit_rlvr.checkpoints import Manifest, checkpoints, newest_whole, read_manifest
from lit_rlvr.errors import UserError
from lit_rlvr.events import event_files
from lit_rlvr.models.export import read_checkpoint
from lit_rlvr.run_lock import owner

LAST = "last"


class Found(NamedTuple):
    """What to go on with.

    Attributes:
        run: its folder; None where there has been no run.
        checkpoint: its newest whole checkpoint; None where the run begins anew.
        notes: what the user should hear: damaged checkpoints, by name.
    """

    run: Path | None
    checkpoint: Path | None = None
    notes: tuple[str, ...] = ()


def choose_checkpoint(config: Namespace) -> bool:
    """Settle ``ckpt_path`` in the configuration of `fit`, and the folder that the run goes on in.

    ``ckpt_path`` may be a file, ``last``, or nothing; then ``resume: auto`` means ``last``, and so does a job that SLURM starts
    again, of its own run.

    Returns:
        Whether a run that came to no checkpoint is to be begun again in its folder.

    Raises:
        UserError: there is nothing left to do, or the checkpoint cannot be used.
        SystemExit: with status 0, where ``resume: auto`` finds nothing left to do.
    """
    job = os.environ.get("SLURM_JOB_ID") if int(os.environ.get("SLURM_RESTART_COUNT") or 0) else None
    given, auto = config.ckpt_path, config.resume == "auto"
    if given != LAST and (given or not (auto or job)):
        if given:
            done = int(read_checkpoint(Path(given)).get("state_dict", {}).get("rl_step", 0))
            # Without a manifest nothing says that something is left to do.
            manifest = read_manifest(Path(given)) or Manifest(done, 0, "", finished=True)
            _refuse_finished(manifest, Path(given), config.data.rl_steps)
        return False
    found = find_last(*place_of_runs(config.trainer), None if given or auto else job)
    for note in found.notes:
        rank_zero_warn(note)
    config.ckpt_path = None
    if found.run is None:
        return False
    go_on_in(config.trainer, found.run)
    if found.checkpoint is None:
        rank_zero_warn(f"{found.run} has no checkpoint: it is begun again from the start.")
        return True
    try:
        _refuse_finished(read_manifest(found.checkpoint), found.checkpoint, config.data.rl_steps)
    except UserError as done:
        if given:
            raise
        print(f"lit-rlvr: {done}")
        sys.exit(0)
    config.ckpt_path = str(found.checkpoint)
    print(f"The run goes on from {found.checkpoint}.", flush=True)
    return False


def _refuse_finished(manifest: Manifest | None, checkpoint: Path, rl_steps: int) -> None:
    if manifest is not None and manifest.finished and manifest.rl_step >= rl_steps:
        raise UserError(
            f"The checkpoint {checkpoint} has had {manifest.rl_step} RL steps and data.rl_steps is {rl_steps}: there is nothing "
            "left to do; raise data.rl_steps to train on."
        )


def find_last(root: Path, version: str | None, slurm_job: str | None = None) -> Found:
    """The newest run below ``root`` and its newest whole checkpoint.

    Args:
        root: the folder that holds the runs as `version_N`, or the run itself where ``version`` is empty.
        version: the name of the run's folder, if the configuration says one.
        slurm_job: consider only runs of this job.

    Raises:
        UserError: the run has checkpoints and all of them are damaged.
    """
    runs = [root / version] if version is not None else sorted(root.glob("version_*"), key=_number)
    runs = [run for run in runs if run.is_dir() and (slurm_job is None or owner(run).get("slurm_job") == slurm_job)]
    if not runs:
        return Found(None)
    run = runs[-1]
    checkpoint, notes = newest_whole(run)
    if checkpoint is None:
        if notes:
            raise UserError(
                f"{' '.join(notes)} No other is left in {run}: begin anew without --ckpt_path and --resume."
            )
        return Found(run)
    return Found(run, checkpoint, tuple(notes))


def _number(run: Path) -> int:
    number = run.name.removeprefix("version_")
    return int(number) if number.isdigit() else -1


def place_of_runs(trainer: MutableMapping[str, Any]) -> tuple[Path, str | None]:
    """Where the configured trainer puts its runs: (folder, name of the run's own folder if it is settled).

    Raises:
        UserError: its logger has no folder that could be known beforehand.
    """
    logger = _tensorboard(trainer)
    if logger is None:
        if trainer.get("logger") not in (None, False):
            raise UserError(
                "ckpt_path last and resume auto look where trainer.logger writes, and that is no TensorBoardLogger: give the "
                "checkpoint's file with --ckpt_path."
            )
        return Path(trainer.get("default_root_dir") or "."), ""
    settings = logger.get("init_args") or {}
    root = Path(settings.get("save_dir") or ".") / str(settings.get("name", "lightning_logs") or "")
    version = settings.get("version")
    if version is None:
        return root, None
    return root, version if isinstance(version, str) else f"version_{version}"


def go_on_in(trainer: MutableMapping[str, Any], run: Path) -> None:
    """Have the configured logger write into the folder of this run."""
    logger = _tensorboard(trainer)
    if logger is not None and logger["init_args"].get("version") is None:
        logger["init_args"]["version"] = _number(run)


def _tensorboard(trainer: MutableMapping[str, Any]) -> Any:
    loggers: Any = trainer.get("logger")
    for logger in loggers if isinstance(loggers, list) else [loggers]:
        if hasattr(logger, "get") and str(logger.get("class_path", "")).endswith(".TensorBoardLogger"):
            return logger
    return None


def enter(run: Path, checkpoint: Path | None, begin_anew: bool = False) -> None:
    """Make the folder what it was when the checkpoint was written: curves drawn after it are drawn again.

    Args:
        run: the folder, locked.
        checkpoint: what the run goes on from; one of another folder's leaves this one to a new run.
        begin_anew: the run that is in the folder came to no checkpoint, and is begun again in its place.

    Raises:
        UserError: a new run would be mixed with the one that is there.
    """
    own = checkpoint is not None and checkpoint.resolve().parent.parent == run.resolve()
    if own or begin_anew:
        manifest = read_manifest(checkpoint) if own and checkpoint is not None else None
        if own and manifest is None:
            return  # written before there were manifests: its curves stay as they are
        kept = manifest.events if manifest is not None else {}
        for file in event_files(run):
            if file.name not in kept:
                file.unlink()
            elif file.stat().st_size > kept[file.name]:
                os.truncate(file, kept[file.name])
    elif checkpoints(run):
        raise UserError(
            f"{run} holds a run already: go on with it by --ckpt_path last, or give this one another folder with "
            "trainer.logger.init_args.name or version."
        )
