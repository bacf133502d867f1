"""Sources of problems: built in, files in every format, the hub, and every way they can be wrong."""

import json
import re
import sys
import types
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lit_rlvr.data.prompts import SUFFIX
from lit_rlvr.data.readers import is_hub_id, read_problems, select_problems
from lit_rlvr.errors import UserError
from lit_rlvr.experience import Problem
from lit_rlvr.tiny import sets as tiny

ROWS = [{"problem": f"Question {i}?", "answer": str(i * i)} for i in range(4)]


def _jsonl(path: Path, rows: list[Any]) -> str:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    return str(path)


def _verl(index: int) -> dict[str, Any]:
    return {
        "data_source": "maker",
        "prompt": [{"role": "user", "content": f"Question {index}?{SUFFIX}"}],
        "reward_model": {"style": "rule", "ground_truth": str(index)},
        "extra_info": {"index": index, "split": "train"},
    }


def test_built_in_names() -> None:
    assert read_problems("tiny") == (tiny.one_shot(),)
    assert read_problems("tiny500") == tiny.tiny500()
    assert read_problems("tiny-pool") == tiny.training_pool(512, 0)
    for name, problem in tiny.NAMED.items():
        assert read_problems(name) == (problem,)


def test_all_formats_hold_the_same_problems(tmp_path: Path) -> None:
    as_lines = read_problems(_jsonl(tmp_path / "p.jsonl", ROWS))
    (tmp_path / "p.json").write_text(json.dumps(ROWS, indent=2))
    pq.write_table(pa.Table.from_pylist(ROWS), tmp_path / "p.parquet")
    assert as_lines == tuple(Problem(str(i), f"Question {i}?", str(i * i), source="p.jsonl") for i in range(4))
    for name in ("p.json", "p.parquet"):
        assert [(p.id, p.question, p.answer) for p in read_problems(str(tmp_path / name))] == [
            (p.id, p.question, p.answer) for p in as_lines
        ]


def test_verl_copies_become_one_problem(tmp_path: Path) -> None:
    pq.write_table(pa.Table.from_pylist([_verl(i) for i in [124, 267, 124] * 4]), tmp_path / "two.parquet")
    problems = read_problems(str(tmp_path / "two.parquet"))
    assert problems == (
        Problem("124", "Question 124?", "124", source="maker"),
        Problem("267", "Question 267?", "267", source="maker"),
    )


def test_copies_without_an_id_collapse_unless_asked_not_to(tmp_path: Path) -> None:
    source = _jsonl(tmp_path / "copies.jsonl", [ROWS[1], ROWS[1], ROWS[2]])
    assert [p.id for p in read_problems(source)] == ["0", "2"]
    assert [p.id for p in read_problems(source, distinct=False)] == ["0", "1", "2"]


def test_rows_with_the_same_question_and_different_ids_are_two_problems(tmp_path: Path) -> None:
    source = _jsonl(tmp_path / "p.jsonl", [{**ROWS[1], "id": 5}, {**ROWS[1], "id": 6}])
    assert [p.id for p in read_problems(source)] == ["5", "6"]


def test_one_id_for_different_problems_is_told_apart(tmp_path: Path) -> None:
    source = _jsonl(tmp_path / "p.jsonl", [{**row, "id": 7} for row in ROWS[:3]])
    assert [p.id for p in read_problems(source)] == ["7", "7#2", "7#3"]


def test_byte_order_mark_blank_lines_and_line_separators(tmp_path: Path) -> None:
    path = tmp_path / "p.jsonl"
    path.write_bytes(
        "\ufeff".encode() + b'\n{"problem": "a\xe2\x80\xa8b", "answer": "1"}\r\n\n' + b'{"problem": "c", "answer": 2}'
    )
    assert [p.question for p in read_problems(str(path))] == ["a\u2028b", "c"]


def test_select_by_id_where_ids_are_numbers(tmp_path: Path) -> None:
    source = _jsonl(tmp_path / "p.jsonl", [_verl(i) for i in (124, 267, 682)])
    assert [p.id for p in read_problems(source, [682, 124])] == ["682", "124"]
    assert [p.id for p in read_problems(source, ["267"])] == ["267"]
    with pytest.raises(UserError, match=r"data\.select names the problem 0, which .*p\.jsonl with its 3 problems"):
        read_problems(source, [0])


