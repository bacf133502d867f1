"""CPU time per verdict, ours against plain math-verify, on the same responses.

    python -m tests.benchmarks.bench_verifier [--repeats 3]

Prints JSON: per workload the calls, median, 99th percentile, mean and largest CPU milliseconds of a call, and the share
of right verdicts, for each side; and what a training step of 1,024 responses costs us. The CPU of our worker processes
is counted, math-verify runs with its own defaults in this process. Each side sees every response once per repeat, its
memory of earlier answers emptied in between; the figures are medians over the repeats.
"""

import argparse
import json
import logging
import random
import statistics
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from math_verify import parse, verify

from lit_rlvr.rewards import Verifier
from lit_rlvr.rewards.normalize import normal_form
from tests.rewards.pairs import DIFFERENT, EQUAL

Row = tuple[str, str, bool]  # response, gold, whether it is right
Judge = Callable[[str, str], bool]

_SENTENCES = (
    "Let us first write down what is given.",
    "We have $a+b=12$ and $ab=35$, so that $a$ and $b$ are the roots of $t^2-12t+35=0$.",
    "Substituting this into the equation above, we obtain \\[x = \\frac{-b \\pm \\sqrt{b^2-4ac}}{2a}.\\]",
    "Wait, let me check this: $3 \\cdot 14 = 42$, which is what we wanted.",
    "Dividing both sides by $2\\pi$ gives the radius.",
    "There are $\\binom{6}{2} = 15$ ways to choose the two of them.",
)


def response(answer: str, draw: random.Random) -> str:
    """A text of about 1,000 characters, as models write them, that ends on a boxed answer."""
    return " ".join(draw.choices(_SENTENCES, k=15)) + f" Therefore, the answer is $\\boxed{{{answer}}}$."


def mixed() -> list[Row]:
    """Every labelled pair of the tests: all kinds of answers, half of them wrong, traps included."""
    draw = random.Random(0)
    labelled = [(pair, True) for pair in EQUAL] + [(pair, False) for pair in DIFFERENT]
    return [(response(answer, draw), gold, right) for (gold, answer), right in labelled]


def typical(responses: int = 1024) -> list[Row]:
    """One training step: one gold, a handful of distinct answers, some without a box."""
    draw = random.Random(1)
    answers = ["12.8"] * 12 + [
        "12.80",
        "12.7",
        "13",
        r"\frac{64}{5}",
        "12.8 \\text{ m}",
        "6.4",
        "128",
        r"2\sqrt{41}",
        "x=12.8",
    ]
    rows = []
    for _ in range(responses):
        answer = draw.choice(answers)
        text = response(answer, draw)
        right = answer in ("12.8", "12.80", r"\frac{64}{5}", "12.8 \\text{ m}", "x=12.8")
        rows.append((text, "12.8", right) if draw.random() < 0.95 else (text.split(" Therefore")[0], "12.8", False))
    return rows


def _ran(pid: int) -> float:
    """CPU seconds of a process, to the nanosecond."""
    return int(Path(f"/proc/{pid}/schedstat").read_text().split()[0]) / 1e9


def _elsewhere(verifier: Verifier | None) -> float:
    """CPU seconds of a verifier's workers so far."""
    return sum(_ran(worker.pid) for worker in verifier._pool._workers) if verifier else 0.0


def _math_verify(text: str, gold: str) -> bool:
    return bool(verify(parse(f"\\boxed{{{gold}}}"), parse(text)))


def measure(rows: Sequence[Row], judge: Judge, verifier: Verifier | None = None) -> dict[str, float]:
    """CPU milliseconds of each call, here and in the verifier's workers."""
    spent = []
    agree = 0
    for text, gold, right in rows:
        before, begin = _elsewhere(verifier), time.process_time()
        agree += judge(text, gold) == right
        here = time.process_time() - begin
        spent.append(1000 * (here + _elsewhere(verifier) - before))
    spent.sort()
    return {
        "median_ms": statistics.median(spent),
        "p99_ms": spent[int(0.99 * len(spent))],
        "mean_ms": statistics.fmean(spent),
        "max_ms": spent[-1],
        "accuracy": agree / len(rows),
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=3)
    repeats = parser.parse_args().repeats
    logging.disable(logging.CRITICAL)
    report: dict[str, object] = {}
    for name, rows in (("labelled pairs", mixed()), ("one step, one call each", typical())):
        sides: dict[str, list[dict[str, float]]] = {"ours": [], "math-verify": []}
        for _ in range(repeats):
            normal_form.cache_clear()
            with Verifier(workers=1) as verifier:
                verifier(r"\boxed{x+1}", "1+x+y")  # start the worker outside of what is timed
                sides["ours"].append(measure(rows, lambda text, gold: verifier(text, gold).right, verifier))
            sides["math-verify"].append(measure(rows, _math_verify))
        report[name] = {"calls": len(rows)} | {
            side: {key: round(statistics.median(run[key] for run in runs), 4) for key in runs[0]}
            for side, runs in sides.items()
        }
    steps = []
    for _ in range(max(5, repeats)):
        with Verifier(workers=1) as verifier:
            verifier(r"\boxed{x+1}", "1+x+y")
            rows = typical()
            before, begin = _elsewhere(verifier), time.process_time()
            verifier.verify_many([(text, gold) for text, gold, _ in rows])
            steps.append(time.process_time() - begin + _elsewhere(verifier) - before)
    report["one step of 1,024, one call for all: CPU seconds"] = round(statistics.median(steps), 4)
    print(json.dumps(report, indent=2))


if __name__ == "__main__":
    main()
