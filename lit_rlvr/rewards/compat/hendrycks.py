r"""Repairs of LaTeX text that both rules inherit from the MATH data set's grader (hendrycks/math)."""

import re

_WHOLE = re.compile(r"0|-?[1-9][0-9]*")


def brace_fractions(text: str) -> str:
    r"""``\frac12`` as ``\frac{1}{2}`` and ``\frac1{72}`` as ``\frac{1}{72}``; an outer pair that is there is kept.

    Two characters have to follow every ``\frac`` that has no brace, or nothing at all is repaired. A second argument
    without braces after a first one with braces stays as it is.
    """
    head, *tails = text.split("\\frac")
    repaired = [head]
    for tail in tails:
        if tail.startswith("{"):
            repaired.append(tail)
        elif len(tail) < 2:
            return text
        else:
            below = tail[1] if tail[1] == "{" else "{" + tail[1] + "}"
            repaired.append("{" + tail[0] + "}" + below + tail[2:])
    return "\\frac".join(repaired)


def slash_to_fraction(text: str, roots: bool) -> str:
    r"""``3/4`` as ``\frac{3}{4}`` if both sides are integers in their plainest form (or hold a root, if allowed)."""
    sides = text.split("/")
    if len(sides) == 2 and all((roots and "sqrt" in side) or _WHOLE.fullmatch(side) for side in sides):
        return "\\frac{" + sides[0] + "}{" + sides[1] + "}"
    return text


def after_short_name(text: str) -> str:
    """``k=5`` as ``5``: of exactly two sides the right one, if the left one has two characters at most."""
    sides = text.split("=")
    return sides[1] if len(sides) == 2 and len(sides[0]) <= 2 else text
