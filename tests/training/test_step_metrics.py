"""The numbers of a step are those of all processes together: here the shares of verdicts, which warnings rest on."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from lit_rlvr.algorithms.grpo import GRPO
from lit_rlvr.experience import Experience
from lit_rlvr.rewards.verdict import Kind, Verdict
from lit_rlvr.training.parallel import Parallel
from lit_rlvr.training.step_metrics import Clock, step_metrics
from lit_rlvr.training.update import UpdateSums
from tests.builders import rollouts_of

KINDS = [list(Kind), [Kind.RIGHT, Kind.CRASHED, Kind.CRASHED, Kind.TOO_COSTLY, Kind.WRONG, Kind.WRONG]]
"""The verdicts of each rank's six responses."""


def _shares(kinds: list[Kind], parallel: Parallel) -> dict[str, float]:
    rollouts = rollouts_of([(1,)], [[7]] * len(kinds), n=len(kinds))
    verdicts = tuple(Verdict(kind, "1") for kind in kinds)
    rewards = torch.tensor([float(verdict.right) for verdict in verdicts])
    sums = UpdateSums({}, len(kinds), torch.zeros(len(kinds)), 0.0, {})
    clock = Clock()
    for phase in ("time/rollout", "time/update"):
        clock.lap(phase)
    metrics = step_metrics(Experience(rollouts, verdicts, rewards, rewards), sums, clock, GRPO(), parallel)
    return {name: value for name, value in metrics.items() if name.startswith("verdict/")}


def _rank(rank: int, rendezvous: str, out: str) -> None:
    torch.distributed.init_process_group("gloo", init_method=f"file://{rendezvous}", rank=rank, world_size=2)
    try:
        strategy: Any = None  # plays no part in adding up
        shares = _shares(KINDS[rank], Parallel(strategy, torch.device("cpu"), 2, rank))
        Path(f"{out}{rank}.json").write_text(json.dumps(shares))
    finally:
        torch.distributed.destroy_process_group()


def test_shares_of_verdicts_over_two_processes(tmp_path: Path) -> None:
    torch.multiprocessing.spawn(_rank, (str(tmp_path / "rendezvous"), str(tmp_path / "out")), nprocs=2)
    twelfths = {"right": 2, "wrong": 3, "no_answer": 1, "unparsable": 1, "too_costly": 2, "crashed": 3}
    expected = {f"verdict/{kind}": pytest.approx(count / 12) for kind, count in twelfths.items()}
    for rank in range(2):
        assert json.loads((tmp_path / f"out{rank}.json").read_text()) == expected
