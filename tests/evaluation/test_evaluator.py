"""The evaluator on an engine that answers from a table: what it counts, what it asks for, and that splits change nothing."""

import json
from collections.abc import Sequence
from dataclasses import replace
from functools import reduce
from pathlib import Path
from typing import Any

import pytest
import torch

from lit_rlvr.errors import UserError
from lit_rlvr.evaluation.benchmarks import load
from lit_rlvr.evaluation.evaluator import EvaluationPlan, EvaluationResult
from lit_rlvr.evaluation.metrics import PerProblemAccuracy
from lit_rlvr.experience import Rollouts
from lit_rlvr.rewards.verdict import Kind, Verdict
from lit_rlvr.rewards.verifier import Verifier
from lit_rlvr.rollout.engine import Progress, RolloutEngine, Sampling
from tests.evaluation.doubles import TableEngine, run

RULES = ("deepscaler", "qwen", "exact/flexible")


def test_the_double_keeps_the_contract() -> None:
    assert isinstance(TableEngine(), RolloutEngine)


def test_greedy_counts(problem_file: str) -> None:
    engine = TableEngine()
    result = run(EvaluationPlan("tiny500", path=problem_file), engine=engine, rl_step=40)
    right = [i % 2 == 0 and i % 5 != 4 for i in range(500)]
    assert result.correct == tuple(map(int, right))
    assert result.sampled == (1,) * 500
    assert result.accuracy == pytest.approx(0.4)
    assert result.stderr == pytest.approx((0.4 * 0.6 / 499) ** 0.5)
    assert result.boxed_rate == pytest.approx(0.8)
    assert result.right_given_boxed == pytest.approx(0.5)
    assert result.majority_accuracy == result.accuracy
    low, high = result.interval
    assert 0.35 < low < 0.4 < high < 0.45
    assert result.truncated_rate == pytest.approx(0.2)
    assert result.kinds == {
        "right": 200,
        "wrong": 200,
        "no_answer": 100,
        "unparsable": 0,
        "too_costly": 0,
        "crashed": 0,
    }
    thirds = {"abc"[j]: [i for i in range(500) if i % 3 == j] for j in range(3)}
    assert result.by_subject() == {
        name: (len(at), pytest.approx(sum(right[i] for i in at) / len(at))) for name, at in thirds.items()
    }
    texts = ["no idea" if i % 5 == 4 else rf"So \boxed{{{i if i % 2 == 0 else -1}}}" for i in range(500)]
    assert result.mean_length == pytest.approx(sum(map(len, texts)) / 500)
    assert [(s.index, s.response) for s in result.samples] == [(i, texts[i]) for i in (0, 125, 250, 375)]
    assert result.samples[0].verdict == Verdict(Kind.RIGHT, "0")
    assert engine.calls[0][1] == Sampling(n=1, temperature=0.0, max_tokens=64)


def test_the_row_is_json(problem_file: str) -> None:
    plan = EvaluationPlan("tiny500", path=problem_file, samples=6, temperature=0.6, limit=50, max_tokens=32)
    result = run(plan, rl_step=7)
    row = json.loads(json.dumps(result.row(), allow_nan=False))
    assert {
        key: row[key] for key in ("rl_step", "benchmark", "problems", "k", "temperature", "max_tokens", "limit")
    } == {
        "rl_step": 7,
        "benchmark": "tiny500",
        "problems": 50,
        "k": 6,
        "temperature": 0.6,
        "max_tokens": 32,
        "limit": 50,
    }
    assert row["accuracy"] == pytest.approx(sum(row["correct"]) / 300)
    assert list(row["pass_at_k"]) == ["1", "2", "4", "6"]
    assert row["pass_at_k"]["1"] == pytest.approx(row["accuracy"])
    assert row["pass_at_k"]["6"] == pytest.approx(sum(c > 0 for c in row["correct"]) / 50)
    assert sum(row["verdicts"].values()) == 300
    assert sum(problems for problems, _ in row["subjects"].values()) == 50
    assert set(row["levels"]) == {"0", "1"}
    assert row["stderr"] > 0
    assert row["ci_low"] < row["accuracy"] < row["ci_high"]
    assert row["majority"] == pytest.approx(sum(c > 3 for c in row["correct"]) / 50 + row["correct"].count(3) / 100)
    assert row["right_given_boxed"] == pytest.approx(row["accuracy"] / row["boxed"])


