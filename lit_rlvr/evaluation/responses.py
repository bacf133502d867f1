"""A response as the evaluation keeps it. From the engine's rollouts to what the tally reads."""

from collections.abc import Sequence
from dataclasses import dataclass

from lit_rlvr.experience import Rollouts


@dataclass(frozen=True, slots=True)
class Response:
    """One response to one problem.

    Attributes:
        index: the problem's place in the evaluation.
        sample: which of the k responses to it, from 0.
        text: decoded, special tokens removed.
        tokens: its length, stop token included.
        stopped: True if it ended itself, False if it was cut at the token limit.
    """

    index: int
    sample: int
    text: str
    tokens: int
    stopped: bool


def from_rollouts(rollouts: Rollouts, indices: Sequence[int]) -> list[Response]:
    """The responses of an engine call, in its order.

    Args:
        rollouts: of the call.
        indices: place in the evaluation of the problem that each prompt of the call asked.
    """
    seen: dict[int, int] = {}
    responses = []
    rows, lengths, stopped = rollouts.rows.tolist(), rollouts.lengths.tolist(), rollouts.stopped.tolist()
    for row, text, tokens, ended in zip(rows, rollouts.texts, lengths, stopped, strict=True):
        sample = seen[row] = seen.get(row, -1) + 1
        responses.append(Response(indices[row], sample, text, tokens, ended))
    return responses
