"""The arithmetic of drawing one token per row: temperature, top-k, top-p, inverse CDF. Pure functions.

Every function treats each row by itself, so a response does not depend on which others share its batch. Probabilities are
added up as integers: their sum is exact in every order, so that it is the same on every device, and CUDA has no deterministic
cumulative sum of floating-point numbers.
"""

import math

import torch
from torch import Tensor

from lit_rlvr.rollout.engine import Sampling

# Units of probability in 1. A power of two, so that scaling rounds nothing; float32 probabilities down to 2**-30 are whole
# numbers of them, and what smaller ones lose is less than a float64 sum would round away over a large vocabulary. An int64
# holds the sum of a thousand such rows.
UNITS = 2**53

# Logits turned into probabilities and drawn from at once, and the bytes that this holds of each at its peak, in top-p: sorted
# logits and their order, mass in float64 and in units, its sum. Together 2 GB.
DRAW_ELEMENTS, DRAW_BYTES = 1 << 25, 64


def probabilities(logits: Tensor, sampling: Sampling) -> Tensor:
    """The distribution that is really sampled from: temperature, then top-k, then top-p.

    Args:
        logits: [B, V], any floating dtype.
        sampling: temperature 0 (greedy) gives the plain softmax, of which ``draw`` takes the mode.

    Returns:
        [B, V] float32, rows sum to 1; tokens cut away by top-k or top-p have probability exactly 0.
    """
    logits = logits.float()
    if sampling.temperature == 0:
        return torch.softmax(logits, dim=-1)
    if sampling.temperature != 1:
        logits = logits / sampling.temperature
    if 0 < sampling.top_k < logits.shape[-1]:
        smallest_kept = torch.topk(logits, sampling.top_k, dim=-1).values[:, -1:]
        logits = logits.masked_fill(logits < smallest_kept, float("-inf"))
    if sampling.top_p < 1:
        descending, order = torch.sort(logits, dim=-1, descending=True, stable=True)
        mass = _units(torch.softmax(descending, dim=-1, dtype=torch.float64))
        # A token stays if those before it have not yet reached the mass: the most likely one always stays.
        cut = mass.cumsum(-1) - mass >= math.ceil(sampling.top_p * UNITS)
        logits = logits.masked_fill(torch.zeros_like(cut).scatter_(-1, order, cut), float("-inf"))
    return torch.softmax(logits, dim=-1)


def draw(probs: Tensor, uniforms: Tensor | None) -> tuple[Tensor, Tensor]:
    """One token per row by inverse CDF, or the mode where there are no uniforms (greedy).

    Args:
        probs: [B, V] float32, non-negative.
        uniforms: [B] float64 in [0, 1), or None for greedy.

    Returns:
        (tokens [B] int64, their probabilities [B] float32). A token of probability 0 is never drawn.
    """
    if uniforms is None:
        chosen, tokens = probs.max(dim=-1)
        return tokens, chosen
    cumulative = _units(probs).cumsum_(-1)
    total = cumulative[:, -1]
    # u * total may round up to total itself, beyond which there is no token; stay one unit below it.
    threshold = torch.minimum((uniforms * total).to(torch.int64), total - 1)
    # The first token whose cumulative mass exceeds the threshold; its own mass is therefore positive.
    # Where probabilities are no numbers some token stands in, for its log-prob to tell.
    tokens = torch.searchsorted(cumulative, threshold[:, None], right=True).clamp_(max=probs.shape[-1] - 1)
    return tokens[:, 0], probs.gather(1, tokens)[:, 0]


def _units(probs: Tensor) -> Tensor:
    """Probabilities as int64 numbers of ``UNITS``, rounded down."""
    return (probs * float(UNITS)).to(torch.int64)
