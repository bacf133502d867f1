"""The reader builds what sympy's ``parse_expr`` would, and nothing else gets through."""

import builtins

import pytest
import sympy
from sympy.parsing.sympy_parser import implicit_multiplication_application, parse_expr, standard_transformations

from lit_rlvr.rewards.compat.reader import TooCostlyError, UnreadableError, is_zero, read

FORMULAS = (
    "12", "1.5", "1.5e3", ".5", "x", "x+1", "2*x**2-3*x", "sqrt(3)/2", "pi*r**2", "x!", "(n+1)!", "5!!", "2**-3", "-x**2", "+x", "E**I",
    "sin(x)**2", "log(8,2)", "Abs(-3)", "abs(x)", "factorial(5)", "binomial(5,2)", "f(x)", "oo", "max(1,2)", "1_000", "2**0.5",
)  # fmt: skip
IMPLICIT = (
    "2xy",
    "2sqrt(3)",
    "3(x+1)(x-1)",
    "sin x",
    "sin**2 x",
    "x y",
    "2 3",
    "4pi",
    "xy**2",
    "a12",
    "alpha x",
    "(x)(y)",
)
UNREADABLE = (
    "", ")", "(", "x.y", "().__class__", "(1).__class__.__bases__", "x.__init__", "__import__('os')", "open('f','w')", "eval('1')",
    "lambda: 0", "lambda x: x", "(lambda: 1)()", "f'{1}'", "f'{open(1)}'", "'abc'", "b'a'", "[1][0]", "x[0]", "[x for x in y]", "{1:2}",
    "{x for x in y}", "*x", "f(*x)", "f(a=1)", "a:=1", "(a:=1)", "x if y else z", "1<2", "x and y", "not x", "~x", "x@y", "x//y", "...",
    "𝐜𝐥𝐚𝐬𝐬", "x.𝐜", "𝐨𝐩𝐞𝐧(1)", "ℯ", "S(1)", "sympify('1')", "S('open(1)')", "N(x)", "lambdify(x,x)", "Lambda(x,x)", "Symbol('a b')",
    "Symbol(1)", "Symbol('__class__').__class__", "sin('1')", "Integer('1')", "Float('open(1)')", "Number('x')", "Function('a b')(x)",
    "Function", "sin", "print", "print(1)", "getattr(x,'real')", "globals()", "0.2[1]", "1\x002", "\ud800", "x;y", "import os", "x=1",
    "preview(x)", "plot(x)", "source(sin)", "(1,2)+(3,4)", "sqrt((1,2))", "1**()", "{[1]}", "True", "None", "breakpoint()", "x\ny", "٣",
)  # fmt: skip
COSTLY = (
    "9**99999999", "9**9**9", "(10**6)**99999", "2**(2**(2**9))", "99999999!", "(10**5)!", "9999!+1", "binomial(10**9,5)",
    "1e999999", "9" * 500 + ".5", "(1/3)**99999", "1.5**1e9", "(" * 50 + "1" + ")" * 50, "1" * 5000, "gamma(10**7)",
)  # fmt: skip


@pytest.mark.parametrize("text", FORMULAS)
@pytest.mark.parametrize("implicit", [False, True])
def test_formulas_are_those_of_sympy(text: str, implicit: bool) -> None:
    more = (implicit_multiplication_application,) if implicit else ()
    expected = parse_expr(text, transformations=standard_transformations + more)
    assert read(text, implicit) == expected


@pytest.mark.parametrize("text", IMPLICIT)
def test_implicit_products_are_those_of_sympy(text: str) -> None:
    expected = parse_expr(text, transformations=(*standard_transformations, implicit_multiplication_application))
    assert read(text, implicit=True) == expected


def test_several_values() -> None:
    one, two = sympy.Integer(1), sympy.Integer(2)
    assert read("(1,2)", implicit=False) == (one, two)
    assert read("[1,2]", implicit=False) == [one, two]
    assert read("{1,2}", implicit=False) == {two, one}


@pytest.mark.parametrize("text", UNREADABLE)
@pytest.mark.parametrize("implicit", [False, True])
def test_nothing_else_is_read(text: str, implicit: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    executed = []
    outcome: BaseException | None = None
    with monkeypatch.context() as patched:
        for name in ("eval", "exec", "open", "print", "breakpoint", "globals"):
            patched.setattr(builtins, name, lambda *_, name=name: executed.append(name))
        try:
            read(text, implicit)
        except Exception as error:
            outcome = error
    assert isinstance(outcome, UnreadableError)
    assert not executed


@pytest.mark.parametrize("text", COSTLY)
@pytest.mark.parametrize("implicit", [False, True])
def test_large_values_are_refused_before_they_are_computed(text: str, implicit: bool) -> None:
    with pytest.raises(TooCostlyError):
        read(text, implicit)


def test_zero() -> None:
    assert is_zero(sympy.Integer(0))
    assert is_zero(sympy.Float(0))
    assert not is_zero(sympy.Symbol("x"))
    assert not is_zero((0,))
