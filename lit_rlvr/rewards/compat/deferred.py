"""How one comparison serves both processes: the trainer's stops where symbols are needed, the worker's goes on."""

from collections.abc import Callable

from lit_rlvr.rewards.limits import MAX_BOX
from lit_rlvr.rewards.verdict import Kind

Same = Callable[[str, str], bool]
"""(answer, gold) -> whether two expressions are the same by symbols."""


class SymbolsNeededError(Exception):
    """Text and numbers do not decide."""


def later(answer: str, gold: str) -> bool:
    """The trainer's stand-in for a comparison by symbols.

    Raises:
        SymbolsNeededError: always.
    """
    raise SymbolsNeededError


def decide_with(compare: Callable[[str, str, Same], bool], answer: str, gold: str) -> Kind | None:
    """The verdict of a comparison as far as it needs no symbols, or None where it does."""
    if len(answer) > MAX_BOX:
        return Kind.TOO_COSTLY
    try:
        return Kind.RIGHT if compare(answer, gold, later) else Kind.WRONG
    except SymbolsNeededError:
        return None
    except RecursionError:
        return Kind.TOO_COSTLY
