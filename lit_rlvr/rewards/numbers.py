r"""Stage 3b, second layer: numbers read exactly, as fractions. No floating point anywhere.

Reads integers (also with thousands marks), decimals, ``a/b``, ``\frac{a}{b}``, mixed numbers, e-notation and
``\times 10^{n}``.
"""

import re
from fractions import Fraction

# Digits of one number, and the exponent of ten, that are still read: conversion is quadratic in the digits.
MAX_DIGITS = 1000
_MAX_EXPONENT = 1000

_DECIMAL = r"(?:\d+\.?\d*|\.\d+)"
_SIGNED = rf"[+-]?{_DECIMAL}"
_INTEGER = r"[+-]?\d+"
_POWER = r"10\^(?:\{([+-]?\d{1,4})\}|([+-]?\d))"
_GROUPED = re.compile(r"([+-]?)(\d{1,3}(?:,\d{3})+|\d{1,3}(?: \d{3})+)(\.\d*)?")
_PLAIN = re.compile(rf"({_SIGNED})(?:[eE]([+-]?\d{{1,4}}))?")
_SCIENTIFIC = re.compile(rf"({_SIGNED})(?:\\times|\\cdot|\*){_POWER}")
_TEN_POWER = re.compile(rf"([+-]?){_POWER}")
_RATIO = re.compile(rf"({_SIGNED})/({_SIGNED})")
_FRAC = re.compile(rf"([+-]?)(\d*)\\frac(?:\{{({_SIGNED})\}}|(\d))(?:\{{({_SIGNED})\}}| ?(\d))")
_MIXED = re.compile(r"([+-]?)(\d+) (\d+)/(\d+)")
_BASED = re.compile(r"([+-]?[0-9A-Za-z]+)_\{?(\d{1,2})\}?")


def _ratio(top: str, bottom: str) -> Fraction | None:
    divisor = Fraction(bottom)
    return Fraction(top) / divisor if divisor else None


def _scaled(mantissa: str, exponent: str) -> Fraction | None:
    power = int(exponent)
    return Fraction(mantissa) * Fraction(10) ** power if abs(power) <= _MAX_EXPONENT else None


def read_number(text: str, grouped: bool = True) -> Fraction | None:
    """The exact value of a normal form, or None if it is not a plain number.

    Args:
        text: a normal form.
        grouped: whether ``1,234`` is one number (it is not where commas separate).
    """
    if not text or len(text) > MAX_DIGITS or not (text[-1].isdigit() or text[-1] in "}.") or not text.isascii():
        return None
    if match := _PLAIN.fullmatch(text):
        return _scaled(match[1], match[2]) if match[2] else Fraction(match[1])
    if grouped and (match := _GROUPED.fullmatch(text)):
        return Fraction(match[1] + re.sub("[ ,]", "", match[2]) + (match[3] or ""))
    if match := _RATIO.fullmatch(text):
        return _ratio(match[1], match[2])
    if match := _FRAC.fullmatch(text):
        sign, whole, top, bottom = match[1], match[2], match[3] or match[4], match[5] or match[6]
        value = _ratio(top, bottom)
        if value is None or (whole and (value < 0 or top[0] in "+-" or bottom[0] in "+-")):
            return None
        value += Fraction(whole or 0)
        return -value if sign == "-" else value
    if match := _MIXED.fullmatch(text):
        value = _ratio(match[3], match[4])
        if value is None:
            return None
        value += Fraction(match[2])
        return -value if match[1] == "-" else value
    if match := _SCIENTIFIC.fullmatch(text):
        return _scaled(match[1], match[2] or match[3])
    if match := _TEN_POWER.fullmatch(text):
        return _scaled(match[1] + "1", match[2] or match[3])
    return None


def read_based(text: str) -> tuple[str, int] | None:
    """Digits and base of a numeral such as ``52_8``, or None."""
    match = _BASED.fullmatch(text)
    return (match[1].lstrip("+"), int(match[2])) if match and match[1][-1].isdigit() else None
