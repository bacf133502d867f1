"""Run folders with known numbers, as `lit-rlvr fit` would have left them: real event files, hand-made rows and configs."""

import copy
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml
from torch.utils.tensorboard import SummaryWriter

from lit_rlvr.callbacks.samples import evaluation_text
from lit_rlvr.experience import Problem
from lit_rlvr.rewards.verdict import Kind, Verdict

TINY: dict[str, Any] = {
    "seed_everything": 0,
    "trainer": {"logger": {"init_args": {"save_dir": "somewhere", "version": "seed-0"}}, "default_root_dir": None},
    "model": {
        "policy": "checkpoints/tiny-base",
        "algorithm": {
            "class_path": "lit_rlvr.algorithms.grpo.GRPO",
            "init_args": {
                "group": "row",
                "baseline": "mean",
                "scale": "std",
                "kl_coefficient": 0.001,
                "entropy_coefficient": 0.001,
            },
        },
        "reward": {"class_path": "lit_rlvr.rewards.rewards.AnswerReward"},
    },
    "data": {"source": "tiny", "select": None, "rl_steps": 20, "label": None, "wrong_label_share": 0.0},
    "saturation": {"window": 10, "threshold": 0.99},
}
"""The keys of a `config.yaml` that the report reads."""

PAPER: dict[str, Any] = {
    "seed_everything": 0,
    "model": {
        "policy": "Qwen/Qwen2.5-Math-1.5B",
        "algorithm": {
            "class_path": "lit_rlvr.algorithms.grpo.GRPO",
            "init_args": {
                "group": "row",
                "baseline": "mean",
                "scale": "std",
                "clip_low": 0.2,
                "clip_high": 0.2,
                "policy_coefficient": 1.0,
                "kl_coefficient": 0.001,
                "kl_estimator": "k3",
                "entropy_coefficient": 0.001,
            },
        },
        "reward": {"class_path": "lit_rlvr.rewards.rewards.AnswerReward"},
        "sampling": {"n": 8, "temperature": 0.6, "max_tokens": 3072},
        "optimizer": {"class_path": "torch.optim.AdamW", "init_args": {"lr": 1e-06, "weight_decay": 0.01}},
    },
    "data": {
        "source": "pi13",
        "select": None,
        "rows": 128,
        "rl_steps": 2000,
        "template": "chat",
        "label": None,
        "wrong_label_share": 0.0,
    },
}
"""That of `configs/paper.yaml` with Qwen2.5-Math-1.5B and pi13."""

SIX = {
    "math500": (500, 1, 0.0),
    "aime24": (30, 8, 0.6),
    "aime25": (30, 8, 0.6),
    "amc23": (40, 8, 0.6),
    "minerva": (272, 1, 0.0),
    "olympiadbench": (675, 1, 0.0),
}
"""Benchmark -> (problems, responses per problem, temperature), as the paper evaluates."""


def changed(config: Mapping[str, Any], **values: Any) -> dict[str, Any]:
    """A copy of a configuration with other values at dotted keys, whose dots are written ``__``."""
    copied = copy.deepcopy(dict(config))
    for path, value in values.items():
        *sections, last = path.split("__")
        place = copied
        for section in sections:
            place = place.setdefault(section, {})
        place[last] = value
    return copied


def row(step: int, correct: Sequence[int], k: int = 1, temperature: float = 0.0, **values: Any) -> dict[str, Any]:
    """A row of `evaluations.jsonl` as older versions wrote it, with more keys in ``values``."""
    return {
        "rl_step": step,
        "benchmark": "tiny500",
        "problems": len(correct),
        "k": k,
        "temperature": temperature,
        "accuracy": sum(correct) / len(correct) / k,
        "stderr": 0.01,
        "limit": None,
        "correct": list(correct),
    } | values


def paper_row(step: int, benchmark: str, accuracy: float, stderr: float = 0.02, **values: Any) -> dict[str, Any]:
    """A row of one of the six benchmarks, evaluated as the paper does."""
    problems, k, temperature = SIX[benchmark]
    decoding = {"benchmark": benchmark, "problems": problems, "k": k, "temperature": temperature, "max_tokens": 3072}
    return {"rl_step": step, **decoding, "accuracy": accuracy, "stderr": stderr, "limit": None} | values


def write_run(
    folder: Path,
    config: Mapping[str, Any] | None = TINY,
    rows: Sequence[Mapping[str, Any]] = (),
    history: Mapping[str, Sequence[float]] | None = None,
    scalars: Mapping[str, Mapping[int, float]] | None = None,
    texts: Mapping[str, Mapping[int, str]] | None = None,
) -> Path:
    """A run folder with whatever is given."""
    folder.mkdir(parents=True, exist_ok=True)
    if config is not None:
        (folder / "config.yaml").write_text(yaml.safe_dump(dict(config)), "utf-8")
    if rows:
        (folder / "evaluations.jsonl").write_text("".join(json.dumps(r) + "\n" for r in rows), "utf-8")
    if history is not None:
        (folder / "history.json").write_text(json.dumps(history), "utf-8")
    if scalars or texts:
        write_events(folder, scalars or {}, texts or {})
    return folder


def write_events(
    folder: Path,
    scalars: Mapping[str, Mapping[int, float]],
    texts: Mapping[str, Mapping[int, str]] | None = None,
    suffix: str = "",
) -> None:
    """One event file; ``suffix`` ends its name, so that several written in one second keep their order."""
    with SummaryWriter(str(folder), filename_suffix=suffix) as writer:
        for tag, values in scalars.items():
            for step, value in values.items():
                writer.add_scalar(tag, value, step)
        for tag, of in (texts or {}).items():
            for step, text in of.items():
                writer.add_text(tag, text, step)


def sample_text(*samples: tuple[str, bool, str]) -> str:
    """The sample text of an evaluation: (problem id, right, response) each."""
    return evaluation_text(
        [
            (
                Problem(problem, f"question of {problem}", "gold"),
                response,
                Verdict(Kind.RIGHT if right else Kind.WRONG, "read"),
            )
            for problem, right, response in samples
        ]
    )
