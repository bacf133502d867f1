"""The plan of a run, worked out before any weight is loaded: what will be computed, where, and in how much memory."""

import os
from dataclasses import dataclass

import torch
from lightning import Trainer
from lightning.fabric.utilities.distributed import _suggested_max_num_threads
from transformers import AutoModelForCausalLM, PretrainedConfig, PreTrainedModel

from lit_rlvr.data.datamodule import OneShotDataModule
from lit_rlvr.estimate import Memory, Run, Shape, estimate
from lit_rlvr.models.lora import LoRAConfig, add_adapter
from lit_rlvr.module import RLVRModule
from lit_rlvr.rollout.engine import engine_dtype
from lit_rlvr.rollout.transformers_engine import TransformersEngine
from lit_rlvr.training.strategies import FSDP2Strategy


@dataclass(frozen=True)
class Plan:
    """What `lit-rlvr plan` prints: pairs of a label and a sentence, and the estimated bytes behind one of them."""

    lines: tuple[tuple[str, str], ...]
    memory_bytes: float

    def render(self) -> str:
        """The plan as text, labels aligned."""
        width = max(len(label) for label, _ in self.lines)
        return "\n".join(f"  {label:<{width}}  {value}" for label, value in self.lines)


def count_parameters(config: PretrainedConfig) -> int:
    """Parameters of the architecture, counted without allocating them."""
    return sum(p.numel() for p in _on_meta(config).parameters())


def count_trained(config: PretrainedConfig, lora: LoRAConfig | None) -> int:
    """Parameters that are trained: all of the architecture's, or its adapter's."""
    if lora is None:
        return count_parameters(config)
    model = _on_meta(config)
    add_adapter(model, lora)
    return sum(p.numel() for p in model.parameters() if p.requires_grad)


def _on_meta(config: PretrainedConfig) -> PreTrainedModel:
    with torch.device("meta"):
        return AutoModelForCausalLM.from_config(config)


def make_plan(module: RLVRModule, data: OneShotDataModule, trainer: Trainer) -> Plan:
    """The plan of a run that is configured but not started."""
    config = module.model_config.get_text_config()
    parameters, trained = count_parameters(module.model_config), count_trained(module.model_config, module.lora)
    sampling, update = module.sampling, module.update_config
    share = data.share(trainer.world_size)
    responses = data.rows * sampling.n
    memory = estimate_memory(module, parameters, trained, share, data.max_prompt_tokens, trainer)
    epochs = f" ({update.epochs} epochs of {update.updates_per_rollout})" if update.epochs > 1 else ""
    critic = [("critic", f"a value head on {module.critic_source}")] if module.algorithm.needs_critic else []
    lines = [
        ("policy", f"{module.policy_source} ({config.model_type}, {parameters / 1e6:,.1f}M parameters)"),
        *_adapter_lines(module.lora, parameters, trained),
        ("reference", _reference(module)),
        *critic,
        ("algorithm", _describe(module.algorithm)),
        ("reward", type(module.reward).__name__),
        ("engine", _describe(module.engine)),
        ("problems", f"{data.source}" + (f", label replaced by {data.label}" if data.label else "")),
        ("prompt", f"template {data.template}, at most {data.max_prompt_tokens:,} tokens"),
        (
            "rollouts",
            f"{data.rows} rows x {sampling.n} responses = {responses:,} per RL step, at most {sampling.max_tokens:,} tokens "
            f"each, temperature {sampling.temperature:g}",
        ),
        (
            "updates",
            f"{update.optimizer_steps} per RL step{epochs}, micro-batches of at most {update.micro_batch_tokens:,} tokens, "
            f"{update.aggregation}, gradient norm at most {update.max_grad_norm:g}",
        ),
        ("length", f"{data.rl_steps:,} RL steps = {data.rl_steps * update.optimizer_steps:,} optimizer steps"),
        *[("evaluation", line) for line in _evaluation_lines(trainer)],
        ("processes", _processes(share, sampling.n, trainer)),
        (
            "memory",
            f"about {memory.peak / 1e9:,.2f} GB per process at the peak ({_largest(memory)})",
        ),
    ]
    return Plan(tuple(lines), memory.peak)


