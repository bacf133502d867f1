"""The gradients of one RL step's update, by any number of processes: a program that each of them runs.

    python -m tests.two_processes.gradients FOLDER

The real module under Lightning's real strategies; only its rollouts are given, so that one process and two can be asked
for the update of the same experience.
"""

import sys
from pathlib import Path
from typing import Any

import torch
from lightning import Trainer
from lightning.pytorch.plugins.precision import MixedPrecision
from torch import Tensor
from torch.amp import GradScaler

from lit_rlvr.algorithms.algorithm import Algorithm
from lit_rlvr.algorithms.grpo import GRPO
from lit_rlvr.algorithms.packing import micro_batches
from lit_rlvr.algorithms.ppo import PPO
from lit_rlvr.data.datamodule import OneShotDataModule
from lit_rlvr.experience import Experience, PromptBatch
from lit_rlvr.module import RLVRModule
from lit_rlvr.rewards.rewards import AnswerReward
from lit_rlvr.rewards.verdict import Kind, Verdict
from lit_rlvr.rollout.engine import Sampling
from lit_rlvr.rollout.transformers_engine import TransformersEngine
from lit_rlvr.training.strategies import register
from lit_rlvr.training.tripwire import TripwireConfig
from lit_rlvr.training.update import UpdateConfig
from tests.builders import rollouts_of

TINY_BASE = str(Path(__file__).resolve().parents[2] / "checkpoints" / "tiny-base")
PROMPTS = [(3, 4, 5, 6, 7), (3, 4, 5, 6, 7), (90, 91, 92), (3, 4, 5, 6, 7)]
LENGTHS = [[19, 3, 40, 8], [25, 1, 30, 14], [11, 37, 2, 2], [5, 1, 9, 4]]
REWARDS = [[1.0, 0.0, 0.0, 1.0], [0.0, 0.0, 1.0, 0.0], [1.0, 1.0, 0.0, 1.0], [0.0, 1.0, 1.0, 0.0]]
SHARES = {1: [range(4)], 2: [range(3), range(3, 4)]}
"""World size -> the rows of each rank: the second of two has fewer responses, shorter ones, and one prompt to share."""

TOO_LARGE = 2.0**40
"""A scale of the loss at which float16 overflows."""

AGGREGATIONS = ("token-mean", "sequence-mean")
ALGORITHMS: dict[str, Algorithm] = {
    "grpo": GRPO(kl_coefficient=0.0, entropy_coefficient=0.01),
    "grpo-kl": GRPO(kl_coefficient=0.1, entropy_coefficient=0.01),
    "ppo": PPO(lam=0.9, kl_coefficient=0.1, entropy_coefficient=0.01),
}


class Spy(torch.optim.SGD):
    """Keeps the gradient of each step, all parameters end to end, and moves nothing."""

    def __init__(self, parameters: Any) -> None:
        super().__init__(parameters, lr=0.0)
        self.seen: list[Tensor] = []

    def step(self, closure: Any = None) -> None:
        gradients = [parameter.grad for parameter in self.param_groups[0]["params"]]
        whole = [g.full_tensor() if hasattr(g, "full_tensor") else g for g in gradients]
        self.seen.append(torch.cat([g.flatten() for g in whole]).clone())


class GivenRollouts(RLVRModule):
    """One update of the same weights on the same rollouts for each aggregation."""

    def on_train_start(self) -> None:
        super().on_train_start()
        if self.critic is not None:
            self.critic.head.weight.data.fill_(0.1)  # at its 0 nothing reaches the critic's body

    def training_step(self, batch: PromptBatch, batch_idx: int) -> None:
        draw = torch.Generator().manual_seed(0)
        responses = [torch.randint(8, 400, (n,), generator=draw).tolist() for row in LENGTHS for n in row]
        rows = SHARES[self.trainer.world_size][self.global_rank]
        first, last = rows.start, rows.stop
        rollouts = rollouts_of(PROMPTS[first:last], responses[4 * first : 4 * last], n=4)
        rewards = torch.tensor(REWARDS[first:last]).flatten()
        verdicts = tuple(Verdict(Kind.RIGHT if reward else Kind.WRONG, "1") for reward in rewards.tolist())
        self.seen = {}
        for aggregation in AGGREGATIONS:
            self.update_config = UpdateConfig(
                micro_batch_tokens=60, aggregation=aggregation, max_grad_norm=1e9
            )  # no clipping
            experience = self.score(Experience(rollouts, verdicts, rewards))
            experience = self.algorithm.advantages(experience, self.parallel.reduce)
            sums = self.update(batch, experience)
            norms = [sums.grad_norm] + [sums.critic_grad_norm] * (self.critic is not None)
            self.seen[aggregation] = {"norms": norms, "gradients": [o.seen[-1] for o in self.trainer.optimizers]}
        shared = self.policy.packs
        self.seen["scale"] = self.scaler.get_scale()
        self.seen["micro-batches"] = len(micro_batches(rollouts, list(range(len(rollouts))), 60, shared))


def gradients(strategy: str, algorithm: str, processes: int, half: bool = False) -> dict[str, Any]:
    """Aggregation -> the gradients of policy and critic, and the norms that the update says they have.

    Args:
        strategy, algorithm, processes: of the run.
        half: in float16, beginning with a scale of the loss that overflows.
    """
    plugins = [MixedPrecision("16-mixed", "cpu", scaler=GradScaler("cpu", init_scale=TOO_LARGE))] if half else []
    module = GivenRollouts(
        "random:qwen2", ALGORITHMS[algorithm], TransformersEngine(), AnswerReward(), tokenizer=TINY_BASE,
        sampling=Sampling(n=4, max_tokens=40), optimizer=Spy, critic_optimizer=Spy, reference=TINY_BASE,
        tripwire=TripwireConfig(tokens=0), seed=3,
    )  # fmt: skip
    trainer = Trainer(
        max_epochs=1, accelerator="cpu", devices=processes, strategy=strategy, logger=False, enable_checkpointing=False,
        enable_progress_bar=False, enable_model_summary=False, use_distributed_sampler=False,
        plugins=plugins,
    )  # fmt: skip
    trainer.fit(module, datamodule=OneShotDataModule(rows=2, rl_steps=1))
    return module.seen


def main(folder: Path) -> None:
    """Every strategy and algorithm one after the other, each rank's into a file of its own."""
    torch.set_num_threads(1)
    register()
    found = {(s, a): gradients(s, a, processes=2) for s in ("ddp", "fsdp2") for a in ALGORITHMS}
    found["ddp", "float16"] = gradients("ddp", "ppo", processes=2, half=True)
    torch.save(found, folder / f"rank{torch.distributed.get_rank()}.pt")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
