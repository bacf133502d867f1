"""`lit-rlvr grade`: rows in, the same rows with verdicts out, in order, as they come; what is wrong with a row is said."""

import io
import json
import os
import select
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from lit_rlvr import grade as module
from lit_rlvr.commands import call
from lit_rlvr.errors import UserError
from lit_rlvr.grade import Summary, grade, in_batches, main, read_lines, read_rows
from lit_rlvr.rewards import Kind, Mode, Rule, Verifier, pool

COMMAND = [sys.executable, "-m", "lit_rlvr", "grade"]


def line(gold: Any = "12", response: Any = r"so \boxed{12}", **extra: Any) -> bytes:
    return json.dumps({"gold": gold, "response": response, **extra}).encode() + b"\n"


@pytest.fixture
def verifier() -> Iterator[Verifier]:
    with Verifier(workers=1) as verifier:
        yield verifier


def rows_of(text: bytes | str) -> list[dict[str, Any]]:
    """JSON lines, strictly: NaN and Infinity are refused."""

    def refuse(constant: str) -> None:
        raise AssertionError(constant)

    lines = (text.decode() if isinstance(text, bytes) else text).split("\n")
    return [json.loads(row, parse_constant=refuse) for row in lines if row]


Graded = Callable[..., tuple[int, list[dict[str, Any]], str]]


