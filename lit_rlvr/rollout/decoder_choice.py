"""Chooses the decoder for a policy: the fast one where it is right, otherwise the general one."""

import warnings

import torch
from torch import Tensor
from transformers import PretrainedConfig, PreTrainedModel

from lit_rlvr.models.fresh import two_layers
from lit_rlvr.models.weights import weight_names
from lit_rlvr.rollout.decoder import Decoder, UnsupportedArchitectureError
from lit_rlvr.rollout.llama_decoder import LlamaDecoder
from lit_rlvr.rollout.llama_weights import check_supported, rotary_of
from lit_rlvr.rollout.module_decoder import ModuleDecoder

# Log-probs of the fast decoder and of the transformers forward may differ by this in float32; both are one forward
# through the same two layers in other orders of summation, which leaves about 1e-6.
SELF_CHECK_TOLERANCE = 1e-4


def build_decoder(policy: PreTrainedModel, dtype: torch.dtype, device: torch.device, vocabulary: int) -> Decoder:
    """The fastest decoder that is right for the policy's architecture, with the policy's weights loaded.

    The fast decoder is tried on a two-layer model of the same configuration first; where it does not know the
    architecture or does not agree with the transformers forward, the general one takes over, with one warning.

    Args:
        policy: a causal language model; its parameters may be sharded.
        dtype: of the inference copy.
        device: where the inference copy lives.
        vocabulary: logits are computed for the token ids below this only.
    """
    config = policy.config
    names = set(weight_names(policy))
    decoder: Decoder
    try:
        rotary = _self_check(config)
        decoder = LlamaDecoder(config, names, rotary, dtype, device, vocabulary)
    except UnsupportedArchitectureError as error:
        warnings.warn(f"Rollouts use the general, slower decoder: {error}.", stacklevel=2)
        decoder = ModuleDecoder(config, dtype, device, vocabulary)
    decoder.load(policy)
    return decoder


def _self_check(config: PretrainedConfig) -> tuple[Tensor, float]:
    """Compare the fast decoder with transformers on a two-layer float32 model; return its rotary frequencies."""
    check_supported(config)
    module = two_layers(config)
    small = module.config
    names = {name for name, _ in module.named_parameters()}
    cpu = torch.device("cpu")
    rotary = rotary_of(module)
    decoder = LlamaDecoder(small, names, rotary, torch.float32, cpu, small.vocab_size)
    decoder.load(module)
    with torch.device("cpu"), torch.inference_mode(), torch.autocast("cpu", enabled=False):
        tokens = torch.randint(small.vocab_size, (2, 9), generator=torch.Generator().manual_seed(1))
        expected = module(tokens, use_cache=False).logits.log_softmax(-1)
        # Two prompts of unequal length, so that padding and positions are looked at too.
        logits = [decoder.begin([tokens[0, 2:5].tolist(), tokens[1, :5].tolist()], [1, 1], 4)]
        logits += [decoder.step(tokens[:, column]) for column in range(5, 9)]
        decoder.end()
        second = torch.stack([step[1] for step in logits]).log_softmax(-1)
        alone = module(tokens[:1, 2:], use_cache=False).logits.log_softmax(-1)
        first = torch.stack([step[0] for step in logits]).log_softmax(-1)
    difference = max(
        (second - expected[1, 4:]).abs().max().item(),
        (first - alone[0, 2:]).abs().max().item(),
    )
    if not difference <= SELF_CHECK_TOLERANCE:
        raise UnsupportedArchitectureError(
            f"the fast one differs from transformers by {difference:.1e} in log-prob for model type {config.model_type!r}"
        )
    return rotary
