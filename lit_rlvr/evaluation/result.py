"""What came of an evaluation: counts per problem and per response, and the figures made of them.

Made by the evaluator, read by callbacks and reports.
"""

from dataclasses import dataclass, field, replace
from functools import reduce
from typing import Any

import torch
import torch.distributed

from lit_rlvr.evaluation.intervals import bootstrap_interval
from lit_rlvr.evaluation.metrics import avg_at_k, by_group, pass_at_k, standard_error
from lit_rlvr.evaluation.plan import EvaluationPlan
from lit_rlvr.experience import Problem
from lit_rlvr.rewards.verdict import Verdict

OUTSIDE_BOX = "right_outside_box"
"""Key of the share of responses that have no complete box but whose answer, read flexibly, is right."""


@dataclass(frozen=True)
class EvaluationSample:
    """One response, for people to read. ``index`` is the problem's place in the evaluation."""

    index: int
    problem: Problem
    response: str
    verdict: Verdict


@dataclass(frozen=True)
class EvaluationResult:
    """What came of an evaluation, of one rank or of all.

    Attributes:
        plan: what was asked.
        rl_step: how many RL steps the policy had had.
        problems: the P problems, those of other ranks included.
        correct: P counts of right responses.
        sampled: P counts of responses; 0 for a problem of another rank.
        boxed: responses with a complete box.
        truncated: responses cut at the token limit.
        tokens: in all responses.
        kinds: kind of verdict -> responses.
        samples: a few responses.
        majority: P credits of majority@k, between 0 and 1; 0 for a problem of another rank.
        signs: ``OUTSIDE_BOX`` and the keys of :data:`lit_rlvr.evaluation.manner.MANNERS` -> responses that show it.
        correct_by_rule: name of a further way to score (``plan.rules``) -> P counts of responses it holds right.
    """

    plan: EvaluationPlan
    rl_step: int
    problems: tuple[Problem, ...]
    correct: tuple[int, ...]
    sampled: tuple[int, ...]
    boxed: int
    truncated: int
    tokens: int
    kinds: dict[str, int]
    samples: tuple[EvaluationSample, ...]
    majority: tuple[float, ...]
    signs: dict[str, int]
    correct_by_rule: dict[str, tuple[int, ...]] = field(default_factory=dict)

    @property
    def responses(self) -> int:
        """How many there are."""
        return sum(self.sampled)

    @property
    def accuracy(self) -> float:
        """avg@k: mean over problems."""
        return avg_at_k(*self._counts())

    @property
    def stderr(self) -> float:
        """Standard error of the accuracy over problems."""
        return standard_error(*self._counts())

    @property
    def interval(self) -> tuple[float, float]:
        """95% bootstrap interval of the accuracy over problems."""
        return bootstrap_interval(*self._counts())

    @property
    def majority_accuracy(self) -> float:
        """majority@k: mean credit over problems."""
        sampled = self._counts()[1]
        return avg_at_k(torch.tensor(self.majority, dtype=torch.float64), sampled.clamp(max=1))

    @property
    def right_given_boxed(self) -> float | None:
        """Share of right ones among the boxed responses (whoever is right has a box); None if there is no box."""
        return sum(self.correct) / self.boxed if self.boxed else None

    @property
    def boxed_rate(self) -> float:
        """Share of responses with a complete box."""
        return self.boxed / max(1, self.responses)

    @property
    def truncated_rate(self) -> float:
        """Share of responses cut at the token limit."""
        return self.truncated / max(1, self.responses)

    @property
    def mean_length(self) -> float:
        """Tokens per response."""
        return self.tokens / max(1, self.responses)

    def pass_at(self, k: int) -> float:
        """Unbiased pass@k."""
        return pass_at_k(*self._counts(), k)

    def by_rule(self) -> dict[str, tuple[float, float]]:
        """Name of a further way to score -> (accuracy, its standard error)."""
        sampled = torch.tensor(self.sampled, dtype=torch.int64)
        counts = {name: torch.tensor(right, dtype=torch.int64) for name, right in self.correct_by_rule.items()}
        return {name: (avg_at_k(right, sampled), standard_error(right, sampled)) for name, right in counts.items()}

    def by_subject(self) -> dict[str, tuple[int, float]]:
        """Subject -> (problems, accuracy)."""
        return by_group(*self._counts(), [problem.subject for problem in self.problems])

    def by_level(self) -> dict[str, tuple[int, float]]:
        """Level -> (problems, accuracy)."""
        return by_group(*self._counts(), [problem.level for problem in self.problems])

    def row(self) -> dict[str, Any]:
        """The line of ``evaluations.jsonl``: plain values only.

        ``correct`` lists the right responses per problem, in the benchmark's order, for paired tests between steps.
        """
        settled, k = self.plan.settled(), self.plan.k
        low, high = self.interval
        return {
            "rl_step": self.rl_step,
            "benchmark": self.plan.benchmark,
            "problems": sum(count > 0 for count in self.sampled),
            "k": k,
            "temperature": settled["temperature"],
            "accuracy": self.accuracy,
            "stderr": self.stderr,
            "ci_low": low,
            "ci_high": high,
            "majority": self.majority_accuracy,
            "rules": {name: {"accuracy": mean, "stderr": error} for name, (mean, error) in self.by_rule().items()},
            "pass_at_k": {str(j): self.pass_at(j) for j in sorted({2**i for i in range(k.bit_length())} | {k})},
            "boxed": self.boxed_rate,
            "right_given_boxed": self.right_given_boxed,
            **{name: count / max(1, self.responses) for name, count in self.signs.items()},
            "truncated": self.truncated_rate,
            "length": self.mean_length,
            "verdicts": dict(self.kinds),
            "subjects": {name: list(value) for name, value in self.by_subject().items()},
            "levels": {name: list(value) for name, value in self.by_level().items()},
            "template": settled["template"],
            "example": settled["example"],
            "max_tokens": settled["max_tokens"],
            "limit": self.plan.limit,
            "split": self.plan.split,
            "exclude": self.plan.exclude,
            "correct": list(self.correct),
        }

    def merge(self, other: "EvaluationResult") -> "EvaluationResult":
        """Both parts of one evaluation, another rank's added to this one's."""
        return replace(
            self,
            correct=_add(self.correct, other.correct),
            sampled=_add(self.sampled, other.sampled),
            boxed=self.boxed + other.boxed,
            truncated=self.truncated + other.truncated,
            tokens=self.tokens + other.tokens,
            kinds={kind: count + other.kinds[kind] for kind, count in self.kinds.items()},
            samples=tuple(sorted(self.samples + other.samples, key=lambda sample: sample.index)),
            majority=tuple(a + b for a, b in zip(self.majority, other.majority, strict=True)),
            signs={name: count + other.signs[name] for name, count in self.signs.items()},
            correct_by_rule={
                name: _add(right, other.correct_by_rule[name]) for name, right in self.correct_by_rule.items()
            },
        )

    def gather(self) -> "EvaluationResult":
        """All ranks' parts merged, on every rank. Collective; the part itself where there is no process group."""
        if not (torch.distributed.is_available() and torch.distributed.is_initialized()):
            return self
        parts: list[Any] = [None] * torch.distributed.get_world_size()
        torch.distributed.all_gather_object(parts, self)
        return reduce(EvaluationResult.merge, parts)

    def _counts(self) -> tuple[torch.Tensor, torch.Tensor]:
        return torch.tensor(self.correct, dtype=torch.int64), torch.tensor(self.sampled, dtype=torch.int64)


def _add(a: tuple[int, ...], b: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(x + y for x, y in zip(a, b, strict=True))
