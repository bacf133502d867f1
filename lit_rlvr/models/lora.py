"""LoRA (arXiv 2106.09685): low-rank adapters beside frozen weights, the only thing about the policy that is trained.

From: a loaded model. To: the same model with peft's adapter layers in it, and, with the adapters switched off, the reference.
A weight W is used as W + (alpha / rank) B A. B starts at 0, so the policy starts as its base. Everybody outside the trainer
gets the sum (`models/weights.py`), and so does not know of adapters.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel
from transformers.pytorch_utils import Conv1D

from lit_rlvr.algorithms.packing import MicroBatch
from lit_rlvr.errors import UserError
from lit_rlvr.models.policy import Policy
from lit_rlvr.models.weights import ADAPTER, POLICY, fingerprint, is_adapter
from lit_rlvr.seeding import step_seed


@dataclass(frozen=True)
class LoRAConfig:
    """Low-rank adapters instead of all weights. They want several times the learning rate.

    There is no dropout: it would let the log-probs of one policy differ from one forward pass to the next.

    Attributes:
        rank: of each change of a weight matrix.
        alpha: changes are scaled by alpha / rank, so that one learning rate serves all ranks.
        targets: which linear layers get one: ``all-linear`` (all but the output layer), or names or ends of names, such
            as ``q_proj``.
    """

    rank: int = 16
    alpha: int = 32
    targets: Literal["all-linear"] | list[str] = "all-linear"

    def __post_init__(self) -> None:
        peft_package()
        if self.rank < 1:
            raise UserError(
                f"model.lora.rank is {self.rank}; use 1 or more, or leave model.lora out to train all weights."
            )
        if self.alpha < 1:
            raise UserError(f"model.lora.alpha is {self.alpha}; it must be 1 or more.")
        if not self.targets:
            raise UserError("model.lora.targets is empty; name linear layers such as q_proj, or use all-linear.")


def peft_package() -> Any:
    """The package, which is loaded when an adapter is asked for.

    Raises:
        UserError: it is not installed.
    """
    try:
        import peft
    except ImportError as error:
        raise UserError("LoRA adapters need the package peft: pip install 'lit-rlvr[lora]'.") from error
    return peft


def add_adapter(model: PreTrainedModel, lora: LoRAConfig, source: str = "", seed: int = 0) -> dict[str, Any]:
    """Put adapters into a model, in place, and freeze everything else.

    Args:
        model: as it was loaded, on any device, also ``meta``.
        lora: which adapters.
        source: where it was loaded from.
        seed: of the run; adapters start the same on every rank, and the global generator is left alone.

    Returns:
        The adapter in plain JSON types, for checkpoints: its settings, and which base it belongs to.

    Raises:
        UserError: peft is missing, or a target matches no linear layer.
    """
    peft = peft_package()
    targets = _targets(model, lora)
    transposed = any(isinstance(layer, Conv1D) for layer in model.modules())  # in GPT-2, and then all of them
    on_meta = next(model.parameters()).is_meta
    described = {
        "rank": lora.rank,
        "alpha": lora.alpha,
        "targets": targets,
        "transposed": transposed,
        "base": source,
        "seed": seed,
        "fingerprint": "" if on_meta else fingerprint(model.named_parameters()),
    }
    config = peft.LoraConfig(r=lora.rank, lora_alpha=lora.alpha, target_modules=targets, fan_in_fan_out=transposed)
    with torch.random.fork_rng(devices=[]), torch.device("meta" if on_meta else "cpu"):
        torch.default_generator.manual_seed(step_seed(seed, 0, stream="lora"))
        peft.inject_adapter_in_model(config, model, ADAPTER)
    return described


def _targets(model: PreTrainedModel, lora: LoRAConfig) -> list[str]:
    """Names of the layers that get an adapter, for peft: their last parts where those mean no other module."""
    head = model.get_output_embeddings()  # read as a matrix, past any adapter
    linear = [n for n, layer in model.named_modules() if isinstance(layer, nn.Linear | Conv1D) and layer is not head]
    ends = [""] if lora.targets == "all-linear" else [f".{target}" for target in lora.targets]
    for end in ends:
        if not any(f".{name}".endswith(end) for name in linear):
            there = ", ".join(sorted({name.rpartition(".")[2] for name in linear}))
            raise UserError(
                f"model.lora.targets: {end[1:]!r} is no linear layer below the output layer; there are {there}."
            )
    chosen = [name for name in linear if f".{name}".endswith(tuple(ends))]
    short = {name.rpartition(".")[2] for name in chosen}
    meant = [name for name, _ in model.named_modules() if name.rpartition(".")[2] in short]
    return sorted(short) if meant == chosen else chosen


@contextmanager
def adapter_off(model: PreTrainedModel) -> Iterator[None]:
    """The model as its base, in evaluation mode."""
    layers = [layer for layer in model.modules() if hasattr(layer, "lora_A")]
    scales, training = [layer.scaling[ADAPTER] for layer in layers], model.training  # type: ignore[index]
    # Not by peft's own switch: it takes requires_grad away too, and FSDP2 keeps what it sees in its first forward pass.
    for layer in layers:
        layer.scaling[ADAPTER] = 0.0  # type: ignore[index, operator]
    try:
        model.eval()
        yield
    finally:
        model.train(training)
        for layer, scale in zip(layers, scales, strict=True):
            layer.scaling[ADAPTER] = scale  # type: ignore[index, operator]


class WithoutAdapter:
    """The reference that costs nothing: the policy itself with its adapters off. Never used with gradient.

    Args:
        policy: in training, with adapters.
    """

    def __init__(self, policy: Policy) -> None:
        self._policy = policy

    @property
    def packs(self) -> bool:
        """As the policy does."""
        return self._policy.packs

    def reshard(self) -> None:
        """Give back what a sharded forward pass had gathered."""
        self._policy.reshard()

    @torch.no_grad()
    def __call__(self, batch: MicroBatch, temperature: float) -> tuple[Tensor, Tensor]:
        """See ``Policy.forward``."""
        with adapter_off(self._policy.model):
            result: tuple[Tensor, Tensor] = self._policy(batch, temperature)
        return result


def saved_state(state: dict[str, Tensor], adapter: Mapping[str, Any] | None) -> dict[str, Tensor]:
    """What of a module's state goes into checkpoints: all of it, or, with an adapter, all but the policy's frozen weights."""
    if adapter is None:
        return state
    return {name: value for name, value in state.items() if is_adapter(name) or not name.startswith(POLICY)}


def refuse_other_adapter(theirs: Mapping[str, Any] | None, ours: Mapping[str, Any] | None) -> None:
    """Raise ``UserError`` where a checkpoint cannot go on with this run's adapter.

    Args:
        theirs: the checkpoint's, as :func:`add_adapter` described it, or None where it holds the whole policy.
        ours: the run's.
    """
    if theirs is None and ours is not None:
        raise UserError("The checkpoint holds a whole policy and model.lora is set: leave the key out to resume.")
    if theirs is not None and ours is None:
        raise UserError(
            f"The checkpoint holds a LoRA adapter (rank {theirs['rank']}, alpha {theirs['alpha']}) and model.lora is not "
            "set: resume with the configuration of the run that wrote it."
        )
    if theirs is None or ours is None:
        return
    for key in ("rank", "alpha", "targets"):
        if theirs[key] != ours[key]:
            raise UserError(
                f"model.lora.{key} is {ours[key]} and the checkpoint's is {theirs[key]}: give that to resume."
            )
    if theirs["fingerprint"] != ours["fingerprint"]:
        raise UserError(
            f"{ours['base']} is not the base of the checkpoint's adapter, {theirs['base']}: its weights differ."
        )
