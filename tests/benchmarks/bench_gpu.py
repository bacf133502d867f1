"""Everything that wants a GPU, in one call of less than eight minutes; figures go to stdout and, as they come, to a file.

    python -m tests.benchmarks.bench_gpu [--out gpu.json] [--model random]

1. The step of the paper's shape: 128 responses of 1,024 tokens from a random model of Qwen2.5-1.5B's shape, by phase, with
   MFU and peak memory (`bench_step --work gpu-1.5b`).
2. The transformers engine as it is and with its layers compiled, on the same model.
3. Numerics: the tiny default in float32 and with bfloat16 forward passes over float32 weights, curve by curve.
4. The tiny default: seconds until its effect shows.

``--small`` does all of it at a size that takes a CPU two minutes, to see that it works.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from lit_rlvr.events import event_files, read_events
from lit_rlvr.rollout.engine import Sampling
from lit_rlvr.rollout.transformers_engine import TransformersEngine
from tests.benchmarks.step.models import TINY, folder_of

REPOSITORY = Path(__file__).resolve().parents[2]
CURVES = ("train/loss", "train/entropy", "train/grad_norm", "train/reward", "rollout/logprob_diff/mean")
LIMIT_S = {"step": 200, "decode": 90, "numerics": 90, "tiny": 90}
"""Seconds of each part: 470 together. What runs over is stopped and said to be missing."""


def bench_step(small: bool) -> dict[str, Any]:
    """One RL step of the paper's shape by phase."""
    work = (
        ["--work", "tiny", "--size", "8x16"] if small else ["--work", "gpu-1.5b", "--size", "128x1024", "--steps", "1"]
    )
    line = [sys.executable, "-m", "tests.benchmarks.bench_step", *work, "--pairs", "1"]
    done = subprocess.run(line, cwd=REPOSITORY, capture_output=True, text=True, timeout=LIMIT_S["step"])
    if done.returncode:
        return {"error": done.stderr[-2000:]}
    return dict(json.loads(done.stdout))


def decode(small: bool, folder: Path, device: torch.device) -> dict[str, Any]:
    """Tokens per second of the engine, plain and with `torch.compile` around the parts of its decoding step."""
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    prompt = torch.randint(5, len(tokenizer), (64,), generator=torch.Generator().manual_seed(0)).tolist()
    sampling = Sampling(n=8 if small else 128, max_tokens=24 if small else 256)
    found: dict[str, Any] = {}
    for way in ("plain", "compiled"):
        engine = TransformersEngine(
            "float16" if small else "auto"
        )  # on CPU others are multiplied by what cannot be compiled
        engine.setup(model, tokenizer, device)
        if way == "compiled":
            # All of a layer but its attention, whose columns grow: the whole step would be compiled anew for each of them.
            for part in ("_qkv", "_rest", "_logits"):
                setattr(engine.decoder, part, torch.compile(getattr(engine.decoder, part), dynamic=True))
        started = time.perf_counter()
        engine.generate([prompt], sampling, seed=0)
        first = time.perf_counter() - started
        rates, tokens = [], []
        for seed in (1, 2, 3):
            started = time.perf_counter()
            drawn = engine.generate([prompt], sampling, seed)
            if device.type == "cuda":
                torch.cuda.synchronize(device)
            rates.append(len(drawn.tokens) / (time.perf_counter() - started))
            tokens.append(drawn.tokens)
        found[way] = {"tokens_per_second": round(statistics.median(rates), 1), "first_call_s": round(first, 1)}
        found[f"{way}_tokens"] = tokens
        engine.close()
    same = zip(found.pop("plain_tokens"), found.pop("compiled_tokens"), strict=True)
    return found | {"same_tokens": all(torch.equal(a, b) for a, b in same)}


def fit(folder: Path, small: bool, *arguments: str) -> tuple[Path, float]:
    """(the run's folder, wall seconds) of the tiny default on the device."""
    where = ["--trainer.accelerator", "cpu" if small else "gpu", "--trainer.logger.init_args.save_dir", str(folder)]
    line = [sys.executable, "-m", "lit_rlvr", "fit", "--config", "configs/tiny.yaml", *where, *arguments]
    started = time.perf_counter()
    subprocess.run(line, cwd=REPOSITORY, check=True, capture_output=True, text=True, timeout=LIMIT_S["numerics"])
    return folder / "tiny" / "version_0", time.perf_counter() - started


def curves(run: Path) -> dict[str, list[float]]:
    """Curve -> its values, RL step by RL step."""
    events, _ = read_events(event_files(run))
    return {name: [round(value, 6) for value in events.scalars[name].values()] for name in CURVES}


def numerics(small: bool, folder: Path) -> dict[str, Any]:
    """The same run in two precisions, without evaluations, and how far apart the curves are in the mean."""
    short = ["--data.rl_steps", "3" if small else "40", "--evaluation.plans", "[]", "--evaluation.endpoint_plans", "[]"]
    found = {
        precision: curves(fit(folder / precision, small, "--trainer.precision", precision, *short)[0])
        for precision in ("32-true", "bf16-mixed")
    }
    apart = {
        name: statistics.mean(abs(a - b) for a, b in zip(*(found[p][name] for p in found), strict=True))
        for name in CURVES
    }
    return {"curves": found, "mean_difference": apart}


def tiny(small: bool, folder: Path) -> dict[str, Any]:
    """Seconds of the whole default, evaluations included, and its accuracy before and after."""
    short = ["--data.rl_steps", "2", "--evaluation.endpoint_plans", "[]"] if small else []
    run, seconds = fit(folder / "tiny", small, *short)
    rows = [json.loads(line) for line in (run / "evaluations.jsonl").read_text().splitlines()]
    greedy = {row["rl_step"]: row["accuracy"] for row in rows if row["k"] == 1}
    return {"seconds": round(seconds, 1), "greedy_accuracy_by_rl_step": greedy}


def main() -> None:
    """All parts, each of which may fail without the others."""
    parser = argparse.ArgumentParser(prog="bench_gpu", description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("gpu.json"))
    parser.add_argument("--small", action="store_true", help="everything at a size for a CPU")
    arguments = parser.parse_args()
    small: bool = arguments.small
    if not small and not torch.cuda.is_available():
        raise SystemExit("bench_gpu needs a CUDA device and found none; --small tries everything on CPU.")
    device = torch.device("cpu" if small else "cuda")
    report: dict[str, Any] = {"device": "cpu" if small else torch.cuda.get_device_name(), "torch": torch.__version__}
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        parts = {
            "step": lambda: bench_step(small),
            "decode": lambda: decode(small, TINY if small else folder_of("1.5b", "random", folder), device),
            "numerics": lambda: numerics(small, folder),
            "tiny": lambda: tiny(small, folder),
        }
        for name, part in parts.items():
            started = time.perf_counter()
            try:
                report[name] = part()
            except Exception as error:  # the other parts' minutes on a lent device are not to be lost with it
                report[name] = {
                    "error": f"{type(error).__name__}: {error} {getattr(error, 'stderr', '') or ''}"[-2000:]
                }
            report[name]["part_s"] = round(time.perf_counter() - started, 1)
            arguments.out.write_text(json.dumps(report, indent=1))
            print(name, json.dumps(report[name])[:600], flush=True)


if __name__ == "__main__":
    main()
