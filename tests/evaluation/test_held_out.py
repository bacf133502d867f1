"""Development and test parts, and what was trained on."""

import json
from pathlib import Path

import pytest

from lit_rlvr.errors import UserError
from lit_rlvr.evaluation.benchmarks import load
from lit_rlvr.evaluation.held_out import leave_out, question_key, take_split
from lit_rlvr.evaluation.plan import EvaluationPlan
from lit_rlvr.experience import Problem

PROBLEMS = tuple(Problem(str(i), f"What is {i} + 1?", str(i + 1)) for i in range(300))


def test_the_parts_are_disjoint_and_whole() -> None:
    development, test = take_split(PROBLEMS, "development"), take_split(PROBLEMS, "test")
    assert set(development) | set(test) == set(PROBLEMS)
    assert not set(development) & set(test)
    assert 70 < len(development) < 130
    assert [int(problem.id) for problem in test] == sorted(int(problem.id) for problem in test)


def test_a_question_is_on_one_side_whatever_the_file_and_its_spelling() -> None:
    spelled = tuple(
        Problem(f"b{p.id}", p.question.upper().replace(" ", " ").replace("?", " ?"), p.answer) for p in PROBLEMS[::-1]
    )
    for split in ("development", "test"):
        here = {question_key(problem.question) for problem in take_split(PROBLEMS, split)}
        assert here == {question_key(problem.question) for problem in take_split(spelled, split)}


def test_copies_count_once_in_a_part() -> None:
    assert take_split(PROBLEMS + PROBLEMS, "test") == take_split(PROBLEMS, "test")


def test_what_was_trained_on_is_left_out() -> None:
    trained = Problem("other", "what is 7+1 ?", "8")
    assert [p.id for p in PROBLEMS if p not in leave_out(PROBLEMS, [trained])] == ["7"]


def test_a_plan_takes_its_part_without_the_training_problem(tmp_path: Path) -> None:
    whole = load("tiny500")
    parts = [EvaluationPlan("tiny500", split=split).problems() for split in ("development", "test")]
    assert len(parts[0]) + len(parts[1]) == len({question_key(problem.question) for problem in whole})
    trained = tmp_path / "trained.jsonl"
    trained.write_text(json.dumps({"problem": parts[1][3].question, "answer": "5"}))
    plan = EvaluationPlan("tiny500", split="test", exclude=str(trained))
    assert plan.problems() == parts[1][:3] + parts[1][4:]
    assert "tiny500: the test part of 500 problems, greedy" in plan.describe()
    assert len(EvaluationPlan("tiny500", split="test", exclude=str(trained), limit=20).problems()) == 20
    everything = tmp_path / "all.jsonl"
    everything.write_text("\n".join(json.dumps({"problem": p.question, "answer": p.answer}) for p in whole))
    with pytest.raises(UserError, match="tiny500: split and exclude leave no problem over"):
        EvaluationPlan("tiny500", exclude=str(everything)).problems()


def test_the_real_files_share_questions_and_the_parts_do_not(
    shared_data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LIT_RLVR_DATA", str(shared_data))
    names = ("mawps-singleop", "mawps-singleeq", "mawps-addsub")
    keys = {
        (name, split): {question_key(p.question) for p in EvaluationPlan(name, split=split).problems()}
        for name in names
        for split in ("development", "test")
    }
    assert keys["mawps-addsub", "test"] & keys["mawps-singleeq", "test"]
    for here in names:
        for there in names:
            assert not keys[here, "development"] & keys[there, "test"]
