"""A policy's weights as everybody outside the trainer wants them: whole, under the names of a checkpoint.

From: the trained module, whose parameters may be sharded or wrapped. To: the engines' copies.
"""

from collections.abc import Iterator

from torch import Tensor
from transformers import PreTrainedModel

# Wrappers put these into parameter names; the checkpoint names are the ones without.
WRAPPER_PREFIXES = ("_orig_mod.", "_checkpoint_wrapped_module.")


def named_weights(policy: PreTrainedModel) -> Iterator[tuple[str, Tensor]]:
    """The policy's parameters under their checkpoint names, whole, one at a time, in the same order on every rank.

    Gathering a sharded parameter (DTensor) is a collective, so every rank must run the iterator to its end.
    Tied parameters come once, under their first name.
    """
    for name, parameter in policy.named_parameters():
        weight = parameter.detach()
        yield plain_name(name), weight.full_tensor() if hasattr(weight, "full_tensor") else weight


def weight_names(policy: PreTrainedModel) -> list[str]:
    """The names that :func:`named_weights` gives, without gathering anything."""
    return [plain_name(name) for name, _ in policy.named_parameters()]


def plain_name(name: str) -> str:
    """A parameter's name as it stands in a checkpoint, without what wrapping modules put in."""
    for prefix in WRAPPER_PREFIXES:
        name = name.replace(prefix, "")
    return name
