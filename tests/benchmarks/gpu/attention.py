"""Part 2: which attention kernels run for a packed row, how long each takes, and whether all say the same.

The masked form is the package's (`lit_rlvr/models/packed_attention.py`) under torch's own choice of kernel and with each
kernel forced in turn; the variable-length form is `torch.nn.attention.varlen` where torch has it. Each is held against a plain
product of matrices in float32, in its result and its gradients, and forward and backward passes are timed apart.
"""

import inspect
import statistics
from collections.abc import Callable
from contextlib import nullcontext
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from lit_rlvr.models.packed_attention import Layout, packed_attention, places_of
from tests.benchmarks.gpu.job import Job, Result, free, peak_gb
from tests.benchmarks.gpu.kernels import kernels
from tests.benchmarks.gpu.sizes import Size, similar_lengths
from tests.benchmarks.step.meter import synchronised

BACKENDS = {
    "flash": SDPBackend.FLASH_ATTENTION,
    "memory-efficient": SDPBackend.EFFICIENT_ATTENTION,
    "cudnn": SDPBackend.CUDNN_ATTENTION,
    "math": SDPBackend.MATH,
}
TOLERANCE = {torch.bfloat16: 2e-2, torch.float32: 1e-4}
"""Relative error (norm of the difference over the norm) by the precision computed in: a few roundings of bfloat16's 2^-8."""

NAMES = ("out", "query", "key", "value")
Attention = Callable[[Tensor, Tensor, Tensor], Tensor]


