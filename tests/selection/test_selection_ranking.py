"""Ranks, ties, the choice of ranks, and the table."""

from pathlib import Path

import pytest

from lit_rlvr.errors import UserError
from lit_rlvr.selection.history import read_history
from lit_rlvr.selection.ranking import choose, parse_ranks, rank, render, summarise
from lit_rlvr.selection.scores import variance

CURVES = {"7": [0.0, 0.0], "a": [0.5, 1.0], "b": [0.0, 1.0], "1": [1.0], "c": [1.0, 0.5]}


def test_highest_first_and_ties_in_the_order_of_the_file() -> None:
    ranking = rank(variance(CURVES), CURVES)
    assert [entry.id for entry in ranking] == ["b", "a", "c", "7", "1"]
    assert [entry.rank for entry in ranking] == [1, 2, 3, 4, 5]
    backwards = dict(reversed(list(CURVES.items())))
    assert [entry.id for entry in rank(variance(backwards), backwards)] == ["b", "c", "a", "1", "7"]


def test_rounding_makes_no_order() -> None:
    # 0.1 + 0.2 and 0.3 differ in the last bit; the file's order decides
    assert [entry.id for entry in rank({"x": 0.3, "y": 0.1 + 0.2, "z": 0.4})] == ["z", "x", "y"]


def test_the_ranks_of_the_paper(shared_data: Path) -> None:
    history = read_history(shared_data / "one_shot_rlvr" / "acc_step_500.json")
    ranking = rank(variance(history), history)
    assert len(ranking) == 1209
    assert {entry.id: entry.rank for entry in ranking if entry.id in ("124", "267", "682", "789")} == {
        "124": 1,
        "267": 2,
        "682": 13,
        "789": 1209,
    }


@pytest.mark.parametrize(
    ("text", "ranks"),
    [("1,13", [1, 13]), ("5-8", [5, 6, 7, 8]), ("20, 3-4 ,1", [20, 3, 4, 1]), ("4-4", [4]), ("20", [20])],
)
def test_ranks_are_read(text: str, ranks: list[int]) -> None:
    assert parse_ranks(text, 20) == ranks


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("0", "there is no rank 0; the ranks go from 1 to 20"),
        ("19-21", "there is no rank 21"),
        ("1-999999999999999", "there is no rank 999999999999999"),
        ("8-5", "the range 8-5 runs backwards; write 5-8"),
        ("1,2,1", "names a rank twice"),
        ("3-5,5", "names a rank twice"),
        ("1,,2", "'' is no rank"),
        ("first", "'first' is no rank"),
        ("-3", "'-3' is no rank"),
        ("1.5", "'1.5' is no rank"),
        ("٣", "is no rank"),
        ("", "'' is no rank"),
    ],
)
def test_ranks_that_make_no_sense(text: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        parse_ranks(text, 20)


def test_choosing() -> None:
    ranking = rank(variance(CURVES), CURVES)
    assert [entry.id for entry in choose(ranking, 2, None)] == ["b", "a"]
    assert [entry.id for entry in choose(ranking, None, "5,1")] == ["1", "b"]
    assert choose(ranking, None, None) == ()
    for count in (0, -1, 6):
        with pytest.raises(UserError, match=f"--count is {count}; there are 5 problems"):
            choose(ranking, count, None)
    with pytest.raises(UserError, match="exclude each other"):
        choose(ranking, 1, "1")


def test_the_table() -> None:
    ranking = rank(variance(CURVES), CURVES)
    questions = {"b": "What is\n1+1?", "a": "x" * 80}
    assert render(ranking, 3, questions).split("\n") == [
        " rank  id      score  accuracy  entries  solved  question",
        "    1  b    0.250000     0.500        2          What is 1+1?",
        f"    2  a    0.062500     0.750        2          {'x' * 59}…",
        "    3  c    0.062500     0.750        2",
    ]
    assert render(ranking, 99, {}).split("\n")[-2:] == [
        "    4  7    0.000000     0.000        2  never",
        "    5  1    0.000000     1.000        1  always",
    ]
    assert summarise(ranking) == "5 problems: 1 never solved (20.0%), 1 always solved (20.0%)"


def test_a_draw_without_a_history_marks_nothing() -> None:
    [entry] = rank({"a": 0.5})
    assert (entry.mark, entry.mean) == ("", "")
