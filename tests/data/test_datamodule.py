"""Rows of a step, ranks, labels, and the batches a Trainer sees before and after a resume."""

import json
from collections import Counter
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from lightning import Callback, LightningModule, Trainer

from lit_rlvr.data.datamodule import OneShotDataModule, StepLoader, rows_of_step
from lit_rlvr.errors import UserError
from lit_rlvr.experience import PromptBatch
from tests.data.byte_tokenizer import byte_tokenizer


def _file(folder: Path, count: int) -> str:
    path = folder / f"{count}.jsonl"
    rows = [{"problem": f"Question {i}?", "answer": str(i)} for i in range(count)]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(path)


def _batches(data: OneShotDataModule, rank: int = 0, world_size: int = 1, done: int = 0) -> list[PromptBatch]:
    module = SimpleNamespace(tokenizer=byte_tokenizer(), rl_step=torch.tensor(done))
    data.trainer = SimpleNamespace(lightning_module=module, global_rank=rank, world_size=world_size)  # type: ignore[assignment]
    data.setup("fit")
    loader = data.train_dataloader()
    assert len(loader) == data.rl_steps
    return list(loader)


def _ids(batches: list[PromptBatch]) -> list[list[str]]:
    return [[problem.id for problem in batch.problems] for batch in batches]


def test_a_single_problem_fills_every_row() -> None:
    assert rows_of_step(1, 8, 5, seed=0) == [0] * 8


def test_few_problems_share_the_rows_evenly() -> None:
    for step in range(10):
        assert set(Counter(rows_of_step(4, 128, step, seed=1)).values()) == {32}
        assert max(Counter(rows_of_step(3, 8, step, seed=1)).values()) <= 4
    assert Counter(row for step in range(3) for row in rows_of_step(3, 8, step, seed=1)) == {0: 8, 1: 8, 2: 8}


def test_every_epoch_is_a_new_permutation() -> None:
    walked = [row for step in range(15) for row in rows_of_step(10, 4, step, seed=2)]
    epochs = [walked[i : i + 10] for i in range(0, 60, 10)]
    assert all(sorted(epoch) == list(range(10)) for epoch in epochs)
    assert len({tuple(epoch) for epoch in epochs}) == 6


def test_the_order_hangs_on_the_seed_alone() -> None:
    assert rows_of_step(100, 16, 3, seed=5) == rows_of_step(100, 16, 3, seed=5)
    assert rows_of_step(100, 16, 3, seed=5) != rows_of_step(100, 16, 3, seed=6)
    assert rows_of_step(5, 4, 1, seed=5, shuffle=False) == [4, 0, 1, 2]


def test_the_default_is_one_problem_in_eight_rows() -> None:
    batches = _batches(OneShotDataModule(rl_steps=2))
    assert len(batches) == 2
    assert len(set(batches[0].problems)) == 1
    assert len(batches[0].prompts) == len(batches[1].prompts) == 8
    assert byte_tokenizer().decode(batches[0].prompts[0]) == f"<|user|>{batches[0].problems[0].question}<|assistant|>"


def test_ranks_share_the_rows(tmp_path: Path) -> None:
    data = OneShotDataModule(_file(tmp_path, 10), rows=6, rl_steps=4)
    whole = _ids(_batches(data))
    parts = [_ids(_batches(data, rank, 3)) for rank in range(3)]
    assert [a + b + c for a, b, c in zip(*parts, strict=True)] == whole


def test_rows_that_ranks_cannot_share(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"data\.rows is 6, which 4 processes cannot share evenly"):
        _batches(OneShotDataModule(_file(tmp_path, 2), rows=6), 0, 4)


def test_a_resumed_iteration_begins_where_the_run_stopped(tmp_path: Path) -> None:
    data = OneShotDataModule(_file(tmp_path, 10), rows=4, rl_steps=5)
    assert _ids(_batches(data, done=3)) == _ids(_batches(data))[3:]
    assert _batches(data, done=5) == []


def test_selected_problems_and_their_labels(tmp_path: Path) -> None:
    data = OneShotDataModule(_file(tmp_path, 10), select=[7, 2], rows=2, label="777", shuffle=False)
    batch = _batches(data)[0]
    assert [(p.id, p.answer) for p in batch.problems] == [("7", "777"), ("2", "777")]
    assert data.problems == batch.problems


@pytest.mark.parametrize(("label", "answer"), [("12.80", "12.80"), (12.7, "12.7"), (4, "4")])
def test_a_label_may_be_a_number(tmp_path: Path, label: str | float, answer: str) -> None:
    data = OneShotDataModule(_file(tmp_path, 1), label=label)
    data.setup()
    assert [problem.answer for problem in data.problems] == [answer]


def test_a_share_of_wrong_labels(tmp_path: Path) -> None:
    data = OneShotDataModule(_file(tmp_path, 10), wrong_label_share=0.6)
    data.setup()
    assert sum(p.id != p.answer for p in data.problems) == 6


