"""The command line as a user meets it: the whole path in a process of its own, and every mistake in one sentence."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from lit_rlvr.cli import main

SMALL = [
    "--config", "configs/tiny.yaml",
    "--model.sampling.max_tokens", "16",
    "--data.rows", "2",
    "--data.rl_steps", "2",
    "--evaluation.every_n_rl_steps", "1",
    "--evaluation.plans", '[{"benchmark": "tiny500", "limit": 8, "max_tokens": 8}]',
    "--evaluation.endpoint_plans", "[]",
]  # fmt: skip


def lit_rlvr(repository: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the command in the checkout, as its user would."""
    return subprocess.run(
        [sys.executable, "-m", "lit_rlvr.cli", *arguments],
        cwd=repository,
        env={**os.environ, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1", **environment},
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )


def small_fit(repository: Path, folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return lit_rlvr(repository, "fit", *SMALL, "--trainer.logger.init_args.save_dir", str(folder), *arguments)


Here = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def here(repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Here:
    """`small_fit`, or another command, in this process: the same entry point without a start of seconds."""
    monkeypatch.chdir(repository)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.delenv("LIT_RLVR_TRACEBACK", raising=False)

    def call(*arguments: str, command: list[str] | None = None) -> subprocess.CompletedProcess[str]:
        folder = tmp_path / "runs"
        line = command or ["fit", *SMALL, "--trainer.logger.init_args.save_dir", str(folder), *arguments]
        monkeypatch.setattr(sys, "argv", ["lit-rlvr", *line])
        status = 0
        try:
            main()
        except SystemExit as end:
            status = int(end.code or 0)
        printed = capsys.readouterr()
        assert not any(folder.rglob("*.ckpt"))
        return subprocess.CompletedProcess(line, status, printed.out, printed.err)

    return call


def test_a_plan_for_cards_that_are_not_here(here: Here) -> None:
    more = ["--trainer.accelerator", "gpu", "--trainer.devices", "8", "--trainer.strategy", "fsdp2", "--memory", "80"]
    result = here(command=["plan", "--config", "configs/tiny.yaml", *more])
    assert result.returncode == 0, result.stderr
    said = " ".join(result.stdout.split())
    assert "processes 8 (FSDP2), 1 row = 8 responses" in said
    assert "card a card of 80 GB (--memory): fits" in said
    assert "speed" not in said  # that of this machine says nothing of another's
    assert max(map(len, result.stdout.splitlines())) <= 80
    wrong = here(command=["plan", "--config", "configs/tiny.yaml", "--memory", "-1"])
    assert wrong.returncode == 2
    assert wrong.stderr.endswith("--memory is -1; give the size of a GPU's memory in GB, such as 80.\n")


@pytest.fixture(scope="module")
def finished(repository: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A small run: its folder, and what it printed."""
    folder = tmp_path_factory.mktemp("run")
    result = small_fit(repository, folder)
    assert result.returncode == 0, result.stderr
    return folder / "tiny" / "version_0", result.stdout


def test_run_leaves_what_the_readme_says(finished: tuple[Path, str]) -> None:
    run, _ = finished
    rows = [json.loads(line) for line in (run / "evaluations.jsonl").read_text().splitlines()]
    assert [row["rl_step"] for row in rows] == [0, 1, 2]
    for row in rows:
        assert {"benchmark", "problems", "k", "temperature", "accuracy", "stderr"} <= set(row)
        assert row["problems"] == 8
    history = json.loads((run / "history.json").read_text())
    assert [len(passes) for passes in history.values()] == [2]
    there = ["best.ckpt", "last.ckpt", "rl_step=2.ckpt", "rl_step=2.json"]
    assert sorted(p.name for p in (run / "checkpoints").iterdir()) == there
    assert (run / "config.yaml").is_file()


def test_run_prints_plan_and_tables(finished: tuple[Path, str]) -> None:
    _, output = finished
    assert "2 rows x 8 responses = 16 per RL step" in output
    assert "updates" in output.split("evaluation at RL step 0")[0]  # the plan comes before the first step
    assert "RL step 0 -> 2" in output
    assert "tensorboard --logdir" in output


def test_curves_are_under_the_names_of_the_table(finished: tuple[Path, str]) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    from lit_rlvr.names import METRICS

    run, _ = finished
    events = EventAccumulator(str(run))
    events.Reload()
    scalars = set(events.Tags()["scalars"])
    # Every training name is there, but for what this run has not got.
    # No critic, no correction, and float32.
    absent = ("eval/", "train/critic/", "train/mismatch/weight/", "train/mismatch/clipped", "train/loss_scale")
    expected = {name for name in METRICS if not name.startswith(absent)}
    assert expected <= scalars, expected - scalars
    assert "eval/tiny500/avg@1" in scalars
    known = expected | {name for name in scalars if name.startswith("eval/tiny500/")}
    assert scalars <= known | {"epoch"}, scalars - known
    assert [event.step for event in events.Scalars("train/reward")] == [0, 1]
    assert [event.step for event in events.Scalars("eval/tiny500/avg@1")] == [0, 1, 2]
    assert max(event.value for event in events.Scalars("rollout/logprob_diff/max")) < 1e-4
    tensors = events.Tags()["tensors"]
    assert any(tag.startswith("samples/train") for tag in tensors)
    assert any(tag.startswith("samples/eval/tiny500") for tag in tensors)
    assert "rollout/lengths" in events.Tags()["histograms"]


def test_export_gives_the_trained_policy(finished: tuple[Path, str], repository: Path, tmp_path: Path) -> None:
    """The automatic export and `lit-rlvr export` are the same policy, and it answers as the trainer's engine did."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    from lit_rlvr.data.prompts import encode
    from lit_rlvr.data.readers import read_problems
    from lit_rlvr.rollout.engine import Sampling
    from lit_rlvr.rollout.transformers_engine import TransformersEngine

    run, _ = finished
    result = lit_rlvr(repository, "export", str(run / "checkpoints" / "last.ckpt"), str(tmp_path / "out"))
    assert result.returncode == 0, result.stderr
    models = [AutoModelForCausalLM.from_pretrained(folder) for folder in (run / "policy", tmp_path / "out")]
    for a, b in zip(models[0].parameters(), models[1].parameters(), strict=True):
        assert torch.equal(a, b)
    trained = torch.load(run / "checkpoints" / "last.ckpt", weights_only=True)["state_dict"]
    for name, value in models[0].named_parameters():
        assert torch.equal(value, trained[f"policy.model.{name}"]), name
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "out")
    prompts = [encode("chat-plain", p.question, tokenizer) for p in read_problems("tiny500")[:6]]
    engine = TransformersEngine()
    engine.setup(models[0], tokenizer, torch.device("cpu"))
    ours = engine.generate(prompts, Sampling(temperature=0.0, max_tokens=24), seed=0)
    for prompt, text in zip(prompts, ours.texts, strict=True):
        theirs = models[1].generate(torch.tensor([prompt]), do_sample=False, max_new_tokens=24)[0, len(prompt) :]
        assert tokenizer.decode(theirs, skip_special_tokens=True) == text


def test_without_a_progress_bar(repository: Path, tmp_path: Path) -> None:
    result = small_fit(repository, tmp_path, "--trainer.enable_progress_bar", "false", "--checkpoint.export", "false")
    assert result.returncode == 0, result.stderr
    assert "step 1/2" not in result.stdout
    assert not (tmp_path / "tiny" / "version_0" / "policy").exists()


def test_plan_trains_nothing(repository: Path, tmp_path: Path) -> None:
    result = lit_rlvr(repository, "plan", *SMALL, "--trainer.logger.init_args.save_dir", str(tmp_path))
    assert result.returncode == 0, result.stderr
    for label in (
        "policy",
        "reference",
        "algorithm",
        "rollouts",
        "updates",
        "evaluation",
        "processes",
        "memory",
        "speed",
    ):
        assert label in result.stdout
    assert not any(tmp_path.rglob("*.ckpt"))


MISTAKES = {
    "wrong key": (
        ["--model.sampling.temprature", "1"],
        r"no key 'model.sampling.temprature'.*'model.sampling.temperature'",
    ),
    "group of one": (["--model.sampling.n", "1"], r"sampling.n is 1.*standard deviation"),
}
"""All others are made without a new process, in `tests/mistakes`."""


@pytest.mark.parametrize("mistake", MISTAKES)
def test_mistakes_in_a_process_of_their_own(mistake: str, repository: Path, tmp_path: Path) -> None:
    arguments, sentence = MISTAKES[mistake]
    _is_one_sentence(small_fit(repository, tmp_path, *arguments), sentence)
    assert not any(tmp_path.rglob("*.ckpt"))


def test_export_keeps_what_is_there(finished: tuple[Path, str], here: Here, tmp_path: Path) -> None:
    (tmp_path / "precious.txt").write_text("x")
    result = here(command=["export", str(finished[0] / "checkpoints" / "last.ckpt"), str(tmp_path)])
    _is_one_sentence(result, "not empty")
    assert [p.name for p in tmp_path.iterdir()] == ["precious.txt"]


def test_traceback_only_when_asked(repository: Path, tmp_path: Path) -> None:
    result = lit_rlvr(repository, "export", "no.ckpt", str(tmp_path / "out"), LIT_RLVR_TRACEBACK="1")
    assert "Traceback" in result.stderr


def _is_one_sentence(result: subprocess.CompletedProcess[str], pattern: str) -> None:
    import re

    assert result.returncode == 2, (result.returncode, result.stdout, result.stderr)
    assert "Traceback" not in result.stderr
    errors = [line for line in result.stderr.splitlines() if line.startswith("lit-rlvr: error:")]
    assert len(errors) == 1, result.stderr
    assert re.search(pattern, errors[0]), errors[0]
    assert len(errors[0]) < 500, errors[0]
