"""`python -m tests.fuzz.readers`: problem files, histories, checkpoints, evaluations and run folders with anything in them."""

import contextlib
import io
import json
import random
import sys
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import torch

from lit_rlvr.data.examples import read_examples
from lit_rlvr.data.readers import read_problems
from lit_rlvr.errors import UserError
from lit_rlvr.evaluation.folder import EvaluationFolder
from lit_rlvr.evaluation.rescore import rescore
from lit_rlvr.grade import read_rows
from lit_rlvr.models.export import CHECKPOINT_KEY, policy_of, read_checkpoint
from lit_rlvr.report.command import report
from lit_rlvr.report.reading import read_run
from lit_rlvr.rewards.verifier import Verifier
from lit_rlvr.selection.history import read_history
from lit_rlvr.sweep.grid import read_grid
from tests.fuzz.loop import main
from tests.fuzz.things import changed, damaged, text, value

ROWS: tuple[dict[str, Any], ...] = (
    {"problem": "1+1=?", "answer": "2", "level": "Level 5", "subject": "Algebra", "id": 7},
    {"question": "q", "answer": "so #### 1,450", "unique_id": "a/b"},
    {"question": "q", "final_answer": ["$2$"], "context": "c"},
    {"problem": "q", "solution": "so \\boxed{3}"},
    {"input": "q", "target": 4.0},
    {"Body": "b", "Question": "q", "Answer": "145.0", "ID": "x"},
    {"question": "q", "choices": {"text": ["a", "b"], "label": ["1", "2"]}, "answerKey": "2"},
    {
        "prompt": [{"role": "user", "content": "q"}],
        "reward_model": {"ground_truth": "12.8"},
        "extra_info": {"index": 124},
        "data_source": "d",
    },
)


@cache
def room() -> Path:
    """One folder for all cases of a process, each of which writes its files anew."""
    folder = TemporaryDirectory()
    _KEPT.append(folder)
    return Path(folder.name)


_KEPT: list[TemporaryDirectory[str]] = []  # removed when the process ends


def _file(name: str, content: bytes) -> Path:
    path = room() / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def problems(rng: random.Random) -> str:
    """A problem file of any kind and ending."""
    rows = [changed(rng, rng.choice(ROWS)) if rng.random() < 0.2 else rng.choice(ROWS) for _ in range(rng.randrange(5))]
    ending = rng.choice((".jsonl", ".json", ".parquet"))
    if ending == ".parquet":
        content = _parquet(rows)
    elif ending == ".jsonl":
        content = "\n".join(text(rng, row) for row in rows).encode("utf-8", "surrogatepass")
    else:
        content = text(rng, rows if rng.random() < 0.8 else value(rng)).encode("utf-8", "surrogatepass")
    path = _file(f"p{ending}", damaged(rng, content))
    read = read_problems(str(path), rng.choice((None, None, [0], ["7"], [])))
    assert all(problem.question.strip() and problem.answer for problem in read)
    assert len({problem.id for problem in read}) == len(read)
    return "read"


def _parquet(rows: list[Any]) -> bytes:
    buffer = io.BytesIO()
    try:
        pq.write_table(
            pa.Table.from_pylist([row for row in rows if isinstance(row, dict)] or [{"problem": "q"}]), buffer
        )
    except (pa.ArrowException, UnicodeEncodeError, OverflowError, TypeError):  # no column can hold them together
        buffer = io.BytesIO()
        pq.write_table(pa.table({"problem": ["q"], "answer": ["1"]}), buffer)
    return buffer.getvalue()


def examples(rng: random.Random) -> str:
    """A file of worked examples."""
    rows = [{"question": "q", "response": "r"}, {"problem": "q", "solution": "s"}]
    ending = rng.choice((".json", ".jsonl"))
    content = text(rng, changed(rng, rows) if rng.random() < 0.7 else rows)
    path = _file(f"e{ending}", damaged(rng, content.encode("utf-8", "surrogatepass")))
    read_examples.cache_clear()
    assert read_examples(str(path))
    return "read"


