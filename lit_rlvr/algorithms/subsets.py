"""Leaving responses out at random, and weighting the others so that every expected sum stays what it was. Pure functions.

To: `training/score.py` (which responses the reference is asked about) and `training/update.py` (which ones are trained on).
"""

import math

import torch
from torch import Tensor


def kept_weights(droppable: Tensor, share: float, seed: int) -> Tensor:
    """What each response counts once all but a random ``share`` of the droppable ones have been left out.

    Of n droppable responses m = ceil(share * n) are drawn without replacement. Each of them stays with probability m / n
    and then counts n / m, so the expectation of any sum over responses is the sum over all (Horvitz and Thompson 1952).

    Args:
        droppable: [N] bool.
        share: above 0, at most 1.
        seed: of the draw.

    Returns:
        [N] float32: 1 for the others, n / m for those that stay, 0 for those that are left out.
    """
    weights = torch.ones(len(droppable))
    places = droppable.nonzero()[:, 0]
    drawn = math.ceil(share * len(places))
    if drawn == len(places):
        return weights
    weights[places] = 0
    order = torch.randperm(len(places), generator=torch.Generator().manual_seed(seed))
    weights[places[order[:drawn]]] = len(places) / drawn
    return weights


def without_advantage(advantages: Tensor, lengths: Tensor) -> Tensor:
    """[N] bool: all of the response's advantages are 0, so it has nothing to say in the policy loss.

    Args:
        advantages: [T].
        lengths: [N] tokens of each response.
    """
    responses = torch.arange(len(lengths)).repeat_interleave(lengths)
    largest = advantages.new_zeros(len(lengths)).scatter_reduce(0, responses, advantages.abs(), "amax")
    return largest == 0
