r"""The symbolic step of the qwen rule: ``symbolic_equal`` of QwenLM/Qwen2.5-Math ``evaluation/grader.py``. Workers only.

A text is read by the first of three readers that can: sympy's LaTeX grammar, Python's notation, latex2sympy. The grammar
stops without complaint where a formula ends, which is the original's greatest fault and kept: ``1,-2`` is ``1``, and
``(0,9)\cup(9,36)`` is what its first part is. It is sympy's own, called here without the check for antlr 4.11 that
``parse_latex`` makes (what antlr 4.11 generated runs on 4.13 as well).

Deviations: Python's notation is read by our ``reader``, which executes nothing; latex2sympy is latex2sympy2_extended in
place of the original's own copy; and a text that none of them reads equals nothing, while the original hands it to
``sympy.N``, which evaluates it.
"""

import math
from collections.abc import Callable
from typing import Any

import antlr4  # type: ignore[import-untyped]
import sympy
from latex2sympy2_extended import latex2sympy
from sympy.parsing.latex._parse_latex_antlr import LaTeXLexer, LaTeXParser, MathErrorListener, convert_relation

from lit_rlvr.rewards import limits
from lit_rlvr.rewards.compat.qwen import compare
from lit_rlvr.rewards.compat.qwen_text import clean
from lit_rlvr.rewards.compat.reader import TooCostlyError, is_zero, read

_TOLERANCE = 1e-4
_PLACES = 3


class _Lexer(LaTeXLexer):
    def checkVersion(self, toolVersion: str) -> None:
        """Say nothing of the versions; the inherited check prints."""


class _Parser(LaTeXParser):
    def checkVersion(self, toolVersion: str) -> None:
        """Say nothing of the versions; the inherited check prints."""


def judge(answer: str, gold: str) -> str:
    """``"equal"``, ``"different"``, ``"unparsable"`` (the answer is no mathematics) or ``"too_costly"``."""
    gold = clean(gold)
    if limits.too_costly(answer, gold):
        return "too_costly"
    unread: list[str] = []

    def same(answer: str, gold: str) -> bool:
        ours, theirs = _read(gold), _read(answer)
        if theirs is None:
            unread.append(answer)
        return ours is not None and theirs is not None and _equal(theirs, ours)

    try:
        if compare(answer, gold, same):
            return "equal"
    except TooCostlyError:
        return "too_costly"
    return "unparsable" if unread else "different"


def _by_grammar(text: str) -> Any:
    text = text.strip()
    listener = MathErrorListener(text)
    lexer = _Lexer(antlr4.InputStream(text))
    parser = _Parser(antlr4.CommonTokenStream(lexer))
    for recognizer in (lexer, parser):
        recognizer.removeErrorListeners()
        recognizer.addErrorListener(listener)
    return convert_relation(parser.math().relation())


def _by_python(text: str) -> Any:
    return read(text, implicit=False)


def _by_latex2sympy(text: str) -> Any:
    r"""Without what the extended one reads otherwise: letters such as π fail in the original, and ``{055}`` is no set."""
    if text.startswith("{") and text.endswith("}") and not set(text[1:-1]) & set("{,}"):
        text = text[1:-1]
    return latex2sympy(text) if text.isascii() else None


_READERS: tuple[Callable[[str], Any], ...] = (_by_grammar, _by_python, _by_latex2sympy)


def _read(text: str) -> Any:
    """What the first reader makes of a text that can read it, or None."""
    for reader in _READERS:
        for version in (text.replace("\\\\", "\\"), text):
            if (value := _tried(reader, version)) is not None:
                return value
    return None


def _tried(function: Callable[..., Any], *values: Any) -> Any:
    """The value of a function, or None where it fails: sympy fails in all kinds of ways, and the original ignores them."""
    try:
        return function(*values)
    except (MemoryError, RecursionError, TooCostlyError):
        raise
    except Exception:
        return None


def _equal(a: Any, b: Any) -> bool:
    return any(_tried(test, a, b) for test in (_identical, _simplified, _sides, _close, _matrices))


def _identical(a: Any, b: Any) -> bool:
    return str(a) == str(b) or bool(a == b)


def _simplified(a: Any, b: Any) -> bool:
    return bool(a.equals(b) or is_zero(sympy.simplify(a - b)))


def _sides(a: Any, b: Any) -> bool:
    """Equations and inequalities alike, by the distance of their sides."""
    return bool(abs(a.lhs - a.rhs).equals(abs(b.lhs - b.rhs)))


def _close(a: Any, b: Any) -> bool:
    if not (isinstance(a, sympy.Basic) and isinstance(b, sympy.Basic)):
        return False
    return math.isclose(float(sympy.N(a)), float(sympy.N(b)), rel_tol=_TOLERANCE)


def _matrices(a: Any, b: Any) -> bool:
    rounded = [matrix.applyfunc(lambda cell: round(cell, _PLACES)) for matrix in (a, b) if a.shape == b.shape]
    return len(rounded) == 2 and bool(rounded[0].equals(rounded[1]))
