"""The weights of the fast decoder: which models it knows, and where each of a policy's parameters goes.

Products that read the same input are fused into one matrix, so that a decoding step makes fewer and larger ones.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor
from transformers import PretrainedConfig, PreTrainedModel

from lit_rlvr.models.weights import named_weights
from lit_rlvr.rollout.decoder import UnsupportedArchitectureError
from lit_rlvr.rollout.matrix import Matrix

MODEL_TYPES = frozenset({"llama", "qwen2", "qwen3", "mistral"})
# Their frequencies do not depend on the length of what is decoded, so one table serves all positions.
STATIC_ROPE_TYPES = frozenset({"default", "linear", "llama3", "yarn"})


def check_supported(config: PretrainedConfig) -> None:
    """Raise ``UnsupportedArchitectureError`` for what the fast decoder does not cover."""
    if config.model_type not in MODEL_TYPES:
        raise UnsupportedArchitectureError(f"model type {config.model_type!r} is not of the Llama family")
    if config.hidden_act != "silu":
        raise UnsupportedArchitectureError(f"activation {config.hidden_act!r} is not silu")
    layer_types = getattr(config, "layer_types", None) or []
    slides = any(kind != "full_attention" for kind in layer_types)
    if slides or (config.model_type == "mistral" and getattr(config, "sliding_window", None) is not None):
        raise UnsupportedArchitectureError("the model has sliding-window attention")
    if _rope_type(config) not in STATIC_ROPE_TYPES:
        raise UnsupportedArchitectureError(f"rotary scaling {_rope_type(config)!r} depends on the length")


def _rope_type(config: PretrainedConfig) -> str:
    return str((getattr(config, "rope_parameters", None) or {}).get("rope_type", "default"))


def rotary_of(module: PreTrainedModel) -> tuple[Tensor, float]:
    """(inverse frequencies [head_dim / 2], attention scaling) of a transformers model of the family."""
    rotary = module.get_submodule("model.rotary_emb")
    frequencies, scaling = rotary.inv_freq, rotary.attention_scaling
    assert isinstance(frequencies, Tensor)
    return frequencies.float().cpu(), float(scaling)  # type: ignore[arg-type]


@dataclass(frozen=True)
class Layer:
    """One layer's weights; h hidden, q query heads x d, k key heads x d, m intermediate."""

    input_norm: Tensor  # [h]
    qkv: Matrix  # [q + 2k, h]
    query_norm: Tensor | None  # [d]
    key_norm: Tensor | None
    out: Matrix  # [h, q]
    post_norm: Tensor  # [h]
    gate_up: Matrix  # [2m, h]
    down: Matrix  # [h, m]


class LlamaWeights:
    """An inference copy of the weights of a Llama, Qwen2, Qwen3 or Mistral.

    Args:
        config: of the policy; ``check_supported`` must hold.
        names: names of the policy's parameters; they tell which biases and norms exist and whether the head is tied.
        dtype: of the copy.
        device: where it lives.
        vocabulary: rows of the head beyond are left out.

    Attributes:
        embedding: [V, h].
        layers: the layers.
        final_norm: [h].
        head: [vocabulary, h].

    Raises:
        UnsupportedArchitectureError: the policy has parameters that there is no place for.
    """

    def __init__(
        self, config: PretrainedConfig, names: set[str], dtype: torch.dtype, device: torch.device, vocabulary: int
    ) -> None:
        self._dtype, self._device = dtype, device
        self.heads = config.num_attention_heads
        self.key_heads = getattr(config, "num_key_value_heads", None) or self.heads
        self.head_dim = getattr(config, "head_dim", None) or config.hidden_size // self.heads
        self.hidden, self._intermediate = config.hidden_size, config.intermediate_size
        self._names = names
        self._slots: dict[str, list[Callable[[Tensor], object]]] = {}
        embedding = "model.embed_tokens.weight"
        self.embedding = self._vector(embedding, config.vocab_size, self.hidden)
        self.layers = [self._layer(f"model.layers.{i}") for i in range(config.num_hidden_layers)]
        self.final_norm = self._vector("model.norm.weight", self.hidden)
        tied = "lm_head.weight" not in names
        self.head = self._matrix(
            {embedding if tied else "lm_head.weight": min(vocabulary, config.vocab_size)}, self.hidden
        )
        if names != self._slots.keys():
            odd = sorted(names ^ self._slots.keys())
            raise UnsupportedArchitectureError(f"it has no place for parameter {odd[0]!r}")

    def load(self, policy: PreTrainedModel) -> None:
        """Copy the policy's weights over the own ones. Collective where parameters are sharded."""
        with torch.no_grad():
            for name, weight in named_weights(policy):
                for fill in self._slots[name]:
                    fill(weight)

    def _vector(self, name: str, *shape: int) -> Tensor:
        """Place for a parameter that is used as it is."""
        place = torch.empty(*shape, dtype=self._dtype, device=self._device)
        self._slots.setdefault(name, []).append(place.copy_)
        return place

    def _optional(self, name: str, size: int) -> Tensor | None:
        return self._vector(name, size) if name in self._names else None

    def _matrix(self, parts: dict[str, int], columns: int) -> Matrix:
        """Place for the parameters of a fused product, and for their biases if they have any."""
        bias = None
        biases = {name.removesuffix("weight") + "bias": rows for name, rows in parts.items()}
        if next(iter(biases)) in self._names:
            bias = torch.empty(sum(parts.values()), dtype=self._dtype, device=self._device)
            for name, place in zip(biases, bias.split(list(parts.values())), strict=True):
                self._slots.setdefault(name, []).append(place.copy_)
        matrix = Matrix(parts, columns, self._dtype, self._device, bias)
        for name in parts:
            self._slots.setdefault(name, []).append(partial(matrix.fill, name))
        return matrix

    def _layer(self, prefix: str) -> Layer:
        attention, mlp = f"{prefix}.self_attn", f"{prefix}.mlp"
        query, key = self.heads * self.head_dim, self.key_heads * self.head_dim
        qkv = {
            f"{attention}.q_proj.weight": query,
            f"{attention}.k_proj.weight": key,
            f"{attention}.v_proj.weight": key,
        }
        gate_up = {f"{mlp}.gate_proj.weight": self._intermediate, f"{mlp}.up_proj.weight": self._intermediate}
        return Layer(
            input_norm=self._vector(f"{prefix}.input_layernorm.weight", self.hidden),
            qkv=self._matrix(qkv, self.hidden),
            query_norm=self._optional(f"{attention}.q_norm.weight", self.head_dim),
            key_norm=self._optional(f"{attention}.k_norm.weight", self.head_dim),
            out=self._matrix({f"{attention}.o_proj.weight": self.hidden}, query),
            post_norm=self._vector(f"{prefix}.post_attention_layernorm.weight", self.hidden),
            gate_up=self._matrix(gate_up, self.hidden),
            down=self._matrix({f"{mlp}.down_proj.weight": self.hidden}, self._intermediate),
        )