def test_a_prompt_that_is_too_long(tmp_path: Path) -> None:
    data = OneShotDataModule(_file(tmp_path, 3), max_prompt_tokens=13)  # two roles and "Question 0?" make 13
    assert len(_batches(data)[0].prompts[0]) == 13
    with pytest.raises(UserError, match=r"problem 0 has 13 tokens, more than data\.max_prompt_tokens 12"):
        _batches(OneShotDataModule(_file(tmp_path, 3), max_prompt_tokens=12))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"rows": 0}, r"data\.rows is 0"),
        ({"rl_steps": 0}, r"data\.rl_steps is 0"),
        ({"max_prompt_tokens": 0}, r"data\.max_prompt_tokens is 0"),
        ({"label": "4", "wrong_label_share": 0.5}, "exclude each other"),
        ({"template": "chatt"}, "no prompt template"),
    ],
)
def test_wrong_settings(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        OneShotDataModule(**settings)


class _Recorder(LightningModule):
    """Takes one optimizer step per batch and remembers what it saw."""

    rl_step: torch.Tensor

    def __init__(self) -> None:
        super().__init__()
        self.automatic_optimization = False
        self.tokenizer = byte_tokenizer()
        self.weight = torch.nn.Parameter(torch.zeros(1))
        self.register_buffer("rl_step", torch.zeros((), dtype=torch.int64))
        self.seen: list[tuple[int, int, PromptBatch]] = []

    def training_step(self, batch: PromptBatch, batch_idx: int) -> None:
        self.seen.append((batch_idx, int(self.rl_step), batch))
        optimizer = self.optimizers()
        for _ in range(2):  # two updates per rollout step, so that global_step is not the RL step
            optimizer.zero_grad()
            self.manual_backward(self.weight.sum())
            optimizer.step()
        self.rl_step += 1

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=0.1)


class _Stopped(Exception):
    pass


class _SaveThenStop(Callback):
    def __init__(self, step: int, path: Path, stop: bool = True) -> None:
        self.step, self.path, self.stop = step, path, stop

    def on_train_batch_end(self, trainer: Trainer, pl_module: LightningModule, *_: Any) -> None:
        if int(pl_module.rl_step) == self.step:  # type: ignore[arg-type]
            trainer.save_checkpoint(self.path)
            if self.stop:
                raise _Stopped


def _trainer(folder: Path, *callbacks: Callback, **settings: Any) -> Trainer:
    return Trainer(
        accelerator="cpu",
        devices=1,
        max_epochs=1,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        default_root_dir=folder,
        callbacks=list(callbacks),
        **settings,
    )


@pytest.mark.filterwarnings("ignore")
def test_a_resumed_run_sees_the_batches_of_an_uninterrupted_one(tmp_path: Path) -> None:
    def data() -> OneShotDataModule:
        return OneShotDataModule(_file(tmp_path, 10), rows=4, rl_steps=6, seed=1)

    whole = _Recorder()
    _trainer(tmp_path).fit(whole, datamodule=data())
    assert [(index, step) for index, step, _ in whole.seen] == [(i, i) for i in range(6)]

    first, second = _Recorder(), _Recorder()
    with pytest.raises(_Stopped):
        _trainer(tmp_path, _SaveThenStop(3, tmp_path / "3.ckpt")).fit(first, datamodule=data())
    trainer = _trainer(tmp_path)
    trainer.fit(second, datamodule=data(), ckpt_path=tmp_path / "3.ckpt", weights_only=False)
    assert first.seen + second.seen == whole.seen
    assert len(second.seen) == 3
    assert trainer.global_step == 12


@pytest.mark.filterwarnings("ignore")
def test_the_trainer_does_not_split_the_rows_again(tmp_path: Path) -> None:
    data = OneShotDataModule(_file(tmp_path, 10), rows=4, rl_steps=3)
    module = _Recorder()
    trainer = _trainer(tmp_path, strategy="ddp", use_distributed_sampler=True)
    trainer.fit(module, datamodule=data)
    assert isinstance(
        trainer.train_dataloader, StepLoader
    )  # a torch DataLoader would have been made anew, with a sampler
    assert [len(batch.prompts) for _, _, batch in module.seen] == [4, 4, 4]


def test_a_worked_example_stands_before_every_question(tmp_path: Path) -> None:
    data = OneShotDataModule(_file(tmp_path, 2), rows=2, rl_steps=1, shuffle=False, example="tiny/pi1")
    (batch,) = _batches(data)
    for problem, prompt in zip(batch.problems, batch.prompts, strict=True):
        text = byte_tokenizer().decode(prompt)
        assert text.startswith("<|user|>Solve for x: 3x+18=42<|assistant|>Step by step: ")
        assert text.endswith(f"<|user|>{problem.question}<|assistant|>")


def test_a_worked_example_that_is_the_training_problem_is_noticed() -> None:
    with pytest.warns(UserWarning, match="data.example: the worked example in the prompt is problem tiny/pi1 itself"):
        OneShotDataModule("tiny/pi1", example="tiny/pi1").setup("fit")
    with pytest.raises(UserError, match="no worked example"):
        OneShotDataModule(example="tiny/pi9")


def test_a_prompt_counts_with_its_example() -> None:
    data = OneShotDataModule("tiny/pi2", example="tiny/pi1", max_prompt_tokens=60)
    data.setup("fit")
    with pytest.raises(UserError, match=r"more than data.max_prompt_tokens 60"):
        data.encode(data.problems[0], byte_tokenizer())
