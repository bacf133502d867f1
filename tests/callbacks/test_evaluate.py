"""Further rules in the evaluations of a run: rows, curves, the printed line, resume; and the rule training is rewarded by."""

import json
import sys
import warnings
from pathlib import Path

import pytest
import yaml
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from lit_rlvr.algorithms.grpo import GRPO
from lit_rlvr.callbacks.evaluate import PeriodicEvaluation
from lit_rlvr.cli import main
from lit_rlvr.errors import UserError
from lit_rlvr.evaluation.plan import EvaluationPlan
from lit_rlvr.module import RLVRModule
from lit_rlvr.names import METRICS, evaluation_metrics
from lit_rlvr.rewards.config import VerifierConfig
from lit_rlvr.rewards.rewards import AnswerReward
from lit_rlvr.rewards.rule import Mode, Rule
from lit_rlvr.rollout.transformers_engine import TransformersEngine

RULES = ["exact", "exact/flexible", "qwen/strict"]


def fit(monkeypatch: pytest.MonkeyPatch, repository: Path, folder: Path, *arguments: str) -> Path:
    monkeypatch.chdir(repository)
    line = [
        "lit-rlvr", "fit", "--config", "configs/tiny.yaml", "--data.rows", "1", "--model.sampling.max_tokens", "24",
        "--evaluation.endpoint_plans", "[]", "--evaluation.every_n_rl_steps", "1", "--checkpoint.every_n_rl_steps", "1",
        "--trainer.logger.init_args.save_dir", str(folder), *arguments,
    ]  # fmt: skip
    monkeypatch.setattr(sys, "argv", line)
    main()
    return folder / "tiny"


def plans(rules: list[str]) -> str:
    return json.dumps([{"benchmark": "tiny500", "limit": 12, "max_tokens": 24, "rules": rules}])


