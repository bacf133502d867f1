"""`lit-rlvr evaluate` as its user calls it, on the tiny policy: what it writes, says, goes on with and refuses."""

import json
import shlex
from pathlib import Path
from typing import Any

import pytest

from lit_rlvr import grade
from lit_rlvr.commands import call
from lit_rlvr.evaluation.table import render

TINY = "--policy checkpoints/tiny-base --accelerator cpu"
PLANS = json.dumps(
    [
        {"benchmark": "tiny500", "limit": 12, "max_tokens": 24},
        {"benchmark": "tiny500", "limit": 40, "max_tokens": 12, "samples": 8, "temperature": 0.6, "rules": ["qwen"]},
    ]
)


@pytest.fixture(autouse=True)
def _from_the_root(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(repository)


def evaluate(*arguments: str) -> int:
    """The command's exit status."""
    line = [
        word
        for argument in arguments
        for word in ([argument] if argument.startswith(("[", "/")) else shlex.split(argument))
    ]
    with pytest.raises(SystemExit) as end:
        call("evaluate", line)
    return int(end.value.code or 0)


def rows_of(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "evaluations.jsonl").read_text().split("\n") if line]


def files_of(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture(scope="module")
def finished(repository: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An evaluation by two plans."""
    folder = tmp_path_factory.mktemp("finished") / "out"
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.chdir(repository)
        assert evaluate(TINY, "--plans", PLANS, "--output", str(folder)) == 0
    return folder


def test_rows_and_responses(finished: Path, capfd: pytest.CaptureFixture[str]) -> None:
    rows = rows_of(finished)
    assert [(row["benchmark"], row["problems"], row["k"], row["rl_step"]) for row in rows] == [
        ("tiny500", 12, 1, 0),
        ("tiny500", 40, 8, 0),
    ]
    assert sorted(files_of(finished)) == [
        "evaluation.json", "evaluations.jsonl", "responses/tiny500@1.jsonl", "responses/tiny500@8.jsonl",
    ]  # fmt: skip
    for row in rows:
        file = finished / "responses" / f"tiny500@{row['k']}.jsonl"
        kept = [json.loads(line) for line in file.read_text().split("\n") if line]
        assert len(kept) == row["problems"] * row["k"]
        assert sum(one["verdict"] == "right" for one in kept) == sum(row["correct"])
        assert sum(one["tokens"] for one in kept) == pytest.approx(row["length"] * len(kept))
        assert sum(not one["stopped"] for one in kept) == pytest.approx(row["truncated"] * len(kept))
    capfd.readouterr()
    assert grade.main(["--file", str(file), "--workers", "1"]) == 0  # which reads it as it is
    graded = [json.loads(line) for line in capfd.readouterr().out.split("\n") if line]
    assert [(one["verdict"], one["answer"]) for one in graded] == [(one["verdict"], one["answer"]) for one in kept]


def test_what_is_finished_is_not_repeated(
    finished: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lit_rlvr.evaluation.command.evaluate", None)
    before = files_of(finished)
    assert evaluate(TINY, "--plans", PLANS, "--output", str(finished)) == 0
    said = capsys.readouterr().out.rstrip("\n")
    assert said == f"{finished} holds all of it already.\n{render(rows_of(finished))}"
    assert files_of(finished) == before
    for change, message in (("--seed 1", "the seed 0 and not 1"), ("--rules deepscaler", "use --rescore")):
        assert evaluate(TINY, "--plans", PLANS, "--output", str(finished), change) == 2
        assert message in capsys.readouterr().err
    assert files_of(finished) == before


def test_scored_again(finished: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """By the same rules nothing changes; with one verdict falsified it is put right; by other rules it is as if they had been
    given from the start.
    """
    monkeypatch.delenv("LIT_RLVR_DATA", raising=False)
    before = files_of(finished)
    assert evaluate("--rescore", str(finished)) == 0
    assert capsys.readouterr().out.count("as before; no verdict changed\n") == 2
    assert files_of(finished) == before
    file = finished / "responses" / "tiny500@1.jsonl"
    file.write_text(file.read_text().replace('"verdict": "wrong"', '"verdict": "right"', 1))
    assert evaluate("--rescore", str(finished), "--rules exact/flexible qwen") == 0
    first, second, *_ = capsys.readouterr().out.splitlines()
    assert "as before; verdicts changed: 1 from right to wrong; now by rule: exact/flexible" in first
    assert "no verdict changed; now by rule: exact/flexible" in second
    assert file.read_bytes() == before["responses/tiny500@1.jsonl"]
    rows, old = rows_of(finished), [json.loads(line) for line in before["evaluations.jsonl"].decode().splitlines()]
    for row in rows:
        outside = row["right_outside_box"] + row["accuracy"]
        assert row["rules"]["exact/flexible"]["accuracy"] == pytest.approx(outside)
    assert rows[1]["rules"]["qwen"] == old[1]["rules"]["qwen"]
    assert [row | {"rules": {}} for row in rows] == [row | {"rules": {}} for row in old]
    assert evaluate(TINY, "--plans", PLANS, "--output", str(finished), "--rules exact/flexible qwen") == 0
    (finished / "evaluation.json").write_bytes(before["evaluation.json"])
    (finished / "evaluations.jsonl").write_bytes(before["evaluations.jsonl"])
    file.write_bytes(b"".join(file.read_bytes().splitlines(keepends=True)[:-1]))
    assert evaluate("--rescore", str(finished)) == 2
    assert "does not hold 1 responses to each of 12 problems" in capsys.readouterr().err
    file.write_bytes(before["responses/tiny500@1.jsonl"])


def test_multiple_choice_from_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "data" / "benchmarks"
    for part in ("easy", "challenge"):
        (folder / f"arc_{part}").mkdir(parents=True)
        rows = [
            {
                "id": f"q{i}",
                "question": f"Which is {i}?",
                "choices": {"text": [str(i), "0"], "label": labels},
                "answerKey": labels[0],
            }
            for i, labels in enumerate([["A", "B"], ["1", "2"], ["A", "B"]])
        ]
        (folder / f"arc_{part}" / "test.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    monkeypatch.setenv("LIT_RLVR_DATA", str(tmp_path / "data"))
    small = f"{TINY} --preset arc --template chat-plain --max_tokens 8 --output {tmp_path / 'out'}"
    assert evaluate(small) == 2
    assert "has 3 problems with a gold answer, but arc_easy has 2376" in capsys.readouterr().err
    assert evaluate(small, "--limit 3") == 0
    assert [(row["benchmark"], row["problems"]) for row in rows_of(tmp_path / "out")] == [
        ("arc_easy", 3),
        ("arc_challenge", 3),
    ]
    asked = json.loads((tmp_path / "out" / "responses" / "arc_easy@1.jsonl").read_text().splitlines()[1])
    assert (asked["gold"], asked["question"].splitlines()[1:3]) == ("A", ["A. 1", "B. 0"])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("", "evaluate needs --policy and --output"),
        ("--policy ./nowhere --benchmark tiny500 --output OUT", "--policy: there is no folder ./nowhere"),
        ("--policy runs/x.ckpt --benchmark tiny500 --output OUT", "There is no checkpoint runs/x.ckpt"),
        ("TINY --output OUT", "Say what to evaluate with one of --preset, --benchmark and --plans"),
        ("TINY --output OUT --preset arc --benchmark tiny500", "Say what to evaluate with one of"),
        ("TINY --output OUT --preset six", "There is no preset 'six'"),
        ("TINY --output OUT --benchmark tiny50", "did you mean tiny500"),
        ("TINY --output OUT --benchmark tiny500 tiny500", "tiny500 is evaluated twice with 1 samples"),
        ("TINY --output OUT --benchmark tiny500 --samples 4", "4 samples at temperature 0"),
        ("TINY --output OUT --benchmark tiny500 --samples x", "samples is x, which is not what is expected there: int"),
        ("TINY --output OUT --benchmark tiny500 --temprature 1", "the nearest key is 'temperature'"),
        ("TINY --output OUT --benchmark tiny500 --rules bogus", "There is no rule 'bogus'"),
        ("TINY --output OUT --benchmark tiny500 --max_tokens 9999", "positions: set --max_tokens to at most"),
        ("TINY --output OUT --benchmark tiny500 --devices 0", "--devices and --batch_responses must be at least 1"),
        (
            "TINY --output OUT --benchmark tiny500 --accelerator abacus",
            "--accelerator abacus --devices 1 cannot be had here",
        ),
        ("TINY --output OUT --benchmark tiny500 --engine.max_batch 0", "engine.max_batch is 0"),
        ("TINY --output OUT --benchmark math500", "The problems of math500 were not found (LIT_RLVR_DATA is not set)"),
        ("TINY --output README.md --benchmark tiny500", "README.md is there and holds no evaluation"),
        ("TINY --output /proc/nowhere --benchmark tiny500", "Cannot write to /proc/nowhere"),
        ("--rescore OUT", "OUT holds no evaluation"),
        ("--rescore OUT --limit 3", "--rescore scores what was generated and takes no --limit"),
    ],
)
def test_mistakes_end_in_a_sentence(
    arguments: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("LIT_RLVR_DATA", raising=False)
    monkeypatch.setattr("lit_rlvr.evaluation.benchmarks._hub_possible", lambda: False)
    assert evaluate(arguments.replace("TINY", TINY).replace("OUT", str(tmp_path / "OUT"))) == 2
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert line.startswith("lit-rlvr: error: ")
    assert message in line
    assert not (tmp_path / "OUT").exists()


@pytest.mark.slow
def test_the_papers_six(shared_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """All 1,547 problems and their 2,247 responses, a minute of CPU time."""
    monkeypatch.setenv("LIT_RLVR_DATA", str(shared_data))
    short = "--template chat-plain --max_tokens 32 --engine.max_batch 64"
    assert evaluate(TINY, "--preset paper-six", short, f"--output {tmp_path / 'out'}") == 0
    assert [(row["benchmark"], row["problems"], row["k"], row["temperature"]) for row in rows_of(tmp_path / "out")] == [
        ("math500", 500, 1, 0.0), ("aime24", 30, 8, 0.6), ("aime25", 30, 8, 0.6), ("amc23", 40, 8, 0.6),
        ("minerva", 272, 1, 0.0), ("olympiadbench", 675, 1, 0.0),
    ]  # fmt: skip
