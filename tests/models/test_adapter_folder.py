"""A run's adapter outside of the run: merged into a model, alone in a folder of peft's, and evaluated under each name."""

import json
import shutil
from pathlib import Path
from typing import Any

import peft
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor
from transformers import AutoModelForCausalLM, PreTrainedModel

from lit_rlvr.errors import UserError
from lit_rlvr.models.adapter_folder import CONFIG, WEIGHTS
from lit_rlvr.models.any_policy import load_policy
from lit_rlvr.models.export import CHECKPOINT_KEY, describe_policy, export_checkpoint
from lit_rlvr.models.export_command import main
from lit_rlvr.models.loading import load_config, load_model, load_tokenizer
from lit_rlvr.models.lora import POLICY, LoRAConfig, add_adapter, saved_state


def _checkpoint(base: str, tokenizer: str, path: Path) -> tuple[Path, PreTrainedModel]:
    """What a run with LoRA writes, and the policy it had."""
    model = load_model(base, load_tokenizer(tokenizer), seed=5)
    adapter = add_adapter(model, LoRAConfig(rank=4, alpha=6), base, seed=5)
    with torch.no_grad(), torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        for name, parameter in model.named_parameters():
            if ".lora_B." in name:
                parameter.normal_(std=0.1)
    state = {"rl_step": torch.tensor(7)} | {f"{POLICY}{name}": value for name, value in model.state_dict().items()}
    described = describe_policy(model.config, model.generation_config, tokenizer, adapter)
    torch.save({"state_dict": saved_state(state, adapter), CHECKPOINT_KEY: described}, path)
    return path, model.eval()


@pytest.fixture
def base(repository: Path) -> str:
    return str(repository / "checkpoints" / "tiny-base")


@pytest.fixture
def trained(base: str, tmp_path: Path) -> tuple[Path, PreTrainedModel]:
    return _checkpoint(base, base, tmp_path / "x.ckpt")


@pytest.fixture
def folder(trained: tuple[Path, PreTrainedModel], tmp_path: Path) -> Path:
    """The adapter alone."""
    export_checkpoint(trained[0], tmp_path / "adapter", adapter=True)
    return tmp_path / "adapter"


@torch.no_grad()
def _logits(model: Any) -> Tensor:
    return model.eval()(torch.arange(2, 40)[None], use_cache=False).logits


def test_merged_and_alone_are_the_policy(trained: tuple[Path, PreTrainedModel], base: str, tmp_path: Path) -> None:
    checkpoint, policy = trained
    assert not [name for name in torch.load(checkpoint, weights_only=True)["state_dict"] if "embed" in name]
    assert main([str(checkpoint), str(tmp_path / "merged")]) == 0
    assert main(["--adapter", str(checkpoint), str(tmp_path / "adapter")]) == 0
    merged = AutoModelForCausalLM.from_pretrained(tmp_path / "merged")
    torch.testing.assert_close(_logits(merged), _logits(policy), atol=1e-4, rtol=0)
    assert merged.get_output_embeddings().weight is merged.get_input_embeddings().weight
    assert {path.name for path in (tmp_path / "adapter").iterdir()} >= {CONFIG, WEIGHTS, "tokenizer_config.json"}
    bare = AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32)
    assert (_logits(bare) - _logits(policy)).abs().max() > 0.5
    alone = peft.PeftModel.from_pretrained(bare, tmp_path / "adapter")
    assert torch.equal(_logits(alone), _logits(policy))
    assert alone.peft_config["default"].base_model_name_or_path == base


def test_one_policy_under_three_names(trained: tuple[Path, PreTrainedModel], folder: Path, tmp_path: Path) -> None:
    export_checkpoint(trained[0], tmp_path / "merged")
    policies = [load_policy(str(source)) for source in (trained[0], folder, tmp_path / "merged")]
    assert [policy.rl_step for policy in policies] == [7, 0, 0]
    assert len({policy.fingerprint() for policy in policies}) == 1
    assert all(parameter.requires_grad for policy in policies for parameter in policy.model.parameters())
    (folder / "tokenizer_config.json").unlink()  # then it is the base's
    assert load_policy(str(folder)).tokenizer.chat_template == policies[0].tokenizer.chat_template


