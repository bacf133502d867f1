"""From scores to ranks: the ranking, the part of it that is chosen, and the table that shows both. Pure, without torch."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from lit_rlvr.errors import UserError
from lit_rlvr.selection.scores import Curves

DECIMALS = 12
"""To which scores are compared: what is equal but for the rounding of sums is a tie."""

QUESTION_WIDTH = 60


@dataclass(frozen=True, slots=True)
class Ranked:
    """One problem in a ranking.

    Attributes:
        rank: from 1.
        id: of the problem.
        score: by which it is ranked.
        accuracies: what the score was made of; empty where it was made of nothing (a random draw).
    """

    rank: int
    id: str
    score: float
    accuracies: tuple[float, ...] = ()

    @property
    def mark(self) -> str:
        """``never`` or ``always`` for a problem that was solved so."""
        if not self.accuracies or min(self.accuracies) != max(self.accuracies):
            return ""
        return {0.0: "never", 1.0: "always"}.get(self.accuracies[0], "")

    @property
    def mean(self) -> str:
        """Mean accuracy, for the table."""
        return f"{sum(self.accuracies) / len(self.accuracies):.3f}" if self.accuracies else ""


def rank(scores: Mapping[str, float], curves: Curves | None = None) -> tuple[Ranked, ...]:
    """Highest score first; ties keep the order of ``scores``, which is that of the history file.

    That order, and not the one of ids, gives the paper's ranks: a hundred problems of its history tie in the last place.
    """
    ordered = sorted(scores, key=lambda problem: -round(scores[problem], DECIMALS))
    return tuple(
        Ranked(place, problem, scores[problem], tuple((curves or {}).get(problem, ())))
        for place, problem in enumerate(ordered, start=1)
    )


def parse_ranks(text: str, problems: int) -> list[int]:
    """``1,13`` or ``5-20`` or a mixture -> ranks in that order.

    Args:
        text: as the user wrote it.
        problems: how many are ranked.

    Raises:
        UserError: it cannot be read, or a rank is out of range or named twice.
    """
    ranks: list[int] = []
    for part in text.split(","):
        match = re.fullmatch(r"\s*([0-9]{1,18})\s*(?:-\s*([0-9]{1,18})\s*)?", part)
        if match is None:
            raise UserError(f"--ranks {text}: {part.strip()!r} is no rank; write ranks as in 1,13 or 5-20.")
        first, last = int(match[1]), int(match[2] or match[1])
        if first > last:
            raise UserError(f"--ranks {text}: the range {first}-{last} runs backwards; write {last}-{first}.")
        for bound in (first, last):
            if not 1 <= bound <= problems:
                raise UserError(f"--ranks {text}: there is no rank {bound}; the ranks go from 1 to {problems}.")
        ranks += range(first, last + 1)
        if len(set(ranks)) < len(ranks):
            raise UserError(f"--ranks {text} names a rank twice; name each once.")
    return ranks


def choose(ranking: Sequence[Ranked], count: int | None, ranks: str | None) -> tuple[Ranked, ...]:
    """The best ``count``, or the problems at the ranks, in the order given; none where neither is said.

    Raises:
        UserError: both are said, or more or other problems are wanted than there are.
    """
    if ranks is not None:
        if count is not None:
            raise UserError("--count and --ranks exclude each other; give one of them.")
        return tuple(ranking[place - 1] for place in parse_ranks(ranks, len(ranking)))
    if count is not None and not 1 <= count <= len(ranking):
        raise UserError(
            f"--count is {count}; there are {len(ranking)} problems to choose from, so use 1 to {len(ranking)}."
        )
    return tuple(ranking[: count or 0])


def render(ranking: Sequence[Ranked], top: int, questions: Mapping[str, str]) -> str:
    """The table of the first ``top`` problems, with the beginning of each question that is known."""
    shown = ranking[:top]
    width = max([len(entry.id) for entry in shown] + [2])
    lines = [f"{'rank':>5}  {'id':<{width}}  {'score':>9}  {'accuracy':>8}  {'entries':>7}  {'solved':<6}  question"]
    for entry in shown:
        question = " ".join(questions.get(entry.id, "").split())
        if len(question) > QUESTION_WIDTH:
            question = question[: QUESTION_WIDTH - 1] + "…"
        lines.append(
            f"{entry.rank:>5}  {entry.id:<{width}}  {entry.score:>9.6f}  {entry.mean:>8}  {len(entry.accuracies):>7}  "
            f"{entry.mark:<6}  {question}"
        )
    return "\n".join(line.removesuffix("question").rstrip() if not questions else line.rstrip() for line in lines)


def summarise(ranking: Sequence[Ranked]) -> str:
    """How many problems were solved never and always."""
    counts = {mark: sum(entry.mark == mark for entry in ranking) for mark in ("never", "always")}
    shares = ", ".join(f"{count} {mark} solved ({count / len(ranking):.1%})" for mark, count in counts.items())
    return f"{len(ranking)} problems: {shares}"