def test_rules_in_a_run_and_after_resume(
    repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The run begins without further rules, and goes on with some: rows of both kinds are kept."""
    first = fit(monkeypatch, repository, tmp_path, "--data.rl_steps", "1", "--evaluation.plans", plans([]))
    assert "by rule" not in capsys.readouterr().out
    checkpoint = str(first / "version_0" / "checkpoints" / "last.ckpt")
    fit(
        monkeypatch, repository, tmp_path, "--data.rl_steps", "2", "--evaluation.plans", plans(RULES),
        "--model.verifier.rule", "deepscaler", "--ckpt_path", checkpoint,
    )  # fmt: skip
    (line,) = [line for line in capsys.readouterr().out.splitlines() if line.startswith("evaluation at RL step 2")]
    run = first / "version_1"
    rows = [json.loads(text) for text in (run / "evaluations.jsonl").read_text().splitlines()]
    assert [row["rl_step"] for row in rows] == [0, 1, 2]
    assert [list(row["rules"]) for row in rows] == [[], [], RULES]
    rules = rows[-1]["rules"]
    assert rules["exact"] == {"accuracy": rows[-1]["accuracy"], "stderr": rows[-1]["stderr"]}
    assert rules["exact/flexible"]["accuracy"] >= rules["exact"]["accuracy"]
    assert line.endswith("; by rule: " + ", ".join(f"{name} {100 * rules[name]['accuracy']:.1f}%" for name in RULES))
    events = EventAccumulator(str(run))
    events.Reload()
    for name in RULES:
        (event,) = events.Scalars(f"eval/tiny500/avg@1/{name}")
        assert (event.step, event.value) == (2, pytest.approx(rules[name]["accuracy"]))
    for name in ("right_outside_box", "reflection", "code", "repetition"):
        (event,) = events.Scalars(f"eval/tiny500/{name}@1")
        assert (event.step, event.value) == (2, pytest.approx(rows[-1][name]))


def test_a_printed_configuration_says_the_same_again(
    repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def printed(*arguments: str) -> str:
        with pytest.raises(SystemExit) as end:
            fit(monkeypatch, repository, tmp_path, *arguments, "--print_config")
        assert not end.value.code
        return capsys.readouterr().out

    first = printed(
        "--config", "configs/ablation/overlong.yaml", "--evaluation.plans", plans(RULES), "--model.verifier.rule", "qwen",
        "--model.verifier.workers", "4", "--model.verifier.timeout", "2.5", "--saturation.trouble_share", "0.2",
    )  # fmt: skip
    config = yaml.safe_load(first)
    assert config["evaluation"]["plans"][0]["rules"] == RULES
    assert config["model"]["verifier"] == {"rule": "qwen", "workers": 4, "timeout": 2.5}
    assert config["saturation"]["trouble_share"] == 0.2
    (tmp_path / "printed.yaml").write_text(first)
    assert yaml.safe_load(printed("--config", str(tmp_path / "printed.yaml"))) == config


def test_names_of_further_rules() -> None:
    names = evaluation_metrics("math500", 8, ["qwen", "exact/flexible"])
    assert names["accuracy"] == "eval/math500/avg@8"
    assert names["rules/qwen"] == "eval/math500/avg@8/qwen"
    assert names["rules/exact/flexible"] == "eval/math500/avg@8/exact/flexible"
    assert "eval/{benchmark}/avg@{k}/{rule}" in METRICS


@pytest.mark.parametrize("k", [1, 8])
def test_every_curve_of_an_evaluation_is_in_the_table(k: int) -> None:
    names = evaluation_metrics("math500", k, ["qwen"])
    table = {name.format(benchmark="math500", k=k, rule="qwen") for name in METRICS if name.startswith("eval/")}
    assert set(names.values()) == (table if k > 1 else table - {"eval/math500/majority@1"})


def test_a_plan_says_its_rules() -> None:
    evaluation = PeriodicEvaluation(plans=[EvaluationPlan("tiny500", rules=("qwen",))], every_n_rl_steps=5)
    assert evaluation.describe_evaluations() == [
        "tiny500: 500 problems, greedy, at most 64 tokens, also scored by qwen, every 5 RL steps, at the start and at the "
        "end"
    ]


def test_the_training_rule_is_chosen_and_always_strict(repository: Path) -> None:
    def module(**settings: VerifierConfig) -> RLVRModule:
        folder = str(repository / "checkpoints" / "tiny-base")
        return RLVRModule(folder, GRPO(), TransformersEngine(), AnswerReward(), **settings)

    chosen = module(verifier=VerifierConfig(rule="qwen", workers=3, timeout=2.5)).verifier
    assert (chosen.rule, chosen.mode, chosen.workers, chosen.timeout) == (Rule.QWEN, Mode.STRICT, 3, 2.5)
    default = module().verifier
    assert (default.rule, default.mode, default.workers, default.timeout) == (Rule.EXACT, Mode.STRICT, 2, 1.0)


@pytest.mark.parametrize("settings", [{"workers": 0}, {"timeout": 0.0}, {"timeout": float("nan")}])
def test_verifier_settings_that_make_no_sense(settings: dict[str, float]) -> None:
    (key,) = settings
    with pytest.raises(UserError, match=rf"model\.verifier\.{key} is"):
        VerifierConfig(**settings)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--model.verifier.rule", "exakt"], "model.verifier.rule is exakt, which is not what is expected there"),
        (["--model.verifier.workers", "0"], "model.verifier.workers is 0; it must be 1 or more."),
        (["--evaluation.plans", plans(["exakt"])], "There is no rule 'exakt' to evaluate by"),
    ],
)
def test_mistakes_end_in_a_sentence(
    arguments: list[str],
    message: str,
    repository: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(SystemExit) as end:
        fit(monkeypatch, repository, tmp_path, *arguments)
    assert end.value.code == 2
    assert message in capsys.readouterr().err


def test_problems_that_are_trained_on_are_told_and_left_out(
    repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(repository)
    shown = EvaluationPlan("tiny500").problems()[17]
    trained = tmp_path / "trained.jsonl"
    trained.write_text(json.dumps({"problem": shown.question, "answer": shown.answer}))

    def evaluated(**settings: str) -> dict[str, object]:
        plan = {"benchmark": "tiny500", "max_tokens": 8, **settings}
        run = fit(
            monkeypatch, repository, tmp_path / str(len(settings)), "--data.source", str(trained), "--data.rl_steps", "1",
            "--evaluation.at_start", "false", "--evaluation.plans", json.dumps([plan]),
        )  # fmt: skip
        return json.loads((run / "version_0" / "evaluations.jsonl").read_text())

    with pytest.warns(UserWarning, match="tiny500: 1 of its 500 problems are trained on.*`exclude`"):
        whole = evaluated()
    with warnings.catch_warnings():
        warnings.filterwarnings("error", message=".*are trained on")
        without = evaluated(exclude=str(trained))
    assert (whole["problems"], without["problems"]) == (500, 499)
    assert without["exclude"] == str(trained)
