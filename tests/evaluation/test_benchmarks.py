"""The registry: counts, decoding, and where the problems come from."""

import json
from pathlib import Path

import pytest

from lit_rlvr.data.prompts import TEMPLATES
from lit_rlvr.errors import UserError
from lit_rlvr.evaluation import benchmarks
from lit_rlvr.evaluation.benchmarks import BENCHMARKS, PRESETS, get_benchmark, get_preset, load

COUNTS = {
    "tiny500": 500,
    "math500": 500,
    "aime24": 30,
    "aime25": 30,
    "amc23": 40,
    "minerva": 272,
    "olympiadbench": 675,
    "gsm8k": 1319,
    "mawps-singleop": 562,
    "mawps-addsub": 395,
    "mawps-multiarith": 600,
    "mawps-singleeq": 508,
    "svamp": 300,
    "arc_easy": 2376,
    "arc_challenge": 1172,
}
NOT_HERE = {"tiny500", "svamp", "arc_easy", "arc_challenge"}


@pytest.fixture(autouse=True)
def _fresh() -> None:
    benchmarks._read.cache_clear()


def _file(path: Path, count: int) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps({"problem": f"Q{i}", "answer": str(i)}) + "\n" for i in range(count)))
    return str(path)


def test_the_table_is_complete() -> None:
    assert {name: benchmark.problems for name, benchmark in BENCHMARKS.items()} == COUNTS
    assert all(benchmark.template in TEMPLATES for benchmark in BENCHMARKS.values())


def test_the_decoding_is_the_papers() -> None:
    decoding = {b.name: (b.template, b.samples, b.temperature, b.max_tokens) for b in BENCHMARKS.values()}
    for name in ("math500", "minerva", "olympiadbench", "arc_easy", "arc_challenge"):
        assert decoding[name] == ("qwen25-math-cot", 1, 0.0, 3072)
    for name in ("aime24", "aime25", "amc23"):
        assert decoding[name] == ("qwen25-math-cot", 8, 0.6, 3072)
    assert decoding["tiny500"] == ("chat-plain", 1, 0.0, 64)


def test_presets_are_made_of_benchmarks() -> None:
    assert get_preset("paper-six") == ("math500", "aime24", "aime25", "amc23", "minerva", "olympiadbench")
    assert sum(BENCHMARKS[name].problems for name in get_preset("paper-six")) == 1547
    assert all(name in BENCHMARKS for preset in PRESETS for name in get_preset(preset))
    with pytest.raises(UserError, match="no preset 'six'; use one of paper-six, arc"):
        get_preset("six")


