"""One of two processes that a test starts: an engine per process over FSDP2 shards, or one engine over both.

    torchrun --nproc_per_node 2 tests/rollout/vllm_ranks.py {fsdp2|tensor-parallel}

Prints one line of JSON per rank: the largest difference of log-probs from the policy's own, before and after an update, and
whether the greedy tokens are those of the policy.
"""

import json
import sys

import torch
from engine_suite import UNEQUAL_PROMPTS, expected_logprobs, small_policy, small_tokenizer
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard
from transformers import PreTrainedModel

from lit_rlvr.rollout.engine import Sampling
from lit_rlvr.rollout.transformers_engine import TransformersEngine
from lit_rlvr.rollout.vllm_engine import VLLMEngine

CPU = torch.device("cpu")


def shard(model: PreTrainedModel) -> None:
    mesh = init_device_mesh("cpu", (2,))
    for layer in model.model.layers:
        fully_shard(layer, mesh=mesh)
    fully_shard(model, mesh=mesh)


def change(model: PreTrainedModel) -> None:
    """The same on every rank, whole or sharded."""
    with torch.no_grad():
        for parameter in model.parameters():
            parameter *= 1.3


def main(way: str) -> None:
    """Build, generate, update, generate."""
    torch.distributed.init_process_group("gloo")
    rank = torch.distributed.get_rank()
    tokenizer, report = small_tokenizer(), {}
    for kind in ("qwen2", "llama"):
        whole, trained = small_policy(kind, seed=1), small_policy(kind, seed=1)
        if way == "fsdp2":
            shard(trained)
        engine = VLLMEngine(kv_cache_gb=0.05, tensor_parallel_size=2 if way == "tensor-parallel" else 1)
        engine.setup(trained, tokenizer, CPU)
        # Ranks ask for different things, one of them once for nothing.
        prompts = UNEQUAL_PROMPTS[: 4 - rank]
        for moment in ("before", "after"):
            rollouts = engine.generate(prompts, Sampling(n=3, max_tokens=20, stop=("e",)), seed=rank)
            expected = expected_logprobs(whole, rollouts, Sampling(n=3))
            greedy = engine.generate(prompts if rank else [], Sampling(temperature=0, max_tokens=30), seed=0)
            reference = TransformersEngine()
            reference.setup(whole, tokenizer, CPU)
            known = reference.generate(greedy.prompts, Sampling(temperature=0, max_tokens=30), seed=0)
            report[f"{kind} {moment}"] = {
                "difference": (rollouts.logprobs - expected).abs().max().item(),
                "greedy": torch.equal(greedy.tokens, known.tokens),
                "texts": rollouts.texts,
            }
            change(whole)
            change(trained)
            engine.update_weights(trained)
        engine.close()
    total = torch.ones(1)
    torch.distributed.all_reduce(total)  # the run's group has outlived the engines
    report["ranks"] = total.item()
    print(json.dumps(report), flush=True)
    torch.distributed.destroy_process_group()


if __name__ == "__main__":
    main(sys.argv[1])
