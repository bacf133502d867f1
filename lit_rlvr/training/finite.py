"""What of an RL step is a number and what is not, tensor by tensor.

From: an `Experience`, or whatever else has names. To: `training/update.py`, which trains on nothing else, and
`lit-rlvr replay`, which says what it was.
"""

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from lit_rlvr.experience import Experience


@dataclass(frozen=True)
class Finding:
    """One tensor.

    Attributes:
        name: as its reader knows it.
        count: elements.
        bad: how many of them are NaN or infinite.
        first: the index of the first that is, into the flat tensor, or None.
        value: what stands there.
    """

    name: str
    count: int
    bad: int
    first: int | None = None
    value: float = math.nan

    def __str__(self) -> str:
        if self.first is None:
            return f"finite, all {self.count:,}"
        return f"{self.bad:,} of {self.count:,} not finite, the first {self.value} at {self.first}"


def find(name: str, tensor: Tensor) -> Finding:
    """Look at one tensor."""
    flat = tensor.detach().flatten()
    bad = (~flat.isfinite()).nonzero()[:, 0]
    if not len(bad):
        return Finding(name, len(flat), 0)
    return Finding(name, len(flat), len(bad), int(bad[0]), float(flat[bad[0]]))


def find_all(named: Iterable[tuple[str, Tensor]]) -> list[Finding]:
    """Look at all of them, in their order."""
    return [find(name, tensor) for name, tensor in named]


EXPERIENCE: dict[str, Callable[[Experience], Tensor | None]] = {
    "rollout log-probs": lambda experience: experience.rollouts.logprobs,
    "rewards": lambda experience: experience.rewards,
    "old log-probs": lambda experience: experience.old_logprobs,
    "reference log-probs": lambda experience: experience.reference_logprobs,
    "values": lambda experience: experience.values,
    "returns": lambda experience: experience.returns,
    "advantages": lambda experience: experience.advantages,
}
"""What an update computes with, in the order in which it comes about: what is wrong with one is wrong with those after it."""


def experience_tensors(experience: Experience) -> Mapping[str, Tensor]:
    """Those of them that there are: name -> [N] or [T]."""
    tensors = {name: take(experience) for name, take in EXPERIENCE.items()}
    return {name: tensor for name, tensor in tensors.items() if tensor is not None}


def finite_experience(experience: Experience) -> bool:
    """Whether all of it is."""
    return all(bool(torch.isfinite(tensor).all()) for tensor in experience_tensors(experience).values())
