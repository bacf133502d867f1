"""Rows in each known schema, written by hand, against the problem they hold."""

from typing import Any

import pytest

from lit_rlvr.data.prompts import SUFFIX
from lit_rlvr.data.schemas import CHOOSE, SchemaError, parse_row
from lit_rlvr.experience import Problem


def _verl(content: Any, truth: Any = "7", **info: Any) -> dict[str, Any]:
    return {
        "data_source": "maker",
        "prompt": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": content}],
        "reward_model": {"style": "rule", "ground_truth": truth},
        "extra_info": {"index": 12, "split": "train", **info},
    }


def test_verl_rows_lose_the_suffix_and_nothing_else() -> None:
    problem = parse_row(_verl("Add 3 and 4.\n" + SUFFIX, subject="Sums", level="2", unique_id="u/1"))
    assert problem == Problem("12", "Add 3 and 4.\n", "7", "Sums", "2", "maker")


def test_verl_rows_without_the_suffix_stay_as_they_are() -> None:
    assert parse_row(_verl("Add 3 and 4.")).question == "Add 3 and 4."


def test_the_last_user_message_is_the_question() -> None:
    row = _verl("first")
    row["prompt"] += [{"role": "assistant", "content": "no"}, {"role": "user", "content": "second"}]
    assert parse_row(row).question == "second"


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        (
            {
                "problem": " Find x. ",
                "solution": r"\boxed{1}",
                "answer": r"\frac{1}{2}",
                "subject": "Algebra",
                "level": 3,
            },
            Problem("", "Find x.", r"\frac{1}{2}", "Algebra", "3", "s"),
        ),
        (
            {"problem": "P", "answer": "a", "type": "Geometry", "level": "Level 5"},
            Problem("", "P", "a", "Geometry", "5", "s"),
        ),
        (
            {"problem": "P", "answer": "a", "unique_id": "test/1.json", "id": 3},
            Problem("test/1.json", "P", "a", source="s"),
        ),
        ({"problem": "P", "question": "Q", "answer": 27.0, "id": 0}, Problem("0", "P", "27", source="s")),
        ({"question": "Q", "answer": "3*5=15 <<3*5=15>>\n#### 1,450", "idx": 8}, Problem("8", "Q", "1450", source="s")),
        ({"question": "Q", "answer": "1,450"}, Problem("", "Q", "1,450", source="s")),
        ({"input": "I", "target": 43.0}, Problem("", "I", "43", source="s")),
        ({"input": "I", "target": 9.43}, Problem("", "I", "9.43", source="s")),
        ({"input": "I", "target": 0.00001}, Problem("", "I", "0.00001", source="s")),
        ({"input": "I", "target": -3}, Problem("", "I", "-3", source="s")),
        (
            {"problem": "M", "solution": r"So \boxed{4}, no, $\boxed{\frac{5}{6}}$ m.", "type": "Optics", "idx": 2},
            Problem("2", "M", r"\frac{5}{6}", "Optics", source="s"),
        ),
        (
            {"question": "O", "final_answer": ["2"], "context": "None", "subfield": "Algebra", "id": 9},
            Problem("9", "O", "2", "Algebra", source="s"),
        ),
        ({"question": "O", "final_answer": "['$69$,$84$']"}, Problem("", "O", "69,84", source="s")),
        ({"question": "O", "final_answer": ["$x=1$", "$y=2$"]}, Problem("", "O", "x=1, y=2", source="s")),
        ({"question": "O", "final_answer": [r"\$5"], "context": "C"}, Problem("", "C\nO", r"\$5", source="s")),
        ({"question": "O", "final_answer": "[1, 2)"}, Problem("", "O", "[1, 2)", source="s")),
        ({"question": "O", "final_answer": "[1, 2]"}, Problem("", "O", "[1, 2]", source="s")),
        (
            {"ID": "c-1", "Body": "Ann has 3 pens. ", "Question": "How many?", "Answer": 3.0, "Type": "Sum"},
            Problem("c-1", "Ann has 3 pens. How many?", "3", "Sum", source="s"),
        ),
        (
            {"id": "m", "question": "Which?", "choices": {"text": ["x", " y"], "label": ["A", "B"]}, "answerKey": "B"},
            Problem("m", f"Which?\nA. x\nB. y\n{CHOOSE}", "B", source="s"),
        ),
        (
            {"question": "Q", "choices": {"text": ["p", "q", "r"], "label": ["1", "2", "3"]}, "answerKey": "1"},
            Problem("", f"Q\nA. p\nB. q\nC. r\n{CHOOSE}", "A", source="s"),
        ),
    ],
)
def test_rows_of_the_other_schemas(row: dict[str, Any], expected: Problem) -> None:
    assert parse_row(row, "s") == expected


@pytest.mark.parametrize(
    "row",
    [
        {"problem": "P", "answer": "  "},
        {"problem": "P", "answer": None},
        {"problem": "P", "answer": float("nan")},
        {"problem": "P", "solution": "no box"},
        {"question": "Q", "answer": "working\n####"},
        {"question": "Q", "final_answer": []},
        _verl("P", truth=" "),
        {"question": "Q", "choices": {"text": ["p", "q"], "label": ["A", "B"]}, "answerKey": ""},
    ],
)
def test_a_blank_gold_answer_is_empty(row: dict[str, Any]) -> None:
    assert parse_row(row).answer == ""


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"text": "T", "label": 1}, r"no known schema fits its keys \(text, label\)"),
        ({}, r"no known schema fits its keys \(none\)"),
        ({"problem": " ", "answer": "1"}, "question is blank"),
        ({"question": "", "choices": {"text": ["p", "q"], "label": ["A", "B"]}, "answerKey": "A"}, "question is blank"),
        ({"question": "Q", "choices": ["p", "q"], "answerKey": "A"}, "choices are no lists of text and label"),
        ({"question": "Q", "choices": {"text": ["p", "q"], "label": ["A"]}, "answerKey": "A"}, "choices are no lists"),
        (
            {"question": "Q", "choices": {"text": ["p", "q"], "label": ["A", "B"]}, "answerKey": "1"},
            "its answerKey 1 is not one of its labels A, B",
        ),
        ({"prompt": [], "reward_model": {"ground_truth": "1"}}, "no user message"),
        ({"prompt": "Q", "reward_model": {"style": "rule"}}, "no ground_truth"),
    ],
)
def test_rows_that_cannot_be_read(row: dict[str, Any], message: str) -> None:
    with pytest.raises(SchemaError, match=message):
        parse_row(row)
