"""Responses -> verdicts -> counts: what the evaluator and a re-scoring have in common.

Between the evaluator, which has the responses made, and the result, which makes figures of the counts. Everything is a sum or
stands per problem, so that parts of an evaluation add up however it was split.
"""

from collections import Counter
from collections.abc import Sequence
from itertools import groupby
from typing import Protocol

import torch
from torch import Tensor

from lit_rlvr.evaluation.manner import MANNERS
from lit_rlvr.evaluation.metrics import KINDS, PerProblemAccuracy, ResponseStatistics
from lit_rlvr.evaluation.plan import EvaluationPlan
from lit_rlvr.evaluation.responses import Response
from lit_rlvr.evaluation.result import OUTSIDE_BOX, EvaluationResult, EvaluationSample
from lit_rlvr.evaluation.rules import MAIN
from lit_rlvr.evaluation.voting import majority_credit
from lit_rlvr.experience import Problem
from lit_rlvr.rewards.extract import extract_boxed
from lit_rlvr.rewards.rule import Mode, Rule
from lit_rlvr.rewards.verdict import Verdict

KEPT_SAMPLES = 4
"""Responses shown per evaluation, always to the same problems, so that they can be compared over RL steps."""


class VerifiesMany(Protocol):
    """What the evaluator asks of a verifier."""

    def verify_many(self, pairs: list[tuple[str, str]], rule: Rule, mode: Mode) -> Sequence[Verdict]:
        """One verdict for each (response, gold answer), by that rule, whatever the verifier's own is."""


class Tally:
    """Counts the responses of one process.

    Args:
        plan: what is evaluated.
        problems: its problems, those of other processes included.
        verifier: judges.
    """

    def __init__(self, plan: EvaluationPlan, problems: tuple[Problem, ...], verifier: VerifiesMany) -> None:
        self.plan, self.problems, self.verifier = plan, problems, verifier
        self._accuracy, self._statistics = PerProblemAccuracy(len(problems)), ResponseStatistics()
        self._by_rule = {name: PerProblemAccuracy(len(problems)) for name in plan.scorings}
        self._majority = [0.0] * len(problems)
        self._signs: Counter[str] = Counter(dict.fromkeys((OUTSIDE_BOX, *MANNERS), 0))
        self._shown = {i * len(problems) // KEPT_SAMPLES for i in range(KEPT_SAMPLES)}
        self._samples: list[EvaluationSample] = []

    def add(self, responses: Sequence[Response]) -> Sequence[Verdict]:
        """Judge and count responses; those to one problem stand together, and all of them come in one call.

        Returns:
            The verdicts of the main figure, one for each.
        """
        pairs = [(response.text, self.problems[response.index].answer) for response in responses]
        verdicts = self.verifier.verify_many(pairs, *MAIN)
        places = torch.tensor([response.index for response in responses], dtype=torch.int64)
        self._accuracy.update(places, _right(verdicts))
        for name, scoring in self.plan.scorings.items():
            self._by_rule[name].update(places, _right(self.verifier.verify_many(pairs, *scoring)))
        boxed = [extract_boxed(response.text) is not None for response in responses]
        self._statistics.update(
            verdicts,
            torch.tensor(boxed, dtype=torch.bool),
            torch.tensor([response.stopped for response in responses], dtype=torch.bool),
            torch.tensor([response.tokens for response in responses], dtype=torch.int64),
        )
        # A boxed response is read the same way by both modes, so only the others are judged again.
        unboxed = [pair for pair, box in zip(pairs, boxed, strict=True) if not box]
        said = self.verifier.verify_many(unboxed, Rule.EXACT, Mode.FLEXIBLE)
        self._signs[OUTSIDE_BOX] += sum(verdict.right for verdict in said)
        for name, shows in MANNERS.items():
            self._signs[name] += sum(shows(response.text) for response in responses)
        judged = zip(responses, verdicts, strict=True)
        for index, group in groupby(judged, key=lambda pair: pair[0].index):
            mine = list(group)
            self._majority[index] = majority_credit([verdict for _, verdict in mine])
            if index in self._shown:
                self._samples.append(EvaluationSample(index, self.problems[index], mine[0][0].text, mine[0][1]))
        return verdicts

    def result(self, rl_step: int) -> EvaluationResult:
        """What came of the responses so far."""
        statistics = self._statistics
        return EvaluationResult(
            plan=self.plan,
            rl_step=rl_step,
            problems=self.problems,
            correct=tuple(self._accuracy.correct.tolist()),
            sampled=tuple(self._accuracy.sampled.tolist()),
            boxed=int(statistics.boxed),
            truncated=int(statistics.truncated),
            tokens=int(statistics.tokens),
            kinds=dict(zip(map(str, KINDS), statistics.kinds.tolist(), strict=True)),
            samples=tuple(self._samples),
            majority=tuple(self._majority),
            signs=dict(self._signs),
            correct_by_rule={name: tuple(also.correct.tolist()) for name, also in self._by_rule.items()},
        )


def _right(verdicts: Sequence[Verdict]) -> Tensor:
    return torch.tensor([verdict.right for verdict in verdicts], dtype=torch.bool)
