r"""Stage 3b, first layer: one spelling for the many ways of typesetting the same answer.

The normal form keeps what carries meaning (commas with and without a space, brackets, units in ``\text{...}``, percent
signs) and drops what does not (maths delimiters, sizes, spacing, fonts). Later layers read only normal forms.
"""

import re
import unicodedata
from functools import lru_cache

from lit_rlvr.rewards.dressing import DRESSING

_FUNCTION_NAMES = (
    "sin cos tan cot sec csc sinh cosh tanh coth arcsin arccos arctan arccot asin acos atan log ln lg exp sqrt frac "
    "max min gcd lcm det"
)
FUNCTIONS = frozenset(_FUNCTION_NAMES.split())

_SYMBOLS = {
    "−": "-", "–": "-", "—": "-", "×": r"\times ", "·": r"\cdot ", "⋅": r"\cdot ", "∙": r"\cdot ", "÷": "/", "∕": "/",
    "π": r"\pi ", "∞": r"\infty ", "°": r"^\circ ", "º": r"^\circ ", "∪": r"\cup ", "∩": r"\cap ", "∈": r"\in ",
    "≤": r"\le ", "⩽": r"\le ", "≥": r"\ge ", "⩾": r"\ge ", "≠": r"\ne ", "≈": r"\approx ", "±": r"\pm ",
    "∓": r"\mp ", "√": r"\sqrt ", "∛": r"\sqrt[3] ", "⁄": "/", "…": r"\ldots ", "⟨": r"\langle ", "⟩": r"\rangle ", "⌊": r"\lfloor ",
    "⌋": r"\rfloor ", "⌈": r"\lceil ", "⌉": r"\rceil ", "∅": r"\emptyset ", "′": "'", "’": "'", "¢": r"\text{cents}",
    "€": r"\text{euros}", "£": r"\text{pounds}", "½": r"\frac{1}{2}", "⅓": r"\frac{1}{3}", "⅔": r"\frac{2}{3}",
    "¼": r"\frac{1}{4}", "¾": r"\frac{3}{4}", "θ": r"\theta ", "α": r"\alpha ", "β": r"\beta ", "λ": r"\lambda ",
    "ω": r"\omega ", "μ": r"\mu ", "φ": r"\phi ", "σ": r"\sigma ", "γ": r"\gamma ", "δ": r"\delta ", "²": "^{2}",
    "³": "^{3}", "¹": "^{1}", "⁰": "^{0}", "⁴": "^{4}", "⁵": "^{5}", "⁶": "^{6}", "⁷": "^{7}", "⁸": "^{8}",
    "⁹": "^{9}", "₀": "_{0}", "₁": "_{1}", "₂": "_{2}", "₃": "_{3}", "₄": "_{4}", "₅": "_{5}", "₆": "_{6}",
    "₇": "_{7}", "₈": "_{8}", "₉": "_{9}", "⁻": "^{-}", "ⁿ": "^{n}",
}  # fmt: skip
_TRANSLATION = str.maketrans(_SYMBOLS)

_ROOT = re.compile(r"√\s*(\d+(?:\.\d+)?|\([^()]*\))")
# Upright or bold letters that are variables: alone they are a choice, after a number a unit.
_UPRIGHT = re.compile(r"(?:^|(?<=[-+*/(=,\[{!]))\\text\{([A-Za-z])\}(?=[^\s.])")
_TEXT = re.compile(r"\\text\{([^{}]*)\}")
# Two or more words in a row, or one that is too long to be a product of variables, outside any command.
_WORDS = re.compile(
    r"(?<![\\A-Za-z{_])(?:[a-z]{4,}(?![A-Za-z])|[A-Z][a-z]{3,}(?![A-Za-z])|[A-Z]{4,}(?![A-Za-z])|(?i:yes|no|odd|all|one|two|six|ten|win|red)(?![A-Za-z]))(?:[ \-][A-Za-z]+)*(?![A-Za-z])"
)
_UNIT_AFTER_NUMBER = re.compile(
    r"(?:(?<=[\d}])\s*(?<![\\_^]\{)(?!(?:mg|ml|mL|ft|in)(?![A-Za-z]))|(?<=\d) )"  # `2mg` is a weight
    r"(cm|mm|km|kg|mg|ml|mL|ft|in|inches|oz|lb|lbs|mph|pct|min|sec|hr|hrs|day|days|yd|sq|km/h|m/s)"
    r"(?![A-Za-z])(?!\s*[\w(\\])"
)
_TOKEN = re.compile(r"\\text\{[^{}]*\}|\\[A-Za-z]+|\\.|[0-9.\x00]+|\s+|.", re.DOTALL)


