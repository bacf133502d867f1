"""Whole commands on the accelerator in one process, against the same on the CPU.

In float32 the loss, its terms and every measure of the rollouts of the first RL step are equal to the last bit. The engine
multiplies by another kernel on the CPU, so its own log-probs differ by its rounding.
"""

from pathlib import Path

import pytest
import torch

from tests.accelerator.lines import EVALUATED, SMALL, Done, curves, fit_line, furthest, run_all, weights, well

KEEP = ("--model.guard.save_batches_every_n_rl_steps", "1")
LORA = ("--config", "configs/model/lora.yaml", "--model.gradient_checkpointing", "true")
SETUPS: dict[str, tuple[str, ...]] = {
    "grpo": (*EVALUATED, *KEEP),
    "ppo": ("--model.algorithm", "PPO"),
    "lora": LORA,
    "half": ("--trainer.precision", "bf16-mixed", "--model.gradient_checkpointing", "true"),
}
EVALUATE = (
    "evaluate", "--policy", "checkpoints/tiny-base", "--benchmark", "tiny500", "--limit", "4", "--samples", "2",
    "--max_tokens", "16", "--temperature", "0.6", "--engine.dtype", "float32",
)  # fmt: skip
OF_ENGINE = ("rollout/logprob_diff/", "train/mismatch/")
"""Beginnings of curves that hold the engine's log-probs against the policy's."""

DEVICES = ("fakegpu", "cpu")


@pytest.fixture(scope="module")
def done(repository: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Done]:
    """Name of a line -> what it left; all of them in one process."""
    root = tmp_path_factory.mktemp("alone")
    lines = {
        f"{name}-{kind}": fit_line(root / f"{name}-{kind}", kind, "--trainer.strategy", "auto", *more)
        for name, more in SETUPS.items()
        for kind in DEVICES
    }
    whole = root / "grpo-fakegpu" / "tiny" / "version_0"
    checkpoint = str(whole / "checkpoints" / "rl_step=1.ckpt")
    lines["resumed"] = fit_line(root / "resumed", "fakegpu", *EVALUATED, "--ckpt_path", checkpoint)
    lines["deterministic"] = fit_line(root / "deterministic", "fakegpu", *EVALUATED, "--trainer.deterministic", "true")
    lines["replay"] = ["replay", str(whole / "batches" / "rl_step=1" / "rank0.pt")]
    lines["doctor"] = ["doctor", *SMALL, "--trainer.accelerator", "fakegpu"]
    lines |= {
        f"evaluate-{kind}": [*EVALUATE, "--accelerator", kind, "--output", str(root / f"evaluate-{kind}" / "out")]
        for kind in DEVICES
    }
    return run_all(repository, root, lines)


@pytest.mark.parametrize("name", ["grpo", "ppo", "lora"])
def test_training_equals_the_cpu(done: dict[str, Done], name: str) -> None:
    ours, cpu = done[f"{name}-fakegpu"], done[f"{name}-cpu"]
    assert furthest(ours, cpu) < (1e-5, 1e-5)
    here, there = curves(ours), curves(cpu)
    same = [key for key in here if here[key][0] == there[key][0]]
    assert {"train/loss", "train/entropy", "train/kl", "train/grad_norm", "rollout/length/mean"} <= set(same)
    assert all(key.startswith(OF_ENGINE) for key in here if key not in same)
    assert here["train/grad_norm"][0] > 0.01
    assert here["train/kl"][0] == 0.0 < here["train/kl"][1]


def test_training_in_bfloat16_is_as_on_the_cpu(done: dict[str, Done]) -> None:
    """The CPU has an attention of its own there: equal but for rounding to three digits."""
    here, there = curves(done["half-fakegpu"]), curves(done["half-cpu"])
    assert here["train/kl"][0] == 0.0
    for key in ("train/loss", "train/entropy", "train/grad_norm", "rollout/logprob_diff/mean"):
        assert here[key] == pytest.approx(there[key], rel=0.02, abs=1e-3), key


def test_it_ran_on_the_device_and_the_cpu_did_not(done: dict[str, Done]) -> None:
    for name in SETUPS:
        assert well(done[f"{name}-fakegpu"]).result["calls"] > 1000
        assert done[f"{name}-cpu"].result["calls"] == 0


def test_a_run_goes_on_from_its_checkpoint(done: dict[str, Done]) -> None:
    """To the last bit, evaluation included."""
    whole, resumed = curves(done["grpo-fakegpu"]), curves(done["resumed"])
    assert whole["train/loss"][1:] == resumed["train/loss"]
    assert whole["train/grad_norm"][1:] == resumed["train/grad_norm"]
    before, after = weights(done["grpo-fakegpu"]), weights(done["resumed"])
    assert before.keys() == after.keys()
    assert all(torch.equal(before[key], after[key]) for key in before)


def test_deterministic_algorithms_are_all_there(done: dict[str, Done]) -> None:
    """The device refuses what CUDA has no deterministic kernel for; asking for it changes nothing here."""
    asked, plain = curves(done["deterministic"]), curves(done["grpo-fakegpu"])
    assert asked["train/loss"] == plain["train/loss"]


def test_a_saved_step_comes_out_again(done: dict[str, Done]) -> None:
    result = well(done["replay"]).result
    assert result["status"] == 0, result["said"]
    assert "Parameters after the update: equal bit for bit." in result["said"]
    assert result["calls"] > 100


def test_the_doctor_finds_nothing(done: dict[str, Done]) -> None:
    result = well(done["doctor"]).result
    assert result["status"] == 0, result["said"]
    assert {line.split()[0] for line in result["said"].strip().splitlines()} == {"ok"}


def test_an_evaluation_equals_the_cpu(done: dict[str, Done]) -> None:
    """The same responses to the token; their seconds are in the last column."""
    ours, cpu = (well(done[f"evaluate-{kind}"]) for kind in DEVICES)
    files = sorted(
        path.relative_to(ours.folder) for path in (ours.folder / "out" / "responses").rglob("*") if path.is_file()
    )
    assert files
    for file in files:
        assert (ours.folder / file).read_bytes() == (cpu.folder / file).read_bytes(), file
    assert ours.result["calls"] > 100