def test_a_random_base_is_drawn_again(base: str, tmp_path: Path) -> None:
    checkpoint, policy = _checkpoint("random:llama", base, tmp_path / "x.ckpt")
    export_checkpoint(checkpoint, tmp_path / "merged")
    merged = AutoModelForCausalLM.from_pretrained(tmp_path / "merged")
    torch.testing.assert_close(_logits(merged), _logits(policy), atol=1e-4, rtol=0)


def test_the_base_may_have_moved_but_not_changed(base: str, tmp_path: Path) -> None:
    there = shutil.copytree(base, tmp_path / "there")
    checkpoint, _ = _checkpoint(str(there), base, tmp_path / "x.ckpt")
    shutil.rmtree(there)
    with pytest.raises(UserError, match=r"the base of the checkpoint's adapter: there is no folder .*there"):
        load_policy(str(checkpoint))
    export_checkpoint(checkpoint, tmp_path / "merged", base=base)
    export_checkpoint(checkpoint, tmp_path / "adapter", base=base, adapter=True)
    assert load_policy(str(tmp_path / "adapter")).fingerprint() == load_policy(str(tmp_path / "merged")).fingerprint()
    with pytest.raises(UserError, match=r"trained on other weights than those of .*merged: give --base"):
        export_checkpoint(checkpoint, tmp_path / "wrong", base=str(tmp_path / "merged"))
    assert not (tmp_path / "wrong").exists()


def test_a_run_without_lora_has_no_adapter(base: str, tmp_path: Path) -> None:
    model = load_model(base, load_tokenizer(base))
    described = describe_policy(model.config, model.generation_config, base)
    state = {f"{POLICY}{name}": value for name, value in model.state_dict().items()}
    torch.save({"state_dict": state, CHECKPOINT_KEY: described}, tmp_path / "x.ckpt")
    with pytest.raises(UserError, match=r"x\.ckpt has no adapter"):
        export_checkpoint(tmp_path / "x.ckpt", tmp_path / "adapter", adapter=True)
    assert [path.name for path in tmp_path.iterdir()] == ["x.ckpt"]


def test_nothing_is_overwritten(trained: tuple[Path, PreTrainedModel], folder: Path) -> None:
    with pytest.raises(UserError, match="not empty"):
        export_checkpoint(trained[0], folder, adapter=True)


def test_an_adapter_of_another_kind_is_merged_as_peft_does(base: str, tmp_path: Path) -> None:
    config = peft.LoraConfig(r=3, lora_alpha=5, use_rslora=True, use_dora=True, init_lora_weights=False)
    theirs = peft.get_peft_model(AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32), config)
    theirs.save_pretrained(tmp_path / "theirs")
    ours = load_policy(str(tmp_path / "theirs"))
    torch.testing.assert_close(_logits(ours.model), _logits(theirs), atol=1e-3, rtol=0)
    assert load_config(str(tmp_path / "theirs")).vocab_size == ours.model.config.vocab_size


def _config(folder: Path, **changes: Any) -> None:
    content = json.loads((folder / CONFIG).read_text()) | changes
    (folder / CONFIG).write_text(json.dumps(content))


def _drop(folder: Path) -> None:
    weights = load_file(folder / WEIGHTS)
    weights.popitem()
    save_file(weights, folder / WEIGHTS)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (
            lambda folder: (folder / CONFIG).write_text("{"),
            r"--policy: adapter_config\.json in the folder .* is damaged",
        ),
        (lambda folder: (folder / CONFIG).write_text("[1]"), r"adapter_config\.json in the folder .* is damaged"),
        (lambda folder: _config(folder, base_model_name_or_path=None), "names no base_model_name_or_path"),
        (lambda folder: _config(folder, base_model_name_or_path="./gone"), r"there is no folder \./gone"),
        (lambda folder: _config(folder, target_modules=["nowhere"]), "could not be loaded"),
        (lambda folder: _config(folder, r=5), "could not be loaded"),
        (lambda folder: (folder / WEIGHTS).unlink(), r"holds no adapter_model\.safetensors"),
        (lambda folder: (folder / WEIGHTS).write_bytes(b"<html>"), "could not be loaded"),
        (_drop, "could not be loaded .*missing adapter keys"),
    ],
)
def test_a_damaged_folder_is_one_sentence(damage: Any, message: str, folder: Path) -> None:
    damage(folder)
    with pytest.raises(UserError, match=message) as caught:
        load_policy(str(folder))
    assert "\n" not in str(caught.value)
