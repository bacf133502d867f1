"""Runs on two processes and on one: one policy on all ranks, metrics of all ranks, and each goes on where another stopped."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModelForCausalLM

from lit_rlvr.cli import run as command
from lit_rlvr.events import event_files, read_events
from tests.test_resume import assert_same, assert_same_run
from tests.two_processes.launch import callbacks, fit, fit_line, launch

STRATEGIES = ("ddp", "fsdp2")
WATCHED = "tests.two_processes.watched_ranks.WatchedRanks"


def _kept(folder: Path) -> dict[str, Any]:
    return {"class_path": "tests.two_processes.kept_steps.KeptSteps", "init_args": {"folder": str(folder)}}


def _load(path: Path) -> Any:
    return torch.load(path, weights_only=True)


@pytest.fixture(scope="module")
def whole(repository: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Path, str]]:
    """Strategy -> the folder of a run of three RL steps on two processes, and what it said."""
    runs = {}
    for strategy in STRATEGIES:
        folder = tmp_path_factory.mktemp(strategy)
        more = ["--trainer.strategy", strategy, *callbacks(WATCHED, _kept(folder))]
        runs[strategy] = fit(repository, folder, *more)
    return runs


@pytest.fixture(scope="module")
def single(repository: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of two RL steps on one process."""
    folder = tmp_path_factory.mktemp("single")
    command(fit_line(folder, "--trainer.strategy", "auto", "--data.rl_steps", "2", processes=1))
    return folder / "tiny" / "version_0"


