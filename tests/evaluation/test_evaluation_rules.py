"""Further rules score the same responses, and the main figure stays what it is."""

import pytest

from lit_rlvr.evaluation.evaluator import EvaluationPlan
from lit_rlvr.rewards.rule import Mode, Rule
from lit_rlvr.rewards.verifier import Verifier
from tests.evaluation.doubles import ExactVerifier, TableEngine, run

RULES = ("deepscaler", "qwen", "exact/flexible")


def test_further_rules_score_the_same_responses(problem_file: str) -> None:
    engine, verifier = TableEngine(), ExactVerifier()
    result = run(EvaluationPlan("tiny500", path=problem_file, rules=RULES), engine=engine, verifier=verifier)
    alone = run(EvaluationPlan("tiny500", path=problem_file))
    assert len(engine.calls) == 1
    assert result.correct == alone.correct
    assert result.kinds == alone.kinds
    right = [i % 2 == 0 and i % 5 != 4 for i in range(500)]
    assert result.correct_by_rule == {
        "deepscaler": tuple(int(r and i >= 100) for i, r in enumerate(right)),
        "qwen": tuple(int(r or i % 5 == 4) for i, r in enumerate(right)),
        "exact/flexible": result.correct,
    }
    means = {"deepscaler": 0.32, "qwen": 0.6, "exact/flexible": 0.4}
    figures = {
        name: {"accuracy": pytest.approx(p), "stderr": pytest.approx((p * (1 - p) / 499) ** 0.5)}
        for name, p in means.items()
    }
    assert result.row()["rules"] == figures
    assert list(result.row()["rules"]) == list(RULES)
    assert alone.row()["rules"] == {}
    # Rule and mode are always said, so that the rule training is rewarded by plays no part.
    flexible, strict = Mode.FLEXIBLE, Mode.STRICT
    assert verifier.asked == {
        (Rule.EXACT, strict),
        (Rule.DEEPSCALER, strict),
        (Rule.QWEN, flexible),
        (Rule.EXACT, flexible),
    }


def test_the_main_figure_is_the_exact_rules_whatever_training_is_rewarded_by(problem_file: str) -> None:
    plan = EvaluationPlan("tiny500", path=problem_file, limit=20, rules=("exact", "exact/flexible"))
    with Verifier(workers=1, rule="qwen", mode="flexible") as verifier:
        result = run(plan, verifier=verifier)
    assert result.correct == result.correct_by_rule["exact"] == run(plan).correct
    assert result.kinds == run(plan).kinds
    assert result.kinds["no_answer"] > 0
