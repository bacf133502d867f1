"""The mismatch correction in a run: what it reports of an engine in 16 bits, and that it reaches the update."""

import math
from pathlib import Path

import pytest
import torch

from lit_rlvr.algorithms.grpo import GRPO
from lit_rlvr.algorithms.mismatch import CorrectionKind, MismatchCorrection
from lit_rlvr.rollout.transformers_engine import TransformersEngine
from lit_rlvr.training.update import UpdateConfig
from tests.training.small_run import small_run


def _run(
    repository: Path, folder: Path, kind: CorrectionKind, threshold: float, updates: int
) -> tuple[dict[str, float], torch.Tensor]:
    """(metrics of the last of two steps, weights after it)."""
    module = small_run(
        repository,
        folder,
        TransformersEngine("bfloat16"),
        GRPO(correction=MismatchCorrection(kind, threshold=threshold)),
        steps=2,
        update=UpdateConfig(updates_per_rollout=updates),
    )
    assert module.last_step is not None
    return dict(module.last_step.metrics), torch.cat([p.detach().flatten() for p in module.policy.parameters()])


@pytest.mark.parametrize("updates", [1, 2])
def test_weights_of_an_engine_in_16_bits(updates: int, repository: Path, tmp_path: Path) -> None:
    off, plain = _run(repository, tmp_path, "off", 1.0, updates)
    on, corrected = _run(repository, tmp_path, "truncate", 1.0, updates)
    assert off["train/mismatch/kl"] > 0
    assert [name for name in off if name.startswith("train/mismatch")] == ["train/mismatch/kl"]
    # Rounding moves the ratios to either side of 1, and what is above is truncated to it.
    assert 0.9 < on["train/mismatch/weight/mean"] < 1
    assert 1 < on["train/mismatch/weight/max"] <= math.exp(on["rollout/logprob_diff/max"]) * 1.001
    assert 0.2 < on["train/mismatch/clipped"] < 0.8
    assert not torch.equal(plain, corrected)
