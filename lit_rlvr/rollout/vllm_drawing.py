"""One call of vLLM: prompts to requests, a request per response, and what comes back to tokens and log-probs."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from lit_rlvr.rollout.engine import Progress, Sampling
from lit_rlvr.rollout.stopping import StopStrings
from lit_rlvr.seeding import step_seed


@dataclass(frozen=True)
class Part:
    """What one process asks for: prompts, and the seed of its random numbers."""

    prompts: tuple[tuple[int, ...], ...]
    seed: int


@dataclass
class Drawn:
    """A response on its way."""

    tokens: list[int] = field(default_factory=list)
    logprobs: list[float] = field(default_factory=list)
    stopped: bool = False


def draw(
    engine: Any,
    parts: Sequence[Part],
    mine: int,
    sampling: Sampling,
    ends: Sequence[int],
    stop: StopStrings,
    progress: Progress | None,
) -> list[Drawn]:
    """Run requests to their end.

    Args:
        engine: vLLM's ``LLMEngine``, idle.
        parts: what is asked for; the same in all processes that share the engine, so that they run in step.
        mine: which part belongs to this process.
        sampling: how to draw.
        ends: end tokens.
        stop: stop strings, possibly none.
        progress: called with the numbers of this process's part.

    Returns:
        Responses to the part ``mine``: sample k of row r at ``r * n + k``.
    """
    drawn: dict[str, Drawn] = {}
    for place, part in enumerate(parts):
        for sample in range(len(part.prompts) * sampling.n):
            name = f"{place}/{sample}"
            seed = step_seed(part.seed, sample, stream="sample")
            prompt = {"prompt_token_ids": list(part.prompts[sample // sampling.n])}
            engine.add_request(name, prompt, _parameters(sampling, seed, ends, bool(stop)))
            drawn[name] = Drawn()
    ours = {name for name in drawn if name.startswith(f"{mine}/")}
    waiting, reported = set(drawn), 0
    try:
        while waiting:
            for output in engine.step():
                name, response = output.request_id, drawn[output.request_id]
                if _take(response, output.outputs[0], ends, stop) and not output.finished:
                    engine.abort_request([name])  # a stop string, of which vLLM knows nothing
                if output.finished or response.stopped:
                    waiting.discard(name)
            finished = len(ours - waiting)
            if progress is not None and finished > reported:
                reported = finished
                progress(finished, len(ours))
    finally:
        if waiting:  # interrupted: the next call must not meet these
            engine.abort_request(list(waiting))
    return [response for name, response in drawn.items() if name in ours]


def _take(response: Drawn, output: Any, ends: Sequence[int], stop: StopStrings) -> bool:
    """Add what was drawn since the last time; returns whether the response has ended itself."""
    clear = len(response.tokens)
    response.tokens.extend(output.token_ids)
    response.logprobs.extend(output.logprobs.logprobs)
    length = stop.shortest(response.tokens, clear) if stop else None
    if length is not None:
        del response.tokens[length:], response.logprobs[length:]
    response.stopped = length is not None or response.tokens[-1] in ends
    return response.stopped


def _parameters(sampling: Sampling, seed: int, ends: Sequence[int], in_pieces: bool) -> Any:
    """vLLM's parameters of one request; tokens come as they are drawn where somebody must look at them."""
    from vllm import SamplingParams
    from vllm.sampling_params import RequestOutputKind

    return SamplingParams(
        temperature=sampling.temperature,
        top_p=sampling.top_p,
        top_k=sampling.top_k,
        max_tokens=sampling.max_tokens,
        seed=seed,
        stop_token_ids=list(ends),
        ignore_eos=True,  # the end tokens are ours
        logprobs=0,  # of the drawn token alone
        flat_logprobs=True,
        detokenize=False,
        output_kind=RequestOutputKind.DELTA if in_pieces else RequestOutputKind.FINAL_ONLY,
    )
