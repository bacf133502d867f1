"""Getting a model and its tokenizer: a transformers folder, a hub id, a GGUF file, or ``random:<architecture>`` to try a set-up.

A peft folder with an adapter is a policy too: its base with the adapter merged into the weights.
"""

import re
from pathlib import Path
from typing import Any

import torch
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    AutoTokenizer,
    PretrainedConfig,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)

from lit_rlvr.allocator import keep_freed_memory
from lit_rlvr.errors import UserError, first_line
from lit_rlvr.models.adapter_folder import base_of, is_adapter_folder, with_adapter
from lit_rlvr.models.fresh import random_model
from lit_rlvr.models.gguf import Located, is_gguf, locate

_HUB_ID = re.compile(r"(\w[\w.-]*/)?\w[\w.-]*", re.ASCII)
RANDOM = "random:"
RANDOM_SHAPE = {
    "hidden_size": 64,
    "intermediate_size": 128,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 16,
    "max_position_embeddings": 8192,  # the longest response of the paper's presets, and its prompt
    "tie_word_embeddings": True,
}
"""What ``random:<architecture>`` builds: the architecture's layers at a size that takes a step in a second on one core."""


def load_config(policy: str, key: str = "model.policy") -> PretrainedConfig:
    """Shape of the model without its weights.

    Args:
        policy: folder, hub id, GGUF file, ``package:<name>`` (`models/gguf.py`), ``random:<architecture>``, or a folder
            with a LoRA adapter.
        key: where the user wrote it, for the sentence about a mistake.

    Raises:
        UserError: if there is no such folder, hub id or architecture.
    """
    if policy.startswith(RANDOM):
        architecture = policy.removeprefix(RANDOM)
        try:
            return AutoConfig.for_model(architecture, **RANDOM_SHAPE)
        except ValueError as error:
            raise UserError(f"{key}: transformers knows no architecture {architecture!r}; try random:qwen2.") from error
    if is_adapter_folder(policy):
        return load_config(base_of(policy, key), key)
    found = _locate(policy, key, "config.json")
    try:
        return AutoConfig.from_pretrained(found.name, **found.settings)
    except Exception as error:  # hub, JSON and GGUF errors have no common base
        raise _not_loadable(policy, key, error) from error


def load_model(
    policy: str, tokenizer: PreTrainedTokenizerBase, seed: int = 0, key: str = "model.policy"
) -> PreTrainedModel:
    """Load a model with float32 weights onto the CPU: updates of 1e-6 round away in bfloat16, so master weights never are.

    Onto the CPU also where another device is the default, as it is around Lightning's ``configure_model``: generators are the
    CPU's, so that ``random:`` policies are the same on every device, and transformers would want accelerate there.

    Args:
        policy: as for :func:`load_config`.
        tokenizer: gives a random model its vocabulary size.
        seed: of the random weights.
        key: where the user wrote it, for the sentence about a mistake.

    Raises:
        UserError: if the weights are missing or damaged.
    """
    keep_freed_memory()
    with torch.device("cpu"):
        if policy.startswith(RANDOM):
            config = load_config(policy, key)
            config.vocab_size = len(tokenizer)
            return random_model(config, torch.float32, seed)
        if is_adapter_folder(policy):
            return with_adapter(load_model(base_of(policy, key), tokenizer, seed, key), policy, key)
        return _from_files(policy, key)


def _from_files(policy: str, key: str) -> PreTrainedModel:
    found = _locate(policy, key, "config.json")
    # What does not fit or is not there comes back as a list; transformers by itself would draw missing weights at random.
    asked = {"dtype": torch.float32, "output_loading_info": True, "ignore_mismatched_sizes": True}
    try:
        loaded: Any = AutoModelForCausalLM.from_pretrained(found.name, **asked, **found.weight_settings)
    except Exception as error:  # nor have those of safetensors and pickle
        raise _not_loadable(policy, key, error) from error
    model: PreTrainedModel = loaded[0]
    for fault, what in (("mismatched_keys", "of another shape than its config.json says"), ("missing_keys", "missing")):
        names = sorted(name if isinstance(name, str) else name[0] for name in loaded[1][fault])
        if names:
            some = ", ".join(names[:3]) + ", …" * (len(names) > 3)
            raise UserError(
                f"{key}: in {policy}, {len(names)} of the model's tensors are {what} ({some}); check that its files are "
                "complete and belong together."
            )
    return model


def load_tokenizer(source: str, key: str = "model.tokenizer") -> PreTrainedTokenizerBase:
    """The tokenizer of a folder, a hub id or a GGUF file; that of its base where an adapter's folder has none.

    Raises:
        UserError: if there is none.
    """
    if source.startswith(RANDOM):
        raise UserError(f"The policy {source} has no tokenizer of its own: give one with {key}.")
    if is_adapter_folder(source) and not (Path(source).expanduser() / "tokenizer_config.json").is_file():
        return load_tokenizer(base_of(source, key), key)
    found = _locate(source, key, "tokenizer_config.json")
    try:
        return AutoTokenizer.from_pretrained(found.name, **found.settings)
    except Exception as error:  # as above
        raise _not_loadable(source, key, error) from error


def looks_local(source: str) -> bool:
    """Whether a name must mean a folder: a hub id is ``owner/name`` or a bare name, and starts with no dot or slash."""
    return source.startswith((".", "/", "~")) or source.count("/") > 1 or Path(source).parts[:1] == ("checkpoints",)


def _locate(source: str, key: str, needed: str) -> Located:
    folder = Path(source).expanduser()
    if folder.is_dir() and not (folder / needed).is_file():
        raise UserError(f"{key}: the folder {source} holds no {needed}, so it is no transformers model folder.")
    if not folder.exists() and not is_gguf(source) and (looks_local(source) or not _HUB_ID.fullmatch(source)):
        raise UserError(
            f"{key}: there is no folder {source} (looked from {Path.cwd()}); give a transformers folder or a hub id."
        )
    return locate(source, key)


def _not_loadable(source: str, key: str, error: Exception) -> UserError:
    kind = (
        "GGUF file"
        if is_gguf(source)
        else "folder"
        if Path(source).expanduser().is_dir()
        else "file"
        if Path(source).is_file()
        else "hub id"
    )
    return UserError(
        f"{key}: the {kind} {source} could not be loaded ({first_line(error)}); check the name and that it is complete."
    )


def check_critic(source: str, tokenizer: PreTrainedTokenizerBase) -> None:
    """A critic reads the policy's tokens, so it must know all of them."""
    known = load_config(source, "model.critic").get_text_config().vocab_size
    if not source.startswith(RANDOM) and known < len(tokenizer):
        raise UserError(
            f"model.critic {source} knows {known} tokens, and the policy's tokenizer has {len(tokenizer)}: give a model "
            "that reads the same tokens, or leave the key out."
        )
