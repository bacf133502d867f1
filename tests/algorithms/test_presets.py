"""Every algorithm of `configs/algorithm/` gives another gradient than every other: no preset is a mere name."""

from dataclasses import replace
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from lit_rlvr.algorithms.aggregation import Aggregation, Size, micro_batch_weight, token_weights
from lit_rlvr.algorithms.algorithm import Algorithm, TokenBatch
from lit_rlvr.algorithms.grpo import GRPO
from lit_rlvr.algorithms.ppo import PPO
from lit_rlvr.algorithms.reinforce import ReinforcePlusPlus
from lit_rlvr.experience import Experience
from tests.builders import rollouts_of

KINDS: dict[str, type[Algorithm]] = {"GRPO": GRPO, "PPO": PPO, "ReinforcePlusPlus": ReinforcePlusPlus}
FOLDER = Path(__file__).resolve().parents[2] / "configs" / "algorithm"
NAMES = sorted(path.stem for path in FOLDER.glob("*.yaml"))


def _gradients(name: str) -> torch.Tensor:
    """Gradients of the loss with respect to the log-probs on two hand-made batches, one of short responses, one of long."""
    model: dict[str, Any] = yaml.safe_load((FOLDER / f"{name}.yaml").read_text("utf-8"))["model"]
    algorithm = KINDS[model["algorithm"]["class_path"]](**model["algorithm"].get("init_args", {}))
    aggregation = model.get("update", {}).get("aggregation", "token-mean")
    short, long = [[3, 4, 5], [6], [7, 8], [9, 9, 9, 9]], [[3] * 9, [6] * 3, [7] * 8, [9] * 20]
    return torch.cat([_gradient(algorithm, aggregation, responses) for responses in (short, long)])


def _gradient(algorithm: Algorithm, aggregation: Aggregation, responses: list[list[int]]) -> torch.Tensor:
    rollouts = rollouts_of([(1, 2), (1, 2)], responses, n=2)
    lengths, tokens = rollouts.lengths, len(rollouts.tokens)
    generator = torch.Generator().manual_seed(0)
    old, reference, values = (torch.randn(tokens, generator=generator) * 0.3 - 1 for _ in range(3))
    # Ratios from 0.5 to 2, and some between the two upper bounds 1.2 and 1.28.
    shift = torch.linspace(-0.7, 0.7, tokens)
    shift[::3] = 0.22
    new = (old + shift).requires_grad_()
    experience = Experience(rollouts, (), torch.tensor([1.0, 0.0, 1.0, 0.25]), values=values.abs())
    experience = algorithm.advantages(replace(experience, old_logprobs=old, reference_logprobs=reference))
    batch = TokenBatch(
        experience.advantages,
        torch.arange(4).repeat_interleave(lengths),
        token_weights(aggregation, lengths.repeat_interleave(lengths)),
        old,
        reference if algorithm.needs_reference else None,
        experience.values if algorithm.needs_critic else None,
        experience.returns,
    )
    critic = values.clone().requires_grad_() if algorithm.needs_critic else None
    loss = algorithm.loss(new, torch.zeros(tokens), batch, critic).loss
    size = Size(tokens, 4)
    return torch.autograd.grad(loss * micro_batch_weight(aggregation, size, size, 64), new)[0]


@pytest.mark.parametrize(("one", "other"), list(combinations(NAMES, 2)))
def test_no_two_presets_are_the_same(one: str, other: str) -> None:
    a, b = _gradients(one), _gradients(other)
    # Not even the same direction: what tells them apart is no matter of the learning rate.
    assert torch.cosine_similarity(a, b, dim=0) < 0.9999


def test_all_of_the_fields_names_are_there() -> None:
    assert sorted(["cispo", "dapo", "dr_grpo", "gspo", "grpo", "ppo", "reinforce_plus_plus", "rloo"]) == NAMES
