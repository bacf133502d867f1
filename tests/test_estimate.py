"""The memory estimate against sums worked out by hand and against what a run really took."""

from dataclasses import replace

import pytest
from transformers import LlamaConfig

from lit_rlvr.estimate import PROCESS_BYTES, Run, Shape, estimate

SHAPE = Shape(parameters=1000, layers=10, hidden=6, queries=6, keys=2, intermediate=20, vocabulary=50)
RUN = Run(responses=4, tokens=8, prompt=5, micro_batch_tokens=100, half=False, engine_half=False, trained=1000)


def test_by_hand() -> None:
    memory = estimate(SHAPE, RUN)
    assert memory.process == PROCESS_BYTES
    assert memory.weights == 12 * 1000
    assert memory.gradients == memory.engine == 4 * 1000
    assert memory.cache == (4 * 8 + 5) * 10 * 2 * 2 * 4
    # 37 tokens; norms 4 x 6 and inputs 2 x 6, attention 3 x 6 + 2 x 2, feed-forward 4 x 20 values.
    assert memory.activations == 37 * 10 * 4 * (24 + 12 + 22 + 80)
    assert memory.logits == 37 * 50 * 12 + 50 * 6 * 4
    assert memory.casts == 0
    update = memory.gradients + memory.activations + memory.logits
    assert memory.peak == PROCESS_BYTES + 12_000 + 4000 + update


def test_what_spares_what() -> None:
    whole = estimate(SHAPE, RUN)
    sharded = estimate(SHAPE, replace(RUN, shards=4))
    assert (sharded.weights, sharded.gradients, sharded.engine) == (3000, 1000, whole.engine)
    half = estimate(SHAPE, replace(RUN, half=True, engine_half=True))
    assert half.engine == whole.engine / 2
    assert half.activations < whole.activations
    assert half.casts == 2000
    assert estimate(SHAPE, replace(RUN, checkpointing=True)).activations < whole.activations / 5
    assert estimate(SHAPE, replace(RUN, engine_here=False)).engine == 0
    adapter = estimate(SHAPE, replace(RUN, trained=10, frozen=1000))
    assert adapter.weights == 4 * 1000 + 12 * 10
    assert estimate(SHAPE, replace(RUN, on_cpu=False)).process == 0


@pytest.mark.parametrize(("half", "measured"), [(True, 6.50), (False, 8.26)], ids=["bfloat16", "float32"])
def test_near_what_a_step_of_smollm2_took(half: bool, measured: float) -> None:
    """Peak of `make bench`'s smollm2, in GB: 32 responses of 128 tokens on CPU, micro-batches of 2,048."""
    config = LlamaConfig(
        hidden_size=576, intermediate_size=1536, num_hidden_layers=30, num_attention_heads=9, num_key_value_heads=3,
        vocab_size=49152, tie_word_embeddings=True,
    )  # fmt: skip
    shape = Shape.of(config, 134_515_008)
    run = Run(32, 128, 64, 2048, half, half, trained=shape.parameters)
    assert estimate(shape, run).peak / 1e9 == pytest.approx(measured, rel=0.3)
