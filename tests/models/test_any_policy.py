"""The same policy under its different names."""

import shutil
from pathlib import Path

import pytest
import torch

from lit_rlvr.errors import UserError
from lit_rlvr.models.any_policy import load_policy
from lit_rlvr.models.export import CHECKPOINT_KEY, describe_policy
from lit_rlvr.models.loading import load_model, load_tokenizer


def test_a_folder_and_a_checkpoint_of_it_are_one_policy(repository: Path, tmp_path: Path) -> None:
    folder = str(repository / "checkpoints" / "tiny-base")
    model = load_model(folder, load_tokenizer(folder))
    state = {f"policy.model.{name}": value for name, value in model.state_dict().items()}
    content = {
        "state_dict": state | {"rl_step": torch.tensor(7)},
        CHECKPOINT_KEY: describe_policy(model.config, model.generation_config, folder),
    }
    torch.save(content, tmp_path / "x.ckpt")
    moved = shutil.copytree(folder, tmp_path / "moved")
    policies = [load_policy(str(source)) for source in (folder, tmp_path / "x.ckpt", moved)]
    assert [policy.rl_step for policy in policies] == [0, 7, 0]
    assert len({policy.fingerprint() for policy in policies}) == 1
    assert all(policy.tokenizer.chat_template for policy in policies)
    with torch.no_grad():
        for parameter in policies[0].model.parameters():
            parameter.add_(1e-4 * torch.randn_like(parameter))
    assert policies[0].fingerprint() != policies[1].fingerprint()
    content[CHECKPOINT_KEY]["tokenizer"] = "./gone"
    torch.save(content, tmp_path / "y.ckpt")
    with pytest.raises(UserError, match=r"--tokenizer: there is no folder \./gone"):
        load_policy(str(tmp_path / "y.ckpt"))
    assert load_policy(str(tmp_path / "y.ckpt"), tokenizer=folder).rl_step == 7


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("./nowhere", r"--policy: there is no folder \./nowhere"),
        ("runs/x.ckpt", r"There is no checkpoint runs/x\.ckpt"),
        ("random:qwen2", "The policy random:qwen2 has no tokenizer of its own: give one with --tokenizer"),
        ("random:qwen99", "--policy: transformers knows no architecture 'qwen99'"),
    ],
)
def test_what_is_missing_is_named(source: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        load_policy(source)


def test_a_random_policy_borrows_a_tokenizer(repository: Path) -> None:
    policy = load_policy("random:llama", tokenizer=str(repository / "checkpoints" / "tiny-base"))
    assert policy.model.config.vocab_size == len(policy.tokenizer)
