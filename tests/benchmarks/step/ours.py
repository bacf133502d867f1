"""Our side: the real module, data module and Trainer, whose steps a callback takes the times of."""

import json
import math
import tempfile
from functools import partial
from pathlib import Path
from typing import Any

import torch
from lightning import Callback, LightningModule, Trainer

from lit_rlvr.algorithms.grpo import GRPO
from lit_rlvr.data.datamodule import OneShotDataModule
from lit_rlvr.module import RLVRModule
from lit_rlvr.rewards.rewards import RandomReward
from lit_rlvr.rollout.engine import Sampling
from lit_rlvr.training.tripwire import TripwireConfig
from lit_rlvr.training.update import UpdateConfig
from tests.benchmarks.step.forced import ForcedEngine
from tests.benchmarks.step.meter import Meter
from tests.benchmarks.step.works import LEARNING_RATE, TEMPERATURE, WEIGHT_DECAY, Task


class Watch(Callback):
    """Tells the meter when the first step begins and when each has ended."""

    def __init__(self, meter: Meter, task: Task) -> None:
        self._meter, self._task = meter, task

    def on_train_batch_start(self, trainer: Trainer, module: LightningModule, batch: Any, batch_idx: int) -> None:
        """After the engine has made its copy of the weights, which belongs to loading."""
        if batch_idx == 0:
            self._meter.loaded()

    def on_train_batch_end(
        self, trainer: Trainer, module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Take the step's record, and see that it was the work that was asked for."""
        assert isinstance(module, RLVRModule)
        record = module.last_step
        assert record is not None
        assert list(record.batch.prompts[0]) == self._task.ids
        assert record.experience.rollouts.lengths.tolist() == self._task.lengths
        # Checkouts from before the clock know no CPU seconds of phases.
        self._meter.step(_times(record.metrics), _times(getattr(record, "cpu_seconds", {})))


def _times(named: Any) -> dict[str, float]:
    return {name.removeprefix("time/"): seconds for name, seconds in named.items() if name.startswith("time/")}


def run(task: Task) -> dict[str, Any]:
    """Do the task and say what it took."""
    meter = Meter(task)
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "problem.jsonl"
        source.write_text(json.dumps({"id": "0", "question": task.question, "answer": "42"}) + "\n")
        module = RLVRModule(
            task.folder,
            GRPO(kl_coefficient=0.0, entropy_coefficient=0.0),
            ForcedEngine(task.lengths, dtype="float32" if task.precision == "fp32" else "bfloat16"),
            RandomReward(),
            sampling=Sampling(n=task.group, temperature=TEMPERATURE, max_tokens=task.limit),
            update=UpdateConfig(micro_batch_tokens=task.micro_batch_tokens),
            optimizer=partial(torch.optim.AdamW, lr=LEARNING_RATE, weight_decay=WEIGHT_DECAY),
            # The engine gives a forced token the probability 1, and the policy does not.
            tripwire=TripwireConfig(mean=math.inf),
        )
        data = OneShotDataModule(
            source=str(source),
            rows=len(task.lengths) // task.group,
            rl_steps=task.steps + 1,
            template=task.template,
            max_prompt_tokens=len(task.ids),
        )
        trainer = Trainer(
            max_epochs=1,
            accelerator="auto",
            devices=1,
            precision="32-true" if task.precision == "fp32" else "bf16-mixed",
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            callbacks=[Watch(meter, task)],
        )
        trainer.fit(module, datamodule=data)
    return meter.result()
