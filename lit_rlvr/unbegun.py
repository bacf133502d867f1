"""A run that a mistake ends before it has begun leaves no folder: Lightning makes one before anything is checked."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lightning import Trainer

from lit_rlvr.errors import UserError
from lit_rlvr.events import PATTERN
from lit_rlvr.files import run_folder
from lit_rlvr.mistakes import sentence_for
from lit_rlvr.run_lock import NAME as LOCK

WRITTEN_FIRST = ("config.yaml", "hparams.yaml", LOCK, PATTERN)
"""What a folder holds of a run that has neither evaluated nor trained."""


@contextmanager
def no_trace_of_nothing(trainer: Trainer) -> Iterator[None]:
    """Remove the run's folder where it is new, a mistake of the user's ended the run, and nothing has come of it.

    Raises:
        UserError: the folder cannot be made.
    """
    new: list[Path] = []
    try:
        if trainer.is_global_zero:
            folder = run_folder(trainer)
            new = [path for path in (folder, *folder.parents) if not path.exists()]
            folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(
            f"the run's folder cannot be made ({error.strerror}: {error.filename}); set trainer.logger.init_args.save_dir to "
            "a folder that can be written to."
        ) from error
    try:
        yield
    except Exception as error:
        if new and sentence_for(error) is not None and _untouched(new[0]):
            shutil.rmtree(new[0], ignore_errors=True)
            for parent in new[1:]:
                if not parent.is_dir() or any(parent.iterdir()):
                    break
                parent.rmdir()
        raise


def _untouched(folder: Path) -> bool:
    """Whether nothing is there but what is written first."""
    return all(any(path.match(pattern) for pattern in WRITTEN_FIRST) for path in folder.glob("*"))