def _largest(memory: Memory) -> str:
    """Its parts in GB, largest first, without those that do not show."""
    parts = sorted(memory.parts().items(), key=lambda part: -part[1])
    return ", ".join(f"{name} {size / 1e9:.2f}" for name, size in parts if size >= 0.01e9) or "next to nothing"


def estimate_memory(
    module: RLVRModule, parameters: int, trained: int, rows: int, prompt: int, trainer: Trainer
) -> Memory:
    """What one process needs, from the shapes alone."""
    whole = 0 if module.lora is None else parameters  # the base under an adapter
    if module.algorithm.needs_reference and module.reference_source is not None:
        whole += parameters
    on_cpu = trainer.strategy.root_device.type == "cpu"
    run = Run(
        responses=rows * module.sampling.n,
        tokens=module.sampling.max_tokens,
        prompt=prompt,
        micro_batch_tokens=module.update_config.micro_batch_tokens,
        half="16" in str(trainer.precision),
        engine_half=engine_dtype(getattr(module.engine, "dtype", "auto"), trainer.strategy.root_device)
        != torch.float32,
        trained=trained,
        frozen=whole,
        critic=parameters if module.algorithm.needs_critic else 0,  # a body of the policy's size, as a rule
        shards=trainer.world_size if isinstance(trainer.strategy, FSDP2Strategy) else 1,
        checkpointing=module.gradient_checkpointing,
        engine_here=isinstance(module.engine, TransformersEngine),
        on_cpu=on_cpu,
    )
    return estimate(Shape.of(module.model_config.get_text_config(), parameters), run)


def _reference(module: RLVRModule) -> str:
    if not module.algorithm.needs_reference:
        return "none (no KL term)"
    source = module.reference_source
    return "the policy without its adapter, no copy" if source is None else f"{source}, frozen"


def _adapter_lines(lora: LoRAConfig | None, parameters: int, trained: int) -> list[tuple[str, str]]:
    if lora is None:
        return []
    targets = lora.targets if isinstance(lora.targets, str) else ", ".join(lora.targets)
    share = f"{trained / 1e6:,.2f}M parameters trained, {100 * trained / parameters:.1f}% as many as the policy has"
    return [("adapter", f"LoRA of rank {lora.rank}, alpha {lora.alpha}, on {targets}: {share}")]


def _describe(thing: object) -> str:
    """Class name with the settings it was given."""
    settings = {k: v for k, v in vars(thing).items() if not k.startswith("_") and isinstance(v, int | float | str)}
    return f"{type(thing).__name__}({', '.join(f'{k}={v}' for k, v in settings.items())})"


def _processes(rows: int, samples: int, trainer: Trainer) -> str:
    """What each process does and holds."""
    strategy = trainer.strategy
    name = type(strategy).__name__.removesuffix("Strategy")
    share = f"{_count(rows, 'row')} = {_count(rows * samples, 'response')} and {_count(threads(trainer), 'thread')}"
    if trainer.world_size > 1:
        sharded = isinstance(strategy, FSDP2Strategy)
        holds = "weights, gradients and moments sharded, the engine's copy whole" if sharded else "the whole model"
        share = f"{share} each, {holds}"
    return f"{trainer.world_size} ({name}), {share}, precision {trainer.precision}"


def threads(trainer: Trainer) -> int:
    """CPU threads of a process: as told, or the cores shared out, as Lightning's launcher does when the run starts."""
    if trainer.world_size == 1 or "OMP_NUM_THREADS" in os.environ:
        return torch.get_num_threads()
    return _suggested_max_num_threads(trainer.num_devices)


def _count(number: int, what: str) -> str:
    return f"{number:,} {what}" + ("" if number == 1 else "s")


def _evaluation_lines(trainer: Trainer) -> list[str]:
    """What the callbacks that evaluate say of themselves; which they are, nobody below them needs to know."""
    speaking = [c for c in trainer.callbacks if hasattr(c, "describe_evaluations")]  # type: ignore[attr-defined]
    return [line for callback in speaking for line in callback.describe_evaluations()] or ["none"]
