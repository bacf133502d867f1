"""Per-problem accuracy: by hand, over processes, and across a stop."""

import json
from pathlib import Path

import pytest
from lightning import Trainer
from torch.utils.data import DataLoader

from lit_rlvr.callbacks.history import AccuracyHistory, count_right, merge
from lit_rlvr.errors import UserError
from tests.callbacks.stub_run import SaveAndStop, StubModule, record_of, run


def one_shot(step: int) -> list[tuple[str, bool, str]]:
    """Of 4 responses to the one problem, as many right as steps done (at most 4)."""
    return [("pi", i < step, f"text {i}") for i in range(4)]


def two_of_three(step: int) -> list[tuple[str, bool, str]]:
    """Problems a and b, b and c, c and a, in turn; each right once in two responses, but c always."""
    names = ["a", "b", "c"]
    chosen = [names[step % 3], names[(step + 1) % 3]]
    return [(name, i == 0 or name == "c", "t") for name in chosen for i in range(2)]


def read(folder: Path) -> dict[str, list[float]]:
    return json.loads((folder / "history.json").read_text("utf-8"))


def test_one_problem_has_an_entry_per_step(tmp_path: Path) -> None:
    run(StubModule(lambda step: record_of(step, one_shot(step))), [AccuracyHistory()], tmp_path, steps=6)
    assert read(tmp_path) == {"pi": [0.0, 0.25, 0.5, 0.75, 1.0, 1.0]}


def test_an_entry_for_each_pass(tmp_path: Path) -> None:
    run(StubModule(lambda step: record_of(step, two_of_three(step))), [AccuracyHistory()], tmp_path, steps=4)
    assert read(tmp_path) == {"a": [0.5, 0.5, 0.5], "b": [0.5, 0.5, 0.5], "c": [1.0, 1.0]}


def test_written_every_n_steps_and_when_the_run_breaks(tmp_path: Path) -> None:
    seen: dict[int, int] = {}

    def look(module: StubModule) -> None:
        file = tmp_path / "history.json"
        seen[int(module.rl_step)] = len(read(tmp_path)["pi"]) if file.exists() else 0
        if int(module.rl_step) == 5:
            raise RuntimeError("power cut")

    module = StubModule(lambda step: record_of(step, one_shot(step)), look)
    with pytest.raises(RuntimeError, match="power cut"):
        run(module, [AccuracyHistory(every_n_rl_steps=2)], tmp_path, steps=8)
    assert seen == {0: 0, 1: 0, 2: 2, 3: 2, 4: 4, 5: 4}
    assert len(read(tmp_path)["pi"]) == 5
    assert [path.name for path in tmp_path.iterdir()] == ["history.json"]  # no temporary file stays behind


def test_resumed_run_writes_the_file_of_an_uninterrupted_one(tmp_path: Path) -> None:
    def module() -> StubModule:
        return StubModule(lambda step: record_of(step, two_of_three(step)))

    run(module(), [AccuracyHistory()], tmp_path / "whole", steps=7)
    checkpoint = tmp_path / "stop.ckpt"
    with pytest.raises(RuntimeError, match="power cut"):
        run(module(), [AccuracyHistory(), SaveAndStop(3, checkpoint)], tmp_path / "first", steps=7)
    run(module(), [AccuracyHistory()], tmp_path / "second", steps=7, ckpt_path=checkpoint)
    whole = (tmp_path / "whole" / "history.json").read_bytes()
    assert (tmp_path / "second" / "history.json").read_bytes() == whole
    assert sum(map(len, read(tmp_path / "second").values())) == 14


def test_counts_and_merge() -> None:
    first = count_right(record_of(0, [("a", True, ""), ("a", False, ""), ("b", True, "")]))
    assert first == {"a": (1, 2), "b": (1, 1)}
    assert merge([first, {"a": (0, 1), "c": (0, 2)}]) == {"a": 0.333333, "b": 1.0, "c": 0.0}


def by_rank(module: StubModule, step: int) -> list[tuple[str, bool, str]]:
    """Step 0: both processes have problem a. Step 1: each has one of its own."""
    if step == 0:
        return [("a", True, ""), ("a", module.global_rank == 0, "")]
    return [("bc"[module.global_rank], module.global_rank == 1, "")] * 2


class RankModule(StubModule):
    def __init__(self) -> None:
        super().__init__(lambda step: record_of(step, by_rank(self, step)))


@pytest.mark.timeout(60)
def test_two_processes_write_one_history(tmp_path: Path) -> None:
    trainer = Trainer(
        accelerator="cpu",
        devices=2,
        strategy="ddp_fork",  # no imports anew; the children neither train nor use threads
        max_epochs=1,
        default_root_dir=tmp_path,
        logger=False,
        callbacks=[AccuracyHistory(every_n_rl_steps=1)],
        enable_progress_bar=False,
        enable_model_summary=False,
        enable_checkpointing=False,
        use_distributed_sampler=False,
    )
    trainer.fit(RankModule(), DataLoader(range(2)))
    assert list(read(tmp_path).items()) == [("a", [0.75]), ("b", [0.0]), ("c", [1.0])]


def test_negative_interval_is_refused() -> None:
    with pytest.raises(UserError, match=r"history\.every_n_rl_steps"):
        AccuracyHistory(-1)
