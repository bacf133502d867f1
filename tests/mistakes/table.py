"""`python -m tests.mistakes.table`: every mistake, made, and what its user sees, as a Markdown table."""

import re
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.mistakes import command_mistakes, config_mistakes, input_mistakes
from tests.mistakes.room import REPOSITORY, Mistake, make


def everything() -> Iterator[tuple[str, Mistake]]:
    """(area, mistake) of all tables."""
    tables = (config_mistakes.MISTAKES, input_mistakes.MISTAKES, command_mistakes.MISTAKES)
    for area, mistakes in chain.from_iterable(table.items() for table in tables):
        yield from ((area, mistake) for mistake in mistakes)


def row(area: str, mistake: Mistake) -> str:
    """A line of the table; paths that differ from one machine to the next are cut short."""
    with TemporaryDirectory() as folder:
        outcome = make(mistake, Path(folder))
        said = " ".join(outcome.sentences).removeprefix("lit-rlvr: error: ")
        said = said.replace(folder, "…").replace(str(REPOSITORY), ".")
    status = "" if outcome.status == 2 and outcome.untouched else f" (status {outcome.status})"
    return f"| {area} | {mistake.what} | {re.sub(r'[|<]', lambda mark: chr(92) + mark[0], said)}{status} |"


if __name__ == "__main__":
    print("| area | mistake | what the user sees (exit status 2, nothing written) |\n|---|---|---|")
    for area, mistake in everything():
        print(row(area, mistake), flush=True)
