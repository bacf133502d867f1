"""The README's table of memory per process, from the function behind `lit-rlvr plan`.

    python -m tests.benchmarks.memory_table

The paper's recipe on 8 GPUs: 128 responses per process, prompts of up to 1,024 tokens, micro-batches of 24,000 tokens, a
reference, bfloat16 over float32 weights, rollouts by the transformers engine in bfloat16.
"""

from dataclasses import replace
from typing import Any

from lit_rlvr.estimate import Run, Shape, estimate

PROCESSES = 8
SHAPES = {  # of Qwen2.5, by their published configurations
    "1.5B": Shape(1_543_714_304, 28, 1536, 1536, 256, 8960, 151_936),
    "3B": Shape(3_085_938_688, 36, 2048, 2048, 256, 11_008, 151_936),
    "7B": Shape(7_615_616_512, 28, 3584, 3584, 512, 18_944, 152_064),
}
LENGTHS = (1024, 3072, 8192)
WAYS: dict[str, dict[str, Any]] = {
    "ddp": {},
    "fsdp2": {"shards": PROCESSES},
    "ddp, recomputing": {"checkpointing": True},
    "fsdp2, recomputing": {"shards": PROCESSES, "checkpointing": True},
}


def main() -> None:
    """Print the table in Markdown."""
    print("| parameters | response limit | " + " | ".join(WAYS) + " |")
    print("|---|---|" + "---|" * len(WAYS))
    for name, shape in SHAPES.items():
        for tokens in LENGTHS:
            run = Run(
                128, tokens, 1024, 24_000, half=True, engine_half=True,
                trained=shape.parameters, frozen=shape.parameters, on_cpu=False,
            )  # fmt: skip
            peaks = [estimate(shape, replace(run, **settings)).peak / 1e9 for settings in WAYS.values()]
            print(f"| {name} | {tokens:,} | " + " | ".join(f"{peak:,.0f}" for peak in peaks) + " |")


if __name__ == "__main__":
    main()
