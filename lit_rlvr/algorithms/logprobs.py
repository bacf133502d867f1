"""Log-probabilities and entropy of tokens from hidden states, without ever holding a [tokens, vocabulary] tensor.

From: the policy's last hidden states. To: `algorithms/losses.py`. Pure functions.
"""

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import FunctionCtx, once_differentiable

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
    kind = hidden.device.type
    dtype = torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else hidden.dtype
    rows = max(1, chunk_logits // head.shape[0])
    logprobs, entropy = _Score.apply(
        hidden.to(dtype), head.to(dtype), None if bias is None else bias.to(dtype), targets, temperature, softcap, rows
    )
    return logprobs, entropy


class _Score(torch.autograd.Function):
    """The chunks, and their gradient written out: autograd would go over the logits twenty times, this does six."""

    @staticmethod
    def forward(
        ctx: FunctionCtx,
        hidden: Tensor,
        head: Tensor,
        bias: Tensor | None,
        targets: Tensor,
        temperature: float,
        softcap: float | None,
        rows: int,
    ) -> tuple[Tensor, Tensor]:
        chosen, entropies = [], []
        kept = None
        for states, tokens in zip(hidden.split(rows), targets.split(rows), strict=True):
            logprobs, _ = _distribution(states, head, bias, temperature, softcap)
            chosen.append(logprobs.gather(1, tokens[:, None])[:, 0])
            entropies.append(-torch.linalg.vecdot(logprobs.exp(), logprobs))
            kept = logprobs if len(targets) <= rows and softcap is None else None
        entropy = torch.cat(entropies)
        ctx.save_for_backward(hidden, head, bias, targets, entropy)  # type: ignore[arg-type]  # None is welcome
        ctx.settings, ctx.kept = (temperature, softcap, rows), kept  # type: ignore[attr-defined]
        return torch.cat(chosen), entropy

    @staticmethod
    @once_differentiable
    def backward(ctx, grad_logprobs: Tensor, grad_entropy: Tensor) -> tuple[Tensor | None, ...]:  # type: ignore[no-untyped-def]
        """With p the probabilities, H the entropy, a and b the gradients of log-prob and entropy, of the logits z it is

        dL/dz = (a * (onehot - p) - b * p * (log p + H)) / temperature.
        """
        hidden, head, bias, targets, entropy = ctx.saved_tensors
        temperature, softcap, rows = ctx.settings
        grad_hidden = torch.empty_like(hidden)
        # Sums of many chunks: in 16 bits the later ones would round away.
        exact = torch.promote_types(head.dtype, torch.float32)
        grad_head = torch.zeros(head.shape, dtype=exact, device=head.device) if ctx.needs_input_grad[1] else None
        grad_bias = None if bias is None else torch.zeros_like(bias, dtype=exact)
        grad_logprobs, grad_entropy = grad_logprobs[:, None] / temperature, grad_entropy[:, None] / temperature
        for start in range(0, len(targets), rows):
            part = slice(start, start + rows)
            states, tokens, a, b = hidden[part], targets[part, None], grad_logprobs[part], grad_entropy[part]
            kept, slope, ctx.kept = ctx.kept, None, None
            if kept is None:
                kept, slope = _distribution(states, head, bias, temperature, softcap)
            grad = kept.exp()
            if bool(b.any()):
                grad.mul_(kept.add_(entropy[part, None]).mul_(b).add_(a))
            else:  # an entropy that is only logged
                grad.mul_(a)
            # Each row has one such place, which is read and written once: no order of additions to depend on.
            grad.neg_().scatter_(1, tokens, grad.gather(1, tokens).add_(a))
            grad = (grad if slope is None else grad.mul_(slope)).to(head.dtype)
            torch.mm(grad, head, out=grad_hidden[part])
            if grad_head is not None:
                grad_head += grad.T @ states
            if grad_bias is not None:
                grad_bias += grad.sum(0)
        return grad_hidden, grad_head, grad_bias, None, None, None, None


def _distribution(
    states: Tensor, head: Tensor, bias: Tensor | None, temperature: float, softcap: float | None
) -> tuple[Tensor, Tensor | None]:
    """(log-probabilities [T, V] of all tokens, slope [T, V] of the squeezing or None), at least in float32."""
    with torch.autocast(states.device.type, enabled=False):
        logits = F.linear(states, head, bias)
    # float32 whatever autocast chose: bf16 has 3 significant digits, and a ratio of policies needs more.
    logits = logits if logits.dtype == torch.float64 else logits.float()
    slope = None
    if softcap is not None:
        squeezed = torch.tanh(logits / softcap)
        logits, slope = softcap * squeezed, 1 - squeezed.square()
    if temperature != 1:
        logits = logits.div_(temperature)
    return F.log_softmax(logits, dim=-1), slope
