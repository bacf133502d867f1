"""Files are whole or not there."""

import json
from pathlib import Path

import pytest

from lit_rlvr.errors import UserError
from lit_rlvr.files import json_lines, write_atomically, write_json, write_jsonl


def test_json_and_lines(tmp_path: Path) -> None:
    write_json(tmp_path / "new" / "a.json", {"ä": [1, 2]})
    assert json.loads((tmp_path / "new" / "a.json").read_text("utf-8")) == {"ä": [1, 2]}
    write_jsonl(tmp_path / "b.jsonl", [{"x": 1}, {"x": 2}])
    assert (tmp_path / "b.jsonl").read_text() == '{"x": 1}\n{"x": 2}\n'


def test_a_failure_leaves_the_old_file_and_no_other(tmp_path: Path) -> None:
    target = tmp_path / "a.json"
    target.write_text("old")

    def fail(path: Path) -> None:
        path.write_text("half")
        raise OSError("No space left on device")

    with pytest.raises(OSError, match="No space"):
        write_atomically(target, fail)
    assert target.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["a.json"]


def test_a_full_disk_is_said_with_the_file(tmp_path: Path) -> None:
    def fill(path: Path) -> None:
        with open("/dev/full", "w", encoding="utf-8") as full:
            full.write("x")

    with pytest.raises(OSError, match=r"No space left on device: .*a\.json"):
        write_atomically(tmp_path / "a.json", fill)


def test_json_lines_with_their_numbers(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text(
        '\ufeff{"a": 1}\n\n{"b": "\u2028"}\n', "utf-8"
    )  # a byte order mark, and a separator that ends no line
    assert json_lines(path) == [(1, {"a": 1}), (3, {"b": "\u2028"})]
    path.write_text('{"a": 1}\n{"b": ', "utf-8")
    with pytest.raises(UserError, match=r"rows\.jsonl, row 2 is not valid JSON"):
        json_lines(path)
    path.write_bytes(b'{"a": 1}\n\xff')
    with pytest.raises(UserError, match=r"rows\.jsonl, row 2: byte 9 is not valid UTF-8"):
        json_lines(path)
