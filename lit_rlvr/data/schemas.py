"""One row of a data set -> one Problem. The schema is told from the keys, row by row.

First stage of the line, below the readers, which find the rows. Known schemas:

=====================  =================================================================================
verl                   prompt (chat messages), reward_model.ground_truth, extra_info.index
OlympiadBench          question, final_answer (list), subfield
MAWPS                  input, target
ARC (multiple choice)  question, choices (text and label), answerKey
SVAMP                  Body, Question, Answer; Type, ID
MATH, AIME, AMC        problem (or question), answer; subject or type, level, unique_id
GSM8K                  question, answer ending in ``#### n``
Minerva                problem (or question), solution whose last box is the answer
=====================  =================================================================================
"""

import ast
import math
import re
from collections.abc import Mapping
from decimal import Decimal
from string import ascii_uppercase
from typing import Any

from lit_rlvr.data.prompts import SUFFIX
from lit_rlvr.errors import cut
from lit_rlvr.experience import Problem
from lit_rlvr.rewards.extract import extract_boxed

_IDS: tuple[str, ...] = ("unique_id", "id", "ID", "idx", "index")
_VERL_IDS: tuple[str, ...] = ("index", "unique_id")  # the released accuracy histories are keyed by the index
_SUBJECTS = ("subject", "type", "Type", "subfield")

CHOOSE = "Answer with the letter of the right choice."
"""Stands under the choices of a multiple-choice question, whose gold answer is a letter."""


class SchemaError(ValueError):
    """A row that cannot be read; the message says why, the reader adds where."""


def parse_row(row: Mapping[str, Any], source: str = "") -> Problem:
    """The problem in a row.

    Args:
        row: one record, keys to plain Python values.
        source: recorded as the problem's source unless the row names its own.

    Returns:
        A Problem whose id is empty where the row has none, and whose answer is empty where the gold answer is blank.

    Raises:
        SchemaError: no known schema fits, or the question is blank.
    """
    if "prompt" in row and "reward_model" in row:
        question, answer = _last_user_message(row["prompt"]), _verl_answer(row["reward_model"])
        details, ids = row.get("extra_info"), _VERL_IDS
        source = str(row.get("data_source") or source)
    else:
        question, answer = _question_and_answer(row)
        details, ids = row, _IDS
    details = details if isinstance(details, Mapping) else {}
    if not question.strip():
        raise SchemaError("its question is blank")
    return Problem(
        id=_first(details, ids),
        question=question,
        answer=answer,
        subject=_first(details, _SUBJECTS),
        level=_first(details, ("level",)).removeprefix("Level "),
        source=source,
    )


def _question_and_answer(row: Mapping[str, Any]) -> tuple[str, str]:
    if "input" in row and "target" in row:
        return _said(row["input"]), _gold(row["target"])
    if "choices" in row and "answerKey" in row:
        return _multiple_choice(row)
    if "Body" in row and "Question" in row and "Answer" in row:
        # Its numbers are text, 145.0.
        return f"{_said(row['Body'])} {_said(row['Question'])}".strip(), re.sub(r"\.0+$", "", _gold(row["Answer"]))
    key = "problem" if "problem" in row else "question"
    if key in row and "final_answer" in row:
        context = _said(row.get("context"), "context")
        question = _said(row[key])
        return (f"{context}\n{question}" if context else question), _final_answer(row["final_answer"])
    if key in row and "answer" in row:
        return _said(row[key]), _after_hashes(row["answer"])
    if key in row and "solution" in row:
        return _said(row[key]), (extract_boxed(_said(row["solution"], "solution")) or "").strip()
    keys = cut(", ".join(map(str, row)) or "none", 200)
    raise SchemaError(
        f"no known schema fits its keys ({keys}); give it problem and answer, question and answer, input and target, "
        "question and final_answer, question, choices and answerKey, Body, Question and Answer, problem and solution, or prompt, reward_model and extra_info"
    )


