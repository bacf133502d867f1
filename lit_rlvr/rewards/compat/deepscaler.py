r"""The paper's training reward, as far as text and numbers decide; its symbolic step is in ``judge_deepscaler``.

Source of the behaviour: ``verl/utils/reward_score/deepscaler.py`` of ypwang61/One-Shot-RLVR, which is the grader of
agentica-project/deepscaler, after openai/prm800k and hendrycks/math. An answer is right if its MATH form is the gold's,
or its prm800k form is, or the elements of the two prm800k forms are one by one the same by symbols.

Faults kept because they decide rewards: ``\text{ `` cuts off what follows, so ``12 \text{ or } 13`` is 12; elements
are compared in order; a fraction has to be reduced; where one side is an integer both have to be, and integers pass
through a float; what is within 1e-7 of an integer is that integer; a formula with more than two letters, with an exponent
in braces or of several digits is not looked at. An answer in ``\fbox`` counts only in a response that has ``\boxed`` too,
where it never is the one taken: that is, never. Not kept: the prompt's own box (only the response is read).
"""

import re

from lit_rlvr.rewards.compat.deferred import Same, decide_with, later
from lit_rlvr.rewards.compat.hendrycks import after_short_name, brace_fractions, slash_to_fraction
from lit_rlvr.rewards.compat.latex_text import plain_text
from lit_rlvr.rewards.limits import MAX_NESTING, nesting
from lit_rlvr.rewards.verdict import Kind

_BOX = "\\boxed{"
_BRACE = re.compile(r"[{}]")
_TEXT = re.compile(r"\\text\{(.+?)\}$")
_UNITS = "degree cm centimeter meter mile second minute hour day week month year foot feet inch yard"
_UNIT_PATTERNS = [re.compile(rf"{unit}(?:es)?s? *(?:\^[0-9]+)?") for unit in _UNITS.split()]
_DEGREES = re.compile(r"\^ *\\circ")
_MIXED = re.compile("([0-9]) +([0-9])")
_THOUSANDS = re.compile(r"(\d),(\d\d\d)($|\D)")
_FRACTION = re.compile(r"-?[0-9]+.?/0*[1-9][0-9]*.?$")
_LARGE_POWER = re.compile(r"\^(?:[{(]|[0-9]+\^|[0-9]{2})")
_TOLERANCE = 1e-7
# Numbers of so few digits that floats compare them as sympy does: spares wrong answers, most of them integers, a worker.
_SHORT_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]{0,8})(?:\.[0-9]{0,5})?")


def extract(response: str) -> str | None:
    r"""The inside of the last ``\boxed{...}`` by count of braces, or None; a last box that is not closed is none."""
    start = response.rfind("\\boxed")
    if start < 0:
        return None
    depth = 0
    for brace in _BRACE.finditer(response, start):
        if brace.group() == "{":
            depth += 1
            continue
        depth -= 1
        if depth == 0:
            # Something between the command and the brace, be it a space, spoils the box.
            return response[start + len(_BOX) : brace.start()] if response.startswith(_BOX, start) else None
    return None


def decide(answer: str, gold: str) -> Kind | None:
    """The verdict on an answer from text and numbers alone, or None if it takes symbols."""
    if answer == gold:
        return Kind.RIGHT
    # Deeper nesting exceeds what can be read by recursion, here or in a worker.
    if nesting(answer) > max(2 * MAX_NESTING, nesting(gold)):
        return Kind.TOO_COSTLY
    return decide_with(compare, answer, gold)


def compare(answer: str, gold: str, same: Same = later) -> bool:
    """Whether an answer is right, with ``same`` for pairs of elements that text and numbers leave open."""
    wanted = extract(gold) if "\\boxed" in gold else gold
    if wanted is None:
        return False
    if math_form(answer) == math_form(wanted):
        return True
    ours, theirs = prm_form(wanted), prm_form(answer)
    if ours == theirs:
        return True
    if not theirs:
        return False
    expected, given = _elements(ours), _elements(theirs)
    if len(expected) > 1 and (ours[0], ours[-1]) != (theirs[0], theirs[-1]):
        return False
    return len(expected) == len(given) and all(
        _same_element(theirs, ours, same) for ours, theirs in zip(expected, given, strict=True)
    )


