"""What is to be evaluated and how: a benchmark, and whatever shall differ from its own decoding.

Written in configs, read by the evaluator.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from lit_rlvr.data.examples import read_examples, warn_if_asked
from lit_rlvr.data.prompts import Example, get_template
from lit_rlvr.data.readers import read_problems
from lit_rlvr.errors import UserError
from lit_rlvr.evaluation.benchmarks import get_benchmark, load
from lit_rlvr.evaluation.held_out import Split, leave_out, take_split
from lit_rlvr.evaluation.rules import Scoring, parse_scorings
from lit_rlvr.experience import Problem
from lit_rlvr.rollout.engine import Sampling


@dataclass(frozen=True)
class EvaluationPlan:
    """What to evaluate and how. What is None is taken from the benchmark.

    Attributes:
        benchmark: name in :data:`lit_rlvr.evaluation.benchmarks.BENCHMARKS`.
        samples: responses per problem (the k of avg@k); 1 when decoding greedily.
        temperature: 0 decodes greedily.
        max_tokens: response limit in tokens.
        limit: evaluate that many problems only, spread over the file; None evaluates all.
        split: ``development`` takes a third of the questions, for choosing settings, ``test`` the others, for reporting; None
            takes the benchmark as it is published (`evaluation/held_out.py`).
        exclude: problems whose questions are left out, named as `data.source` names them: those trained on.
        path: problem file to read instead of the benchmark's own.
        template: prompt template.
        example: worked examples to put before every question: `tiny/pi1`, or a .json or .jsonl file with questions and
            their responses.
        rules: further ways to score the same responses, reported beside the main figure, which is always the exact rule's
            on the last box: ``exact``, ``deepscaler`` or ``qwen``, with ``/strict`` (the last box) or ``/flexible`` after
            it to say where the answer is looked for (without it, as the rule is known: ``qwen`` is flexible).
    """

    benchmark: str
    samples: int | None = None
    temperature: float | None = None
    max_tokens: int | None = None
    limit: int | None = None
    split: Split | None = None
    exclude: str | None = None
    path: str | None = None
    template: str | None = None
    example: str | None = None
    rules: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        get_benchmark(self.benchmark)
        if self.template is not None:
            get_template(self.template)
        if self.example is not None:
            read_examples(self.example)
        for key in ("samples", "max_tokens", "limit"):
            value = getattr(self, key)
            if value is not None and value < 1:
                raise UserError(f"evaluation of {self.benchmark}: {key} is {value}; it must be at least 1.")
        try:
            parse_scorings(self.rules)
        except UserError as error:
            raise UserError(f"evaluation of {self.benchmark}: {error}") from error
        settled = self.settled()
        if settled["temperature"] < 0:
            raise UserError(
                f"evaluation of {self.benchmark}: temperature is {settled['temperature']}; use 0 (greedy) or more."
            )
        if settled["temperature"] == 0 and settled["samples"] > 1:
            raise UserError(
                f"evaluation of {self.benchmark}: {settled['samples']} samples at temperature 0 would all be the same; set "
                "a temperature, or samples to 1."
            )

    def settled(self) -> dict[str, Any]:
        """``template``, ``example``, ``samples``, ``temperature`` and ``max_tokens`` as they will be used."""
        benchmark = get_benchmark(self.benchmark)
        temperature = benchmark.temperature if self.temperature is None else self.temperature
        return {
            "template": self.template or benchmark.template,
            "example": self.example,
            "samples": self.samples or (1 if temperature == 0 else benchmark.samples),
            "temperature": float(temperature),
            "max_tokens": self.max_tokens or benchmark.max_tokens,
        }

    @property
    def examples(self) -> tuple[Example, ...]:
        """The worked examples themselves."""
        return () if self.example is None else read_examples(self.example)

    @property
    def scorings(self) -> dict[str, Scoring]:
        """Name -> further way to score."""
        return parse_scorings(self.rules)

    @property
    def k(self) -> int:
        """Responses per problem."""
        return int(self.settled()["samples"])

    @property
    def sampling(self) -> Sampling:
        """How the engine is to draw."""
        settled = self.settled()
        return Sampling(
            n=settled["samples"],
            temperature=settled["temperature"],
            max_tokens=settled["max_tokens"],
            stop=get_template(settled["template"]).stop,
        )

    def problems(self) -> tuple[Problem, ...]:
        """The problems it evaluates on; see :func:`lit_rlvr.evaluation.benchmarks.load`."""
        problems = load(self.benchmark, self.path, self.limit, self._part)
        if not problems:
            raise UserError(f"evaluation of {self.benchmark}: split and exclude leave no problem over.")
        warn_if_asked(self.examples, problems, f"evaluation of {self.benchmark}")
        return problems

    def _part(self, problems: tuple[Problem, ...]) -> tuple[Problem, ...]:
        part = problems if self.split is None else take_split(problems, self.split)
        return part if self.exclude is None else leave_out(part, _excluded(self.exclude))

    def describe(self) -> str:
        """One line for a plan."""
        settled, total = self.settled(), get_benchmark(self.benchmark).problems
        count = f"{min(self.limit, total)} of {total:,}" if self.limit else f"{total:,}"
        part = f"the {self.split} part of " if self.split else ""
        how = "greedy" if settled["temperature"] == 0 else f"avg@{self.k} at temperature {settled['temperature']:g}"
        also = f", after the worked example {self.example}" if self.example else ""
        also += f", without {self.exclude}" if self.exclude else ""
        also += f", also scored by {', '.join(self.scorings)}" if self.rules else ""
        return f"{self.benchmark}: {part}{count} problems, {how}, at most {settled['max_tokens']:,} tokens{also}"


@cache
def _excluded(source: str) -> tuple[Problem, ...]:
    """Read once, as a benchmark is: a run does not end because the file has gone since."""
    return read_problems(source)


def refuse_twins(plans: Sequence[EvaluationPlan], key: str) -> None:
    """Plans are told apart by benchmark and number of samples: in curves, rows and file names.

    Raises:
        UserError: two have both in common.
    """
    kinds = [(plan.benchmark, plan.k) for plan in plans]
    for benchmark, k in kinds:
        if kinds.count((benchmark, k)) > 1:
            raise UserError(
                f"{key}: {benchmark} is evaluated twice with {k} samples, and the two would share their curve: give them "
                "different numbers of samples, or leave one out."
            )
