"""The page of TensorBoard's custom scalars: what should be looked at together, on one chart."""

import re
from collections.abc import Sequence

from lit_rlvr.names import METRICS, evaluation_metrics

Layout = dict[str, dict[str, list[str | list[str]]]]
"""Category -> chart -> [kind of chart, tags], as ``SummaryWriter.add_custom_scalars`` takes it."""


def custom_layout(benchmarks: Sequence[tuple[str, int]]) -> Layout:
    """Training accuracy beside test accuracy; entropy, length and KL; where the time goes.

    Args:
        benchmarks: (benchmark, responses per problem) of every evaluation of the run.
    """
    curves = {benchmark: evaluation_metrics(benchmark, k)["accuracy"] for benchmark, k in benchmarks}
    every = dict.fromkeys(evaluation_metrics(benchmark, k)["accuracy"] for benchmark, k in benchmarks)
    accuracy = {"training and test accuracy": _chart("train/accuracy", *every)}
    if len(curves) > 1:
        for benchmark in curves:
            own = dict.fromkeys(evaluation_metrics(b, k)["accuracy"] for b, k in benchmarks if b == benchmark)
            accuracy[f"training and {benchmark}"] = _chart("train/accuracy", *own)
    phases = [name for name in METRICS if name.startswith("time/") and name != "time/step"]
    return {
        "accuracy": accuracy,
        "policy": {
            "entropy": _chart("train/entropy"),
            "response length": _chart("rollout/length/mean", "rollout/length/max"),
            "KL to the reference": _chart("train/kl"),
        },
        "time": {"phases": _chart(*phases), "RL step": _chart("time/step")},
    }


def _chart(*tags: str) -> list[str | list[str]]:
    # TensorBoard reads tags as regular expressions that need only match the beginning: without its end marked,
    # train/accuracy would also draw train/accuracy/window.
    return ["Multiline", [f"{re.escape(tag)}$" for tag in tags]]
