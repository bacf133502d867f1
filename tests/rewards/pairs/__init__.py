"""Hand-written (gold, boxed answer) pairs with their verdicts: the kinds that benchmarks ask for, and traps."""

from tests.rewards.pairs import expressions, names, numbers, structures, traps, units, words

_KINDS = (numbers, units, names, expressions, structures, words, traps)

EQUAL: tuple[tuple[str, str], ...] = tuple(pair for kind in _KINDS for pair in kind.EQUAL)
DIFFERENT: tuple[tuple[str, str], ...] = tuple(pair for kind in _KINDS for pair in kind.DIFFERENT)
