"""Whole RL steps without an operation that `trainer.deterministic true` makes CUDA refuse."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from lit_rlvr.algorithms.algorithm import Algorithm
from lit_rlvr.algorithms.grpo import GRPO
from lit_rlvr.algorithms.ppo import PPO
from lit_rlvr.rollout.engine import Sampling
from lit_rlvr.rollout.transformers_engine import TransformersEngine
from tests.cuda_refusals import CudaRefusals, RefusedOnCudaError
from tests.training.small_run import small_run


@pytest.fixture(autouse=True)
def _deterministic() -> Iterator[None]:
    """Fresh memory is filled with NaN then, on CPU too: what reads it before it is written is found as well."""
    torch.use_deterministic_algorithms(True)
    yield
    torch.use_deterministic_algorithms(False)


@pytest.mark.parametrize("algorithm", [GRPO(), PPO()], ids=["grpo", "ppo"])
def test_rl_steps(algorithm: Algorithm, repository: Path, tmp_path: Path) -> None:
    sampling = Sampling(n=4, temperature=0.6, top_p=0.9, max_tokens=12, stop=("\n\n",))
    with CudaRefusals():
        module = small_run(repository, tmp_path, TransformersEngine(), algorithm, steps=2, sampling=sampling)
    assert all(bool(torch.isfinite(parameter).all()) for parameter in module.policy.parameters())


def test_what_is_refused() -> None:
    numbers = torch.rand(4)
    with CudaRefusals():
        numbers.long().cumsum(0)
        numbers.median()
        numbers.new_zeros(4).scatter_reduce(0, torch.zeros(4, dtype=torch.int64), numbers, "amax")
        for refused in (
            lambda: numbers.cumsum(0),
            lambda: numbers.long().cumsum(0, dtype=torch.float64),
            lambda: numbers.median(dim=0),
            lambda: numbers.histc(),
            lambda: numbers.new_zeros(4).scatter_reduce(0, torch.zeros(4, dtype=torch.int64), numbers, "prod"),
        ):
            with pytest.raises(RefusedOnCudaError, match="deterministic"):
                refused()
