"""The weights of the fast decoder: which models it knows, and where each of a policy's parameters goes.

Products that read the same input are fused into one matrix, so that a decoding step makes fewer and larger ones.
"""

from dataclasses import dataclass

import torch
from torch import Tensor
from transformers import PretrainedConfig, PreTrainedModel

from lit_rlvr.models.weights import named_weights
from lit_rlvr.rollout.decoder import UnsupportedArchitectureError

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
    qkv: Tensor  # [q + 2k, h]
    qkv_bias: Tensor | None
    query_norm: Tensor | None  # [d]
    key_norm: Tensor | None
    out: Tensor  # [h, q]
    out_bias: Tensor | None
    post_norm: Tensor  # [h]
    gate_up: Tensor  # [2m, h]
    gate_up_bias: Tensor | None
    down: Tensor  # [h, m]
    down_bias: Tensor | None


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
        self._slots: dict[str, Tensor] = {}
        self.embedding = self._slot("model.embed_tokens.weight", self._empty(config.vocab_size, self.hidden))
        self.layers = [self._make_layer(f"model.layers.{i}", names) for i in range(config.num_hidden_layers)]
        self.final_norm = self._slot("model.norm.weight", self._empty(self.hidden))
        head = self.embedding
        if "lm_head.weight" in names:
            head = self._slot("lm_head.weight", self._empty(config.vocab_size, self.hidden))
        self.head = head[:vocabulary]
        if names != self._slots.keys():
            odd = sorted(names ^ self._slots.keys())
            raise UnsupportedArchitectureError(f"it has no place for parameter {odd[0]!r}")

    def load(self, policy: PreTrainedModel) -> None:
        """Copy the policy's weights over the own ones, in place. Collective where parameters are sharded."""
        with torch.no_grad():
            for name, weight in named_weights(policy):
                self._slots[name].copy_(weight)

    def _empty(self, *shape: int) -> Tensor:
        return torch.empty(*shape, dtype=self._dtype, device=self._device)

    def _slot(self, name: str, place: Tensor) -> Tensor:
        self._slots[name] = place
        return place

    def _fused(self, prefix: str, parts: dict[str, int], kind: str, columns: tuple[int, ...]) -> Tensor:
        """One tensor of all parts' rows, with a slot for each part's own parameter."""
        whole = self._empty(sum(parts.values()), *columns)
        for (part, _), place in zip(parts.items(), whole.split(list(parts.values())), strict=True):
            self._slot(f"{prefix}.{part}.{kind}", place)
        return whole

    def _make_layer(self, prefix: str, names: set[str]) -> Layer:
        attention, mlp = f"{prefix}.self_attn", f"{prefix}.mlp"
        query, key = self.heads * self.head_dim, self.key_heads * self.head_dim
        qkv, gate_up = (
            {"q_proj": query, "k_proj": key, "v_proj": key},
            {"gate_proj": self._intermediate, "up_proj": self._intermediate},
        )

        def optional(name: str, size: int) -> Tensor | None:
            return self._slot(name, self._empty(size)) if name in names else None

        def fused_bias(where: str, parts: dict[str, int]) -> Tensor | None:
            biased = f"{where}.{next(iter(parts))}.bias" in names
            return self._fused(where, parts, "bias", ()) if biased else None

        return Layer(
            input_norm=self._slot(f"{prefix}.input_layernorm.weight", self._empty(self.hidden)),
            qkv=self._fused(attention, qkv, "weight", (self.hidden,)),
            qkv_bias=fused_bias(attention, qkv),
            query_norm=optional(f"{attention}.q_norm.weight", self.head_dim),
            key_norm=optional(f"{attention}.k_norm.weight", self.head_dim),
            out=self._slot(f"{attention}.o_proj.weight", self._empty(self.hidden, query)),
            out_bias=optional(f"{attention}.o_proj.bias", self.hidden),
            post_norm=self._slot(f"{prefix}.post_attention_layernorm.weight", self._empty(self.hidden)),
            gate_up=self._fused(mlp, gate_up, "weight", (self.hidden,)),
            gate_up_bias=fused_bias(mlp, gate_up),
            down=self._slot(f"{mlp}.down_proj.weight", self._empty(self.hidden, self._intermediate)),
            down_bias=optional(f"{mlp}.down_proj.bias", self.hidden),
        )
