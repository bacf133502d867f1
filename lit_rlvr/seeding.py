"""The only source of randomness in rollouts and evaluation: a pure function of where we are in the run.

No generator state is carried from step to step, so a resumed run repeats an uninterrupted one bit for bit.
"""

import hashlib

import torch


def step_seed(seed: int, step: int, rank: int = 0, stream: str = "rollout") -> int:
    """Seed for everything drawn in one RL step on one rank.

    Args:
        seed: the run's seed (``seed_everything`` on the command line).
        step: the RL step, counted from 0.
        rank: the process' global rank, so that ranks draw different rollouts.
        stream: what the draw is for (``"rollout"``, ``"reward"``, a benchmark's name …); streams never share draws.

    Returns:
        An integer in [0, 2**63).
    """
    # A hash, not seed + step: neighbouring seeds of one generator family can be correlated, and (seed 0, step 1)
    # would share its draws with (seed 1, step 0).
    digest = hashlib.blake2b(f"{seed}/{step}/{rank}/{stream}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "little") >> 1


def sample_uniforms(seed: int, sample_ids: list[int], length: int) -> torch.Tensor:
    """Uniform numbers in [0, 1) that belong to samples, not to batches: [len(sample_ids), length], float64, on CPU.

    Sample ``i`` gets the same row in whatever batch it is drawn, so rollouts do not depend on the batch split.
    """
    rows = torch.empty(len(sample_ids), length, dtype=torch.float64)
    generator = torch.Generator()
    for row, sample in enumerate(sample_ids):
        generator.manual_seed(step_seed(seed, sample, stream="sample"))
        rows[row].uniform_(generator=generator)
    return rows
