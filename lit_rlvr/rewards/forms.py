r"""The forms of the expression reader that are not plain arithmetic: mixed numbers, derivatives, sums over a range."""

import re
from abc import ABC, abstractmethod

import mpmath
from mpmath import mpc, mpf

from lit_rlvr.rewards.symbols import Point, UnreadableError
from lit_rlvr.rewards.tokens import Tokens


class Forms(Tokens, ABC):
    """Reads them with the methods that a reader of arithmetic has.

    Args:
        text: a normal form.
        point: what the letters stand for.
    """

    def __init__(self, text: str, point: Point) -> None:
        super().__init__(text)
        self._point = point
        self._bound: dict[str, str] = {}  # variables of sums, products and integrals -> what they are called here

    @abstractmethod
    def _sum(self) -> mpc:
        """A sum of products."""

    @abstractmethod
    def _product(self) -> mpc:
        """A product."""

    @abstractmethod
    def _argument(self) -> mpc:
        """One argument of a command."""

    def _derivative(self, text: str) -> mpc:
        read = ""
        while len(read) < len(text):
            read += self._next()
        return self._point.letter(text.replace("{", "").replace("}", ""))

    def _of_several(self, name: str) -> mpc:
        closing = {"(": ")", "{": "}", "\\{": "\\}"}.get(self._next())
        values = [self._sum()]
        while self._peek() == ",":
            self._next()
            values.append(self._sum())
        self._expect(closing or "(")
        if name == "\\gcd":  # left as it stands
            return self._point.letter(f"gcd{sorted(mpmath.nstr(mpc(value), 25) for value in values)}")
        return (max if name == "\\max" else min)(values, key=mpmath.re)

    def _mixed(self, whole: mpf) -> mpc:
        r"""``2\frac{1}{2}`` is two and a half; with letters in the fraction it is a product."""
        written = re.match(
            r"\\frac(?:\{(\d+)\}|(\d))(?:\{(\d+)\}|(\d))", "".join(self._tokens[self._at : self._at + 8])
        )
        if written is None:
            return whole
        self._next()
        above = self._argument()
        fraction = above / self._argument()
        return whole + fraction if abs(fraction) < 1 else whole * fraction

    def _over_a_range(self, operator: str) -> mpc:
        """A sum, product, integral or limit: a constant that is drawn from its range and the value of its body.

        Two of them are equal where these are, whatever the variable is called; they are not computed.
        """
        bounds: list[str] = []
        while self._peek() in ("_", "^"):
            sign = self._next()
            at = self._at
            text = self._raw_group()
            if not set(text) & set("=<>") and "\\to" not in text and "\\infty" not in text:
                self._at = at
                text = mpmath.nstr(mpc(self._argument()), 25)
            bounds.append(sign + text)
        rest = self._tokens[self._at :]
        low = bounds[0][1:].replace("\\to", "=").partition("=") if bounds else ("", "", "")
        end = (
            None
            if low[1]
            else next((i for i, token in enumerate(rest[:-1]) if token == "d" and rest[i + 1].isalpha()), None)
        )
        variable = low[0] if low[1] else "" if end is None else rest[end + 1]
        before = self._bound
        self._bound = before | {variable: f"bound {len(before)}"}
        if end is None:
            value = self._product()
        else:  # everything up to the differential is under the integral
            self._tokens = rest[:end]
            self._at = 0
            value = self._sum()
            if self._at < end:
                raise UnreadableError("trailing text in an integral")
            self._tokens, self._at = rest, end + 2
        self._bound = before
        bounds = [bound.removeprefix(f"_{low[0]}") if low[1] else bound for bound in bounds]
        return self._point.letter(f"{operator}{sorted(bounds)}{mpmath.nstr(mpc(value), 25)}")
