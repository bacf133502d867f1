"""`python -m lit_rlvr.tiny.table`: the README's table of the tiny default. Every row is `lit-rlvr fit` with an override.

Runs that are already there are read, not repeated, so an interrupted table goes on where it stopped.
"""

import argparse
import json
import math
import os
import statistics
import sys
from pathlib import Path
from typing import Any

from lit_rlvr.files import write_json

ARMS: dict[str, tuple[str, list[str]]] = {
    "one-shot": ("one problem", []),
    "other-problem": ("one problem of another family", ["--data.source", "tiny/word"]),
    "format-only": ("format-only reward", ["--config", "configs/ablation/format_reward.yaml"]),
    "random": ("random reward", ["--config", "configs/ablation/random_reward.yaml"]),
    "wrong-label": ("wrong label", ["--data.label", "777"]),
    "entropy-only": ("entropy bonus only", ["--config", "configs/ablation/entropy_only.yaml"]),
    "full-set": ("512 problems", ["--config", "configs/ablation/tiny_full_set.yaml"]),
}
"""Row name -> what it is called in the table, and what it adds to `lit-rlvr fit --config configs/tiny.yaml`."""

Row = dict[str, Any]


def run_arm(arm: str, seed: int, root: Path, extra: list[str]) -> Path:
    """Train one arm with one seed in a process of its own, unless its `done.json` is there; returns its folder."""
    folder = root / arm / f"seed-{seed}"
    if (folder / "done.json").is_file():
        return folder
    command = [sys.executable, "-m", "lit_rlvr.cli", "fit", "--config", "configs/tiny.yaml", *ARMS[arm][1], *extra]
    command += ["--seed_everything", str(seed)]
    for key, value in (("save_dir", root), ("name", arm), ("version", f"seed-{seed}")):
        command += [f"--trainer.logger.init_args.{key}", str(value)]
    print(" ".join(command[1:]), flush=True)
    pid = os.spawnv(os.P_NOWAIT, sys.executable, command)
    _, status, usage = os.wait4(pid, 0)
    if status:
        raise SystemExit(f"{arm}, seed {seed}: lit-rlvr fit ended with status {os.waitstatus_to_exitcode(status)}.")
    write_json(folder / "done.json", {"cpu_seconds": round(usage.ru_utime + usage.ru_stime, 1)})
    return folder


def read_rows(folder: Path) -> list[Row]:
    """The evaluations of a run."""
    return [json.loads(line) for line in (folder / "evaluations.jsonl").read_text("utf-8").splitlines()]


def accuracies(rows: list[Row], temperature: float) -> list[tuple[int, float]]:
    """(RL step, accuracy in percent) of one decoding, in order."""
    return [(row["rl_step"], 100 * row["accuracy"]) for row in rows if row["temperature"] == temperature]


def spread(values: list[float]) -> str:
    """Mean and sample standard deviation, as the table shows them."""
    deviation = statistics.stdev(values) if len(values) > 1 else 0.0
    return f"{statistics.fmean(values):.1f} ± {deviation:.1f}"


def make_table(folders: dict[str, list[Path]]) -> str:
    """The Markdown table: base model, then a line per arm; mean and standard deviation over seeds."""
    sampled = 0.6
    lines = ["| | greedy % | avg@8 at 0.6 % | train accuracy, last 10 steps % | CPU s |", "|---|---|---|---|---|"]
    base = [rows for runs in folders.values() for rows in map(read_rows, runs)]
    if base:
        first = [accuracies(base[0], t)[0][1] for t in (0.0, sampled)]
        lines.append(f"| base | {first[0]:.1f} | {first[1]:.1f} | | |")
    for arm, runs in folders.items():
        ends = [[accuracies(read_rows(run), t)[-1][1] for run in runs] for t in (0.0, sampled)]
        train = [100 * last_accuracy(run) for run in runs]
        cpu = [json.loads((run / "done.json").read_text())["cpu_seconds"] for run in runs]
        lines.append(
            f"| {ARMS[arm][0]} | {spread(ends[0])} | {spread(ends[1])} | {spread(train)} | {statistics.median(cpu):.0f} |"
        )
    return "\n".join(lines)


def last_accuracy(run: Path, window: int = 10) -> float:
    """Mean training accuracy over the run's last steps, from `history.json` (problem -> one accuracy per pass)."""
    history = json.loads((run / "history.json").read_text())
    tails = [value for passes in history.values() for value in passes[-window if len(history) == 1 else -1 :]]
    return statistics.fmean(tails)


def after_saturation(run: Path, threshold: float = 0.99, window: int = 10) -> tuple[int, Row, Row] | None:
    """(saturation step, greedy evaluation at or after it, last greedy evaluation); None if never saturated.

    The saturation step is the first whose `window` last training accuracies average at least `threshold`.
    """
    history = next(iter(json.loads((run / "history.json").read_text()).values()))
    for step in range(window, len(history) + 1):
        if statistics.fmean(history[step - window : step]) >= threshold:
            greedy = [row for row in read_rows(run) if row["temperature"] == 0 and row["rl_step"] >= step]
            return (step, greedy[0], greedy[-1]) if len(greedy) > 1 else None
    return None


def mcnemar(before: list[int], after: list[int]) -> tuple[int, int, float]:
    """Exact two-sided McNemar test on 0/1 outcomes of the same problems: (gained, lost, p)."""
    gained = sum(b < a for b, a in zip(before, after, strict=True))
    lost = sum(b > a for b, a in zip(before, after, strict=True))
    changed = gained + lost
    tail = sum(math.comb(changed, i) for i in range(max(gained, lost), changed + 1)) / 2**changed if changed else 0.5
    return gained, lost, min(1.0, 2 * tail)


def make_saturation_table(runs: list[Path]) -> str:
    """Held-out accuracy at saturation of the training problem and at the end, paired over the problems, per seed."""
    lines = [
        "| seed | saturated at RL step | greedy % then | at the end | gained / lost | McNemar p |",
        "|---|---|---|---|---|---|",
    ]
    for run in runs:
        found = after_saturation(run)
        if found is None:
            lines.append(f"| {run.name} | not before the end | | | | |")
            continue
        step, then, end = found
        gained, lost, p = mcnemar(then["correct"], end["correct"])
        lines.append(
            f"| {run.name} | {step} | {100 * then['accuracy']:.1f} (step {then['rl_step']}) | {100 * end['accuracy']:.1f} "
            f"(step {end['rl_step']}) | {gained} / {lost} | {p:.3g} |"
        )
    return "\n".join(lines)


def main() -> None:
    """Run what is missing, print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--root", type=Path, default=Path("runs/table"))
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--arms", nargs="+", choices=list(ARMS), default=list(ARMS))
    parser.add_argument("--extra", nargs=argparse.REMAINDER, default=[], help="more arguments for every lit-rlvr fit")
    options = parser.parse_args()
    runs = {arm: [run_arm(arm, seed, options.root, options.extra) for seed in options.seeds] for arm in options.arms}
    print(make_table(runs))
    for arm in ("one-shot", "other-problem"):
        if arm in runs:
            print(f"\n{ARMS[arm][0]}, after saturation:\n{make_saturation_table(runs[arm])}")


if __name__ == "__main__":
    main()
