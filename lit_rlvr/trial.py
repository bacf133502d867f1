"""How fast a run will be here: the policy, or a few of its layers drawn out to all of them, tried for some seconds.

To: `lit-rlvr plan`. Weights are random, since time does not depend on them; everything else is what the run itself calls.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace

import torch
from lightning import Trainer
from transformers import PretrainedConfig

from lit_rlvr.algorithms.packing import lay_out
from lit_rlvr.models.fresh import fresh_module, with_layers
from lit_rlvr.models.policy import Policy
from lit_rlvr.module import RLVRModule
from lit_rlvr.plan import count_parameters
from lit_rlvr.rollout.transformers_engine import TransformersEngine
from lit_rlvr.training.clock import Clock

LAYERS = (2, 6)
"""Tried numbers of layers; from these two times follows that of a layer, and that of all else."""

WHOLE_PARAMETERS = 300e6
"""Up to this size the whole policy is tried. Of larger ones a few layers, on a GPU; on CPU nobody waits that long for a plan."""

PROMPT_TOKENS = 64
OPERATIONS = {"cpu": 1e12, "cuda": 1e14}
"""Of one timing, within the run's own sizes: some seconds, and as many tokens of a small model as the run's micro-batch has.
Fewer would not reach full speed, for weights are cast and gradients added up once in each."""

TIMINGS = 2
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
    whole = count_parameters(config) <= WHOLE_PARAMETERS
    if device.type == "cpu" and not whole:
        return None
    few, more = (layers if whole else min(number, layers) for number in LAYERS)
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        more_rollout, more_update = _seconds(module, with_layers(config, more), rows, trainer)
        if few == more:
            rollout, update = more_rollout, more_update
        else:
            few_rollout, few_update = _seconds(module, with_layers(config, few), rows, trainer)
            update = drawn_out(few_update, more_update, layers)
            rollout = None
            if few_rollout is not None and more_rollout is not None:
                rollout = drawn_out(few_rollout, more_rollout, layers)
    finally:
        torch.set_num_threads(before)
    return Speed(None if rollout is None else 1 / rollout, 1 / update)


def describe_speed(speed: Speed | None, module: RLVRModule, rows: int) -> str:
    """A line of the plan."""
    if speed is None:
        return (
            f"not tried: a policy of more than {WHOLE_PARAMETERS / 1e6:.0f}M parameters is too large for a trial on CPU"
        )
    update = f"{speed.update:,.0f} of forward and backward passes"
    tokens = rows * module.sampling.n * module.sampling.max_tokens
    seconds = speed.step_seconds(tokens)
    if speed.rollout is None or seconds is None:
        return f"about {update} per second and process; {type(module.engine).__name__} was not tried"
    return (
        f"about {speed.rollout:,.0f} tokens of rollouts and {update} per second and process: {seconds:,.3g} s per RL step if "
        "every response reaches the limit (tried just now, with random weights)"
    )


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
    # A parameter takes 2 operations per token that is drawn, and 6 there and back.
    length = max(8, min(module.sampling.max_tokens, int(affordable / 2 / responses)))
    sampling = replace(module.sampling, n=responses, max_tokens=length)
    tried = module.engine if isinstance(module.engine, TransformersEngine) else TransformersEngine()
    engine = TransformersEngine(tried.dtype, tried.max_batch, tried.max_batch_tokens)
    engine.setup(model, module.tokenizer, device)
    rollouts = engine.generate([prompt], sampling, seed=0)
    policy = Policy(model.requires_grad_(True), vocabulary, module.gradient_checkpointing).train()
    budget = min(module.update_config.micro_batch_tokens, max(512, int(affordable / 6)))
    count = max(1, min(len(rollouts), budget // int(rollouts.lengths.max())))
    batch = lay_out(rollouts, list(range(count))).to(device)
    half = {"bf16-mixed": torch.bfloat16, "16-mixed": torch.float16}.get(str(trainer.precision))
    bonus = getattr(module.algorithm, "entropy_coefficient", 0.0)  # without it the entropy has no backward pass

    def update() -> None:
        casts: AbstractContextManager[object] = torch.autocast(device.type, half) if half else nullcontext()
        with casts:
            logprobs, entropy = policy(batch, module.sampling.temperature)
            loss = logprobs.sum() - bonus * entropy.sum()
        loss.backward()

    # In this order: the verifier's workers are still starting when a plan is made, and take the cores from what comes first.
    passes = _timed(update, device)
    rollout = _timed(lambda: engine.generate([prompt], sampling, seed=0), device) if tried is module.engine else None
    engine.close()
    return None if rollout is None else rollout / len(rollouts.tokens), passes / len(batch.ids)


def _timed(run: Callable[[], object], device: torch.device) -> float:
    """Seconds of the fastest of ``TIMINGS`` runs."""
    seconds = []
    for _ in range(TIMINGS):
        clock = Clock(device)
        run()
        clock.lap("run")
        seconds.append(clock.wall["run"])
    return min(seconds)
