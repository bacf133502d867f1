"""The pass-rate screen with the embedded policy: what it measures, and that an interruption changes nothing."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from lit_rlvr.data.prompts import encode
from lit_rlvr.data.readers import read_problems
from lit_rlvr.errors import UserError
from lit_rlvr.experience import Problem, Rollouts
from lit_rlvr.rewards import Verifier, verify
from lit_rlvr.rollout.engine import Progress, Sampling
from lit_rlvr.rollout.transformers_engine import TransformersEngine
from lit_rlvr.seeding import step_seed
from lit_rlvr.selection import screen as module
from lit_rlvr.selection.command import main
from lit_rlvr.selection.history import read_history
from lit_rlvr.selection.screen import Screen, measure, open_policy, progress_file

PROBLEMS = read_problems("tiny-pool")[:7]


class Counted(TransformersEngine):
    """Remembers how many prompts each call had."""

    def generate(
        self, prompts: Sequence[Sequence[int]], sampling: Sampling, seed: int, progress: Progress | None = None
    ) -> Rollouts:
        self.calls = [*getattr(self, "calls", []), len(prompts)]
        return super().generate(prompts, sampling, seed, progress)


class Session:
    """The policy, opened once; three problems to a chunk."""

    def __init__(self, policy: str) -> None:
        self.screen = Screen(policy, samples=4, max_tokens=48)
        opened, self.tokenizer = open_policy(policy)
        assert isinstance(opened, TransformersEngine)
        self.engine = Counted()
        self.engine.__dict__.update(vars(opened))
        self.verifier = Verifier(workers=1)

    def measure(
        self, file: Path, stop_at: int | None = None, problems: Sequence[Problem] = PROBLEMS, **changes: object
    ) -> dict[str, float]:
        """Rates; as if interrupted once ``stop_at`` problems are measured."""
        self.engine.calls = []

        def report(done: int) -> None:
            if done == stop_at:
                raise KeyboardInterrupt

        screen = replace(self.screen, **changes)  # type: ignore[arg-type]
        return measure(screen, problems, self.engine, self.tokenizer, self.verifier, file, report)


@pytest.fixture(scope="module")
def opened(repository: Path) -> Iterator[Session]:
    session = Session(str(repository / "checkpoints" / "tiny-base"))
    yield session
    session.engine.close()
    session.verifier.close()


@pytest.fixture
def session(opened: Session, monkeypatch: pytest.MonkeyPatch) -> Session:
    monkeypatch.setattr(module, "CHUNK", 3)
    return opened


def test_rates_are_the_share_of_right_responses(session: Session, tmp_path: Path) -> None:
    rates = session.measure(tmp_path / "rates.json")
    assert session.engine.calls == [3, 3, 1]
    expected = {}
    for chunk, start in enumerate((0, 3, 6)):
        problems = PROBLEMS[start : start + 3]
        prompts = [encode("chat-plain", problem.question, session.tokenizer) for problem in problems]
        sampling = Sampling(n=4, temperature=1.0, max_tokens=48)
        texts = session.engine.generate(prompts, sampling, step_seed(0, chunk, stream="pass-rate")).texts
        for place, problem in enumerate(problems):
            answers = texts[4 * place : 4 * place + 4]
            expected[problem.id] = sum(verify(gold=problem.answer, response=text) for text in answers) / 4
    assert rates == expected
    assert 0 < sum(rates.values()) < 7
    assert read_history(tmp_path / "rates.json") == {problem: [rate] for problem, rate in rates.items()}
    assert session.measure(tmp_path / "again.json", seed=1) != rates


@pytest.mark.parametrize(("stop_at", "left"), [(3, [3, 1]), (6, [1]), (7, [])])
def test_an_interrupted_screen_ends_with_the_same_file(
    session: Session, tmp_path: Path, stop_at: int, left: list[int]
) -> None:
    whole, parts = tmp_path / "whole.json", tmp_path / "parts.json"
    session.measure(whole)
    with pytest.raises(KeyboardInterrupt):
        session.measure(parts, stop_at=stop_at)
    assert not parts.exists()
    assert len(json.loads(progress_file(parts).read_text())["rates"]) == stop_at
    session.measure(parts)
    assert session.engine.calls == left
    assert parts.read_bytes() == whole.read_bytes()
    assert not progress_file(parts).exists()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"samples": 8}, "was begun with --samples 4, not 8: give the same again"),
        ({"temperature": 0.6}, "with --temperature 1.0, not 0.6"),
        ({"seed": 1}, "with --seed 0, not 1"),
        ({"problems": PROBLEMS[::-1]}, "was begun of other problems"),
    ],
)
def test_a_part_that_was_measured_otherwise(
    session: Session, tmp_path: Path, changes: dict[str, object], message: str
) -> None:
    file = tmp_path / "rates.json"
    with pytest.raises(KeyboardInterrupt):
        session.measure(file, stop_at=3)
    before = progress_file(file).read_bytes()
    with pytest.raises(UserError, match=message):
        session.measure(file, **changes)  # type: ignore[arg-type]
    assert progress_file(file).read_bytes() == before


@pytest.mark.parametrize("content", ["", "[]", '{"settings": {}}', '{"settings": {}, "rates": {"a": "b"}}'])
def test_a_damaged_part(session: Session, tmp_path: Path, content: str) -> None:
    file = tmp_path / "rates.json"
    progress_file(file).write_text(content)
    with pytest.raises(UserError, match="cannot be read; remove it to begin anew"):
        session.measure(file)


def test_nowhere_to_write(session: Session, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match="cannot write"):
        session.measure(tmp_path / "file" / "rates.json")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"samples": 1}, "--samples is 1"),
        ({"temperature": 0.0}, "--temperature is 0.0; greedy"),
        ({"temperature": float("nan")}, "--temperature is nan"),
        ({"max_tokens": 0}, "--max_tokens is 0"),
        ({"template": "chatt"}, "no prompt template 'chatt'"),
    ],
)
def test_screens_that_make_no_sense(settings: dict[str, object], message: str) -> None:
    with pytest.raises(UserError, match=message):
        Screen("policy", **settings)  # type: ignore[arg-type]


def test_ranking_by_a_file_of_rates(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rates = tmp_path / "rates.json"
    rates.write_text(json.dumps({"always": [1.0], "low": [0.125], "never": [0.0], "even": [0.5], "high": [0.875]}))
    assert main(["--by", "pass-rate", "--rates", str(rates), "--count", "1"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("5 problems: 1 never solved (20.0%), 1 always solved (20.0%), ranked by p (1 - p)")
    assert [line.split()[1] for line in lines[2:7]] == ["even", "low", "high", "always", "never"]
    assert [line.split()[-1] for line in lines[5:7]] == ["always", "never"]


def test_interrupted_in_the_shell_and_gone_on(
    tmp_path: Path, repository: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    problems, rates, chosen = tmp_path / "problems.jsonl", tmp_path / "rates.json", tmp_path / "chosen.jsonl"
    rows = [
        {"id": p.id, "problem": p.question, "answer": p.answer} for p in read_problems("tiny-pool")[:320]
    ]  # chunks enough to be interrupted in
    rows.append({"id": "blank", "problem": "What?", "answer": ""})
    problems.write_text("".join(json.dumps(row) + "\n" for row in rows))
    arguments = [
        *("--by", "pass-rate", "--policy", str(repository / "checkpoints" / "tiny-base"), "--source", str(problems)),
        *("--samples", "4", "--max_tokens", "48", "--rates", str(rates), "--count", "2", "--output", str(chosen)),
    ]
    with subprocess.Popen(
        [sys.executable, "-m", "lit_rlvr", "select", *arguments],
        env=os.environ | {"PYTHONPATH": str(repository), "OMP_NUM_THREADS": "1"},
        stderr=subprocess.PIPE,
        text=True,
        # What is started in the background by a shell without job control is born deaf to it.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    ) as process:
        assert process.stderr is not None
        next(line for line in process.stderr if line.startswith("32 of 320"))
        process.send_signal(signal.SIGINT)
        rest = process.communicate(timeout=120)[1]
    assert process.returncode == 130, rest
    assert "stopped; the same command goes on from here" in rest
    assert not rates.exists()
    assert main(arguments) == 0
    said = capsys.readouterr().err
    assert f"{problems}: 1 of 321 left out for want of a gold answer" in said
    assert "32 of 320 problems measured" not in said
    assert "320 of 320 problems measured" in said
    assert len(read_history(rates)) == 320
    assert [read_history(rates)[problem.id] for problem in read_problems(str(chosen))] == [[0.5], [0.5]]
    with pytest.raises(UserError, match="leave out --policy to rank by it"):
        main(arguments)
