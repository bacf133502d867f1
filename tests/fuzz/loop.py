"""The loop that all fuzzers share: seeded cases one after the other, and a count of what came of each.

A fuzzer is a function of a generator of random numbers that makes one case, tries it, and returns a word for what came of it.
Case ``i`` of a seed is the same in every run, so a failure is known by its fuzzer, seed and number.
"""

import argparse
import random
import resource
import time
import warnings
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from lit_rlvr.errors import UserError

Fuzzer = Callable[[random.Random], str]
LONGEST_SENTENCE = 2000
"""Characters; a row's own keys may stand in it."""


@dataclass
class Found:
    """Counts by outcome, failures with their case's number, CPU seconds (of children, too), and the longest case's."""

    outcomes: Counter[str] = field(default_factory=Counter)
    failures: list[tuple[int, str]] = field(default_factory=list)
    seconds: float = 0.0
    longest: float = 0.0


def refusal(error: UserError) -> str:
    """What to count where a sentence came out; an error if it is none that a user could read."""
    sentence = str(error)
    assert sentence.strip(), "an empty sentence"
    assert "\n" not in sentence, f"more than one line: {sentence[:300]!r}"
    assert len(sentence) < LONGEST_SENTENCE, f"{len(sentence)} characters: {sentence[:300]!r}"
    return "refused"


def fuzz(fuzzer: Fuzzer, cases: int, seed: int = 0, first: int = 0) -> Found:
    """Try ``cases`` cases from number ``first`` on."""
    found, began = Found(), _cpu_seconds()
    for number in range(first, first + cases):
        start = time.monotonic()
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                outcome = fuzzer(random.Random(f"{seed}:{number}"))
        except UserError as error:
            try:
                outcome = refusal(error)
            except AssertionError as unreadable:
                found.failures.append((number, str(unreadable)))
                outcome = "failed"
        except Exception as error:
            found.failures.append((number, f"{type(error).__name__}: {str(error)[:500]}"))
            outcome = "failed"
        found.outcomes[outcome] += 1
        found.longest = max(found.longest, time.monotonic() - start)
    found.seconds = _cpu_seconds() - began
    return found


def _cpu_seconds() -> float:
    usage = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in usage)


def main(fuzzers: Mapping[str, Fuzzer], arguments: list[str] | None = None) -> int:
    """Run them as the command line says, and print a line for each."""
    parser = argparse.ArgumentParser(
        description="Random cases; the only exception let through is a UserError of one line."
    )
    parser.add_argument("--cases", type=int, default=1000, help="of each fuzzer")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--first", type=int, default=0, help="number of the first case, to repeat one that failed")
    parser.add_argument("--only", choices=list(fuzzers), default=None)
    options = parser.parse_args(arguments)
    failed = 0
    for name, fuzzer in fuzzers.items():
        if options.only in (None, name):
            found = fuzz(fuzzer, options.cases, options.seed, options.first)
            failed += len(found.failures)
            counts = ", ".join(f"{outcome} {count:,}" for outcome, count in sorted(found.outcomes.items()))
            print(
                f"{name:<12} {options.cases:>7,} cases: {counts}; {found.seconds:.1f} CPU s, longest {found.longest:.2f} s",
                flush=True,
            )
            for number, what in found.failures[:10]:
                print(f"  case {number}: {what}")
    return int(failed > 0)
