"""Every mistake of the tables: one sentence with the place and the mend, status 2, and the folder as it was."""

import re
from pathlib import Path

import pytest

from tests.mistakes.room import Mistake, make
from tests.mistakes.table import everything

MISTAKES = {mistake.what: mistake for _, mistake in everything()}


def test_the_tables_are_whole() -> None:
    assert len(MISTAKES) == len(list(everything())) >= 60  # no mistake twice


@pytest.mark.parametrize("mistake", MISTAKES.values(), ids=MISTAKES)
def test_a_mistake_ends_in_one_sentence_and_changes_nothing(mistake: Mistake, tmp_path: Path) -> None:
    outcome = make(mistake, tmp_path)
    assert outcome.status == 2, outcome.errors
    assert "Traceback" not in outcome.errors
    assert len(outcome.sentences) == 1, outcome.errors
    assert re.search(mistake.says, outcome.sentences[0]), outcome.sentences[0]
    assert len(outcome.sentences[0]) < 600, outcome.sentences[0]
    assert outcome.untouched, sorted(path.relative_to(tmp_path) for path in tmp_path.rglob("*"))
