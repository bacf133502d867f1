"""A saved RL step, done again: the same to the last bit where all was well, and by name what was not."""

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from lit_rlvr.cli import run
from lit_rlvr.commands import call
from lit_rlvr.errors import UserError
from lit_rlvr.replay import main
from lit_rlvr.training.kept_step import KeptStep, digest

SMALL = [
    "--config", "configs/tiny.yaml", "--model.sampling.max_tokens", "24", "--data.rows", "2", "--data.rl_steps", "4",
    "--evaluation.plans", "[]", "--evaluation.endpoint_plans", "[]", "--checkpoint.every_n_rl_steps", "1",
    "--checkpoint.keep", "9", "--checkpoint.export", "false", "--model.optimizer.init_args.lr", "1e-3",
    "--model.reward", "FormatReward",
]  # fmt: skip
SETUPS = {
    "grpo": ["--model.guard.save_batches_every_n_rl_steps", "3"],
    "ppo": [
        "--model.guard.save_batches_every_n_rl_steps", "3", "--model.algorithm", "PPO",
        "--model.algorithm.init_args.critic_warmup", "2", "--model.update.epochs", "2",
    ],
    "lora": ["--model.guard.save_batches_every_n_rl_steps", "3", "--config", "configs/model/lora.yaml"],
    "broken": [
        "--model.engine", "tests.training.broken_engines.NaNEngine", "--model.engine.init_args.steps", "[1, 2, 3]",
        "--model.guard.stop_after", "9",
    ],
}  # fmt: skip
Runs = Callable[[str], Path]


@pytest.fixture(scope="module")
def runs(repository: Path, tmp_path_factory: pytest.TempPathFactory) -> Runs:
    """The folder of a run of four RL steps."""
    made: dict[str, Path] = {}

    def get(name: str) -> Path:
        if name not in made:
            folder = tmp_path_factory.mktemp(name)
            with pytest.MonkeyPatch.context() as patch:
                patch.chdir(repository)
                run(["fit", *SMALL, *SETUPS[name], "--trainer.logger.init_args.save_dir", str(folder)])
            made[name] = folder / "tiny" / "version_0"
        return made[name]

    return get


