"""`lit-rlvr select`: a history of accuracies in, the ranking of its problems and a problem file of the chosen ones out.

Ranking alone loads no torch; reading problems and measuring pass rates do, when they are asked for.
"""

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from jsonargparse import Namespace

from lit_rlvr.commands import INTERRUPTED, CommandParser
from lit_rlvr.errors import UserError
from lit_rlvr.selection.history import read_history
from lit_rlvr.selection.ranking import Ranked, choose, rank, render, summarise
from lit_rlvr.selection.scores import learning_impact, random_draws, reward_variance, variance

if TYPE_CHECKING:
    from lit_rlvr.experience import Problem

_SCORES = {
    "variance": "variance of the accuracies",
    "lim": "learning impact measurement",
    "random": "random draws",
    "pass-rate": "p (1 - p) of the pass rate p",
}


@dataclass(frozen=True)
class Source:
    """Where the problems themselves come from.

    Attributes:
        name: as the user gave it.
        problems: id -> problem, those with a blank gold answer too.
    """

    name: str
    problems: dict[str, "Problem"]

    def answered(self) -> "list[Problem]":
        """Those that can be rewarded; says so where that is not all."""
        problems = [problem for problem in self.problems.values() if problem.answer]
        if len(problems) < len(self.problems):
            blank = len(self.problems) - len(problems)
            print(f"{self.name}: {blank} of {len(self.problems)} left out for want of a gold answer", file=sys.stderr)
        return problems


def main(arguments: list[str]) -> int:
    """Do what the command line says."""
    options = _parse(arguments)
    _check(options)
    source = _read_source(options.source) if options.source else None
    try:
        ranking = _rank(options, source)
    except KeyboardInterrupt:
        print("lit-rlvr: stopped; the same command goes on from here.", file=sys.stderr)
        return INTERRUPTED
    chosen = choose(ranking, options.count, options.ranks)
    problems = [_problem(entry, source) for entry in chosen] if source else []
    questions = {problem.id: problem.question for problem in source.problems.values()} if source else {}
    lines = [f"{summarise(ranking)}, ranked by {_SCORES[options.by]}"]
    if options.top:
        lines.append(render(ranking, options.top, questions))
    if chosen:
        lines += ["Chosen:", render(chosen, len(chosen), questions)]
    if options.output:
        lines.append(_write(options.output, problems))
    print("\n".join(lines))
    return 0


def _write(output: Path, problems: "list[Problem]") -> str:
    """Write the problem file, and say so."""
    from lit_rlvr.selection.problem_file import write_problems

    count = f"{len(problems)} problem{'s' if len(problems) > 1 else ''}"
    if write_problems(output, problems):
        return f"Wrote {output}: {count}."
    return f"{output} was written before, with the same {count}."


def _parse(arguments: list[str]) -> Namespace:
    parser = CommandParser(
        "select",
        "Rank the problems of a training history, and write the chosen ones as a problem file for data.source. Ties keep "
        "the order of the history.",
    )
    add = parser.add_argument
    add(
        "--history",
        type=Path,
        default=None,
        metavar="FILE",
        help="history.json of a run, or the paper's acc_step_500.json",
    )
    add("--by", choices=list(_SCORES), default="variance", help="the score; the highest comes first")
    add("--seed", type=int, default=0, help="of random draws, and of the responses for pass-rate")
    add("--source", default=None, help="where the problems are, as for data.source of fit")
    add("--count", type=int, default=None, metavar="N", help="choose the first N")
    add("--ranks", default=None, metavar="LIST", help="or those at these ranks: 1,13 or 5-20 or both")
    add(
        "--output", type=Path, default=None, metavar="FILE.jsonl", help="write the chosen problems, in the order chosen"
    )
    add("--top", type=int, default=20, metavar="N", help="rows of the ranking that are printed")
    add(
        "--rates",
        type=Path,
        default=None,
        metavar="FILE",
        help="pass-rate: where the rates go, or are; progress is kept",
    )
    add(
        "--policy", default=None, help="pass-rate: measure this policy: a transformers folder, a hub id or a checkpoint"
    )
    add("--samples", type=int, default=8, help="pass-rate: responses per problem")
    add("--temperature", type=float, default=1.0, help="pass-rate: of sampling")
    add("--max_tokens", type=int, default=3072, help="pass-rate: limit of a response")
    add("--template", default="chat-plain", help="pass-rate: prompt template, as for data.template of fit")
    return parser.parse_args(arguments)


