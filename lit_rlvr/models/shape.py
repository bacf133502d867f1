"""The numbers of a model that its memory follows from.

From: a transformers configuration. To: `estimate.py`, `host_memory.py`, `remedies.py`.
"""

from dataclasses import dataclass

from transformers import PretrainedConfig


@dataclass(frozen=True)
class Shape:
    """What memory depends on of a model.

    Attributes:
        parameters: of the policy.
        layers: decoder layers.
        hidden: size of the residual stream.
        queries: heads times head size.
        keys: key heads times head size.
        intermediate: size of the feed-forward block.
        vocabulary: rows of the output embedding.
        tied: the output layer uses the input embedding.
    """

    parameters: int
    layers: int
    hidden: int
    queries: int
    keys: int
    intermediate: int
    vocabulary: int
    tied: bool = True

    @classmethod
    def of(cls, config: PretrainedConfig, parameters: int) -> "Shape":
        """Read the shape off a transformers configuration."""
        heads = config.num_attention_heads
        size = getattr(config, "head_dim", None) or config.hidden_size // heads
        key_heads = getattr(config, "num_key_value_heads", None) or heads
        intermediate = getattr(config, "intermediate_size", None) or 4 * config.hidden_size
        return cls(
            parameters,
            config.num_hidden_layers,
            config.hidden_size,
            heads * size,
            key_heads * size,
            intermediate,
            config.vocab_size,
            bool(getattr(config, "tie_word_embeddings", True)),
        )

    @property
    def embedding(self) -> int:
        """Parameters of one embedding."""
        return self.vocabulary * self.hidden

    @property
    def outside(self) -> int:
        """Parameters outside the layers: the embeddings."""
        return self.embedding * (1 if self.tied else 2)

    @property
    def layer(self) -> float:
        """Parameters of a layer."""
        return max(0, self.parameters - self.outside) / self.layers
