"""The memory estimate against sums worked out by hand and against what a run really took."""

from dataclasses import replace

import pytest
from transformers import LlamaConfig

from lit_rlvr.algorithms.logprobs import CHUNK_LOGITS
from lit_rlvr.estimate import ASLEEP_BYTES, CUDA_BYTES, PROCESS_BYTES, SPARE, Run, estimate
from lit_rlvr.models.shape import Shape

SHAPE = Shape(parameters=1000, layers=10, hidden=6, queries=6, keys=2, intermediate=20, vocabulary=50)
RUN = Run(responses=4, tokens=8, prompt=4, micro_batch_tokens=100, half=False, engine_half=False, trained=1000)
GPU = replace(RUN, half=True, engine_half=True, on_cpu=False, engine="vllm", card=100e9, utilization=0.3)


def test_by_hand() -> None:
    memory = estimate(SHAPE, RUN)
    update = memory.phases["update"]
    assert update["process"] == PROCESS_BYTES
    assert (update["weights"], update["moments"], update["gradients"], update["engine"]) == (4000, 8000, 4000, 4000)
    # 36 tokens. Norms keep 4 x 6 values and inputs 2 x 6; attention 4 x 6 + 2 x 2, and 2 x 6 for each of 12 tokens in place of 8;
    # the feed-forward block 4 x 20; the mask is 8 x 12. The backward pass of a layer has 2 x 20 + 6.
    layer = 36 * 4 * (24 + 12 + 24 + 4 + 12 * 12 / 8 + 80) + 4 * 8 * 12
    one = 36 * 4 * (40 + 6)
    assert update["activations"] == 10 * layer + one
    # The last norm 2 x 6 values, hidden states and their gradient 2 x 6; a chunk of logits three times; the embedding's gradient twice.
    output = 36 * 4 * 24 + 36 * 50 * 12 + 2 * 4 * 300
    assert CHUNK_LOGITS > 36 * 50  # so that it is one chunk
    assert update["output layer"] == output - one
    rollout = memory.phases["rollout"]
    assert rollout["gradients"] == 0
    assert rollout["cache"] > (4 * 8 + 4) * 10 * 2 * 2 * 4  # and what drawing takes
    assert memory.fullest == "update"
    assert memory.peak == sum(update.values())


def test_recomputing_keeps_the_layers_inputs_and_one_layer() -> None:
    whole, lean = (estimate(SHAPE, replace(RUN, checkpointing=on)).phases["update"] for on in (False, True))
    layer = (whole["activations"] - 36 * 4 * 46) / 10
    assert lean["activations"] == 9 * 36 * 4 * 6 + layer + 36 * 4 * 46


def test_what_spares_what() -> None:
    whole = estimate(SHAPE, RUN).phases["update"]
    sharded = estimate(SHAPE, replace(RUN, shards=4)).phases["update"]
    assert [sharded[part] for part in ("weights", "moments", "gradients")] == [1000, 2000, 1000]
    assert sharded["engine"] == whole["engine"]
    assert sharded["gathered"] >= 4 * 300  # the embedding, and some layers
    half = estimate(SHAPE, replace(RUN, half=True, engine_half=True)).phases["update"]
    assert half["engine"] == whole["engine"] / 2
    assert half["activations"] < whole["activations"]
    assert half["casts"] == 2 * 700  # the layers'
    assert estimate(SHAPE, replace(RUN, engine="elsewhere")).phases["update"]["engine"] == 0
    adapter = estimate(SHAPE, replace(RUN, trained=10, frozen=1000, adapter=True)).phases["update"]
    assert (adapter["weights"], adapter["frozen"], adapter["gradients"]) == (40, 4000, 40)
    assert adapter["activations"] < whole["activations"]


def test_gradients_as_each_strategy_holds_them() -> None:
    buckets = estimate(SHAPE, replace(RUN, held_gradients=4, gradients=8))
    assert buckets.phases["rollout"]["gradients"] == 4000
    assert buckets.phases["update"]["gradients"] == 8000


def test_vllm_takes_its_share_of_the_whole_card_and_gives_it_back() -> None:
    awake, asleep = estimate(SHAPE, GPU), estimate(SHAPE, replace(GPU, sleep=True))
    for memory in (awake, asleep):
        rollout = memory.phases["rollout"]
        assert rollout["engine"] + rollout["cache"] == pytest.approx(30e9)
        assert rollout["process"] == CUDA_BYTES
    assert awake.phases["update"]["engine"] == pytest.approx(30e9)
    assert asleep.phases["update"]["engine"] == ASLEEP_BYTES
    assert awake.at_once == 4
    # Weights of 2 kB and room for working space leave no cache.
    assert estimate(SHAPE, replace(GPU, card=CUDA_BYTES * 3)).at_once == 0


def test_the_transformers_engine_takes_what_is_left() -> None:
    big = replace(SHAPE, keys=2_000_000)
    bounded = estimate(big, replace(GPU, engine="transformers", responses=1000))
    assert 0 < bounded.at_once < 1000
    assert bounded.phases["rollout"]["cache"] > 30e9
    assert bounded.of_phase("rollout") < (1 - SPARE) * 100e9
    free = estimate(big, replace(GPU, engine="transformers", responses=1000, card=None))
    assert free.at_once == 1000


def test_a_list_of_temporaries_counts_in_the_optimizer_step() -> None:
    listed = estimate(SHAPE, replace(RUN, step_bytes=4))
    assert listed.phases["optimizer step"]["temporary"] == 4000


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
