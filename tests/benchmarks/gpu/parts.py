"""The parts of `make bench-gpu`: what each one shows and how many seconds it may take. Imports nothing but Python's own."""

from typing import NamedTuple

TOTAL_S = 535
"""Seconds of all parts together: nine minutes with something to spare for what lies between them."""


class Part(NamedTuple):
    """One part.

    Attributes:
        module: the file beside this one whose ``run`` does it.
        title: what it shows.
        limit_s: seconds after which it is stopped. The last part may also use what the others have left over.
    """

    module: str
    title: str
    limit_s: int


PARTS: dict[int, Part] = {
    1: Part("fits", "tiny fit under each strategy, doctor, a deterministic step", 80),
    2: Part("attention", "attention kernels, variable-length against masked", 35),
    3: Part("output_layer", "output layer by chunk size", 35),
    4: Part("micro_batch", "one micro-batch of the 1.5B model: phases, memory, MFU", 50),
    5: Part("decoding", "the engine: launches, tokens per second, graphs", 75),
    6: Part("agreement", "engine against trainer, and the tripwire", 40),
    7: Part("effect", "seconds to the effect on the tiny default", 90),
    8: Part("step", "one whole RL step of the paper's shape", 130),
}