def test_select_by_position_where_ids_are_names() -> None:
    problems = tuple(Problem(f"p/{name}", "Q", "1") for name in ("one", "two", "three"))
    assert select_problems(problems, [2, 0], "here") == (problems[2], problems[0])
    assert select_problems(problems, ["p/two"], "here") == (problems[1],)
    with pytest.raises(UserError, match=r"the nearest is p/two"):
        select_problems(problems, ["p/tow"], "here")
    with pytest.raises(UserError, match="names the problem 3"):
        select_problems(problems, [3], "here")


def test_select_nothing_or_twice() -> None:
    problems = (Problem("a", "Q", "1"), Problem("b", "R", "1"))
    with pytest.raises(UserError, match=r"data\.select is empty"):
        select_problems(problems, [], "here")
    with pytest.raises(UserError, match="twice"):
        select_problems(problems, [0, 0], "here")


def test_a_blank_answer_among_others_is_left_out_with_a_warning(tmp_path: Path) -> None:
    source = _jsonl(tmp_path / "p.jsonl", [ROWS[0], {"problem": "Q", "answer": ""}, ROWS[2]])
    with pytest.warns(UserWarning, match=r"1 of 3 problems left out for want of a gold answer \(ids 1\)"):
        assert [p.id for p in read_problems(source)] == ["0", "2"]
    assert [p.id for p in read_problems(source, [2])] == ["2"]
    with pytest.raises(UserError, match="problem 1 has no gold answer"):
        read_problems(source, [2, 1])


def test_no_gold_answer_at_all(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"problem 0 has no gold answer.*give it one"):
        read_problems(_jsonl(tmp_path / "p.jsonl", [{"problem": "Q", "answer": " "}]))


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("p.jsonl", b"", "is empty"),
        ("p.jsonl", b"\n \n", "holds no problems"),
        ("p.json", b"[]", "holds no problems"),
        ("p.jsonl", b'{"problem": "a", "answer": "1"}\n[1]\n', "row 2 is a list, not an object"),
        ("p.json", b'[{"problem": "a", "answer": "1"}, 3]', "row 2 is a int, not an object"),
        ("p.jsonl", b'{"problem": "a", "answer": "1"}\n{"problem":\n', r"row 2 is not valid JSON \(Expecting value"),
        ("p.json", b'{"problem": "a"}\n{"problem": "b"}', r"not valid JSON \(Extra data.*should end in \.jsonl"),
        (
            "p.jsonl",
            b'{"problem": "a", "answer": "1"}\n{"text": "b"}',
            r"row 2: no known schema fits its keys \(text\)",
        ),
        ("p.jsonl", b'{"problem": "a", "answer": "1"}\n{"problem": "\xff"}', "row 2: byte 45 is not valid UTF-8"),
        ("p.parquet", b"no parquet", "not a readable parquet file"),
        ("p.csv", b"a,b", r"ends in none of \.parquet"),
    ],
)
def test_files_that_cannot_be_read(tmp_path: Path, name: str, content: bytes, message: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(UserError, match=message) as caught:
        read_problems(str(tmp_path / name))
    assert str(tmp_path / name) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_missing_file_names_its_nearest_neighbour(tmp_path: Path) -> None:
    _jsonl(tmp_path / "problems.jsonl", ROWS)
    with pytest.raises(UserError, match=re.escape(f"did you mean {tmp_path / 'problems.jsonl'}?")):
        read_problems(str(tmp_path / "problem.jsonl"))
    with pytest.raises(UserError, match=r"nowhere does not exist"):
        read_problems(str(tmp_path / "nowhere" / "p.jsonl"))
    with pytest.raises(UserError, match="is a folder"):
        read_problems(str(tmp_path))


@pytest.mark.parametrize(
    ("source", "message"),
    [("tinny", "did you mean tiny"), ("tiny/numbr", "no built-in problem .*did you mean tiny/number")],
)
def test_unknown_names(source: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        read_problems(source)


def test_hub_ids_are_told_from_files_and_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "set").mkdir()
    assert is_hub_id("owner/name")
    assert is_hub_id("owner/na.me:config:split")
    for source in ("tiny", "tiny/algebra", "mine/set", "mine/p.jsonl", "./a/b", "owner/name:a:b:c"):
        assert not is_hub_id(source)


def _fake_hub(monkeypatch: pytest.MonkeyPatch, answer: Any) -> list[tuple[Any, ...]]:
    calls: list[tuple[Any, ...]] = []

    def load_dataset(name: str, config: str | None, split: str | None) -> Any:
        calls.append((name, config, split))
        if isinstance(answer, Exception):
            raise answer
        return answer

    module = types.ModuleType("datasets")
    module.load_dataset = load_dataset  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "datasets", module)
    return calls


