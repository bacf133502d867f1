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


def same_problem(texts: Mapping[int, Sequence[Sample]]) -> dict[int, Sample]:
    """One response per step, to one problem where they have one in common.

    Of several such problems it is the one at which the verdicts of the steps differ, so that a change can be seen.

    Args:
        texts: RL step -> its responses.
    """
    shown = {step: list(samples) for step, samples in texts.items() if samples}
    if not shown:
        return {}
    first = next(iter(shown.values()))
    common = [
        s.problem for s in first if s.problem and all(any(o.problem == s.problem for o in v) for v in shown.values())
    ]
    by_problem = [
        {step: next(s for s in samples if s.problem == problem) for step, samples in shown.items()}
        for problem in dict.fromkeys(common)
    ]
    telling = [chosen for chosen in by_problem if len({s.verdict for s in chosen.values()}) > 1]
    return (telling or by_problem or [{step: samples[0] for step, samples in shown.items()}])[0]


def right_and_wrong(samples: Sequence[Sample]) -> list[Sample]:
    """The first response that is right and the first that is not, as far as there are any."""
    right = [s for s in samples if s.verdict == "right"][:1]
    return right + [s for s in samples if s.verdict != "right"][:1]
