r"""Reads a LaTeX expression and computes its value at a point, to many digits. Runs in the worker only.

A recursive-descent reader over numbers, letters, arithmetic, powers, roots and the usual functions. It knows no objects
and no names of the program, only mpmath numbers, so there is nothing in it for an answer to reach. Letters keep their
case; ``e`` and ``i`` are the constants, every other letter has its value at the point.
"""

import mpmath
from mpmath import mpc, mpf

from lit_rlvr.rewards.forms import Forms
from lit_rlvr.rewards.symbols import (
    ACCENTS,
    BIG_OPERATORS,
    DERIVATIVE,
    FUNCTION_LETTERS,
    FUNCTIONS,
    GROUPS,
    LETTERS,
    MAX_BITS,
    STOPS,
    Point,
    TooCostlyError,
    UnreadableError,
)


class Reader(Forms):
    """Evaluates one text at one point.

    Args:
        text: a normal form.
        point: what the letters stand for.
        functions: letters that name a function where a bracket follows them.

    Raises:
        UnreadableError: from ``value``, if the text cannot be read or has no finite value.
        TooCostlyError: from ``value``.
    """

    def __init__(self, text: str, point: Point, functions: frozenset[str] = FUNCTION_LETTERS) -> None:
        super().__init__(text, point)
        self._functions = functions
        self._in_bars = False  # of an absolute value, where the next bar closes it
        # Whether a root or logarithm was taken of what is not positive, so that the value hangs on a choice of branch.
        self.branched = False

    def value(self) -> mpc:
        """The value of the whole text."""
        try:
            result = self._sum()
        except (ArithmeticError, ValueError, mpmath.libmp.NoConvergence) as error:
            raise UnreadableError(str(error)) from error
        if self._at < len(self._tokens) or not mpmath.isfinite(result):
            raise UnreadableError("trailing text or no finite value")
        return mpc(result)

    def _sum(self) -> mpc:
        total = self._product()
        largest = abs(total)
        while self._peek() in ("+", "-"):
            sign = self._next()
            term = self._product()
            largest = max(largest, abs(term))
            total = total + term if sign == "+" else total - term
        # So little of its terms is what cancellation leaves of a zero.
        return mpf(0) if abs(total) <= largest * mpf(10) ** (-3 * mpmath.mp.dps // 4) else total

    def _starts_factor(self) -> bool:
        token = self._peek()
        return bool(token) and (
            token[0].isalnum()
            or token in ("(", "[", "{", "\\{")
            or (token == "|" and not self._in_bars)
            or (token[0] == "\\" and token not in STOPS)
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
            base = self._raise(base, self._exponent())
            if self._peek() in ("!", "^", "**"):
                raise UnreadableError("a power of a power, or its factorial, without brackets")
        return base

    def _raise(self, base: mpc, exponent: mpc) -> mpc:
        if base == 0 or exponent == 1:
            if base == 0 and mpmath.re(exponent) <= 0:
                raise UnreadableError("0 to a power that is not positive")
            return base
        if abs(base) != 1 and abs(exponent) * (abs(mpmath.log(abs(base), 2)) + 5) > MAX_BITS:
            raise TooCostlyError("power")
        self.branched |= not _positive(base) and not mpmath.isint(exponent)
        return mpmath.power(base, exponent)

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
            if self._peek() == "!":
                self._next()
                value = mpmath.fac2(value)
            else:
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
        for opening, closing in GROUPS:
            if token == opening:
                return self._group(opening, closing)
        if token == "\\frac" and (match := DERIVATIVE.match("".join(self._tokens[self._at : self._at + 24]))):
            return self._derivative(match[0])
        self._next()
        if token == "\\{":  # sets are no expressions, so it is the fractional part
            value = self._sum()
            self._expect("\\}")
            return value - mpmath.floor(value)
        if token in ("\\max", "\\min", "\\gcd"):
            return self._of_several(token)
        if token[0].isdigit() or (token[0] == "." and len(token) > 1):
            return self._mixed(mpf(token)) if token.isdigit() and self._peek() == "\\frac" else mpf(token)
        if token == "|":
            outside, self._in_bars = self._in_bars, True
            value = self._sum()
            self._in_bars = outside
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
            base = self._argument()
            if mpmath.isint(index) and int(index) % 2 and mpmath.im(base) == 0 and mpmath.re(base) < 0:
                return -self._raise(-base, 1 / index)  # the real root
            return self._raise(base, 1 / index)
        if token == "\\pi":
            return mpmath.pi()
        if token in BIG_OPERATORS:
            return self._over_a_range(token)
        name = token[1:]
        if token[0] == "\\" and (name in FUNCTIONS or name in ("log", "lg")):
            return self._function(name)
        return self._letter(token)

    def _function(self, name: str) -> mpc:
        base: mpc | None = None
        if name in ("log", "lg"):
            # A bare log has the base that the question uses, which we do not know: some constant.
            base = mpf(10) if name == "lg" else self._point.letter("log base") + 2
            if self._peek() == "_":
                self._next()
                base = self._argument()
        power = mpf(1)
        if self._peek() == "^":
            self._next()
            power = self._exponent()
        argument = self._function_argument()
        self.branched |= (base is not None or name == "ln") and not _positive(argument)
        if base is not None:
            value = mpmath.log(argument) / mpmath.log(base)
        elif power == -1 and "a" + name in FUNCTIONS:
            return FUNCTIONS["a" + name](argument)
        else:
            if name in ("exp", "sinh", "cosh") and abs(argument) > MAX_BITS:
                raise TooCostlyError(name)
            value = FUNCTIONS[name](argument)
        return self._raise(value, power)

    def _function_argument(self) -> mpc:
        r"""A bracket, or the factors that follow up to the next operator or function: ``\sin 2x \cos x``."""
        if self._peek() in ("(", "{", "["):
            return self._power_free_group()
        value = self._signed()
        alone = self._tokens[self._at - 1][0].isdigit()  # `\\sin 2(x+1)` is of the product, `\\sin x(x+1)` is not
        while self._starts_factor() and self._peek()[1:] not in FUNCTIONS and (alone or self._peek() != "("):
            alone = False
            value = value * self._power()
        return value

    def _power_free_group(self) -> mpc:
        opening = self._peek()
        return self._group(opening, dict(GROUPS)[opening])

    def _letter(self, token: str) -> mpc:
        if token in ACCENTS:
            name = token + self._raw_group()
            if name[-1].isdigit():
                raise UnreadableError("digits under an accent")
        elif (len(token) == 1 and token.isalpha() and token.isascii()) or LETTERS.fullmatch(token):
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
        if name in self._bound:
            return self._point.letter(self._bound[name])
        if name == "e":
            return mpmath.e()
        if name == "i":
            return mpc(0, 1)
        if self._peek() == "(":
            if token in self._functions:
                argument = self._group("(", ")")
                return self._point.letter(f"{name}({mpmath.nstr(mpc(argument), 25)})")
            if self._peek(1)[:1].isdigit() and self._peek(2) == ")":
                self._next()
                name += f"({self._next()})"
                self._expect(")")
        return self._point.letter(name)


def _positive(value: mpc) -> bool:
    return bool(mpmath.im(value) == 0 and mpmath.re(value) >= 0)
