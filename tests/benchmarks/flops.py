"""The floating-point operations that one RL step's forward and backward pass need at least, whoever makes it.

The inputs of a step form trees: a prompt is a trunk, its responses are the branches (the last token of a response is predicted
and never read). A node that is computed once can serve everything behind it, so the least is each node once: the prompt once
for all its responses, no padding, nothing recomputed. Counted are the matrix products of the linear layers, of attention and
of the output layer; embedding lookups, norms, softmax and the optimizer are not, as is usual (Chowdhery et al. 2022, PaLM,
appendix B). A multiplication and an addition are two operations, and a product's backward pass is two products of its size.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import nn
from transformers import AutoModelForCausalLM, PretrainedConfig


@dataclass(frozen=True)
class Shape:
    """What of a model decides its matrix products.

    Attributes:
        body: weights of the linear layers below the output layer.
        head: weights of the output layer, which may be the embedding's.
        attention: layers times heads times the size of a head.
    """

    body: int
    head: int
    attention: int

    @classmethod
    def of(cls, config: PretrainedConfig) -> "Shape":
        """The shape of a decoder-only model whose layers are all linear layers and full attention."""
        with torch.device("meta"):
            model = AutoModelForCausalLM.from_config(config)
        head = model.get_output_embeddings()
        body = sum(
            layer.weight.numel() for layer in model.modules() if isinstance(layer, nn.Linear) and layer is not head
        )
        size = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
        attention = config.num_hidden_layers * config.num_attention_heads * size
        return cls(body, head.weight.numel(), attention)


def forward_flops(shape: Shape, prompt: int, lengths: Sequence[int]) -> int:
    """Least operations of a forward pass over the responses to one prompt.

    Args:
        shape: of the model.
        prompt: its tokens.
        lengths: tokens of each response, at least 1.
    """
    read = [length - 1 for length in lengths]
    nodes = prompt + sum(read)
    predicting = 1 + sum(read)  # the prompt's last token predicts the first token of all responses
    # A token looks at itself and at all before it: 1 + 2 + … + P on the trunk, (P + 1) + … + (P + L - 1) on a branch.
    pairs = prompt * (prompt + 1) // 2 + sum(n * prompt + n * (n + 1) // 2 for n in read)
    # Of a pair, in every head: a product of query and key, and the value's share in the sum.
    return 2 * (shape.body * nodes + shape.head * predicting) + 4 * shape.attention * pairs


def step_flops(shape: Shape, prompt: int, lengths: Sequence[int]) -> int:
    """Least operations of forward and backward together: three forward passes."""
    return 3 * forward_flops(shape, prompt, lengths)
