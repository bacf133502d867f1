r"""Stage 3b, fourth layer: what may go on to the symbolic step at all. A static look at the text, linear in its length.

Answers over these limits are not answers to anything a benchmark asks; they come from a policy that repeats itself, or
from one that has learnt to stall its grader.
"""

import re

# Characters of a box that are read at all: the longest gold of the benchmarks has under 300.
MAX_BOX = 4096
# Characters of a normal form that may be computed with.
_MAX_LENGTH = 512
# Brackets in brackets. Golds reach 5; a grammar's time can grow exponentially with them.
MAX_NESTING = 10
# The same before fonts and groups are taken away, of answers and golds: that costs time by the square of the depth.
MAX_DEPTH = 100
_MAX_DIGITS = 100
_MAX_EXPONENT = 10_000
_MAX_FACTORIAL = 1000
_MAX_CELLS = 64

_BRACKET = re.compile(r"\\begin|\\end|[(\[{]|[)\]}]")
_COSTLY = re.compile(
    rf"\d{{{_MAX_DIGITS + 1}}}|!!!|\)!\s*!|\\(?:int|sum|prod|lim|det|iint|oint|bigcup|bigcap|uparrow)(?![A-Za-z])"
)
_EXPONENT = re.compile(r"\^\{?[+-]?(\d+)")
_FACTORIAL = re.compile(r"(\d+)\s*\}?\)?!")
_BINOMIAL = re.compile(r"\\binom\{(\d+)\}")
# A power whose exponent holds a power, or a power of a power of numbers.
_TOWER = re.compile(r"\^(?:\{[^{}]*\d[^{}]*\^|[^{}]\^|\{[^{}]*\{[^{}]*\}[^{}]*\^)|\^[^+\-,=]*!|\*\*.*\*\*")
_COMMAND = re.compile(r"\\\\|\\([A-Za-z]+)")
_READABLE_COMMANDS = (
    "frac sqrt pi cdot times le ge ne infty binom lfloor rfloor lceil rceil text begin end in cup pm mp prime circ "
    "sin cos tan cot sec csc sinh cosh tanh coth arcsin arccos arctan arccot log ln lg exp langle rangle "
    "alpha beta gamma delta epsilon varepsilon zeta eta theta vartheta iota kappa lambda mu nu xi rho sigma tau upsilon "
    "phi varphi chi psi omega Gamma Delta Theta Lambda Xi Pi Sigma Upsilon Phi Psi Omega hbar ell angle "
    "approx lor sum prod int iint oint lim to dot ddot bar hat overline vec max min gcd operatorname mathbb mathcal emptyset odot"
)
_READABLE = frozenset(_READABLE_COMMANDS.split())


def nesting(text: str) -> int:
    """How deep brackets of any kind stand in one another."""
    depth = deepest = 0
    for token in _BRACKET.findall(text):
        depth += 1 if token in ("\\begin", "(", "[", "{") else -1
        deepest = max(deepest, depth)
    return deepest


def too_costly(answer: str, gold: str) -> bool:
    """Whether a normal form is over the limits. What the gold itself needs is always allowed."""
    if len(answer) > max(_MAX_LENGTH, 2 * len(gold)) or nesting(answer) > max(MAX_NESTING, nesting(gold)):
        return True
    if answer.count("&") + answer.count("\\\\") > max(_MAX_CELLS, gold.count("&") + gold.count("\\\\")):
        return True
    if any(pattern.search(answer) and not pattern.search(gold) for pattern in (_COSTLY, _TOWER)):
        return True
    return (
        any(int(n) > _MAX_EXPONENT for n in _EXPONENT.findall(answer))
        or any(int(n) > max([_MAX_FACTORIAL, *map(int, _FACTORIAL.findall(gold))]) for n in _FACTORIAL.findall(answer))
        or any(int(n) > _MAX_FACTORIAL for n in _BINOMIAL.findall(answer))
    )


def readable(answer: str, gold: str) -> bool:
    """Whether a normal form is ASCII and uses no command that is neither known nor in the gold."""
    return answer.isascii() and set(_COMMAND.findall(answer)) - _READABLE - {""} <= set(_COMMAND.findall(gold))
