"""What a run says first and last: its plan, and a before/after table per subject with where everything was written."""

from typing import Any

from lightning import Callback, LightningModule, Trainer
from rich.console import Console
from rich.table import Table

from lit_rlvr.callbacks.evaluate import PeriodicEvaluation
from lit_rlvr.callbacks.tracking import SaturationTracker
from lit_rlvr.data.datamodule import OneShotDataModule
from lit_rlvr.files import run_folder
from lit_rlvr.module import RLVRModule
from lit_rlvr.plan import make_plan


class RunSummary(Callback):
    """Print the plan before the first step, and what came of it after the last."""

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """The plan."""
        data = trainer.datamodule  # type: ignore[attr-defined]
        assert isinstance(pl_module, RLVRModule)
        assert isinstance(data, OneShotDataModule)
        if trainer.is_global_zero:
            print(make_plan(pl_module, data, trainer).render(), flush=True)

    def on_fit_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """The tables, and the files."""
        if not trainer.is_global_zero:
            return
        callbacks = trainer.callbacks  # type: ignore[attr-defined]
        rows = [row for callback in callbacks if isinstance(callback, PeriodicEvaluation) for row in callback.rows]
        console = Console(width=100)
        for table in before_after(rows):
            console.print(table)
        for tracker in (c for c in callbacks if isinstance(c, SaturationTracker)):
            if tracker.saturation_step is not None:
                console.print(
                    f"The training problem was solved (99% over the window) at RL step {tracker.saturation_step}."
                )
        folder = run_folder(trainer)
        console.print(f"Written to {folder}:", soft_wrap=True)
        for name, what in (
            ("evaluations.jsonl", "a row per evaluation"),
            ("history.json", "training accuracy per problem and step"),
            ("checkpoints/last.ckpt", "resume with --ckpt_path, or turn into a folder with lit-rlvr export"),
            ("policy", "the trained policy for AutoModelForCausalLM.from_pretrained"),
            ("config.yaml", "the configuration in full"),
        ):
            if (folder / name).exists():
                console.print(f"  {name:<22} {what}", highlight=False)
        console.print(f"Curves: tensorboard --logdir {folder}", soft_wrap=True, highlight=False)


def before_after(rows: list[dict[str, Any]]) -> list[Table]:
    """A table for each benchmark and decoding that was evaluated at least twice: first against last, per subject.

    Args:
        rows: rows of `evaluations.jsonl`, in order.
    """
    kinds: dict[tuple[str, int, float], list[dict[str, Any]]] = {}
    for row in rows:
        kinds.setdefault((row["benchmark"], row["k"], row["temperature"]), []).append(row)
    tables = []
    for (benchmark, k, temperature), group in kinds.items():
        first, last = group[0], group[-1]
        if first["rl_step"] == last["rl_step"]:
            continue
        how = "greedy" if temperature == 0 else f"temperature {temperature:g}"
        table = Table(title=f"{benchmark}, avg@{k}, {how}: RL step {first['rl_step']} -> {last['rl_step']}")
        table.add_column("subject")
        for column in ("problems", "before %", "after %", "change"):
            table.add_column(column, justify="right")
        for subject, (problems, accuracy) in last["subjects"].items():
            before = first["subjects"][subject][1]
            table.add_row(subject or "-", str(problems), *_three(before, accuracy))
        table.add_section()
        table.add_row("all", str(last["problems"]), *_three(first["accuracy"], last["accuracy"]), style="bold")
        tables.append(table)
    return tables


def _three(before: float, after: float) -> tuple[str, str, str]:
    return f"{100 * before:.1f}", f"{100 * after:.1f}", f"{100 * (after - before):+.1f}"
