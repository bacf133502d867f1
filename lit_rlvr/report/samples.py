"""Sample texts of the events -> responses, and which of them to show: at the first step, when solved, at the last.

The texts are Markdown that `callbacks/samples.py` wrote, with everything a model wrote escaped; here they are taken apart
and unescaped again, for the page escapes whatever it shows.
"""

import html
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

_PART = re.compile(r"\*\*(?P<verdict>[a-z ]+)\*\*(?P<facts>[^\n]*)\n\n<pre>(?P<body>[^<]*)</pre>")
_BODY = re.compile(
    r"problem   (?P<id>[^\n]*)\n(?P<question>.*?)\n\ngold      (?P<gold>.*?)\nread as   (?P<answer>.*?)\n\nresponse\n(?P<response>.*)",
    re.DOTALL,
)


@dataclass(frozen=True)
class Sample:
    """One response, nothing escaped.

    Attributes:
        problem: its id; empty where a text could not be taken apart, which then is the response as it stands.
        facts: reward, advantage and length of a training response.
    """

    verdict: str
    facts: str
    problem: str
    question: str
    gold: str
    answer: str
    response: str

    @property
    def head(self) -> str:
        """What is known of the response."""
        return ", ".join(part for part in (self.verdict, self.facts) if part)

    @property
    def body(self) -> str:
        """Question, answers and response."""
        if not self.problem:
            return self.response
        return f"{self.question}\n\ngold: {self.gold}   read as: {self.answer}\n\n{self.response}"


def parse(text: str) -> list[Sample]:
    """The responses in one text."""
    samples = []
    for part in _PART.finditer(text):
        body = html.unescape(part["body"])
        inside = _BODY.fullmatch(body)
        fields = (
            inside.groupdict() if inside else {"id": "", "question": "", "gold": "", "answer": "", "response": body}
        )
        samples.append(Sample(part["verdict"], part["facts"].removeprefix(", "), fields.pop("id"), **fields))
    return samples or ([Sample("", "", "", "", "", "", text)] if text.strip() else [])


def moments(steps: Sequence[int], solved: int | None) -> dict[int, str]:
    """The steps to show, in order, with their names: first, around saturation, last; the middle where nothing was solved.

    Args:
        steps: RL steps that have samples, rising.
        solved: the saturation step.
    """
    if not steps:
        return {}
    between = steps[len(steps) // 2] if solved is None else min(steps, key=lambda step: (abs(step - solved), step))
    names = {between: "halfway" if solved is None else "around saturation", steps[-1]: "last", steps[0]: "first"}
    return dict(sorted(names.items()))


def same_problems(texts: Mapping[int, Sequence[Sample]], count: int) -> dict[int, list[Sample]]:
    """Responses to the same problems at every step, as far as there are ``count`` of these; else the first ones.

    Problems at which the verdicts of the steps differ come first, so that a change can be seen.

    Args:
        texts: RL step -> its responses.
        count: problems.
    """
    first = {step: {s.problem: s for s in reversed(samples)} for step, samples in texts.items() if samples}
    common = [
        p
        for p in dict.fromkeys(s.problem for v in texts.values() for s in v)
        if p and all(p in v for v in first.values())
    ]
    if not common:
        return {step: list(texts[step][:count]) for step in first}
    common.sort(key=lambda problem: len({of[problem].verdict for of in first.values()}) == 1)  # stable
    return {step: [of[problem] for problem in common[:count]] for step, of in first.items()}


def right_and_wrong(samples: Sequence[Sample]) -> list[Sample]:
    """The first response that is right and the first that is not, as far as there are any."""
    right = [s for s in samples if s.verdict == "right"][:1]
    return right + [s for s in samples if s.verdict != "right"][:1]
