"""Part 4: one micro-batch of the paper's size through a random 1.5B model: seconds by phase, peak memory, MFU.

With activations checkpointed, and without as far as memory reaches. The peak is held against the package's own estimate.
"""

import statistics
from functools import partial
from typing import Any

import torch

from lit_rlvr.models.policy import Policy
from tests.benchmarks.flops import Shape, step_flops
from tests.benchmarks.gpu.job import Job, Result, free, peak_gb
from tests.benchmarks.gpu.learning import (
    estimated,
    experience_of,
    one_update,
    optimizer_of,
    random_model,
    random_rollouts,
)
from tests.benchmarks.gpu.sizes import similar_lengths
from tests.benchmarks.step.meter import matmul_rate

FILLED = 0.92
"""Share of the GPU's memory up to which the estimate is trusted to be enough: the allocator needs some for its gaps."""

ESTIMATE_TOLERANCE = 0.1
"""By how much the peak may differ from the estimate."""


def run(job: Job) -> Result:
    """Do the part."""
    job.report.put(round(matmul_rate("bf16") / 1e12, 3), "matmul_tflop_per_second")
    for checkpointing in (True, False):
        key = "checkpointing" if checkpointing else "keeping activations"
        job.attempt(partial(measure, job, checkpointing), key)
        free(job.device)
    found = [job.report.content[key] for key in ("checkpointing", "keeping activations")]
    says = "; ".join(_line(one) for one in found)
    return Result(all("error" not in one and one.get("estimate_holds", True) for one in found), says)


def _line(found: dict[str, Any]) -> str:
    if "error" in found:
        return str(found["error"])[:120]
    seconds = found["seconds"]
    memory = found["memory_gb"]
    return (
        f"{found['tokens']} tokens{' recomputing' if found['checkpointing'] else ''}: forward {seconds['forward']:.2f} s, backward "
        f"{seconds['backward']:.2f} s, optimizer {seconds['optimizer']:.2f} s, peak {memory['peak']} GB (estimate {memory['estimate']}), "
        f"MFU {found['mfu_6nt']:.1%}"
    )


def measure(job: Job, checkpointing: bool) -> dict[str, Any]:
    """Two updates after one to warm up, in phases."""
    size, device = job.size, job.device
    model = random_model(size.config, device)
    parameters = sum(p.numel() for p in model.parameters())
    policy = Policy(model, size.vocabulary, checkpointing).train()
    optimizer = optimizer_of(policy)
    sequences = fitting(job, parameters, checkpointing)
    lengths = similar_lengths(sequences, size.length)
    experience = experience_of(random_rollouts(size.prompt, lengths, size.vocabulary))
    tokens = size.prompt + sum(lengths)
    clocks = []
    for turn in range(3):
        if turn == 1:
            free(device)
        sums = one_update(policy, optimizer, experience, tokens, max(lengths))
        clocks.append({name.removeprefix("time/"): seconds for name, seconds in sums.clock.wall.items()})
    peak = peak_gb(device)
    seconds = {name: statistics.mean(clock[name] for clock in clocks[1:]) for name in clocks[1]}
    shape = Shape.of(size.config)
    learning = seconds["forward"] + seconds["backward"]
    rate = job.report.content["matmul_tflop_per_second"] * 1e12
    nt = (shape.body + shape.head) * tokens
    estimate = estimated(size.config, parameters, size.prompt, sequences, size.length, checkpointing).peak / 1e9
    return {
        "checkpointing": checkpointing,
        "sequences": sequences,
        "tokens": tokens,
        "reduced": None if sequences == size.sequences else f"{size.sequences} sequences do not fit by the estimate",
        "seconds": {name: round(value, 4) for name, value in seconds.items()},
        "first_update_s": round(sum(clocks[0].values()), 3),
        "memory_gb": {"peak": peak, "estimate": round(estimate, 3)},
        "estimate_holds": peak is None or abs(peak / estimate - 1) <= ESTIMATE_TOLERANCE,
        # Over what a large matrix product reaches here. 6NT: what must be done; 8NT: with the second forward pass that
        # recomputing makes; useful: as 6NT, with attention's products, counted exactly.
        "mfu_6nt": round(6 * nt / learning / rate, 4),
        "mfu_8nt": round(8 * nt / learning / rate, 4) if checkpointing else None,
        "mfu_useful": round(step_flops(shape, size.prompt, lengths) / learning / rate, 4),
        "loss": sums.sums.get("train/loss"),
        "grad_norm": sums.grad_norm,
    }


def fitting(job: Job, parameters: int, checkpointing: bool) -> int:
    """How many of the micro-batch's sequences the GPU has room for by the estimate, all of them on CPU."""
    size = job.size
    if job.device.type != "cuda":
        return size.sequences
    room = FILLED * torch.cuda.get_device_properties(job.device).total_memory

    def need(sequences: int) -> float:
        return estimated(size.config, parameters, size.prompt, sequences, size.length, checkpointing).peak

    return next((n for n in range(size.sequences, 1, -1) if need(n) <= room), 1)
