"""`lit-rlvr doctor`: the checks in their order, the cheap ones first. From: fit's configuration. To: a line for each."""

from functools import partial
from tempfile import TemporaryDirectory

from lightning import Trainer

from lit_rlvr.callbacks.evaluate import PeriodicEvaluation
from lit_rlvr.data.datamodule import OneShotDataModule
from lit_rlvr.doctor.answers import TRIED, check_benchmark, check_golds, check_reward
from lit_rlvr.doctor.outcome import Findings, Outcome, UnfitError
from lit_rlvr.doctor.patient import Patient
from lit_rlvr.doctor.prompts import check_prompts
from lit_rlvr.evaluation.plan import EvaluationPlan
from lit_rlvr.rollout.engine import check_engine

IN_THE_TRAINER = ("engine", "update", "sync", "export")
"""Checks that take the model."""


def examine(module: Patient, data: OneShotDataModule, trainer: Trainer) -> Findings:
    """Do all checks and print what they find. Nothing is written but a temporary folder, which is removed.

    Raises:
        UserError: the configuration is wrong, so that no run would begin.
    """
    check_engine(module.engine)
    plans = [
        plan for one in trainer.callbacks if isinstance(one, PeriodicEvaluation)  # type: ignore[attr-defined]
        for plan in one.plans + one.endpoint_plans
    ]  # fmt: skip
    # They write, and evaluate for longer than an examination may take.
    trainer.callbacks, trainer.loggers = [], []  # type: ignore[attr-defined]
    trainer.limit_train_batches = 1
    module.findings = findings = Findings()
    data.prepare_data()
    data.setup("fit")
    prompts = [data.encode(problem, module.tokenizer) for problem in data.problems]
    try:
        _answers(module, data, prompts, plans, findings)
        with TemporaryDirectory() as folder:
            # Where the guard would save a step that it skips.
            trainer._default_root_dir = folder  # type: ignore[attr-defined]
            trainer.fit(module, datamodule=data)
    except UnfitError:
        for name in IN_THE_TRAINER:
            findings.add(Outcome(name, "skipped", "it needs model, which did not pass."))
    finally:
        module.teardown("fit")
    return findings


def _answers(
    module: Patient,
    data: OneShotDataModule,
    prompts: list[tuple[int, ...]],
    plans: list[EvaluationPlan],
    findings: Findings,
) -> None:
    """What takes no model: prompts, gold answers, reward, benchmarks."""
    problems, tokenizer, verifier = data.problems, module.tokenizer, module.verifier
    positions = getattr(module.model_config.get_text_config(), "max_position_embeddings", None)
    findings.check(
        "template",
        lambda: check_prompts(problems, tokenizer, data.template, data.examples, positions, module.sampling.max_tokens),
    )
    findings.check("gold", lambda: check_golds(problems, verifier, verifier.rule, data.source))
    findings.check(
        "reward",
        lambda: check_reward(problems[:TRIED], prompts[:TRIED], tokenizer, verifier, module.reward),
        "gold",
    )
    for plan in plans:
        name = f"benchmark {plan.benchmark}@{plan.k}"
        findings.check(name, partial(check_benchmark, plan, verifier, tokenizer, positions))