def run(job: Job) -> Result:
    """Do the part."""
    size, device = job.size, job.device
    dtype = torch.bfloat16 if device.type == "cuda" else torch.float32  # on CPU bfloat16 goes another way
    lengths = tuple(similar_lengths(size.sequences, size.length))
    inputs, grad = tensors(size, lengths, device)
    layout = Layout(size.prompt, lengths, places_of(lengths, device))
    job.report.put({"prompt": size.prompt, "lengths": lengths, "dtype": str(dtype)}, "work")
    expected = results(lambda q, k, v: plain(q, k, v, size.prompt, lengths), inputs, grad)
    layer = nn.Module()
    layer.layer_idx = 0  # type: ignore[assignment]

    def masked(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        query, key, value = (x.transpose(0, 1)[None] for x in (query, key, value))
        return packed_attention(layer, query, key, value, None, layout=layout)[0][0]

    ways: dict[str, tuple[Attention, Any]] = {"masked": (masked, nullcontext)}
    for name, backend in BACKENDS.items():
        ways[f"masked, {name}"] = masked, partial(sdpa_kernel, [backend, SDPBackend.FLASH_ATTENTION])
    ways |= {name: (way, nullcontext) for name, way in variable_length(size.prompt, lengths, device).items()}
    halves = [x.to(dtype) for x in inputs]
    for name, (way, context) in ways.items():
        free(device)
        with context():
            job.attempt(partial(measure, way, halves, grad.to(dtype), expected, job), "ways", name)
    found = job.report.content["ways"]
    ran = {name: way for name, way in found.items() if "error" not in way}
    wrong = [name for name, way in ran.items() if not max(way["relative_error"].values()) <= TOLERANCE[dtype]]
    job.report.put(wrong, "wrong")
    says = ", ".join(f"{name} {1e3 * (way['forward_s'] + way['backward_s']):.1f} ms" for name, way in ran.items())
    missing = [name for name in found if name not in ran]
    return Result("masked" in ran and not wrong, f"{says}; impossible here: {', '.join(missing) or 'none'}")


def tensors(size: Size, lengths: tuple[int, ...], device: torch.device) -> tuple[list[Tensor], Tensor]:
    """(query, key and value [S, heads, D], a gradient of the result), in float32 with bfloat16's values."""
    config, generator = size.config, torch.Generator().manual_seed(0)
    dim = config.hidden_size // config.num_attention_heads
    tokens = size.prompt + sum(lengths)

    def draw(heads: int) -> Tensor:
        return torch.randn(tokens, heads, dim, generator=generator).bfloat16().float().to(device)

    heads, keys = config.num_attention_heads, config.num_key_value_heads
    return [draw(heads), draw(keys), draw(keys)], draw(heads)


def plain(query: Tensor, key: Tensor, value: Tensor, prompt: int, lengths: tuple[int, ...]) -> Tensor:
    """[S, heads, D], sequence by sequence, by what attention is defined as."""
    group = query.shape[1] // key.shape[1]

    def attend(asked: Tensor, keys: Tensor, values: Tensor) -> Tensor:
        keys, values = (x.repeat_interleave(group, dim=1) for x in (keys, values))
        scores = torch.einsum("qhd,khd->hqk", asked, keys) * query.shape[-1] ** -0.5
        unseen = torch.ones_like(scores[0], dtype=torch.bool).triu(len(keys) - len(asked) + 1)
        return torch.einsum("hqk,khd->qhd", scores.masked_fill(unseen, float("-inf")).softmax(-1), values)

    first, *asked = query.split((prompt, *lengths))
    common, *keys = key.split((prompt, *lengths))
    shared, *values = value.split((prompt, *lengths))
    rows = zip(asked, keys, values, strict=True)
    outs = [attend(q, torch.cat((common, k)), torch.cat((shared, v))) for q, k, v in rows]
    return torch.cat([attend(first, common, shared), *outs])


def variable_length(prompt: int, lengths: tuple[int, ...], device: torch.device) -> dict[str, Attention]:
    """Name -> torch's attention over sequences of unequal length, each behind its copy of the prompt; none where torch has none."""
    try:
        from torch.nn.attention.varlen import varlen_attn
    except ImportError:
        return {}
    known = inspect.signature(varlen_attn).parameters
    # A query sees as much as stands behind the end of its sequence, so the last ones line up.
    causal: dict[str, Any] = {"window_size": (-1, 0)} if "window_size" in known else {"is_causal": True}
    asked = [prompt, *lengths]
    seen = [prompt, *(prompt + length for length in lengths)]
    ends = [torch.tensor([0, *counts]).cumsum(0, dtype=torch.int32).to(device, torch.int32) for counts in (asked, seen)]
    # Where the keys of each sequence stand behind a copy of the prompt for every one, then all tokens of their own.
    copies = torch.arange(prompt * (len(lengths) + 1)).split(prompt)
    own = (torch.arange(sum(lengths)) + prompt * (len(lengths) + 1)).split(lengths)
    order = torch.cat([copies[0], *(torch.cat(pair) for pair in zip(copies[1:], own, strict=True))]).to(device)

    def laid_out(flat: Tensor) -> Tensor:
        common = flat[:prompt].expand(len(lengths) + 1, *flat[:prompt].shape).flatten(0, 1)
        return torch.cat((common, flat[prompt:])).index_select(0, order)

    def attend(query: Tensor, key: Tensor, value: Tensor, repeat: bool) -> Tensor:
        group = query.shape[1] // key.shape[1]
        settings = dict(causal)
        if repeat:
            key, value = (x.repeat_interleave(group, dim=1) for x in (key, value))
        elif "enable_gqa" in known:
            settings["enable_gqa"] = True
        return varlen_attn(query, laid_out(key), laid_out(value), *ends, max(asked), max(seen), **settings)

    return {
        "variable-length": lambda q, k, v: attend(q, k, v, repeat=False),
        "variable-length, keys repeated": lambda q, k, v: attend(q, k, v, repeat=True),
    }


def results(way: Attention, inputs: list[Tensor], grad: Tensor) -> list[Tensor]:
    """The result, and the gradients of query, key and value."""
    leaves = [x.detach().clone().requires_grad_(True) for x in inputs]
    out = way(*leaves)
    return [out.detach(), *torch.autograd.grad(out, leaves, grad)]


def measure(way: Attention, inputs: list[Tensor], grad: Tensor, expected: list[Tensor], job: Job) -> dict[str, Any]:
    """Errors, seconds, peak memory and kernels of one way."""
    pairs = zip(NAMES, results(way, inputs, grad), expected, strict=True)
    errors = {name: ((a.float() - b).norm() / b.norm()).item() for name, a, b in pairs}
    free(job.device)
    leaves = [x.detach().clone().requires_grad_(True) for x in inputs]
    forward, backward = [], []
    for _ in range(job.size.repeats + 1):
        start, _ = synchronised()
        out = way(*leaves)
        middle, _ = synchronised()
        torch.autograd.grad(out, leaves, grad)
        end, _ = synchronised()
        forward.append(middle - start)
        backward.append(end - middle)
    return {
        "relative_error": {name: float(f"{error:.3g}") for name, error in errors.items()},
        "forward_s": round(statistics.median(forward[1:]), 6),
        "backward_s": round(statistics.median(backward[1:]), 6),
        "peak_gb": peak_gb(job.device),
        "kernels": kernels(lambda: results(way, inputs, grad), job.device),
    }
