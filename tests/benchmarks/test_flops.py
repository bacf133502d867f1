"""The benchmark's count of useful operations against PyTorch's counter, on a model that computes nothing twice."""

import copy

import torch
from torch.utils.flop_counter import FlopCounterMode
from transformers import DynamicCache

from tests.benchmarks.flops import Shape, forward_flops, step_flops
from tests.builders import random_model

PROMPT, LENGTHS = 5, [4, 1, 3]
HEADS, HEAD_SIZE, LAYERS = 4, 8, 2  # of `random_model`


def test_a_forward_pass_token_by_token_through_a_shared_prompt() -> None:
    model = random_model().eval()
    model.set_attn_implementation("eager")  # the counter does not know CPU's fused attention
    trunk = DynamicCache(config=model.config)

    def read(cache: DynamicCache) -> None:
        model.base_model(torch.tensor([[7]]), past_key_values=cache, use_cache=True)

    def predict() -> None:
        model.get_output_embeddings()(torch.zeros(1, 32))

    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        for _ in range(PROMPT):
            read(trunk)
        predict()
        for length in LENGTHS:
            branch = copy.deepcopy(trunk)
            for _ in range(length - 1):
                read(branch)
                predict()
    shape = Shape.of(model.config)
    assert forward_flops(shape, PROMPT, LENGTHS) == counter.get_total_flops()


def test_forward_and_backward_of_one_response() -> None:
    model = random_model()
    model.set_attn_implementation("eager")
    prompt, length = 5, 4
    tokens = prompt + length - 1
    with FlopCounterMode(display=False) as counter:
        states = model.base_model(torch.full((1, tokens), 7), use_cache=False).last_hidden_state
        model.get_output_embeddings()(states[:, prompt - 1 :]).sum().backward()
    # Eager attention computes the half above the diagonal, too.
    wasted = 12 * LAYERS * HEADS * HEAD_SIZE * (tokens**2 - tokens * (tokens + 1) // 2)
    counted = counter.get_total_flops() - wasted
    assert step_flops(Shape.of(model.config), prompt, [length]) == counted
