"""Log-probabilities and entropy of tokens from hidden states, without ever holding a [tokens, vocabulary] tensor.

From: the policy's last hidden states. To: `algorithms/losses.py`. Pure functions.
"""

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils.checkpoint import checkpoint

CHUNK_LOGITS = 2**24
"""Logits held at once (64 MiB in float32): about 110 tokens at a vocabulary of 152k, all the tokens of a tiny policy."""


def logprobs_and_entropy(
    hidden: Tensor,
    head: Tensor,
    targets: Tensor,
    temperature: float = 1.0,
    bias: Tensor | None = None,
    softcap: float | None = None,
    chunk_logits: int = CHUNK_LOGITS,
) -> tuple[Tensor, Tensor]:
    """Log-probability of each target token and entropy of the distribution it was drawn from.

    The distribution is softmax(logits / temperature), the one rollouts are sampled from, as in the paper's code.

    Args:
        hidden: [T, H] hidden states; row t predicts ``targets[t]``.
        head: [V, H] rows of the output embedding; pass only the rows of real tokens, so padding rows get no probability.
        targets: [T] int64.
        temperature: positive; 1 leaves the logits as they are.
        bias: [V] of the output layer, or None.
        softcap: logits are squeezed to softcap * tanh(logits / softcap) first (Gemma 2), or None.
        chunk_logits: how many logits may exist at once; more tokens than fit are taken in chunks, and their logits are
            computed again in the backward pass instead of being kept.

    Returns:
        (log-probabilities [T], entropies in nats [T]), float32, both differentiable.
    """
    rows = max(1, chunk_logits // head.shape[0])
    if len(targets) <= rows:
        return _chunk(hidden, head, targets, temperature, bias, softcap)
    pieces = [
        checkpoint(_chunk, h, head, t, temperature, bias, softcap, use_reentrant=False)
        for h, t in zip(hidden.split(rows), targets.split(rows), strict=True)
    ]
    return torch.cat([p[0] for p in pieces]), torch.cat([p[1] for p in pieces])


def _chunk(
    hidden: Tensor, head: Tensor, targets: Tensor, temperature: float, bias: Tensor | None, softcap: float | None
) -> tuple[Tensor, Tensor]:
    logits = F.linear(hidden, head, bias)
    # float32 whatever autocast chose: bf16 has 3 significant digits, and a ratio of policies needs more.
    logits = logits if logits.dtype == torch.float64 else logits.float()
    if softcap is not None:
        logits = softcap * torch.tanh(logits / softcap)
    logprobs = F.log_softmax(logits / temperature, dim=-1)
    chosen = -F.nll_loss(logprobs, targets, reduction="none")
    entropy = -(logprobs.exp() * logprobs).sum(-1)
    return chosen, entropy
