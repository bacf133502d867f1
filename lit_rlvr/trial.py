"""How fast a run will be here: a few of the policy's layers tried for some seconds, and drawn out to all of them.

To: `lit-rlvr plan`. Weights are random, since time does not depend on them; everything else is what the run itself calls.
"""

import copy
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from typing import TypeVar

import torch
from lightning import Trainer
from transformers import PretrainedConfig

from lit_rlvr.algorithms.packing import lay_out
from lit_rlvr.models.fresh import fresh_module
from lit_rlvr.models.policy import Policy
from lit_rlvr.module import RLVRModule
from lit_rlvr.plan import count_parameters
from lit_rlvr.rollout.transformers_engine import TransformersEngine
from lit_rlvr.training.clock import Clock

Result = TypeVar("Result")

LAYERS = (2, 6)
"""Tried numbers of layers; from these two times follows that of a layer, and that of all else."""

CPU_PARAMETERS = 300e6
"""The largest trial on CPU: beyond, it would take longer than anybody waits for a plan."""

PROMPT_TOKENS = 64
OPERATIONS = {"cpu": 2e11, "cuda": 2e13}
"""Of one timing: a second or less, and many tokens of a small model, whose full speed few do not reach."""

TIMINGS = 3
"""The shortest counts: a machine is never faster than it is, and what is drawn out to all layers must not be noise."""


@dataclass(frozen=True)
class Speed:
    """Of one process.

    Attributes:
        rollout: response tokens generated per second, all responses at once, or None where that was not tried.
        update: tokens per second of forward and backward pass.
    """

    rollout: float | None
    update: float

    def step_seconds(self, tokens: int) -> float | None:
        """Seconds of an RL step with this many response tokens."""
        return None if self.rollout is None else tokens / self.rollout + tokens / self.update


def drawn_out(few: float, more: float, layers: int) -> float:
    """Seconds with all layers, from those with the two numbers of ``LAYERS``; a layer takes at least no time."""
    low, high = LAYERS
    return more + max(0.0, more - few) / (high - low) * (layers - high)


def try_speed(module: RLVRModule, rows: int, trainer: Trainer, threads: int) -> Speed | None:
    """Try it, or None where the trial itself would be too large for this machine.

    Args:
        module: of the run.
        rows: of this process.
        trainer: of the run; its device and precision.
        threads: on CPU, of a process of the run.
    """
    config, layers = module.model_config, module.model_config.get_text_config().num_hidden_layers
    device = trainer.strategy.root_device
    few, more = (min(number, layers) for number in LAYERS)
    largest = _with_layers(config, more)
    if device.type == "cpu" and count_parameters(largest) > CPU_PARAMETERS:
        return None
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        long = _seconds(module, largest, rows, trainer)
        short = long if few == more else _seconds(module, _with_layers(config, few), rows, trainer)
    finally:
        torch.set_num_threads(before)
    rollout, update = (
        None if a is None or b is None else (b if layers <= LAYERS[1] else drawn_out(a, b, layers))
        for a, b in zip(short, long, strict=True)
    )
    assert update is not None
    return Speed(None if rollout is None else 1 / rollout, 1 / update)


def describe_speed(speed: Speed | None, module: RLVRModule, rows: int) -> str:
    """A line of the plan."""
    if speed is None:
        return f"not tried: {LAYERS[1]} of the policy's layers are too large for a trial on CPU"
    update = f"{speed.update:,.0f} of forward and backward passes"
    tokens = rows * module.sampling.n * module.sampling.max_tokens
    seconds = speed.step_seconds(tokens)
    if speed.rollout is None or seconds is None:
        return f"about {update} per second and process; {type(module.engine).__name__} was not tried"
    return (
        f"about {speed.rollout:,.0f} tokens of rollouts and {update} per second and process: {seconds:,.3g} s per RL step if "
        "every response reaches the limit (tried just now, with random weights)"
    )


def _with_layers(config: PretrainedConfig, layers: int) -> PretrainedConfig:
    fewer = copy.deepcopy(config)
    text = fewer.get_text_config()
    text.num_hidden_layers = layers
    if getattr(text, "layer_types", None):
        text.layer_types = text.layer_types[:layers]
    return fewer


def _seconds(module: RLVRModule, config: PretrainedConfig, rows: int, trainer: Trainer) -> tuple[float | None, float]:
    """Seconds per token of (rollout, forward and backward pass) with the model of this configuration."""
    device = trainer.strategy.root_device
    model = fresh_module(config, torch.float32)
    torch.nn.Module.to(model, device)
    draw = torch.Generator().manual_seed(0)
    vocabulary = min(len(module.tokenizer), config.get_text_config().vocab_size)
    prompt = tuple(torch.randint(vocabulary, (PROMPT_TOKENS,), generator=draw).tolist())
    responses = rows * module.sampling.n
    affordable = OPERATIONS.get(device.type, OPERATIONS["cuda"]) / count_parameters(config)
    length = max(
        8, min(module.sampling.max_tokens, int(affordable / 2 / responses))
    )  # 2 operations per parameter and token
    sampling = replace(module.sampling, n=responses, max_tokens=length)
    tried = module.engine if isinstance(module.engine, TransformersEngine) else TransformersEngine()
    engine = TransformersEngine(tried.dtype, tried.max_batch, tried.max_batch_tokens)
    engine.setup(model, module.tokenizer, device)
    engine.generate([prompt], replace(sampling, max_tokens=2), seed=0)
    rollout, rollouts = _timed(lambda: engine.generate([prompt], sampling, seed=0), device)
    engine.close()
    policy = Policy(model.requires_grad_(True), vocabulary, module.gradient_checkpointing).train()
    budget = min(module.update_config.micro_batch_tokens, max(512, int(affordable / 6)))  # 6 there and back
    count = max(1, min(len(rollouts), budget // int(rollouts.lengths.max())))
    batch = lay_out(rollouts, list(range(count))).to(device)
    half = "bf16" in str(trainer.precision)

    def update() -> None:
        casts: AbstractContextManager[object] = torch.autocast(device.type, torch.bfloat16) if half else nullcontext()
        with casts:
            logprobs, entropy = policy(batch, module.sampling.temperature)
            loss = logprobs.sum() - 1e-3 * entropy.sum()
        loss.backward()

    update()
    passes, _ = _timed(update, device)
    generated = None if tried is not module.engine else rollout / len(rollouts.tokens)
    return generated, passes / len(batch.ids)


def _timed(run: Callable[[], Result], device: torch.device) -> tuple[float, Result]:
    """(seconds of the fastest of ``TIMINGS`` runs, result)"""
    seconds = []
    for _ in range(TIMINGS):
        clock = Clock(device)
        result = run()
        clock.lap("run")
        seconds.append(clock.wall["run"])
    return min(seconds), result
