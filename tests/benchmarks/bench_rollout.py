"""Tokens per CPU-second of the transformers engine against ``transformers.generate`` on the same samples.

    python tests/benchmarks/bench_rollout.py [--model DIR] [--pairs 5]

Both draw 64 responses to one prompt at temperature 1 with at most 64 new tokens, on one thread, in turns (A B A B …).
Tokens are counted up to the end token. Without ``--model`` the policy is ``checkpoints/tiny-base`` where that exists,
otherwise a random one of its shape whose end token has a raised probability, so that responses have natural lengths.
"""

import argparse
import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedModel, Qwen2Config, Qwen2ForCausalLM

from lit_rlvr.rollout.engine import Sampling
from lit_rlvr.rollout.transformers_engine import TransformersEngine

SAMPLES, MAX_TOKENS = 64, 64
TINY_BASE = Path(__file__).resolve().parents[2] / "checkpoints" / "tiny-base"
# Mean response length aimed at with a random policy, in tokens; that of the tiny base.
RANDOM_MEAN_LENGTH = 28
QUESTION = "Solve 2x+17=33 for x."


class BareTokenizer:
    """What the engine needs of a tokenizer when there is no text to look at."""

    eos_token_id = 1

    def __len__(self) -> int:
        return 512

    def decode(self, tokens: list[int], **_: object) -> str:
        """Ids as text."""
        return " ".join(map(str, tokens))


def random_policy() -> PreTrainedModel:
    """A random policy of the tiny default's shape that ends a response after about 28 tokens."""
    torch.manual_seed(0)
    config = Qwen2Config(
        vocab_size=512,
        hidden_size=128,
        intermediate_size=384,
        num_hidden_layers=3,
        num_attention_heads=4,
        num_key_value_heads=4,
        max_position_embeddings=512,
        tie_word_embeddings=False,
        eos_token_id=1,
        pad_token_id=0,
    )
    model = Qwen2ForCausalLM(config).eval()
    # The head sees normed states, of length sqrt(128); make one direction of them common to all positions and let
    # the end token's row lie along it.
    with torch.no_grad():
        direction = torch.zeros(128)
        direction[0] = 1.0
        model.model.embed_tokens.weight += 0.1 * direction
        model.lm_head.weight[1] = 0
        states = model.model(torch.randint(512, (4, 64))).last_hidden_state
        mean_state = states.mean(dim=(0, 1))
        wanted = torch.log(torch.tensor(512.0 / RANDOM_MEAN_LENGTH))
        model.lm_head.weight[1] = mean_state * wanted / mean_state.square().sum()
    return model


def tokens_per_cpu_second(run: Callable[[int], int], seed: int) -> tuple[float, int]:
    """(tokens per CPU-second, tokens) of one run."""
    start = time.process_time()
    tokens = run(seed)
    return tokens / (time.process_time() - start), tokens


def main() -> None:
    """Run the benchmark and print the medians, their ratio, and a JSON line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", type=Path, default=TINY_BASE if TINY_BASE.is_dir() else None)
    parser.add_argument("--pairs", type=int, default=5)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    if arguments.model is None:
        model, tokenizer = random_policy(), BareTokenizer()
        prompt = torch.randint(2, 512, (22,)).tolist()
    else:
        model = AutoModelForCausalLM.from_pretrained(arguments.model, dtype=torch.float32).eval()
        tokenizer = AutoTokenizer.from_pretrained(arguments.model)
        prompt = tokenizer.apply_chat_template(
            [{"role": "user", "content": QUESTION}], add_generation_prompt=True, return_dict=False
        )
    model.set_attn_implementation("sdpa")
    ends = torch.tensor([tokenizer.eos_token_id])
    engine = TransformersEngine()
    engine.setup(model, tokenizer, torch.device("cpu"))
    sampling = Sampling(n=SAMPLES, max_tokens=MAX_TOKENS)

    def ours(seed: int) -> int:
        return int(engine.generate([prompt], sampling, seed).lengths.sum())

    def theirs(seed: int) -> int:
        torch.manual_seed(seed)
        with torch.inference_mode():
            out = model.generate(
                torch.tensor([prompt]),
                attention_mask=torch.ones(1, len(prompt), dtype=torch.int64),
                num_return_sequences=SAMPLES,
                do_sample=True,
                temperature=1.0,
                top_k=0,
                top_p=1.0,
                max_new_tokens=MAX_TOKENS,
                eos_token_id=tokenizer.eos_token_id,
                pad_token_id=tokenizer.eos_token_id,
                use_cache=True,
            )
        ended = torch.isin(out[:, len(prompt) :], ends)
        lengths = torch.where(ended.any(1), ended.int().argmax(1) + 1, ended.shape[1])
        return int(lengths.sum())

    for run in (ours, theirs):
        run(0)
    pairs = [
        (tokens_per_cpu_second(ours, seed), tokens_per_cpu_second(theirs, seed)) for seed in range(arguments.pairs)
    ]
    engine_rate, generate_rate = (statistics.median(pair[side][0] for pair in pairs) for side in (0, 1))
    engine_tokens, generate_tokens = (statistics.mean(pair[side][1] for pair in pairs) / SAMPLES for side in (0, 1))
    ratio = engine_rate / generate_rate
    print(f"decoder             {type(engine.decoder).__name__}")
    print(f"TransformersEngine  {engine_rate:8.0f} tokens per CPU-second  (mean length {engine_tokens:.1f})")
    print(f"generate            {generate_rate:8.0f} tokens per CPU-second  (mean length {generate_tokens:.1f})")
    print(f"ratio               {ratio:8.2f}")
    figures = {
        "model": str(arguments.model or "random"),
        "pairs": arguments.pairs,
        "engine_tokens_per_cpu_second": round(engine_rate, 1),
        "generate_tokens_per_cpu_second": round(generate_rate, 1),
        "ratio": round(ratio, 3),
        "engine_mean_length": round(engine_tokens, 2),
        "generate_mean_length": round(generate_tokens, 2),
    }
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
