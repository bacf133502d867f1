"""What other packages say that a user can do nothing about is not said."""

import logging
import threading
import warnings

import transformers

NOISE = (
    "LightningCLI.s args parameter",  # given on purpose, so that `run` can be called from Python
    "Found .* module.* in eval mode",  # the reference is meant to be
    ".*isinstance.treespec, LeafSpec.*",  # Lightning's own use of torch
    ".*Consider increasing the value of the .num_workers",  # there is nothing to do in workers
)
"""Warnings that a user can do nothing about."""


def quieten() -> None:
    """Keep the screen for what the run says."""
    for message in NOISE:
        warnings.filterwarnings("ignore", message=message)
    logging.getLogger("lightning.pytorch.utilities.rank_zero").addFilter(
        lambda record: "Tip:" not in record.getMessage()
    )
    transformers.utils.logging.disable_progress_bar()
    threading.excepthook = _of_a_thread


def _of_a_thread(failed: threading.ExceptHookArgs) -> None:
    """What ends TensorBoard's thread is raised again where the run next logs, and has its sentence there."""
    if not (isinstance(failed.exc_value, OSError) and type(failed.thread).__module__.startswith("tensorboard.")):
        threading.__excepthook__(failed)
