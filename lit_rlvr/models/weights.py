"""A policy's weights as everybody outside the trainer wants them: whole, merged, under the names of a checkpoint.

From: the trained module, whose parameters may be sharded, wrapped, or have a LoRA adapter beside them. To: the engines'
copies and the exported policy.
"""

import hashlib
from collections.abc import Iterable, Iterator, Mapping

import torch
from torch import Tensor
from transformers import PreTrainedModel

ADAPTER = "default"
"""What peft calls an adapter that is not named; ours is the only one."""

POLICY = "policy.model."
"""What the names of the policy's parameters begin with in a run's module, and so in its checkpoints."""

# Wrapping modules put these into parameter names; the checkpoint names are the ones without.
WRAPPERS = ("_orig_mod.", "_checkpoint_wrapped_module.", "base_layer.")

# Values of each parameter that go into the fingerprint: an update of the whole policy moves nearly all of them.
_LOOKED_AT = 1024


def named_weights(policy: PreTrainedModel) -> Iterator[tuple[str, Tensor]]:
    """The policy's parameters under their checkpoint names, whole, one at a time, in the same order on every rank.

    Gathering a sharded parameter (DTensor) is a collective, so every rank must run the iterator to its end. Tied
    parameters come once, under their first name. The policy itself is left as it is.
    """
    return merged(policy, dict(policy.named_parameters()))


def weight_names(policy: PreTrainedModel) -> list[str]:
    """The names that :func:`named_weights` gives, without gathering anything."""
    return [plain_name(name) for name, _ in policy.named_parameters() if not is_adapter(name)]


def policy_weights(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The policy's part of the state of a run's module, under the names of its own module."""
    return {name.removeprefix(POLICY): value for name, value in state.items() if name.startswith(POLICY)}


def merged(policy: PreTrainedModel, tensors: Mapping[str, Tensor]) -> Iterator[tuple[str, Tensor]]:
    """The policy's tensors with its adapter, if there is one, added to the weights it stands beside: W + s B A.

    Args:
        policy: says how each adapter is scaled.
        tensors: its parameters, or a state dict of it; sharded ones are gathered as their turn comes.

    Yields:
        (checkpoint name, whole tensor), in the order of ``tensors``.
    """
    for name, tensor in tensors.items():
        if is_adapter(name):
            continue
        weight = _whole(tensor)
        path, _, kind = name.rpartition(".base_layer.")
        if path and kind == "weight":
            down, up = (_whole(tensors[f"{path}.lora_{which}.{ADAPTER}.weight"]) for which in "AB")
            layer = policy.get_submodule(path)
            with torch.autocast(weight.device.type, enabled=False):  # a training step may run in bfloat16
                change = layer.scaling[ADAPTER] * (up @ down)  # type: ignore[index]  # peft's dictionary
            weight = weight + (change.T if layer.fan_in_fan_out else change)
        yield plain_name(name), weight


def _whole(tensor: Tensor) -> Tensor:
    tensor = tensor.detach()
    return tensor.full_tensor() if hasattr(tensor, "full_tensor") else tensor


def is_adapter(name: str) -> bool:
    """Whether a parameter of that name belongs to an adapter."""
    return ".lora_A." in name or ".lora_B." in name


def plain_name(name: str) -> str:
    """A parameter's name as it stands in a checkpoint, without what wrapping modules put in."""
    for wrapper in WRAPPERS:
        name = name.replace(wrapper, "")
    return name


def fingerprint(named: Iterable[tuple[str, Tensor]]) -> str:
    """Hex digits that change with the weights, whatever the model is called and wherever it lies."""
    digest = hashlib.blake2b(digest_size=8)
    for name, value in sorted(named, key=lambda pair: pair[0]):
        flat = value.detach().flatten()
        last, count = len(flat) - 1, min(len(flat), _LOOKED_AT)
        places = torch.linspace(0, last, count, dtype=torch.float64, device="cpu").long()
        looked_at = flat[places.to(flat.device)].float().cpu()
        digest.update(f"{name}{tuple(value.shape)}".encode() + looked_at.numpy().tobytes())
    return digest.hexdigest()
