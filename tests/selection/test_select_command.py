"""`lit-rlvr select` as its user calls it: from a history to a table and a problem file that training reads back."""

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from lit_rlvr.data.prompts import SUFFIX
from lit_rlvr.data.readers import read_problems
from lit_rlvr.errors import UserError
from lit_rlvr.experience import Problem
from lit_rlvr.selection.command import main
from lit_rlvr.selection.problem_file import write_problems

Said = pytest.CaptureFixture[str]


@pytest.fixture
def history(tmp_path: Path) -> Path:
    """Of the first five problems of tiny-pool; by variance they rank 2, 0, 4, 3, 1."""
    curves = {0: [0.0, 0.75], 1: [1.0, 1.0], 2: [0.0, 1.0], 3: [0.0], 4: [0.5, 0.0, 0.0]}
    file = tmp_path / "history.json"
    file.write_text(json.dumps({f"tiny-train/0/{i}": values for i, values in curves.items() if i != 1} | {
        "tiny-train/0/1": curves[1]
    }))  # fmt: skip
    return file


def ids(file: Path) -> list[str]:
    return [problem.id.removeprefix("tiny-train/0/") for problem in read_problems(str(file))]


def test_the_table_and_the_file(history: Path, tmp_path: Path, capsys: Said) -> None:
    output = tmp_path / "deep" / "chosen.jsonl"
    call = ["--history", str(history), "--source", "tiny-pool", "--count", "2", "--top", "3", "--output", str(output)]
    assert main(call) == 0
    lines = capsys.readouterr().out.splitlines()
    assert (
        lines[0] == "5 problems: 1 never solved (20.0%), 1 always solved (20.0%), ranked by variance of the accuracies"
    )
    table = [line.split()[:4] for line in lines[2:5]]
    assert table == [
        ["1", "tiny-train/0/2", "0.250000", "0.500"],
        ["2", "tiny-train/0/0", "0.140625", "0.375"],
        ["3", "tiny-train/0/4", "0.055556", "0.167"],
    ]
    pool = read_problems("tiny-pool")
    assert lines[2].endswith(pool[2].question)
    assert lines[-1] == f"Wrote {output}: 2 problems."
    assert read_problems(str(output)) == (pool[2], pool[0])


def test_ranks_in_the_order_given(history: Path, tmp_path: Path) -> None:
    output = tmp_path / "chosen.jsonl"
    main(["--history", str(history), "--source", "tiny-pool", "--ranks", "5,1-2", "--output", str(output)])
    assert ids(output) == ["1", "2", "0"]


def test_the_same_file_again_and_another(history: Path, tmp_path: Path, capsys: Said) -> None:
    output = tmp_path / "chosen.jsonl"
    call = ["--history", str(history), "--source", "tiny-pool", "--output", str(output), "--count"]
    main([*call, "1"])
    before = output.stat().st_mtime_ns
    main([*call, "1"])
    assert f"{output} was written before, with the same 1 problem." in capsys.readouterr().out
    with pytest.raises(UserError, match="is there already and holds something else"):
        main([*call, "2"])
    assert output.stat().st_mtime_ns == before
    output.write_text("{")
    with pytest.raises(UserError, match="is there already and holds something else"):
        main([*call, "1"])
    assert output.read_text() == "{"


def test_scores_differ(history: Path, tmp_path: Path) -> None:
    chosen = {}
    for by in ("variance", "lim", "random"):
        output = tmp_path / f"{by}.jsonl"
        main(
            ["--history", str(history), "--by", by, "--source", "tiny-pool", "--ranks", "1-5", "--output", str(output)]
        )
        chosen[by] = ids(output)
        assert sorted(chosen[by]) == ["0", "1", "2", "3", "4"]
    assert chosen["variance"] == ["2", "0", "4", "3", "1"]
    assert chosen["lim"][0] == "0"  # the mean curve is about (0.3, 0.69, 0)
    assert len(set(map(tuple, chosen.values()))) == 3


def test_random_needs_no_history(tmp_path: Path) -> None:
    outputs = [tmp_path / f"{i}.jsonl" for i in range(3)]
    for output, seed in zip(outputs, ("0", "0", "1"), strict=True):
        main(["--by", "random", "--seed", seed, "--source", "tiny-pool", "--count", "16", "--output", str(output)])
    assert outputs[0].read_bytes() == outputs[1].read_bytes() != outputs[2].read_bytes()
    assert len(ids(outputs[0])) == 16


def test_awkward_problems_come_back_as_they_are(tmp_path: Path) -> None:
    plain = Problem("124", "What?\n", "#### 7", "algebra", "5", "set")
    problems = (
        plain,
        replace(plain, id="a/b#2", question="Level\u2028two ", answer="1, 2", level="", subject=""),
        replace(plain, id="3", question="Twice" + SUFFIX, answer="12.80"),
        replace(plain, id="0", question=r"$\frac{1}{2}$ “x”", answer="[1, 2)", source=""),
    )
    file = tmp_path / "odd.jsonl"
    assert write_problems(file, problems)
    assert read_problems(str(file)) == (*problems[:3], replace(problems[3], source="odd.jsonl"))