def test_the_row_says_how_responses_are_written(problem_file: str) -> None:
    class Writer(TableEngine):
        """Every tenth answers well outside the box, badly outside, by a program, in a loop, or with second thoughts."""

        def generate(
            self, prompts: Sequence[Sequence[int]], sampling: Sampling, seed: int, progress: Progress | None = None
        ) -> Rollouts:
            rollouts = super().generate(prompts, sampling, seed, progress)
            texts = list(rollouts.texts)
            for i in range(0, len(texts), 10):
                number = texts[i][10:-1]
                texts[i : i + 5] = [
                    f"The answer is {number}.",
                    "The answer is -1.",
                    "```python\nprint(2)",
                    "no " * 200 + r"\boxed{1}",
                    "We recheck, and wait.",
                ]
            return replace(rollouts, texts=tuple(texts))

    plan = EvaluationPlan("tiny500", path=problem_file, limit=None)
    with Verifier(workers=1) as verifier:
        row = run(plan, engine=Writer(), verifier=verifier).row()
    shares = {key: row[key] for key in ("right_outside_box", "reflection", "reflection_more", "code", "repetition")}
    # The second answers outside the box, too, but wrongly; "print(2)" is right where 2 is asked for.
    assert shares == {
        "right_outside_box": pytest.approx(51 / 500),
        "reflection": pytest.approx(0.1),
        "reflection_more": pytest.approx(0.1),
        "code": pytest.approx(0.1),
        "repetition": pytest.approx(0.1),
    }


def test_without_a_box_there_is_no_share_of_right_ones_among_boxes(tmp_path: Path) -> None:
    path = tmp_path / "p.jsonl"
    path.write_text("".join(json.dumps({"problem": f"Say {i}.", "answer": str(i)}) + "\n" for i in (4, 9)))
    result = run(EvaluationPlan("tiny500", path=str(path), limit=2))
    assert result.boxed == 0
    assert result.row()["right_given_boxed"] is None


@pytest.mark.parametrize("world_size", [2, 3, 8])
@pytest.mark.parametrize("temperature", [0.0, 0.6])
def test_a_split_over_ranks_changes_nothing(problem_file: str, world_size: int, temperature: float) -> None:
    samples = 1 if temperature == 0 else 8
    plan = EvaluationPlan(
        "tiny500", path=problem_file, samples=samples, temperature=temperature, limit=121, rules=RULES
    )
    parts = [run(plan, rank=rank, world_size=world_size) for rank in range(world_size)]
    assert all(sum(counts) == samples for counts in zip(*(part.sampled for part in parts), strict=True))
    assert all(sum(count > 0 for count in counts) == 1 for counts in zip(*(p.sampled for p in parts), strict=True))
    assert reduce(EvaluationResult.merge, parts) == run(plan)


def test_batches_change_nothing(problem_file: str) -> None:
    for samples, temperature in ((1, 0.0), (8, 0.6)):
        plan = EvaluationPlan("tiny500", path=problem_file, samples=samples, temperature=temperature, limit=100)
        assert run(plan, batch_responses=7) == run(plan)


def test_draws_are_the_same_at_every_step_and_differ_between_seeds_and_benchmarks(problem_file: str) -> None:
    plan = EvaluationPlan("tiny500", path=problem_file, samples=8, temperature=0.6, limit=100)
    assert run(plan, rl_step=0).correct == run(plan, rl_step=100).correct
    assert run(plan).correct != run(plan, seed=1).correct
    other = EvaluationPlan("gsm8k", path=problem_file, samples=8, temperature=0.6, limit=100, template="chat-plain")
    assert run(plan).correct != run(other).correct
    engine = TableEngine()
    run(plan, engine=engine)
    assert len({seed for _, _, seed in engine.calls}) == len(engine.calls) == 4  # 32 problems x 8 in each call


def test_progress_reaches_the_end(problem_file: str) -> None:
    seen: list[tuple[int, int]] = []
    plan = EvaluationPlan("tiny500", path=problem_file, limit=10)
    run(plan, progress=lambda done, asked: seen.append((done, asked)), batch_responses=4)
    assert seen == [(i, 10) for i in range(1, 11)]


