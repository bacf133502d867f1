"""Files are whole or not there."""

import json
from pathlib import Path

import pytest

from lit_rlvr.files import write_atomically, write_json, write_jsonl


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