def test_hub_sources(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = _fake_hub(monkeypatch, ROWS)
    assert [p.answer for p in read_problems("owner/name:test")] == ["0", "1", "4", "9"]
    read_problems("owner/name:main:test")
    assert calls == [("owner/name", None, "test"), ("owner/name", "main", "test")]


def test_hub_splits(monkeypatch: pytest.MonkeyPatch) -> None:
    _fake_hub(monkeypatch, {"test": ROWS})
    assert len(read_problems("owner/name")) == 4
    _fake_hub(monkeypatch, {"train": ROWS, "test": ROWS})
    with pytest.raises(UserError, match=r"splits train, test; say which, as in owner/name:train"):
        read_problems("owner/name")


def test_hub_failures(monkeypatch: pytest.MonkeyPatch) -> None:
    _fake_hub(monkeypatch, ConnectionError("no\nroute"))
    with pytest.raises(UserError, match=r"owner/name could not be read: ConnectionError: no route"):
        read_problems("owner/name")
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(UserError, match=r"pip install 'lit-rlvr\[hub\]'"):
        read_problems("owner/name")


@pytest.mark.parametrize(
    ("name", "ids"),
    [
        ("pi1_r128", ["124"]),
        ("pi2_r128", ["267"]),
        ("pi13_r128", ["682"]),
        ("pi1209_r128", ["789"]),
        ("merge_pi1_pi13_r128", ["124", "682"]),
        ("merge_pi1_pi2_pi13_pi1209_r128", ["124", "267", "682", "789"]),
    ],
)
def test_the_official_row_files(shared_data: Path, name: str, ids: list[str]) -> None:
    path = shared_data / "one_shot_rlvr" / f"{name}.parquet"
    problems = {p.id: p for p in read_problems(str(path))}
    assert sorted(problems) == sorted(ids)
    for row in pq.read_table(path).to_pylist():
        # The suffix is put back by a template, exactly once: the prompt is then the one of the paper, byte for byte.
        assert problems[str(row["extra_info"]["index"])].question + SUFFIX == row["prompt"][0]["content"]


def test_the_official_full_set(shared_data: Path) -> None:
    path = shared_data / "one_shot_rlvr" / "dsr_sub.parquet"
    with pytest.warns(UserWarning, match=r"1 of 1209 problems left out .*\(ids 265\)"):
        problems = read_problems(str(path))
    assert [int(p.id) for p in problems] == [i for i in range(1209) if i != 265]
    assert all(p.answer for p in problems)
    assert [p.answer for p in read_problems(str(path), [124])] == ["12.8"]


def test_math500_reads_the_same_from_both_of_its_files(shared_data: Path) -> None:
    lines = read_problems(str(shared_data / "benchmarks" / "math500" / "test.jsonl"))
    rows = read_problems(str(shared_data / "one_shot_rlvr" / "math500.parquet"))
    assert len(rows) == 500
    for key in ("answer", "subject", "level"):
        assert [getattr(p, key) for p in rows] == [getattr(p, key) for p in lines]
    assert [p.question.strip() for p in rows] == [p.question for p in lines]


def test_paper_files_by_name(shared_data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LIT_RLVR_DATA", str(shared_data))
    assert [p.id for p in read_problems("pi1")] == ["124"]
    assert {p.id for p in read_problems("pi1-pi13")} == {"124", "682"}
    with pytest.warns(UserWarning, match="left out"):
        assert len(read_problems("dsr-sub")) == 1208  # one of the 1,209 has no gold answer


def test_paper_files_that_are_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LIT_RLVR_DATA", raising=False)
    with pytest.raises(UserError, match=r"LIT_RLVR_DATA is not set.*pi1_r128\.parquet"):
        read_problems("pi1")
    monkeypatch.setenv("LIT_RLVR_DATA", str(tmp_path))
    with pytest.raises(UserError, match="does not exist"):
        read_problems("dsr-sub")
