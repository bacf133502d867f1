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

TOKEN = re.compile(r"\\[A-Za-z]+|\\.|\d+\.?\d*|\.\d+|\*\*|[^\s]")
FUNCTIONS: dict[str, Callable[..., mpc]] = {
    "sin": mpmath.sin, "cos": mpmath.cos, "tan": mpmath.tan, "cot": mpmath.cot, "sec": mpmath.sec, "csc": mpmath.csc,
    "sinh": mpmath.sinh, "cosh": mpmath.cosh, "tanh": mpmath.tanh, "coth": mpmath.coth, "arcsin": mpmath.asin,
    "arccos": mpmath.acos, "arctan": mpmath.atan, "arccot": mpmath.acot, "ln": mpmath.log, "exp": mpmath.exp,
}  # fmt: skip
FUNCTIONS |= {
    "asin": mpmath.asin, "acos": mpmath.acos, "atan": mpmath.atan, "asinh": mpmath.asinh, "acosh": mpmath.acosh,
    "atanh": mpmath.atanh, "acot": mpmath.acot, "asec": mpmath.asec, "acsc": mpmath.acsc, "acoth": mpmath.acoth,
}  # fmt: skip
LETTERS = re.compile(
    r"\\(?:alpha|beta|gamma|delta|epsilon|varepsilon|zeta|eta|theta|vartheta|iota|kappa|lambda|mu|nu|xi|rho|sigma|tau"
    r"|upsilon|phi|varphi|chi|psi|omega|Gamma|Delta|Theta|Lambda|Xi|Pi|Sigma|Upsilon|Phi|Psi|Omega|hbar|ell|odot)"
)
ACCENTS = frozenset(["\\dot", "\\ddot", "\\bar", "\\hat", "\\overline", "\\vec", "\\mathbb", "\\mathcal"])
# Letters that name functions when a bracket follows them.
FUNCTION_LETTERS = frozenset("fghuyFGHUP")
# A derivative, which is one thing and no fraction: `\\frac{d^2y}{dx^2}`.
DERIVATIVE = re.compile(
    r"\\frac\{(?:d|\\partial)(?:\^(?:\{\d\}|\d))?[A-Za-z]?\}\{(?:(?:d|\\partial)[A-Za-z](?:\^(?:\{\d\}|\d))?)+\}"
)
NAMED = re.compile(
    r"(?<![A-Za-z\\])(sinh|cosh|tanh|arcsin|arccos|arctan|asin|acos|atan|sqrt|sin|cos|tan|cot|sec|csc|log|ln|exp|pi)(?![A-Za-z])"
)


# Operators over a range: left as they stand, so that they are equal where range and body are.
BIG_OPERATORS = frozenset(["\\sum", "\\prod", "\\int", "\\iint", "\\oint", "\\lim"])


# Letters that stand for whole numbers where an expression only makes sense for these.
COUNTERS = frozenset("ijklmnKMN")


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
        at: the value of every letter, where that is to be looked at.
    """

    seed: int
    positive: bool = True
    whole: Whole = Whole.NONE
    at: int | None = None

    def letter(self, name: str) -> mpf:
        """The value of a letter: up to a million if it is whole, else from 0.2 to 22, of any sign where that is allowed."""
        if self.at is not None:
            return mpf(self.at)
        if self.whole is Whole.ALL or (self.whole is Whole.COUNTERS and name[0] in COUNTERS):
            first, stride = divmod(
                int.from_bytes(hashlib.blake2b(name.encode(), digest_size=4).digest(), "big"), 1 << 16
            )
            # Primes, so that a stride leads through all numbers below.
            seed_below = ((13, 13), (18, 41), (19, 997), (20, 9973), (22, 99991))
            modulus = next((modulus for below, modulus in seed_below if self.seed < below), 1_000_003)
            return mpf(1 + (first + self.seed * (1 + stride % (modulus - 1))) % modulus)
        digest = hashlib.blake2b(f"{self.seed}/{name}".encode(), digest_size=24).digest()
        value = mpf(int.from_bytes(digest, "big")) / mpf(2) ** 192 * 2 + mpf("0.2")
        if self.positive:
            return value
        # Every letter takes both signs at a point of even seed and the next, and far values at later ones.
        sign = hashlib.blake2b(f"{self.seed // 2}/{name}".encode(), digest_size=1).digest()[0] + self.seed
        return value * (10 if self.seed // 2 % 2 else 1) * (1 if sign % 2 else -1)


GROUPS = (("(", ")"), ("[", "]"), ("{", "}"))
STOPS = frozenset(
    ["\\rfloor", "\\rceil", "\\}", "\\cdot", "\\times", "\\pm", "\\le", "\\ge", "\\ne", "\\in", "\\cup", "\\infty"]
)
