"""Three RL steps in bf16-mixed under each strategy, by each algorithm, and what was scored in them: a program for two processes.

python -m tests.two_processes.half_precision FOLDER
"""

import sys
import warnings
from pathlib import Path
from typing import Any

import torch
from lightning import Trainer
from torch import Tensor

from lit_rlvr.algorithms.algorithm import Algorithm, LossSums, TokenBatch
from lit_rlvr.algorithms.grpo import GRPO
from lit_rlvr.algorithms.ppo import PPO
from lit_rlvr.data.datamodule import OneShotDataModule
from lit_rlvr.experience import Experience, PromptBatch
from lit_rlvr.models.body import Body
from lit_rlvr.models.lora import LoRAConfig
from lit_rlvr.module import RLVRModule
from lit_rlvr.rewards.rewards import AnswerReward
from lit_rlvr.rewards.verdict import Kind, Verdict
from lit_rlvr.rollout.engine import Sampling
from lit_rlvr.rollout.transformers_engine import TransformersEngine
from lit_rlvr.training.strategies import register
from lit_rlvr.training.update import UpdateConfig
from tests.builders import rollouts_of
from tests.two_processes.gradients import LENGTHS, PROMPTS, REWARDS, SHARES, TINY_BASE

TEMPERATURE = 0.6
STRATEGIES = ("ddp", "fsdp2")
TOKENS = 50  # of a micro-batch: a prompt of 17 and two responses of 16 at most, so that four make two


class Watched(RLVRModule):
    """Keeps what was scored in each RL step, and of a given experience that is the same for one process and two.

    Attributes:
        steps: of each RL step what was scored, its metrics, and how far the log-probs before its first optimizer step are
            from the old and from the reference ones, the largest of each micro-batch.
        given: what is said of each share of the given experience; of two processes, each says it of its own.
    """

    def __init__(self, *arguments: Any, **settings: Any) -> None:
        super().__init__(*arguments, **settings)
        self.steps: list[dict[str, Any]] = []
        self.given: dict[int, dict[str, Tensor | None]] = {}
        self.first_update = False
        self.loss_of = self.algorithm.loss
        self.algorithm.loss = self._watched_loss  # type: ignore[method-assign]

    def _watched_loss(
        self, logprobs: Tensor, entropy: Tensor, batch: TokenBatch, values: Tensor | None = None
    ) -> LossSums:
        if self.first_update:
            for name, scored in (("off old", batch.old_logprobs), ("off reference", batch.reference_logprobs)):
                if scored is not None:
                    self.steps[-1].setdefault(name, []).append((logprobs.detach() - scored).abs().max().item())
        return self.loss_of(logprobs, entropy, batch, values)

    def on_train_start(self) -> None:
        super().on_train_start()
        if self.critic is not None:
            self.critic.head.weight.data.fill_(0.1)  # at its 0 the values say nothing of the body

    def on_before_optimizer_step(self, optimizer: Any) -> None:
        self.first_update = False

    def training_step(self, batch: PromptBatch, batch_idx: int) -> None:
        if batch_idx == 0:
            own = (0, 1) if self.trainer.world_size == 1 else (self.global_rank,)
            self.given = {share: _scores(self._score_given(share)) for share in own}
        if self.trainer.world_size == 1:
            return
        self.first_update = True
        self.steps.append({})
        super().training_step(batch, batch_idx)
        record = self.last_step
        assert record is not None
        rollouts = record.experience.rollouts
        self.steps[-1] |= {"metrics": dict(record.metrics), **_scores(record.experience)}
        self.steps[-1]["rows"] = [
            (list(rollouts.prompts[row]), response.tolist())
            for row, response in zip(rollouts.rows.tolist(), rollouts.split(rollouts.tokens), strict=True)
        ]

    def _score_given(self, share: int) -> Experience:
        draw = torch.Generator().manual_seed(0)
        responses = [torch.randint(8, 400, (n,), generator=draw).tolist() for row in LENGTHS for n in row]
        first, last = SHARES[2][share].start, SHARES[2][share].stop
        rollouts = rollouts_of(PROMPTS[first:last], responses[4 * first : 4 * last], n=4)
        rewards = torch.tensor(REWARDS[first:last]).flatten()
        return self.score(Experience(rollouts, (Verdict(Kind.WRONG, "1"),) * len(rollouts), rewards))


class RoundedNorms(Watched):
    """The norms of the layers have weights that bfloat16 can hold, which is what FSDP2's layers gather them in."""

    def on_train_start(self) -> None:
        bodies = [body for body in (self.policy, self.reference, self.critic) if isinstance(body, Body)]
        with torch.no_grad():
            for name, weight in (pair for body in bodies for pair in body.model.named_parameters()):
                if name.endswith("layernorm.weight"):
                    weight.copy_(weight.bfloat16())
        super().on_train_start()


def _scores(experience: Experience) -> dict[str, Tensor | None]:
    return {
        "old": experience.old_logprobs,
        "reference": experience.reference_logprobs,
        "values": experience.values,
    }


def _kinds() -> dict[str, dict[str, Any]]:
    """Name -> settings of the module. GRPO's mini-batches are other micro-batches than those that the old log-probs came of,
    PPO's epochs the same; with one optimizer step, as LoRA has it, none are scored.
    """
    grpo, ppo = GRPO(kl_coefficient=0.1, entropy_coefficient=0.01), PPO(kl_coefficient=0.1, entropy_coefficient=0.01)
    return {
        "grpo": {"algorithm": grpo, "update": UpdateConfig(updates_per_rollout=2, micro_batch_tokens=TOKENS)},
        "ppo": {"algorithm": ppo, "update": UpdateConfig(epochs=2, micro_batch_tokens=TOKENS)},
        "lora": {
            "algorithm": GRPO(kl_coefficient=0.1, entropy_coefficient=0.01),
            "update": UpdateConfig(micro_batch_tokens=TOKENS),
            "lora": LoRAConfig(rank=2),
        },
    }


KINDS = tuple(_kinds())


def run(strategy: str, kind: str, processes: int, module_class: type[Watched] = Watched) -> dict[str, Any]:
    """What a rank kept."""
    settings = _kinds()[kind]
    algorithm: Algorithm = settings.pop("algorithm")
    module = module_class(
        TINY_BASE, algorithm, TransformersEngine(), AnswerReward(), seed=3,
        sampling=Sampling(n=4, temperature=TEMPERATURE, max_tokens=16),
        optimizer=lambda parameters: torch.optim.AdamW(parameters, lr=1e-4), **settings,
    )  # fmt: skip
    trainer = Trainer(
        max_epochs=1, accelerator="cpu", devices=processes, strategy=strategy, logger=False, enable_checkpointing=False,
        enable_progress_bar=False, enable_model_summary=False, use_distributed_sampler=False, precision="bf16-mixed",
    )  # fmt: skip
    trainer.fit(module, datamodule=OneShotDataModule(rows=2, rl_steps=3 if processes > 1 else 1))
    return {"steps": module.steps, "given": module.given}


def main(folder: Path) -> None:
    """Every strategy and kind one after the other, each rank's into a file of its own."""
    torch.set_num_threads(1)
    warnings.filterwarnings("error", message=".*returned a view tensor")
    register()
    found = {(strategy, kind): run(strategy, kind, processes=2) for strategy in STRATEGIES for kind in KINDS}
    torch.save(found, folder / f"rank{torch.distributed.get_rank()}.pt")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
