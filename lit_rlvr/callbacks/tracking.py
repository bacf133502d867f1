"""Is the problem solved, is the policy still exploring, does any response earn anything, can the verifier keep up?

One look per RL step.
"""

from collections import deque
from typing import Any

from lightning import Callback, LightningModule, Trainer
from lightning.pytorch.utilities import rank_zero_warn

from lit_rlvr.errors import UserError
from lit_rlvr.experience import StepRecord
from lit_rlvr.names import check_names
from lit_rlvr.rewards.verdict import Kind

ENTROPY_FLOOR = 0.01
"""Nats per token. A response of 100 tokens then carries about 1 nat of choice in all: a group's samples are spread over
some e = 3 different responses, most of a group is one and the same text, and its advantages vanish."""

SHOWN = 600
"""Characters of a response in a warning: its end, where the answer should be."""

SHOWN_ANSWER = 200
"""Characters of an answer in a warning: its beginning."""

TROUBLE = {
    Kind.TOO_COSTLY: (
        "were given up by the verifier as too costly, and count as wrong",
        "They are longer or more nested than an answer can be, or took longer than model.verifier.timeout. If this one looks "
        "like an answer, raise model.verifier.timeout, or lower model.verifier.workers where the processors are busy with "
        "other work; if not, read more responses: the policy may be falling apart.",
    ),
    Kind.CRASHED: (
        "crashed the verifier's worker, and count as wrong",
        "Its processes may have been killed for want of memory: lower model.verifier.workers, or leave the machine more of "
        "it. If the same answers crash it again, look at the responses, and report them.",
    ),
}
"""Verdicts that say more of the verifier than of the response: what happened, and what to do."""


