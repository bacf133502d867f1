"""The table at the end of a run."""

from typing import Any

from rich.console import Console

from lit_rlvr.callbacks.summary import before_after


def _row(
    step: int, accuracy: float, k: int = 1, temperature: float = 0.0, **subjects: tuple[int, float]
) -> dict[str, Any]:
    return {
        "benchmark": "b", "rl_step": step, "k": k, "temperature": temperature, "accuracy": accuracy,
        "problems": 10, "subjects": subjects,
    }  # fmt: skip


def _text(rows: list[dict[str, Any]]) -> str:
    console = Console(width=100, record=True, quiet=False, file=open("/dev/null", "w"))  # noqa: SIM115
    for table in before_after(rows):
        console.print(table)
    return console.export_text()


def test_first_against_last_by_subject() -> None:
    rows = [
        _row(0, 0.2, x=(4, 0.25), y=(6, 1 / 6)),
        _row(5, 0.9, x=(4, 1.0), y=(6, 5 / 6)),
        _row(9, 0.5, x=(4, 0.5), y=(6, 0.5)),
    ]
    text = _text(rows)
    assert "RL step 0 -> 9" in text
    lines = [line.split() for line in text.splitlines()]
    assert ["│", "x", "│", "4", "│", "25.0", "│", "50.0", "│", "+25.0", "│"] in lines
    assert ["│", "all", "│", "10", "│", "20.0", "│", "50.0", "│", "+30.0", "│"] in lines


def test_decodings_have_tables_of_their_own() -> None:
    rows = [_row(0, 0.1), _row(0, 0.2, k=8, temperature=0.6), _row(9, 0.3), _row(9, 0.4, k=8, temperature=0.6)]
    text = _text(rows)
    assert "greedy" in text
    assert "avg@8, temperature 0.6" in text


def test_one_evaluation_makes_no_table() -> None:
    assert before_after([_row(0, 0.5)]) == []
