"""The benchmarks: what each one is, where its problems are found, and how it is decoded. And which belong together.

Stands before the evaluator, as the readers stand before training. Decoding is the paper's (arXiv 2504.20571):
Qwen2.5-Math's evaluation prompt, 3,072 tokens, greedy, and for the small competitions 8 samples at temperature 0.6.
"""

import os
from collections.abc import Callable
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cache
from itertools import pairwise
from pathlib import Path

from lit_rlvr.data.readers import DATA_ROOT, is_hub_id, read_problems
from lit_rlvr.errors import UserError
from lit_rlvr.experience import Problem
from lit_rlvr.seeding import step_seed


@dataclass(frozen=True)
class Benchmark:
    """A set of test problems and the decoding that published figures use.

    Attributes:
        name: what configs call it.
        description: one line.
        problems: how many there are; another number is another benchmark, and an error.
        file: below the folder that ``LIT_RLVR_DATA`` names.
        hub: source of :func:`lit_rlvr.data.readers.read_problems`: hub id, or a built-in name; empty if there is none.
        template: prompt template.
        samples: responses per problem, the k of avg@k.
        temperature: 0 is greedy.
        max_tokens: response limit.
    """

    name: str
    description: str
    problems: int
    file: str = ""
    hub: str = ""
    template: str = "qwen25-math-cot"
    samples: int = 1
    temperature: float = 0.0
    max_tokens: int = 3072


def _mawps(part: str, problems: int) -> Benchmark:
    return Benchmark(f"mawps-{part}", f"MAWPS word problems, {part}", problems, f"word_problems/mawps/{part}.jsonl")


def _arc(part: str, problems: int) -> Benchmark:
    title, file = part.capitalize(), f"benchmarks/arc_{part}/test.jsonl"
    return Benchmark(
        f"arc_{part}", f"ARC, {part} questions, multiple choice", problems, file, f"allenai/ai2_arc:ARC-{title}:test"
    )


def _competition(name: str, description: str, problems: int, hub: str) -> Benchmark:
    file = f"benchmarks/{name}/test.jsonl"
    return Benchmark(name, description, problems, file, hub, samples=8, temperature=0.6)


BENCHMARKS: dict[str, Benchmark] = {
    benchmark.name: benchmark
    for benchmark in (
        Benchmark(
            "tiny500",
            "the embedded held-out problems",
            500,
            hub="tiny500",
            template="chat-plain",
            max_tokens=64,
        ),
        Benchmark(
            "math500",
            "MATH-500, seven subjects, five levels",
            500,
            "benchmarks/math500/test.jsonl",
            "HuggingFaceH4/MATH-500:test",
        ),
        _competition("aime24", "AIME 2024", 30, "HuggingFaceH4/aime_2024:train"),
        _competition("aime25", "AIME 2025", 30, "math-ai/aime25:test"),
        _competition("amc23", "AMC 12, 2023", 40, "math-ai/amc23:test"),
        Benchmark(
            "minerva",
            "Minerva Math, undergraduate science",
            272,
            "benchmarks/minerva_math/test.jsonl",
            "math-ai/minervamath:test",
        ),
        # Not math-ai/olympiadbench: that one has 674 problems.
        Benchmark(
            "olympiadbench",
            "OlympiadBench, open-ended English mathematics",
            675,
            "benchmarks/olympiadbench/test.jsonl",
            "lkevinzc/math-eval:olympiad_bench",
        ),
        Benchmark(
            "gsm8k",
            "GSM8K, grade-school word problems",
            1319,
            "word_problems/gsm8k/test.jsonl",
            "openai/gsm8k:main:test",
        ),
        _mawps("singleop", 562),
        _mawps("addsub", 395),
        _mawps("multiarith", 600),
        _mawps("singleeq", 508),
        Benchmark("svamp", "SVAMP, varied word problems", 300, "word_problems/svamp/test.jsonl", "ChilleD/SVAMP:test"),
        _arc("easy", 2376),
        _arc("challenge", 1172),
    )
}

