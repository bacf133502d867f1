"""Two processes make of an experience the gradient that one makes of it, however unequal their shares."""

from pathlib import Path
from typing import Any

import pytest
import torch

from tests.two_processes.gradients import AGGREGATIONS, ALGORITHMS, TOO_LARGE, gradients
from tests.two_processes.launch import launch


@pytest.fixture(scope="module")
def of_two(repository: Path, tmp_path_factory: pytest.TempPathFactory) -> list[dict[tuple[str, str], Any]]:
    """What each rank found."""
    folder = tmp_path_factory.mktemp("gradients")
    launch(repository, "tests.two_processes.gradients", str(folder))
    return [torch.load(folder / f"rank{rank}.pt", weights_only=True) for rank in range(2)]


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_two_processes_have_the_gradient_of_one(of_two: list[dict[tuple[str, str], Any]], algorithm: str) -> None:
    """The difference's Euclidean norm over all parameters is at most 1e-6 of the gradient's, in float32."""
    one = gradients("auto", algorithm, processes=1)
    for strategy in ("ddp", "fsdp2"):
        first, second = (found[strategy, algorithm] for found in of_two)
        assert first["micro-batches"] > second["micro-batches"]
        for aggregation in AGGREGATIONS:
            models = 2 if algorithm == "ppo" else 1
            assert len(one[aggregation]["gradients"]) == models
            for rank in (first, second):
                for model in range(models):
                    expected = one[aggregation]["gradients"][model].double()
                    norm = expected.norm()
                    assert norm > 0.1
                    off = (rank[aggregation]["gradients"][model].double() - expected).norm()
                    assert off <= 1e-6 * norm, (strategy, aggregation, model)
                    assert rank[aggregation]["norms"][model] == pytest.approx(norm.item(), rel=1e-4)
    token, sequence = (one[aggregation]["gradients"][0] for aggregation in AGGREGATIONS)
    assert (token / token.norm() - sequence / sequence.norm()).norm() > 0.1  # the aggregations do differ here


def test_two_processes_overflow_together_in_float16(of_two: list[dict[tuple[str, str], Any]]) -> None:
    """Policy and critic: the same gradients on both, which are those of float32 but for rounding, by the same scale."""
    first, second = (found["ddp", "float16"] for found in of_two)
    assert 1 < first["scale"] == second["scale"] < TOO_LARGE
    for aggregation in AGGREGATIONS:
        exact = of_two[0]["ddp", "ppo"][aggregation]
        for model in range(2):
            one, other = (rank[aggregation]["gradients"][model] for rank in (first, second))
            assert torch.equal(one, other)
            assert (one - exact["gradients"][model]).norm() <= 1e-2 * one.norm()
            assert first[aggregation]["norms"][model] == pytest.approx(exact["norms"][model], rel=1e-2)
