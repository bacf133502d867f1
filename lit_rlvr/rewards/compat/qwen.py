r"""The paper's evaluation, as far as text and numbers decide; its symbolic step is in ``judge_qwen``.

Source of the behaviour: ``evaluation/parser.py`` (``extract_answer``) and ``evaluation/grader.py`` (``math_equal``) of
QwenLM/Qwen2.5-Math, after microsoft/ToRA and hendrycks/math.

Faults kept because they decide scores: an unbalanced box is an answer; a hundredth and the hundredfold of a number are
right, and so is what is within 1e-4 of it; braces and round brackets are deleted before texts are compared, so ``(1,2)``
is ``1,2`` and ``(3,4]`` is ``[3,4]``; and see ``qwen_text`` and ``judge_qwen``. Not kept: that Minerva's answers keep their
units (neither an answer nor a gold says which data set it is from), and that a gold ``A`` to ``E`` looks for a letter in the
whole response instead of in the answer.
"""

import math
import re

from lit_rlvr.rewards.compat.deferred import Same, decide_with, later
from lit_rlvr.rewards.compat.qwen_text import clean
from lit_rlvr.rewards.limits import MAX_BOX, MAX_NESTING, nesting
from lit_rlvr.rewards.verdict import Kind

_BRACE = re.compile(r"[{}]")
_NUMBER = re.compile(r"-?\d*\.?\d+")
_DIGITS = re.compile(r"-?[0-9]+(?:\.[0-9]+)?")
_CHOICE = re.compile(r"\b[A-E]\b")
_LIST = re.compile(r"[(\[].+[)\]]")
_TOLERANCE = 1e-4
_MATRIX = "\\begin{pmatrix}", "\\end{pmatrix}"
_NO_BRACKETS = str.maketrans("", "", "{}()")
# Stands for an answer that the cleaning leaves nothing of, such as a unit word: other than a blank one it is an answer,
# and equal to a gold of which nothing is left either.
_NOTHING = "\\text{}"
# A Cyrillic slip that the original removes from responses.
_SLIP = "ки"


def extract(response: str) -> str | None:
    """The answer of a response, cleaned: from its last box, else from what it calls its answer, else its last number."""
    response = response.replace(_SLIP, "")
    if "final answer is $" in response and "$. I hope" in response:
        return _finished(response.partition("final answer is $")[2].partition("$. I hope")[0].strip())
    if "boxed" in response:
        return _finished(_last_box(response))
    for mark in ("he answer is", "final answer is"):
        if mark in response:
            return _finished(response.rpartition(mark)[2].strip())
    if "答案是" in response:
        return _finished(response.split("答案是")[1].strip().partition("\n\n")[0].strip())
    numbers = _NUMBER.findall(response.replace(",", ""))
    return _finished(numbers[-1]) if numbers else None


def extract_boxed(response: str) -> str | None:
    """The cleaned inside of the last box, or None if there is no box."""
    response = response.replace(_SLIP, "")
    return _finished(_last_box(response)) if "boxed" in response else None


def _last_box(response: str) -> str:
    """What follows the last ``boxed``: up to its closing brace or, without any, the end; unbraced, up to a dollar."""
    inside = response.rpartition("boxed")[2]
    if not inside.startswith("{"):
        return inside.partition("$")[0].strip()
    depth = 0
    for brace in _BRACE.finditer(inside):
        depth += 1 if brace.group() == "{" else -1
        if depth == 0:
            return inside[1 : brace.start()]
    return inside[1:]


def _finished(answer: str) -> str:
    if len(answer) > MAX_BOX:
        return answer  # refused by ``decide``
    answer = re.sub(r"\n\s*", "", answer).removeprefix(":").removesuffix(".").removesuffix("/")
    # The original cleans what it has extracted, and cleans it again before it compares; that is not the same as once.
    return clean(clean(answer)) or (_NOTHING if answer.strip() else "")


def decide(answer: str, gold: str) -> Kind | None:
    """The verdict on an extracted answer from text and numbers alone, or None if it takes symbols."""
    if len(answer) <= MAX_BOX and nesting(answer) > max(2 * MAX_NESTING, nesting(gold)):
        return Kind.TOO_COSTLY  # deeper than recursion may go
    return decide_with(compare, answer, clean(gold))


