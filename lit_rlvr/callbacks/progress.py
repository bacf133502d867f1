"""What the screen shows while a run works: Lightning's Rich bar counting RL steps, or plain lines in a log file.

From: `StepRecord` of each RL step, and the progress of rollouts and evaluations as they go.
"""

import time
from typing import Any

from lightning import LightningModule, Trainer
from lightning.pytorch.callbacks import RichProgressBar
from lightning.pytorch.callbacks.progress.rich_progress import RichProgressBarTheme
from rich.console import Console
from rich.progress import BarColumn, ProgressColumn, Task, TaskID
from rich.text import Text

from lit_rlvr.errors import UserError
from lit_rlvr.experience import StepRecord
from lit_rlvr.names import METRICS

SHOWN = {
    "reward": ("train/reward", ".3f"),
    "accuracy": ("train/accuracy", ".3f"),
    "length": ("rollout/length/mean", ".1f"),
    "entropy": ("train/entropy", ".3f"),
}
"""Label -> metric and its format."""

PHASES = tuple(name for name in METRICS if name.startswith("time/") and name != "time/step")

UPDATE_SECONDS = 0.25
"""At most four updates a second of a rollout's or an evaluation's task: more cannot be read, and costs time."""

APPEAR_SECONDS = 0.5
"""A phase gets a task of its own once it has lasted this long: shorter ones would only flicker."""

PLAIN_SECONDS = 60.0
"""In a log file, a long phase says how far it is once a minute."""

TEXT_WIDTH = 120
"""Columns that description, counts, times, speed and metrics take: the bar gives way before they are broken into lines."""

SPEED_SECONDS = 3600.0
"""Speed is estimated over the last hour (Rich's own 30 seconds would hold a single step of a large model, or none)."""


class StepSpeedColumn(ProgressColumn):
    """Seconds per RL step, or items per second for rollouts and evaluations."""

    def __init__(self, style: Any, bar: "RLProgressBar") -> None:
        super().__init__()
        self.style = style
        self.bar = bar

    def render(self, task: Task) -> Text:
        """The text for one task."""
        if not task.speed:
            return Text("")
        steps = task.id == self.bar.train_progress_bar_id
        return Text(f"{1 / task.speed:.2f} s/step" if steps else f"{task.speed:.1f}/s", style=self.style)


