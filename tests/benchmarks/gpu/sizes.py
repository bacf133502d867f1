"""How much of everything: on a GPU with the shape of Qwen2.5-1.5B and the paper's step, or so little that a CPU can do it."""

import math
import random
from dataclasses import dataclass

from transformers import PretrainedConfig, Qwen2Config

from tests.benchmarks.step.models import SHAPES


@dataclass(frozen=True)
class Size:
    """Sizes of all parts.

    Attributes:
        small: for a CPU.
        config: of the random model.
        prompt: tokens of the prompt before all responses.
        sequences: responses of one micro-batch.
        length: tokens of such a response in the mean.
        output_tokens: tokens that the output layer is timed with.
        chunks: base-2 logarithms of the chunk sizes.
        repeats: timings whose median counts.
        decoded: numbers of responses that the engine is timed with.
        decoded_tokens: tokens of each of those.
        width: columns of the cache at which a graph is captured.
        agreed: responses on which engine and trainer are compared.
        step_responses: of a whole RL step; the first number that fits time and memory is taken.
        step_mean: tokens per response in the mean there.
        step_longest: and at most.
        micro_batch_tokens: and of a micro-batch.
        fit_steps: RL steps of the short runs.
        effect: settings that make the run of the effect short; none is the default as it stands.
    """

    small: bool
    config: PretrainedConfig
    prompt: int
    sequences: int
    length: int
    output_tokens: int
    chunks: tuple[int, ...]
    repeats: int
    decoded: tuple[int, ...]
    decoded_tokens: int
    width: int
    agreed: int
    step_responses: tuple[int, ...]
    step_mean: int
    step_longest: int
    micro_batch_tokens: int
    fit_steps: int
    effect: tuple[str, ...] = ()

    @property
    def vocabulary(self) -> int:
        """Tokens that the model knows."""
        return int(self.config.vocab_size)


FULL = Size(
    small=False,
    config=SHAPES["1.5b"],
    prompt=140,
    sequences=30,
    length=800,
    output_tokens=24_000,
    chunks=tuple(range(22, 31)),
    repeats=3,
    decoded=(128, 1024),
    decoded_tokens=96,
    width=256,
    agreed=32,
    step_responses=(1024, 512, 256, 128),
    step_mean=800,
    step_longest=3072,
    micro_batch_tokens=24_000,
    fit_steps=3,
)
SMALL = Size(
    small=True,
    config=Qwen2Config(
        vocab_size=512,
        hidden_size=64,
        intermediate_size=128,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=1024,
        tie_word_embeddings=True,
    ),
    prompt=24,
    sequences=6,
    length=40,
    output_tokens=300,
    chunks=(12, 14, 16, 18),
    repeats=1,
    decoded=(4, 8),
    decoded_tokens=16,
    width=16,
    agreed=8,
    step_responses=(32, 16),
    step_mean=20,
    step_longest=64,
    micro_batch_tokens=400,
    fit_steps=2,
    effect=("--data.rl_steps", "2", "--evaluation.every_n_rl_steps", "1", "--evaluation.endpoint_plans", "[]"),
)


def similar_lengths(count: int, mean: int) -> list[int]:
    """Lengths within a twentieth of the mean, longest first and with that mean: of a micro-batch, which is sorted."""
    spread = max(1, mean // 20)
    return [mean + spread - round(2 * spread * i / max(1, count - 1)) for i in range(count)]


def drawn_lengths(count: int, mean: int, longest: int, seed: int = 0) -> list[int]:
    """Response lengths as a reasoning model's are spread: log-normal (sigma 0.8), cut at a limit that at least one reaches.

    Args:
        count: of them.
        mean: that they have, up to rounding.
        longest: the limit.
        seed: of the draw.
    """
    generator = random.Random(seed)
    draws = [math.exp(generator.gauss(0, 0.8)) for _ in range(count)]
    top = draws.index(max(draws))

    def scaled(factor: float) -> list[int]:
        lengths = [min(longest, max(2, round(factor * draw))) for draw in draws]
        lengths[top] = longest
        return lengths

    low, high = 0.0, float(longest)
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if sum(scaled(middle)) < mean * count else (low, middle)
    return scaled(high)
