"""The currency of the line: frozen dataclasses that stages hand to each other. Each stage returns a new one.

Shapes: ``R`` rows (prompts, with repeats), ``N`` responses, ``T`` response tokens in all. Ragged things are stored
flat: the tokens of response 0, then of response 1, and so on, with ``lengths`` saying where each ends.
Nothing is padded.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor

from lit_rlvr.rewards.verdict import Verdict


@dataclass(frozen=True, slots=True)
class Problem:
    """One verifiable problem. ``answer`` is the gold answer as a string and is never empty."""

    id: str
    question: str
    answer: str
    subject: str = ""
    level: str = ""
    source: str = ""


@dataclass(frozen=True, slots=True)
class PromptBatch:
    """What the dataloader serves for one RL step on one rank.

    Attributes:
        problems: R problems, one per row; 1-shot training repeats one problem in every row.
        prompts: R tuples of prompt token ids, chat template applied.
    """

    problems: tuple[Problem, ...]
    prompts: tuple[tuple[int, ...], ...]


@dataclass(frozen=True)
class Rollouts:
    """Responses sampled from the policy.

    Attributes:
        prompts: R tuples of prompt token ids, as they were asked for.
        rows: [N] int64, the row (index into ``prompts``) each response answers. Responses of a row are adjacent.
        problems: [N] int64, index of the first row with the same prompt: equal for all responses to one problem.
        tokens: [T] int64, response tokens, stop token included, prompt excluded.
        lengths: [N] int64, tokens per response (at least 1).
        logprobs: [T] float32, the engine's log-probability of each token under the distribution it really sampled from
            (temperature, top-k and top-p applied; for greedy decoding, the distribution at temperature 1).
        stopped: [N] bool, True if the response ended itself, False if it was cut at the token limit.
        texts: N decoded responses, special tokens removed.
    """

    prompts: tuple[tuple[int, ...], ...]
    rows: Tensor
    problems: Tensor
    tokens: Tensor
    lengths: Tensor
    logprobs: Tensor
    stopped: Tensor
    texts: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.texts)

    def split(self, flat: Tensor) -> tuple[Tensor, ...]:
        """Views of a flat per-token tensor [T], one per response."""
        return flat.split(self.lengths.tolist())

    def spread(self, per_response: Tensor) -> Tensor:
        """A per-response tensor [N] repeated for each of the response's tokens: [T]."""
        return per_response.repeat_interleave(self.lengths.to(per_response.device))


@dataclass(frozen=True)
class Experience:
    """Rollouts with all that the update needs. Built up stage by stage with ``dataclasses.replace``.

    Attributes:
        rollouts: the responses.
        verdicts: N verdicts.
        rewards: [N] float32.
        advantages: [T] float32, per token (constant within a response for group-relative algorithms); empty until the
            algorithm has estimated them.
        old_logprobs: [T] float32, of the policy that made the rollouts, scored by the trainer; None when each rollout
            serves a single update, where the training forward's own detached log-probs are the old ones.
        reference_logprobs: [T] float32 of the frozen reference, or None when its coefficient is 0.
        reference_weights: [T] float32, what each token's KL counts where the reference was asked about a random share of
            the responses only (0 for the others, whose log-probs stand at 0), or None for 1.
        values: [T] float32, what the critic expected before each token, or None where there is no critic.
        returns: [T] float32, what it is to expect instead, or None.
    """

    rollouts: Rollouts
    verdicts: tuple[Verdict, ...]
    rewards: Tensor
    advantages: Tensor = field(default_factory=lambda: torch.empty(0))
    old_logprobs: Tensor | None = None
    reference_logprobs: Tensor | None = None
    reference_weights: Tensor | None = None
    values: Tensor | None = None
    returns: Tensor | None = None


@dataclass(frozen=True)
class StepRecord:
    """What one RL step leaves behind for callbacks (``RLVRModule.last_step``).

    Attributes:
        rl_step: how many updates the policy that made these rollouts had had: 0 for the first step.
        batch: the rows that were asked for.
        experience: rollouts, verdicts, rewards and so on of this rank.
        metrics: what was logged, name -> value, already aggregated over ranks (names: ``lit_rlvr.names``).
        cpu_seconds: phase -> CPU seconds of this process, under the names of the wall seconds in ``metrics``.
    """

    rl_step: int
    batch: PromptBatch
    experience: Experience
    metrics: Mapping[str, float] = field(default_factory=dict)
    cpu_seconds: Mapping[str, float] = field(default_factory=dict)


def concatenate(parts: list[Tensor], dtype: torch.dtype) -> Tensor:
    """Flat concatenation that also accepts no parts at all."""
    return torch.cat(parts) if parts else torch.empty(0, dtype=dtype)
