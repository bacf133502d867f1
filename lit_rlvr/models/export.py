"""From a checkpoint of ours to a folder that `AutoModelForCausalLM.from_pretrained` loads, or peft.

A run with LoRA leaves the frozen base out of its checkpoints: it would be nearly all of each file (6 GB of 1.5 billion
parameters, against tens of MB), and it does not change. The checkpoint names the base and knows its fingerprint, so that the
adapter is never put onto another one.
"""

import json
import os
import pickle
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import torch
from safetensors import SafetensorError
from torch import Tensor
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    GenerationConfig,
    PretrainedConfig,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)

from lit_rlvr.checkpoints import damage, read_manifest
from lit_rlvr.errors import UserError, first_line
from lit_rlvr.models.adapter_folder import write_adapter
from lit_rlvr.models.loading import load_model, load_tokenizer
from lit_rlvr.models.lora import LoRAConfig, add_adapter
from lit_rlvr.models.weights import merged, policy_weights

CHECKPOINT_KEY = "lit_rlvr"
"""Where a checkpoint keeps what is needed to build its model again: architecture, generation settings, tokenizer."""


def describe_policy(
    config: PretrainedConfig,
    generation: GenerationConfig | None,
    tokenizer_source: str,
    adapter: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """What goes under ``CHECKPOINT_KEY``: plain JSON types only, so that loading needs no pickled classes."""
    return {
        "config_json": config.to_json_string(use_diff=False),
        "generation_json": None if generation is None else generation.to_json_string(use_diff=False),
        "tokenizer": tokenizer_source,
        "adapter": adapter,
    }


def build_model(
    weights: dict[str, Tensor], config: PretrainedConfig, generation: GenerationConfig | None
) -> PreTrainedModel:
    """The model with these weights, in float32 on CPU, without ever holding others."""
    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(config, dtype=torch.float32)
    full = {k: v.detach().cpu().float() if v.is_floating_point() else v.detach().cpu() for k, v in weights.items()}
    try:
        model.load_state_dict(full, assign=True)
    except RuntimeError as error:
        raise UserError(
            f"The weights do not fit the {config.model_type} model that they are said to be of; use another checkpoint."
        ) from error
    model.tie_weights()
    if generation is not None:
        model.generation_config = generation
    return model


def export_policy(
    weights: dict[str, Tensor],
    config: PretrainedConfig,
    generation: GenerationConfig | None,
    tokenizer: PreTrainedTokenizerBase,
    folder: Path,
    overwrite: bool = False,
) -> None:
    """Write a transformers folder in float32, as trained: whole, or not at all.

    Raises:
        UserError: if the folder has something in it and ``overwrite`` is not set.
    """
    with _new_folder(folder, overwrite) as temporary:
        build_model(weights, config, generation).save_pretrained(temporary)
        tokenizer.save_pretrained(temporary)


@contextmanager
def _new_folder(folder: Path, overwrite: bool = False) -> Iterator[Path]:
    """A temporary folder to fill, which then takes that place: whole, or not at all."""
    if folder.exists() and not overwrite and (not folder.is_dir() or any(folder.iterdir())):
        raise UserError(f"export: {folder} exists and is not empty; choose another folder.")
    temporary = folder.with_name(f".{folder.name}.{os.getpid()}.tmp")
    shutil.rmtree(temporary, ignore_errors=True)
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        if folder.exists():
            shutil.rmtree(folder)
        os.replace(temporary, folder)
    except (OSError, SafetensorError) as error:  # safetensors has its own word for a full disk
        why = error.strerror if isinstance(error, OSError) else first_line(error)
        raise UserError(f"export: {folder} cannot be written ({why}); make room, or choose another folder.") from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def export_checkpoint(
    checkpoint: Path, folder: Path, tokenizer: str | None = None, base: str | None = None, adapter: bool = False
) -> None:
    """What `lit-rlvr export CKPT DIR` does.

    Args:
        checkpoint: a `.ckpt` file of ours.
        folder: where to write; must not exist or be empty.
        tokenizer: folder or hub id, where the one named in the checkpoint is no longer there.
        base: likewise, of the model that an adapter was trained on.
        adapter: write the adapter alone, as peft does, and not the whole policy with the adapter merged in.

    Raises:
        UserError: if the checkpoint is missing, damaged or not ours, or the folder is taken.
    """
    content = read_checkpoint(checkpoint)
    words = load_tokenizer(tokenizer or content[CHECKPOINT_KEY]["tokenizer"], "--tokenizer")
    if not adapter:
        export_policy(*policy_of(content, base, words)[:3], words, folder)
        return
    described = content[CHECKPOINT_KEY].get("adapter")
    if described is None:
        raise UserError(
            f"{checkpoint} has no adapter: it holds all weights of a run without model.lora; export it whole."
        )
    with _new_folder(folder) as temporary:
        write_adapter(
            described | ({} if base is None else {"base": base}), policy_weights(content["state_dict"]), temporary
        )
        words.save_pretrained(temporary)


class CheckpointPolicy(NamedTuple):
    """What a checkpoint of ours says of its policy."""

    weights: dict[str, Tensor]
    config: PretrainedConfig
    generation: GenerationConfig | None
    tokenizer: str


def policy_of(
    checkpoint: dict[str, Any], base: str | None = None, tokenizer: PreTrainedTokenizerBase | None = None
) -> CheckpointPolicy:
    """The policy in what :func:`read_checkpoint` read, an adapter merged into its base.

    Args:
        checkpoint: its content.
        base: what the adapter was trained on, where that is no longer where the checkpoint says.
        tokenizer: where it is loaded already.

    Raises:
        UserError: the base of an adapter is gone or has other weights.
    """
    described = checkpoint[CHECKPOINT_KEY]
    generation, adapter, weights = (
        described["generation_json"],
        described.get("adapter"),
        policy_weights(checkpoint["state_dict"]),
    )
    if adapter is not None:
        source = base or adapter["base"]
        words = tokenizer or load_tokenizer(described["tokenizer"])
        model = load_model(source, words, adapter["seed"], "the base of the checkpoint's adapter")
        lora = LoRAConfig(adapter["rank"], adapter["alpha"], adapter["targets"])
        if add_adapter(model, lora)["fingerprint"] != adapter["fingerprint"]:
            raise UserError(
                f"The checkpoint's adapter was trained on other weights than those of {source}: give --base the model that "
                f"{adapter['base']} was."
            )
        weights = dict(merged(model, model.state_dict() | weights))
    try:
        config = AutoConfig.for_model(**_loads(described["config_json"]))
        settings = None if generation is None else GenerationConfig.from_dict(_loads(generation))
    except Exception as error:  # of JSON and of transformers, which have no common base
        raise UserError(
            f"The checkpoint's description of its policy is damaged ({first_line(error).rstrip('.')}); use the one before it."
        ) from error
    return CheckpointPolicy(weights, config, settings, described["tokenizer"])


def read_checkpoint(path: Path) -> dict[str, Any]:
    """The content of a checkpoint of ours, on CPU, without running any code in it.

    Raises:
        UserError: if it is missing, damaged or not ours.
    """
    if not path.is_file():
        there = sorted(p.name for p in path.parent.glob("*.ckpt")) if path.parent.is_dir() else []
        hint = f"; the folder has {', '.join(there)}" if there else ""
        raise UserError(f"There is no checkpoint {path}{hint}.")
    why = damage(path) if read_manifest(path) is not None else None
    if why is not None:
        raise UserError(f"The checkpoint {path} is damaged: {why}; use the one before it.")
    try:
        content = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    except (
        RuntimeError,
        EOFError,
        pickle.UnpicklingError,
        OSError,
        ValueError,
        LookupError,
        TypeError,
        AttributeError,
    ) as error:
        raise UserError(
            f"The checkpoint {path} is damaged or was not written by lit-rlvr; use the one before it."
        ) from error
    described = content.get(CHECKPOINT_KEY) if isinstance(content, dict) else None
    if not isinstance(described, dict) or not {"config_json", "generation_json", "tokenizer"} <= set(described):
        raise UserError(f"{path} is no checkpoint of lit-rlvr: it does not say which policy it holds.")
    try:
        _loads(described["config_json"]), _loads(described["generation_json"] or "{}")
        policy_weights(content["state_dict"])
        _known_adapter(described.get("adapter"))
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise UserError(
            f"The checkpoint {path} is damaged in what it says of its policy; use the one before it."
        ) from error
    return content


def _known_adapter(adapter: Any) -> None:
    """A `ValueError` or the like where a checkpoint's adapter is not described as `lora.add_adapter` does."""
    if adapter is None:
        return
    if not all(isinstance(adapter[key], int) for key in ("rank", "alpha", "seed")):
        raise ValueError("a rank, an alpha or a seed that is no number")
    if not all(isinstance(adapter[key], str) for key in ("base", "fingerprint")) or not isinstance(
        adapter["targets"], list
    ):
        raise ValueError("a base, a fingerprint or targets that are none")


def _loads(text: str) -> dict[str, Any]:
    content = json.loads(text)
    return {k: v for k, v in content.items() if k not in {"transformers_version"}}
