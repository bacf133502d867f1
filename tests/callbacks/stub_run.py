"""A run without a model: a real trainer, and a module whose RL steps leave hand-made records behind."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from lightning import Callback, LightningModule, Trainer
from lightning.pytorch.callbacks import Checkpoint
from lightning.pytorch.loggers import TensorBoardLogger
from torch.utils.data import DataLoader

from lit_rlvr.experience import Experience, Problem, PromptBatch, StepRecord
from lit_rlvr.rewards.verdict import Kind, Verdict
from tests.builders import rollouts_of

Responses = Sequence[tuple[str, bool, str]]
"""(problem id, right, text) of each response; those of one problem stand together."""


def record_of(step: int, responses: Responses, **metrics: float) -> StepRecord:
    """The record of one RL step. The i-th response has i + 1 tokens, reward 1 if right, advantage +-0.5."""
    ids = list(dict.fromkeys(problem for problem, _, _ in responses))
    problems = tuple(Problem(id, f"question of {id}", f"gold of {id}") for id in ids)
    right = [ok for _, ok, _ in responses]
    rollouts = rollouts_of([(i,) for i in range(len(ids))], [[7] * (i + 1) for i in range(len(responses))], n=1)
    rows = torch.tensor([ids.index(problem) for problem, _, _ in responses])
    texts = tuple(text for _, _, text in responses)
    rollouts = type(rollouts)(**{**vars(rollouts), "rows": rows, "problems": rows, "texts": texts})
    rewards = torch.tensor([float(ok) for ok in right])
    verdicts = tuple(Verdict(Kind.RIGHT if ok else Kind.WRONG, "read") for ok in right)
    experience = Experience(rollouts, verdicts, rewards, rollouts.spread(rewards - 0.5))
    accuracy = sum(right) / len(right)
    defaults = {
        "train/accuracy": accuracy,
        "train/reward": accuracy,
        "train/entropy": 0.5,
        **{f"verdict/{kind.value}": 0.0 for kind in Kind},
        "verdict/right": accuracy,
        "verdict/wrong": 1 - accuracy,
        "rollout/length/mean": float(rollouts.lengths.double().mean()),
        "time/step": 0.25,
        "time/rollout": 0.125,
        "time/sync": 0.0625,
    }
    return StepRecord(step, PromptBatch(problems, rollouts.prompts), experience, {**defaults, **metrics})


class StubModule(LightningModule):
    """Every training step puts ``make(rl_step)`` into ``last_step`` and counts."""

    def __init__(self, make: Callable[[int], StepRecord], during: Callable[["StubModule"], None] | None = None) -> None:
        super().__init__()
        self.automatic_optimization = False
        self.weight = torch.nn.Parameter(torch.zeros(1))
        self.register_buffer("rl_step", torch.zeros((), dtype=torch.int64))
        self.make, self.during = make, during
        self.last_step: StepRecord | None = None

    def training_step(self, batch: Any, batch_idx: int) -> None:
        if self.during is not None:
            self.during(self)
        self.last_step = self.make(int(self.rl_step))
        self.rl_step += 1

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=0.1)


class SaveAndStop(Checkpoint):
    """Save a checkpoint after RL step ``after``, and break the run."""

    def __init__(self, after: int, path: Path) -> None:
        self.after, self.path = after, path

    def on_train_batch_end(self, trainer: Trainer, pl_module: LightningModule, *args: Any) -> None:
        if int(pl_module.rl_step) == self.after:
            trainer.save_checkpoint(self.path)
            raise RuntimeError("power cut")


def run(
    module: StubModule,
    callbacks: list[Callback],
    folder: Path,
    steps: int,
    tensorboard: bool = False,
    ckpt_path: Path | None = None,
) -> Trainer:
    """Train for ``steps`` RL steps in all, on one CPU process."""
    bar = any(hasattr(callback, "on_rollout_progress") for callback in callbacks)
    trainer = Trainer(
        accelerator="cpu",
        devices=1,
        max_epochs=1,
        default_root_dir=folder,
        logger=TensorBoardLogger(str(folder), name="", version="run", default_hp_metric=False)
        if tensorboard
        else False,
        callbacks=callbacks,
        enable_progress_bar=bar,
        enable_model_summary=False,
        log_every_n_steps=1,
        enable_checkpointing=any(isinstance(callback, Checkpoint) for callback in callbacks),
    )
    trainer.fit(module, DataLoader(range(steps)), ckpt_path=ckpt_path)
    return trainer
