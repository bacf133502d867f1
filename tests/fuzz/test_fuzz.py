"""A short run of every fuzzer, and what the long runs found, case by case."""

import json
from itertools import product
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from lit_rlvr.config_files import load_yaml, refuse_endless
from lit_rlvr.data.readers import read_problems
from lit_rlvr.errors import UserError
from lit_rlvr.evaluation.folder import EvaluationFolder
from lit_rlvr.evaluation.store import read_responses
from lit_rlvr.models.export import CHECKPOINT_KEY, read_checkpoint
from lit_rlvr.report.reading import read_run
from lit_rlvr.rewards import Kind, Verifier
from lit_rlvr.rewards.exact import decide
from lit_rlvr.rewards.rule import Rule
from tests.fuzz.__main__ import FUZZERS
from tests.fuzz.loop import fuzz
from tests.fuzz.readers import RESPONSE, ROW

CASES = {"page": 5, "lines": 50, "files": 30, "grid": 150, "text": 700, "whole": 100}
"""Where the default is too many for a suite."""


@pytest.mark.parametrize("name", FUZZERS)
def test_a_short_run(name: str) -> None:
    found = fuzz(FUZZERS[name], CASES.get(name, 300), seed=1)
    assert not found.failures, found.failures[:3]
    # The cases are no mere noise: some get through the first check and some do not.
    assert len(found.outcomes) > 1 or name == "missing", found.outcomes


@pytest.mark.parametrize("rule", Rule)
def test_a_gold_too_deep_to_take_apart_is_too_costly(rule: Rule) -> None:
    gold = r"\left(" * 3000 + "1" + r"\right)" * 3000
    with Verifier(workers=1) as verifier:
        assert verifier.verify_many([(r"\boxed{2+x}", gold)], rule=rule)[0].kind not in (Kind.RIGHT, Kind.CRASHED)
    assert decide("2+x", gold) in (Kind.TOO_COSTLY, Kind.UNPARSABLE)


def test_json_without_end_and_half_a_character(tmp_path: Path) -> None:
    for name, whole in product(("p.json", "p.jsonl"), ("[" * 100_000, '{"problem": "\\ud800", "answer": "1"}')):
        (tmp_path / name).write_text(whole)
        with pytest.raises(UserError, match="not valid JSON"):
            read_problems(str(tmp_path / name))


def test_parquet_with_text_that_is_no_utf8(tmp_path: Path) -> None:
    raw = pa.array([b"\xae"], pa.binary())
    texts = pa.StringArray.from_buffers(1, raw.buffers()[1], raw.buffers()[2])
    pq.write_table(pa.table({"problem": texts, "answer": ["1"]}), tmp_path / "p.parquet")
    with pytest.raises(UserError, match="not a readable parquet file"):
        read_problems(str(tmp_path / "p.parquet"))


def test_names_that_no_file_can_have() -> None:
    for name in ("9" * 5000, "~nobody-of-that-name/p"):
        with pytest.raises(UserError, match="no problem source"):
            read_problems(name)


@pytest.mark.parametrize("whole", ["a: &b\n  c: *b\n", "? [a, b]\n: 1", '"\\ud800": 1', "a: 2001-99-99", "[" * 3000])
def test_yaml_that_the_parser_would_choke_on(whole: str, tmp_path: Path) -> None:
    (tmp_path / "c.yaml").write_text(whole)
    with pytest.raises(UserError, match="no valid YAML"):
        load_yaml(tmp_path / "c.yaml")


def test_a_word_without_end_and_words_that_look_like_one() -> None:
    with pytest.raises(UserError, match="no value"):
        refuse_endless(["--model.sampling=a: &b\n  c: *b"])
    refuse_endless(["--data.source", "&x*", "a & b * c", "[&a 1, *a]"])


@pytest.mark.parametrize("part", ["state_dict", "config_json", "adapter"])
def test_a_checkpoint_that_lacks_a_part(part: str, tmp_path: Path) -> None:
    described = {"config_json": "{}", "generation_json": None, "tokenizer": "t", "adapter": None}
    content = {CHECKPOINT_KEY: described, "state_dict": {"rl_step": torch.tensor(3)}}
    torch.save(content, tmp_path / "c.ckpt")
    read_checkpoint(tmp_path / "c.ckpt")
    if part == "state_dict":
        content["state_dict"] = "x"  # type: ignore[assignment]
    else:
        described[part] = {"rank": 2} if part == "adapter" else "[]"  # type: ignore[assignment]
    torch.save(content, tmp_path / "c.ckpt")
    with pytest.raises(UserError, match=r"c\.ckpt is damaged"):
        read_checkpoint(tmp_path / "c.ckpt")


@pytest.mark.parametrize(
    "change",
    [
        {"boxed": "x"},
        {"example": {}},
        {"rules": {"qwen": 1}},
        {"k": 10**30},
        {"accuracy": float("inf")},
        {"subjects": {"a": [1]}},
    ],
)
def test_a_row_of_another_kind(change: dict[str, object], tmp_path: Path) -> None:
    file = tmp_path / "evaluations.jsonl"
    file.write_text(json.dumps(ROW) + "\n")
    assert read_run(tmp_path).evaluations == (ROW,)
    file.write_text(json.dumps(ROW | change) + "\n")
    with pytest.raises(UserError, match=rf"row 1: its '{next(iter(change))}'"):
        read_run(tmp_path)
    with pytest.raises(UserError, match="damaged"):
        EvaluationFolder(tmp_path).rows()


def test_a_response_of_another_kind(tmp_path: Path) -> None:
    file = tmp_path / "r.jsonl"
    file.write_text(json.dumps(RESPONSE) + "\n")
    assert read_responses(file)[0] == [RESPONSE]
    for change in ({"index": "0"}, {"stopped": 1}, {"gold": None}, {"tokens": 10**30}, {"question": "\ud800"}):
        file.write_text(json.dumps(RESPONSE | change) + "\n")
        with pytest.raises(UserError, match="row 1 holds no response"):
            read_responses(file)
