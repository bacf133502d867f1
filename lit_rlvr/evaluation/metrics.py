"""What responses to a benchmark add up to: avg@k, pass@k, standard errors, and counts per response.

Below the evaluator. All states are sums over responses, kept per problem where accuracy is meant, so that adding up over
ranks counts every problem once however the problems were split.
"""

from collections.abc import Sequence

import torch
from torch import Tensor
from torchmetrics import Metric

from lit_rlvr.errors import UserError
from lit_rlvr.rewards.verdict import Kind, Verdict

KINDS: tuple[Kind, ...] = tuple(Kind)


def shares(correct: Tensor, sampled: Tensor) -> Tensor:
    """[P'] float64, share of right responses of the problems that have any."""
    asked = sampled > 0
    return correct[asked].double() / sampled[asked].double()


def avg_at_k(correct: Tensor, sampled: Tensor) -> float:
    """Mean over problems of the share of right responses.

    Args:
        correct: [P], right responses per problem.
        sampled: [P], responses per problem; problems without any are left out.
    """
    right = shares(correct, sampled)
    return float(right.mean()) if len(right) else 0.0


def standard_error(correct: Tensor, sampled: Tensor) -> float:
    """Standard error of :func:`avg_at_k` over problems: their shares' standard deviation over the root of their number.

    Problems are the independent draws; k responses to one problem are not k draws. With a single problem the spread
    cannot be seen, and 0.5, the largest a share can have, is returned.
    """
    right = shares(correct, sampled)
    return float(right.std(correction=1)) / len(right) ** 0.5 if len(right) > 1 else 0.5


def pass_at_k(correct: Tensor, sampled: Tensor, k: int) -> float:
    """Chance that at least one of k responses is right, mean over problems, without bias.

    1 - C(n-c, k) / C(n, k) in its product form (Chen et al. 2021, arXiv 2107.03374, section 2.1), which no factorial
    overflows.

    Args:
        correct: [P], right responses c per problem.
        sampled: [P], responses n per problem; problems without any are left out.
        k: responses that may be tried.

    Raises:
        UserError: a problem has fewer than k responses.
    """
    chances = []
    for right, n in zip(correct.tolist(), sampled.tolist(), strict=True):
        if n == 0:
            continue
        if n < k:
            raise UserError(f"pass@{k} needs at least {k} samples per problem, and there are {n}; raise the samples.")
        fail = 1.0
        for i in range(n - right + 1, n + 1):
            fail *= 1 - k / i  # the factor at i = k is 0: fewer than k wrong ones, so any k hold a right one
        chances.append(1 - fail)
    return sum(chances) / len(chances) if chances else 0.0


def by_group(correct: Tensor, sampled: Tensor, groups: Sequence[str]) -> dict[str, tuple[int, float]]:
    """Accuracy within groups of problems, for instance subjects.

    Args:
        correct: [P].
        sampled: [P].
        groups: P names.

    Returns:
        name -> (problems, avg@k), sorted by name.
    """
    members: dict[str, list[int]] = {}
    for index, name in enumerate(groups):
        if sampled[index] > 0:
            members.setdefault(name, []).append(index)
    return {name: (len(at), avg_at_k(correct[at], sampled[at])) for name, at in sorted(members.items())}


class PerProblemAccuracy(Metric):
    """Right and all responses for each of P problems.

    Args:
        problems: P, over all ranks.
        k: for pass@k beside avg@k; None leaves pass@k out.
    """

    full_state_update = False
    correct: Tensor
    sampled: Tensor

    def __init__(self, problems: int, k: int | None = None) -> None:
        super().__init__()
        self.k = k
        for name in ("correct", "sampled"):
            self.add_state(name, torch.zeros(problems, dtype=torch.int64), dist_reduce_fx="sum")

    def update(self, problems: Tensor, right: Tensor) -> None:
        """Count responses.

        Args:
            problems: [N] int64, which problem each response answers.
            right: [N] bool.
        """
        self.correct.index_add_(0, problems, right.to(torch.int64))
        self.sampled.index_add_(0, problems, torch.ones_like(problems))

    def compute(self) -> dict[str, Tensor]:
        """``avg@k``'s value as ``accuracy``, its ``stderr``, and ``pass@k`` if asked for; float64 scalars."""
        values = {
            "accuracy": avg_at_k(self.correct, self.sampled),
            "stderr": standard_error(self.correct, self.sampled),
        }
        if self.k is not None:
            values[f"pass@{self.k}"] = pass_at_k(self.correct, self.sampled, self.k)
        return {name: torch.tensor(value, dtype=torch.float64) for name, value in values.items()}


class ResponseStatistics(Metric):
    """Counts over responses: boxed, truncated, tokens, and one per kind of verdict."""

    full_state_update = False
    responses: Tensor
    boxed: Tensor
    truncated: Tensor
    tokens: Tensor
    kinds: Tensor

    def __init__(self) -> None:
        super().__init__()
        for name in ("responses", "boxed", "truncated", "tokens"):
            self.add_state(name, torch.zeros((), dtype=torch.int64), dist_reduce_fx="sum")
        self.add_state("kinds", torch.zeros(len(KINDS), dtype=torch.int64), dist_reduce_fx="sum")

    def update(self, verdicts: Sequence[Verdict], boxed: Tensor, stopped: Tensor, lengths: Tensor) -> None:
        """Count responses.

        Args:
            verdicts: N verdicts.
            boxed: [N] bool, whether the response has a complete box.
            stopped: [N] bool, whether it ended itself.
            lengths: [N] int64, tokens.
        """
        self.responses += len(verdicts)
        self.boxed += boxed.sum()
        self.truncated += (~stopped).sum()
        self.tokens += lengths.sum()
        for verdict in verdicts:
            self.kinds[KINDS.index(verdict.kind)] += 1

    def compute(self) -> dict[str, Tensor]:
        """``boxed`` and ``truncated`` as shares, ``length`` in tokens per response; float64 scalars."""
        total = self.responses.clamp(min=1).double()
        return {"boxed": self.boxed / total, "truncated": self.truncated / total, "length": self.tokens / total}
