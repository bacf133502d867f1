"""`lit-rlvr export POLICY DIR`: any policy as a transformers folder; with ``--adapter`` what a run with LoRA trained, alone."""

from pathlib import Path

import transformers

from lit_rlvr.commands import CommandParser
from lit_rlvr.errors import UserError
from lit_rlvr.models.any_policy import load_policy
from lit_rlvr.models.export import export_checkpoint, export_policy


def main(arguments: list[str]) -> int:
    """Do what the command line says."""
    parser = CommandParser("export", "Write a policy as a transformers folder, adapters merged in, in float32.")
    parser.add_argument("policy", help="a .ckpt of a run, a GGUF file, package:NAME, a hub id, an adapter's folder")
    parser.add_argument("folder", type=Path, help="where to write")
    parser.add_argument("--tokenizer", default=None, help="folder or hub id, if the run's own is gone")
    parser.add_argument("--adapter", action="store_true", help="the LoRA adapter alone, as a folder that peft loads")
    parser.add_argument(
        "--base", default=None, help="folder or hub id of what the adapter was trained on, if that is gone"
    )
    options = parser.parse_args(arguments)
    transformers.utils.logging.disable_progress_bar()
    source = Path(options.policy).expanduser()
    if source.suffix == ".ckpt":
        export_checkpoint(source, options.folder, options.tokenizer, options.base, options.adapter)
    elif options.adapter or options.base:
        raise UserError(f"export: --adapter and --base are for .ckpt files of a run, which {options.policy} is not.")
    else:
        policy = load_policy(options.policy, options.tokenizer, "export")
        model = policy.model
        export_policy(model.state_dict(), model.config, model.generation_config, policy.tokenizer, options.folder)
    print(f"Wrote {options.folder}.")
    return 0
