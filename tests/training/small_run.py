"""A run of a few RL steps of the tiny policy, from Python, with a checkpoint after each."""

from pathlib import Path
from typing import Any

import torch
from lightning import Trainer
from lightning.pytorch.plugins.precision import Precision

from lit_rlvr.algorithms.algorithm import Algorithm
from lit_rlvr.algorithms.grpo import GRPO
from lit_rlvr.callbacks.checkpoint import RLCheckpoint
from lit_rlvr.data.datamodule import OneShotDataModule
from lit_rlvr.module import RLVRModule
from lit_rlvr.replay import ReplayModule, _OneBatch
from lit_rlvr.rewards.rewards import AnswerReward
from lit_rlvr.rollout.engine import RolloutEngine, Sampling
from lit_rlvr.rollout.transformers_engine import TransformersEngine
from lit_rlvr.training.kept_step import KeptStep, read_state


def small_run(
    repository: Path,
    folder: Path,
    engine: RolloutEngine,
    algorithm: Algorithm | None = None,
    steps: int = 4,
    lr: float = 1e-3,
    checkpoint: str | None = None,
    sampling: Sampling = Sampling(n=8, temperature=1.0, max_tokens=16),  # noqa: B008  # frozen
    precision: Precision | None = None,
    **settings: Any,
) -> RLVRModule:
    """The module after its last step.

    Args:
        repository: with the tiny policy.
        folder: for checkpoints.
        engine: of the rollouts.
        algorithm: GRPO if left out.
        steps: RL steps of 16 responses.
        lr: at 1e-3 the weights move enough in each to be told apart from rounding.
        checkpoint: to go on from.
        sampling: how rollouts are drawn.
        precision: Lightning's plugin; float32 if left out.
        **settings: of ``RLVRModule``.
    """
    settings.setdefault("optimizer", lambda parameters: torch.optim.AdamW(parameters, lr=lr))
    module = RLVRModule(
        str(repository / "checkpoints" / "tiny-base"),
        algorithm or GRPO(),
        engine,
        AnswerReward(),
        sampling=sampling,
        **settings,
    )
    trainer = Trainer(
        max_epochs=1, accelerator="cpu", logger=False, enable_progress_bar=False, enable_model_summary=False,
        callbacks=[RLCheckpoint(every_n_rl_steps=1, export=False)], default_root_dir=folder,
        plugins=[] if precision is None else [precision],
    )  # fmt: skip
    trainer.fit(module, datamodule=OneShotDataModule(rows=2, rl_steps=steps), ckpt_path=checkpoint)
    return module


def replayed(
    repository: Path, folder: Path, rl_step: int, precision: Precision | None, **settings: Any
) -> ReplayModule:
    """The module that has done a saved RL step of a small run again; its arguments are that run's."""
    settings.setdefault("optimizer", lambda parameters: torch.optim.AdamW(parameters, lr=1e-3))
    module = ReplayModule(
        str(repository / "checkpoints" / "tiny-base"), GRPO(), TransformersEngine(), AnswerReward(),
        sampling=Sampling(n=8, temperature=1.0, max_tokens=16), **settings,
    )  # fmt: skip
    saved = folder / "batches" / f"rl_step={rl_step}"
    module.kept, module.state = KeptStep.read(saved / "rank0.pt"), read_state(saved)
    trainer = Trainer(
        max_epochs=1, accelerator="cpu", logger=False, enable_progress_bar=False, enable_model_summary=False,
        enable_checkpointing=False, plugins=[] if precision is None else [precision],
    )  # fmt: skip
    trainer.fit(module, datamodule=_OneBatch())
    return module
