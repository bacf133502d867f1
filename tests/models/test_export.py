"""From weights to a transformers folder: whole or not at all, and nothing of the user's overwritten."""

from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from lit_rlvr.errors import UserError
from lit_rlvr.models.export import CHECKPOINT_KEY, describe_policy, export_checkpoint, export_policy, read_checkpoint
from lit_rlvr.models.loading import load_model, load_tokenizer


@pytest.fixture
def checkpoint(repository: Path, tmp_path: Path) -> Path:
    """A checkpoint with what the export reads of it."""
    folder = str(repository / "checkpoints" / "tiny-base")
    model = load_model(folder, load_tokenizer(folder))
    state = {f"policy.model.{name}": value for name, value in model.state_dict().items()}
    described = describe_policy(model.config, model.generation_config, folder)
    torch.save({"state_dict": state, CHECKPOINT_KEY: described}, tmp_path / "x.ckpt")
    return tmp_path / "x.ckpt"


def test_round_trip(checkpoint: Path, repository: Path, tmp_path: Path) -> None:
    export_checkpoint(checkpoint, tmp_path / "out")
    ours = AutoModelForCausalLM.from_pretrained(tmp_path / "out")
    base = AutoModelForCausalLM.from_pretrained(repository / "checkpoints" / "tiny-base")
    for (name, a), (_, b) in zip(ours.named_parameters(), base.named_parameters(), strict=True):
        assert torch.equal(a, b.to(a.dtype)), name
    assert ours.get_output_embeddings().weight is ours.get_input_embeddings().weight  # still tied
    assert ours.generation_config.eos_token_id == base.generation_config.eos_token_id
    assert AutoTokenizer.from_pretrained(tmp_path / "out").chat_template
    assert sorted(p.name for p in tmp_path.iterdir()) == ["out", "x.ckpt"]  # no temporary folder is left


def test_a_failed_export_leaves_nothing(checkpoint: Path, tmp_path: Path) -> None:
    content = torch.load(checkpoint, weights_only=True)
    weights = {k.removeprefix("policy.model."): v for k, v in content["state_dict"].items()}
    weights.popitem()
    from transformers import AutoConfig

    config = AutoConfig.from_pretrained(content[CHECKPOINT_KEY]["tokenizer"])
    tokenizer = load_tokenizer(content[CHECKPOINT_KEY]["tokenizer"])
    with pytest.raises(UserError, match="do not fit"):
        export_policy(weights, config, None, tokenizer, tmp_path / "out")
    assert [p.name for p in tmp_path.iterdir()] == ["x.ckpt"]


def test_nothing_is_overwritten(checkpoint: Path, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine.txt").write_text("x")
    with pytest.raises(UserError, match="not empty"):
        export_checkpoint(checkpoint, tmp_path / "out")
    assert (tmp_path / "out" / "mine.txt").read_text() == "x"


def test_what_is_no_checkpoint_of_ours(checkpoint: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"no checkpoint .*y\.ckpt; the folder has x\.ckpt"):
        read_checkpoint(tmp_path / "y.ckpt")
    torch.save({"weights": torch.zeros(1)}, tmp_path / "other.ckpt")
    with pytest.raises(UserError, match="no checkpoint of lit-rlvr"):
        read_checkpoint(tmp_path / "other.ckpt")
    (tmp_path / "half.ckpt").write_bytes(checkpoint.read_bytes()[:-5000])
    with pytest.raises(UserError, match="damaged"):
        read_checkpoint(tmp_path / "half.ckpt")


class _Attack:
    def __reduce__(self):  # type: ignore[no-untyped-def]
        return (Path.touch, (Path("attacked"),))


def test_a_hostile_checkpoint_runs_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    torch.save({CHECKPOINT_KEY: {}, "state_dict": {}, "x": _Attack()}, "hostile.ckpt")
    with pytest.raises(UserError, match="damaged or was not written by lit-rlvr"):
        read_checkpoint(Path("hostile.ckpt"))
    assert not (tmp_path / "attacked").exists()