@pytest.fixture(scope="module")
def resumed(
    repository: Path, whole: dict[str, tuple[Path, str]], single: Path, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """Two processes go on from the checkpoints after RL step 2: of their own kind (`ddp`, …), of one (`ddp-of-one`, …)."""
    root = tmp_path_factory.mktemp("resumed")
    lines = []
    for strategy in STRATEGIES:
        for name, run in ((strategy, whole[strategy][0]), (f"{strategy}-of-one", single)):
            (root / name).mkdir()
            more = ["--trainer.strategy", strategy, "--ckpt_path", str(run / "checkpoints" / "rl_step=2.ckpt")]
            lines.append(fit_line(root / name, *more, *callbacks(_kept(root / name))))
    (root / "lines.json").write_text(json.dumps(lines))
    launch(repository, "tests.two_processes.several", str(root / "lines.json"))
    return root


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_ranks_hold_one_policy_and_draw_different_rollouts(whole: dict[str, tuple[Path, str]], strategy: str) -> None:
    run, said = whole[strategy]
    assert re.findall(r"watched ranks: step (\d)", said) == ["1", "2", "3"]  # it stops the run if ranks differ
    assert len(set(re.findall(r"policy (\w{16})", said))) == 3
    rows = [json.loads(row) for row in (run / "evaluations.jsonl").read_text().splitlines()]
    assert [(row["rl_step"], row["problems"]) for row in rows] == [(step, 9) for step in range(4)]
    history = json.loads((run / "history.json").read_text())
    assert sum(map(len, history.values())) == 12  # 4 different problems in each of 3 steps, from both ranks
    for step in range(3):
        first, second = (_load(run.parents[1] / f"rank{rank}-step{step}.pt") for rank in range(2))
        assert len(first["responses"]) == len(second["responses"]) == 16
        assert first["responses"] != second["responses"]
        assert first["metrics"] == second["metrics"]


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_metrics_are_of_the_responses_of_all_ranks(
    whole: dict[str, tuple[Path, str]], strategy: str, repository: Path
) -> None:
    """Those of the first RL step, worked out again from both ranks' responses with the untrained policy."""
    run = whole[strategy][0]
    ranks = [_load(run.parents[1] / f"rank{rank}-step0.pt") for rank in range(2)]
    prompts, responses, rewards, advantages = (
        [item for rank in ranks for item in rank[key]] for key in ("prompts", "responses", "rewards", "advantages")
    )
    lengths = [len(response) for response in responses]
    assert sum(lengths[:16]) != sum(lengths[16:])  # a mean of the ranks' means would show
    model = AutoModelForCausalLM.from_pretrained(repository / "checkpoints" / "tiny-base", dtype=torch.float64)
    entropy = loss = torch.zeros(())
    for prompt, response, advantage in zip(prompts, responses, advantages, strict=True):
        tokens = torch.tensor([*prompt, *response])
        logits = model(tokens[None], use_cache=False).logits[0, len(prompt) - 1 : -1]
        logprobs = logits.log_softmax(-1)
        entropy = entropy - (logprobs.exp() * logprobs).sum()
        loss = loss - advantage * logprobs.gather(-1, tokens[len(prompt) :, None]).sum()
    total = sum(lengths)
    ((loss - 0.001 * entropy) / total).backward()  # the policy is the reference still: the KL term has no gradient
    gradients = [p.grad.flatten() for p in model.parameters() if p.grad is not None]
    expected = {
        "train/reward": sum(rewards) / 32,
        "rollout/length/mean": total / 32,
        "rollout/length/max": max(lengths),
        "train/entropy": entropy.item() / total,
        "train/grad_norm": torch.cat(gradients).norm().item(),
    }
    logged, _ = read_events(event_files(run))
    for name, value in expected.items():
        assert list(logged.scalars[name]) == [0, 1, 2]
        assert logged.scalars[name][0] == pytest.approx(value, rel=1e-5), name


def test_strategies_are_swapped_by_one_flag(whole: dict[str, tuple[Path, str]]) -> None:
    """The first step's rollouts are the same to the token, the policy after it to rounding."""
    ddp, fsdp2 = (whole[strategy][0] for strategy in STRATEGIES)
    for rank in range(2):
        one, other = (_load(run.parents[1] / f"rank{rank}-step0.pt") for run in (ddp, fsdp2))
        assert one["responses"] == other["responses"]
    one, other = (_load(run / "checkpoints" / "rl_step=1.ckpt") for run in (ddp, fsdp2))
    for moment in ("exp_avg", "exp_avg_sq"):
        a, b = (
            torch.cat([state[moment].flatten() for state in c["optimizer_states"][0]["state"].values()])
            for c in (one, other)
        )
        assert (a - b).norm() <= 1e-5 * a.norm()
    holds = {"ddp": "2 (DDP)", "fsdp2": "2 (FSDP2)"}
    what = {"ddp": "the whole model", "fsdp2": "weights, gradients and moments sharded"}
    for strategy in STRATEGIES:
        said = " ".join(whole[strategy][1].split())  # printed at 80 columns
        assert f"{holds[strategy]}, 2 rows = 16 responses and 1 thread each, {what[strategy]}" in said


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_resumed_equals_uninterrupted(whole: dict[str, tuple[Path, str]], resumed: Path, strategy: str) -> None:
    assert_same_run(whole[strategy][0], resumed / strategy / "tiny" / "version_0")


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_two_processes_go_on_from_one(single: Path, resumed: Path, strategy: str) -> None:
    _assert_goes_on(single / "checkpoints" / "rl_step=2.ckpt", resumed / f"{strategy}-of-one", ranks=2)


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_one_process_goes_on_from_two(whole: dict[str, tuple[Path, str]], strategy: str, tmp_path: Path) -> None:
    checkpoint = whole[strategy][0] / "checkpoints" / "rl_step=2.ckpt"
    more = ["--trainer.strategy", "auto", "--ckpt_path", str(checkpoint), *callbacks(_kept(tmp_path))]
    command(fit_line(tmp_path, *more, processes=1))
    _assert_goes_on(checkpoint, tmp_path, ranks=1)


def _assert_goes_on(checkpoint: Path, folder: Path, ranks: int) -> None:
    """The run began with the checkpoint's weights, moments and RL step, and did the third of three."""
    before, start = _load(checkpoint), _load(folder / "start.ckpt")
    for key in ("state_dict", "optimizer_states", "global_step"):
        assert_same(before[key], start[key])
    assert int(start["state_dict"]["rl_step"]) == 2
    files = sorted(path.name for path in folder.glob("rank*"))
    assert files == [f"rank{rank}-step2.pt" for rank in range(ranks)]
    end = _load(folder / "tiny" / "version_0" / "checkpoints" / "last.ckpt")
    assert int(end["state_dict"]["rl_step"]) == end["global_step"] == 3
    name = "policy.model.model.norm.weight"
    assert not torch.equal(end["state_dict"][name], start["state_dict"][name])
