"""The policy in vLLM's terms: a folder that describes it, and its weights handed over in memory.

From: the trainer's policy, whatever it was loaded from and however it is sharded. To: the copy inside vLLM, which may have
fused and repacked what it was given.
"""

import copy
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from transformers import MODEL_FOR_CAUSAL_LM_MAPPING, PreTrainedModel

from lit_rlvr.errors import UserError
from lit_rlvr.models.weights import named_weights, plain_name


def describe(policy: PreTrainedModel, vocabulary: int, device: torch.device, folder: Path) -> None:
    """Write the configuration that vLLM builds its empty model from.

    It says that there are ``vocabulary`` tokens, so that rows of the head beyond the tokenizer do not exist in the engine.

    Raises:
        UserError: the shape is one that vLLM notices too late that it cannot compute.
    """
    config = copy.deepcopy(policy.config)
    shape = config.get_text_config()
    if device.type == "cpu":
        from vllm.v1.attention.backends.cpu_attn import CPUAttentionBackend

        size = getattr(shape, "head_dim", None) or shape.hidden_size // shape.num_attention_heads
        sizes = CPUAttentionBackend.get_supported_head_sizes()
        if size not in sizes:
            raise UserError(
                f"The policy's attention heads are {size} wide, and vLLM on CPU knows only {', '.join(map(str, sizes))}: use "
                "TransformersEngine."
            )
    architecture: Any = MODEL_FOR_CAUSAL_LM_MAPPING[type(config)]  # not the policy's class, which FSDP2 wraps
    config.architectures = [architecture.__name__]
    shape.vocab_size = vocabulary
    config.__dict__.pop("quantization_config", None)  # of the file it came from; the weights given are plain
    config.save_pretrained(folder)


def weights_for(policy: PreTrainedModel, vocabulary: int, dtype: torch.dtype) -> Iterator[tuple[str, Tensor]]:
    """The policy's weights as vLLM is to have them. Collective where they are sharded: run it to its end."""
    tables = (policy.get_input_embeddings(), policy.get_output_embeddings())
    a_row_per_token = tuple(f"{plain_name(name)}." for name, module in policy.named_modules() if module in tables)
    for name, weight in named_weights(policy):
        yield name, (weight[:vocabulary] if name.startswith(a_row_per_token) else weight).to(dtype)


def load(worker: Any, weights: Iterator[tuple[str, Tensor]]) -> None:
    """Run by vLLM's worker: replace all its weights.

    After loading, vLLM packs matrices for its kernels and gives up the plain ones, so its loaders cannot simply run again;
    its layer-wise reload brings the plain ones back, loads, packs, and copies into the storage that graphs have captured.
    """
    from vllm.config import set_current_vllm_config
    from vllm.model_executor.model_loader.reload import finalize_layerwise_reload, initialize_layerwise_reload

    model = worker.get_model()
    with torch.no_grad(), set_current_vllm_config(worker.vllm_config):
        initialize_layerwise_reload(model)
        loaded = model.load_weights(weights)
        finalize_layerwise_reload(model, worker.model_config)
        head: Any = getattr(model, "lm_head", None)
        if worker.device.type == "cpu" and hasattr(head, "quant_method"):
            # A head tied to the embedding was not loaded under a name of its own, and its packed copy is still the old.
            head.quant_method.process_weights_after_loading(head)
    missed = sorted({name for name, _ in model.named_parameters()} - set(loaded))
    if missed:
        raise UserError(
            f"vLLM's {type(model).__name__} did not get these weights from the policy: {', '.join(missed)}."
        )
