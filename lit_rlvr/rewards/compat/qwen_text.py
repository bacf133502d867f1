r"""What the qwen rule makes of the text of an answer before it compares: ``strip_string`` of the original.

Source of the behaviour: ``evaluation/parser.py`` of QwenLM/Qwen2.5-Math. The order of the deletions is the original's,
since each sees what the ones before it have left. Faults kept: the unit words, among them ``a``, ``c``, ``h``, ``o``,
``s``, ``t``, ``by`` and ``per``, go wherever they stand between characters that are no letters or digits, so that
``east`` and ``west`` leave ``\text{}`` both; percent and degree signs go without a trace; ``x=`` goes anywhere, also out
of ``max=3``; ``and`` goes out of any word.
"""

import re
from functools import cache, lru_cache

from lit_rlvr.rewards.compat.hendrycks import after_short_name, brace_fractions, slash_to_fraction
from lit_rlvr.rewards.compat.number_words import in_digits
from lit_rlvr.rewards.limits import MAX_BOX

# In the original's order, mostly from MathQA. They are used as regular expressions: a dot stands for any character.
_SINGULAR = (
    "east|degree|mph|kmph|ft|m sqaure| m east|sq m|deg|mile|q .|monkey|prime|ratio|profit of rs|rd|o|gm|p . m|lb|tile|per|"
    "dm|lt|gain|ab|way|west|a .|b .|c .|d .|e .|f .|g .|h .|t|a|h|no change|men|soldier|pie|bc|excess|st|inches|noon|"
    "percent|by|gal|kmh|c|acre|rise|a . m|th|π r 2|sq|mark|l|toy|coin|sq . m|gallon|° f|profit|minw|yr|women|feet|am|pm|"
    "hr|cu cm|square|v â € ™|are|rupee|rounds|cubic|cc|mtr|s|ohm|number|kmph|day|hour|minute|min|second|man|woman|sec|"
    "cube|mt|sq inch|mp|∏ cm ³|hectare|more|sec|unit|cu . m|cm 2|rs .|rs|kg|g|month|km|m|cm|mm|apple|liter|loss|yard|"
    "pure|year|increase|decrease|d|less|Surface|litre|pi sq m|s .|metre|meter|inch"
)
_UNITS = _SINGULAR.split("|") + [unit + "s" for unit in _SINGULAR.split("|")]
# Each with what has to be in a text for it to match: most are ruled out by that, without a search.
_PROBES = [(unit.partition(".")[0], unit) for unit in _UNITS]

_BEFORE_UNITS = (
    ("bmatrix", "pmatrix"), ("tfrac", "frac"), ("dfrac", "frac"), ("\\neq", "\\ne"), ("\\leq", "\\le"), ("\\geq", "\\ge"),
    ("\\left", ""), ("\\right", ""), ("\\{", "{"), ("\\}", "}"),
)  # fmt: skip
_AFTER_UNITS = ("^{\\circ}", "^\\circ", "\\$", "$", "\\(", "\\)")
_NAMES = [letter + mark for mark in ("=", "\\in", "\\to") for letter in "xyz"]
_AFTER_NAMES = (
    ("\\emptyset", "{}"), ("(-\\infty,\\infty)", "\\mathbb{R}"), ("\\%", ""), ("%", ""), (" .", " 0."), ("{.", "{0."),
    ("infinity", "\\infty"),
)  # fmt: skip
_LAST = (("+\\inity", "\\infty"), ("and", ""), ("\\mathbf", ""))
_LAST_TEXT = re.compile(r"\\text\{.*?\}$")
# The digits before a point are taken whole: a run that fails from its first digit fails from the others too.
_ZEROS_INSIDE = re.compile(r"(?<!\d)(\d+)\.0*([^\d])")
_ZEROS_AT_END = re.compile(r"(?<!\d)(\d+)\.0*$")


@cache
def _unit_pattern(unit: str) -> re.Pattern[str]:
    return re.compile(rf"(^|\W){unit}($|\W)")


@lru_cache(maxsize=4096)
def clean(text: str) -> str:
    """The text that is compared. One that is too long to be read at all is returned as it is."""
    if len(text) > MAX_BOX:
        return text
    text = text.strip().replace("\n", "").rstrip(".").replace("\\!", "")
    text = re.sub(r"\\begin\{array\}\{.*?\}", r"\\begin{pmatrix}", text).replace("\\end{array}", "\\end{pmatrix}")
    for old, new in _BEFORE_UNITS:
        text = text.replace(old, new)
    text = _LAST_TEXT.sub("", text).strip() or text
    text = _without_units(text)
    for old in _AFTER_UNITS:
        text = text.replace(old, "")
    text = re.sub(r"\\text\{(.*?)\}", r"\1", in_digits(text))
    for name in _NAMES:
        text = text.replace(name, "")
    for old, new in _AFTER_NAMES:
        text = text.replace(old, new)
    if "\\infty" not in text:
        text = text.replace("inf", "\\infty")
    for old, new in _LAST:
        text = text.replace(old, new)
    text = re.sub(r"\\mbox\{.*?\}", "", text)
    if "i" not in text:
        text = text.replace("j", "i")
    text = _ZEROS_AT_END.sub(r"\1", _ZEROS_INSIDE.sub(r"\1\2", text))
    if not text:
        return text
    if text.startswith("."):
        text = "0" + text
    text = re.sub(r"\\sqrt(\w+)", r"\\sqrt{\1}", after_short_name(text)).replace(" ", "")
    return slash_to_fraction(brace_fractions(text), roots=True)


def _without_units(text: str) -> str:
    """Every unit deleted, twice over, except where nothing would be left."""
    for _ in range(2):
        for probe, unit in _PROBES:
            if probe in text:
                text = _unit_pattern(unit).sub(r"\1\2", text) or text
    return text
