"""Whole commands on the vLLM engine: `fit` on one process and two, `evaluate`, and three RL steps of SmolLM2."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

pytestmark = pytest.mark.vllm

HERE = Path(__file__).parent


def call(repository: Path, *command: str) -> str:
    """What a command prints; it has to end well."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1", "OMP_WAIT_POLICY": "PASSIVE"}
    done = subprocess.run(
        [sys.executable, *command], cwd=repository, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


def curve(run: Path, name: str) -> list[float]:
    """A metric's values, one per RL step."""
    events = EventAccumulator(str(run))
    events.Reload()
    return [event.value for event in events.Scalars(name)]


@pytest.mark.parametrize("way", ["fsdp2", "tensor-parallel"])
def test_two_processes(way: str, repository: Path) -> None:
    """An engine per process filled from shards, and one engine over both: each rank gets what it asked for."""
    out = call(
        repository, "-m", "torch.distributed.run", "--nproc_per_node", "2", str(HERE / "vllm_ranks.py"), way
    )  # fmt: skip
    reports = [json.loads(line) for line in out.splitlines()]
    assert [report.pop("ranks") for report in reports] == [2.0, 2.0]
    for report in reports:
        assert set(report) == {f"{kind} {moment}" for kind in ("qwen2", "llama") for moment in ("before", "after")}
        assert all(entry["difference"] < 2e-5 and entry["greedy"] for entry in report.values())
    for name, entry in reports[0].items():
        assert len(entry["texts"]) == 12
        assert entry["texts"] != reports[1][name]["texts"] * 2
        assert len(reports[1][name]["texts"]) == 9


@pytest.mark.parametrize(
    ("processes", "strategy"),
    [(1, "auto"), (2, "ddp"), (2, "fsdp2"), (2, "shared")],
    ids=["one", "ddp", "fsdp2", "shared"],
)
def test_fit(processes: int, strategy: str, repository: Path, tmp_path: Path) -> None:
    """The engine stays with the policy, and evaluations count every problem once, also an odd number of them."""
    shared = ["--model.engine.init_args.tensor_parallel_size", "2"] if strategy == "shared" else []
    call(
        repository, "-m", "lit_rlvr", "fit", "--config", "configs/tiny.yaml", "--config", "configs/engine/vllm.yaml",
        "--model.engine.init_args.kv_cache_gb", "0.2", *shared,
        "--trainer.devices", str(processes), "--trainer.strategy", "ddp" if strategy == "shared" else strategy,
        "--model.sampling.max_tokens", "16", "--data.rows", "4", "--data.rl_steps", "3", "--data.source", "tiny-pool",
        "--model.optimizer.init_args.lr", "1e-3",
        "--evaluation.every_n_rl_steps", "1", "--evaluation.endpoint_plans", "[]",
        "--evaluation.plans", '[{"benchmark": "tiny500", "limit": 9, "max_tokens": 8}]',
        "--trainer.logger.init_args.save_dir", str(tmp_path),
    )  # fmt: skip
    run = tmp_path / "tiny" / "version_0"
    differences = curve(run, "rollout/logprob_diff/max")
    assert len(differences) == 3
    assert max(differences) < 1e-3
    rows = [json.loads(row) for row in (run / "evaluations.jsonl").read_text().splitlines()]
    assert [(row["rl_step"], row["problems"]) for row in rows] == [(0, 9), (1, 9), (2, 9), (3, 9)]


def test_evaluate_gives_the_numbers_of_the_other_engine(repository: Path, tmp_path: Path) -> None:
    """Greedy decoding in float32: the same responses, up to a tie within the rounding of two programs."""
    texts = {}
    for engine in ("TransformersEngine", "VLLMEngine"):
        out = tmp_path / engine
        call(
            repository, "-m", "lit_rlvr", "evaluate", "--policy", "checkpoints/tiny-base", "--output", str(out),
            "--benchmark", "tiny500", "--engine", engine, "--accelerator", "cpu",
        )  # fmt: skip
        (row,) = [json.loads(line) for line in (out / "evaluations.jsonl").read_text().splitlines()]
        assert row["problems"] == 500
        files = sorted((out / "responses").iterdir())
        kept = [json.loads(line) for file in files for line in file.read_text().splitlines()]
        texts[engine] = row["accuracy"], {entry["id"]: entry["response"] for entry in kept}
    (ours, left), (theirs, right) = texts.values()
    assert len(left) == len(right) == 500
    assert sum(left[name] != right[name] for name in left) <= 2
    assert abs(ours - theirs) <= 2 / 500
