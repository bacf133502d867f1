"""Samples of what the policy writes, as text on TensorBoard, with histograms of lengths and advantages.

From: `StepRecord` of each RL step. The text of evaluations is made here too, for the evaluation callback to log.
"""

from collections.abc import Sequence
from typing import Any

import torch
from lightning import Callback, LightningModule, Trainer
from lightning.pytorch.loggers import TensorBoardLogger
from torch import Tensor
from torch.utils.tensorboard import SummaryWriter

from lit_rlvr.errors import UserError
from lit_rlvr.escape import escape
from lit_rlvr.experience import Experience, Problem, StepRecord
from lit_rlvr.rewards.verdict import Verdict

TEXT_LIMIT = 4000
"""Characters shown of a question or a response: about a screen and a half. What is over is cut out of the middle, for
the beginning shows the manner and the end the answer."""

EVALUATION_SAMPLES = 8
"""Responses in an evaluation's text: a page that is still read."""


class SampleLogger(Callback):
    """Log some training responses, with question, gold answer, verdict, reward and advantage.

    Text goes to `samples/train`, histograms to `rollout/lengths` and `train/advantages` (a value per response, of the
    first process' responses). Without a TensorBoard logger it does nothing.

    Args:
        every_n_rl_steps: the interval in RL steps; 0 logs the first and the last step alone.
        count: how many responses are shown each time.
    """

    def __init__(self, every_n_rl_steps: int = 10, count: int = 4) -> None:
        if every_n_rl_steps < 0:
            raise UserError(f"samples.every_n_rl_steps is {every_n_rl_steps}; use 0 for the first and last step alone.")
        if count < 1:
            raise UserError(f"samples.count is {count}; at least one response is shown.")
        self.every_n_rl_steps = every_n_rl_steps
        self.count = count

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """The base model's responses, those of every n-th step, and the last's, before the checkpoint of that step."""
        record: StepRecord | None = getattr(pl_module, "last_step", None)
        if record is None:
            return
        due = self.every_n_rl_steps and record.rl_step % self.every_n_rl_steps == 0
        if record.rl_step == 0 or due or trainer.is_last_batch:
            self._log(trainer, record)

    def _log(self, trainer: Trainer, record: StepRecord) -> None:
        writer = tensorboard_writer(trainer)
        if writer is None:
            return
        experience, step = record.experience, record.rl_step
        writer.add_text("samples/train", training_text(record, self.count), step)
        advantages = response_means(experience, experience.advantages)
        for tag, values in (("rollout/lengths", experience.rollouts.lengths), ("train/advantages", advantages)):
            values = values[torch.isfinite(values)]  # the writer raises on an empty histogram
            if len(values):
                writer.add_histogram(tag, values, step)


def tensorboard_writer(trainer: Trainer) -> SummaryWriter | None:
    """The writer of the run's TensorBoard logger, on the process that writes; None elsewhere or without such a logger."""
    loggers = [logger for logger in trainer.loggers if isinstance(logger, TensorBoardLogger)]
    return loggers[0].experiment if loggers and trainer.is_global_zero else None


def response_means(experience: Experience, flat: Tensor) -> Tensor:
    """[N]: the mean of a per-token tensor [T] over each response."""
    return torch.stack([part.double().mean() for part in experience.rollouts.split(flat.cpu())])


def training_text(record: StepRecord, count: int) -> str:
    """Markdown for TensorBoard: ``count`` responses of one RL step."""
    experience = record.experience
    rollouts, rewards = experience.rollouts, experience.rewards.tolist()
    advantages, lengths = response_means(experience, experience.advantages).tolist(), rollouts.lengths.tolist()
    right = sum(verdict.right for verdict in experience.verdicts)
    parts = [f"RL step {record.rl_step}: {right} of {len(rollouts)} responses right on this process"]
    for i in pick(experience.verdicts, rollouts.texts, count):
        end = "" if bool(rollouts.stopped[i]) else ", cut at the limit"
        facts = f"reward {rewards[i]:g}, advantage {advantages[i]:+.3f}, {lengths[i]} tokens{end}"
        problem = record.batch.problems[int(rollouts.rows[i])]
        parts.append(_sample(problem, rollouts.texts[i], experience.verdicts[i], facts))
    return "\n\n".join(parts)


def evaluation_text(samples: Sequence[tuple[Problem, str, Verdict]], count: int = EVALUATION_SAMPLES) -> str:
    """Markdown for TensorBoard: responses of an evaluation, some right and some wrong.

    Args:
        samples: (problem, response, verdict) to choose from.
        count: how many are shown at most.
    """
    chosen = pick([verdict for _, _, verdict in samples], [response for _, response, _ in samples], count)
    return "\n\n".join(_sample(*samples[i]) for i in chosen) or "no responses"


def pick(verdicts: Sequence[Verdict], texts: Sequence[str], count: int) -> list[int]:
    """Which responses to show: half of them right and half wrong where there are enough, no text twice, spread evenly.

    Depends on its arguments alone, so that a repeated run shows the same.

    Returns:
        At most ``count`` indices, ascending.
    """
    first = {text: i for i, text in reversed(list(enumerate(texts)))}
    distinct = sorted(first.values())
    right = [i for i in distinct if verdicts[i].right]
    wrong = [i for i in distinct if not verdicts[i].right]
    wanted_wrong = min(len(wrong), max(count - count // 2, count - len(right)))
    wanted_right = min(len(right), count - wanted_wrong)
    return sorted(_spread(right, wanted_right) + _spread(wrong, wanted_wrong))


def _spread(items: list[int], count: int) -> list[int]:
    return [items[i * len(items) // count] for i in range(count)]


def _sample(problem: Problem, response: str, verdict: Verdict, facts: str = "") -> str:
    """One response. Everything that a person or a model wrote stands escaped inside <pre>."""
    read_as = "nothing" if verdict.answer is None else verdict.answer
    body = (
        f"problem   {_cut(problem.id)}\n{_cut(problem.question)}\n\n"
        f"gold      {_cut(problem.answer)}\nread as   {_cut(read_as)}\n\nresponse\n{_cut(response)}"
    )
    head = ", ".join(part for part in (f"**{verdict.kind.value.replace('_', ' ')}**", facts) if part)
    return f"{head}\n\n<pre>{escape(body)}</pre>"


def _cut(text: str, limit: int = TEXT_LIMIT) -> str:
    """At most ``limit`` characters of the text, half from its beginning and half from its end, and how many are gone."""
    if len(text) <= limit:
        return text
    head, tail = limit - limit // 2, limit // 2
    return f"{text[:head]}\n[... {len(text) - limit} characters left out ...]\n{text[len(text) - tail :]}"
