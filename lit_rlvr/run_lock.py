"""One run at a time in a folder: `run.lock`, held for as long as the process lives, however it ends."""

import fcntl
import json
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from lit_rlvr.errors import UserError

NAME = "run.lock"


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """The folder is this process' alone. The file says who has it, and under which SLURM job.

    Raises:
        UserError: another process is at work in it, or it cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        file = open(folder / NAME, "a+", encoding="utf-8")  # noqa: SIM115 - it stays open
    except OSError as error:
        raise UserError(
            f"The run's folder {folder} cannot be written to ({error.strerror}): choose another with "
            "trainer.logger.init_args.save_dir, or mend its permissions."
        ) from error
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        file.close()
        who = owner(folder)
        raise UserError(
            f"Another run is at work in {folder} (process {who.get('pid')} on {who.get('host')}): wait for it, end it, or give "
            "this one another folder with trainer.logger.init_args.name or version."
        ) from error
    except OSError:  # some network file systems have no locks
        pass
    file.truncate(0)
    json.dump({"pid": os.getpid(), "host": socket.gethostname(), "slurm_job": os.environ.get("SLURM_JOB_ID")}, file)
    file.flush()
    with file:
        yield


def owner(folder: Path) -> dict[str, Any]:
    """Who has the folder, or had it last."""
    try:
        found = json.loads((folder / NAME).read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
