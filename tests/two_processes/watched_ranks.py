"""A callback for runs on several processes: stops them unless ranks hold one policy and their engines have its weights."""

from typing import Any

import torch
import torch.distributed as dist
from lightning import Callback, LightningModule, Trainer

from lit_rlvr.models.fresh import fresh_module
from lit_rlvr.models.weights import fingerprint, named_weights
from lit_rlvr.module import RLVRModule
from lit_rlvr.rollout.engine import Sampling


class WatchedRanks(Callback):
    """Looks after every RL step; says on rank 0 what it has seen."""

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        assert isinstance(pl_module, RLVRModule)
        policy = pl_module.policy.model
        plain = fresh_module(policy.config, torch.float32)
        plain.load_state_dict(dict(named_weights(policy)), strict=False)
        plain.tie_weights()
        seen: list[Any] = [None] * trainer.world_size
        dist.all_gather_object(seen, fingerprint(plain.named_parameters()))
        assert len(set(seen)) == 1, seen
        prompt = batch.prompts[0]
        answer = pl_module.engine.generate([prompt], Sampling(temperature=0.0, max_tokens=12), seed=0)
        with torch.no_grad():
            tokens = torch.tensor([*prompt, *answer.tokens.tolist()])
            logits = plain(tokens[None], use_cache=False).logits[0, len(prompt) - 1 : -1, : len(pl_module.tokenizer)]
        expected = logits.log_softmax(-1).gather(-1, answer.tokens[:, None])[:, 0]
        torch.testing.assert_close(answer.logprobs, expected, atol=1e-4, rtol=0)
        if trainer.is_global_zero:
            print(f"watched ranks: step {int(pl_module.rl_step)} policy {seen[0]}", flush=True)
