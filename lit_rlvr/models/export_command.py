"""`lit-rlvr export CKPT DIR`, and with ``--adapter`` what a run with LoRA trained, alone."""

from pathlib import Path

import transformers

from lit_rlvr.commands import CommandParser
from lit_rlvr.models.export import export_checkpoint


def main(arguments: list[str]) -> int:
    """Do what the command line says."""
    parser = CommandParser("export", "Write a transformers folder from a checkpoint, adapters merged in.")
    parser.add_argument("checkpoint", type=Path, help="a .ckpt file of a run")
    parser.add_argument("folder", type=Path, help="where to write")
    parser.add_argument("--tokenizer", default=None, help="folder or hub id, if the run's own is gone")
    parser.add_argument("--adapter", action="store_true", help="the LoRA adapter alone, as a folder that peft loads")
    parser.add_argument(
        "--base", default=None, help="folder or hub id of what the adapter was trained on, if that is gone"
    )
    options = parser.parse_args(arguments)
    transformers.utils.logging.disable_progress_bar()
    export_checkpoint(options.checkpoint, options.folder, options.tokenizer, options.base, options.adapter)
    print(f"Wrote {options.folder}.")
    return 0
