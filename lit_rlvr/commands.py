"""The commands beside `fit` and `plan`: where each one is, and what all of them share.

A command is a module with ``main(arguments) -> exit status``. It is imported when it is called, so that those which need
no torch start at once, and says every mistake of the user's with a `UserError`.
"""

import os
import sys
from importlib import import_module
from typing import Any, NoReturn

from jsonargparse import ArgumentParser

from lit_rlvr.errors import UserError

COMMANDS: dict[str, tuple[str, str]] = {
    "evaluate": ("lit_rlvr.evaluation.command", "a policy on benchmarks, or its responses scored again"),
    "select": ("lit_rlvr.selection.command", "which problem to train on, from a history of accuracies"),
    "sweep": ("lit_rlvr.sweep.command", "a grid of presets and seeds, and its table"),
    "report": ("lit_rlvr.report.command", "tables, figures and one page from runs"),
    "export": ("lit_rlvr.models.export_command", "a transformers folder from a checkpoint, a GGUF file, …"),
    "replay": ("lit_rlvr.replay", "one saved RL step again, and what in it was not finite"),
    "grade": ("lit_rlvr.grade", "verdicts on a file of responses"),
}
"""Name -> (module, what it does in a few words)."""

BROKEN_PIPE, INTERRUPTED = 141, 130
"""Exit statuses, the shell's own: 128 + the signal's number."""


class CommandParser(ArgumentParser):
    """Errors as `UserError`: one sentence, not a page of usage.

    Args:
        command: the command's name.
        description: for its help.
    """

    def __init__(self, command: str = "", description: str = "", **settings: Any) -> None:
        settings.setdefault("prog", f"lit-rlvr {command}")
        super().__init__(description=description, allow_abbrev=False, **settings)

    def error(self, message: str, ex: Exception | None = None) -> NoReturn:
        raise UserError(f"{' '.join(message.split())[:400]}; see `{self.prog} --help`.") from ex


def call(name: str, arguments: list[str]) -> NoReturn:
    """Do a command and leave with its status; a mistake in it is one sentence and status 2."""
    try:
        status = import_module(COMMANDS[name][0]).main(arguments)
        sys.stdout.flush()
    except BrokenPipeError:  # whoever read the output has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # or Python would try again at its end
        status = BROKEN_PIPE
    except Exception as error:
        leave(error)
    sys.exit(status)


def leave(error: Exception) -> NoReturn:
    """End the process on an exception: a mistake of the user's in one sentence, a fault of ours as it is."""
    sentence = str(error) if isinstance(error, UserError) else None
    if sentence is None:
        from lit_rlvr.mistakes import sentence_for  # it loads torch

        sentence = sentence_for(error)
    if sentence is None or os.environ.get("LIT_RLVR_TRACEBACK"):
        raise error
    print(f"lit-rlvr: error: {' '.join(sentence.split())}", file=sys.stderr)
    sys.exit(2)
