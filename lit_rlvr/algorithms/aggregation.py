"""The one place that decides what a loss is divided by.

From: loss functions, which return weighted sums over tokens. To: `training/update.py`, which hands the losses their token
weights and multiplies each micro-batch's sum by the micro-batch's weight before the backward pass.
"""

from dataclasses import dataclass
from typing import Literal

from torch import Tensor

Aggregation = Literal["token-mean", "paper", "sequence-mean", "constant"]


@dataclass(frozen=True)
class Size:
    """How much there is of something: response tokens, and responses."""

    tokens: int
    responses: int


def token_weights(aggregation: Aggregation, lengths: Tensor) -> Tensor | None:
    """What each token counts within its response: 1 over the response's length for ``sequence-mean``, otherwise 1 (None).

    Args:
        aggregation: one of the four.
        lengths: [T] tokens of the response that each token belongs to.

    Returns:
        [T] float32, or None where every token counts 1.
    """
    return 1 / lengths.float() if aggregation == "sequence-mean" else None


def micro_batch_weight(
    aggregation: Aggregation, micro: Size, mini: Size, max_tokens: int, world_size: int = 1
) -> float:
    """What to multiply a micro-batch's sum by, so that the micro-batches add up to the mini-batch's loss.

    ``token-mean``: every token of the mini-batch, over all micro-batches and ranks, weighs the same (DAPO, arXiv
    2503.14476, equation 12). Any split into micro-batches and ranks gives the same gradient.

    ``paper``: the mean over tokens within each micro-batch, micro-batches weighted by their number of responses, as the
    released code of arXiv 2504.20571 does. The result depends on how micro-batches are cut.

    ``sequence-mean``: the mean over tokens within each response, then over responses (GRPO, arXiv 2402.03300, equation 3;
    GSPO): a token of a long response weighs less. Independent of the split.

    ``constant``: the sum over tokens over the number of responses and the token limit (Dr. GRPO, arXiv 2503.20783, section
    3.2): no length is preferred, and no batch's lengths change the step. Independent of the split.

    Args:
        aggregation: one of the four.
        micro: the size of this micro-batch.
        mini: the size of the mini-batch, all ranks together.
        max_tokens: the token limit of a response.
        world_size: ranks; gradients are *averaged* over them afterwards, which this factor undoes.

    Returns:
        The weight; 0 for an empty micro-batch (ranks pad their number of micro-batches with such).
    """
    if micro.tokens == 0:
        return 0.0
    divisor = {
        "token-mean": mini.tokens,
        "paper": mini.responses * micro.tokens / max(1, micro.responses),
        "sequence-mean": mini.responses,
        "constant": mini.responses * max_tokens,
    }[aggregation]
    return world_size / divisor