def history(rng: random.Random) -> str:
    """`history.json` and its like."""
    whole = {"a": [0.0, 0.5], "b": [1.0], "c": [1, 0, 0.25]}
    content = text(rng, changed(rng, whole) if rng.random() < 0.7 else whole)
    read = read_history(_file("h.json", damaged(rng, content.encode("utf-8", "surrogatepass"))))
    assert all(0 <= accuracy <= 1 for values in read.values() for accuracy in values)
    return "read"


def answers(rng: random.Random) -> str:
    """The rows that `lit-rlvr grade` reads; a bad one is a row with an error, never an exception."""
    rows = [changed(rng, {"gold": "1", "response": "\\boxed{1}"}) for _ in range(3)]
    content = damaged(rng, "\n".join(text(rng, row) for row in rows).encode("utf-8", "surrogatepass"))
    read = [row for row in read_rows(content.split(b"\n")) if row is not None]
    assert all(bool(row.error) != bool(row.gold) for row in read)
    return "refused" if any(row.error for row in read) else "read"


GRID = {
    "base": ["configs/tiny.yaml"],
    "arms": {
        "one": {"title": "One", "arguments": ["--config", "configs/tiny.yaml"]},
        "two": {"title": 2, "verb": "evaluate"},
    },
}


def grid(rng: random.Random) -> str:
    """The file of a sweep; JSON is YAML."""
    words = ("base", "arms", "title", "verb", "arguments", "one", "--config", "fit")
    content = text(rng, changed(rng, GRID, words) if rng.random() < 0.8 else GRID)
    read_grid(_file("g.yaml", damaged(rng, content.encode("utf-8", "surrogatepass"))))
    return "read"


@cache
def _checkpoint() -> dict[str, Any]:
    config = json.loads((Path(__file__).resolve().parents[2] / "checkpoints/tiny-base/config.json").read_text("utf-8"))
    described = {"config_json": json.dumps(config), "generation_json": "{}", "tokenizer": "t", "adapter": None}
    return {CHECKPOINT_KEY: described, "state_dict": {"rl_step": torch.tensor(3), "policy.model.x": torch.ones(2)}}


def checkpoint(rng: random.Random) -> str:
    """What a checkpoint says of itself, in a file that may be damaged."""
    whole = _checkpoint()
    words = (
        "config_json",
        "generation_json",
        "tokenizer",
        "adapter",
        "state_dict",
        CHECKPOINT_KEY,
        "model_type",
        "rl_step",
    )
    content = changed(rng, whole, words) if rng.random() < 0.7 else whole
    if rng.random() < 0.3:
        config = json.loads(whole[CHECKPOINT_KEY]["config_json"])
        described = {**whole[CHECKPOINT_KEY], "config_json": text(rng, changed(rng, config, (*words, *config)))}
        content = {**whole, CHECKPOINT_KEY: described}
    buffer = io.BytesIO()
    torch.save(content, buffer)
    read = read_checkpoint(_file("c.ckpt", damaged(rng, buffer.getvalue())))
    policy_of(read)
    return "read"


ROW = {
    "rl_step": 0, "benchmark": "tiny500", "problems": 2, "k": 1, "temperature": 0.0, "accuracy": 0.5, "stderr": 0.1, "limit": 2,
    "boxed": 0.5, "truncated": 0.0, "length": 9.0, "reflection": 0.0, "correct": [1, 0], "seconds": 1.0, "rules": {},
    "subjects": {}, "right_given_boxed": 1.0, "example": None,
}  # fmt: skip