def _multiple_choice(row: Mapping[str, Any]) -> tuple[str, str]:
    """The question with its choices under it, lettered A, B, C … in their order, whatever the file calls them."""
    question, choices = _said(row.get("question")), row["choices"]
    texts, labels = (choices.get("text"), choices.get("label")) if isinstance(choices, Mapping) else (None, None)
    if not isinstance(texts, list) or not isinstance(labels, list) or not 2 <= len(texts) == len(labels) <= 26:
        raise SchemaError("its choices are no lists of text and label, one label for each of 2 to 26 texts")
    key, names = _text(row["answerKey"]), [_text(label) for label in labels]
    if key and names.count(key) != 1:
        raise SchemaError(f"its answerKey {cut(key)} is not one of its labels {cut(', '.join(names))}")
    lettered = [f"{letter}. {_text(text)}" for letter, text in zip(ascii_uppercase, texts, strict=False)]
    answer = ascii_uppercase[names.index(key)] if key else ""
    return "\n".join([question, *lettered, CHOOSE]) if question else "", answer


def _last_user_message(prompt: Any) -> str:
    """The question of a verl prompt, without the paper's suffix, which a template adds again, exactly once."""
    messages = [{"role": "user", "content": prompt}] if isinstance(prompt, str) else prompt
    said = [
        message["content"]
        for message in (messages if isinstance(messages, list) else [])
        if isinstance(message, Mapping) and message.get("role") == "user" and isinstance(message.get("content"), str)
    ]
    if not said:
        raise SchemaError("its prompt holds no user message with text")
    # Not stripped otherwise: some of the paper's questions end in a line break before the suffix.
    return said[-1].removesuffix(SUFFIX)


def _verl_answer(reward_model: Any) -> str:
    if not isinstance(reward_model, Mapping) or "ground_truth" not in reward_model:
        raise SchemaError("its reward_model has no ground_truth")
    return _gold(reward_model["ground_truth"])


def _after_hashes(answer: Any) -> str:
    """GSM8K writes the working, then ``#### 1,450``; other answers stand alone."""
    text = _gold(answer)
    if "####" not in text:
        return text
    return text.rsplit("####", 1)[1].strip().replace(",", "")


def _final_answer(value: Any) -> str:
    """OlympiadBench: a list (or its printed form) of answers in LaTeX, with dollar signs here and there."""
    if isinstance(value, str) and value.strip().startswith("["):
        try:
            read = ast.literal_eval(value.strip())
        except (ValueError, SyntaxError):
            read = value  # an interval such as [1, 2) is an answer, not a printed list
        value = read if isinstance(read, list) and all(isinstance(entry, str) for entry in read) else value
    return re.sub(r"(?<!\\)\$", "", _gold(value)).strip()


def _gold(value: Any) -> str:
    """A gold answer as text: 43.0 is "43", several answers are joined by commas, nothing is ""."""
    if value is None or (isinstance(value, float) and not math.isfinite(value)):
        return ""
    if isinstance(value, float):
        # Decimal, because repr would write 1e-05.
        return str(int(value)) if value == int(value) else f"{Decimal(repr(value)):f}"
    if isinstance(value, Mapping | bytes):
        raise SchemaError(f"its answer is {str(value)[:40]}, which is neither text nor a number, nor a list of them")
    if isinstance(value, list | tuple):
        return ", ".join(_gold(entry) for entry in value)
    return str(value).strip()


def _said(value: Any, what: str = "question") -> str:
    """What must be text where it is anything."""
    if value is not None and not isinstance(value, str):
        raise SchemaError(f"its {what} is {str(value)[:40]}, which is no text")
    return _text(value)


def _text(value: Any) -> str:
    """Text without outer blanks; the word None that some files hold counts as none."""
    return "" if value is None or value == "None" else str(value).strip()


def _first(row: Mapping[str, Any], keys: tuple[str, ...]) -> str:
    return next((text for key in keys if (text := _text(row.get(key)))), "")
