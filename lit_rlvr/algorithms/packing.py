"""Cutting responses into mini-batches and micro-batches, and laying a micro-batch out for the model.

From: `Rollouts` (ragged, flat). To: `models/policy.py`. Pure functions on indices and lengths.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from lit_rlvr.experience import Rollouts

MIN_SHARED = 16
"""Responses to one prompt from which on they get micro-batches of their own: fewer would make many small batches, which
cost more than computing the prompt once saves."""


@dataclass(frozen=True)
class MicroBatch:
    """Responses laid out for one forward pass. Padding stands on the right only, where a causal model never looks.

    Attributes:
        prefix: [1, P - 1] int64, the prompt that all responses share, less its last token; None where prompts differ,
            or where the prompt has one token.
        inputs: [B, L] int64. With a shared prompt: its last token, then the response less its last token. Otherwise: the
            whole prompt, then the response less its last token. Padded with 0.
        select: [T] int64, positions in the flattened [B * L] whose hidden state predicts a response token.
        targets: [T] int64, the response tokens.
        tokens: [T] int64, where these tokens stand in the rollouts' flat tensors.
        responses: how many of them there are; 0 in a micro-batch that only keeps ranks in step.
    """

    prefix: Tensor | None
    inputs: Tensor
    select: Tensor
    targets: Tensor
    tokens: Tensor
    responses: int

    def to(self, device: torch.device) -> "MicroBatch":
        """The same micro-batch on another device."""
        return MicroBatch(
            self.prefix if self.prefix is None else self.prefix.to(device),
            self.inputs.to(device),
            self.select.to(device),
            self.targets.to(device),
            self.tokens.to(device),
            self.responses,
        )


def mini_batches(responses: int, updates: int) -> list[list[int]]:
    """Response indices of each of ``updates`` mini-batches: contiguous, so that groups stay together, sizes within 1."""
    return [part.tolist() for part in torch.arange(responses).tensor_split(updates)]


def micro_batches(rollouts: Rollouts, chosen: list[int], budget: int, share_prompt: bool = True) -> list[list[int]]:
    """Cut responses into micro-batches whose padded size is at most ``budget`` tokens.

    Responses are sorted by length, longest first, so that little is padded and a batch that does not fit shows at once.
    Responses to a prompt with many of them stand together and pay for the prompt once; the rest are mixed.

    Args:
        rollouts: the responses.
        chosen: indices of the responses to cut.
        budget: tokens per micro-batch, prompts included; a single response over it stands alone.
        share_prompt: lay responses to one prompt out behind a single copy of it.

    Returns:
        Lists of response indices; together exactly ``chosen``.
    """
    by_problem: dict[int, list[int]] = {}
    for i in chosen:
        by_problem.setdefault(int(rollouts.problems[i]), []).append(i)
    batches: list[list[int]] = []
    mixed: list[int] = []
    for same in by_problem.values():
        if share_prompt and (len(same) >= MIN_SHARED or len(by_problem) == 1):
            batches += _cut(rollouts, same, budget, share=is_shared(rollouts, same))
        else:
            mixed += same
    return batches + _cut(rollouts, mixed, budget, share=False)


def _cut(rollouts: Rollouts, chosen: list[int], budget: int, share: bool) -> list[list[int]]:
    lengths = rollouts.lengths.tolist()
    prompt = [len(rollouts.prompts[row]) for row in rollouts.rows.tolist()]
    width = {i: lengths[i] if share else lengths[i] + prompt[i] for i in chosen}
    once = prompt[chosen[0]] if share else 0
    batches: list[list[int]] = []
    widest = 0  # of the batch being filled: sorted by width, so its first
    for i in sorted(chosen, key=lambda i: (-width[i], i)):
        if not batches or widest * (len(batches[-1]) + 1) + once > budget:
            batches.append([])
            widest = width[i]
        batches[-1].append(i)
    return batches


def is_shared(rollouts: Rollouts, chosen: list[int]) -> bool:
    """Whether all the chosen responses answer one and the same prompt, longer than one token."""
    problem = rollouts.problems[chosen]
    return bool((problem == problem[0]).all()) and len(rollouts.prompts[int(problem[0])]) > 1


def lay_out(rollouts: Rollouts, chosen: list[int], share_prompt: bool = True) -> MicroBatch:
    """One micro-batch of the chosen responses; see ``MicroBatch`` for the layout."""
    lengths = rollouts.lengths.tolist()
    ends = rollouts.lengths.cumsum(0).tolist()
    share = share_prompt and is_shared(rollouts, chosen)
    sequences, selects, tokens, width = [], [], [], 0
    for i in chosen:
        span = torch.arange(ends[i] - lengths[i], ends[i])
        prompt = rollouts.prompts[int(rollouts.rows[i])]
        context = prompt[-1:] if share else prompt
        sequences.append(torch.cat([torch.tensor(context), rollouts.tokens[span[:-1]]]))
        selects.append(torch.arange(len(context) - 1, len(context) - 1 + lengths[i]))
        tokens.append(span)
        width = max(width, len(sequences[-1]))
    inputs = torch.nn.utils.rnn.pad_sequence(sequences, batch_first=True)
    select = torch.cat([row * width + positions for row, positions in enumerate(selects)])
    flat = torch.cat(tokens)
    prefix = torch.tensor([rollouts.prompts[int(rollouts.rows[chosen[0]])][:-1]]) if share else None
    return MicroBatch(prefix, inputs, select, rollouts.tokens[flat], flat, len(chosen))
