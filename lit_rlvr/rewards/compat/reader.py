"""Text that the original rules hand to sympy's ``parse_expr``, read without executing anything. Workers only.

``parse_expr`` turns text into Python source (inserting multiplication signs and ``Symbol(...)`` calls) and evaluates
that. Only the first half is sympy's here: its token transformations, which are pure text work. The source they give is
parsed to a syntax tree, and of that tree exactly what this file names is built: numbers, letters, arithmetic, and calls
of listed functions. No attribute, subscript, keyword, comprehension, lambda or f-string gets through, and no string but
the name of a letter or the digits of a number. Deviation: letters that Unicode counts as forms of ASCII ones (a bold x,
a script l) are refused, since Python reads such names as the plain ones.
"""

import ast
import builtins
import operator
import re
import unicodedata
from collections.abc import Callable
from tokenize import TokenError
from types import BuiltinFunctionType
from typing import Any

import sympy
from sympy.parsing.sympy_parser import (
    implicit_multiplication_application,
    standard_transformations,
    stringify_expr,
)

from lit_rlvr.rewards.limits import MAX_BOX, MAX_NESTING, nesting

# Bits of the numerator or denominator of a number that is computed.
_MAX_BITS = 40_000
_MAX_FACTORIAL = 1000
_MAX_DIGITS = 400
_MAX_DECIMAL_EXPONENT = 1000

# What the transformations take for a known name. The values are only looked at for being callable, never called.
_KNOWN: dict[str, Any] = (
    {name: getattr(sympy, name) for name in sympy.__all__}
    | {name: value for name, value in vars(builtins).items() if isinstance(value, BuiltinFunctionType)}
    | {"max": sympy.Max, "min": sympy.Min}
)
_CONSTANTS = {name: _KNOWN[name] for name in ("pi", "E", "I", "oo", "zoo", "nan", "GoldenRatio", "EulerGamma")}
_NAMES = (
    "sqrt cbrt root exp log ln sin cos tan cot sec csc asin acos atan acot asec acsc atan2 sinh cosh tanh coth sech "
    "csch asinh acosh atanh acoth Abs sign floor ceiling frac re im arg conjugate factorial factorial2 binomial "
    "gamma Max Min gcd lcm erf Rational"
)
_FUNCTIONS: dict[str, Callable[..., Any]] = {name: _KNOWN[name] for name in _NAMES.split()}
_FUNCTIONS |= {"abs": sympy.Abs, "max": sympy.Max, "min": sympy.Min}
_GROWING = frozenset(("factorial", "factorial2", "binomial", "gamma"))
_OPERATORS: dict[type, Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
}
_NAME = re.compile(r"[^\W\d]\w*")
_NUMBER = re.compile(r"(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")


class UnreadableError(Exception):
    """The text is no formula that is known here."""


class TooCostlyError(Exception):
    """The formula's value is too large to compute."""


def read(text: str, implicit: bool) -> Any:
    """The sympy expression that ``parse_expr`` would give.

    Args:
        text: of a formula in Python's notation.
        implicit: whether ``2xy`` is a product, as in the deepscaler rule; else as in the qwen rule.

    Returns:
        A sympy expression, or a tuple, list or set of them.

    Raises:
        UnreadableError: it is not known here, or its evaluation fails.
        TooCostlyError: too long, too deep, or its value is too large.
    """
    if len(text) > MAX_BOX or nesting(text) > 2 * MAX_NESTING:
        raise TooCostlyError("length or nesting")
    if any(unicodedata.normalize("NFKC", letter).isascii() for letter in set(text) if not letter.isascii()):
        raise UnreadableError(text)
    transformations = standard_transformations + ((implicit_multiplication_application,) if implicit else ())
    try:
        source = stringify_expr(text, {}, _KNOWN, transformations)
        tree = ast.parse(source.strip(), mode="eval")
    except (SyntaxError, TokenError, ValueError, IndexError, TypeError, AttributeError) as error:
        raise UnreadableError(text) from error
    return _build(tree.body)


def is_zero(value: Any) -> bool:
    """Whether a result is the number zero, also one with a decimal point: sympy 1.13 and later calls that unequal to 0."""
    return isinstance(value, sympy.Number) and bool(value.is_zero)