def compare(answer: str, gold: str, same: Same = later) -> bool:
    """Whether an answer is the gold, both cleaned, with ``same`` for what text and numbers leave open."""
    if answer == _NOTHING:
        answer = ""
    if answer.strip().lower() == gold.strip().lower():
        return True
    if gold in ("A", "B", "C", "D", "E") and _choice(answer) == gold:
        return True
    if _close(_number(answer), _number(gold)):
        return True
    # The symbolic step would find no more in two numbers in digits, of which most wrong answers are.
    if not answer or (_DIGITS.fullmatch(answer) and _DIGITS.fullmatch(gold)):
        return False
    answer, gold = answer.strip(), gold.strip()
    if "pmatrix" in answer and "pmatrix" not in gold:
        gold = _as_matrices(gold)
    if _bare(answer, gold) == _bare(gold, answer, of_gold=True):
        return True
    if _LIST.match(answer) and _LIST.match(gold):
        return _compare_all(answer[1:-1].split(","), gold[1:-1].split(","), same)
    if _is_matrix(answer) and _is_matrix(gold):
        theirs, ours = _rows(answer), _rows(gold)
        return len(theirs) == len(ours) and all(
            _compare_all(a.split("&"), b.split("&"), same) for a, b in zip(theirs, ours, strict=True)
        )
    if answer.count("=") == 1 and gold.count("=") == 1:
        theirs_zero, ours_zero = _difference(answer), _difference(gold)
        return same(theirs_zero, ours_zero) or same(f"-({theirs_zero})", ours_zero)
    if _names_value(answer) and "=" not in gold:
        return compare(answer.split("=")[1], gold, same)
    if _names_value(gold) and "=" not in answer:
        return compare(answer, gold.split("=")[1], same)
    return same(answer, gold)


def _compare_all(answers: list[str], golds: list[str], same: Same) -> bool:
    return len(answers) == len(golds) and all(compare(a, b, same) for a, b in zip(answers, golds, strict=True))


def _choice(answer: str) -> str:
    """The last letter of a choice, or the answer without what surrounds it."""
    answer = answer.strip("\n").rstrip(".").rstrip("/").strip(" ").lstrip(":")
    letters = _CHOICE.findall(answer.upper())
    return (letters[-1] if letters else answer.strip().strip(".")).rstrip(".").rstrip("/")


def _number(text: str) -> float | None:
    text = text.replace(",", "")
    try:
        return float(text)
    except ValueError:
        pass
    try:
        return float(text[:-1].removesuffix("\\")) / 100 if text.endswith("%") else None
    except ValueError:
        return None


def _close(answer: float | None, gold: float | None) -> bool:
    if answer is None or gold is None:
        return False
    return any(math.isclose(value, answer, rel_tol=_TOLERANCE) for value in (gold / 100, gold, gold * 100))


def _bare(text: str, other: str, of_gold: bool = False) -> str:
    """A text without brackets; square ones go only if the answer is in brackets of one kind and the gold not in the other's."""
    answer, gold = (other, text) if of_gold else (text, other)
    square, round_ = (answer.startswith("["), answer.endswith("]")), (answer.startswith("("), answer.endswith(")"))
    if (all(square) and not (gold.startswith("(") and gold.endswith(")"))) or (
        all(round_) and not (gold.startswith("[") and gold.endswith("]"))
    ):
        text = text.strip("[]()")
    return text.translate(_NO_BRACKETS).lower()


def _as_matrices(gold: str) -> str:
    """A gold's sets as matrices; the row marks are broken, as the original's are, so only single rows ever agree."""
    rows = re.findall(r"\{.*,.*\}", gold)
    return ", ".join(_MATRIX[0] + row.strip("{}").replace(",", "\\") + _MATRIX[1] for row in rows)


def _is_matrix(text: str) -> bool:
    return text.startswith((_MATRIX[0], "\\begin{bmatrix}")) and text.endswith((_MATRIX[1], "\\end{bmatrix}"))


def _rows(matrix: str) -> list[str]:
    inside = matrix[len(_MATRIX[0]) : -len(_MATRIX[1])]
    return [row.strip() for row in inside.split("\\\\") if row.strip()]


def _difference(equation: str) -> str:
    left, right = equation.split("=")
    return f"{left.strip()} - ({right.strip()})"


def _names_value(text: str) -> bool:
    return text.count("=") == 1 and len(text.split("=")[0].strip()) <= 2
