r"""Reads a LaTeX expression and computes its value at a point, to many digits. Runs in the worker only.

A recursive-descent reader over numbers, letters, arithmetic, powers, roots and the usual functions. It knows no objects
and no names of the program, only mpmath numbers, so there is nothing in it for an answer to reach. Letters keep their
case; ``e`` and ``i`` are the constants, every other letter has a value that is drawn from the point's seed and its name.
"""

import hashlib
import re
from collections.abc import Callable

import mpmath
from mpmath import mpc, mpf

# Digits carried; results are compared to fewer (see symbolic.py), which leaves room for cancellation.
DIGITS = 60
# Binary digits before the point of the largest power: beyond this a number is no longer worth computing.
_MAX_BITS = 1_000_000

_TOKEN = re.compile(r"\\[A-Za-z]+|\\.|\d+\.?\d*|\.\d+|\*\*|[^\s]")
_FUNCTIONS: dict[str, Callable[..., mpc]] = {
    "sin": mpmath.sin, "cos": mpmath.cos, "tan": mpmath.tan, "cot": mpmath.cot, "sec": mpmath.sec, "csc": mpmath.csc,
    "sinh": mpmath.sinh, "cosh": mpmath.cosh, "tanh": mpmath.tanh, "coth": mpmath.coth, "arcsin": mpmath.asin,
    "arccos": mpmath.acos, "arctan": mpmath.atan, "arccot": mpmath.acot, "ln": mpmath.log, "exp": mpmath.exp,
}  # fmt: skip
_FUNCTIONS |= {"asin": mpmath.asin, "acos": mpmath.acos, "atan": mpmath.atan}
_LETTERS = re.compile(
    r"\\(?:alpha|beta|gamma|delta|epsilon|varepsilon|zeta|eta|theta|vartheta|iota|kappa|lambda|mu|nu|xi|rho|sigma|tau"
    r"|upsilon|phi|varphi|chi|psi|omega|Gamma|Delta|Theta|Lambda|Xi|Pi|Sigma|Upsilon|Phi|Psi|Omega|hbar|ell|odot)"
)
_ACCENTS = frozenset(["\\dot", "\\ddot", "\\bar", "\\hat", "\\overline", "\\vec", "\\mathbb", "\\mathcal"])
# Letters that name functions when a bracket follows them.
_FUNCTION_LETTERS = frozenset("fghuyFGHUP")
_NAMED = re.compile(
    r"(?<![A-Za-z\\])(sinh|cosh|tanh|arcsin|arccos|arctan|asin|acos|atan|sqrt|sin|cos|tan|cot|sec|csc|log|ln|exp|pi)(?![A-Za-z])"
)


class UnreadableError(Exception):
    """The text is not an expression this reader knows, or it has no value at this point."""


class TooCostlyError(Exception):
    """The value would be too large to compute."""


def letter_value(name: str, seed: int, positive: bool) -> mpf:
    """A letter's value at a point: in (0.2, 2.2) or, where signs are allowed, in (-2.2, 2.2) without the middle."""
    digest = hashlib.blake2b(f"{seed}/{name}".encode(), digest_size=24).digest()
    value = mpf(int.from_bytes(digest, "big")) / mpf(2) ** 192 * 2 + mpf("0.2")
    return value if positive or digest[0] % 2 else -value


