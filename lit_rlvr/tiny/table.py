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

SAMPLED = 0.6
CURVES = [{"benchmark": "tiny500"}, {"benchmark": "tiny500", "samples": 2, "temperature": SAMPLED}]
"""What the main row evaluates along the way: the others need only the end."""

ARMS: dict[str, tuple[str, list[str]]] = {
    "one-shot": ("one problem, `tiny/pi1`", ["--evaluation.plans", json.dumps(CURVES)]),
    "pi2": ("another equation, `tiny/pi2`", ["--data.source", "tiny/pi2"]),
    "number": ("a problem of another family, `tiny/number`", ["--data.source", "tiny/number"]),
    "format-only": ("format-only reward", ["--config", "configs/ablation/format_reward.yaml"]),
    "random": ("random reward", ["--config", "configs/ablation/random_reward.yaml"]),
    "wrong-label": ("wrong label (24, the result half-way)", ["--data.label", "24"]),
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


def evaluations(run: Path, temperature: float, k: int) -> list[Row]:
    """Those of one decoding, in order of the RL step."""
    return [row for row in read_rows(run) if row["temperature"] == temperature and row["k"] == k]


def spread(values: list[float]) -> str:
    """Mean and sample standard deviation, as the table shows them."""
    deviation = statistics.stdev(values) if len(values) > 1 else 0.0
    return f"{statistics.fmean(values):.1f} ± {deviation:.1f}"


def make_table(folders: dict[str, list[Path]]) -> str:
    """The Markdown table: base model, then a line per arm; mean and standard deviation over seeds."""
    lines = ["| | greedy % | avg@8 at 0.6 % | train accuracy, last 10 steps % | CPU s |", "|---|---|---|---|---|"]
    for runs in list(folders.values())[:1]:
        base = [100 * evaluations(runs[0], t, k)[0]["accuracy"] for t, k in ((0.0, 1), (SAMPLED, 8))]
        lines.append(f"| base | {base[0]:.1f} | {base[1]:.1f} | | |")
    for arm, runs in folders.items():
        ends = [[100 * evaluations(run, t, k)[-1]["accuracy"] for run in runs] for t, k in ((0.0, 1), (SAMPLED, 8))]
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


def saturation_step(run: Path, threshold: float = 0.99, window: int = 10) -> int | None:
    """RL steps after which the last `window` training accuracies of a one-problem run first average `threshold`."""
    history = next(iter(json.loads((run / "history.json").read_text()).values()))
    means = (statistics.fmean(history[step - window : step]) for step in range(window, len(history) + 1))
    return next((step for step, mean in enumerate(means, window) if mean >= threshold), None)


def mcnemar(before: list[int], after: list[int]) -> tuple[int, int, float]:
    """Exact two-sided McNemar test on 0/1 outcomes of the same problems: (gained, lost, p)."""
    gained = sum(b < a for b, a in zip(before, after, strict=True))
    lost = sum(b > a for b, a in zip(before, after, strict=True))
    changed = gained + lost
    tail = sum(math.comb(changed, i) for i in range(max(gained, lost), changed + 1)) / 2**changed if changed else 0.5
    return gained, lost, min(1.0, 2 * tail)


def paired_z(before: list[int], after: list[int]) -> float:
    """Two-sided p of the mean difference per problem (normal approximation), for counts of right samples."""
    differences = [a - b for b, a in zip(before, after, strict=True)]
    error = statistics.stdev(differences) / math.sqrt(len(differences))
    return 1.0 if error == 0 else math.erfc(abs(statistics.fmean(differences)) / error / math.sqrt(2))


def make_saturation_table(runs: list[Path]) -> str:
    """Held-out accuracy when the training problem is solved and at the end, paired over the problems, per seed."""
    lines = [
        "| seed | solved at RL step | greedy % then -> end | gained, lost | p | avg@2 at 0.6 % then -> end | p |",
        "|---|---|---|---|---|---|---|",
    ]
    for run in runs:
        step = saturation_step(run)
        since = [
            [row for row in evaluations(run, t, k) if step is not None and row["rl_step"] >= step]
            for t, k in ((0.0, 1), (SAMPLED, 2))
        ]
        if min(map(len, since)) < 2:
            lines.append(f"| {run.name} | not before the end | | | | | |")
            continue
        (greedy, greedy_end), (drawn, drawn_end) = ((rows[0], rows[-1]) for rows in since)
        gained, lost, p = mcnemar(greedy["correct"], greedy_end["correct"])
        lines.append(
            f"| {run.name} | {step} | {100 * greedy['accuracy']:.1f} -> {100 * greedy_end['accuracy']:.1f} | {gained}, {lost} "
            f"| {p:.2g} | {100 * drawn['accuracy']:.1f} -> {100 * drawn_end['accuracy']:.1f} "
            f"| {paired_z(drawn['correct'], drawn_end['correct']):.2g} |"
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
    if "one-shot" in runs:
        print(f"\n{make_saturation_table(runs['one-shot'])}")


if __name__ == "__main__":
    main()