class SaturationTracker(Callback):
    """Find the RL step at which the training problem is solved; warn of what makes training idle or its reward doubtful.

    It warns, once each, of collapsed entropy, of reward that never comes, and of a verifier that gives up or crashes.

    Logs `train/accuracy/window` (mean over the last steps, fewer at the beginning) and `train/saturated` (0, and 1 from the
    saturation step on) at every RL step.

    Args:
        window: RL steps that are averaged, and that a warning waits for.
        threshold: accuracy from which on the problem counts as solved.
        entropy_floor: warn when the entropy per token, in nats, stays below it for the window; 0 never warns.
        trouble_share: warn when more than this share of an RL step's verdicts is too_costly or crashed; 1 never warns.

    Attributes:
        saturation_step: the first RL step at which the mean accuracy over a full window reached the threshold, or None.
    """

    def __init__(
        self,
        window: int = 10,
        threshold: float = 0.99,
        entropy_floor: float = ENTROPY_FLOOR,
        trouble_share: float = 0.05,
    ) -> None:
        if window < 1:
            raise UserError(f"saturation.window is {window}; at least one RL step is averaged.")
        if not 0 < threshold <= 1:
            raise UserError(f"saturation.threshold is {threshold}; it is a share of right responses, in (0, 1].")
        if entropy_floor < 0:
            raise UserError(f"saturation.entropy_floor is {entropy_floor}; use 0 for no warning.")
        if not 0 <= trouble_share <= 1:
            raise UserError(f"saturation.trouble_share is {trouble_share}; it is a share of verdicts, from 0 to 1.")
        self.window = window
        self.threshold = threshold
        self.entropy_floor = entropy_floor
        self.trouble_share = trouble_share
        self.saturation_step: int | None = None
        self._accuracies: deque[float] = deque(maxlen=window)
        self._entropies: deque[float] = deque(maxlen=window)
        self._unrewarded = 0  # RL steps from the first on without any reward
        self._rewarded = False
        self._warned: set[str] = set()

    @property
    def window_accuracy(self) -> float:
        """Mean training accuracy over the last ``window`` RL steps, or over those there were; NaN before the first."""
        return sum(self._accuracies) / len(self._accuracies) if self._accuracies else float("nan")

    @property
    def window_entropy(self) -> float:
        """Mean entropy per token in nats over the same steps."""
        return sum(self._entropies) / len(self._entropies) if self._entropies else float("nan")

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Take in the step; its metrics are those of all ranks, so every rank comes to the same state."""
        record: StepRecord | None = getattr(pl_module, "last_step", None)
        if record is None:
            return
        self._accuracies.append(float(record.metrics["train/accuracy"]))
        if "train/entropy" in record.metrics:  # a step whose update was skipped has none
            self._entropies.append(float(record.metrics["train/entropy"]))
        newly = self._find_saturation(record.rl_step)
        if trainer.is_global_zero:
            metrics = check_names(
                {
                    "train/accuracy/window": self.window_accuracy,
                    "train/saturated": float(self.saturation_step is not None),
                }
            )
            for logger in trainer.loggers:
                logger.log_metrics(metrics, step=record.rl_step)
            if newly:
                print(
                    f"RL step {record.rl_step}: the training problem is solved: accuracy "
                    f"{100 * self.window_accuracy:.1f}% over the last {self.window} RL steps.",
                    flush=True,
                )
        self._check_entropy()
        self._check_reward(record)
        self._check_verifier(record, trainer.world_size)

    def _find_saturation(self, rl_step: int) -> bool:
        full = len(self._accuracies) == self.window
        # A mean of floats may come out a rounding below the threshold it equals.
        if self.saturation_step is not None or not full or self.window_accuracy < self.threshold - 1e-9:
            return False
        self.saturation_step = rl_step
        return True

    def _check_entropy(self) -> None:
        if len(self._entropies) == self.window and max(self._entropies) < self.entropy_floor:
            self._warn_once(
                "entropy",
                f"The entropy has been below {self.entropy_floor:g} nats per token for {self.window} RL steps (mean "
                f"{self.window_entropy:.2g}): the responses of a group are nearly all the same, so there is little left to "
                "learn from. Raise the algorithm's entropy_coefficient or kl_coefficient, raise "
                "model.sampling.temperature, or lower the learning rate.",
            )

    def _check_reward(self, record: StepRecord) -> None:
        if self._rewarded or "train/reward" not in record.metrics:
            return
        if record.metrics["train/reward"] != 0:
            self._rewarded = True
            return
        self._unrewarded += 1
        if self._unrewarded == self.window:
            experience = record.experience
            problem = record.batch.problems[int(experience.rollouts.rows[0])]
            verdict, response = experience.verdicts[0], experience.rollouts.texts[0]
            end = response if len(response) <= SHOWN else f"[...] {response[-SHOWN:]}"
            self._warn_once(
                "reward",
                f"No response earned a reward in the first {self.window} RL steps, so nothing has been learnt. Either the "
                "problem is too hard for this model, or the prompt template does not suit it (data.template), or responses "
                "are cut before the answer (model.sampling.max_tokens), or the verifier misreads them. One response "
                f"(problem {problem.id}, gold answer {problem.answer!r}, verdict {verdict.kind.value}, "
                f"read as {verdict.answer!r}, {'ended' if bool(experience.rollouts.stopped[0]) else 'cut at the limit'}):"
                f"\n{end}",
            )

    def _check_verifier(self, record: StepRecord, world_size: int) -> None:
        shares = {kind: record.metrics[f"verdict/{kind.value}"] for kind in TROUBLE}
        if sum(shares.values()) <= self.trouble_share:
            return
        # Both kinds may be below the limit that they exceed together: then the greater one is named.
        most = max(shares.values())
        for kind in (kind for kind, share in shares.items() if share > self.trouble_share or share == most):
            asked = len(record.experience.rollouts) * world_size  # rows are split evenly
            happened, advice = TROUBLE[kind]
            self._warn_once(
                f"verifier {kind.value}",
                f"RL step {record.rl_step}: {round(asked * shares[kind])} of {asked} responses {happened}. {advice} "
                f"{_one_of(record, kind)}",
            )

    def _warn_once(self, about: str, message: str) -> None:
        if about not in self._warned:
            self._warned.add(about)
            rank_zero_warn(message)

    # In the checkpoint, so that a resumed run finds the saturation step of an uninterrupted one and warns no second time.

    def state_dict(self) -> dict[str, Any]:
        """What has been seen."""
        return {
            "saturation_step": self.saturation_step,
            "accuracies": list(self._accuracies),
            "entropies": list(self._entropies),
            "unrewarded": self._unrewarded,
            "rewarded": self._rewarded,
            "warned": sorted(self._warned),
        }

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on from it."""
        self.saturation_step = state_dict["saturation_step"]
        self._accuracies = deque(state_dict["accuracies"], maxlen=self.window)
        self._entropies = deque(state_dict["entropies"], maxlen=self.window)
        self._unrewarded = state_dict["unrewarded"]
        self._rewarded = state_dict["rewarded"]
        self._warned = set(state_dict["warned"])


def _one_of(record: StepRecord, kind: Kind) -> str:
    """A sentence that shows the first answer with such a verdict."""
    for verdict, row in zip(record.experience.verdicts, record.experience.rollouts.rows.tolist(), strict=True):
        if verdict.kind is kind:
            problem, answer = record.batch.problems[row], verdict.answer or ""
            shown = answer if len(answer) <= SHOWN_ANSWER else f"{answer[:SHOWN_ANSWER]}[...]"
            return f"One such answer, of {len(answer)} characters (problem {problem.id}, gold answer {problem.answer!r}): {shown!r}."
    return "None of them is on the first process."
