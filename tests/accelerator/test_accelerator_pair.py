"""Whole commands on the accelerator in two processes, under DDP and FSDP2, against the same on the CPU.

Every tensor that meets another process is on the device, for the collectives take no other: a run that comes to its end has put
none of the CPU in, neither in training nor in evaluation, checkpoints and stopping.
"""

from pathlib import Path

import pytest
import torch

from tests.accelerator.lines import EVALUATED, Done, curves, fit_line, furthest, run_all, weights, well
from tests.accelerator.test_accelerator_alone import EVALUATE

TWO = ("--trainer.devices", "2")
SETUPS: dict[str, tuple[str, ...]] = {
    "ddp": (*TWO, "--trainer.strategy", "ddp", *EVALUATED),
    "fsdp2": (*TWO, "--trainer.strategy", "fsdp2", "--model.algorithm", "PPO"),
}
HALF = (*TWO, "--trainer.precision", "bf16-mixed", "--model.gradient_checkpointing", "true")


@pytest.fixture(scope="module")
def done(repository: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Done]:
    """Name of a line -> what it left; all of them in the two processes that the first one starts."""
    root = tmp_path_factory.mktemp("pair")
    lines = {
        f"{name}-{kind}": fit_line(root / f"{name}-{kind}", kind, *more)
        for name, more in SETUPS.items()
        for kind in ("fakegpu", "cpu")
    }
    lora = (*HALF, "--config", "configs/model/lora.yaml")
    lines |= {
        f"half-{name}": fit_line(root / f"half-{name}", "fakegpu", *lora, "--trainer.strategy", name) for name in SETUPS
    }
    checkpoint = root / "fsdp2-fakegpu" / "tiny" / "version_0" / "checkpoints" / "rl_step=1.ckpt"
    lines["resumed"] = fit_line(root / "resumed", "fakegpu", *SETUPS["fsdp2"], "--ckpt_path", str(checkpoint))
    out = str(root / "evaluate" / "out")
    lines["evaluate"] = [*EVALUATE, "--accelerator", "fakegpu", "--devices", "2", "--output", out]
    return run_all(repository, root, lines)


@pytest.mark.parametrize("name", SETUPS)
def test_training_equals_the_cpu(done: dict[str, Done], name: str) -> None:
    ours, cpu = done[f"{name}-fakegpu"], done[f"{name}-cpu"]
    assert furthest(ours, cpu) < (1e-5, 1e-5)
    here, there = curves(ours), curves(cpu)
    for key in ("train/loss", "train/entropy", "train/kl", "rollout/length/mean"):
        assert here[key][0] == there[key][0], key
    assert here["train/kl"][0] == 0.0 < here["train/kl"][1]
    assert ours.result["calls"] > 1000
    assert cpu.result["calls"] == 0


def test_strategies_agree_in_bfloat16(done: dict[str, Done]) -> None:
    """LoRA with activations computed again: KL 0 before the first update, and the same numbers but for rounding."""
    ddp, fsdp2 = (curves(done[f"half-{name}"]) for name in SETUPS)
    assert ddp["train/kl"][0] == fsdp2["train/kl"][0] == 0.0
    for key in ("train/loss", "train/entropy", "train/grad_norm"):
        assert fsdp2[key] == pytest.approx(ddp[key], rel=0.05, abs=2e-3), key


def test_a_sharded_run_goes_on_from_its_checkpoint(done: dict[str, Done]) -> None:
    whole, resumed = done["fsdp2-fakegpu"], done["resumed"]
    assert curves(whole)["train/loss"][1:] == curves(resumed)["train/loss"]
    before, after = weights(whole), weights(resumed)
    assert before.keys() == after.keys()
    assert all(torch.equal(before[key], after[key]) for key in before)


def test_an_evaluation_takes_two_processes(done: dict[str, Done]) -> None:
    result = well(done["evaluate"]).result
    assert result["status"] == 0
    assert result["calls"] > 100
    assert "tiny500" in result["said"]