def _check(options: Namespace) -> None:
    """Refuse what does not go together, before anything is read.

    Raises:
        UserError: something does not.
    """
    if options.by == "pass-rate":
        if options.rates is None:
            raise UserError("--by pass-rate keeps what it measures in a file: name it with --rates.")
        if options.history is not None:
            raise UserError("--history plays no part in --by pass-rate, which measures a policy; leave it out.")
        if options.policy is not None and options.source is None:
            raise UserError("--policy is asked the problems of --source, which is not given.")
        if options.policy is not None and options.rates.exists():
            raise UserError(
                f"--rates {options.rates} is there already: leave out --policy to rank by it, or name another file."
            )
    else:
        for key in ("policy", "rates"):
            if options[key] is not None:
                raise UserError(f"--{key} goes with --by pass-rate, and --by is {options.by}.")
        if options.history is None and not (options.by == "random" and options.source):
            also = " or --source" if options.by == "random" else ""
            raise UserError(f"--by {options.by} ranks the problems of a history: name its file with --history{also}.")
    if options.top < 0:
        raise UserError(f"--top is {options.top}; use 0 or more.")
    if options.output is not None:
        if options.source is None:
            raise UserError(
                "--output writes the problems themselves, which a history does not hold: name their --source."
            )
        if options.count is None and options.ranks is None:
            raise UserError("--output writes the chosen problems: say which with --count or --ranks.")
        from lit_rlvr.selection.problem_file import check_output

        check_output(options.output)


def _rank(options: Namespace, source: Source | None) -> tuple[Ranked, ...]:
    """The ranking by the score that is asked for."""
    if options.by == "pass-rate":
        rates = _pass_rates(options, source)
        return rank(reward_variance(rates), {problem: [rate] for problem, rate in rates.items()})
    if options.history is None:
        assert source is not None
        return rank(random_draws([problem.id for problem in source.answered()], options.seed))
    history = read_history(options.history)
    if options.by == "random":
        return rank(random_draws(history, options.seed), history)
    return rank(variance(history) if options.by == "variance" else learning_impact(history), history)


def _pass_rates(options: Namespace, source: Source | None) -> dict[str, float]:
    """From the file, or measured now."""
    if options.policy is None:
        if not options.rates.exists():
            raise UserError(f"there are no rates in {options.rates}: measure them with --policy and --source.")
        history = read_history(options.rates)
        longer = next((problem for problem, values in history.items() if len(values) > 1), None)
        if longer is not None:
            raise UserError(
                f"--rates {options.rates} is no file of pass rates: problem {longer} has {len(history[longer])} entries, "
                "not one. A history of training is ranked --by variance or lim."
            )
        return {problem: values[0] for problem, values in history.items()}
    from lit_rlvr.rewards.verifier import Verifier
    from lit_rlvr.selection.screen import Screen, measure, open_policy

    assert source is not None
    problems = source.answered()
    keys = ("policy", "samples", "temperature", "max_tokens", "template", "seed")
    screen = Screen(**{key: options[key] for key in keys})
    engine, tokenizer = open_policy(screen.policy)
    with Verifier() as verifier:
        return measure(
            screen, problems, engine, tokenizer, verifier, options.rates,
            lambda done: print(f"{done} of {len(problems)} problems measured", file=sys.stderr),
        )  # fmt: skip


def _read_source(name: str) -> Source:
    from lit_rlvr.data.readers import find_problems

    problems, where = find_problems(name)
    return Source(where, {problem.id: problem for problem in problems})


def _problem(entry: Ranked, source: Source) -> "Problem":
    """The problem behind a rank.

    Raises:
        UserError: the source has none with that id, or it has no gold answer.
    """
    problem = source.problems.get(entry.id)
    if problem is None:
        some = ", ".join(list(source.problems)[:3])
        raise UserError(
            f"rank {entry.rank} is problem {entry.id}, which {source.name} does not hold (its ids begin {some}); name the "
            "--source that the history was made with."
        )
    if not problem.answer:
        raise UserError(
            f"rank {entry.rank} is problem {entry.id}, which has no gold answer in {source.name}, so no response to it can "
            "be rewarded; choose other ranks."
        )
    return problem
