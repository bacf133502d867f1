"""Where models and tokenizers come from, and what is said when they do not."""

import shutil
from pathlib import Path

import pytest
import torch

from lit_rlvr.errors import UserError
from lit_rlvr.models.loading import load_config, load_model, load_tokenizer, looks_local


@pytest.fixture
def tiny(repository: Path) -> str:
    return str(repository / "checkpoints" / "tiny-base")


def test_weights_are_float32(tiny: str) -> None:
    model = load_model(tiny, load_tokenizer(tiny))
    assert {p.dtype for p in model.parameters()} == {torch.float32}


def test_random_models_have_the_architecture_and_the_tokenizers_size(tiny: str) -> None:
    tokenizer = load_tokenizer(tiny)
    before = torch.random.get_rng_state()
    models = [load_model("random:llama", tokenizer, seed) for seed in (0, 0, 1)]
    assert torch.equal(before, torch.random.get_rng_state())
    assert models[0].config.model_type == "llama"
    assert models[0].config.hidden_size == 64
    assert models[0].get_output_embeddings().weight.shape[0] == len(tokenizer)
    weights = [model.model.layers[0].mlp.up_proj.weight for model in models]
    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[0], weights[2])


@pytest.mark.parametrize(
    ("source", "is_local"),
    [("./x", True), ("/x", True), ("checkpoints/x", True), ("a/b/c", True), ("Qwen/Qwen2.5-Math-1.5B", False)],
)
def test_hub_ids_are_told_from_folders(source: str, is_local: bool) -> None:
    assert looks_local(source) is is_local


def test_what_is_missing_is_named(tiny: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"model\.policy: there is no folder \./nowhere"):
        load_config("./nowhere")
    with pytest.raises(UserError, match=r"holds no config\.json"):
        load_config(str(tmp_path))
    with pytest.raises(UserError, match="no architecture 'qwen99'"):
        load_config("random:qwen99")
    with pytest.raises(UserError, match=r"give one with model\.tokenizer"):
        load_tokenizer("random:qwen2")


@pytest.mark.parametrize("damage", ["cut", "text", "gone"])
def test_damaged_weights_are_one_sentence(damage: str, tiny: str, tmp_path: Path) -> None:
    copy = tmp_path / "policy"
    shutil.copytree(tiny, copy)
    weights = copy / "model.safetensors"
    content = weights.read_bytes()
    weights.unlink()
    if damage != "gone":
        weights.write_bytes(content[:1000] if damage == "cut" else b"<html>not found</html>")
    with pytest.raises(UserError, match="could not be loaded") as caught:
        load_model(str(copy), load_tokenizer(tiny))
    assert "\n" not in str(caught.value)
