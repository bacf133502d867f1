"""Whose folder it is: an evaluation goes on with itself and with nothing else."""

import json
from pathlib import Path
from typing import Any

import pytest

from lit_rlvr.errors import UserError
from lit_rlvr.evaluation.evaluator import EvaluationPlan
from lit_rlvr.evaluation.folder import EvaluationFolder, Manifest, plan_to_json

PLANS = [EvaluationPlan("tiny500", rules=("qwen",)), EvaluationPlan("aime24", limit=4)]


def manifest(**changes: Any) -> Manifest:
    plans = [plan_to_json(plan) for plan in PLANS]
    base = {"policy": "p", "weights": "ab", "rl_step": 3, "seed": 0, "engine": {"class_path": "E"}, "plans": plans}
    return base | {"prompts": ["1", "2"]} | changes


def claim(path: Path, **changes: Any) -> None:
    folder = EvaluationFolder(path)
    folder.claim(manifest(**changes))
    folder.release()


def test_the_same_evaluation_may_go_on(tmp_path: Path) -> None:
    claim(tmp_path / "new" / "out")
    claim(tmp_path / "new" / "out")
    claim(tmp_path / "new" / "out", policy="the same weights in another place")
    folder = EvaluationFolder(tmp_path / "new" / "out")
    plans = folder.plans_of(folder.manifest())
    assert [plan.settled() for plan in plans] == [plan.settled() for plan in PLANS]
    assert [(plan.rules, plan.limit) for plan in plans] == [(("qwen",), None), ((), 4)]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"weights": "cd", "policy": "q"}, r"with another policy, p \(ab\) and not q \(cd\)"),
        ({"seed": 1}, "with the seed 0 and not 1"),
        ({"rl_step": 4}, "with the rl_step 3 and not 4"),
        ({"engine": {"class_path": "F"}}, "with another engine"),
        ({"prompts": ["1", "3"]}, "with other problems or prompts"),
        ({"plans": []}, "with other benchmarks or decoding"),
        ({"plans": [plan_to_json(EvaluationPlan("tiny500")), plan_to_json(PLANS[1])]}, "--rescore .* --rules"),
    ],
)
def test_another_evaluation_is_refused(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    claim(tmp_path / "out")
    before = (tmp_path / "out" / "evaluation.json").read_text()
    with pytest.raises(UserError, match=message):
        claim(tmp_path / "out", **changes)
    assert (tmp_path / "out" / "evaluation.json").read_text() == before
    claim(tmp_path / "out")  # and the lock was let go


def test_one_process_at_a_time(tmp_path: Path) -> None:
    first = EvaluationFolder(tmp_path / "out")
    first.claim(manifest())
    with pytest.raises(UserError, match="Another process is at work"):
        claim(tmp_path / "out")
    first.release()
    claim(tmp_path / "out")


def test_what_is_not_ours_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    for taken in (tmp_path, tmp_path / "notes.txt"):
        with pytest.raises(UserError, match="is there and holds no evaluation"):
            claim(taken)
    with pytest.raises(UserError, match=r"Cannot write to .*notes\.txt/out"):
        claim(tmp_path / "notes.txt" / "out")
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


@pytest.mark.parametrize("content", ["", "{", "[]", "{}", '{"plans": [{"benchmark": "no"}]}', '{"plans": [{"x": 1}]}'])
def test_a_damaged_manifest(tmp_path: Path, content: str) -> None:
    (tmp_path / "evaluation.json").write_text(content)
    for _ in range(2):  # the second time to see that the lock was let go
        with pytest.raises(UserError, match=r"evaluation\.json is damaged or of another version|no benchmark 'no'"):
            claim(tmp_path)


def test_rows(tmp_path: Path) -> None:
    folder = EvaluationFolder(tmp_path)
    assert folder.rows() == []
    common = {"rl_step": 0, "problems": 2, "temperature": 0.6, "accuracy": 0.5}
    rows = [{"benchmark": "tiny500", "k": 1, "subjects": {"a\u2028b": [1, 2]}}, {"benchmark": "aime24", "k": 8}]
    rows = [common | row for row in rows]
    folder.write_rows(rows)
    assert folder.rows() == rows
    assert folder.row_of(PLANS[1]) == rows[1]
    assert folder.row_of(EvaluationPlan("aime24", samples=2)) is None
    folder.rows_file.write_text(json.dumps(rows[0])[:-4])
    with pytest.raises(UserError, match=r"evaluations\.jsonl is damaged"):
        folder.rows()
