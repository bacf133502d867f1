"""The module of a run that is examined instead of trained: the same models, engine and optimizers, and a step of the doctor's."""

from dataclasses import replace

import torch

from lit_rlvr.doctor.learning import check_export, check_update, made_batch
from lit_rlvr.doctor.outcome import Findings, UnfitError
from lit_rlvr.experience import PromptBatch
from lit_rlvr.module import RLVRModule
from lit_rlvr.training.tripwire import TripwireConfig


class Patient(RLVRModule):
    """Takes the configuration of a run. Checks go on where a run would stop, as far as they can.

    Attributes:
        findings: where outcomes go; set before the trainer starts.
        difference: what the last probe of the engine found.
    """

    findings: Findings
    difference: float | None = None

    def configure_model(self) -> None:
        """Load the models; without them there is no more to be done."""
        if self.findings.has("model"):
            return
        self.findings.check("model", self._models)
        if self.findings.outcomes[-1].state != "ok":
            raise UnfitError("the models could not be loaded")

    def _models(self) -> str:
        super().configure_model()
        model = self.policy.model
        rows, words = model.get_output_embeddings().weight.shape[0], len(self.tokenizer)
        if rows < words:
            raise UnfitError(
                f"the tokenizer has {words:,} tokens and the policy knows {rows:,}: give the policy's own with model.tokenizer."
            )
        bad = [name for name, weight in model.named_parameters() if not bool(torch.isfinite(weight).all())]
        if bad:
            raise UnfitError(
                f"{self.policy_source} has weights that are no numbers, {bad[0]} for one: download or export it again."
            )
        count = sum(weight.numel() for weight in model.parameters())
        others = [name for name, there in (("reference", self.reference), ("critic", self.critic)) if there is not None]
        beside = f", with {' and '.join(others)}" if others else ""
        return f"{self.policy_source} loads ({count / 1e6:,.1f}M parameters, all finite){beside}."

    def on_train_start(self) -> None:
        """Set the engine up and hold it against the policy."""
        if self.tripwire_config.tokens == 0:  # a run need not probe, an examination must
            self.tripwire_config = replace(self.tripwire_config, tokens=TripwireConfig().tokens)
        self.findings.check("engine", self._engine)

    def _engine(self) -> str:
        super().on_train_start()
        return f"{type(self.engine).__name__} {self._agrees()}."

    def probe(self, batch: PromptBatch, when: str) -> float | None:
        """Remember what is found."""
        self.difference = super().probe(batch, when)
        return self.difference

    def _agrees(self) -> str:
        return (
            f"and trainer agree: log-probs of the same tokens differ by {self.difference:.2g} in the mean, and "
            f"{self.tripwire.limit:g} is allowed"
        )

    def training_step(self, batch: PromptBatch, batch_idx: int) -> None:
        """One update on responses made by hand, taken over by the engine, and exported."""
        problem, prompt = batch.problems[0], batch.prompts[0]
        rollouts = made_batch(self, problem, prompt)
        self.findings.check("update", lambda: check_update(self, problem, rollouts))
        self.findings.check("sync", lambda: self._sync(batch), "engine", "update")
        self.findings.check("export", lambda: check_export(self, rollouts))

    def _sync(self, batch: PromptBatch) -> str:
        self.engine.update_weights(self.policy.model)
        self.probe(batch, "After one update")
        return f"after the update {type(self.engine).__name__} {self._agrees()}."
