r"""Stage 3b, the tables of the first layer: how the many ways of typesetting the same thing are written in one way.

In order. A pattern is only tried on texts that hold one of the strings before it: looking for these takes a tenth of the
time, and few texts hold many of them.
"""

import re
from collections.abc import Callable

Replacement = str | Callable[[re.Match[str]], str]


def _compound_unit(match: re.Match[str]) -> str:
    r"""``\text{erg s^{-1}}`` as words; only the last power is kept."""
    content = match[1]
    words = " ".join(re.sub(r"\\cdot|\\mu|\^\{?[-+]?\d\}?", " ", content).split())
    if words == " ".join(content.split()) or re.search(r"[^A-Za-z/. ]", words):
        return match[0]
    last = re.search(r"\^\{?([-+]?\d)\}?\s*$", content)
    return f"\\text{{{words}}}^{{{last[1]}}}" if last else f"\\text{{{words}}}"


DRESSING: tuple[tuple[tuple[str, ...], re.Pattern[str], Replacement], ...] = tuple(
    (needles, re.compile(pattern), replacement)
    for needles, pattern, replacement in (
        (("e ", "e-", "e+"), r"(?<=\d)e(?=\s+[-+]|[-+]\s)", r"\\cdot e"),  # the constant, where spaces stand
        # Colours, sizes, fonts and words around the answer.
        (("color",), r"\\(?:text)?color\s*\{[a-zA-Z]*\}", " "),
        (("\\large", "\\Large", "\\LARGE", "\\huge", "\\Huge", "\\small", "\\therefore"), r"\\(?:large|Large|LARGE|huge|Huge|small|therefore)(?![A-Za-z])", " "),
        (("{d}",), r"\\(?:mathrm|text)\{d\}(?=\s*[a-z])", "d"),
        (("boldsymbol", "\\bm", "mathbf"), r"\\(?:boldsymbol|bm|mathbf)\s*(?=\{[^{}]*[\\{=+\-*/^_0-9])", " "),
        (("answer", "Answer"), r"^(?:\\text\s*\{\s*)?(?:(?:the |The )?(?:final |Final )?[aA]nswer(?: is|:))\s*:?\s*(?:\}\s*:?)?(?=.)", " "),
        (("ption", "hoice"), r"^(?:\\text\s*\{\s*)?(?:[oO]ption|[cC]hoice)\s*\}?\s*(?=\(?[A-J]\b)", " "),
        (("=",), r"^\s*=(?=[^=])", " "),
        (('"', "``"), r"^\s*(?:\"|``)(.*?)(?:\"|'')\s*$", r"\1"),
        (("textdollar",), r"\\textdollar(?![A-Za-z])", r"\\$"),
        (("\\over",), r"\{([^{}]*?)\\over(?![A-Za-z])([^{}]*)\}", r"\\frac{\1}{\2}"),
        # Roots and powers of several digits without braces.
        (("\\sqrt",), r"\\sqrt\s*(\d+)", r"\\sqrt{\1}"),
        (("\\sqrt[",), r"\\sqrt\[(\d+)\]\s*(\d+)", r"\\sqrt[\1]{\2}"),
        (("^-", "^ -"), r"\^\s*-\s*(\d+)", r"^{-\1}"),
        (("\\bar",), r"\\bar(?![A-Za-z])", r"\\overline"),
        # Matrices: space between rows, doubled row breaks, small ones.
        (("\\\\[",), r"(\\\\)\s*\[\d*\.?\d*(?:pt|em|ex|mm|cm)\]", r"\1"),
        (("\\\\\\\\",), r"\\\\\\\\", r"\\\\"),
        (("bigcup",), r"\\bigcup(?![A-Za-z])", r"\\cup "),
        (("smallmatrix",), r"smallmatrix", "pmatrix"),
        (("\\",), r"\\{1,2}\s*$", ""),
        # Numbers with their base: `(52)_8`, `52 (base 8)`.
        (("_",), r"\((\d+)\)\s*(?=_)", r"\1"),
        (("base",), r"(?:\\text\{)?\s*\(?base\s*\}?\s*\{?(\d{1,2})\}?\)?\s*\}?$", r"_{\1}"),
        (("{}",), r"(?<![A-Za-z])\{\}", ""),
        (("^o", "^{o}"), r"(?<=\d)\s*\^\{?o\}?$", r"^\\circ"),
        (("circ",), r"\\(?:text|mathrm)\s*\{\s*\^\s*\{?\\circ\s*\}?\s*\}", r"^\\circ"),
        (("^{",), r"(?:\^\{[-\d]\}){2,}", lambda m: f"^{{{re.sub('[^-0-9]', '', m[0])}}}"),  # superscript digits in a row
        (("_{",), r"(?:_\{\d\}){2,}", lambda m: f"_{{{re.sub('[^0-9]', '', m[0])}}}"),
        (("{:}",), r"\{:\}", ":"),
        (("pmod",), r"\\pmod\s*(\d+)", r"\\pmod{\1}"),
        (("$",), r"\$\s*,\s*\$", ", "),
        # A currency sign: an escaped dollar, or a bare one that opens nothing because it is the only one.
        (("$",), r"^\s*\$(?=\s*[\d.])(?=[^$]*$)", r"\\$"),
        (("$", "**", "\\(", "\\)", "\\[", "\\]", "style", "limits"), r"(?<!\\)\$|(?<!\\)\\[()\[\]]|\*\*(?=\s*$)|^\s*\*\*|\\(?:displaystyle|textstyle|limits|nolimits)(?![A-Za-z])", " "),
        (("left", "right", "ig"), r"\\(?:left|right|[bB]igg?[lrm]?)(?![A-Za-z])\s*\.", " "),
        (("left", "right", "ig"), r"\\(?:left|right|[bB]igg?[lrm]?)(?![A-Za-z])", " "),
        (("frac",), r"\\[dtc]frac(?![A-Za-z])", r"\\frac"),
        (("binom",), r"\\[dt]binom(?![A-Za-z])", r"\\binom"),
        (("leq", "<="), r"\\(?:leqslant|leqq|leq)(?![A-Za-z])|<=", r"\\le "),
        (("geq", ">="), r"\\(?:geqslant|geqq|geq)(?![A-Za-z])|>=", r"\\ge "),
        (("neq", "not", "!="), r"\\neq(?![A-Za-z])|\\not\s*=|(?<![\d)}!])!=", r"\\ne "),
        (("\\lt",), r"\\lt(?![A-Za-z])", "<"),
        (("\\gt",), r"\\gt(?![A-Za-z])", ">"),
        (("lbrace", "\\{"), r"\\(?:lbrace|\{)", r"\\{"),
        (("rbrace", "\\}"), r"\\(?:rbrace|\})", r"\\}"),
        (("lbrack",), r"\\(?:lbrack)(?![A-Za-z])", "["),
        (("rbrack",), r"\\(?:rbrack)(?![A-Za-z])", "]"),
        (("mathbb",), r"(?<=[^,\s])[, ]{1,3}\(?\s*[a-z]\s*\\in\s*\\mathbb\s*\{[ZNQR]\}\s*\)?$", ""),
        # For which values it holds: `f(x)=2x for all x`.
        (("for ", "forall"), r"[, ]{0,3}(?:\\text\{[, ]{0,3}for (?:all|any|every|each|some)\b[^{}]*\}|for (?:all|any|every) |\\forall(?![A-Za-z]))[^,=]*$", ""),
        (("choose",), r"\{([^{}]*)\\choose(?![A-Za-z])([^{}]*)\}", r"\\binom{\1}{\2}"),
        (("inf",), r"(?<![\\A-Za-z])(?:infinity|inf)(?![A-Za-z])|\\text\{\s*infinity\s*\}", r"\\infty "),
        (("np.",), r"(?<![A-Za-z.])np\.(?=[a-z])", ""),  # Python's name for a function
        (("to",), r"(?<=\d)\s*\\text\{\s*to\s*\}\s*(?=\d)|(?<=\d) to (?=\d)", ":"),
        (("vert", "mid"), r"\\(?:lvert|rvert|vert|mid)(?![A-Za-z])", "|"),
        (("varnothing",), r"\\varnothing(?![A-Za-z])", r"\\emptyset "),
        (("{array}",), r"[\[(]\s*\\begin\{array\}\s*\{[clr| ]*\}(.*?)\\end\{array\}\s*[\])]", r"\\begin{bmatrix}\1\\end{bmatrix}"),
        (("dots",), r"\\(?:dots|cdots|dotsc)(?![A-Za-z])", r"\\ldots "),
        (("\\div",), r"\\div(?![A-Za-z])", "/"),
        (("colon",), r"\\colon(?![A-Za-z])", ":"),
        (("\\,", "\\!", "{,}"), r"(?<=\d)\s*(?:\{,\}|,\s*\\!|\\,|\\!\s*,)\s*(?=\d{3}(?!\d))", "\x00"),  # certain thousands marks
        (("\\,", "\\;", "\\:", "\\!", "\\>", "\\ ", "~", "space", "quad"), r"(?<!\\)\\[,;:!> ]|~|\\(?:space|thinspace|hspace\{[^{}]*\})(?![A-Za-z])|\\q?quad", " "),
        (("text", "math", "box", "bf", "rm", "operatorname", "underline"), r"\\(?:textbf|textit|textrm|textsf|texttt|textnormal|textup|underline|mbox|hbox|mathrm|mathit|mathbf|mathsf|bf|rm|operatorname\*?|text)"
         r"(?![A-Za-z])\s*(?=\{)", r"\\text"),
        (("Omega",), r"(?<=[\d}])\s*\\Omega\s*$", r"\\text{ohm}"),
        (("\\mu",), r"(?<=[\d}])\s*\\mu\s*\\(?:text|mathrm)\{\s*~?", r"\\text{micro"),
        (("\\text",), r"\\text\{((?:[^{}\\]|\\cdot|\\mu|\^\{[-+]?\d\})*)\}", _compound_unit),
        (("m", "M"), r"(?<=\d)\s*(?:\\text\{\s*)?([aApP])\.?\s?[mM]\b\.?(?:\s*\})?\s*$", lambda m: f"\\text{{{m[1].lower()}m}}"),
        (("boxed", "fbox"), r"\\(?:boxed|fbox)\s*(?=\{)", " "),
        (("circ", "degree"), r"\^\s*(?:\\circ(?![A-Za-z])|\{\s*\\circ\s*\})|\\degree(?![A-Za-z])", r"\\text{degrees}"),
        (("%",), r"\\%|(?<!\\)%", r"\\%"),
        (("\\#",), r"\\#", "#"),
        (("or",), r"\s*,?\s*(?:\\text\{\s*or\s*,?\s*\}|(?<![A-Za-z\\])or(?![A-Za-z]))\s*", r",\\lor "),
        (("and",), r"\s*(?:\\text\{\s*and\s*,?\s*\}|(?<![A-Za-z])and(?![A-Za-z]))\s*", ", "),
        ((",",), r",\s*,", ", "),
        (("\\text",), r"\\text\{\s*\}", " "),
    )
)  # fmt: skip
