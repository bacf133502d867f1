"""The critic's forward pass against a plain full forward of the same transformers model."""

import pytest
import torch

from lit_rlvr.algorithms.packing import lay_out
from lit_rlvr.models.critic import Critic
from tests.builders import random_model, rollouts_of

PROMPT = (3, 4, 5, 6, 7)
RESPONSES = [[8, 9, 10, 1], [11], [12, 13, 14, 15, 16, 17, 1], [9, 9]]


def _critic(checkpointing: bool = False) -> Critic:
    critic = Critic(random_model(dtype=torch.float64), checkpointing)
    with torch.no_grad():
        critic.head.weight.copy_(torch.linspace(-1, 1, 32)[None])
        critic.head.bias.fill_(0.5)
    return critic


@pytest.mark.parametrize("share", [True, False])
def test_value_of_a_token_is_read_before_it(share: bool) -> None:
    critic = _critic()
    rollouts = rollouts_of([PROMPT], RESPONSES, n=4)
    batch = lay_out(rollouts, [2, 0, 3, 1], share)
    plain = []
    for response in rollouts.split(rollouts.tokens):
        sequence = torch.cat([torch.tensor(PROMPT), response])
        states = critic.model(sequence[None], use_cache=False).last_hidden_state[0, len(PROMPT) - 1 : -1]
        plain.append(states @ critic.head.weight[0].double() + 0.5)
    torch.testing.assert_close(critic(batch), torch.cat(plain)[batch.tokens], atol=1e-6, rtol=0)


def test_a_new_critic_expects_nothing_and_can_learn() -> None:
    critic = Critic(random_model())
    values = critic(lay_out(rollouts_of([PROMPT], RESPONSES, n=4), [0, 1, 2, 3]))
    assert values.dtype == torch.float32
    assert torch.equal(values, torch.zeros(14))
    (values - 1).square().sum().backward()
    assert critic.head.weight.grad is not None
    assert critic.head.weight.grad.abs().max() > 0


def test_values_stay_float32_under_autocast() -> None:
    critic = _critic().float()
    batch = lay_out(rollouts_of([PROMPT], RESPONSES, n=4), [0, 1, 2, 3])
    exact = critic(batch)
    with torch.autocast("cpu", torch.bfloat16):
        mixed = critic(batch)
    assert mixed.dtype == torch.float32
    torch.testing.assert_close(mixed, exact, atol=0.3, rtol=0.05)


def test_no_output_layer_is_kept() -> None:
    names = [name for name, _ in _critic().named_parameters()]
    assert not [name for name in names if "lm_head" in name]
    assert {"head.weight", "head.bias"} <= set(names)
