"""Hand-made rollouts and random models that several tests start from."""

import torch
from transformers import AutoModelForCausalLM, LlamaConfig, PreTrainedModel, Qwen2Config

from lit_rlvr.experience import Rollouts


def rollouts_of(
    prompts: list[tuple[int, ...]], responses: list[list[int]], n: int, stopped: list[bool] | None = None
) -> Rollouts:
    """Rollouts with ``n`` responses per prompt, engine log-probs of 0."""
    first = {prompt: i for i, prompt in reversed(list(enumerate(prompts)))}
    rows = torch.arange(len(prompts)).repeat_interleave(n)[: len(responses)]
    return Rollouts(
        prompts=tuple(prompts),
        rows=rows,
        problems=torch.tensor([first[prompts[row]] for row in rows.tolist()]),
        tokens=torch.tensor([token for response in responses for token in response]),
        lengths=torch.tensor([len(response) for response in responses]),
        logprobs=torch.zeros(sum(map(len, responses))),
        stopped=torch.tensor(stopped or [True] * len(responses)),
        texts=tuple(" ".join(map(str, response)) for response in responses),
    )


def random_model(
    architecture: str = "qwen2", vocabulary: int = 48, dtype: torch.dtype = torch.float32
) -> PreTrainedModel:
    """A small model with random weights, always the same ones."""
    shape = {
        "vocab_size": vocabulary,
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "max_position_embeddings": 512,
        "initializer_range": 0.2,  # far from uniform, so that a wrong position or mask shows
        "pad_token_id": 0,
        "eos_token_id": 1,
        "bos_token_id": None,
    }
    config = {"qwen2": Qwen2Config, "llama": LlamaConfig}[architecture](**shape)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return AutoModelForCausalLM.from_config(config, dtype=dtype)