PRESETS: dict[str, tuple[str, ...]] = {
    "paper-six": ("math500", "aime24", "aime25", "amc23", "minerva", "olympiadbench"),
    "arc": ("arc_easy", "arc_challenge"),
}
"""Benchmarks that are reported together, by the name of the preset. The paper's headline is the average of its six."""


def get_preset(name: str) -> tuple[str, ...]:
    """The benchmarks of that preset.

    Raises:
        UserError: there is none.
    """
    if name not in PRESETS:
        raise UserError(f"There is no preset {name!r}; use one of {', '.join(PRESETS)}.")
    return PRESETS[name]


def get_benchmark(name: str) -> Benchmark:
    """The benchmark of that name.

    Raises:
        UserError: there is none.
    """
    if name not in BENCHMARKS:
        near = get_close_matches(name, BENCHMARKS, n=1)
        hint = f" (did you mean {near[0]}?)" if near else ""
        raise UserError(f"There is no benchmark {name!r}{hint}; use one of {', '.join(BENCHMARKS)}.")
    return BENCHMARKS[name]


def load(
    name: str,
    path: str | None = None,
    limit: int | None = None,
    part: Callable[[tuple[Problem, ...]], tuple[Problem, ...]] = lambda problems: problems,
) -> tuple[Problem, ...]:
    """The problems of a benchmark, in the order of its file.

    Args:
        name: of the benchmark.
        path: a file to read instead; otherwise the file below ``LIT_RLVR_DATA`` if it is there, otherwise the hub.
        limit: take that many, spread over the file, always the same ones; None takes all and checks their number.
        part: which of the file's problems there are to take from.

    Raises:
        UserError: unknown name, no such file, a row that cannot be read, or another number of problems than expected.
    """
    benchmark = get_benchmark(name)
    if limit is not None and limit < 1:
        raise UserError(f"The limit of the evaluation of {name} is {limit}; it must be at least 1, or left out.")
    source = _source(benchmark, path)
    try:
        problems = _read(source)
    except UserError as error:
        if path is None and is_hub_id(source):
            raise UserError(f"{str(error).rstrip('.')}; or {_by_file(benchmark)}.") from error
        raise
    if limit is None and len(problems) != benchmark.problems:
        raise UserError(
            f"{source} has {len(problems)} problems with a gold answer, but {name} has {benchmark.problems}; use the "
            "benchmark's own file, or set a limit to evaluate on another set."
        )
    problems = part(problems)
    if limit is None or limit >= len(problems):
        return problems
    return tuple(problems[index] for index in spread(len(problems), limit))


def spread(count: int, limit: int) -> list[int]:
    """``limit`` of ``count`` indices, rising: one out of each of ``limit`` equal stretches, always the same ones.

    Not the first of each stretch: a file whose subjects take turns would then show a few of them only.
    """
    bounds = [i * count // limit for i in range(limit + 1)]
    return [start + step_seed(0, i, stream="limit") % (end - start) for i, (start, end) in enumerate(pairwise(bounds))]


def _source(benchmark: Benchmark, path: str | None) -> str:
    if path is not None:
        return path
    root = os.environ.get(DATA_ROOT)
    if root and benchmark.file and (file := Path(root).expanduser() / benchmark.file).exists():
        return str(file)
    if benchmark.hub and (not is_hub_id(benchmark.hub) or _hub_possible()):
        return benchmark.hub
    seen = f"{DATA_ROOT} is {root}, where {benchmark.file} is missing" if root else f"{DATA_ROOT} is not set"
    download = f", or pip install 'lit-rlvr[hub]' to read {benchmark.hub} from the hub" if benchmark.hub else ""
    raise UserError(f"The problems of {benchmark.name} were not found ({seen}): {_by_file(benchmark)}{download}.")


def _by_file(benchmark: Benchmark) -> str:
    return f"set {DATA_ROOT} to the folder that holds {benchmark.file}, or give the evaluation a path"


def _hub_possible() -> bool:
    try:
        import datasets  # noqa: F401
    except ImportError:
        return False
    return True


@cache
def _read(source: str) -> tuple[Problem, ...]:
    # Copies are kept: some MAWPS files hold a problem twice, and published figures count it twice.
    return read_problems(source, distinct=False)
