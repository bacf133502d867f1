"""What people read at the end of an evaluation."""

import pytest

from lit_rlvr.evaluation.evaluator import EvaluationPlan
from lit_rlvr.evaluation.table import average, render
from tests.evaluation.doubles import run

SIX = ("math500", "aime24", "aime25", "amc23", "minerva", "olympiadbench")


def test_a_table(problem_file: str) -> None:
    greedy = EvaluationPlan("tiny500", path=problem_file, rules=("qwen",))
    sampled = EvaluationPlan("aime24", path=problem_file, samples=4, temperature=0.6, limit=1, template="chat-plain")
    rows = [run(plan).row() | {"seconds": 1.25} for plan in (greedy, sampled)]
    rows[1] |= {"boxed": 0.0, "right_given_boxed": None}
    lines = render(rows).splitlines()
    assert lines[0].split()[:3] == ["benchmark", "problems", "decoding"]
    assert lines[1].split()[:10] == ["tiny500", "500", "greedy", "40.0", "±", "2.2", "[35.8,", "44.2]", "-", "-"]
    assert lines[1].split()[10:] == ["80.0", "50.0", "0.0", "0.0", "0.0", "0.0", "12", "20.0", "1.2"]
    assert lines[2].split()[:5] == ["aime24", "1", "4", "at", "T=0.6"]
    assert lines[2].split()[12:14] == ["0.0", "-"]
    assert lines[3:] == [
        "tiny500 by the rule qwen: 60.0 ± 2.2",
        "tiny500 subjects: a 40.7 of 167, b 39.5 of 167, c 39.8 of 166",
        "tiny500 levels: 0 40.0 of 250, 1 40.0 of 250",
    ]
    assert len({len(line) for line in lines[:3]}) == 1


def test_the_average_of_the_six_is_there_if_all_are(problem_file: str) -> None:
    plans = [EvaluationPlan(name, path=problem_file, limit=10, template="chat-plain") for name in SIX]
    rows = [run(plan).row() | {"seconds": 0.0} for plan in plans]
    assert "average" not in render(rows[:5])
    mean, error = sum(row["accuracy"] for row in rows) / 6, sum(row["stderr"] ** 2 for row in rows) ** 0.5 / 6
    assert average(rows) == (pytest.approx(mean), pytest.approx(error))
    assert render(rows).splitlines()[-1] == f"average of the six: {100 * mean:.1f} ± {100 * error:.1f}"
