"""Responses on disk: what is written comes back, whatever ended the process that wrote it."""

import json
from itertools import product
from pathlib import Path

import pytest

from lit_rlvr.errors import UserError
from lit_rlvr.evaluation.evaluator import EvaluationPlan, EvaluationResult
from lit_rlvr.evaluation.responses import Response
from lit_rlvr.evaluation.store import ResponseStore, problem_of, read_responses, response_of
from lit_rlvr.experience import Problem
from lit_rlvr.rewards.verdict import Kind, Verdict
from tests.evaluation.doubles import TableEngine, run

PLAN = EvaluationPlan("tiny500", samples=2, temperature=0.5)
PROBLEMS = tuple(Problem(f"p/{i}", f"Say {i}.\u2028Ü", str(i), "s", "3") for i in range(4))


def chunk(*indices: int) -> tuple[list[Response], list[Verdict]]:
    responses = [Response(i, j, f"{i}/{j}\n\r\u2028", 5 + j, j == 0) for i, j in product(indices, range(2))]
    return responses, [Verdict(Kind.WRONG, "7")] * len(responses)


def store(folder: Path, rank: int = 0) -> ResponseStore:
    return ResponseStore(folder, PLAN, PROBLEMS, rank)


def test_what_was_kept_comes_back(tmp_path: Path) -> None:
    first = store(tmp_path)
    assert first.done == 0
    assert first.recall([0]) is None
    first.keep(*chunk(0, 1))
    again = store(tmp_path)
    assert again.done == 4
    assert again.recall([0, 1]) == chunk(0, 1)[0]
    assert again.recall([1]) == chunk(1)[0]
    assert again.recall([1, 2]) is None


def test_a_torn_line_is_written_over(tmp_path: Path) -> None:
    store(tmp_path).keep(*chunk(0, 1))
    (part,) = tmp_path.iterdir()
    part.write_bytes(part.read_bytes()[:-30])
    again = store(tmp_path)
    assert again.recall([0]) == chunk(0)[0]
    assert again.recall([1]) is None
    again.keep(*chunk(1))
    assert store(tmp_path).recall([0, 1]) == chunk(0, 1)[0]


def test_parts_become_one_file_in_order(tmp_path: Path) -> None:
    """Four processes began it, and one went on: nothing of the others is lost or counted twice."""
    for rank, indices in ((3, (3,)), (1, (1,))):
        store(tmp_path, rank).keep(*chunk(*indices))
    alone = store(tmp_path)
    assert alone.recall([1]) == chunk(1)[0]
    assert alone.recall([0, 1]) is None
    alone.keep(*chunk(0, 1))
    alone.keep(*chunk(2))
    alone.settle()
    assert [path.name for path in tmp_path.iterdir()] == ["tiny500@2.jsonl"]
    rows, size = read_responses(alone.file)
    assert size == alone.file.stat().st_size
    assert [response_of(row) for row in rows] == chunk(0, 1, 2, 3)[0]
    assert [problem_of(row) for row in rows[::2]] == list(PROBLEMS)
    assert {(row["benchmark"], row["verdict"], row["answer"]) for row in rows} == {("tiny500", "wrong", "7")}
    assert store(tmp_path).recall(range(4)) == chunk(0, 1, 2, 3)[0]


@pytest.mark.parametrize("damage", ["{}", "no", '{"index": 1}', "[]", "3"])
def test_damage_is_named(tmp_path: Path, damage: str) -> None:
    store(tmp_path).keep(*chunk(0))
    (part,) = tmp_path.iterdir()
    part.write_text(part.read_text() + damage + "\n")
    with pytest.raises(UserError, match=r"part, row 3 holds no response of an evaluation"):
        store(tmp_path)


def test_other_plans_are_left_alone(tmp_path: Path) -> None:
    store(tmp_path).keep(*chunk(0))
    other = ResponseStore(tmp_path, EvaluationPlan("tiny500"), PROBLEMS)
    assert other.recall([0]) is None
    other.settle()
    assert store(tmp_path).recall([0]) is not None


@pytest.mark.parametrize("world_size", [1, 3])
@pytest.mark.parametrize(("samples", "temperature"), [(1, 0.0), (8, 0.6)])
def test_an_evaluation_goes_on_where_it_was_stopped(
    problem_file: str, tmp_path: Path, samples: int, temperature: float, world_size: int
) -> None:
    plan = EvaluationPlan("tiny500", path=problem_file, samples=samples, temperature=temperature, limit=121)

    class Stops(TableEngine):
        def generate(self, *arguments, **more):  # type: ignore[no-untyped-def]
            if len(self.calls) == 1:
                raise KeyboardInterrupt
            return super().generate(*arguments, **more)

    def keeper(rank: int) -> ResponseStore:
        return ResponseStore(tmp_path, plan, plan.problems(), rank)

    for rank in range(2):
        with pytest.raises(KeyboardInterrupt):
            run(plan, engine=Stops(), keeper=keeper(rank), rank=rank, world_size=2, batch_responses=25)
    parts, engines = [], [TableEngine() for _ in range(world_size)]
    for rank, engine in enumerate(engines):
        split = {"rank": rank, "world_size": world_size}
        parts.append(run(plan, engine=engine, keeper=keeper(rank), batch_responses=25, **split))
    whole = (
        parts[0] if world_size == 1 else EvaluationResult.merge(EvaluationResult.merge(parts[0], parts[1]), parts[2])
    )
    assert whole == run(plan)
    if temperature:  # their chunks are the same however many processes there are: 2 of the 4 were there
        assert sum(prompts for engine in engines for prompts, _, _ in engine.calls) == 121 - 2 * 32
    keeper(0).settle()
    rows = [json.loads(line) for line in (tmp_path / f"tiny500@{samples}.jsonl").read_text().split("\n") if line]
    assert [(row["index"], row["sample"]) for row in rows] == list(product(range(121), range(samples)))
    assert sum(row["verdict"] == "right" for row in rows) == sum(whole.correct)
