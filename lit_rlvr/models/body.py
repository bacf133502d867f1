"""The transformer below the heads, run on a micro-batch: what policy and critic have in common.

From: `algorithms/packing.py` (the layout). To: `models/policy.py`, `models/critic.py`.
"""

import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn
from transformers import PretrainedConfig, PreTrainedModel

from lit_rlvr.algorithms.packing import MicroBatch
from lit_rlvr.models.fresh import SMALL_VOCABULARY, two_layers
from lit_rlvr.models.packed_attention import PACKED, KeysAndValues, Layout, NotPackableError, places_of

PACKING_TOLERANCE = 1e-5
"""Packed and plain forward are the same sums in another order: in float32 that leaves about 1e-6 of values near 1."""

_packs: dict[str, str | None] = {}  # configuration -> why not


@dataclass(frozen=True)
class Remembered:
    """What a frozen model has computed of a prompt.

    Attributes:
        prompt: its P token ids.
        states: [P, H] last hidden states.
        memory: attention layer's number -> keys and values of the prompt.
    """

    prompt: tuple[int, ...]
    states: Tensor
    memory: KeysAndValues = field(default_factory=dict)


class Body(nn.Module):
    """A causal transformer whose last hidden states are wanted where response tokens are predicted.

    Args:
        model: with or without its output layer.
        checkpointing: recompute each layer's activations in the backward pass instead of keeping them.

    Attributes:
        packs: whether micro-batches go through in one row, with a shared prompt computed once for all its responses.
            Otherwise they are padded: slower, and right for every architecture.
    """

    def __init__(self, model: PreTrainedModel, checkpointing: bool = False) -> None:
        super().__init__()
        if checkpointing:  # transformers 5.23 renamed the method
            enable = getattr(model, "activation_checkpointing_enable", None) or model.gradient_checkpointing_enable
            enable({"use_reentrant": False})
        self.model = model
        reason = why_not_packed(model.config)
        self.packs = reason is None
        if reason is None:
            model.set_attn_implementation(PACKED)
        else:
            warnings.warn(f"Log-probs use the general, slower forward pass: {reason}.", stacklevel=2)
        self._remembered: Remembered | None = None

    def hidden(self, batch: MicroBatch) -> Tensor:
        """[T, H] hidden states that stand before each of the micro-batch's T response tokens."""
        window = getattr(self.model.config.get_text_config(), "sliding_window", None)
        if not self.packs or (window is not None and window < batch.prefix + max(batch.lengths)):
            return chosen(padded_states(self.model, batch), batch)
        learns = torch.is_grad_enabled() or any(p.requires_grad for p in self.parameters())
        # Without a sequence, too, there is one forward pass: ranks keep in step by it.
        if learns or batch.prefix == 0 or not any(batch.lengths):
            return chosen(packed_states(self.model, batch), batch)
        # A frozen model says the same of a prompt for the whole run.
        prompt = tuple(batch.ids[: batch.prefix].tolist())
        if self._remembered is None or self._remembered.prompt != prompt:
            memory: KeysAndValues = {}
            states = packed_states(self.model, batch, fill=memory)
            self._check_filled(memory)
            kept = {number: (key.clone(), value.clone()) for number, (key, value) in memory.items()}
            self._remembered = Remembered(prompt, states[: batch.prefix].clone(), kept)
            return chosen(states, batch)
        states = packed_states(self.model, batch, known=self._remembered.memory)
        return chosen(torch.cat((self._remembered.states, states)), batch)

    def _check_filled(self, memory: Mapping[int, object]) -> None:
        """Raise ``RuntimeError`` where some layer left nothing in the memory of a prompt: it would be scored without one."""
        layers = set(range(self.model.config.get_text_config().num_hidden_layers))
        if layers - set(memory):
            raise RuntimeError(
                f"Of {len(layers)} attention layers only {len(memory)} remembered the prompt's keys and values. Something between "
                "Body and its layers hands on copies of its arguments (as FSDP2 does with cast_forward_inputs)."
            )

    def reshard(self) -> None:
        """Do nothing. FSDP2 puts its own method before this one, which gives back what a forward pass had gathered."""


