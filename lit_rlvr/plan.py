"""The plan of a run, worked out before any weight is loaded: what will be computed, where, and in how much memory."""

import os
import textwrap
from dataclasses import dataclass

import torch
from lightning import Trainer
from lightning.fabric.utilities.distributed import _suggested_max_num_threads
from lightning.pytorch.strategies import DDPStrategy
from transformers import AutoModelForCausalLM, PretrainedConfig, PreTrainedModel

from lit_rlvr.data.datamodule import OneShotDataModule
from lit_rlvr.estimate import SPARE, Memory, Run, estimate
from lit_rlvr.host_memory import disk_space, host_memory
from lit_rlvr.models.lora import LoRAConfig, add_adapter
from lit_rlvr.models.shape import Shape
from lit_rlvr.module import RLVRModule
from lit_rlvr.planned_run import Card, card_of, planned_run
from lit_rlvr.remedies import remedy
from lit_rlvr.training.strategies import FSDP2Strategy

COLUMNS = 80
"""Of a line that is printed; a label and a sentence that goes on below itself."""


@dataclass(frozen=True)
class Plan:
    """What `lit-rlvr plan` prints: pairs of a label and a sentence, and the estimated bytes behind some of them.

    Attributes:
        lines: the pairs.
        memory: of one process.
    """

    lines: tuple[tuple[str, str], ...]
    memory: Memory

    @property
    def memory_bytes(self) -> float:
        """Bytes of one process at its peak."""
        return self.memory.peak

    def render(self) -> str:
        """Lay the plan out as text, labels aligned, no line longer than ``COLUMNS``."""
        width = max(len(label) for label, _ in self.lines)
        return "\n".join(render_line(label, value, width) for label, value in self.lines)


def render_line(label: str, value: str, width: int = 10) -> str:
    """Lay out one label and its sentence.

    Args:
        label: of the line.
        value: the sentence.
        width: of all labels.
    """
    start = f"  {label:<{width}}  "
    return textwrap.fill(
        value,
        COLUMNS,
        initial_indent=start,
        subsequent_indent=" " * len(start),
        break_long_words=False,
        break_on_hyphens=False,
    )


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


def make_plan(module: RLVRModule, data: OneShotDataModule, trainer: Trainer, memory_gb: float | None = None) -> Plan:
    """Plan a run that is configured but not started.

    Args:
        module: of the run.
        data: of the run.
        trainer: of the run.
        memory_gb: of the GPUs that it is planned for, or None for what is here.
    """
    config = module.model_config.get_text_config()
    parameters, trained = count_parameters(module.model_config), count_trained(module.model_config, module.lora)
    sampling, update = module.sampling, module.update_config
    share = data.share(trainer.world_size)
    responses = data.rows * sampling.n
    card, shape = card_of(trainer, memory_gb), Shape.of(config, parameters)
    run = planned_run(module, parameters, trained, share, data.max_prompt_tokens, trainer, card)
    memory = estimate(shape, run)
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
        ("memory", _peak(memory)),
        *([] if card is None else _card_lines(shape, run, card, share, module, memory)),
        *([] if card is None else [("host", _host(shape, run, trainer))]),
        *_disk_lines(shape, run, trainer),
    ]
    return Plan(tuple(lines), memory)


def _peak(memory: Memory) -> str:
    """The fullest moment, and its parts in GB, largest first, without those that do not show."""
    parts = sorted(memory.parts.items(), key=lambda part: -part[1])
    listed = ", ".join(f"{name} {size / 1e9:.2f}" for name, size in parts if size >= 0.01e9) or "next to nothing"
    return f"about {memory.peak / 1e9:,.2f} GB per process at the peak, which is the {memory.fullest} ({listed})"


def _card_lines(
    shape: Shape, run: Run, card: Card, rows: int, module: RLVRModule, memory: Memory
) -> list[tuple[str, str]]:
    """Whether it fits, and if not, what makes it fit."""
    asked, kept = min(run.responses, run.max_batch), f"{SPARE:.0%} of it is kept free"
    over = memory.over(card.bytes)
    name = card.name if "GB" in card.name else f"{card.name}, {card.bytes / 1e9:.1f} GB"
    lines = []
    if memory.at_once < asked and over <= 0 and memory.at_once:
        lines = [("", f"the engine has room for {memory.at_once} of {asked} responses at once; others wait")]
    if over <= 0 and memory.at_once:
        return [("card", f"{name}: fits, with {(card.bytes - memory.peak) / 1e9:,.1f} GB left"), *lines]
    too_much = (
        f"{max(over / 1e9, 0.1):,.1f} GB too much ({kept})"
        if over > 0
        else "vLLM's share has no room for a single response"
    )
    found = remedy(shape, run, card.bytes, rows, module.update_config.aggregation == "paper")
    if found is None:
        mends = "nothing that was tried makes it fit; take a larger card or a smaller policy"
    else:
        mends = f"{found.settings}: then about {estimate(shape, found.run).peak / 1e9:,.1f} GB"
    return [("card", f"{name}: DOES NOT FIT, {too_much}"), ("to mend it", mends)]


def _host(shape: Shape, run: Run, trainer: Trainer) -> str:
    host = host_memory(shape, run, trainer.num_devices)
    return (
        f"about {host.loading / 1e9:,.0f} GB of the machine's memory while models are loaded, "
        f"{host.running / 1e9:,.0f} GB afterwards"
    )


def _disk_lines(shape: Shape, run: Run, trainer: Trainer) -> list[tuple[str, str]]:
    """Room for checkpoints, where there is a callback that writes them."""
    writing = [c for c in trainer.callbacks if hasattr(c, "keep") and hasattr(c, "export")]  # type: ignore[attr-defined]
    lines = []
    for callback in writing:
        disk = disk_space(shape, run, callback.keep, callback.export)
        exported = f", and {_gb(disk.policy)} for the policy" if disk.policy else ""
        lines.append(("disk", f"{_gb(disk.checkpoint)} a checkpoint, up to {_gb(disk.checkpoints)} for all{exported}"))
    return lines


def _gb(size: float) -> str:
    return f"{size / 1e9:,.1f} GB" if size >= 1e8 else f"{size / 1e6:,.1f} MB"


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
    name = "DDP" if isinstance(strategy, DDPStrategy) else type(strategy).__name__.removesuffix("Strategy")
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
