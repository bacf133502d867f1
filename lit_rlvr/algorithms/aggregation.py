"""The one place that decides what a loss is divided by.

From: loss functions, which return sums over tokens. To: `training/update.py`, which multiplies each micro-batch's sum by
this weight before the backward pass.
"""

from typing import Literal

Aggregation = Literal["token-mean", "paper"]


def micro_batch_weight(
    aggregation: Aggregation,
    micro_tokens: int,
    micro_responses: int,
    total_tokens: int,
    total_responses: int,
    world_size: int = 1,
) -> float:
    """What to multiply a micro-batch's sum over tokens by, so that the micro-batches add up to the mini-batch's loss.

    ``token-mean``: every token of the mini-batch, over all micro-batches and ranks, weighs the same (DAPO, arXiv
    2503.14476, equation 12). Any split into micro-batches and ranks gives the same gradient.

    ``paper``: the mean over tokens within each micro-batch, micro-batches weighted by their number of responses, as the
    released code of arXiv 2504.20571 does. The result depends on how micro-batches are cut.

    Args:
        aggregation: one of the two.
        micro_tokens: response tokens in this micro-batch.
        micro_responses: responses in this micro-batch.
        total_tokens: response tokens in the mini-batch, all ranks together.
        total_responses: responses in the mini-batch, all ranks together.
        world_size: ranks; gradients are *averaged* over them afterwards, which this factor undoes.

    Returns:
        The weight; 0 for an empty micro-batch (ranks pad their number of micro-batches with such).
    """
    if micro_tokens == 0:
        return 0.0
    if aggregation == "token-mean":
        return world_size / total_tokens
    return world_size * micro_responses / (total_responses * micro_tokens)