def _same_element(answer: str, gold: str, same: Same) -> bool:
    if _FRACTION.match(gold) and _FRACTION.match(answer):
        return answer == gold
    if _is_whole(gold) != _is_whole(answer):
        return False
    if _SHORT_NUMBER.fullmatch(gold) and _SHORT_NUMBER.fullmatch(answer):
        return float(gold) == float(answer)
    return _is_modest(f"({gold})-({answer})") and same(answer, gold)


def _is_modest(text: str) -> bool:
    """Whether the original would have sympy read it."""
    letters = {letter for letter in text.replace("sqrt", "").replace("frac", "") if letter.isalpha()}
    return len(letters) <= 2 and not _LARGE_POWER.search(text)


def _elements(form: str) -> list[str]:
    """The elements of a flat tuple or interval; anything else is one element."""
    form = _without_thousands(form)
    brackets = "()[]"
    if len(form) > 2 and form[0] in brackets and form[-1] in brackets and not set(form[1:-1]) & set(brackets):
        return [element.strip() for element in form[1:-1].split(",")]
    return [form] if form else []


def math_form(text: str) -> str:
    """The form of hendrycks/math. Text that its repairs fail on keeps the form it came in."""
    text = text.strip()
    if match := _TEXT.match(text):
        text = match[1].strip()
    form = text
    for old, new in (("\n", ""), ("\\!", ""), ("\\\\", "\\"), ("tfrac", "frac"), ("dfrac", "frac"), ("\\left", "")):
        form = form.replace(old, new)
    for old in ("\\right", "^{\\circ}", "^\\circ", "\\$"):
        form = form.replace(old, "")
    form, *units = form.split("\\text{ ")
    if len(units) > 1:
        return text
    form = form.replace("\\%", "").replace(" .", " 0.").replace("{.", "{0.")
    if form.startswith("."):
        form = "0" + form
    form = after_short_name(form)
    if form.endswith("\\sqrt") or "\\sqrt\\sqrt" in form:
        return text
    # One character after a root is its argument, even a space or a backslash.
    form = re.sub(r"\\sqrt([^{])", r"\\sqrt{\1}", form, flags=re.DOTALL).replace(" ", "")
    if form.endswith("\\frac") or "\\frac\\frac" in form:
        return text
    form = brace_fractions(form)
    return slash_to_fraction("\\frac{1}{2}" if form == "0.5" else form, roots=False)


def prm_form(text: str) -> str:
    """The form of openai/prm800k: without units, LaTeX as text, in lower case, integers as such."""
    if match := _TEXT.match(text):
        text = match[1]
    for old, new in (("\\%", "%"), ("\\$", "$"), ("$", ""), ("%", ""), (" or ", " , "), (" and ", " , ")):
        text = text.replace(old, new)
    for old, new in (("million", "*10^6"), ("billion", "*10^9"), ("trillion", "*10^12")):
        text = text.replace(old, new)
    for unit in _UNIT_PATTERNS:
        text = unit.sub("", text)
    text = _DEGREES.sub("", text)
    if text.startswith("{") and text.endswith("}"):
        text = text[1:-1]
    text = re.sub(r",\\! *", "", text)
    if _near_whole(text):
        text = str(round(float(text)))
    if "\\" in text:
        text = _as_text(text)
    text = _MIXED.sub(r"\1+\2", re.sub("- *", "-", text))
    for old in " {}":
        text = text.replace(old, "")
    text = text.lower()
    return str(int(float(text.replace(",", "")))) if _is_whole(text) else text


def _as_text(latex: str) -> str:
    for old, new in (("\\tfrac", "\\frac"), ("\\dfrac", "\\frac"), ("\\frac", " \\frac")):
        latex = latex.replace(old, new)
    try:
        text = plain_text(latex)
    except ValueError:
        return latex
    for old, new in (("√", "sqrt"), ("π", "pi"), ("∞", "inf"), ("∪", "U"), ("·", "*"), ("×", "*")):
        text = text.replace(old, new)
    return text.strip()


def _without_thousands(text: str) -> str:
    while (shorter := _THOUSANDS.sub(r"\1\2\3", text)) != text:
        text = shorter
    return text


def _near_whole(text: str) -> bool:
    try:
        number = float(text)
        return abs(number - round(number)) <= _TOLERANCE
    except (ValueError, OverflowError):
        return False


def _is_whole(text: str) -> bool:
    return _near_whole(_without_thousands(text))
