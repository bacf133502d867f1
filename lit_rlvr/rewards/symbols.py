"""The tables of the expression reader: tokens, functions, letters and the values that letters have at a point."""

import hashlib
import re
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

import mpmath
from mpmath import mpc, mpf

# Digits carried; results are compared to fewer (see symbolic.py), which leaves room for cancellation.
DIGITS = 60
# Binary digits before the point of the largest power: beyond this a number is no longer worth computing.
MAX_BITS = 1_000_000

TOKEN = re.compile(r"\\[A-Za-z]+|\\.|(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+(?![\d.]))?|\*\*|[^\s]")
FUNCTIONS: dict[str, Callable[..., mpc]] = {
    "sin": mpmath.sin, "cos": mpmath.cos, "tan": mpmath.tan, "cot": mpmath.cot, "sec": mpmath.sec, "csc": mpmath.csc,
    "sinh": mpmath.sinh, "cosh": mpmath.cosh, "tanh": mpmath.tanh, "coth": mpmath.coth, "arcsin": mpmath.asin,
    "arccos": mpmath.acos, "arctan": mpmath.atan, "arccot": mpmath.acot, "ln": mpmath.log, "exp": mpmath.exp,
}  # fmt: skip
FUNCTIONS |= {"asin": mpmath.asin, "acos": mpmath.acos, "atan": mpmath.atan}
LETTERS = re.compile(
    r"\\(?:alpha|beta|gamma|delta|epsilon|varepsilon|zeta|eta|theta|vartheta|iota|kappa|lambda|mu|nu|xi|rho|sigma|tau"
    r"|upsilon|phi|varphi|chi|psi|omega|Gamma|Delta|Theta|Lambda|Xi|Pi|Sigma|Upsilon|Phi|Psi|Omega|hbar|ell|odot)"
)
ACCENTS = frozenset(["\\dot", "\\ddot", "\\bar", "\\hat", "\\overline", "\\vec", "\\mathbb", "\\mathcal"])
# Letters that name functions when a bracket follows them.
FUNCTION_LETTERS = frozenset("fghuyFGHUP")
NAMED = re.compile(
    r"(?<![A-Za-z\\])(sinh|cosh|tanh|arcsin|arccos|arctan|asin|acos|atan|sqrt|sin|cos|tan|cot|sec|csc|log|ln|exp|pi)(?![A-Za-z])"
)


# Operators over a range: left as they stand, so that they are equal where range and body are.
BIG_OPERATORS = frozenset(["\\sum", "\\prod", "\\int", "\\iint", "\\oint", "\\lim"])


# Letters that stand for whole numbers where an expression only makes sense for these.
COUNTERS = frozenset("ijklmnpqrstKLMN")


class Whole(StrEnum):
    """Which letters are whole numbers at a point."""

    NONE = "none"
    COUNTERS = "counters"
    ALL = "all"


class UnreadableError(Exception):
    """The text is not an expression this reader knows, or it has no value at this point."""


class TooCostlyError(Exception):
    """The value would be too large to compute."""


@dataclass(frozen=True, slots=True)
class Point:
    """Where expressions are compared: a value for every letter, drawn from its name.

    Attributes:
        seed: which point; the first 13 take every whole letter through 1 to 13, later ones are larger numbers.
        positive: whether letters that are not whole are positive.
        whole: the letters that are whole numbers.
    """

    seed: int
    positive: bool = True
    whole: Whole = Whole.NONE

    def letter(self, name: str) -> mpf:
        """The value of a letter: below 9974 if it is whole, else in (0.2, 2.2) or, where signs are allowed, its negative."""
        if self.whole is Whole.ALL or (self.whole is Whole.COUNTERS and name[0] in COUNTERS):
            first, stride = divmod(
                int.from_bytes(hashlib.blake2b(name.encode(), digest_size=4).digest(), "big"), 1 << 16
            )
            # Primes, so that a stride leads through all numbers below.
            modulus = 13 if self.seed < 13 else 41 if self.seed < 17 else 997 if self.seed < 19 else 9973
            return mpf(1 + (first + self.seed * (1 + stride % (modulus - 1))) % modulus)
        digest = hashlib.blake2b(f"{self.seed}/{name}".encode(), digest_size=24).digest()
        value = mpf(int.from_bytes(digest, "big")) / mpf(2) ** 192 * 2 + mpf("0.2")
        return value if self.positive or digest[0] % 2 else -value


GROUPS = (("(", ")"), ("[", "]"), ("{", "}"), ("\\{", "\\}"))
STOPS = frozenset(
    ["\\rfloor", "\\rceil", "\\}", "\\cdot", "\\times", "\\pm", "\\le", "\\ge", "\\ne", "\\in", "\\cup", "\\infty"]
)
