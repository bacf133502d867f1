"""Periodic evaluation: at RL step 0, every n RL steps, and at the end; a row of `evaluations.jsonl` for each.

The policy that is evaluated is the one in the rollout engine, through the same engine, prompts and verifier as training.
"""

import time
from functools import partial
from typing import Any

from lightning import Callback, LightningModule, Trainer
from lightning.pytorch.loggers import TensorBoardLogger
from lightning.pytorch.utilities import rank_zero_warn

from lit_rlvr.callbacks.layout import custom_layout
from lit_rlvr.callbacks.samples import evaluation_text
from lit_rlvr.errors import UserError
from lit_rlvr.evaluation.evaluator import EvaluationPlan, EvaluationResult, evaluate
from lit_rlvr.evaluation.held_out import leave_out
from lit_rlvr.evaluation.plan import refuse_twins
from lit_rlvr.files import run_folder, write_jsonl
from lit_rlvr.module import RLVRModule
from lit_rlvr.names import evaluation_metrics


class PeriodicEvaluation(Callback):
    """Evaluate the policy while it trains.

    Args:
        plans: what to evaluate every ``every_n_rl_steps``, at the start and at the end.
        endpoint_plans: what to evaluate at the start and at the end only, for costlier measurements.
        every_n_rl_steps: the interval in RL steps; 0 for the start and the end alone.
        at_start: evaluate the base model before the first step.
        at_end: evaluate after the last.
    """

    def __init__(
        self,
        plans: list[EvaluationPlan] | None = None,
        endpoint_plans: list[EvaluationPlan] | None = None,
        every_n_rl_steps: int = 20,
        at_start: bool = True,
        at_end: bool = True,
    ) -> None:
        if every_n_rl_steps < 0:
            raise UserError(
                f"evaluation.every_n_rl_steps is {every_n_rl_steps}; use 0 for the start and the end alone."
            )
        self.plans = plans or []
        self.endpoint_plans = endpoint_plans or []
        refuse_twins(self.plans + self.endpoint_plans, "evaluation.plans")
        self.every_n_rl_steps = every_n_rl_steps
        self.at_start = at_start
        self.at_end = at_end
        self.rows: list[dict[str, Any]] = []
        self._caught_up = False

    def describe_evaluations(self) -> list[str]:
        """One line per plan, for `lit-rlvr plan`."""
        when = f"every {self.every_n_rl_steps} RL steps, " if self.every_n_rl_steps else ""
        ends = " and ".join(name for name, on in (("at the start", self.at_start), ("at the end", self.at_end)) if on)
        return [f"{plan.describe()}, {when}{ends}" for plan in self.plans] + [
            f"{plan.describe()}, {ends}" for plan in self.endpoint_plans
        ]

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Read every benchmark now: a missing file should be heard of before hours of training, not after."""
        trained = trainer.datamodule.problems  # type: ignore[attr-defined]
        for plan in self.plans + self.endpoint_plans:
            problems = plan.problems()
            if held_in := len(problems) - len(leave_out(problems, trained)):
                rank_zero_warn(
                    f"evaluation of {plan.benchmark}: {held_in} of its {len(problems):,} problems are trained on, so its "
                    "figure is not that of held-out problems alone; leave them out with the plan's `exclude` (a source as "
                    "data.source)."
                )

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Put training beside test accuracy on TensorBoard's custom page."""
        pairs = [(plan.benchmark, plan.k) for plan in self.plans + self.endpoint_plans]
        if trainer.is_global_zero and isinstance(trainer.logger, TensorBoardLogger):
            trainer.logger.experiment.add_custom_scalars(custom_layout(pairs))

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:
        """The base model; in a resumed run, what was due when it was stopped."""
        if not self._caught_up:
            self._evaluate_due(trainer, pl_module)

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Every n RL steps, and after the last."""
        self._evaluate_due(trainer, pl_module)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """What was due when a run was stopped after its last step."""
        self._evaluate_due(trainer, pl_module)

    def _evaluate_due(self, trainer: Trainer, module: LightningModule) -> None:
        """Everything that is to be evaluated at this RL step and has no row yet."""
        self._caught_up = True
        step = int(module.rl_step)  # type: ignore[arg-type]
        done = [(row["benchmark"], row["k"]) for row in self.rows if row["rl_step"] == step]
        steps: int = trainer.datamodule.rl_steps  # type: ignore[attr-defined]
        due = [plan for plan in self._due(step, steps) if (plan.benchmark, plan.k) not in done]
        self._run(trainer, module, due)

    def _due(self, step: int, steps: int) -> list[EvaluationPlan]:
        if (step == 0 and self.at_start) or (step == steps and self.at_end):
            return self.plans + self.endpoint_plans
        return self.plans if step and self.every_n_rl_steps and step % self.every_n_rl_steps == 0 else []

    def _run(self, trainer: Trainer, module: LightningModule, plans: list[EvaluationPlan]) -> None:
        assert isinstance(module, RLVRModule)
        step = int(module.rl_step)
        for plan in plans:
            clock = time.perf_counter()
            result = evaluate(
                plan,
                module.engine,
                module.tokenizer,
                module.verifier,
                seed=module.seed,
                rl_step=step,
                rank=trainer.global_rank,
                world_size=trainer.world_size,
                progress=partial(self._progress, trainer, plan.benchmark),
            )
            seconds = time.perf_counter() - clock
            self.rows.append(
                {**result.row(), "seconds": round(seconds, 3)}
            )  # on all ranks, which must know what is due
            if trainer.is_global_zero:
                self._write(trainer, result, seconds)

    def _write(self, trainer: Trainer, result: EvaluationResult, seconds: float) -> None:
        row = self.rows[-1]
        write_jsonl(run_folder(trainer) / "evaluations.jsonl", self.rows)
        rules: dict[str, dict[str, float]] = row["rules"]
        values = row | {f"rules/{rule}": figures["accuracy"] for rule, figures in rules.items()}
        names = evaluation_metrics(str(row["benchmark"]), int(row["k"]), rules)
        # None: there is no share of right ones among no boxes, and so no point on its curve.
        metrics = {name: float(values[short]) for short, name in names.items() if values[short] is not None}
        for logger in trainer.loggers:
            logger.log_metrics(metrics, step=int(row["rl_step"]))
            if isinstance(logger, TensorBoardLogger):
                tag = f"samples/eval/{row['benchmark']}@{row['k']}"
                logger.experiment.add_text(
                    tag,
                    evaluation_text([(s.problem, s.response, s.verdict) for s in result.samples]),
                    int(row["rl_step"]),
                )
        how = "greedy" if row["temperature"] == 0 else f"T={row['temperature']:g}"
        also = ", ".join(f"{rule} {100 * figures['accuracy']:.1f}%" for rule, figures in rules.items())
        trainer.print(
            f"evaluation at RL step {row['rl_step']}: {row['benchmark']} avg@{row['k']} ({how}) "
            f"{100 * row['accuracy']:.1f}% +- {100 * row['stderr']:.1f} over {row['problems']} problems, {seconds:.1f} s"
            + (f"; by rule: {also}" if also else "")
        )

    @staticmethod
    def _progress(trainer: Trainer, benchmark: str, done: int, asked: int) -> None:
        for callback in trainer.callbacks:  # type: ignore[attr-defined]
            if hasattr(callback, "evaluation_progress"):
                callback.evaluation_progress(benchmark, done, asked)

    # The rows travel with the checkpoint: a resumed run's file holds those from before the stop, and no row twice.

    def state_dict(self) -> dict[str, Any]:
        """Rows so far."""
        return {"rows": self.rows}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on from them."""
        self.rows = list(state_dict["rows"])
