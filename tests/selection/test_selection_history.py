"""Histories are read whole or refused with one sentence."""

import json
from pathlib import Path

import pytest

from lit_rlvr.errors import UserError
from lit_rlvr.selection.history import read_history


def test_a_history_keeps_its_order_and_lengths(tmp_path: Path) -> None:
    file = tmp_path / "history.json"
    file.write_bytes(b"\xef\xbb\xbf" + '{"9": [0, 0.5, 1], "ä/1": [0.125]}'.encode())
    history = read_history(file)
    assert list(history.items()) == [("9", [0.0, 0.5, 1.0]), ("ä/1", [0.125])]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "is not valid JSON .*was it cut off"),
        ('{"1": [0.5, 0.', "is not valid JSON"),
        ("[" * 100_000, "is not valid JSON"),
        ("[[0.5]]", "holds a list; it should map problem ids"),
        ("0.5", "holds a number"),
        ("null", "holds a null"),
        ("{}", "holds no problems"),
        ('{"1": 0.5}', "problem 1 has a number, not a list"),
        ('{"1": {"0": 0.5}}', "problem 1 has a mapping, not a list"),
        ('{"1": [0.5], "2": []}', "problem 2 has an empty list"),
        ('{"1": [0.5, "0.5"]}', 'entry 2 of problem 1 is "0.5", not a number from 0 to 1'),
        ('{"1": [true]}', "entry 1 of problem 1 is true"),
        ('{"1": [null]}', "entry 1 of problem 1 is null"),
        ('{"1": [NaN]}', "entry 1 of problem 1 is NaN"),
        ('{"1": [1.5]}', "entry 1 of problem 1 is 1.5"),
        ('{"1": [-0.1]}', "entry 1 of problem 1 is -0.1"),
        ('{"1": [Infinity]}', "entry 1 of problem 1 is Infinity"),
        ('{"1": [0.5], "1": [0.25]}', "two entries for the problem 1"),
    ],
)
def test_what_is_no_history(tmp_path: Path, content: str, message: str) -> None:
    file = tmp_path / "history.json"
    file.write_text(content)
    with pytest.raises(UserError, match=message) as error:
        read_history(file)
    assert str(file) in str(error.value)


def test_no_file_and_no_text(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"cannot read the history .*: No such file"):
        read_history(tmp_path / "history.json")
    with pytest.raises(UserError, match="Is a directory"):
        read_history(tmp_path)
    file = tmp_path / "history.json"
    file.write_bytes(json.dumps({"1": [0.5]}).encode("utf-16"))
    with pytest.raises(UserError, match="is not valid JSON"):
        read_history(file)
