"""Answers that stall, break or cheat graders. None of them is right for the golds of the tests that use them.

``MARK`` stands for a file that an answer tries to create.
"""

_POWERS = (
    "9**99999999", "9^{99999999}", "5^(5^(5^5))", "5^{5^{5^{5}}}", "10^{10^{10}}", "2^{2^{2^{2^{2^2}}}}", "x^{9999}-x^{9998}",
    "((x+1)^{9999}", "(x+y+z)^{9999}", "e^{e^{e^{e^{e}}}}", "e^{9999}", "e^{e^{9999}}", r"\exp(\exp(\exp(\exp(99))))", "1e999999999",
    "1e9999", "1E-9999", "10^{9999}", "0^0", "0^{-1}", r"\sin(10^{10^{3}})", r"\cosh(e^{12})", r"\sinh(999999)", r"\tan(e^{900000})",
)  # fmt: skip
_FACTORIALS = (
    "99999999!", "(10^{10})!", "99999999!-99999998!", "3!!!!!!", "13" + "!" * 40, "(1000!)!", "((9!)!)!", "((x!)!)!", "(-1)!",
    r"\binom{10^9}{10^8}", r"\binom{999999999}{3}", r"\binom{e^{600000}}{e^{500000}}", "(e^{600000})!", "10^{9000}!",
)  # fmt: skip
_LONG = (
    "1 " * 15000, "1,000," * 5000, "cm " * 10000, "a" * 30000, "lorem ipsum " * 2500, "9" * 1000000, "9" * 4000, "9" * 900,
    "1,2," * 1000, r"\pm" * 2000, "x=" * 2000, r"\text{a}" * 580, r"\ " * 1300 + "x", r"\left" * 600, r"\text{or}" * 500, "|" * 401,
    "|x|" * 150, "-" * 4001 + "12", "!" * 400, r"\begin{pmatrix}" + "1&" * 2000 + r"\end{pmatrix}", r"\cup" * 1000, "12=" * 1000,
)  # fmt: skip
_DEEP = (
    "(" * 5000 + "1" + ")" * 5000, "(" * 9 + "y" + ")" * 9, "{" * 5000 + "1" + "}" * 5000, r"\frac{1}{" * 400 + "x" + "}" * 400,
    r"\sin(" * 200 + "x" + ")" * 200, "x^{" * 100 + "x" + "}" * 100, r"\sqrt{" * 9 + "x" + "}" * 9, "(1," * 1000, r"\sqrt[" * 50,
)  # fmt: skip
_CODE = (
    "__import__('os').system('touch MARK')", "open('MARK','w')", "open('MARK','w').write('1')", "exec(\"open('MARK','w')\")",
    r"\__class__", "().__class__.__bases__", "lambda: 0", "f'{open(1)}'", "[x for x in (1).__class__.__mro__]", "eval(12)",
    "13;import os", "𝐜𝐥𝐚𝐬𝐬", r"\input{/etc/passwd}", r"\write18{touch MARK}", "subprocess.call(['touch','MARK'])", "os.system('touch MARK')",
    "`touch MARK`", "$(touch MARK)", "getattr(1,'real')", "globals()", "print(12)", "Integer(12)", "sympify('12')", "S(12)",
)  # fmt: skip
_MALFORMED = (
    "=", "==", "=13", ",", ",,", "()", "[]", r"\{\}", "(,)", "\\", "\\\\", "$", "%", r"\%", "^", "_", "x_", "x^", r"\frac", r"\frac{1}",
    r"\sqrt", r"\sin", "&", r"\begin{pmatrix}\end{pmatrix}", r"\begin{pmatrix}", "<", ">", "1<", "<1<", ".", "-", "+", "/", "1/", "0/0",
    "1/0", r"\frac{1}{0}", r"\frac00", "nan", "zoo", "oo", r"\infty-\infty", r"\ln 0", r"\arcsin(10)", r"\tan(\frac{\pi}{2})", "1\x002", "\ud800",
    r"\sum_{n=1}^{10^9} n", r"\int_0^1 x dx", r"\lim_{x\to0} x", r"\prod_{k=1}^{999999}k", r"x\in\mathbb{R}", "١٢", "①②", "1₂",
)  # fmt: skip
_CHEATS = (
    r"12 \text{ or } 13", r"12 \text{ (wrong), } 13", r"13 \text{ or } 1,-2", "11 = 12", "12 = 13", r"12 \approx 13", r"12\ldots", "12_{13}",
    "1, 2, 3, ..., 12", "1,-2,3", "any", r"\text{all of the above}", "A, B, C, D", "12|13", "12; 13", r"12 \cup 13", r"1,-2 \text{ or } 3",
    r"x+\frac{1}{2} \text{ or } x+1", r"x+\frac12=x+1", "> 12", r"\text{the answer}", "see above", "?", "the correct answer",
)  # fmt: skip

# An unbalanced text closes or opens the box in other places, which is hostile in its own right.
HOSTILE: tuple[str, ...] = _POWERS + _FACTORIALS + _LONG + _DEEP + _CODE + _MALFORMED + _CHEATS
