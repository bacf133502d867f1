"""What is read off a configuration against the model that is made of it."""

import pytest
import torch
from transformers import AutoConfig, AutoModelForCausalLM

from lit_rlvr.models.loading import RANDOM_SHAPE
from lit_rlvr.models.shape import Shape


@pytest.mark.parametrize("tied", [True, False])
@pytest.mark.parametrize("architecture", ["qwen2", "llama"])
def test_parts_make_up_the_model(architecture: str, tied: bool) -> None:
    config = AutoConfig.for_model(architecture, **RANDOM_SHAPE | {"tie_word_embeddings": tied}, vocab_size=48)
    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(config)
    parameters = sum(p.numel() for p in model.parameters())
    shape = Shape.of(config, parameters)
    layer = model.model.layers[0]
    assert (shape.queries, shape.keys) == (layer.self_attn.q_proj.out_features, layer.self_attn.k_proj.out_features)
    assert shape.intermediate == layer.mlp.gate_proj.out_features
    assert shape.outside == (1 if tied else 2) * 48 * 64
    last_norm = 64
    assert shape.layers * shape.layer == parameters - shape.outside
    assert shape.layer == sum(p.numel() for p in layer.parameters()) + last_norm / 2


def test_what_a_configuration_does_not_say() -> None:
    shape = Shape.of(AutoConfig.for_model("gpt_neox", hidden_size=64, num_attention_heads=4, num_hidden_layers=2), 10)
    assert (shape.queries, shape.keys) == (64, 64)
