"""Warnings with advice: what the curves show for some RL steps in a row and somebody who watched them would act upon.

From: `StepRecord.metrics` of each RL step. To: one sentence for each rule and run. Collapsed entropy, reward that never comes and a
verifier in trouble are `callbacks/tracking.py`'s, which has windows and responses to show.
"""

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from lightning import Callback, LightningModule, Trainer
from lightning.pytorch.utilities import rank_zero_warn

from lit_rlvr.errors import UserError
from lit_rlvr.experience import StepRecord

TRUNCATED_SHARE = 0.5
"""Cut responses earn nothing whatever they would have said: above a half, most of what is learnt is to be short."""

KL_LIMIT = 1.0
"""Nats per token: the tokens that the policy now draws are e = 2.7 times less likely under the reference in the geometric
mean. The tiny default never gets above 0.06 in its 150 RL steps; at ten times the learning rate it passes 1 around step 120
and ends at 2.3."""

ENGINE_SHARE = 0.5
"""Of the tripwire's limit. The limit is five times (16 bits) to a thousand times (float32) what healthy runs have; half of it
is already out of the ordinary, and the run still goes on."""


@dataclass(frozen=True)
class Rule:
    """Warn where a metric is above a limit in each of some RL steps in a row.

    Attributes:
        name: for the checkpoint.
        metric: looked at; a step that has none changes nothing.
        limit: as of which the metric is too high; infinity never warns.
        advice: what it means and what to do. ``{steps}``, ``{value}``, ``{limit}`` and ``{reward}`` are filled in.
    """

    name: str
    metric: str
    limit: float
    advice: str


class Advice(Callback):
    """Warn, once a run each, of groups without variance, truncated responses, a KL that runs away, an engine that is off.

    Args:
        steps: RL steps in a row that a warning waits for.
        truncated_share: warn when more of the responses are cut at the token limit; 1 never warns.
        kl: warn when the KL to the reference, per token, is above; ``.inf`` never warns.
        engine_share: warn when engine and trainer differ by more than this share of what the tripwire allows; 1 never warns.
    """

    def __init__(
        self,
        steps: int = 10,
        truncated_share: float = TRUNCATED_SHARE,
        kl: float = KL_LIMIT,
        engine_share: float = ENGINE_SHARE,
    ) -> None:
        if steps < 1:
            raise UserError(f"advice.steps is {steps}; at least one RL step is looked at.")
        for key, share in (("truncated_share", truncated_share), ("engine_share", engine_share)):
            if not 0 <= share <= 1:
                raise UserError(f"advice.{key} is {share}; it is a share, from 0 to 1.")
        if not kl > 0:
            raise UserError(f"advice.kl is {kl}; use .inf for no warning.")
        self.steps, self.truncated_share, self.kl, self.engine_share = steps, truncated_share, kl, engine_share
        self._in_a_row: Counter[str] = Counter()
        self._warned: set[str] = set()

    def rules(self, engine_limit: float) -> list[Rule]:
        """The table.

        Args:
            engine_limit: what the tripwire allows.
        """
        return [
            Rule(
                "zero variance", "train/zero_variance", 1 - 1e-9,  # a mean of ones may come out a rounding below
                "In every group all responses have earned the same for {steps} RL steps (mean reward {reward:.3g}), so the "
                "policy loss is 0, and the entropy bonus and the KL penalty alone move the policy. If all are right, the "
                "problem is solved: train on only to see what comes after saturation (model.update.saturated_share spares "
                "time), or take a harder one. If all are wrong, the problem is too hard, or the policy has fallen apart: look "
                "at samples/train, raise model.sampling.n or temperature, or go back to an earlier checkpoint.",
            ),
            Rule(
                "truncated", "rollout/truncated", self.truncated_share if self.truncated_share < 1 else math.inf,
                "More than {limit:.0%} of the responses have been cut at the token limit for {steps} RL steps ({value:.0%} in "
                "this one), and most of them cannot have come to an answer. Raise model.sampling.max_tokens; if the responses "
                "ramble or repeat themselves (samples/train), lower the entropy_coefficient or the temperature.",
            ),
            Rule(
                "kl", "train/kl", self.kl,
                "The KL to the reference has been above {limit:g} nats per token for {steps} RL steps ({value:.3g} in this "
                "one): the policy runs away from where it began, and evaluations seldom survive that. Lower the learning rate "
                "or raise the algorithm's kl_coefficient, and go on from a checkpoint before it rose.",
            ),
            Rule(
                "engine", "rollout/logprob_diff/mean",
                self.engine_share * engine_limit if self.engine_share < 1 else math.inf,
                "The log-probs of engine and trainer have differed by more than {limit:.2g} in the mean for {steps} RL steps "
                "({value:.2g} in this one), which is much for their precision, though the tripwire allows it: part of what is "
                "learnt comes from another policy. Set model.engine.init_args.dtype to float32, or correct for it with "
                "configs/engine/correction.yaml.",
            ),
        ]  # fmt: skip

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Look at the step; its metrics are those of all ranks, so every rank comes to the same state."""
        record: StepRecord | None = getattr(pl_module, "last_step", None)
        if record is None:
            return
        for message in self.look(record.metrics, engine_limit(pl_module)):
            rank_zero_warn(f"RL step {record.rl_step}: {message}")

    def look(self, metrics: Mapping[str, float], engine_limit: float) -> list[str]:
        """The warnings that are due after this step."""
        due = []
        for rule in self.rules(engine_limit):
            value = metrics.get(rule.metric)
            if value is None:
                continue
            self._in_a_row[rule.name] = self._in_a_row[rule.name] + 1 if value > rule.limit else 0
            if self._in_a_row[rule.name] >= self.steps and rule.name not in self._warned:
                self._warned.add(rule.name)
                reward = metrics.get("train/reward", math.nan)
                due.append(rule.advice.format(steps=self.steps, value=value, limit=rule.limit, reward=reward))
        return due

    # In the checkpoint, so that a resumed run warns when an uninterrupted one would, and no second time.

    def state_dict(self) -> dict[str, Any]:
        """What has been seen."""
        return {"in_a_row": dict(self._in_a_row), "warned": sorted(self._warned)}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on from it."""
        self._in_a_row, self._warned = Counter(state_dict["in_a_row"]), set(state_dict["warned"])


def engine_limit(module: LightningModule) -> float:
    """What the run's tripwire allows; infinity where it stops for nothing, or where the difference is meant to be."""
    tripwire, sampling = getattr(module, "tripwire", None), getattr(module, "sampling", None)
    if tripwire is None or sampling is None or sampling.top_p != 1 or sampling.top_k != 0:
        return math.inf
    limit: float = tripwire.limit
    return limit