@pytest.mark.parametrize("name", [name for name in COUNTS if name not in NOT_HERE])
def test_the_real_files(name: str, shared_data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LIT_RLVR_DATA", str(shared_data))
    problems = load(name)
    assert len(problems) == COUNTS[name]
    assert all(problem.answer.strip() and problem.question.strip() for problem in problems)
    assert len({problem.id for problem in problems}) == COUNTS[name]
    assert not any("$" in problem.answer.replace(r"\$", "") for problem in problems if name == "olympiadbench")


def test_answers_and_subjects_of_the_real_files(shared_data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LIT_RLVR_DATA", str(shared_data))
    assert len({problem.subject for problem in load("math500")}) == 7
    assert {problem.level for problem in load("math500")} == {"1", "2", "3", "4", "5"}
    assert len({problem.subject for problem in load("olympiadbench")}) == 4
    for name in ("amc23", "aime24", "gsm8k"):
        assert all(problem.answer.lstrip("-").isdecimal() for problem in load(name))
    for name in ("mawps-singleop", "mawps-addsub", "mawps-multiarith", "mawps-singleeq"):
        assert all(float(problem.answer) == float(f"{float(problem.answer):g}") for problem in load(name)[:20])
        assert not any(problem.answer.endswith(".0") for problem in load(name))


def test_the_embedded_benchmark_needs_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LIT_RLVR_DATA", raising=False)
    monkeypatch.setattr(benchmarks, "_hub_possible", lambda: False)
    assert len(load("tiny500")) == 500


def test_the_path_comes_first_then_the_folder_then_the_hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[str] = []
    monkeypatch.setattr(benchmarks, "_read", lambda source: read.append(source) or load("tiny500", limit=30))
    monkeypatch.setattr(benchmarks, "_hub_possible", lambda: True)
    in_folder = _file(tmp_path / "benchmarks/aime24/test.jsonl", 30)
    monkeypatch.setenv("LIT_RLVR_DATA", str(tmp_path))
    monkeypatch.setattr(benchmarks, "_read", lambda source: read.append(source) or ())
    for name, path in (("aime24", "own.jsonl"), ("aime24", None), ("aime25", None)):
        load(name, path, limit=1)
    assert read == ["own.jsonl", in_folder, "math-ai/aime25:test"]


def test_copies_count_as_the_benchmark_counts_them(tmp_path: Path) -> None:
    path = tmp_path / "p.jsonl"
    path.write_text(json.dumps({"problem": "Q", "answer": "1"}) + "\n" + json.dumps({"problem": "Q", "answer": "1"}))
    assert len(load("aime24", str(path), limit=5)) == 2


def test_the_wrong_number_of_problems(tmp_path: Path) -> None:
    path = _file(tmp_path / "p.jsonl", 29)
    with pytest.raises(UserError, match=r"p\.jsonl has 29 problems with a gold answer, but aime24 has 30"):
        load("aime24", path)


@pytest.mark.parametrize("limit", [1, 3, 4, 10])
def test_a_limit_takes_one_problem_of_each_stretch(tmp_path: Path, limit: int) -> None:
    path = _file(tmp_path / "p.jsonl", 10)
    chosen = [int(problem.id) for problem in load("aime24", path, limit)]
    assert len(chosen) == limit
    assert all(i * 10 // limit <= index < (i + 1) * 10 // limit for i, index in enumerate(chosen))
    assert chosen == [int(problem.id) for problem in load("aime24", path, limit)]


def test_a_limit_above_the_count_takes_all(tmp_path: Path) -> None:
    assert len(load("aime24", _file(tmp_path / "p.jsonl", 10), 99)) == 10


@pytest.mark.parametrize("limit", [50, 100, 125])
def test_a_limit_keeps_every_subject_where_they_take_turns(limit: int) -> None:
    """The embedded problems repeat every 40: a fixed stride of 4, 5 or 10 would leave families out."""
    assert {p.subject for p in load("tiny500", limit=limit)} == {p.subject for p in load("tiny500")}


def test_a_limit_below_one() -> None:
    with pytest.raises(UserError, match="limit of the evaluation of tiny500 is 0"):
        load("tiny500", limit=0)


def test_not_found_names_all_ways_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(benchmarks, "_hub_possible", lambda: False)
    monkeypatch.delenv("LIT_RLVR_DATA", raising=False)
    with pytest.raises(
        UserError, match=r"LIT_RLVR_DATA is not set.*benchmarks/math500/test.jsonl, or give .* a path"
    ) as caught:
        load("math500")
    assert "pip install 'lit-rlvr[hub]'" in str(caught.value)
    monkeypatch.setenv("LIT_RLVR_DATA", str(tmp_path))
    with pytest.raises(UserError, match=r"where word_problems/mawps/addsub.jsonl is missing"):
        load("mawps-addsub")


def test_a_failed_download_names_the_local_way(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(source: str) -> None:
        raise UserError(f"The hub data set {source} could not be read: no network.")

    monkeypatch.delenv("LIT_RLVR_DATA", raising=False)
    monkeypatch.setattr(benchmarks, "_hub_possible", lambda: True)
    monkeypatch.setattr(benchmarks, "_read", fail)
    with pytest.raises(UserError, match=r"no network; or set LIT_RLVR_DATA .*, or give the evaluation a path\."):
        load("math500")


def test_unknown_benchmark() -> None:
    with pytest.raises(
        UserError, match=r"no benchmark 'math50' \(did you mean math500\?\); use one of tiny500, math500"
    ):
        get_benchmark("math50")
