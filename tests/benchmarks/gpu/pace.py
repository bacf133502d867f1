"""Give a rollout up early that would take too long, by what its first token steps take."""

from collections.abc import Sequence
from typing import Any

from torch import Tensor

from tests.benchmarks.step.meter import synchronised

WARM, WATCHED = 8, 64
"""Token steps before the clock runs, and at which it is read."""

FIXED_SHARE = 0.4
"""Share of a full step's time that a step with almost no rows takes: launches, and reading the weights."""

GROWTH = 1.3
"""Later steps read more keys and values per row than the first ones."""


class TooSlowError(Exception):
    """The rollout will not be through in time."""


def projected_s(per_step_s: float, lengths: Sequence[int]) -> float:
    """Seconds of a whole rollout from those of a token step with all rows, as rows end one by one.

    Args:
        per_step_s: seconds of one of the first steps.
        lengths: tokens of each response.
    """
    # The sum over steps of the share of rows that are still there is the mean length.
    rows = sum(lengths) / len(lengths)
    return GROWTH * per_step_s * (FIXED_SHARE * max(lengths) + (1 - FIXED_SHARE) * rows)


class Paced:
    """A decoder that raises ``TooSlowError`` some steps into a rollout that would take longer than allowed.

    Args:
        decoder: does the work.
        lengths: tokens that each response will have.
        allowed_s: seconds for all of them.
    """

    def __init__(self, decoder: Any, lengths: Sequence[int], allowed_s: float) -> None:
        self._decoder, self._lengths, self._allowed_s = decoder, lengths, allowed_s
        self._number, self._rows, self._watches = 0, 0, False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._decoder, name)

    def begin(self, prompts: Sequence[Sequence[int]], counts: Sequence[int], max_tokens: int, *room: int) -> Tensor:
        """See ``Decoder``."""
        self._number, self._rows = 0, sum(counts)
        self._watches = max_tokens == max(self._lengths)  # neither a probe nor rows that go on after having made room
        logits: Tensor = self._decoder.begin(prompts, counts, max_tokens, *room)
        return logits

    def step(self, tokens: Tensor) -> Tensor:
        """See ``Decoder``."""
        self._number += 1
        if self._watches and self._number == WARM:
            self._started, _ = synchronised()
        if self._watches and self._number == WATCHED:
            taken = (synchronised()[0] - self._started) / (WATCHED - WARM)
            # Where rows wait for room, as many batches follow as it takes.
            needed = projected_s(taken, self._lengths) * len(self._lengths) / self._rows
            if needed > self._allowed_s:
                raise TooSlowError(
                    f"{1e3 * taken:.1f} ms a token step make about {needed:.0f} s, {self._allowed_s:.0f} are left"
                )
        logits: Tensor = self._decoder.step(tokens)
        return logits