@pytest.fixture
def graded(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Graded:
    """Run the command in this process on some bytes: its status, its rows, and what the error stream says."""

    def call(content: bytes, *arguments: str) -> tuple[int, list[dict[str, Any]], str]:
        file = tmp_path / "predictions.jsonl"
        file.write_bytes(content)
        status = main(["--file", str(file), *arguments])
        printed = capsys.readouterr()
        return status, rows_of(printed.out), printed.err

    return call


def test_a_row_and_its_verdict(graded: Graded) -> None:
    content = line("12", r"\boxed{12}") + line("12", r"\boxed{13}") + line("12", "it is 12") + line("12", r"\boxed{}")
    status, rows, _ = graded(content)
    assert status == 0
    assert rows[0] == {
        "gold": "12",
        "response": r"\boxed{12}",
        "verdict": "right",
        "right": True,
        "answer": "12",
    }
    assert [(row["verdict"], row["right"], row["answer"]) for row in rows[1:]] == [
        ("wrong", False, "13"),
        ("no_answer", False, None),
        ("no_answer", False, ""),
    ]


def test_order_is_kept_over_batches_with_bad_rows(graded: Graded) -> None:
    content = b"".join(line(str(i), rf"\boxed{{{i}}}", id=i) if i % 7 else b"{}\n" for i in range(1, 201))
    status, rows, errors = graded(content)
    assert status == 1
    assert len(rows) == 200
    for i, row in enumerate(rows, start=1):
        if i % 7:
            assert (row["id"], row["answer"], row["right"]) == (i, str(i), True)
        else:
            assert row == {"line": i, "error": "no gold"}
    assert errors.splitlines()[:2] == ["line 7: no gold", "line 14: no gold"]


BAD = {
    "not JSON": (b"{'gold': 1}", r"not JSON: Expecting property name enclosed in double quotes at column 2"),
    "two objects": (line().strip() * 2, "not JSON: Extra data"),
    "cut off": (line().strip()[:-1], "not JSON"),
    "list": (b"[1, 2]", "not a JSON object"),
    "text": (b'"gold"', "not a JSON object"),
    "no gold": (b'{"response": "x"}', "no gold"),
    "no response": (b'{"gold": "1"}', "no response"),
    "null gold": (line(gold=None), "gold is null, not text"),
    "true gold": (line(gold=True), "gold is true, not text"),
    "gold in a list": (line(gold=["1"]), r'gold is ["1"], not text'),
    "blank gold": (line(gold=" \n"), "gold is empty"),
    "number as response": (line(response=12), "response is 12, not text"),
    "null response": (line(response=None), "response is null, not text"),
    "invalid UTF-8": (b'{"gold": "1", "response": "\xff"}', "not UTF-8 at byte 28"),
    "UTF-16": ("{}\n".encode("utf-16-le")[:-2] + b"\xd8", "not "),
    "NaN": (b'{"gold": "1", "response": "1", "score": NaN}', "not JSON: NaN"),
    "infinite number": (b'{"gold": 1e999, "response": "1"}', "not JSON: 1e999"),
    "endless number": (b'{"gold": ' + b"1" * 5000 + b', "response": "1"}', "4300 digits"),
    "endless brackets": (b"[" * 100_000, "recursion"),
}


def test_bad_rows_are_said_and_the_rest_goes_on(graded: Graded) -> None:
    content = line() + b"".join(bad.rstrip(b"\n") + b"\n" for bad, _ in BAD.values()) + line()
    status, rows, errors = graded(content)
    assert status == 1
    assert [rows[0]["right"], rows[-1]["right"]] == [True, True]
    assert len(rows) == len(BAD) + 2
    said = errors.splitlines()
    for number, (name, (_, reason)) in enumerate(BAD.items(), start=2):
        row = rows[number - 1]
        assert row.keys() == {"line", "error"}, name
        assert row["line"] == number, name
        assert reason in row["error"], (name, row)
        assert said[number - 2] == f"line {number}: {row['error']}", name
    assert f"{len(BAD) + 2} rows, 2 graded, {len(BAD)} bad" in errors


@pytest.mark.parametrize(
    ("gold", "box"), [(12, "12"), (12.5, "12.5"), (12.0, "12"), (-3, "-3"), (1e-05, "0.00001"), (1e20, "1" + "0" * 20)]
)
def test_a_number_is_a_gold(gold: float, box: str, graded: Graded) -> None:
    status, rows, _ = graded(line(gold, rf"\boxed{{{box}}}"))
    assert (status, rows[0]["verdict"]) == (0, "right")
    assert rows[0]["gold"] == gold


def test_extra_keys_are_kept_and_old_verdicts_replaced(graded: Graded) -> None:
    extra = {"id": 7, "meta": {"é": [1, None, 2.5]}, "answer": "old", "right": False, "verdict": "?", "text": "π\u2028"}
    _, rows, _ = graded(line(**extra))
    assert rows[0] == {
        **extra,
        "gold": "12",
        "response": r"so \boxed{12}",
        "answer": "12",
        "right": True,
        "verdict": "right",
    }


def test_mark_of_byte_order_line_ends_and_blank_lines(graded: Graded) -> None:
    content = b"\xef\xbb\xbf" + line().replace(b"\n", b"\r\n") + b"\r\n  \n\n" + line(id=5).strip() + b"\r\n{}"
    status, rows, _ = graded(content)
    assert status == 1
    assert [row.get("right") for row in rows] == [True, True, None]
    assert rows[-1]["line"] == 6


def test_half_a_surrogate_pair(graded: Graded) -> None:
    content = rb'{"gold": "12", "response": "\ud83d \\boxed{12}", "note": "\u00e9"}' + b"\n"
    content += rb'{"gold": "\ud83d", "response": "\\boxed{\ud83d+1}"}' + b"\n"
    status, rows, _ = graded(content)
    assert status == 0
    assert rows[0]["response"] == "\ud83d \\boxed{12}"
    assert [row["right"] for row in rows] == [True, False]


def test_text_is_written_as_it_is(graded: Graded, tmp_path: Path) -> None:
    graded(line("π", r"größer: \boxed{π}"), "--output", str(tmp_path / "out.jsonl"))
    assert "größer" in (tmp_path / "out.jsonl").read_text("utf-8")


def test_an_answer_that_takes_symbols(graded: Graded) -> None:
    _, rows, _ = graded(line("x^2-1", r"\boxed{(x-1)(x+1)}") + line("x^2-1", r"\boxed{(x-1)(x+2)}"), "--workers", "1")
    assert [row["verdict"] for row in rows] == ["right", "wrong"]


def test_empty_file(graded: Graded) -> None:
    status, rows, errors = graded(b"")
    assert (status, rows) == (0, [])
    assert "0 rows, 0 graded, 0 bad" in errors


def test_flexible_mode_reaches_the_verifier(verifier: Verifier) -> None:
    asked = []
    verifier.verify_many = lambda pairs, *how: asked.append(how) or []  # type: ignore[method-assign,assignment]
    for mode in (None, Mode.FLEXIBLE):
        list(grade([b"{}"], verifier, Summary([Rule.EXACT], mode)))
    assert asked == [(Rule.EXACT, None), (Rule.EXACT, Mode.FLEXIBLE)]


def test_all_rules_side_by_side(graded: Graded) -> None:
    status, rows, errors = graded(line(id=1) + b"{}\n" + line("12", "no box here", id=2), "--rule", "all")
    assert status == 1
    assert rows[0].keys() == {"id", "gold", "response", "verdicts"}
    assert list(rows[0]["verdicts"]) == ["exact", "deepscaler", "qwen"]
    for verdict in rows[0]["verdicts"].values():
        assert verdict.keys() == {"verdict", "right", "answer"}
    assert rows[0]["verdicts"]["exact"] == {"verdict": "right", "right": True, "answer": "12"}
    assert rows[1] == {"line": 2, "error": "no gold"}
    for head in ("exact (strict)", "deepscaler (strict)", "qwen (flexible)", "right by some rules only: "):
        assert head in errors
    _, _, errors = graded(line(), "--rule", "all", "--mode", "strict")
    assert "qwen (strict)" in errors


def test_summary() -> None:
    summary = Summary([Rule.EXACT], started=0.0)
    summary.outcomes.update({(Kind.RIGHT,): 5, (Kind.WRONG,): 2, (Kind.UNPARSABLE,): 1, (): 2})
    head, columns, *kinds = summary.render().splitlines()
    assert head.startswith("10 rows, 8 graded, 2 bad, ")
    assert columns.split() == ["exact", "(strict)"]
    assert [kind.split() for kind in kinds] == [
        ["right", "5", "62.5%"],
        ["wrong", "2", "25.0%"],
        ["no_answer", "0", "0.0%"],
        ["unparsable", "1", "12.5%"],
        ["too_costly", "0", "0.0%"],
        ["crashed", "0", "0.0%"],
    ]


def test_summary_of_all_rules() -> None:
    summary = Summary(list(Rule))
    right, wrong, none = Kind.RIGHT, Kind.WRONG, Kind.NO_ANSWER
    summary.outcomes.update({(right, right, right): 4, (right, wrong, right): 3, (wrong, none, right): 2, (): 1})
    summary.outcomes[wrong, none, wrong] = 1  # for different reasons, but right by none
    lines = summary.render().splitlines()
    assert lines[2].split() == ["right", "7", "70.0%", "4", "40.0%", "9", "90.0%"]
    said = "right by some rules only: 5 rows (50.0%); exact/deepscaler 3, exact/qwen 2, deepscaler/qwen 5"
    assert lines[-1] == said


def test_rows_come_out_before_the_input_ends(verifier: Verifier) -> None:
    """Of 20,000 rows never more than a batch is taken in before its verdicts go out."""
    taken = 0

    def lines() -> Iterator[bytes]:
        nonlocal taken
        for taken in range(1, 20_001):
            yield line(id=taken)

    given = 0
    for block in grade(lines(), verifier, Summary()):
        given += block.count(b"\n")
        assert taken - given <= module.ROWS_PER_WORKER
    assert given == taken == 20_000


def test_a_pause_ends_a_batch() -> None:
    rows = read_rows([None, line(), None, None, line(), line(), line(), line()])
    assert [len(batch) for batch in in_batches(rows, 3)] == [1, 3, 1]


def test_a_batch_leaves_every_slow_answer_its_time() -> None:
    assert Verifier().timeout * module.ROWS_PER_WORKER < pool._LOST_SECONDS


@pytest.mark.parametrize("chunk", [1, 2, 7, 1 << 16])
def test_lines_do_not_depend_on_how_they_arrive(chunk: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_CHUNK", chunk)
    for content in (b"", b"\n", b"a", b"a\n", b"\n\nab\n" + b"x" * 50 + b"\r\ny", b"a\n\nb\n\n"):
        (tmp_path / "f").write_bytes(content)
        with (tmp_path / "f").open("rb") as file:
            assert list(read_lines(file.fileno())) == content.split(b"\n")


def test_lines_of_a_pipe_that_pauses() -> None:
    reader, writer = os.pipe()
    lines = read_lines(reader)
    try:
        assert next(lines) is None
        os.write(writer, b"one\ntw")
        assert next(lines) == b"one"
        assert next(lines) is None
        os.write(writer, b"o\n")
        assert next(lines) == b"two"
        os.close(writer)
        assert list(lines) == [b""]
    finally:
        os.close(reader)


def test_output_file_replaces_an_older_one(graded: Graded, tmp_path: Path) -> None:
    output = tmp_path / "out.jsonl"
    output.write_text("old")
    link = tmp_path / "link.jsonl"
    link.symlink_to(output)
    status, rows, errors = graded(line() + b"{}\n", "--output", str(link))
    assert (status, rows) == (1, [])
    assert [row.get("right") for row in rows_of(output.read_bytes())] == [True, None]
    assert link.is_symlink()
    assert not list(tmp_path.glob("*.part"))
    assert "2 rows" in errors


def test_interrupted(
    graded: Graded, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(_: int) -> Iterator[bytes | None]:
        yield line()
        yield None
        raise KeyboardInterrupt

    output = tmp_path / "out.jsonl"
    output.write_text("old")
    monkeypatch.setattr(module, "read_lines", interrupted)
    status, _, errors = graded(b"", "--output", str(output))
    assert status == 130
    part = tmp_path / "out.jsonl.part"
    assert f"stopped after 1 rows; what was graded is in {part}" in errors
    assert "1 rows, 1 graded" in errors
    assert output.read_text() == "old"
    assert rows_of(part.read_bytes())[0]["right"]


def test_full_disk(tmp_path: Path, graded: Graded, monkeypatch: pytest.MonkeyPatch) -> None:
    class Full(io.BytesIO):
        def flush(self) -> None:
            raise OSError(28, "No space left on device")

        def close(self) -> None:
            pass

    real = module._open
    monkeypatch.setattr(module, "_open", lambda file, mode: Full() if mode == "wb" else real(file, mode))
    with pytest.raises(UserError, match=r"after 1 rows: No space left on device; what was graded is in .*part"):
        graded(line(), "--output", str(tmp_path / "out"))


MISTAKES = {
    "no file": ([], "required: file"),
    "missing file": (["--file", "no-such.jsonl"], "cannot read no-such.jsonl: No such file"),
    "folder": (["--file", "."], "cannot read .: Is a directory"),
    "wrong rule": (["--file", "in.jsonl", "--rule", "exakt"], "exakt.*exact"),
    "wrong mode": (["--file", "in.jsonl", "--mode", "loose"], "loose.*strict"),
    "wrong option": (["--file", "in.jsonl", "--outptu", "x"], "--outptu"),
    "no workers": (["--file", "in.jsonl", "--workers", "0"], "workers=0"),
    "many workers": (["--file", "in.jsonl", "--workers", "many"], "workers.*many"),
    "output = input": (["--file", "in.jsonl", "--output", "./in.jsonl"], "same file"),
    "output links to input": (["--file", "in.jsonl", "--output", "link.jsonl"], "same file"),
    "part = input": (["--file", "x.part", "--output", "x"], "same file"),
    "output is a device": (["--file", "in.jsonl", "--output", "/dev/null"], "no plain file"),
    "output is a folder": (["--file", "in.jsonl", "--output", "."], "no plain file"),
    "output nowhere": (["--file", "in.jsonl", "--output", "no/such/out"], "cannot write .*no/such/out"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_mistakes_end_in_one_sentence(
    mistake: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("LIT_RLVR_TRACEBACK", raising=False)
    for name in ("in.jsonl", "x.part"):
        (tmp_path / name).write_bytes(line())
    (tmp_path / "link.jsonl").hardlink_to(tmp_path / "in.jsonl")
    arguments, sentence = MISTAKES[mistake]
    with pytest.raises(UserError, match=sentence):
        main(arguments)
    with pytest.raises(SystemExit, match="2"):
        call("grade", arguments)
    said = capsys.readouterr().err.splitlines()
    assert len(said) == 1
    assert said[0].startswith("lit-rlvr: error: ")
    assert (tmp_path / "in.jsonl").read_bytes() == line()
    assert (tmp_path / "x.part").read_bytes() == line()


def test_part_of_lit_rlvr(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """The console script has the same command."""
    from lit_rlvr.__main__ import main

    (tmp_path / "in.jsonl").write_bytes(line() + b"{}\n")
    for command, status in ((["grade", "--file", "in.jsonl"], 1), (["grade", "--file", "no.jsonl"], 2), (["grad"], 2)):
        monkeypatch.chdir(tmp_path)
        monkeypatch.setattr(sys, "argv", ["lit-rlvr", *command])
        with pytest.raises(SystemExit) as end:
            main()
        assert end.value.code == status
    printed = capsys.readouterr()
    assert rows_of(printed.out)[0]["right"]
    assert "did you mean 'grade'?" in printed.err


def test_verdicts_come_while_the_writer_is_still_writing(repository: Path) -> None:
    """A process of its own, without torch, fed row by row through a pipe."""
    with subprocess.Popen(
        [*COMMAND, "--file", "-"],
        cwd=repository,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        assert process.stdin
        assert process.stdout
        assert process.stderr
        for i in range(3):
            process.stdin.write(line(str(i), rf"\boxed{{{i}}}"))
            process.stdin.flush()
            assert select.select([process.stdout], [], [], 60)[0], "no verdict while the input is open"
            row = json.loads(process.stdout.readline())
            assert (row["answer"], row["right"]) == (str(i), True)
        process.stdin.write(b"{}")
        process.stdin.close()
        assert json.loads(process.stdout.read()) == {"line": 4, "error": "no gold"}
        errors = process.stderr.read().decode()
    assert process.returncode == 1
    assert errors.startswith("line 4: no gold\n4 rows, 3 graded, 1 bad, ")


def test_ends_quietly_with_its_reader(repository: Path, tmp_path: Path) -> None:
    (tmp_path / "in.jsonl").write_bytes(b"".join(line(id=i) for i in range(20_000)))
    script = '"$@" | head -1; echo "${PIPESTATUS[0]}"'
    done = subprocess.run(
        ["bash", "-c", script, "bash", *COMMAND, "--file", str(tmp_path / "in.jsonl")],
        cwd=repository,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    first, status = done.stdout.splitlines()
    assert json.loads(first)["id"] == 0
    assert status == "141"
    assert done.stderr == ""


def test_starts_without_torch(repository: Path) -> None:
    code = "import sys, lit_rlvr.grade; sys.exit(bool({'torch', 'lightning', 'sympy'} & set(sys.modules)))"
    subprocess.run([sys.executable, "-c", code], cwd=repository, check=True, timeout=60)


def test_an_empty_response_has_no_answer(graded: Graded) -> None:
    status, rows, _ = graded(line(response=""))
    assert (status, rows[0]["verdict"], rows[0]["answer"]) == (0, "no_answer", None)