def chosen(states: Tensor, batch: MicroBatch) -> Tensor:
    """[T, H] of the [S, H] states, those that stand before a response token.

    ``states[batch.select]`` would add up its gradient in an order that depends on the threads: every response chooses the
    prompt's last state, and two threads that add to it at once round differently from run to run.
    """
    return states.index_select(0, batch.select)


def packed_states(
    model: PreTrainedModel, batch: MicroBatch, fill: KeysAndValues | None = None, known: KeysAndValues | None = None
) -> Tensor:
    """Compute the last hidden states of the row, [S, H].

    Args:
        model: whose attention is ``PACKED``.
        batch: the row.
        fill: is given the keys and values of the prefix, by layer.
        known: what was filled before: the prefix is then not computed, and the states are [S - prefix, H], those of the
            sequences.
    """
    device = batch.ids.device
    layout = Layout(batch.prefix, batch.lengths, places_of(batch.lengths, device), fill, known)
    behind = [torch.arange(batch.prefix, batch.prefix + length, device=device) for length in batch.lengths]
    positions = torch.cat([torch.arange(batch.prefix, device=device), *behind] if known is None else behind)
    ids = batch.ids if known is None else batch.ids[batch.prefix :]
    # A mask of four dimensions is passed on as it is, so that none is built; the attention does not look at it.
    unused = torch.zeros(1, 1, 1, 1, dtype=torch.bool, device=device)
    said = model.base_model(
        input_ids=ids[None],
        position_ids=positions[None],
        attention_mask=unused,
        use_cache=False,
        layout=layout,
    )
    states: Tensor = said.last_hidden_state[0]
    return states


def padded_states(model: PreTrainedModel, batch: MicroBatch) -> Tensor:
    """The same of any causal model: every sequence a row of its own behind its copy of the prefix, padded on the right.

    Padding stands where causal attention never looks: no mask is needed, and none is built.
    """
    prefix, *sequences = batch.ids.split((batch.prefix, *batch.lengths))
    rows = nn.utils.rnn.pad_sequence([torch.cat((prefix, sequence)) for sequence in sequences], batch_first=True)
    states = model.base_model(input_ids=rows, use_cache=False).last_hidden_state
    own = [row[batch.prefix : batch.prefix + length] for row, length in zip(states, batch.lengths, strict=True)]
    return torch.cat((states[0, : batch.prefix], *own))


def why_not_packed(config: PretrainedConfig) -> str | None:
    """Why the packed row is not right for an architecture, or None where it is: tried on two of its layers.

    Hidden states and gradients of the packed and the padded forward must agree to ``PACKING_TOLERANCE``.
    """
    key = config.to_json_string(use_diff=False)
    if key not in _packs:
        _packs[key] = _try_packing(config)
    return _packs[key]


def _try_packing(config: PretrainedConfig) -> str | None:
    model = two_layers(config).requires_grad_(True)
    generator = torch.Generator().manual_seed(2)
    # On the CPU also where another device is the default, as it is around Lightning's configure_model.
    with torch.device("cpu"), torch.autocast("cpu", enabled=False), torch.enable_grad():
        ids = torch.randint(SMALL_VOCABULARY, (5 + 4 + 1 + 3,), generator=generator)
        batch = MicroBatch(ids, 5, (4, 1, 3), torch.empty(0), torch.empty(0), torch.empty(0))
        plain = padded_states(model, batch)
        weights = torch.randn(plain.shape, generator=generator)
        trained = list(model.base_model.parameters())
        expected = [plain, *torch.autograd.grad((weights * plain).sum(), trained, allow_unused=True)]
        try:
            model.set_attn_implementation(PACKED)
            packed = packed_states(model, batch)
        except (NotPackableError, ValueError, TypeError, AttributeError) as error:
            return f"for model type {config.model_type!r} {error}"
        found = [packed, *torch.autograd.grad((weights * packed).sum(), trained, allow_unused=True)]
    worst = 0.0
    for a, b in zip(found, expected, strict=True):
        if a is not None and b is not None:
            worst = max(worst, ((a - b).abs().max() / b.abs().max().clamp(min=1)).item())
    if not worst <= PACKING_TOLERANCE:
        return f"the packed one differs from it by {worst:.1e} for model type {config.model_type!r}"
    return None