def test_every_problem_of_the_paper_comes_back(shared_data: Path, tmp_path: Path) -> None:
    output = tmp_path / "all.jsonl"
    source = str(shared_data / "one_shot_rlvr" / "dsr_sub.parquet")
    with pytest.warns(UserWarning, match="ids 265"):
        problems = read_problems(source)
    write_problems(output, problems)
    assert read_problems(str(output)) == problems
    assert any(problem.question != problem.question.strip() for problem in problems)


def test_the_paper_from_history_to_problem(shared_data: Path, tmp_path: Path) -> None:
    paper = shared_data / "one_shot_rlvr"
    output = tmp_path / "chosen.jsonl"
    call = ["--history", str(paper / "acc_step_500.json"), "--source", str(paper / "dsr_sub.parquet")]
    main([*call, "--ranks", "1,13,1209", "--output", str(output)])
    assert [problem.id for problem in read_problems(str(output))] == ["124", "682", "789"]
    for problem, name in zip(read_problems(str(output)), ("pi1", "pi13", "pi1209"), strict=True):
        [released] = read_problems(str(paper / f"{name}_r128.parquet"))
        assert problem.question.strip() == released.question.strip()
    # in the history, and so in the ranking, but without a gold answer
    history = json.loads((paper / "acc_step_500.json").read_text())
    (tmp_path / "one.json").write_text(json.dumps({"265": history["265"]}))
    with pytest.raises(UserError, match=r"rank 1 is problem 265, which has no gold answer in .*dsr_sub\.parquet"):
        main(["--history", str(tmp_path / "one.json"), *call[2:], "--count", "1"])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "--by variance ranks the problems of a history: name its file with --history"),
        (["--by", "random"], "with --history or --source"),
        (["--history", "none.json"], "cannot read the history none.json: No such file"),
        (["--history", "H", "--by", "varience"], "varience"),
        (["--history", "H", "--cuont", "1"], "cuont"),
        (["--history", "H", "--count", "0"], "--count is 0; there are 5 problems"),
        (["--history", "H", "--count", "6"], "--count is 6; there are 5 problems"),
        (["--history", "H", "--ranks", "6"], "there is no rank 6"),
        (["--history", "H", "--count", "1", "--ranks", "1"], "exclude each other"),
        (["--history", "H", "--top", "-1"], "--top is -1"),
        (["--history", "H", "--count", "1", "--output", "o.jsonl"], "name their --source"),
        (["--history", "H", "--source", "tiny-pool", "--output", "o.jsonl"], "say which with --count or --ranks"),
        (["--history", "H", "--source", "tiny-pool", "--count", "1", "--output", "o.json"], "end in .jsonl"),
        (
            ["--history", "H", "--source", "tiny-pol", "--count", "1"],
            r"no problem source 'tiny-pol' \(did you mean tiny",
        ),
        (
            ["--history", "H", "--source", "tiny500", "--count", "1"],
            "rank 1 is problem tiny-train/0/2, which tiny500 does",
        ),
        (["--history", "H", "--policy", "p"], "--policy goes with --by pass-rate, and --by is variance"),
        (["--history", "H", "--rates", "r.json"], "--rates goes with --by pass-rate"),
        (["--by", "pass-rate"], "name it with --rates"),
        (["--by", "pass-rate", "--rates", "r.json"], "no rates in r.json: measure them with --policy and --source"),
        (["--by", "pass-rate", "--rates", "r.json", "--policy", "p"], "problems of --source, which is not given"),
        (["--by", "pass-rate", "--rates", "H", "--history", "H"], "--history plays no part"),
        (["--by", "pass-rate", "--rates", "H"], "is no file of pass rates: problem tiny-train/0/0 has 2 entries"),
        (
            ["--by", "pass-rate", "--rates", "H", "--policy", "p", "--source", "tiny"],
            "is there already: leave out --policy",
        ),
    ],
)
def test_mistakes(
    arguments: list[str], message: str, history: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=message):
        main([str(history) if argument == "H" else argument for argument in arguments])
    assert {file.name for file in tmp_path.iterdir()} == {"history.json"}


def test_from_the_shell_without_torch(history: Path, repository: Path) -> None:
    program = (
        "import sys; from lit_rlvr.selection.command import main\n"
        f"for by in ('variance', 'lim', 'random'): main(['--history', {str(history)!r}, '--by', by])\n"
        "print(sorted({'torch', 'transformers', 'lightning'} & set(sys.modules)))"
    )
    environment = os.environ | {"PYTHONPATH": str(repository)}
    said = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True)
    assert said.stdout.splitlines()[-1] == "[]"
    command = [sys.executable, "-m", "lit_rlvr", "select", "--history", str(history), "--count", "9"]
    wrong = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert wrong.returncode == 2
    assert wrong.stderr == (
        "lit-rlvr: error: --count is 9; there are 5 problems to choose from, so use 1 to 5.\n"
    )  # fmt: skip


def test_a_reader_that_has_seen_enough(tmp_path: Path, repository: Path) -> None:
    history = tmp_path / "history.json"
    history.write_text(json.dumps({str(i): [0.5] for i in range(5000)}))  # a table larger than a pipe holds
    command = f"{sys.executable} -m lit_rlvr select --history {history} --top 5000 | head -n 1; exit ${{PIPESTATUS[0]}}"
    environment = os.environ | {"PYTHONPATH": str(repository)}
    said = subprocess.run(["bash", "-c", command], env=environment, capture_output=True, text=True, check=False)
    assert (said.returncode, said.stderr) == (141, "")
    assert said.stdout.startswith("5000 problems")
