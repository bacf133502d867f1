"""Evaluation with a worked example before every question: the control without training."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from lit_rlvr.errors import UserError
from lit_rlvr.evaluation.evaluator import EvaluationPlan, evaluate
from lit_rlvr.rewards.verifier import Verifier
from lit_rlvr.rollout.engine import Sampling
from lit_rlvr.rollout.transformers_engine import TransformersEngine
from tests.evaluation.doubles import TOKENIZER, TableEngine, run


def test_a_worked_example_stands_before_every_question(problem_file: str, tmp_path: Path) -> None:
    asked: list[str] = []

    class Listener(TableEngine):
        def generate(self, prompts: Any, sampling: Sampling, seed: int, progress: Any = None) -> Any:
            asked.extend(TOKENIZER.decode(list(prompt)) for prompt in prompts)
            return super().generate(prompts, sampling, seed, progress)

    example = tmp_path / "example.json"
    example.write_text(json.dumps({"question": "What is one and one?", "response": "Two."}))
    plan = EvaluationPlan("tiny500", path=problem_file, limit=5, example=str(example))
    result = run(plan, engine=Listener())
    for text, problem in zip(asked, result.problems, strict=True):
        assert text == f"<|user|>What is one and one?<|assistant|>Two.<|user|>{problem.question}<|assistant|>"
    row = result.row()
    assert row["example"] == str(example)
    assert row["problems"] == 5
    assert plan.describe().endswith(f"at most 64 tokens, after the worked example {example}")
    assert run(EvaluationPlan("tiny500", path=problem_file, limit=5)).row()["example"] is None
    with pytest.raises(UserError, match="no worked example 'tiny/pi7'"):
        EvaluationPlan("tiny500", example="tiny/pi7")


def test_the_tiny_policy_answers_after_an_example(repository: Path) -> None:
    """In the real engine: the example changes what is said, and every question is still answered."""
    from transformers import AutoModelForCausalLM, AutoTokenizer

    folder = repository / "checkpoints" / "tiny-base"
    tokenizer = AutoTokenizer.from_pretrained(folder)
    engine = TransformersEngine()
    engine.setup(AutoModelForCausalLM.from_pretrained(folder), tokenizer, torch.device("cpu"))
    with Verifier(workers=1) as verifier:
        plain, shown = (
            evaluate(
                EvaluationPlan("tiny500", limit=40, example=example), engine, tokenizer, verifier, seed=0, rl_step=0
            )
            for example in (None, "tiny/pi1")
        )
    assert plain.responses == shown.responses == 40
    assert [s.response for s in plain.samples] != [s.response for s in shown.samples]
