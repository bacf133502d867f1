"""The policy's forward pass against a plain full forward of the same transformers model."""

import pytest
import torch

from lit_rlvr.algorithms.packing import lay_out
from lit_rlvr.errors import UserError
from lit_rlvr.experience import Rollouts
from lit_rlvr.models.policy import Policy
from tests.builders import random_model, rollouts_of

PROMPT = (3, 4, 5, 6, 7)
RESPONSES = [[8, 9, 10, 1], [11], [12, 13, 14, 15, 16, 17, 1], [9, 9]]


def _plain(policy: Policy, rollouts: Rollouts, temperature: float) -> tuple[torch.Tensor, torch.Tensor]:
    """One sequence at a time, no cache, no padding, the whole logits."""
    logprobs, entropies = [], []
    for row, response in zip(rollouts.rows.tolist(), rollouts.split(rollouts.tokens), strict=True):
        prompt = torch.tensor(rollouts.prompts[row])
        logits = policy.model(torch.cat([prompt, response])[None], use_cache=False).logits[0]
        logits = logits[len(prompt) - 1 : -1, : policy.vocabulary] / temperature
        distribution = torch.distributions.Categorical(logits=logits)
        logprobs.append(distribution.log_prob(response))
        entropies.append(distribution.entropy())
    return torch.cat(logprobs), torch.cat(entropies)


@pytest.mark.parametrize("architecture", ["qwen2", "llama"])
@pytest.mark.parametrize("prompts", [[PROMPT], [PROMPT, PROMPT[:2]], [(3,)]], ids=["shared", "different", "one token"])
@pytest.mark.parametrize("share", [True, False])
def test_equals_a_plain_forward_with_gradient(architecture: str, prompts: list[tuple[int, ...]], share: bool) -> None:
    policy = Policy(random_model(architecture, dtype=torch.float64), vocabulary=44)
    rollouts = rollouts_of(prompts, RESPONSES, n=4 // len(prompts))
    batch = lay_out(rollouts, [2, 0, 3, 1], share)
    assert batch.prefix == (len(prompts[0]) if share and len(prompts) == 1 else 0)
    logprobs, entropy = policy(batch, 0.6)
    plain_logprobs, plain_entropy = (x[batch.tokens] for x in _plain(policy, rollouts, 0.6))
    # The rotary angles are float32 in transformers whatever the weights are, hence not 1e-12.
    torch.testing.assert_close(logprobs, plain_logprobs, atol=1e-6, rtol=0)
    torch.testing.assert_close(entropy, plain_entropy, atol=1e-6, rtol=0)
    weights = torch.linspace(-1, 1, len(logprobs), dtype=torch.float64)
    ours = torch.autograd.grad((weights * logprobs + 0.1 * entropy).sum(), list(policy.parameters()))
    theirs = torch.autograd.grad((weights * plain_logprobs + 0.1 * plain_entropy).sum(), list(policy.parameters()))
    for a, b in zip(ours, theirs, strict=True):
        torch.testing.assert_close(a, b, atol=1e-5 * max(1.0, b.abs().max().item()), rtol=0)


def test_vocabulary_padding_has_no_probability() -> None:
    model = random_model()
    policy, whole = Policy(model, vocabulary=20), Policy(model, vocabulary=1000)
    rollouts = rollouts_of([PROMPT], [[8, 9]], n=1)
    batch = lay_out(rollouts, [0])
    assert whole.vocabulary == 48
    inside, _ = policy(batch, 1.0)
    outside, _ = whole(batch, 1.0)
    assert (inside > outside).all()  # the mass of 28 padding rows is given back
    logits = model(torch.tensor([[*PROMPT, 8]]), use_cache=False).logits[0, -2:, :20]
    torch.testing.assert_close(inside, logits.log_softmax(-1)[[0, 1], [8, 9]], atol=1e-5, rtol=0)


def test_gradient_checkpointing_gives_the_same_gradient() -> None:
    rollouts = rollouts_of([PROMPT], RESPONSES, n=4)
    gradients = []
    for checkpointing in (False, True):
        policy = Policy(random_model(), vocabulary=48, checkpointing=checkpointing).train()
        assert policy.packs
        logprobs, _ = policy(lay_out(rollouts, [0, 1, 2, 3]), 1.0)
        gradients.append(torch.autograd.grad(logprobs.sum(), list(policy.parameters())))
    for a, b in zip(*gradients, strict=True):
        torch.testing.assert_close(a, b, atol=2e-4, rtol=1e-4)


def test_scaled_logits_are_refused() -> None:
    model = random_model()
    model.config.logit_scale = 0.5
    with pytest.raises(UserError, match="logit_scale"):
        Policy(model, 48)
