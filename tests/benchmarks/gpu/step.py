"""Part 8: one whole RL step of the paper's shape by the real module and Trainer, on a random 1.5B model, in phases.

Response lengths are forced (`tests/benchmarks/step/forced.py`): drawn with a mean of 800 tokens and cut at 3,072. Where time or
memory does not reach for 1,024 responses, fewer are taken, and the report says why.
"""

import json
import math
from pathlib import Path
from typing import Any
from unittest.mock import patch

import torch
from lightning import Callback, LightningModule, Trainer
from torch import Tensor
from transformers import AutoTokenizer

from lit_rlvr.algorithms.grpo import GRPO
from lit_rlvr.algorithms.logprobs import logprobs_and_entropy
from lit_rlvr.data.datamodule import OneShotDataModule
from lit_rlvr.experience import Experience, PromptBatch, Rollouts
from lit_rlvr.module import RLVRModule
from lit_rlvr.rewards.rewards import RandomReward
from lit_rlvr.rollout.engine import Sampling
from lit_rlvr.training.tripwire import TripwireConfig
from lit_rlvr.training.update import UpdateConfig, UpdateSums
from tests.benchmarks.flops import Shape, step_flops
from tests.benchmarks.gpu.job import Job, Result, allocated_gb, free, peak_gb
from tests.benchmarks.gpu.learning import TEMPERATURE, random_model
from tests.benchmarks.gpu.pace import Paced, TooSlowError
from tests.benchmarks.gpu.sizes import drawn_lengths
from tests.benchmarks.gpu.spans import Spans
from tests.benchmarks.step.forced import ForcedEngine
from tests.benchmarks.step.meter import matmul_rate, synchronised
from tests.benchmarks.step.models import write_tokenizer
from tests.benchmarks.step.works import GROUP, Work, prompt_of

OVERHEAD_S = 12
"""Seconds of a step that are neither decoding nor matrix products: verdicts, the optimizer, the sync, the end."""

LARGEST_KL = 1e-3
"""Reference and policy have the same weights before the only update."""


def run(job: Job) -> Result:
    """Do the part."""
    size = job.size
    folder = job.scratch / "model"
    write_tokenizer(size.config, folder)
    size.config.save_pretrained(folder)
    rate = matmul_rate("bf16")
    job.report.put(round(rate / 1e12, 3), "matmul_tflop_per_second")
    for responses in size.step_responses:
        last = responses == size.step_responses[-1]
        why = attempt(job, folder, responses, rate, last)
        free(job.device)
        if why is None:
            break
        job.report.append(f"{responses} responses: {why}", "given_up")
    found = job.report.content.get("step")
    if found is None:
        return Result(False, "; ".join(job.report.content["given_up"])[:300])
    seconds = found["seconds"]
    says = f"{found['responses']} responses, {found['tokens']} tokens: {seconds['step']:.1f} s ("
    says += ", ".join(f"{name} {value:.1f}" for name, value in seconds.items() if name != "step" and value >= 0.05)
    says += f"; in the output layer {sum(found['output_layer_s'].values()):.1f}), peak {found['memory_gb']}, MFU {found['mfu_6nt']:.1%}"
    return Result(found["lengths_as_wanted"] and found["kl"] < LARGEST_KL, says)


def attempt(job: Job, folder: Path, responses: int, rate: float, last: bool) -> str | None:
    """One RL step of so many responses; returns why it was given up, if it was.

    Args:
        job: what the part was given.
        folder: configuration and tokenizer of the model.
        responses: of the step.
        rate: operations per second of a large matrix product.
        last: go on however long it will take.
    """
    size = job.size
    lengths = drawn_lengths(responses, size.step_mean, size.step_longest)
    shape = Shape.of(size.config)
    # 2NT for the reference, 8NT for the update, at a third of what a large product reaches.
    learning_s = 10 * (shape.body + shape.head) * sum(lengths) / (rate / 3)
    allowed_s = math.inf if last else job.left_s() - learning_s - OVERHEAD_S
    spans = Spans(job.device)
    try:
        with (
            patch("lit_rlvr.module.load_model", lambda *_, **__: random_model(size.config, job.device)),
            patch("lit_rlvr.models.policy.logprobs_and_entropy", spans.around(logprobs_and_entropy)),
        ):
            fit(job, folder, lengths, allowed_s, shape, spans, rate)
    except (TooSlowError, torch.OutOfMemoryError) as error:
        return f"{type(error).__name__}: {str(error).splitlines()[0][:300]}"
    return None