def test_more_ranks_than_problems(problem_file: str) -> None:
    parts = [run(EvaluationPlan("tiny500", path=problem_file, limit=2), rank=r, world_size=3) for r in range(3)]
    assert parts[2].responses == 0
    assert parts[2].accuracy == parts[2].mean_length == 0
    assert reduce(EvaluationResult.merge, parts).row()["problems"] == 2


def test_a_plan_takes_from_the_benchmark_what_it_leaves_open() -> None:
    assert EvaluationPlan("aime24").sampling == Sampling(n=8, temperature=0.6, max_tokens=3072, stop=("<|im_end|>",))
    assert EvaluationPlan("aime24", temperature=0).sampling.n == 1
    assert EvaluationPlan("tiny500", temperature=0.6).k == 1
    assert EvaluationPlan("math500", samples=4, temperature=1.0, template="chat", max_tokens=10).sampling == Sampling(
        n=4, temperature=1.0, max_tokens=10
    )
    assert EvaluationPlan("tiny500", limit=20).problems() == load("tiny500", limit=20)


def test_a_plan_describes_itself() -> None:
    assert EvaluationPlan("tiny500").describe() == "tiny500: 500 problems, greedy, at most 64 tokens"
    assert (
        EvaluationPlan("aime24", limit=10).describe()
        == "aime24: 10 of 30 problems, avg@8 at temperature 0.6, at most 3,072 tokens"
    )
    assert EvaluationPlan("tiny500", rules=("qwen/strict", "exact/flexible", "deepscaler/strict")).describe() == (
        "tiny500: 500 problems, greedy, at most 64 tokens, also scored by qwen/strict, exact/flexible, deepscaler"
    )


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"benchmark": "tiny50"}, "did you mean tiny500"),
        ({"benchmark": "tiny500", "samples": 8}, "8 samples at temperature 0 would all be the same"),
        ({"benchmark": "tiny500", "samples": 0}, "samples is 0"),
        ({"benchmark": "tiny500", "max_tokens": 0}, "max_tokens is 0"),
        ({"benchmark": "tiny500", "limit": 0}, "limit is 0"),
        ({"benchmark": "tiny500", "temperature": -1.0}, "temperature is -1"),
        ({"benchmark": "tiny500", "template": "nope"}, "no prompt template"),
        (
            {"benchmark": "tiny500", "rules": ["qwen", "exakt"]},
            "evaluation of tiny500: There is no rule 'exakt' to evaluate by: use one of exact, deepscaler, qwen, with "
            "/strict or /flexible after it",
        ),
        ({"benchmark": "tiny500", "rules": ["qwen/loose"]}, "There is no rule 'qwen/loose'"),
        ({"benchmark": "tiny500", "rules": ["qwen/"]}, "There is no rule 'qwen/'"),
        ({"benchmark": "tiny500", "rules": ["qwen", "qwen/flexible"]}, "The rule qwen is to be evaluated by twice"),
    ],
)
def test_plans_that_make_no_sense(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        EvaluationPlan(**settings)


def _rank(rank: int, problem_file: str, rendezvous: str, out: str) -> None:
    torch.set_num_threads(1)
    torch.distributed.init_process_group("gloo", init_method=f"file://{rendezvous}", rank=rank, world_size=2)
    try:
        plan = EvaluationPlan("tiny500", path=problem_file, samples=8, temperature=0.6, limit=45, rules=RULES)
        result = run(plan, rank=rank, world_size=2)
        metric = PerProblemAccuracy(7)  # four problems on rank 0, three on rank 1, right where the number is below 3
        metric.update(torch.arange(rank, 7, 2), torch.arange(rank, 7, 2) < 3)
        content = [result.row(), [s.index for s in result.samples], metric.compute()["accuracy"].item()]
        Path(f"{out}{rank}.json").write_text(json.dumps(content))
    finally:
        torch.distributed.destroy_process_group()


def test_two_processes_get_the_whole_result(problem_file: str, tmp_path: Path) -> None:
    torch.multiprocessing.spawn(_rank, (problem_file, str(tmp_path / "rendezvous"), str(tmp_path / "out")), nprocs=2)
    alone = run(EvaluationPlan("tiny500", path=problem_file, samples=8, temperature=0.6, limit=45, rules=RULES))
    assert alone.correct_by_rule["qwen"] != alone.correct
    expected = [alone.row(), [s.index for s in alone.samples], 3 / 7]
    for rank in range(2):
        assert json.loads((tmp_path / f"out{rank}.json").read_text()) == json.loads(json.dumps(expected))
