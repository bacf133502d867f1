"""Two processes on CPU (gloo): the run ends well, ranks agree, rollouts differ by rank, problems are counted once."""

import json
import re
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM

from tests.two_processes.launch import TORCHRUN, callbacks, fit

WATCHED = "tests.two_processes.watched_ranks.WatchedRanks"


@pytest.mark.parametrize("strategy", ["ddp", "fsdp2"])
def test_fit_with_a_critic_under_torchrun(strategy: str, repository: Path, tmp_path: Path) -> None:
    run, said = fit(
        repository, tmp_path, "--model.algorithm", "PPO", "--trainer.strategy", strategy, "--data.rl_steps", "2",
        launcher=TORCHRUN,
    )  # fmt: skip
    assert "2 rows = 16 responses and 1 thread each" in said
    rows = [json.loads(row) for row in (run / "evaluations.jsonl").read_text().splitlines()]
    assert [row["rl_step"] for row in rows] == [0, 1, 2]
    assert all(row["problems"] == 9 for row in rows)
    history = json.loads((run / "history.json").read_text())
    assert sum(map(len, history.values())) == 8  # 4 different problems in each of 2 steps, from both ranks
    state = torch.load(run / "checkpoints" / "last.ckpt", weights_only=True)["state_dict"]
    assert int(state["rl_step"]) == 2
    assert any(name.startswith("critic.") for name in state)
    exported = AutoModelForCausalLM.from_pretrained(run / "policy")
    for name, value in exported.named_parameters():
        assert torch.equal(value, state[f"policy.model.{name}"]), name


@pytest.mark.parametrize("strategy", ["ddp", "fsdp2"])
def test_lora_on_two_processes(strategy: str, repository: Path, tmp_path: Path) -> None:
    settings = [
        "--config", "configs/model/lora.yaml", "--model.optimizer.init_args.lr", "1e-2", "--trainer.strategy", strategy,
        "--model.update.updates_per_rollout", "2", "--data.rl_steps", "2", *callbacks(WATCHED),
    ]  # fmt: skip
    run, said = fit(repository, tmp_path / "whole", *settings)
    assert len(set(re.findall(r"watched ranks: step \d policy \w+", said))) == 2
    assert len(set(re.findall(r"policy (\w{16})", said))) == 2  # it moved
    end = torch.load(run / "checkpoints" / "last.ckpt", weights_only=True)
    state = end["state_dict"]
    assert [name for name in state if "lora_" not in name] == ["rl_step"]
    exported, base = (
        load_file(f / "model.safetensors") for f in (run / "policy", repository / "checkpoints/tiny-base")
    )
    for name, value in exported.items():
        stem = f"policy.model.{name.removesuffix('.weight')}.lora_"
        change = 0.0
        if f"{stem}A.default.weight" in state:
            change = 32 / 16 * state[f"{stem}B.default.weight"] @ state[f"{stem}A.default.weight"]
            assert change.abs().max() > 1e-3
        torch.testing.assert_close(value, base[name].float() + change, atol=1e-6, rtol=0)
    if strategy == "fsdp2":
        checkpoint = run / "checkpoints" / "rl_step=1.ckpt"
        resumed, _ = fit(repository, tmp_path / "resumed", *settings, "--ckpt_path", str(checkpoint))
        again = torch.load(resumed / "checkpoints" / "last.ckpt", weights_only=True)["state_dict"]
        assert all(torch.equal(value, again[name]) for name, value in state.items())
