"""Part 5: the engine on a random 1.5B model: launches per token step, tokens per second, and what graphs would bring.

As it is, with the parts of a layer compiled, and with one token step captured as a CUDA graph at one width of the cache. Such a
graph is no engine: one would need the number of live columns on the device. It shows what the launches cost.
"""

import statistics
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor
from transformers import AutoTokenizer

from lit_rlvr.rollout.engine import Sampling
from lit_rlvr.rollout.sampling import draw, probabilities
from lit_rlvr.rollout.transformers_engine import TransformersEngine
from tests.benchmarks.gpu.job import Job, Result, free, peak_gb
from tests.benchmarks.gpu.kernels import Operators, kernels, launches
from tests.benchmarks.gpu.learning import TEMPERATURE, random_model
from tests.benchmarks.step.meter import synchronised
from tests.benchmarks.step.models import write_tokenizer

COMPILED = ("_qkv", "_rest", "_logits")
"""All of a layer but its attention, whose columns grow: the whole step would be compiled anew for each of them."""

COUNTED = (8, 24)
"""Token steps of two runs whose difference counts launches: what a run needs once falls out."""


def run(job: Job) -> Result:
    """Do the part."""
    size = job.size
    folder = job.scratch / "tokenizer"
    write_tokenizer(size.config, folder)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    # On CPU, matrices of other precisions are laid out for oneDNN, which cannot be compiled.
    engine = TransformersEngine("float16" if size.small else "auto", max_batch=max(size.decoded))
    engine.setup(random_model(size.config, job.device, torch.bfloat16), tokenizer, job.device)
    prompt = tuple(range(5, 5 + size.prompt))
    for rows in size.decoded:
        free(job.device)
        job.attempt(partial(rates, job, engine, prompt, rows), "plain", rows)
        job.attempt(partial(counts, job, engine, prompt, rows), "per token step", rows)
    for rows in size.decoded:
        free(job.device)
        job.attempt(partial(captured, job, engine, prompt, rows), "graph", rows)
    for part in COMPILED:
        setattr(engine.decoder, part, torch.compile(getattr(engine.decoder, part), dynamic=True))
    for rows in size.decoded:
        free(job.device)
        job.attempt(partial(rates, job, engine, prompt, rows), "compiled", rows)
    found = job.report.content
    says = "; ".join(_line(found, rows) for rows in size.decoded)
    return Result(all("error" not in found["plain"][str(rows)] for rows in size.decoded), says)


def _line(found: dict[str, Any], rows: int) -> str:
    plain, compiled, graph = (found[way][str(rows)] for way in ("plain", "compiled", "graph"))
    step = found["per token step"][str(rows)]
    sent = f"{step['launches']} launches" if "launches" in step else f"{step.get('operators', '?')} operators"
    return (
        f"{rows} responses: {plain.get('tokens_per_second', 'failed')} tokens/s, {sent} a step, compiled "
        f"{compiled.get('tokens_per_second', 'failed')} tokens/s, a step {graph.get('plain_ms', '?')} ms and as a graph "
        f"{graph.get('graph_ms', 'impossible')}"
    )


def sampling_of(rows: int, tokens: int) -> Sampling:
    """So many responses of at most so many tokens, at the paper's temperature."""
    return Sampling(n=rows, temperature=TEMPERATURE, max_tokens=tokens)


def rates(job: Job, engine: TransformersEngine, prompt: tuple[int, ...], rows: int) -> dict[str, Any]:
    """Tokens per second, after a first call that is given by itself."""
    seconds, tokens = [], []
    for seed in range(job.size.repeats + 1):
        start, _ = synchronised()
        drawn = engine.generate([prompt], sampling_of(rows, job.size.decoded_tokens), seed)
        seconds.append(synchronised()[0] - start)
        tokens.append(len(drawn.tokens))
    rate = statistics.median(count / taken for count, taken in zip(tokens[1:], seconds[1:], strict=True))
    return {
        "tokens_per_second": round(rate, 1),
        "ms_per_token_step": round(1e3 * statistics.median(seconds[1:]) / job.size.decoded_tokens, 3),
        "first_call_s": round(seconds[0], 2),
        "peak_gb": peak_gb(job.device),
    }


def counts(job: Job, engine: TransformersEngine, prompt: tuple[int, ...], rows: int) -> dict[str, Any]:
    """Operators, launches, copies and waits of one token step, drawing included; and the kernels that take longest."""

    def generate(tokens: int) -> Callable[[], object]:
        return lambda: engine.generate([prompt], sampling_of(rows, tokens), seed=0)

    def operators(tokens: int) -> int:
        with Operators() as seen:
            generate(tokens)()
        return seen.count

    few, many = COUNTED
    steps = many - few
    found: dict[str, Any] = {"operators": round((operators(many) - operators(few)) / steps, 1)}
    first, second = (launches(generate(tokens), job.device) for tokens in COUNTED)
    found |= {name: round((second[name] - first[name]) / steps, 2) for name in first}
    found["kernels"] = kernels(generate(few), job.device)
    return found


def captured(job: Job, engine: TransformersEngine, prompt: tuple[int, ...], rows: int) -> dict[str, Any]:
    """Milliseconds of one token step at one width of the cache, drawing included, as it is and as a CUDA graph."""
    decoder: Any = engine.decoder
    tokens = torch.full((rows,), 5, device=job.device)
    uniforms = torch.rand(rows, dtype=torch.float64, device=job.device)
    sampling = sampling_of(rows, 2 * job.size.width)

    def step() -> tuple[Tensor, Tensor]:
        """One step that leaves the decoder as it was: the next one writes the same column."""
        logits = decoder.step(tokens)
        decoder._used -= 1
        return logits, draw(probabilities(logits, sampling), uniforms)[0]

    with torch.inference_mode():
        decoder.begin([prompt], [rows], sampling.max_tokens)
        try:
            for _ in range(job.size.width):
                decoder.step(tokens)
            if decoder._used == decoder._keys[0].shape[2]:
                decoder._grow_cache()
            found: dict[str, Any] = {"columns": decoder._used, "plain_ms": _ms(step)}
            job.report.put(found, "graph", rows)
            if job.device.type != "cuda":
                return found | {"says": "a CUDA graph wants a GPU"}
            expected = [x.clone() for x in step()]
            aside = torch.cuda.Stream()
            aside.wait_stream(torch.cuda.current_stream())
            with torch.cuda.stream(aside):
                step()
            torch.cuda.current_stream().wait_stream(aside)
            graph = torch.cuda.CUDAGraph()
            with torch.cuda.graph(graph):
                outs = step()
            found["graph_ms"] = _ms(graph.replay)
            found["same"] = all(torch.equal(a, b) for a, b in zip(outs, expected, strict=True))
        finally:
            decoder.end()
    return found


def _ms(call: Callable[[], object], times: int = 20) -> float:
    """Milliseconds of one call, of many in a row."""
    call()
    start, _ = synchronised()
    for _ in range(times):
        call()
    return round(1e3 * (synchronised()[0] - start) / times, 3)