def _build(node: ast.expr) -> Any:
    match node:
        case ast.Name(id=name) if name in _CONSTANTS:
            return _CONSTANTS[name]
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            return _applied(operator.neg, _build(operand))
        case ast.UnaryOp(op=ast.UAdd(), operand=operand):
            return _applied(operator.pos, _build(operand))
        case ast.BinOp(op=ast.Pow(), left=left, right=right):
            return _power(_build(left), _build(right))
        case ast.BinOp(op=op, left=left, right=right) if type(op) in _OPERATORS:
            return _bounded(_applied(_OPERATORS[type(op)], _build(left), _build(right)))
        case ast.Call(func=func, args=args, keywords=[]):
            return _call(func, args)
        case ast.Tuple(elts=elements):
            return tuple(_build(element) for element in elements)
        case ast.List(elts=elements):
            return [_build(element) for element in elements]
        case ast.Set(elts=elements):
            return {_applied(lambda value: value, _build(element)) for element in elements}
    raise UnreadableError(type(node).__name__)


def _call(func: ast.expr, args: list[ast.expr]) -> Any:
    match func, args:
        case ast.Name(id="Symbol"), [ast.Constant(value=str(name))] if _NAME.fullmatch(name):
            return sympy.Symbol(name)
        case ast.Name(id="Integer"), [ast.Constant(value=int(number))] if abs(number) < 10**_MAX_DIGITS:
            return sympy.Integer(number)
        case ast.Name(id="Float" | "Number"), [ast.Constant(value=str(digits))]:
            return _number(digits)
        case ast.Call(func=ast.Name(id="Function"), args=[ast.Constant(value=str(name))], keywords=[]), _:
            if _NAME.fullmatch(name):
                return _applied(sympy.Function(name), *map(_build, args))
        case ast.Name(id="Rational"), [ast.Constant(value=int(above)), ast.Constant(value=int(below))]:
            return _applied(sympy.Rational, sympy.Integer(above), sympy.Integer(below))
        case ast.Name(id=name), _ if name in _FUNCTIONS:
            values = [_build(arg) for arg in args]
            if name in _GROWING and any(_is_large(value) for value in values):
                raise TooCostlyError(name)
            return _bounded(_applied(_FUNCTIONS[name], *values))
    raise UnreadableError(ast.dump(func)[:80])


def _number(digits: str) -> Any:
    digits = digits.replace("_", "")
    if not _NUMBER.fullmatch(digits):
        raise UnreadableError("number")
    exponent = digits.lower().partition("e")[2]
    if len(digits) > _MAX_DIGITS or (exponent and (len(exponent) > 5 or abs(int(exponent)) > _MAX_DECIMAL_EXPONENT)):
        raise TooCostlyError("number")
    return sympy.Integer(digits) if digits.isdigit() else sympy.Float(digits)


def _applied(function: Callable[..., Any], *values: Any) -> Any:
    """A function of values, which are all sympy's: it must see neither text nor containers."""
    if not all(isinstance(value, sympy.Basic) for value in values):
        raise UnreadableError("operand")
    try:
        result = function(*values)
    except (MemoryError, RecursionError):
        raise
    except Exception as error:
        raise UnreadableError("evaluation") from error
    if not isinstance(result, sympy.Basic):
        raise UnreadableError("result")
    return result


def _power(base: Any, exponent: Any) -> Any:
    if isinstance(base, sympy.Basic) and isinstance(exponent, sympy.Basic) and exponent.is_number:
        size = max([_bits(number) for number in base.atoms(sympy.Rational)], default=1)
        if any(abs(number) * size > _MAX_BITS for number in exponent.atoms(sympy.Rational)):
            raise TooCostlyError("power")
        if any(part.is_Float and abs(part) > _MAX_BITS for part in exponent.atoms(sympy.Float)):
            raise TooCostlyError("power")
    return _bounded(_applied(operator.pow, base, exponent))


def _bits(number: Any) -> int:
    return max(int(number.p).bit_length(), int(number.q).bit_length())


def _is_large(value: Any) -> bool:
    return isinstance(value, sympy.Basic) and any(abs(number) > _MAX_FACTORIAL for number in value.atoms(sympy.Number))


def _bounded(value: Any) -> Any:
    if isinstance(value, sympy.Rational) and _bits(value) > _MAX_BITS:
        raise TooCostlyError("number")
    return value