class RLProgressBar(RichProgressBar):
    """A bar over RL steps with reward, accuracy, length and entropy; tasks below it for long rollouts and evaluations.

    Where standard output is no terminal, there is no bar but one compact line every n RL steps (and for the first and last).

    Args:
        phase_line_every_n_rl_steps: interval of the line of phase times (their mean per RL step since the line before),
            and of the compact lines; 0 prints neither.
        refresh_rate: how often per second the bar is drawn anew; 0 shows nothing at all.
        theme: styles.
        console_kwargs: arguments for Rich's console.
    """

    def __init__(
        self,
        phase_line_every_n_rl_steps: int = 10,
        refresh_rate: int = 10,
        theme: RichProgressBarTheme | None = None,
        console_kwargs: dict[str, Any] | None = None,
    ) -> None:
        if phase_line_every_n_rl_steps < 0:
            raise UserError(f"phase_line_every_n_rl_steps is {phase_line_every_n_rl_steps}; use 0 for no lines.")
        super().__init__(refresh_rate, theme=theme or RichProgressBarTheme(), console_kwargs=console_kwargs)
        self.phase_line_every_n_rl_steps = phase_line_every_n_rl_steps
        self.plain = False
        self._phase_sums: dict[str, float] = {}
        self._phase_steps = 0
        self._tasks: dict[str, TaskID] = {}
        self._began: dict[str, float] = {}
        self._updated: dict[str, float] = {}

    @property
    def is_enabled(self) -> bool:
        """Whether there is a bar."""
        return super().is_enabled and not self.plain

    @property
    def prints(self) -> bool:
        """Whether this process writes lines: the first one, unless the display is switched off."""
        return super().is_enabled

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Bar or lines?"""
        super().setup(trainer, pl_module, stage)
        console = Console(**self._console_kwargs)
        self.plain = not (console.is_interactive or console.is_jupyter)

    def configure_columns(self, trainer: Trainer) -> list[Any]:
        """Lightning's columns, the speed in seconds per RL step."""
        columns = [*super().configure_columns(trainer)[:-1], StepSpeedColumn(self.theme.processing_speed, self)]
        width = self._console.width if self._console is not None else 0
        for column in columns:
            if isinstance(column, BarColumn):
                column.bar_width = min(40, max(8, width - TEXT_WIDTH))
        return columns

    def get_metrics(self, trainer: Trainer, pl_module: LightningModule) -> dict[str, Any]:
        """What stands at the end of the bar."""
        logged = super().get_metrics(trainer, pl_module)
        logged.pop("v_num", None)
        return {**_shown_metrics(getattr(pl_module, "last_step", None)), **logged}

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:
        """Nothing that came before this step is still going on; a resumed run's bar starts where the run stands."""
        self._clear_tasks()
        if self.is_enabled and self.train_progress_bar_id is None:
            # Lightning starts no epoch on resuming in the midst of one, and would show no bar before the step's end. The
            # steps from before the stop are no part of the speed and of the remaining time.
            self._initialize_train_progress_bar_id()
            assert self.progress is not None
            assert self.train_progress_bar_id is not None
            self.progress.reset(self.train_progress_bar_id, completed=batch_idx)

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Count the step and print what is due."""
        self._clear_tasks()
        super().on_train_batch_end(trainer, pl_module, outputs, batch, batch_idx)
        record: StepRecord | None = getattr(pl_module, "last_step", None)
        if record is None or not self.prints:
            return
        done = record.rl_step + 1
        self._add_phases(record)
        every, steps = self.phase_line_every_n_rl_steps, self.total_train_batches
        last = batch_idx + 1 == steps
        if self.plain and every and (done % every == 0 or record.rl_step == 0 or last):
            total = f"/{steps}" if steps != float("inf") else ""
            numbers = "  ".join(f"{label} {value}" for label, value in _shown_metrics(record).items())
            print(f"step {done}{total}  {numbers}  {record.metrics.get('time/step', 0.0):.2f}s", flush=True)
        if every and done % every == 0:
            print(self._phase_line(done), flush=True)

    def on_rollout_progress(self, done: int, asked: int) -> None:
        """Called by the module while the engine generates: responses finished, responses asked for."""
        self._show("rollout", done, asked)

    def evaluation_progress(self, benchmark: str, done: int, total: int) -> None:
        """Called during an evaluation: responses finished, responses asked for (of this process)."""
        self._show(f"eval {benchmark}", done, total)

    def _init_progress(self, trainer: Trainer) -> None:
        super()._init_progress(trainer)
        if self.progress is not None:
            self.progress.speed_estimate_period = SPEED_SECONDS

    def _stop_progress(self) -> None:
        self._clear_tasks()
        super()._stop_progress()

    def _get_train_description(self, current_epoch: int) -> str:
        return "RL step"

    def _show(self, name: str, done: int, total: int) -> None:
        """Show a phase that is under way; remove it when it is done."""
        if not self.prints:
            return
        if done >= total:
            self._clear(name)
            return
        now = time.monotonic()
        began = self._began.setdefault(name, now)
        first, interval = (PLAIN_SECONDS, PLAIN_SECONDS) if self.plain else (APPEAR_SECONDS, UPDATE_SECONDS)
        if now - began < first or now - self._updated.get(name, began - first) < interval:
            return
        self._updated[name] = now
        if self.plain:
            print(f"{name}: {done}/{total} responses after {now - began:.0f}s", flush=True)
        elif self.progress is not None and not self._progress_stopped:
            if name not in self._tasks:
                self._tasks[name] = self.progress.add_task(name, total=total, completed=done)
            self.progress.update(self._tasks[name], completed=done, total=total)
            self.refresh()

    def _clear(self, name: str) -> None:
        self._began.pop(name, None)
        self._updated.pop(name, None)
        task = self._tasks.pop(name, None)
        if task is not None and self.progress is not None and task in self.progress.task_ids:
            self.progress.remove_task(task)
            self.refresh()

    def _clear_tasks(self) -> None:
        for name in [*self._began, *self._tasks]:
            self._clear(name)

    def _add_phases(self, record: StepRecord) -> None:
        self._phase_steps += 1
        for name in PHASES:
            if name in record.metrics:
                self._phase_sums[name] = self._phase_sums.get(name, 0.0) + record.metrics[name]

    def _phase_line(self, done: int) -> str:
        """Mean seconds per RL step of each phase since the last such line, and start anew."""
        times = [
            f"{name.removeprefix('time/')} {self._phase_sums[name] / self._phase_steps:.2f}s"
            for name in PHASES
            if name in self._phase_sums
        ]
        self._phase_sums, self._phase_steps = {}, 0
        return "  ".join([f"step {done}", *times])


def _shown_metrics(record: StepRecord | None) -> dict[str, str]:
    """Label -> rounded value, for those that the step has."""
    if record is None:
        return {}
    return {label: f"{record.metrics[name]:{form}}" for label, (name, form) in SHOWN.items() if name in record.metrics}
