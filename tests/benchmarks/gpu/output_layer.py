"""Part 3: seconds and memory of the output layer (`lit_rlvr/algorithms/logprobs.py`), forward and backward, by chunk size."""

import statistics
from functools import partial
from typing import Any

import torch
from torch import Tensor

from lit_rlvr.algorithms.logprobs import CHUNK_LOGITS, logprobs_and_entropy
from tests.benchmarks.gpu.job import Job, Result, allocated_gb, free, peak_gb
from tests.benchmarks.step.meter import synchronised

TOLERANCE = 0.01
"""Log-probs by chunks of another size: products of another height may round a logit near 10 to its neighbour in bfloat16."""


def run(job: Job) -> Result:
    """Do the part."""
    size, device = job.size, job.device
    generator = torch.Generator(device).manual_seed(0)

    def draw(*shape: int) -> Tensor:
        return torch.randn(shape, generator=generator, device=device)

    hidden = draw(size.output_tokens, size.config.hidden_size).requires_grad_(True)
    head = (0.02 * draw(size.vocabulary, size.config.hidden_size)).requires_grad_(True)
    targets = torch.randint(size.vocabulary, (size.output_tokens,), generator=generator, device=device)
    job.report.put({"tokens": size.output_tokens, "head": list(head.shape), "default": CHUNK_LOGITS}, "work")
    expected = once(hidden, head, targets, CHUNK_LOGITS)[0]

    def measure(chunk: int) -> dict[str, Any]:
        free(device)
        before = allocated_gb(device)
        seconds, difference = [], 0.0
        for _ in range(size.repeats + 1):
            found, taken = once(hidden, head, targets, chunk)
            seconds.append(taken)
            difference = max(difference, (found - expected).abs().max().item())
        forward, backward = (statistics.median(column) for column in zip(*seconds[1:], strict=True))
        peak = peak_gb(device)
        return {
            "forward_s": round(forward, 5),
            "backward_s": round(backward, 5),
            "peak_gb": None if peak is None else round(peak - before, 3),
            "largest_difference": float(f"{difference:.3g}"),
        }

    for power in size.chunks:
        job.attempt(partial(measure, 2**power), "chunks", f"2^{power}")
    ran = {name: chunk for name, chunk in job.report.content["chunks"].items() if "error" not in chunk}
    best = min(ran, key=lambda name: ran[name]["forward_s"] + ran[name]["backward_s"])
    default = f"2^{CHUNK_LOGITS.bit_length() - 1}"
    shown = [name for name in dict.fromkeys((default, best)) if name in ran]
    says = ", ".join(f"{n} {ran[n]['forward_s'] + ran[n]['backward_s']:.3f} s {ran[n]['peak_gb']} GB" for n in shown)
    same = all(chunk["largest_difference"] <= TOLERANCE for chunk in ran.values())
    return Result(same and len(ran) == len(size.chunks), f"{says} (fastest {best})")


def once(hidden: Tensor, head: Tensor, targets: Tensor, chunk: int) -> tuple[Tensor, tuple[float, float]]:
    """(log-probs, (seconds forward, seconds backward)), with the two terms of the loss that the paper's recipe has."""
    start, _ = synchronised()
    with torch.autocast(hidden.device.type, torch.bfloat16):
        logprobs, entropy = logprobs_and_entropy(hidden, head, targets, 0.6, chunk_logits=chunk)
        loss = -logprobs.mean() - 0.001 * entropy.mean()
    middle, _ = synchronised()
    torch.autograd.grad(loss, (hidden, head))
    end, _ = synchronised()
    return logprobs.detach(), (middle - start, end - middle)
