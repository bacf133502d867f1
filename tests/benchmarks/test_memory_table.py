"""The paper presets fit the cards that they say they fit, with a tenth of the card to spare, by the plan that a user gets."""

from pathlib import Path

import pytest

from tests.benchmarks.memory_table import ROWS, peak, plan, remedy, shapes

FIT = {0: 80, 1: 80, 2: 24, 3: 40, 4: 48, 5: 24, 8: 80, 9: 80, 11: 40, 12: 80, 13: 24}
"""Row of the table -> GB of a card that it must fit."""


@pytest.fixture(scope="module")
def policies(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return shapes(tmp_path_factory.mktemp("shapes"))


@pytest.mark.parametrize(("row", "card"), FIT.items(), ids=[f"{'-'.join(ROWS[row][2][-2:])}-{FIT[row]}" for row in FIT])
def test_a_preset_fits(row: int, card: int, policies: dict[str, Path]) -> None:
    name, _, files = ROWS[row]
    text = plan(policies[name], files, card)
    assert ": fits, with" in text
    assert "micro-batches of at most 24,000 tokens, paper" in text  # the recipe's gradient
    assert peak(text) <= 0.9 * card


def test_7b_on_one_card_needs_adapters(policies: dict[str, Path]) -> None:
    name, _, files = ROWS[6]
    text = plan(policies[name], files, 80)
    assert "DOES NOT FIT" in text
    assert remedy(text).startswith("--config configs/model/lora.yaml: then about")
