"""Models of a configuration with random weights: copies for engines, and small ones on which a shortcut is tried first."""

import copy

import torch
from transformers import AutoModelForCausalLM, PretrainedConfig, PreTrainedModel

SMALL_VOCABULARY = 64


def random_model(config: PretrainedConfig, dtype: torch.dtype, seed: int = 0) -> PreTrainedModel:
    """Make a randomly initialised model on the CPU, the same one whatever the default device is.

    The CPU's generator is put back afterwards, and no other is touched: ``torch.manual_seed`` would seed every GPU's as well.
    """
    with torch.device("cpu"), torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        return AutoModelForCausalLM.from_config(copy.deepcopy(config), dtype=dtype)


def fresh_module(config: PretrainedConfig, dtype: torch.dtype, seed: int = 0) -> PreTrainedModel:
    """Make a random model to compute with: on the CPU, in evaluation mode, without gradients."""
    return random_model(config, dtype, seed).eval().requires_grad_(False)


def with_layers(config: PretrainedConfig, layers: int) -> PretrainedConfig:
    """The same architecture with its first ``layers`` layers, or with all where it has no more."""
    fewer = copy.deepcopy(config)
    text = fewer.get_text_config()
    text.num_hidden_layers = min(layers, text.num_hidden_layers)
    if getattr(text, "layer_types", None):
        text.layer_types = text.layer_types[: text.num_hidden_layers]
    return fewer


def two_layers(config: PretrainedConfig) -> PreTrainedModel:
    """Make the configuration's first two layers with a vocabulary of 64 tokens, in float32 on the CPU."""
    small = with_layers(config, 2)
    small.vocab_size = SMALL_VOCABULARY
    for special in ("pad_token_id", "bos_token_id", "eos_token_id"):
        setattr(small, special, None)
    module = fresh_module(small, torch.float32)
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad(), torch.device("cpu"):
        # Fresh biases are 0 and fresh norms 1, which would hide a mistake in either.
        for parameter in module.parameters():
            parameter.add_(0.02 * torch.randn(parameter.shape, generator=generator))
    return module
