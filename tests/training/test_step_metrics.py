"""The numbers of a step are those of all processes together: shares of verdicts, which warnings rest on, weights."""

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from lit_rlvr.algorithms.grpo import GRPO
from lit_rlvr.algorithms.mismatch import MismatchCorrection
from lit_rlvr.experience import Experience
from lit_rlvr.rewards.verdict import Kind, Verdict
from lit_rlvr.training.clock import Clock
from lit_rlvr.training.parallel import Parallel
from lit_rlvr.training.step_metrics import critic_metrics, mismatch_metrics, step_metrics
from lit_rlvr.training.update import UpdateSums
from tests.builders import rollouts_of

KINDS = [list(Kind), [Kind.RIGHT, Kind.CRASHED, Kind.CRASHED, Kind.TOO_COSTLY, Kind.WRONG, Kind.WRONG]]
"""The verdicts of each rank's six responses."""


def _shares(kinds: list[Kind], parallel: Parallel) -> dict[str, float]:
    rollouts = rollouts_of([(1,)], [[7]] * len(kinds), n=len(kinds))
    verdicts = tuple(Verdict(kind, "1") for kind in kinds)
    rewards = torch.tensor([float(verdict.right) for verdict in verdicts])
    clock = Clock(parallel.device)
    sums = UpdateSums({}, len(kinds), torch.zeros(len(kinds)), torch.ones(len(kinds), dtype=torch.bool), 0.0, clock)
    for phase in ("time/rollout", "time/update"):
        clock.lap(phase)
    metrics = step_metrics(Experience(rollouts, verdicts, rewards, rewards), sums, clock, GRPO(), parallel)
    return {name: value for name, value in metrics.items() if name.startswith("verdict/")}


ENGINE = [[-1.0, -2.0, -3.0], [-1.0, -1.0]]
SCORED = [[-1.0, -1.5, -3.5], [0.0, -1.0]]
"""Log-probs of each rank's tokens, by its engine and by the trainer; the first rank has two responses, the second one."""


def _mismatch(rank: int, parallel: Parallel) -> dict[str, float]:
    rollouts = rollouts_of([(1,)], [[[7, 8], [9]], [[7, 8]]][rank], n=2)
    rollouts = replace(rollouts, logprobs=torch.tensor(ENGINE[rank]))
    correction = MismatchCorrection("mask", "sequence", threshold=2.0)
    scored = torch.tensor(SCORED[rank])
    return mismatch_metrics(rollouts, scored, torch.ones_like(scored, dtype=torch.bool), correction, parallel)


def _rank(rank: int, rendezvous: str, out: str) -> None:
    torch.distributed.init_process_group("gloo", init_method=f"file://{rendezvous}", rank=rank, world_size=2)
    try:
        strategy: Any = None  # plays no part in adding up
        parallel = Parallel(strategy, torch.device("cpu"), 2, rank)
        metrics = _shares(KINDS[rank], parallel) | _mismatch(rank, parallel)
        Path(f"{out}{rank}.json").write_text(json.dumps(metrics))
    finally:
        torch.distributed.destroy_process_group()


def test_numbers_over_two_processes(tmp_path: Path) -> None:
    torch.multiprocessing.spawn(_rank, (str(tmp_path / "rendezvous"), str(tmp_path / "out")), nprocs=2)
    twelfths = {"right": 2, "wrong": 3, "no_answer": 1, "unparsable": 1, "too_costly": 2, "crashed": 3}
    expected = {f"verdict/{kind}": pytest.approx(count / 12) for kind, count in twelfths.items()}
    # Log-ratios of the tokens 0, .5, -.5 and 1, 0, of the responses .5, -.5 and 1, whose e is masked.
    expected["train/mismatch/kl"] = pytest.approx((math.exp(0.5) + math.exp(-0.5) + math.e - 4) / 5)
    expected["train/mismatch/weight/mean"] = pytest.approx((2 * math.exp(0.5) + math.exp(-0.5)) / 5)
    expected["train/mismatch/weight/max"] = pytest.approx(math.e)
    expected["train/mismatch/clipped"] = pytest.approx(2 / 5)
    for rank in range(2):
        assert json.loads((tmp_path / f"out{rank}.json").read_text()) == expected


def test_explained_variance_by_hand() -> None:
    parallel = Parallel(None, torch.device("cpu"))  # type: ignore[arg-type]  # the strategy plays no part in adding up
    returns = torch.tensor([0.0, 0.0, 1.0, 1.0])  # variance 1/4
    # errors 0, -.5, 0, .5: mean 0, variance 1/8
    half = critic_metrics(torch.tensor([0.0, 0.5, 1.0, 0.5]), returns, parallel)
    assert half["train/critic/explained_variance"] == pytest.approx(0.5)
    assert half["train/critic/value"] == pytest.approx(0.5)
    # A constant is no knowledge, whichever it is; equal returns leave nothing to know.
    assert critic_metrics(torch.full((4,), 7.0), returns, parallel)["train/critic/explained_variance"] == pytest.approx(
        0
    )
    equal = critic_metrics(torch.tensor([0.1, 0.2, 0.3, 0.4]), torch.full((4,), 0.7), parallel)
    assert equal["train/critic/explained_variance"] == 0.0
