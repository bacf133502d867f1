"""Load and shard models on two processes and say what each of them holds: a program that each runs.

python -m tests.two_processes.loaded_once FOLDER
"""

import sys
from pathlib import Path
from typing import Any

import torch
from lightning import Trainer
from torch.distributed.fsdp import FSDPModule

import lit_rlvr.module
from lit_rlvr.algorithms.ppo import PPO
from lit_rlvr.data.datamodule import OneShotDataModule
from lit_rlvr.errors import UserError
from lit_rlvr.experience import PromptBatch
from lit_rlvr.models.lora import LoRAConfig
from lit_rlvr.module import RLVRModule
from lit_rlvr.rewards.rewards import AnswerReward
from lit_rlvr.rollout.engine import Sampling
from lit_rlvr.rollout.transformers_engine import TransformersEngine
from lit_rlvr.training.strategies import register

TINY_BASE = str(Path(__file__).resolve().parents[2] / "checkpoints" / "tiny-base")
loads: list[str] = []


class Looked(RLVRModule):
    """A module that looks at itself instead of training."""

    def training_step(self, batch: PromptBatch, batch_idx: int) -> None:
        bodies = {"policy": self.policy, "reference": self.reference, "critic": self.critic}
        self.seen: dict[str, Any] = {"engine ends": self.engine._ends}  # type: ignore[attr-defined]
        for name, body in bodies.items():
            if not isinstance(body, FSDPModule):
                continue
            model = body.model
            weights = {n: p.full_tensor() for n, p in body.named_parameters()}
            self.seen[name] = {
                "weights": {n.removeprefix("model."): w.detach().clone() for n, w in weights.items()},
                "buffers": {n: b.clone() for n, b in model.named_buffers()},
                "held": sum(p.to_local().numel() for p in body.parameters()),
                "tied": model.get_input_embeddings().weight is getattr(model.get_output_embeddings(), "weight", None),
                "generation": model.generation_config.to_dict() if model.can_generate() else {},
            }
        self.seen["adapter"] = self.adapter


def run(policy: str, **settings: Any) -> dict[str, Any]:
    """What a rank holds after the start of a run, and what it loaded for it."""
    loads.clear()
    module = Looked(
        policy, PPO(kl_coefficient=0.1), TransformersEngine(), AnswerReward(), tokenizer=TINY_BASE,
        sampling=Sampling(n=4, temperature=0.6, max_tokens=8), **settings,
    )  # fmt: skip
    trainer = Trainer(
        max_epochs=1, accelerator="cpu", devices=2, strategy="fsdp2", logger=False, enable_checkpointing=False,
        enable_progress_bar=False, enable_model_summary=False, use_distributed_sampler=False, precision="bf16-mixed",
    )  # fmt: skip
    trainer.fit(module, datamodule=OneShotDataModule(rows=2, rl_steps=1))
    return {**module.seen, "loads": list(loads)}


def main(folder: Path) -> None:
    """Three runs, the last of which cannot load its critic; each rank's findings into a file of its own."""
    torch.set_num_threads(1)
    register()
    load = lit_rlvr.module.load_model

    def counted(source: str, *arguments: Any) -> Any:
        loads.append(source)
        if source == "random:llama":
            raise UserError("model.critic: it is damaged.")
        return load(source, *arguments)

    lit_rlvr.module.load_model = counted  # type: ignore[assignment]
    found: dict[str, Any] = {"whole": run(TINY_BASE), "lora": run("random:qwen2", lora=LoRAConfig(rank=2), seed=5)}
    try:
        run(TINY_BASE, critic="random:llama")
    except UserError as error:
        found["said"] = str(error)
    torch.save(found, folder / f"rank{torch.distributed.get_rank()}.pt")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
