"""What one rank of two sees as no number, in its rollouts or in its loss, is skipped by both, and both save their part."""

import json
from pathlib import Path

import pytest

from lit_rlvr.events import event_files, read_events
from lit_rlvr.replay import main
from lit_rlvr.training.kept_step import KeptStep
from tests.two_processes.launch import attempt, callbacks, fit_line, launch

STRATEGIES = ("ddp", "fsdp2")
WATCHED = "tests.two_processes.watched_ranks.WatchedRanks"
BROKEN = [
    "--model.engine", "tests.training.broken_engines.NaNEngine", "--model.engine.init_args.steps", "[0, 2]",
    "--model.engine.init_args.rank", "1", "--model.update.updates_per_rollout", "2", "--evaluation.plans", "[]",
    "--data.rl_steps", "4", "--model.guard.stop_after", "9", "--model.guard.save_batches_every_n_rl_steps", "3", "--model.reward", "FormatReward",
    "--model.algorithm", "tests.two_processes.broken_loss.BrokenLoss", "--model.algorithm.init_args.k", "1",
]  # fmt: skip


@pytest.fixture(scope="module")
def runs(repository: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for each strategy, of a run with ranks held against each other. The second one has a NaN in the rollouts of RL
    steps 0 and 2, which are then not trained on at all, and in the loss of RL step 1's second update.
    """
    root = tmp_path_factory.mktemp("guard")
    lines = [fit_line(root / s, "--trainer.strategy", s, *BROKEN, *callbacks(WATCHED)) for s in STRATEGIES]
    (root / "lines.json").write_text(json.dumps(lines))
    (root / "said").write_text(launch(repository, "tests.two_processes.several", str(root / "lines.json")))
    return root


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_both_skip_and_both_save(
    strategy: str, runs: Path, repository: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    run = runs / strategy / "tiny" / "version_0"
    curves = read_events(event_files(run))[0].scalars
    assert curves["train/skipped_updates"] == {0: 2, 1: 3, 2: 5, 3: 5}
    assert list(curves["train/loss"]) == [1, 3]
    folders = sorted(p.name for p in (run / "batches").iterdir())
    assert folders == ["rl_step=0", "rl_step=1-skipped", "rl_step=2-skipped", "rl_step=3"]
    for folder in (run / "batches").iterdir():
        assert sorted(p.name for p in folder.iterdir()) == ["rank0.pt", "rank1.pt", "state.pt"]
    bad = run / "batches" / "rl_step=2-skipped"
    first, second = (KeptStep.read(bad / f"rank{rank}.pt") for rank in range(2))
    assert first.experience.rollouts.logprobs.isfinite().all()
    assert second.experience.rollouts.logprobs[-1].isnan()
    assert KeptStep.read(run / "batches" / "rl_step=1-skipped" / "rank0.pt").first == 1
    monkeypatch.chdir(repository)
    assert main([str(bad / "rank1.pt")]) == 1
    assert "rollout log-probs: 1 of" in capsys.readouterr().out
    # Step 3 is a sound one: alone, each process finds what it had found before the gradients came together.
    assert main([str(run / "batches" / "rl_step=3" / "rank0.pt")]) == 0
    assert "The run had 2 processes" in capsys.readouterr().out


def test_the_ranks_hold_one_policy(runs: Path) -> None:
    """It moved in steps 1 and 3 and stood still in 0 and 2."""
    policies = [line.split()[-1] for line in (runs / "said").read_text().splitlines() if "watched ranks" in line]
    for one, two, three, four in (policies[:4], policies[4:]):
        assert one != two == three != four


def test_both_stop_after_some_in_a_row(repository: Path, tmp_path: Path) -> None:
    """Only the second process sees the NaN, and neither waits for the other."""
    line = fit_line(
        tmp_path, "--trainer.strategy", "ddp", *BROKEN, "--model.engine.init_args.steps", "[1, 2]",
        "--model.guard.stop_after", "2", "--model.algorithm", "GRPO",
    )  # fmt: skip
    done = attempt(repository, "lit_rlvr", *line)
    assert done.returncode == 2, done.stderr[-3000:]
    stops = [line for line in done.stderr.splitlines() if "lit-rlvr: error" in line]
    assert len(set(stops)) == 1, done.stderr[-3000:]  # each says it
    batch = tmp_path / "tiny" / "version_0" / "batches" / "rl_step=2-skipped" / "rank1.pt"
    assert f"RL step 2 has rollout log-probs that are not finite; replay it with `lit-rlvr replay {batch}`" in stops[0]
    assert "skipped in 2 RL steps in a row" in stops[0]
    assert batch.is_file()