class Reader:
    """Evaluates one text at one point.

    Args:
        text: a normal form.
        seed: which point.
        positive: whether all letters are positive there.

    Raises:
        UnreadableError: from ``value``, if the text cannot be read or has no finite value.
        TooCostlyError: from ``value``.
    """

    def __init__(self, text: str, seed: int, positive: bool) -> None:
        self._tokens = _TOKEN.findall(_NAMED.sub(r"\\\1 ", text))
        self._at = 0
        self._seed = seed
        self._positive = positive
        # The largest operand of a sum: a result that is 10^-45 of it is what cancellation leaves of a zero.
        self.scale = mpf(0)

    def value(self) -> mpc:
        """The value of the whole text."""
        try:
            result = self._sum()
        except (ArithmeticError, ValueError, mpmath.libmp.NoConvergence) as error:
            raise UnreadableError(str(error)) from error
        if self._at < len(self._tokens) or not mpmath.isfinite(result):
            raise UnreadableError("trailing text or no finite value")
        return mpc(result)

    def _peek(self, ahead: int = 0) -> str:
        position = self._at + ahead
        return self._tokens[position] if position < len(self._tokens) else ""

    def _next(self) -> str:
        token = self._peek()
        if not token:
            raise UnreadableError("ends too early")
        self._at += 1
        return token

    def _expect(self, token: str) -> None:
        if self._next() != token:
            raise UnreadableError(f"expected {token}")

    def _sum(self) -> mpc:
        total = self._product()
        while self._peek() in ("+", "-"):
            sign = self._next()
            term = self._product()
            self.scale = max(self.scale, abs(total), abs(term))
            total = total + term if sign == "+" else total - term
        return total

    def _starts_factor(self) -> bool:
        token = self._peek()
        return bool(token) and (
            token[0].isalnum() or token in ("(", "[", "{", "\\{") or (token[0] == "\\" and token not in _STOPS)
        )

    def _product(self) -> mpc:
        total = self._signed()
        while True:
            token = self._peek()
            if token in ("*", "\\cdot", "\\times"):
                self._next()
                total = total * self._signed()
            elif token == "/":
                self._next()
                total = total / self._signed()
            elif self._starts_factor():
                if token[0].isdigit() and self._tokens[self._at - 1][0].isdigit():
                    raise UnreadableError("two numbers side by side")
                total = total * self._power()
            else:
                return total

    def _signed(self) -> mpc:
        if self._peek() in ("+", "-"):
            return -self._signed() if self._next() == "-" else self._signed()
        return self._power()

    def _power(self) -> mpc:
        base = self._postfix()
        if self._peek() in ("^", "**"):
            self._next()
            base = _raise(base, self._exponent())
            if self._peek() == "!":
                raise UnreadableError("factorial of a power")
        return base

    def _exponent(self) -> mpc:
        if self._peek() == "-":
            self._next()
            return -self._exponent()
        token = self._peek()
        if token[:1].isdigit() and len(token) > 1 and self._tokens[self._at - 1] in ("^", "**"):
            # `x^12` typesets as x to the 1, then 2; writers mean either, so it is the twelfth power only.
            return mpf(self._next())
        return self._argument()

    def _postfix(self) -> mpc:
        value = self._atom()
        while self._peek() == "!":
            self._next()
            value = mpmath.factorial(value)
        return value

    def _argument(self) -> mpc:
        r"""One argument of a command: a group in braces, a single digit (``\frac12``), or an atom."""
        token = self._peek()
        if token == "{":
            return self._group("{", "}")
        if token[:1].isdigit() and len(token) > 1 and "." not in token:
            self._tokens[self._at : self._at + 1] = [token[0], token[1:]]
        return self._atom()

    def _group(self, opening: str, closing: str) -> mpc:
        self._expect(opening)
        value = self._sum()
        self._expect(closing)
        return value

    def _atom(self) -> mpc:
        token = self._peek()
        for opening, closing in _GROUPS:
            if token == opening:
                return self._group(opening, closing)
        self._next()
        if token[0].isdigit() or (token[0] == "." and len(token) > 1):
            return mpf(token)
        if token == "|":
            value = self._sum()
            self._expect("|")
            return abs(value)
        if token == "\\lfloor":
            value = mpmath.floor(self._sum())
            self._expect("\\rfloor")
            return value
        if token == "\\lceil":
            value = mpmath.ceil(self._sum())
            self._expect("\\rceil")
            return value
        if token == "\\frac":
            top = self._argument()
            return top / self._argument()
        if token == "\\binom":
            top = self._argument()
            return mpmath.binomial(top, self._argument())
        if token == "\\sqrt":
            index = self._group("[", "]") if self._peek() == "[" else mpf(2)
            return _raise(self._argument(), 1 / index)
        if token == "\\pi":
            return mpmath.pi()
        name = token[1:]
        if token[0] == "\\" and (name in _FUNCTIONS or name in ("log", "lg")):
            return self._function(name)
        return self._letter(token)

    def _function(self, name: str) -> mpc:
        base: mpc | None = None
        if name in ("log", "lg"):
            # A bare log has the base that the question uses, which we do not know: some constant.
            base = mpf(10) if name == "lg" else letter_value("log base", self._seed, True) + 2
            if self._peek() == "_":
                self._next()
                base = self._argument()
        power = mpf(1)
        if self._peek() == "^":
            self._next()
            power = self._exponent()
        argument = self._function_argument()
        if base is not None:
            value = mpmath.log(argument) / mpmath.log(base)
        elif power == -1 and "a" + name in _FUNCTIONS:
            return _FUNCTIONS["a" + name](argument)
        else:
            if name in ("exp", "sinh", "cosh") and abs(argument) > _MAX_BITS:
                raise TooCostlyError(name)
            value = _FUNCTIONS[name](argument)
        return _raise(value, power)

    def _function_argument(self) -> mpc:
        r"""A bracket, or the factors that follow up to the next operator or function: ``\sin 2x \cos x``."""
        if self._peek() in ("(", "{", "["):
            return self._power_free_group()
        value = self._signed()
        while self._starts_factor() and self._peek()[1:] not in _FUNCTIONS and self._peek() != "(":
            value = value * self._power()
        return value

    def _power_free_group(self) -> mpc:
        opening = self._peek()
        return self._group(opening, dict(_GROUPS)[opening])

    def _letter(self, token: str) -> mpc:
        if token in _ACCENTS:
            name = token + self._raw_group()
        elif (len(token) == 1 and token.isalpha() and token.isascii()) or _LETTERS.fullmatch(token):
            name = token
        elif token == "\\text":
            name = token + self._raw_group()
        else:
            raise UnreadableError(f"unknown {token}")
        if self._peek() == "_":
            self._next()
            name += "_" + self._raw_group()
        while self._peek() == "'" or (self._peek() == "^" and self._peek(1) == "{" and self._peek(2) == "\\prime"):
            if self._next() == "'":
                name += "'"
            else:
                name += "'" * self._raw_group().count("\\prime")
        if name == "e":
            return mpmath.e()
        if name == "i":
            return mpc(0, 1)
        if self._peek() == "(":
            if token in _FUNCTION_LETTERS:
                argument = self._group("(", ")")
                return letter_value(f"{name}({mpmath.nstr(mpc(argument), 25)})", self._seed, self._positive)
            if self._peek(1)[:1].isdigit() and self._peek(2) == ")":
                self._next()
                name += f"({self._next()})"
                self._expect(")")
        return letter_value(name, self._seed, self._positive)

    def _raw_group(self) -> str:
        """The text of a group or of one token, without spaces and braces."""
        if self._peek() != "{":
            return self._next()
        depth = 0
        parts: list[str] = []
        while True:
            token = self._next()
            depth += (token == "{") - (token == "}")
            if depth == 0:
                return "".join(parts)
            if token != "{":
                parts.append(token)


_GROUPS = (("(", ")"), ("[", "]"), ("{", "}"), ("\\{", "\\}"))
_STOPS = frozenset(
    ["\\rfloor", "\\rceil", "\\}", "\\cdot", "\\times", "\\pm", "\\le", "\\ge", "\\ne", "\\in", "\\cup", "\\infty"]
)


def _raise(base: mpc, exponent: mpc) -> mpc:
    if base == 0 or exponent == 1:
        if base == 0 and mpmath.re(exponent) <= 0:
            raise UnreadableError("0 to a power that is not positive")
        return base
    if abs(exponent) * (abs(mpmath.log(abs(base), 2)) + 5) > _MAX_BITS:
        raise TooCostlyError("power")
    return mpmath.power(base, exponent)
