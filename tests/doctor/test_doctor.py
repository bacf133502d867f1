"""`lit-rlvr doctor` on whole set-ups, where every check passes, and on broken ones, where the one passes not that should not."""

import json
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import PreTrainedModel

from lit_rlvr.cli import run
from lit_rlvr.errors import UserError

CHECKS = ["template", "gold", "reward", "benchmark tiny500@1", "model", "engine", "update", "sync", "export"]
PLAN = '[{"benchmark": "tiny500", "limit": 4}]'

Doctor = Callable[..., tuple[int, dict[str, tuple[str, str]]]]


@pytest.fixture
def doctor(
    repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Doctor:
    """(exit status, check -> (state, sentence)) of the command on the tiny default with some keys changed."""
    monkeypatch.chdir(repository)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))

    def call(*arguments: str) -> tuple[int, dict[str, tuple[str, str]]]:
        before = sorted(tmp_path.rglob("*"))
        status = 0
        try:
            run(
                [
                    *("doctor", "--config", "configs/tiny.yaml", "--evaluation.plans", PLAN),
                    *(
                        "--evaluation.endpoint_plans",
                        "[]",
                        "--trainer.logger.init_args.save_dir",
                        str(tmp_path / "runs"),
                    ),
                    *arguments,
                ]
            )
        except SystemExit as end:
            status = int(end.code or 0)
        assert sorted(tmp_path.rglob("*")) == before  # nothing is left of it
        lines = [line.split(None, 1) for line in capsys.readouterr().out.splitlines()]
        found = {rest.partition(": ")[0]: (state, rest.partition(": ")[2]) for state, rest in lines}
        assert list(found) == CHECKS
        return status, found

    return call


def states(found: dict[str, tuple[str, str]], state: str) -> list[str]:
    return [name for name, (which, _) in found.items() if which == state]


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["--config", "configs/algorithm/ppo.yaml", "--model.algorithm.init_args.critic_warmup", "3"],
        ["--config", "configs/model/lora.yaml", "--trainer.precision", "bf16-mixed"],
        [
            "--config",
            "configs/ablation/format_reward.yaml",
            "--data.source",
            "tiny-pool",
            "--model.tripwire.tokens",
            "0",
        ],
        ["--config", "configs/algorithm/reinforce_plus_plus.yaml", "--model.engine.dtype", "bfloat16"],
    ],
    ids=["GRPO", "PPO", "LoRA", "a control on many problems", "REINFORCE++"],
)
def test_a_whole_set_up_passes(arguments: list[str], doctor: Doctor) -> None:
    status, found = doctor(*arguments)
    assert (status, states(found, "ok")) == (0, CHECKS), found
    assert "'<|user|>" in found["template"][1]
    assert found["template"][1].endswith("<|assistant|>'.")


BROKEN: dict[str, tuple[list[str], str, str, list[str]]] = {
    "a template of another model": (["--data.template", "qwen25-math-cot"], "template", "<|im_start|> in the prompt is", []),
    "no room for a response": (
        ["--model.sampling.max_tokens", "4090"], "template", "exceeds the model's 4096 positions: lower max_tokens", [],
    ),
    "a gold answer with an open brace": (
        ["--data.label", r"\frac{1}{2"], "gold", r"tiny: 1 of 1 gold answers cannot be read by the rule exact", ["reward"],
    ),
    "a gold answer in letters that no rule knows": (
        ["--data.label", "八"], "gold", "Write it as plain mathematics", ["reward"],
    ),
    "a reward turned round": (
        [
            "--model.reward", "WeightedReward", "--model.reward.init_args.weights", "[-1.0]",
            "--model.reward.init_args.rewards", '[{"class_path": "lit_rlvr.rewards.rewards.AnswerReward"}]',
        ],
        "reward", "pays a right answer to problem tiny/pi1 no more than another (a right answer gets -1", [],
    ),
    "a benchmark's prompts that do not fit": (
        ["--evaluation.plans", '[{"benchmark": "tiny500", "limit": 4, "max_tokens": 4090}]'],
        "benchmark tiny500@1", "which with max_tokens 4090 exceeds the model's 4096 positions", [],
    ),
    "a benchmark that is not there": (
        ["--evaluation.plans", '[{"benchmark": "tiny500", "path": "gone.jsonl"}]'], "benchmark tiny500@1", "gone.jsonl", [],
    ),
    "an engine that says something else": (
        ["--model.engine", "tests.training.broken_engines.ShiftedEngine", "--model.engine.shift", "0.1", "--model.engine.many", "1"],
        "engine", "At the start, over a probe of 32 tokens: the log-probs of engine and trainer differ by 0.1", ["sync"],
    ),
    "an engine that forgets the update": (
        ["--model.engine", "tests.training.broken_engines.ForgetfulEngine", "--model.engine.forgotten", ""],
        "sync", "After one update, over a probe of", [],
    ),
    "a learning rate of 0": (["--model.optimizer.init_args.lr", "0.0"], "update", "learning rate 0,", ["sync"]),
    "an optimizer that goes uphill": (
        ["--model.optimizer.init_args.maximize", "true"], "update", "and should have risen: check model.optimizer", ["sync"],
    ),
}  # fmt: skip


