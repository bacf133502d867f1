"""Two processes on CPU (gloo): the run ends well, ranks agree, rollouts differ by rank, problems are counted once."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch


@pytest.mark.parametrize("algorithm", ["GRPO", "PPO"])
@pytest.mark.parametrize("strategy", ["ddp", "fsdp2"])
def test_fit_on_two_processes(strategy: str, algorithm: str, repository: Path, tmp_path: Path) -> None:
    line = [
        sys.executable, "-m", "lit_rlvr.cli", "fit", "--config", "configs/tiny.yaml",
        "--model.algorithm", algorithm, "--trainer.strategy", strategy, "--trainer.devices", "2",
        "--model.sampling.max_tokens", "16", "--data.rows", "4", "--data.rl_steps", "2", "--data.source", "tiny-pool",
        "--evaluation.every_n_rl_steps", "1", "--evaluation.endpoint_plans", "[]",
        "--evaluation.plans", '[{"benchmark": "tiny500", "limit": 9, "max_tokens": 8}]',
        "--checkpoint.every_n_rl_steps", "1",
        "--trainer.logger.init_args.save_dir", str(tmp_path),
    ]  # fmt: skip
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}
    done = subprocess.run(
        line, cwd=repository, env=environment, capture_output=True, text=True, timeout=240, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert "2 rows each" in done.stdout
    assert [p.name for p in (tmp_path / "tiny").iterdir()] == ["version_0"]
    run = tmp_path / "tiny" / "version_0"
    rows = [json.loads(row) for row in (run / "evaluations.jsonl").read_text().splitlines()]
    assert [row["rl_step"] for row in rows] == [0, 1, 2]
    assert all(row["problems"] == 9 for row in rows)
    history = json.loads((run / "history.json").read_text())
    assert sum(map(len, history.values())) == 8  # 4 different problems in each of 2 steps, from both ranks
    state = torch.load(run / "checkpoints" / "last.ckpt", weights_only=True)["state_dict"]
    assert int(state["rl_step"]) == 2
    assert any(name.startswith("critic.") for name in state) == (algorithm == "PPO")
    exported = __import__("transformers").AutoModelForCausalLM.from_pretrained(run / "policy")
    for name, value in exported.named_parameters():
        assert torch.equal(value, state[f"policy.model.{name}"]), name