class StepEngine(ForcedEngine):
    """An engine with forced lengths that gives up where its first steps are too slow, and reports when it is through."""

    def __init__(self, lengths: list[int], allowed_s: float, job: Job, **settings: Any) -> None:
        super().__init__(lengths, **settings)
        self._allowed_s, self._job = allowed_s, job

    def setup(self, *arguments: Any) -> None:
        """See ``RolloutEngine``."""
        super().setup(*arguments)
        self._decoder = Paced(self._decoder, self.lengths, self._allowed_s)

    def generate(self, prompts: Any, sampling: Sampling, *others: Any) -> Rollouts:
        """See ``RolloutEngine``."""
        if sampling.max_tokens < max(self.lengths):  # the tripwire's probe
            return super().generate(prompts, sampling, *others)
        start, _ = synchronised()
        drawn = super().generate(prompts, sampling, *others)
        phase_ended(self._job, "rollout", start)
        return drawn


class StepModule(RLVRModule):
    """A module that reports when its longest phases are through."""

    job: Job

    def score(self, experience: Experience) -> Experience:
        """See ``RLVRModule``."""
        start, _ = synchronised()
        scored = super().score(experience)
        phase_ended(self.job, "score", start)
        return scored

    def update(self, batch: PromptBatch, experience: Experience) -> UpdateSums:
        """See ``RLVRModule``."""
        start, _ = synchronised()
        sums = super().update(batch, experience)
        phase_ended(self.job, "update", start)
        return sums


def phase_ended(job: Job, name: str, start: float) -> None:
    """Report seconds and peak memory of a phase, and count the peak anew."""
    job.report.put({"s": round(synchronised()[0] - start, 3), "peak_gb": peak_gb(job.device)}, "phases", name)
    if job.device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(job.device)


class Record(Callback):
    """Puts the finished step into the report.

    Args:
        put: takes the step's metrics and its responses' lengths.
    """

    def __init__(self, put: Any) -> None:
        self._put = put

    def on_train_batch_end(
        self, trainer: Trainer, module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Called when the step's metrics are known."""
        assert isinstance(module, RLVRModule)
        assert module.last_step is not None
        self._put(module.last_step.metrics, module.last_step.experience.rollouts.lengths)


def fit(job: Job, folder: Path, lengths: list[int], allowed_s: float, shape: Shape, spans: Spans, rate: float) -> None:
    """One RL step of the paper's recipe, activations checkpointed, bfloat16 over float32 weights."""
    size = job.size
    longest = max(lengths)
    work = Work("1.5b", len(lengths), longest, prompt=size.prompt)
    question, template, _, ids = prompt_of(work, AutoTokenizer.from_pretrained(folder))
    source = job.scratch / "problem.jsonl"
    source.write_text(json.dumps({"id": "0", "question": question, "answer": "42"}) + "\n")

    def put(metrics: Any, drawn: Tensor) -> None:
        seconds = {k.removeprefix("time/"): round(v, 3) for k, v in metrics.items() if k.startswith("time/")}
        learning = seconds["forward"] + seconds["backward"]
        nt = (shape.body + shape.head) * sum(lengths)
        phases = job.report.content.get("phases", {})
        job.report.put(
            {
                "responses": len(lengths),
                "tokens": sum(lengths),
                "longest": longest,
                "lengths_as_wanted": sorted(drawn.tolist()) == sorted(lengths),
                "seconds": seconds,
                "output_layer_s": spans.seconds(),
                "rollout_tokens_per_second": round(sum(lengths) / seconds["rollout"]),
                "memory_gb": {name: phase["peak_gb"] for name, phase in phases.items()}
                | {"held": round(allocated_gb(job.device), 2)},
                "reserved_gb": round(torch.cuda.max_memory_reserved() / 1e9, 2) if job.device.type == "cuda" else None,
                "mfu_6nt": round(6 * nt / learning / rate, 4),
                "mfu_8nt": round(8 * nt / learning / rate, 4),
                "mfu_useful": round(step_flops(shape, len(ids), lengths) / learning / rate, 4),
                "kl": metrics["train/kl"],
                "logprob_diff_mean": metrics["rollout/logprob_diff/mean"],
            },
            "step",
        )

    module = StepModule(
        str(folder),
        GRPO(kl_coefficient=0.001, entropy_coefficient=0.001),
        StepEngine(lengths, allowed_s, job, max_batch=len(lengths)),
        RandomReward(),
        sampling=Sampling(n=GROUP, temperature=TEMPERATURE, max_tokens=longest),
        update=UpdateConfig(micro_batch_tokens=size.micro_batch_tokens, aggregation="paper"),
        # The engine gives a forced token the probability 1, and the policy does not.
        tripwire=TripwireConfig(mean=math.inf),
        gradient_checkpointing=True,
    )
    module.job = job
    data = OneShotDataModule(
        source=str(source),
        rows=len(lengths) // GROUP,
        rl_steps=1,
        template=template,
        max_prompt_tokens=len(ids),
    )
    trainer = Trainer(
        max_epochs=1,
        accelerator="gpu" if job.device.type == "cuda" else "cpu",
        devices=1,
        precision="bf16-mixed",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        callbacks=[Record(put)],
    )
    trainer.fit(module, datamodule=data)
