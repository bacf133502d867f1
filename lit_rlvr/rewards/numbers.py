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
_GROUPED = re.compile(r"([+-]?)([1-9]\d{0,2}(?:,\d{3})+|[1-9]\d{0,2}(?: \d{3})+)(\.\d*)?")
_PLAIN = re.compile(rf"({_SIGNED})(?:[eE]([+-]?\d{{1,4}}))?")
_SCIENTIFIC = re.compile(rf"({_SIGNED})(?:\\times|\\cdot|\*){_POWER}")
_TEN_POWER = re.compile(rf"([+-]?){_POWER}")
_RATIO = re.compile(rf"({_SIGNED})/({_SIGNED})")
_FRAC = re.compile(rf"([+-]?)(\d*)\\frac(?:\{{({_SIGNED})\}}|(\d))(?:\{{({_SIGNED})\}}| ?(\d))")
_MIXED = re.compile(r"([+-]?)(\d+|\d{1,3}(?: \d{3})+) (\d+)/(\d+)")
_REPEATING = re.compile(r"([+-]?)(\d*)\.(\d*)(?:\\overline\{(\d+)\}|\\dot\{(\d)\}(?:(\d*)\\dot\{(\d)\})?)")
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
        if value is None or (whole and (not 0 <= value < 1 or top[0] in "+-" or bottom[0] in "+-")):
            return None  # also `11\frac{7}{6}`, which is a slip or a product, not a mixed number
        value += Fraction(whole or 0)
        return -value if sign == "-" else value
    if match := _MIXED.fullmatch(text):
        value = _ratio(match[3], match[4])
        if value is None or value >= 1:
            return None
        value += Fraction(match[2].replace(" ", ""))
        return -value if match[1] == "-" else value
    if match := _SCIENTIFIC.fullmatch(text):
        return _scaled(match[1], match[2] or match[3])
    if match := _REPEATING.fullmatch(text):
        sign, whole, fixed, line, first, middle, last = match.groups()
        period = line or f"{first}{middle or ''}{last or ''}"
        value = Fraction(f"{whole or 0}.{fixed or 0}") + Fraction(
            int(period), (10 ** len(period) - 1) * 10 ** len(fixed)
        )
        return -value if sign == "-" else value
    if match := _TEN_POWER.fullmatch(text):
        return _scaled(match[1] + "1", match[2] or match[3])
    return None


def read_based(text: str) -> tuple[str, int] | None:
    """Digits and base of a numeral such as ``52_8``, or None."""
    match = _BASED.fullmatch(text)
    return (match[1].lstrip("+"), int(match[2])) if match and match[1][-1].isdigit() else None


_ONES = {
    "zero": 0, "one": 1, "two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "seven": 7, "eight": 8, "nine": 9, "ten": 10,
    "eleven": 11, "twelve": 12, "thirteen": 13, "fourteen": 14, "fifteen": 15, "sixteen": 16, "seventeen": 17,
    "eighteen": 18, "nineteen": 19,
}  # fmt: skip
_TENS = {
    "twenty": 20, "thirty": 30, "forty": 40, "fifty": 50, "sixty": 60, "seventy": 70, "eighty": 80, "ninety": 90,
}  # fmt: skip
_COUNTED = _ONES | _TENS | {f"{t}-{o}": _TENS[t] + _ONES[o] for t in _TENS for o in _ONES if 0 < _ONES[o] < 10}


def read_counting_words(text: str) -> Fraction | None:
    """The number that English words below a hundred name: ``twenty-five``."""
    value = _COUNTED.get(text.strip().casefold().replace(" ", "-"))
    return None if value is None else Fraction(value)


def counting_word(word: str) -> bool:
    """Whether a word names a number below a hundred."""
    return word.casefold() in _COUNTED
