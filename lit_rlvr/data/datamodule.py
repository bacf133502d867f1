"""The DataModule of the line: problems in, one PromptBatch per RL step out.

What step s trains on is a pure function of (problems, seed, s), so a resumed run goes on exactly where it stopped.
"""

from collections.abc import Callable, Iterator
from typing import Any

import torch
from lightning import LightningDataModule

from lit_rlvr.data.examples import read_examples, warn_if_asked
from lit_rlvr.data.labels import corrupt_labels, replace_labels
from lit_rlvr.data.prompts import encode, get_template
from lit_rlvr.data.readers import is_hub_id, read_problems
from lit_rlvr.errors import UserError
from lit_rlvr.experience import Problem, PromptBatch
from lit_rlvr.seeding import step_seed


def rows_of_step(problems: int, rows: int, step: int, seed: int, shuffle: bool = True) -> list[int]:
    """Which problem stands in each row of an RL step: ``rows`` indices into the problems.

    The steps walk through an endless sequence of epochs, each a seeded permutation of the problems, ``rows`` at a time.
    A single problem thus fills every row, and a few problems share the rows evenly.

    Args:
        problems: how many there are.
        rows: per RL step, over all ranks.
        step: the RL step, counted from 0.
        seed: of the permutations.
        shuffle: False walks through the problems in their order.
    """
    first = step * rows
    epochs: dict[int, list[int]] = {}
    for epoch in range(first // problems, (first + rows - 1) // problems + 1):
        generator = torch.Generator().manual_seed(step_seed(seed, epoch, stream="order"))
        epochs[epoch] = torch.randperm(problems, generator=generator).tolist() if shuffle else list(range(problems))
    return [epochs[place // problems][place % problems] for place in range(first, first + rows)]


def share(rows: int, world_size: int) -> int:
    """Rows of each process.

    Raises:
        UserError: they cannot share them evenly.
    """
    if rows % world_size:
        raise UserError(
            f"data.rows is {rows}, which {world_size} processes cannot share evenly; use a multiple of {world_size}, or "
            "other devices."
        )
    return rows // world_size


class StepLoader:
    """The batches of RL steps 0, 1, …, ``rl_steps`` - 1, of which an iterator skips those already done.

    Lightning counts a resumed run's batches on from where it stopped, but takes them from a fresh iterator; starting that
    one at the number of RL steps done keeps batch number and content together. The length is that of the whole run all
    the same, and known, for Lightning would draw the batches of an unsized loader one ahead.

    It is no torch DataLoader: there is nothing to do in workers, and the Trainer leaves other iterables alone, whereas it
    would put a DistributedSampler into a DataLoader and so split the rows over the ranks a second time.

    Args:
        batch_of: RL step -> its batch.
        rl_steps: length of the run.
        steps_done: asked when an iteration begins.
    """

    def __init__(self, batch_of: Callable[[int], PromptBatch], rl_steps: int, steps_done: Callable[[], int]) -> None:
        self._batch_of, self._rl_steps, self._steps_done = batch_of, rl_steps, steps_done

    def __len__(self) -> int:
        return self._rl_steps

    def __iter__(self) -> Iterator[PromptBatch]:
        for step in range(self._steps_done(), self._rl_steps):
            yield self._batch_of(step)


class OneShotDataModule(LightningDataModule):
    """One problem, a few, or a full set, served as rows of prompts.

    Args:
        source: a built-in name (tiny, tiny-pool, …), a .parquet / .jsonl / .json file, or a hub id.
        select: ids of the problems to train on (positions where the source has no numbers as ids); all of them if left out.
        rows: prompts per RL step over all ranks; each gets ``sampling.n`` responses.
        rl_steps: length of the run.
        template: prompt template: chat, chat-plain, qwen25-math-cot or plain.
        max_prompt_tokens: a longer prompt is an error.
        example: worked examples to put before every question, for policies that answer as they should only after one:
            ``tiny/pi1``, or a .json or .jsonl file with questions and their responses.
        label: replaces the gold answer of every training problem, for runs with a wrong label. A number is taken as
            it would be printed, so that YAML needs no quotes.
        wrong_label_share: share of the problems that get another problem's answer as their label.
        shuffle: take the problems in a new order each time round.
        seed: of that order and of the wrong labels.

    Raises:
        UserError: a setting out of range; on ``setup`` also what :func:`lit_rlvr.data.readers.read_problems` raises.
    """

    def __init__(
        self,
        source: str = "tiny",
        select: list[int] | list[str] | None = None,
        rows: int = 8,
        rl_steps: int = 100,
        template: str = "chat-plain",
        max_prompt_tokens: int = 1024,
        example: str | None = None,
        label: str | int | float | None = None,
        wrong_label_share: float = 0.0,
        shuffle: bool = True,
        seed: int = 0,
    ) -> None:
        super().__init__()
        for key, value in (("rows", rows), ("rl_steps", rl_steps), ("max_prompt_tokens", max_prompt_tokens)):
            if value < 1:
                raise UserError(f"data.{key} is {value}; it must be at least 1.")
        if label is not None and wrong_label_share:
            raise UserError("data.label and data.wrong_label_share exclude each other; set one of them.")
        get_template(template)
        self.source, self.select, self.template = source, select, template
        self.examples = () if example is None else read_examples(example)
        self.rows, self.rl_steps, self.max_prompt_tokens = rows, rl_steps, max_prompt_tokens
        self.label = None if label is None else str(label)
        self.wrong_label_share = wrong_label_share
        self.shuffle, self.seed = shuffle, seed
        self._problems: tuple[Problem, ...] | None = None

    @property
    def problems(self) -> tuple[Problem, ...]:
        """The training problems with the labels that are rewarded. There are some after ``setup``."""
        if self._problems is None:
            raise RuntimeError("OneShotDataModule.problems is read before setup().")
        return self._problems

    def prepare_data(self) -> None:
        """Download once per machine, before every process reads."""
        if is_hub_id(self.source):
            read_problems(self.source, self.select)

    def setup(self, stage: str | None = None) -> None:
        """Read the problems and change their labels as asked."""
        problems = read_problems(self.source, self.select)
        warn_if_asked(self.examples, problems, "data.example")
        if self.label is not None:
            problems = replace_labels(problems, self.label)
        self._problems = corrupt_labels(problems, self.wrong_label_share, self.seed)

    def train_dataloader(self) -> StepLoader:
        """One batch per RL step: this rank's share of its rows."""
        assert self.trainer is not None
        module: Any = self.trainer.lightning_module
        rank, world_size = self.trainer.global_rank, self.trainer.world_size
        # Here and not in setup(), for the DataModule is set up before the module.
        prompts = [self.encode(problem, module.tokenizer) for problem in self.problems]
        share = self.share(world_size)

        def batch_of(step: int) -> PromptBatch:
            rows = rows_of_step(len(prompts), self.rows, step, self.seed, self.shuffle)
            mine = rows[rank * share : (rank + 1) * share]
            return PromptBatch(tuple(self.problems[i] for i in mine), tuple(prompts[i] for i in mine))

        return StepLoader(batch_of, self.rl_steps, lambda: int(module.rl_step))

    def share(self, world_size: int) -> int:
        """Rows of each process.

        Raises:
            UserError: they cannot share them evenly.
        """
        return share(self.rows, world_size)

    def encode(self, problem: Problem, tokenizer: Any) -> tuple[int, ...]:
        """The prompt of a problem as token ids.

        Raises:
            UserError: it is longer than ``max_prompt_tokens``.
        """
        ids = encode(self.template, problem.question, tokenizer, self.examples)
        if len(ids) > self.max_prompt_tokens:
            raise UserError(
                f"The prompt of problem {problem.id} has {len(ids)} tokens, more than data.max_prompt_tokens "
                f"{self.max_prompt_tokens}; raise that key or leave the problem out with data.select."
            )
        return ids

    def transfer_batch_to_device(self, batch: Any, device: torch.device, dataloader_idx: int) -> Any:
        """Nothing to move: a batch holds ids, and engines place them. (Lightning cannot rebuild a frozen dataclass.)"""
        return batch