@pytest.fixture(autouse=True)
def _in_the_checkout(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(repository)


@pytest.mark.parametrize("name", ["grpo", "ppo", "lora"])
@pytest.mark.parametrize("step", [0, 3])
def test_a_step_comes_out_again_bit_for_bit(
    name: str, step: int, runs: Runs, capsys: pytest.CaptureFixture[str]
) -> None:
    """With Adam's moments of before, PPO's critic, and the warm-up of the policy in step 0 and not in step 3."""
    file = runs(name) / "batches" / f"rl_step={step}" / "rank0.pt"
    capsys.readouterr()
    assert main([str(file)]) == 0
    said = capsys.readouterr().out
    assert "Parameters after the update: equal bit for bit." in said
    for metric in ("train/loss", "train/grad_norm", "train/kl"):
        (line,) = (line for line in said.splitlines() if line.split()[:1] == [metric])
        assert line.endswith(" equal")
    # What it was held against is the run itself: its checkpoint and its curves.
    kept = KeptStep.read(file)
    state = torch.load(runs(name) / "checkpoints" / f"rl_step={step + 1}.ckpt", weights_only=True)["state_dict"]
    state["rl_step"] -= 1  # the step is counted after its update
    assert kept.after == digest(state)
    assert kept.experience.advantages.abs().max() > 0


def test_another_learning_rate_is_not_the_same_step(runs: Runs, capsys: pytest.CaptureFixture[str]) -> None:
    """Nor another clip of the gradient, on the command line; the loss is."""
    file = runs("grpo") / "batches" / "rl_step=3" / "rank0.pt"
    own = str(runs("grpo") / "config.yaml")
    assert main([str(file), "--config", own, "--model.update.max_grad_norm", "1e-3"]) == 1
    said = capsys.readouterr().out
    assert "Parameters after the update: not the same bits." in said
    assert "torch" in said.splitlines()[-1]


def test_what_is_not_finite_is_named(runs: Runs, capsys: pytest.CaptureFixture[str]) -> None:
    file = runs("broken") / "batches" / "rl_step=2-skipped" / "rank0.pt"
    capsys.readouterr()
    assert main([str(file)]) == 1
    said = capsys.readouterr().out
    count = len(KeptStep.read(file).experience.rollouts.tokens)
    assert f"rollout log-probs: 1 of {count} not finite, the first nan at {count - 1}" in said
    assert "rewards: finite, all 16" in said
    assert "Optimizer steps skipped: 2, as in the run." in said


def test_the_parameter_is_named_whose_gradient_is_not_finite(
    runs: Runs, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A weight of the last layer is made infinite in the file: everything from there on is no number."""
    folder = tmp_path / "batches" / "rl_step=3"
    shutil.copytree(runs("grpo") / "batches" / "rl_step=3", folder)
    state = torch.load(folder / "state.pt", weights_only=True)
    name = "policy.model.model.layers.1.mlp.down_proj.weight"
    state["parameters"][name][0, 0] = torch.inf
    torch.save(state, folder / "state.pt")
    assert main([str(folder / "rank0.pt"), "--config", str(runs("grpo") / "config.yaml")]) == 1
    said = capsys.readouterr().out
    assert f"parameter {name}: 1 of" in said
    assert "optimizer step 0, train/loss: 1 of 1 not finite" in said
    assert "optimizer step 0, gradient of policy.model" in said
    assert "log-probs of the policy:" in said
    assert "Optimizer steps skipped: 2, in the run 0: not the same here" in said


def test_files_that_are_no_saved_step(
    runs: Runs, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """One sentence each, and status 2."""
    monkeypatch.delenv("LIT_RLVR_TRACEBACK", raising=False)
    good = runs("grpo") / "batches" / "rl_step=3"
    (tmp_path / "a" / "b" / "c").mkdir(parents=True)
    here = tmp_path / "a" / "b" / "c"
    half = here / "half.pt"
    half.write_bytes((good / "rank0.pt").read_bytes()[:-2000])
    (here / "text.pt").write_text("not a step")
    torch.save({"format": "lit_rlvr RL step, 99"}, here / "later.pt")
    shutil.copy(good / "rank0.pt", here / "alone.pt")
    shutil.copytree(good, here / "batches" / "rl_step=3")
    moved = here / "batches" / "rl_step=3" / "rank0.pt"
    other = runs("ppo") / "config.yaml"
    cases = [
        ([], "file"),
        (["--config", "x"], "unrecognized arguments: --config"),
        ([str(here / "none.pt")], "there is no file"),
        ([str(here)], "there is no file"),
        ([str(half)], "half.pt cannot be read"),
        ([str(here / "text.pt")], "text.pt cannot be read"),
        ([str(here / "later.pt")], "no saved step of this version"),
        ([str(good / "state.pt")], "no saved step of this version"),
        ([str(runs("grpo") / "checkpoints" / "last.ckpt")], "no saved step of this version"),
        ([str(here / "alone.pt")], "there is no file .*state.pt"),
        ([str(moved)], "config.yaml beside the saved step"),
        ([str(moved), "--config", str(other)], "other parameters than this configuration"),
        ([str(good / "rank0.pt"), "--model.polcy", "x"], "no key"),
    ]
    for arguments, sentence in cases:
        with pytest.raises(SystemExit) as end:
            call("replay", arguments)
        said = capsys.readouterr().err
        assert end.value.code == 2, arguments
        (line,) = (line for line in said.splitlines() if line.startswith("lit-rlvr: error:"))
        assert re.search(sentence, line), (arguments, line)


def test_a_step_of_several_processes_is_looked_at_and_not_held_against_them(
    runs: Runs, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "batches" / "rl_step=3"
    shutil.copytree(runs("grpo") / "batches" / "rl_step=3", folder)
    content = torch.load(folder / "rank0.pt", weights_only=True)
    torch.save({**content, "world_size": 2, "after": ""}, folder / "rank0.pt")
    assert main([str(folder / "rank0.pt"), "--config", str(runs("grpo") / "config.yaml")]) == 0
    assert "The run had 2 processes" in capsys.readouterr().out


def test_the_file_reads_back_as_it_was(runs: Runs, tmp_path: Path) -> None:
    file = runs("ppo") / "batches" / "rl_step=3" / "rank0.pt"
    kept = KeptStep.read(file)
    again = KeptStep.read(kept.write(tmp_path))
    assert again.batch == kept.batch
    assert again.experience.verdicts == kept.experience.verdicts
    assert torch.equal(again.experience.rollouts.tokens, kept.experience.rollouts.tokens)
    assert json.dumps(dict(again.metrics)) == json.dumps(dict(kept.metrics))
    with pytest.raises(UserError, match="rank0"):
        KeptStep.read(tmp_path)
