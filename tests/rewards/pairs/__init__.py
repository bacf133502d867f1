"""Hand-written (gold, boxed answer) pairs with their verdicts: the kinds that benchmarks ask for, and traps."""

from tests.rewards.pairs import expressions, names, numbers, review_symbols, structures, traps, units, words

_KINDS = (numbers, units, names, expressions, structures, words, traps, review_symbols)

EQUAL: tuple[tuple[str, str], ...] = tuple(dict.fromkeys(pair for kind in _KINDS for pair in kind.EQUAL))
DIFFERENT: tuple[tuple[str, str], ...] = tuple(dict.fromkeys(pair for kind in _KINDS for pair in kind.DIFFERENT))
