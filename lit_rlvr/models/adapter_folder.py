"""Adapters in peft's own folders: one of ours written as such a folder, and any such folder merged into its base.

From: what a checkpoint says of its adapter. To: `adapter_config.json` and `adapter_model.safetensors`, and from there to a
model without adapters (`models/loading.py`).
"""

import json
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors.torch import save_file
from torch import Tensor
from transformers import PreTrainedModel

from lit_rlvr.errors import UserError, first_line
from lit_rlvr.models.lora import peft_package
from lit_rlvr.models.weights import ADAPTER

CONFIG, WEIGHTS = "adapter_config.json", "adapter_model.safetensors"


def write_adapter(described: Mapping[str, Any], weights: Mapping[str, Tensor], folder: Path) -> None:
    """Fill a folder that `peft.PeftModel.from_pretrained(base, folder)` loads.

    Args:
        described: by `lora.add_adapter`.
        weights: the adapter's, under the names of the model they were trained in.
        folder: is made.
    """
    config = peft_package().LoraConfig(
        task_type="CAUSAL_LM",
        base_model_name_or_path=described["base"],
        r=described["rank"],
        lora_alpha=described["alpha"],
        target_modules=described["targets"],
        fan_in_fan_out=described["transposed"],
        inference_mode=True,
    )
    config.save_pretrained(folder)
    named = {f"base_model.model.{k.replace(f'.{ADAPTER}.', '.')}": v.contiguous() for k, v in weights.items()}
    save_file(named, folder / WEIGHTS, metadata={"format": "pt"})


def is_adapter_folder(source: str) -> bool:
    """Whether a policy's name is a folder with an adapter and no model of its own."""
    folder = Path(source).expanduser()
    return (folder / CONFIG).is_file() and not (folder / "config.json").is_file()


def base_of(source: str, key: str) -> str:
    """What the adapter in a folder was trained on: a folder, a hub id, and so on.

    Raises:
        UserError: the folder does not say it.
    """
    try:
        base = json.loads((Path(source).expanduser() / CONFIG).read_text("utf-8"))["base_model_name_or_path"]
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(f"{key}: {CONFIG} in the folder {source} is damaged; write the folder again.") from error
    if not isinstance(base, str) or not base:
        raise UserError(f"{key}: {CONFIG} in the folder {source} names no base_model_name_or_path; put it in.")
    return base


def with_adapter(model: PreTrainedModel, source: str, key: str) -> PreTrainedModel:
    """The base with the adapter of a folder merged into its weights.

    Raises:
        UserError: peft is missing, or the adapter is damaged or does not fit the base.
    """
    peft = peft_package()
    if not any((Path(source).expanduser() / name).is_file() for name in (WEIGHTS, "adapter_model.bin")):
        raise UserError(
            f"{key}: the folder {source} holds no {WEIGHTS}; write the folder again."
        )  # peft would ask the hub
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)  # of the calls that peft itself makes
            warnings.filterwarnings("error", message="Found missing adapter keys")  # peft would go on without them
            merged: PreTrainedModel = peft.PeftModel.from_pretrained(model, source).merge_and_unload()
    except Exception as error:  # peft, safetensors, json and torch errors have no common base
        raise UserError(
            f"{key}: the adapter in the folder {source} could not be loaded ({first_line(error)}); check that it is complete and that "
            f"{base_of(source, key)} is what it was trained on."
        ) from error
    return merged.requires_grad_(True)  # peft froze the base
