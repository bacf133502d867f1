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
    """Responses laid out for one forward pass: one row of S tokens, nothing padded.

    Attributes:
        ids: [S] int64: the prompt that all responses share, if they do, then a sequence for each response: the response
            less its last token, behind a prompt of its own if none is shared.
        prefix: tokens of the shared prompt; 0 where prompts differ.
        lengths: tokens of each sequence.
        select: [T] int64, positions in the row whose hidden state predicts a response token.
        targets: [T] int64, the response tokens.
        tokens: [T] int64, where these tokens stand in the rollouts' flat tensors.
    """

    ids: Tensor
    prefix: int
    lengths: tuple[int, ...]
    select: Tensor
    targets: Tensor
    tokens: Tensor

    @property
    def responses(self) -> int:
        """How many of them there are."""
        return len(self.lengths)

    def to(self, device: torch.device) -> "MicroBatch":
        """The same micro-batch on another device."""
        moved = (tensor.to(device) for tensor in (self.ids, self.select, self.targets, self.tokens))
        ids, select, targets, tokens = moved
        return MicroBatch(ids, self.prefix, self.lengths, select, targets, tokens)


def mini_batches(responses: int, updates: int) -> list[list[int]]:
    """Response indices of each of ``updates`` mini-batches: contiguous, so that groups stay together, sizes within 1."""
    return [part.tolist() for part in torch.arange(responses).tensor_split(updates)]


def micro_batches(rollouts: Rollouts, chosen: list[int], budget: int, share_prompt: bool = True) -> list[list[int]]:
    """Cut responses into micro-batches of at most ``budget`` tokens.

    Responses are sorted by length, longest first, so that a batch that does not fit shows at once, and attention has
    sequences of similar length before it. Responses to a prompt with many of them stand together and pay for the prompt
    once; the rest are mixed.

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
            batches += _cut(rollouts, same, budget, share=True)
        else:
            mixed += same
    return batches + _cut(rollouts, mixed, budget, share=False)


def _cut(rollouts: Rollouts, chosen: list[int], budget: int, share: bool) -> list[list[int]]:
    lengths = rollouts.lengths.tolist()
    prompt = [len(rollouts.prompts[row]) for row in rollouts.rows.tolist()]
    size = {i: lengths[i] + (0 if share else prompt[i]) for i in chosen}
    empty = prompt[chosen[0]] if share else 0
    batches: list[list[int]] = []
    filled = 0
    for i in sorted(chosen, key=lambda i: (-size[i], i)):
        if not batches or filled + size[i] > budget:
            batches.append([])
            filled = empty
        batches[-1].append(i)
        filled += size[i]
    return batches


def lay_out(rollouts: Rollouts, chosen: list[int], share_prompt: bool = True) -> MicroBatch:
    """One micro-batch of the chosen responses; see ``MicroBatch`` for the layout."""
    lengths = rollouts.lengths.tolist()
    ends = rollouts.lengths.cumsum(0).tolist()
    problem = rollouts.problems[chosen]
    share = share_prompt and bool((problem == problem[0]).all())
    shared = torch.tensor(rollouts.prompts[int(rollouts.rows[chosen[0]])] if share else (), dtype=torch.int64)
    row, selects, tokens, sizes, place = [shared], [], [], [], len(shared)
    for i in chosen:
        span = torch.arange(ends[i] - lengths[i], ends[i])
        own = torch.tensor(() if share else rollouts.prompts[int(rollouts.rows[i])], dtype=torch.int64)
        row += [own, rollouts.tokens[span[:-1]]]
        sizes.append(len(own) + lengths[i] - 1)
        predicting = torch.arange(place + len(own) - 1, place + sizes[-1])
        predicting[0] = len(shared) - 1 if share else predicting[0]  # the prompt's last token predicts all first ones
        selects.append(predicting)
        tokens.append(span)
        place += sizes[-1]
    flat = torch.cat(tokens)
    return MicroBatch(torch.cat(row), len(shared), tuple(sizes), torch.cat(selects), rollouts.tokens[flat], flat)
