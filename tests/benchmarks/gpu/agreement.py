"""Part 6: the engine against the trainer in bfloat16, and the tripwire: it must pass as it is, and trip on a spoilt weight.

On a random model of the 1.5B model's shape, and on the embedded tiny policy, which has learned something.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from transformers import AutoTokenizer, PreTrainedModel, PreTrainedTokenizerBase

from lit_rlvr.errors import UserError
from lit_rlvr.experience import Rollouts
from lit_rlvr.models.loading import load_model
from lit_rlvr.models.policy import Policy
from lit_rlvr.rollout.engine import Sampling
from lit_rlvr.rollout.transformers_engine import TransformersEngine
from lit_rlvr.training.tripwire import Tripwire, TripwireConfig
from tests.benchmarks.gpu.job import Job, Result, free
from tests.benchmarks.gpu.learning import TEMPERATURE, parallel_of, random_model, scores
from tests.benchmarks.step.models import TINY, write_tokenizer
from tests.benchmarks.step.works import WORKS, prompt_of

Spoiling = tuple[Callable[[PreTrainedModel], Tensor], Callable[[Tensor], Tensor]]
SPOILT: dict[str, Spoiling] = {
    "embedding, each row its neighbour's": (lambda model: model.get_input_embeddings().weight, lambda w: w.roll(1, 0)),
    "last layer's down projection, negated": (
        lambda model: model.base_model.layers[-1].mlp.down_proj.weight,
        torch.neg,
    ),
}
"""Which weight, and what becomes of it in the trainer alone: a sync that forgot it. A model of random weights says nearly the
same of everything, so on it the second is shown and need not trip."""
MUST_TRIP = {"tiny": set(SPOILT), "random": set(list(SPOILT)[:1])}


def run(job: Job) -> Result:
    """Do the part."""
    tiny = AutoTokenizer.from_pretrained(TINY)
    question = tuple(prompt_of(WORKS["tiny"], tiny)[3])
    folder = job.scratch / "tokenizer"
    write_tokenizer(job.size.config, folder)
    words = AutoTokenizer.from_pretrained(folder)
    random_words = tuple(range(5, 5 + job.size.prompt))

    def of_tiny() -> dict[str, Any]:
        return compare(job, "tiny", load_model(str(TINY), tiny).to(job.device), tiny, question)

    def of_random() -> dict[str, Any]:
        return compare(job, "random", random_model(job.size.config, job.device), words, random_words)

    for kind, compared in (("tiny", of_tiny), ("random", of_random)):
        job.attempt(compared, "models", kind)
        free(job.device)
    found = job.report.content["models"]
    says = "; ".join(f"{name}: {one.get('says', one.get('error'))}" for name, one in found.items())
    return Result(all(one.get("ok", False) for one in found.values()), says)


def compare(
    job: Job, kind: str, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, prompt: tuple[int, ...]
) -> dict[str, Any]:
    """Differences of one model's log-probs between engine and trainer, and what the tripwire says of them.

    Args:
        job: says where, and on how many responses.
        kind: ``tiny`` or ``random``.
        model: float32, on the device.
        tokenizer: of the model.
        prompt: token ids.
    """
    policy = Policy(model, len(tokenizer)).eval()
    sampling = Sampling(n=job.size.agreed, temperature=TEMPERATURE, max_tokens=64)
    found: dict[str, Any] = {}
    engine = TransformersEngine("float32")
    engine.setup(model, tokenizer, job.device)
    drawn = engine.generate([prompt], sampling, seed=0)
    found["float32"] = differences(scores(policy, drawn, half=False), drawn)
    engine.close()
    engine = TransformersEngine("bfloat16")
    engine.setup(model, tokenizer, job.device)
    drawn = engine.generate([prompt], sampling, seed=0)
    found["bfloat16"] = differences(scores(policy, drawn, half=True), drawn)
    found["bfloat16 engine, float32 trainer"] = differences(scores(policy, drawn, half=False), drawn)
    tripwire = Tripwire.of(TripwireConfig(), engine, "bf16-mixed", job.device)

    def probe() -> dict[str, Any]:
        try:
            with torch.autocast(job.device.type, torch.bfloat16):
                mean = tripwire.probe(engine, policy, prompt, sampling, 1, parallel_of(job.device), "In the benchmark")
        except UserError as error:
            return {"trips": True, "says": str(error).partition(",")[2].partition(". ")[0].strip()}
        return {"trips": False, "mean": mean}

    found["tripwire"] = {"limit": tripwire.limit, "as it is": probe()}
    for name, (weight_of, spoil) in SPOILT.items():
        weight = weight_of(model)
        kept = weight.detach().clone()
        with torch.no_grad():
            weight.copy_(spoil(kept))
        found["tripwire"][name] = probe()
        with torch.no_grad():
            weight.copy_(kept)
    trips = {name: said["trips"] for name, said in found["tripwire"].items() if name != "limit"}
    mean, most = found["bfloat16"]["mean"], found["bfloat16"]["max"]
    tripped = {name for name, trip in trips.items() if trip}
    found["ok"] = "as it is" not in tripped and MUST_TRIP[kind] <= tripped
    found["says"] = f"in bfloat16 {mean:.2g} apart (at most {most:.2g}), the tripwire trips for {sorted(tripped)}"
    return found


def differences(scored: Tensor, drawn: Rollouts) -> dict[str, float]:
    """Mean and maximum of |trainer - engine| over response tokens, and the mean log-prob for comparison."""
    apart = (scored - drawn.logprobs).abs().double()
    return {
        "mean": float(f"{apart.mean().item():.3g}"),
        "max": float(f"{apart.max().item():.3g}"),
        "mean_logprob": round(drawn.logprobs.double().mean().item(), 3),
        "tokens": len(scored),
    }