def _run_folder(rng: random.Random) -> Path:
    folder = room() / "run"
    rows = [{**ROW, "rl_step": step} for step in (0, 10)]
    if rng.random() < 0.8:
        rows = changed(rng, rows, tuple(ROW))
    lines = "\n".join(text(rng, row) for row in (rows if isinstance(rows, list) else [rows]))
    files = {
        "evaluations.jsonl": lines,
        "history.json": text(rng, changed(rng, {"a": [0.0, 0.5]})),
        "config.yaml": text(
            rng, changed(rng, {"model": {"policy": "p"}, "data": {"source": "tiny"}, "seed_everything": 0})
        ),
    }
    for name, content in files.items():
        data = content.encode("utf-8", "surrogatepass")
        _file(f"run/{name}", damaged(rng, data) if rng.random() < 0.3 else data)
    _file("run/events.out.tfevents.1", rng.randbytes(rng.randrange(60)))
    return folder


def run_folder(rng: random.Random) -> str:
    """A run's folder, as a report reads it."""
    run = read_run(_run_folder(rng))
    for kind in run.kinds():
        run.curve(kind), run.rows(kind)
    run.training_accuracy(), run.last_step()
    return "read"


def page(rng: random.Random) -> str:
    """A whole report of such a folder, without looking at the figures."""
    with contextlib.redirect_stdout(io.StringIO()):
        report([_run_folder(rng)], room() / "report")
    return "read"


MANIFEST = {
    "policy": "p",
    "weights": "w",
    "rl_step": 0,
    "seed": 0,
    "plans": [{"benchmark": "tiny500", "limit": 2, "rules": []}],
}
RESPONSE = {
    "benchmark": "tiny500", "index": 0, "id": "a", "subject": "", "level": "", "question": "q", "gold": "1", "sample": 0,
    "response": "\\boxed{1}", "tokens": 3, "stopped": True, "verdict": "right", "answer": "1",
}  # fmt: skip


@cache
def _verifier() -> Verifier:
    return Verifier(workers=1)


def evaluation(rng: random.Random) -> str:
    """The folder of `lit-rlvr evaluate`, scored again."""
    folder = room() / "evaluation"
    manifest = changed(rng, MANIFEST, (*MANIFEST, "benchmark", "samples", "rules")) if rng.random() < 0.5 else MANIFEST
    rows = [ROW] if rng.random() < 0.5 else changed(rng, [ROW], tuple(ROW))
    responses = [{**RESPONSE, "index": index} for index in (0, 1)]
    responses = responses if rng.random() < 0.5 else changed(rng, responses, tuple(RESPONSE))
    lines = [
        "\n".join(text(rng, row) for row in part) + "\n" if isinstance(part, list) else "" for part in (rows, responses)
    ]
    files = {
        "evaluation.json": text(rng, manifest),
        "evaluations.jsonl": lines[0],
        "responses/tiny500@1.jsonl": lines[1],
    }
    for name, content in files.items():
        data = content.encode("utf-8", "surrogatepass")
        _file(f"evaluation/{name}", damaged(rng, data) if rng.random() < 0.2 else data)
    EvaluationFolder(folder).manifest()
    rescore(folder, rng.choice((None, ["qwen"])), _verifier())
    return "read"


def missing(rng: random.Random) -> str:
    """Names that mean nothing, or not a file."""
    source = rng.choice((str(value(rng, 0)), str(room()), str(room() / "none.jsonl"), "tiny/none", "a/b:c:d:e"))
    if ("/" in source and ":" in source) or source.count("/") == 1:  # a hub id: that would be a download
        return "left out"
    try:
        read_problems(source)
    except UserError:
        raise
    return "read"


FUZZERS = {
    "problems": problems, "examples": examples, "history": history, "answers": answers, "grid": grid, "checkpoint": checkpoint,
    "run folder": run_folder, "evaluation": evaluation, "missing": missing,
}  # fmt: skip

SLOW = {"page": page}
"""Draws figures: a tenth of a second each."""

if __name__ == "__main__":
    sys.exit(main(FUZZERS | SLOW))
