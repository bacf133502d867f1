"""`trainer.deterministic true`: the same command gives the same run, with one thread and with two."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from lit_rlvr.cli import run
from lit_rlvr.events import event_files, read_events
from lit_rlvr.training.kept_step import MACHINE
from tests.test_resume import assert_same

ALGORITHMS = {
    "grpo": ["--model.algorithm", "GRPO"],
    "ppo": ["--model.algorithm", "PPO", "--model.update.epochs", "2"],
}


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    yield
    torch.use_deterministic_algorithms(False)


def _fit(
    folder: Path, algorithm: str, deterministic: str
) -> tuple[dict[str, torch.Tensor], dict[str, dict[int, float]]]:
    """The end state, and every curve that no clock decides."""
    run(
        [
            "fit", "--config", "configs/tiny.yaml", "--data.rl_steps", "4", "--data.rows", "4",
            "--model.sampling.max_tokens", "32", "--model.reward", "FormatReward", *ALGORITHMS[algorithm],
            "--model.optimizer.init_args.lr", "1e-3", "--evaluation.every_n_rl_steps", "2", "--evaluation.endpoint_plans", "[]",
            "--evaluation.plans", '[{"benchmark": "tiny500", "limit": 8, "max_tokens": 8}]', "--checkpoint.export", "false",
            "--trainer.deterministic", deterministic, "--trainer.logger.init_args.save_dir", str(folder),
        ]
    )  # fmt: skip
    folder = folder / "tiny" / "version_0"
    end = torch.load(folder / "checkpoints" / "last.ckpt", weights_only=True)
    curves = read_events(event_files(folder))[0].scalars
    kept = {tag: values for tag, values in curves.items() if not tag.startswith(MACHINE) and "/seconds@" not in tag}
    return {"weights": end["state_dict"], "optimizers": end["optimizer_states"]}, kept


# Two threads on cores that are busy with other work wait for each other: minutes instead of seconds.
@pytest.mark.parametrize("threads", [1, pytest.param(2, marks=pytest.mark.slow)])
@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_two_runs_are_equal_bit_for_bit(
    algorithm: str, threads: int, repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(repository)
    torch.set_num_threads(threads)
    (one, one_curves), (other, other_curves) = (_fit(tmp_path / name, algorithm, "true") for name in "ab")
    assert torch.are_deterministic_algorithms_enabled()
    assert torch.get_num_threads() == threads
    assert_same(one, other)
    assert_same(one_curves, other_curves)
    assert len(one_curves["train/loss"]) == 4
    assert max(one_curves["train/advantage/max"].values()) > 0
