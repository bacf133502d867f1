"""What every engine does before and after it draws: prompts checked, responses put together as `Rollouts`."""

from collections.abc import Sequence

import torch
from torch import Tensor

from lit_rlvr.errors import UserError
from lit_rlvr.experience import Rollouts, concatenate
from lit_rlvr.rollout.engine import Sampling


def check_prompts(prompts: Sequence[Sequence[int]], sampling: Sampling, room: int | None, whose: str) -> None:
    """Refuse prompts that cannot be answered.

    Args:
        prompts: token ids.
        sampling: how long a response may get.
        room: tokens that prompt and response may have together, or None where there is no limit.
        whose: what that limit belongs to, for the sentence: ``the model's 128 positions``.

    Raises:
        UserError: a prompt is empty, or with ``max_tokens`` longer than ``room``.
    """
    for row, prompt in enumerate(prompts):
        if not prompt:
            raise UserError(f"The prompt of row {row} is empty; give it at least one token.")
        if room is not None and len(prompt) + sampling.max_tokens > room:
            raise UserError(
                f"The prompt of row {row} has {len(prompt)} tokens, which with sampling.max_tokens "
                f"{sampling.max_tokens} exceeds {whose}; lower max_tokens or leave the prompt out."
            )


def to_rollouts(
    prompts: tuple[tuple[int, ...], ...],
    n: int,
    tokens: list[Tensor],
    logprobs: list[Tensor],
    stopped: Tensor,
    texts: tuple[str, ...],
) -> Rollouts:
    """Put responses together.

    Args:
        prompts: of R rows.
        n: responses per row; response k of row r stands at ``r * n + k``.
        tokens: of each response, int64.
        logprobs: of each response, float32.
        stopped: [R * n] bool, which responses ended themselves.
        texts: of each response.
    """
    first: dict[tuple[int, ...], int] = {}
    problems = torch.tensor([first.setdefault(prompt, row) for row, prompt in enumerate(prompts)], dtype=torch.int64)
    return Rollouts(
        prompts=prompts,
        rows=torch.arange(len(prompts)).repeat_interleave(n),
        problems=problems.repeat_interleave(n),
        tokens=concatenate(tokens, torch.int64),
        lengths=torch.tensor([len(drawn) for drawn in tokens], dtype=torch.int64),
        logprobs=concatenate(logprobs, torch.float32),
        stopped=stopped,
        texts=texts,
    )