def _plain_unicode(text: str) -> str:
    text = _ROOT.sub(r"\\sqrt{\1}", text).translate(_TRANSLATION)
    if text.isascii():
        return text
    return "".join(c if _keeps_its_look(c) else unicodedata.normalize("NFKC", c) for c in text)


def _keeps_its_look(c: str) -> bool:
    """Circled digits must not turn into digits of a number, nor what is raised or lowered into what stands on the line."""
    return unicodedata.category(c) == "No" or unicodedata.decomposition(c).startswith(("<super>", "<sub>"))


def _text_content(match: re.Match[str]) -> str:
    content = " ".join(match[1].split())
    if any(c.isdigit() for c in content) or not any(c.isalpha() for c in content):
        return f" {content} "  # maths that was put into a text command
    if content in ("e", "i"):  # upright constants
        return content
    if content in FUNCTIONS:
        return f"\\{content} "
    return f"\\text{{{content}}}"


def _words(match: re.Match[str]) -> str:
    first = match[0].split(" ")[0]
    return match[0] if first in FUNCTIONS else f"\\text{{{match[0]}}}"


def _join(text: str) -> str:
    """Drop white space where it means nothing: not within text, after a comma, or between two digits."""
    parts: list[str] = []
    spaced = False
    for token in _TOKEN.findall(text):
        if token.isspace():
            spaced = True
            continue
        if parts:
            before = parts[-1]
            command = before[0] == "\\" and before[1:].isalpha()
            if (command and token[0].isalpha()) or (
                spaced and (before == "," or (before[-1].isdigit() and token[0].isdigit()))
            ):
                parts.append(" ")
        parts.append(token)
        spaced = False
    return "".join(parts)


@lru_cache(maxsize=4096)
def normal_form(text: str) -> str:
    r"""The normal form of an answer: ASCII as far as it can be, no dressing, spaces only where they mean something.

    Words become ``\text{...}``, a degree sign becomes the unit ``\text{degrees}``, and thousands marks that can be
    nothing else are removed.
    """
    text = _plain_unicode(" ".join(text.replace("\x00", " ").split()))
    for needles, pattern, replacement in DRESSING:
        for needle in needles:
            if needle in text:
                text = pattern.sub(replacement, text)
                break
    text = _TEXT.sub(_text_content, text)
    if "\\text" in text:
        text = _UPRIGHT.sub(r"\1 ", text)
    outside = re.split(r"(\\text\{[^{}]*\})", text)
    outside[::2] = [_UNIT_AFTER_NUMBER.sub(r"\\text{\1}", _WORDS.sub(_words, part)) for part in outside[::2]]
    text = _join("".join(outside)).replace("\x00", "")
    text = text.strip()
    if len(text) > 1 and text.endswith(".") and not text.endswith(".."):
        text = text[:-1]
    return strip_group(text)


def strip_group(text: str) -> str:
    """Remove braces that enclose the whole text."""
    while len(text) >= 2 and text[0] == "{" and text[-1] == "}" and _closes(text) == len(text) - 1:
        text = text[1:-1]
    return text


def _closes(text: str) -> int:
    """Where the group that opens a text closes, or -1."""
    depth = 0
    for position, c in enumerate(text):
        if c in "{}" and (position == 0 or text[position - 1] != "\\"):
            depth += 1 if c == "{" else -1
            if depth == 0:
                return position
    return -1
