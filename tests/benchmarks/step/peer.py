"""The peer's side: the same work on TRL's GRPOTrainer, its methods wrapped to take the times of its phases.

What TRL decides by default stays as it is (loss, generation by transformers, no KL term); set are the sizes and numbers of the
task, and no logging and no checkpoints. Recomputing activations, its default, is left out unless asked for: it costs time.
"""

import functools
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from datasets import Dataset
from transformers import (
    AutoModelForCausalLM,
    AutoTokenizer,
    LogitsProcessorList,
    TrainerCallback,
    TrainerControl,
    TrainerState,
    TrainingArguments,
)
from trl import GRPOConfig, GRPOTrainer

from lit_rlvr.training.clock import Clock
from tests.benchmarks.step.forced import ForcedProcessor
from tests.benchmarks.step.meter import Meter, device
from tests.benchmarks.step.works import LEARNING_RATE, TEMPERATURE, WEIGHT_DECAY, Task

NOTHING = "other"
"""The phase of what lies between the phases; the meter makes it up itself from what is left of a step."""


class Watch(TrainerCallback):
    """The clock of the step that is being made, and the meter, told when the first begins and when each has ended."""

    def __init__(self, meter: Meter) -> None:
        self._meter = meter
        self.clock: Clock

    def on_step_begin(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: object) -> None:
        """Generation is yet to come."""
        if state.global_step == 0:
            self._meter.loaded()
        self.clock = Clock(device())

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: object) -> None:
        """Since the gradient was clipped it has been the optimizer."""
        self.clock.lap("optimizer")
        self._meter.step(self.clock.wall, self.clock.cpu)


def timed(owner: object, method: str, phase: str, watch: Watch, within: str = NOTHING) -> None:
    """Let a method's time count for a phase, and the time since the lap before for the phase that it is called in."""
    wrapped = getattr(owner, method)

    @functools.wraps(wrapped)
    def call(*arguments: Any, **settings: Any) -> Any:
        watch.clock.lap(within)
        result = wrapped(*arguments, **settings)
        watch.clock.lap(phase)
        return result

    setattr(owner, method, call)


def checked(generate: Callable[..., Any], task: Task) -> Callable[..., Any]:
    """See that the work was that which was asked for."""

    def call(*arguments: Any) -> Any:
        prompts, completions, *rest = generate(*arguments)
        assert all(list(prompt) == task.ids for prompt in prompts)
        assert [len(completion) for completion in completions] == task.lengths
        return prompts, completions, *rest

    return call


def run(task: Task) -> dict[str, Any]:
    """Do the task and say what it took."""
    meter = Meter(task)
    watch = Watch(meter)
    draws = torch.Generator().manual_seed(0)

    def reward(completions: list[str], **_: object) -> list[float]:
        return (torch.rand(len(completions), generator=draws) < 0.5).float().tolist()

    responses = len(task.lengths)
    with tempfile.TemporaryDirectory() as folder:
        trainer = GRPOTrainer(
            model=AutoModelForCausalLM.from_pretrained(task.folder, dtype=torch.float32),
            processing_class=AutoTokenizer.from_pretrained(task.folder, padding_side="left"),
            reward_funcs=reward,
            train_dataset=Dataset.from_dict({"prompt": [task.text] * (responses // task.group * (task.steps + 1))}),
            args=GRPOConfig(
                output_dir=str(Path(folder)),
                max_steps=task.steps + 1,
                num_generations=task.group,
                per_device_train_batch_size=task.peer_batch,
                gradient_accumulation_steps=responses // task.peer_batch,
                max_completion_length=task.limit,
                temperature=TEMPERATURE,
                learning_rate=LEARNING_RATE,
                weight_decay=WEIGHT_DECAY,
                lr_scheduler_type="constant",
                bf16=task.precision == "bf16",
                gradient_checkpointing=task.peer_checkpointing,
                use_cpu=device().type == "cpu",
                dataloader_pin_memory=device().type == "cuda",
                report_to="none",
                logging_strategy="no",
                save_strategy="no",
                disable_tqdm=True,
            ),
            callbacks=[watch],
        )
        processor = ForcedProcessor(task.lengths, len(task.ids), trainer.eos_token_ids, task.limit)
        trainer.model.generate = functools.partial(
            trainer.model.generate, logits_processor=LogitsProcessorList([processor])
        )
        trainer._generate = checked(trainer._generate, task)
        timed(trainer, "_generate_and_score_completions", "score", watch)
        timed(trainer, "_generate", "rollout", watch, within="score")
        timed(trainer, "_calculate_rewards", "verify", watch, within="score")
        timed(trainer, "compute_loss", "forward", watch)
        timed(trainer.accelerator, "backward", "backward", watch)
        timed(trainer.accelerator, "clip_grad_norm_", "optimizer", watch)
        trainer.train()
    return meter.result()
