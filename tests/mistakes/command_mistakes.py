"""Mistakes around a run: checkpoints, environment, devices, and the commands beside `fit`."""

import json
import os
import pickle
from collections.abc import Callable
from pathlib import Path

import torch

from tests.mistakes.room import HERE, Mistake, checkpoint, evaluate, fit, with_checkpoint

CKPT = f"{HERE}/run.ckpt"


class _Code:
    """Writes a file where it is unpickled."""

    def __init__(self, file: Path) -> None:
        self.file = file

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, (str(self.file),)


def _pickled_code(room: Path) -> None:
    torch.save({"state_dict": {}, "lit_rlvr": _Code(room / "executed")}, room / "run.ckpt")


def _bare_pickle(room: Path) -> None:
    (room / "run.ckpt").write_bytes(pickle.dumps(_Code(room / "executed")))


def _changed_checkpoint(**changes: object) -> Callable[[Path], None]:
    def prepare(room: Path) -> None:
        content = torch.load(checkpoint(), weights_only=True)
        content["lit_rlvr"] |= changes
        torch.save(content, room / "run.ckpt")

    return prepare


OTHER = ("--model.policy", "random:qwen2", "--model.tokenizer", "checkpoints/tiny-base")

CHECKPOINTS = [
    Mistake("a checkpoint that is not there", fit("--ckpt_path", "no-such.ckpt"), r"no checkpoint no-such\.ckpt"),
    Mistake(
        "a checkpoint misnamed",
        fit("--ckpt_path", f"{HERE}/rn.ckpt"),
        r"the folder has run\.ckpt",
        prepare=with_checkpoint(),
    ),
    Mistake("a folder as checkpoint", fit("--ckpt_path", HERE), r"no checkpoint|folder"),
    Mistake("an empty checkpoint", fit("--ckpt_path", CKPT), r"run\.ckpt is damaged", {"run.ckpt": b""}),
    Mistake("text as checkpoint", fit("--ckpt_path", CKPT), r"run\.ckpt is damaged", {"run.ckpt": "no checkpoint"}),
    Mistake(
        "half a checkpoint",
        fit("--ckpt_path", CKPT),
        r"run\.ckpt is damaged.*before it",
        prepare=with_checkpoint(lambda whole: whole[: len(whole) // 2]),
    ),
    Mistake("a checkpoint with code in it", fit("--ckpt_path", CKPT), r"run\.ckpt is damaged", prepare=_pickled_code),
    Mistake(
        "a pickle with code as checkpoint", fit("--ckpt_path", CKPT), r"run\.ckpt is damaged", prepare=_bare_pickle
    ),
    Mistake(
        "a checkpoint of another program",
        fit("--ckpt_path", CKPT),
        r"run\.ckpt is no checkpoint of lit-rlvr",
        prepare=lambda room: torch.save({"state_dict": {}}, room / "run.ckpt"),
    ),
    Mistake(
        "a checkpoint of another model",
        fit("--ckpt_path", CKPT, "--data.rl_steps", "2", *OTHER),
        r"checkpoint.*model\.policy random:qwen2.*configuration of the run",
        prepare=with_checkpoint(),
    ),
    Mistake(
        "a checkpoint of a run without an adapter",
        fit("--ckpt_path", CKPT, "--data.rl_steps", "2", "--model.lora", "{rank: 2}"),
        r"whole policy and model\.lora is set: leave the key out",
        prepare=with_checkpoint(),
    ),
    Mistake(
        "a checkpoint of a finished run",
        fit("--ckpt_path", CKPT),
        r"had 1 RL steps and data\.rl_steps is 1.*raise data\.rl_steps",
        prepare=with_checkpoint(),
    ),
    Mistake(
        "a checkpoint whose description is damaged",
        ("export", CKPT, f"{HERE}/out"),
        r"run\.ckpt",
        prepare=_changed_checkpoint(config_json="{"),
    ),
    Mistake(
        "a checkpoint whose tokenizer is gone",
        ("export", CKPT, f"{HERE}/out"),
        r"--tokenizer: there is no folder \./gone",
        prepare=_changed_checkpoint(tokenizer="./gone"),
    ),
]

ENVIRONMENT = [
    Mistake(
        "vLLM not installed",
        fit("--model.engine", "VLLMEngine"),
        r"needs vLLM.*pip install.*--model\.engine TransformersEngine",
        without=("vllm",),
    ),
    Mistake(
        "a doctor for vLLM where it is not installed",
        ("doctor", *fit("--model.engine", "VLLMEngine")[1:]),
        r"needs vLLM.*pip install.*--model\.engine TransformersEngine",
        without=("vllm",),
    ),
    Mistake(
        "peft not installed", fit("--model.lora", "{rank: 2}"), r"pip install 'lit-rlvr\[lora\]'", without=("peft",)
    ),
    Mistake(
        "gguf not installed",
        fit("--model.policy", f"{HERE}/m.gguf"),
        r'needs gguf: pip install "lit-rlvr\[gguf\]"',
        {"m.gguf": b"GGUF"},
        without=("gguf",),
    ),
    Mistake(
        "an output folder that is a file",
        fit("--trainer.logger.init_args.save_dir", f"{HERE}/file"),
        r"/file.*trainer\.logger",
        {"file": "x"},
    ),
    Mistake(
        "an output folder that nobody can write to",
        fit("--trainer.logger.init_args.save_dir", "/proc/runs"),
        r"/proc/runs.*trainer\.logger",
    ),
]

DEVICES = [
    Mistake("a GPU where there is none", fit("--trainer.accelerator", "gpu"), r"trainer\.accelerator"),
    Mistake("an accelerator that is none", fit("--trainer.accelerator", "gppu"), r"trainer\.accelerator.*gppu"),
    Mistake("no device", fit("--trainer.devices", "0"), r"trainer\.devices.*0"),
    Mistake("devices in words", fit("--trainer.devices", "two"), r"trainer\.devices.*two"),
    Mistake(
        "more processes than rows",
        fit("--trainer.devices", "3", "--trainer.strategy", "ddp"),
        r"data\.rows is 2, which 3 processes cannot share evenly",
    ),
    Mistake("FSDP of the first kind", fit("--trainer.strategy", "fsdp"), r"trainer\.strategy.*fsdp2"),
    Mistake("DeepSpeed", fit("--trainer.strategy", "deepspeed_stage_2"), r"trainer\.strategy.*ddp or fsdp2"),
    Mistake("a strategy that is none", fit("--trainer.strategy", "dpp"), r"trainer\.strategy.*dpp"),
    Mistake("weights in 16 bits", fit("--trainer.precision", "bf16-true"), r"trainer\.precision.*bf16-mixed"),
    Mistake("a precision that is none", fit("--trainer.precision", "fp8"), r"trainer\.precision.*fp8"),
    Mistake("float16 on a CPU", fit("--trainer.precision", "16-mixed"), r"trainer\.precision.*bf16-mixed"),
    Mistake(
        "FSDP2 with float16",
        fit("--trainer.strategy", "fsdp2", "--trainer.precision", "16-mixed"),
        r"trainer\.precision.*bf16-mixed",
    ),
]

EVALUATE = [
    Mistake("evaluate without a policy", ("evaluate", "--output", f"{HERE}/out"), r"needs --policy and --output"),
    Mistake("evaluate without a benchmark", evaluate(), r"--preset, --benchmark and --plans"),
    Mistake("an unknown preset", evaluate("--preset", "paper"), r"no preset 'paper'.*paper-six"),
    Mistake("evaluate a benchmark misspelt", evaluate("--benchmark", "tiny50"), r"did you mean tiny500"),
    Mistake("evaluate an option misspelt", evaluate("--benchmrk", "tiny500"), r"benchmrk.*benchmark"),
    Mistake("evaluate on no device", evaluate("--benchmark", "tiny500", "--devices", "0"), r"--devices.*at least 1"),
    Mistake(
        "evaluate on a GPU that is not there",
        evaluate("--benchmark", "tiny500", "--limit", "2", "--accelerator", "gpu"),
        r"--accelerator gpu --devices 1 cannot be had here",
    ),
    Mistake(
        "evaluate into a folder of something else",
        ("evaluate", "--policy", "checkpoints/tiny-base", "--output", HERE, "--benchmark", "tiny500", "--limit", "2"),
        r"holds no evaluation; choose another folder for --output",
        {"precious.txt": "x"},
    ),
    Mistake(
        "evaluate into a file",
        evaluate("--benchmark", "tiny500", "--limit", "2"),
        r"/out is there and holds no evaluation|Cannot write to",
        {"out": "precious"},
    ),
    Mistake(
        "a folder of an evaluation that is damaged",
        evaluate("--benchmark", "tiny500", "--limit", "2"),
        r"evaluation\.json is damaged",
        {"out/evaluation.json": "{"},
    ),
    Mistake("rescore what is not there", ("evaluate", "--rescore", f"{HERE}/out"), r"/out holds no evaluation"),
    Mistake(
        "an evaluation longer than the model's positions",
        evaluate("--benchmark", "tiny500", "--max_tokens", "9999"),
        r"4096 positions: set --max_tokens to at most",
    ),
    Mistake(
        "plans of evaluate that are no YAML",
        evaluate("--plans", f"{HERE}/p.yaml"),
        r"plans is .*no list of plans.*benchmark",
        {"p.yaml": "[{"},
    ),
]

HISTORY = json.dumps({"a": [0.0, 1.0], "b": [0.5, 0.5]})


def _select(*arguments: str) -> tuple[str, ...]:
    return ("select", "--history", f"{HERE}/h.json", *arguments)


SELECT = [
    Mistake("select without a history", ("select",), r"name its file with --history"),
    Mistake("a history that is not there", _select(), r"cannot read the history"),
    Mistake("a history that is cut off", _select(), r"h\.json is not valid JSON.*cut off", {"h.json": HISTORY[:9]}),
    Mistake("a history of something else", _select(), r"h\.json holds a list", {"h.json": "[1]"}),
    Mistake("a history with an accuracy of 2", _select(), r"entry 1 of problem a is 2", {"h.json": '{"a": [2]}'}),
    Mistake("a score that is none", _select("--by", "entropy"), r"--by|by.*variance", {"h.json": HISTORY}),
    Mistake(
        "more problems than there are",
        _select("--count", "5"),
        r"--count.*5.*2",
        {"h.json": HISTORY},
    ),
    Mistake(
        "a choice written over another",
        _select("--count", "1", "--source", f"{HERE}/p.jsonl", "--output", f"{HERE}/out.jsonl"),
        r"out\.jsonl is there already.*--output",
        {
            "h.json": HISTORY,
            "p.jsonl": '{"id": "a", "problem": "q", "answer": "1"}\n{"id": "b", "problem": "r", "answer": "2"}\n',
            "out.jsonl": "precious",
        },
    ),
    Mistake(
        "a source that the history is not of",
        _select("--count", "1", "--source", "tiny", "--output", f"{HERE}/out.jsonl"),
        r"rank 1 is problem a, which tiny does not hold",
        {"h.json": HISTORY},
    ),
]


def _sweep(*arguments: str) -> tuple[str, ...]:
    return ("sweep", f"{HERE}/g.yaml", "--root", f"{HERE}/root", *arguments)


GRID = "arms:\n  one:\n    title: One\n    arguments: [--config, configs/tiny.yaml]\n"

SWEEP = [
    Mistake("a grid that is not there", _sweep(), r"there is no grid .*g\.yaml"),
    Mistake("a grid that is no YAML", _sweep(), r"g\.yaml, line 2, column 1 is no valid YAML", {"g.yaml": "arms: [\n"}),
    Mistake("an arm twice", _sweep(), r"the key 'one' is there twice", {"g.yaml": GRID + "  one: {title: Two}\n"}),
    Mistake("a grid without arms", _sweep(), r"arms is empty", {"g.yaml": "base: []\n"}),
    Mistake("a grid with a wrong verb", _sweep(), r"arm one: verb is 'train'", {"g.yaml": GRID + "    verb: train\n"}),
    Mistake(
        "a grid with a missing configuration",
        _sweep(),
        r"arm one: there is no configuration file 'configs/tinny\.yaml'.*configs/tiny\.yaml",
        {"g.yaml": GRID.replace("tiny", "tinny")},
    ),
    Mistake("an arm that is not in the grid", _sweep("--arms", "two"), r"no arm 'two'", {"g.yaml": GRID}),
    Mistake("a seed twice", _sweep("--seeds", "1", "1"), r"--seeds names a seed twice", {"g.yaml": GRID}),
    Mistake("a negative seed of a sweep", _sweep("--seeds", "-1"), r"--seeds.*-1", {"g.yaml": GRID}),
    Mistake("no runs at once", _sweep("--jobs", "0"), r"--jobs is 0", {"g.yaml": GRID}),
    Mistake(
        "a folder as the sweep's table",
        _sweep("--table", f"{HERE}/t"),
        r"--table: .*/t is a folder",
        {"g.yaml": GRID, "t/x": "x", "root/x": "x"},
    ),
]

ROW = {"rl_step": 0, "benchmark": "tiny500", "problems": 8, "k": 1, "temperature": 0.0, "accuracy": 0.5}


def _report(*arguments: str) -> tuple[str, ...]:
    return ("report", f"{HERE}/run", "--output", f"{HERE}/report", *arguments)


REPORT = [
    Mistake("report of nothing", ("report",), r"runs"),
    Mistake("report of a folder that is not there", _report(), r"/run"),
    Mistake("report of a folder without a run", _report(), r"/run.*no run|no run.*/run", {"run/x": "x"}),
    Mistake(
        "report of damaged evaluations",
        _report(),
        r"evaluations\.jsonl, row 2 is not valid JSON",
        {"run/evaluations.jsonl": json.dumps(ROW) + "\n{\n"},
    ),
    Mistake(
        "report of evaluations with a word for a number",
        _report(),
        r"evaluations\.jsonl, row 1: its 'accuracy' is 'high'",
        {"run/evaluations.jsonl": json.dumps(ROW | {"accuracy": "high"}) + "\n"},
    ),
    Mistake(
        "report into a folder of something else",
        _report(),
        r"holds precious\.txt, which no report wrote",
        {"run/evaluations.jsonl": json.dumps(ROW) + "\n", "report/precious.txt": "x"},
    ),
    Mistake(
        "report into a file",
        _report(),
        r"/report is a file",
        {"run/evaluations.jsonl": json.dumps(ROW) + "\n", "report": "x"},
    ),
]

EXPORT = [
    Mistake("export without a folder", ("export", "checkpoints/tiny-base"), r"folder"),
    Mistake(
        "export of a checkpoint that is not there", ("export", "no.ckpt", f"{HERE}/out"), r"no checkpoint no\.ckpt"
    ),
    Mistake(
        "export of a damaged checkpoint", ("export", CKPT, f"{HERE}/out"), r"damaged", {"run.ckpt": b"PK\x03\x04 half"}
    ),
    Mistake("export of a pickle with code", ("export", CKPT, f"{HERE}/out"), r"damaged", prepare=_pickled_code),
    Mistake(
        "export over what is there",
        ("export", CKPT, HERE),
        r"exists and is not empty",
        {"precious.txt": "x"},
        prepare=with_checkpoint(),
    ),
    Mistake(
        "export of the adapter of a run without one",
        ("export", CKPT, f"{HERE}/out", "--adapter"),
        r"has no adapter.*export it whole",
        prepare=with_checkpoint(),
    ),
    Mistake(
        "export below a file",
        ("export", CKPT, f"{HERE}/file/out"),
        r"file/out",
        {"file": "x"},
        prepare=with_checkpoint(),
    ),
    Mistake("export of a folder that is no model", ("export", "./configs", f"{HERE}/out"), r"no config\.json"),
]

ANSWERS = '{"gold": "1", "response": "\\\\boxed{1}"}\n'

GRADE = [
    Mistake("grade without a file", ("grade",), r"--file|file"),
    Mistake("grade of a file that is not there", ("grade", "--file", f"{HERE}/a.jsonl"), r"cannot read .*a\.jsonl"),
    Mistake("grade of a folder", ("grade", "--file", HERE), r"cannot (read|go on)"),
    Mistake(
        "grade by a rule that is none", ("grade", "--file", f"{HERE}/a", "--rule", "lax"), r"lax.*exact", {"a": ANSWERS}
    ),
    Mistake(
        "grade onto its own input",
        ("grade", "--file", f"{HERE}/a", "--output", f"{HERE}/a"),
        r"input and output are the same file",
        {"a": ANSWERS},
    ),
    Mistake(
        "grade with no workers",
        ("grade", "--file", f"{HERE}/a", "--workers", "0"),
        r"workers.*more than 0",
        {"a": ANSWERS},
    ),
]

PLAN = [
    Mistake(
        "plan of a policy that is not there", ("plan", *fit("--model.policy", "./no")[1:]), r"model\.policy.*\./no"
    ),
    Mistake("plan of a key misspelt", ("plan", *fit("--data.row", "3")[1:]), r"data\.row\b.*data\.rows"),
]

MISTAKES = {
    "checkpoints": CHECKPOINTS, "environment": ENVIRONMENT, "devices": DEVICES, "evaluate": EVALUATE, "select": SELECT,
    "sweep": SWEEP, "report": REPORT, "export": EXPORT, "grade": GRADE, "plan": PLAN,
}  # fmt: skip