@pytest.mark.parametrize("what", BROKEN)
def test_what_is_broken_is_found(what: str, doctor: Doctor) -> None:
    arguments, check, sentence, hanging = BROKEN[what]
    status, found = doctor(*arguments)
    assert (status, states(found, "FAILED"), states(found, "skipped")) == (1, [check], hanging), found
    assert sentence in found[check][1]
    for name in hanging:
        assert found[name][1] == f"it needs {check}, which did not pass."


def changed_policy(repository: Path, folder: Path, change: Callable[[dict[str, torch.Tensor]], Any]) -> str:
    shutil.copytree(repository / "checkpoints" / "tiny-base", folder)
    tensors = load_file(folder / "model.safetensors")
    change(tensors)
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    return str(folder)


def with_template(repository: Path, folder: Path, template: str) -> str:
    shutil.copytree(repository / "checkpoints" / "tiny-base", folder)
    if (folder / "chat_template.jinja").exists():
        (folder / "chat_template.jinja").write_text(template)
    else:
        config = json.loads((folder / "tokenizer_config.json").read_text())
        (folder / "tokenizer_config.json").write_text(json.dumps(config | {"chat_template": template}))
    return str(folder)


TURNS = "{% for m in messages %}<|{{ m['role'] }}|>{{ m['content'] }}{% endfor %}"
OPEN = "{% if add_generation_prompt %}<|assistant|>{% endif %}"


@pytest.mark.parametrize(
    ("template", "sentence"),
    [
        (
            TURNS.replace("{{ m['content'] }}", "{{ m['content'][:5] }}") + OPEN,
            "leaves 'Solve for x: 3x+18=42' out of the",
        ),
        (TURNS, "the prompt does not end where the assistant is to speak: it ends in '<|user|>Solve"),
        ("<|pad|><|pad|>" + TURNS + OPEN, "begins with <|pad|> twice"),
    ],
    ids=["without the question", "without an end", "begun twice"],
)
def test_a_broken_chat_template(template: str, sentence: str, doctor: Doctor, repository: Path, tmp_path: Path) -> None:
    words = Path(with_template(repository, tmp_path / "words", template))
    if "twice" in sentence:
        config = json.loads((words / "tokenizer_config.json").read_text())
        (words / "tokenizer_config.json").write_text(json.dumps(config | {"bos_token": "<|pad|>"}))
    status, found = doctor("--model.tokenizer", str(words))
    assert (status, states(found, "FAILED"), states(found, "skipped")) == (1, ["template"], []), found
    assert sentence in found["template"][1]


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (
            lambda tensors: tensors.pop("model.layers.0.mlp.up_proj.weight"),
            "1 of the model's tensors are missing (model.layers.0.mlp",
        ),
        (lambda tensors: tensors["model.norm.weight"].fill_(torch.nan), "model.norm.weight for one: download"),
    ],
    ids=["a tensor that is missing", "weights that are no numbers"],
)
def test_a_broken_model(
    change: Callable[[dict[str, torch.Tensor]], Any], sentence: str, doctor: Doctor, repository: Path, tmp_path: Path
) -> None:
    status, found = doctor("--model.policy", changed_policy(repository, tmp_path / "policy", change))
    assert (status, states(found, "FAILED")) == (1, ["model"]), found
    assert states(found, "skipped") == ["engine", "update", "sync", "export"]
    assert sentence in found["model"][1]


@pytest.mark.parametrize("how", ["lost", "changed"])
def test_an_export_that_is_another_policy(how: str, doctor: Doctor, monkeypatch: pytest.MonkeyPatch) -> None:
    save = PreTrainedModel.save_pretrained

    def damaging(model: PreTrainedModel, folder: Path, **settings: Any) -> None:
        save(model, folder, **settings)
        file = folder / "model.safetensors"
        tensors = load_file(file)
        if how == "lost":
            del tensors["model.layers.1.mlp.up_proj.weight"]
        else:
            tensors["model.layers.1.mlp.up_proj.weight"] *= 1.5
        save_file(tensors, file, metadata={"format": "pt"})

    monkeypatch.setattr(PreTrainedModel, "save_pretrained", damaging)
    status, found = doctor()
    assert (status, states(found, "FAILED"), states(found, "skipped")) == (1, ["export"], []), found
    assert ("1 of the model's tensors are missing" if how == "lost" else "is another one") in found["export"][1]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--model.sampling.n", "1"], "model.sampling.n is 1"),
        (["--data.max_prompt_tokens", "3"], "more than data.max_prompt_tokens 3"),
        (["--data.source", "tinny"], "no problem source 'tinny'"),
        (["--model.policy", "./gone"], "there is no folder ./gone"),
    ],
)
def test_a_wrong_configuration_is_one_as_elsewhere(arguments: list[str], sentence: str, doctor: Doctor) -> None:
    with pytest.raises(UserError, match=sentence):
        doctor(*arguments)


def test_the_configuration_of_a_run_is_taken_as_it_was_written(doctor: Doctor, tmp_path: Path) -> None:
    """`config.yaml` in a run's folder has keys that only `fit` needs."""
    (tmp_path / "config.yaml").write_text("ckpt_path: null\nweights_only: null\n")
    assert doctor("--config", str(tmp_path / "config.yaml"))[0] == 0
