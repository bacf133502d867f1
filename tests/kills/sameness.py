"""Whether two runs came to the same end: parameters, optimizer, callbacks, history, evaluations, curves, exported policy."""

import json
from collections import Counter
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from tensorboard.backend.event_processing.event_file_loader import RawEventFileLoader
from tensorboard.compat.proto.event_pb2 import Event

from lit_rlvr.events import event_files, read_events


def end_state(run: Path) -> dict[str, Any]:
    """What the last checkpoint holds."""
    checkpoint = torch.load(run / "checkpoints" / "last.ckpt", weights_only=True)
    return {key: checkpoint[key] for key in ("state_dict", "optimizer_states", "global_step", "callbacks")}


def differences(a: Any, b: Any, where: str = "") -> list[str]:
    """Places at which two values differ, to the last bit; "seconds" are a clock's and may."""
    if isinstance(a, torch.Tensor):
        return [] if isinstance(b, torch.Tensor) and torch.equal(a, b) else [where]
    if isinstance(a, dict) and isinstance(b, dict) and a.keys() == b.keys():
        return [d for key in a if key != "seconds" for d in differences(a[key], b[key], f"{where}/{key}")]
    if isinstance(a, list | tuple) and isinstance(b, list | tuple) and len(a) == len(b):
        return [d for i, (x, y) in enumerate(zip(a, b, strict=True)) for d in differences(x, y, f"{where}/{i}")]
    return [] if a == b else [where]


def curves(run: Path) -> dict[str, dict[int, float]]:
    """Every curve of the run but those that the machine decides: seconds, and memory of the process."""
    events, notes = read_events(event_files(run))
    assert not notes, notes
    measured = ("time/", "memory/", "/seconds", "per_second")
    return {tag: points for tag, points in events.scalars.items() if not any(part in tag for part in measured)}


def doubled(run: Path) -> list[str]:
    """Points that stand in the run's event files more than once, whatever a reader would make of them."""
    seen: Counter[tuple[str, int]] = Counter()
    for file in event_files(run):
        for raw in RawEventFileLoader(str(file)).Load():
            event = Event.FromString(raw)
            seen.update((value.tag, event.step) for value in event.summary.value)
    return [f"{tag} at {step}: {n} times" for (tag, step), n in seen.items() if n > 1 and "custom_scalars" not in tag]


def unlike(a: Path, b: Path) -> list[str]:
    """Everything in which run ``b`` did not end as run ``a``; nothing, if it did."""
    found = differences(end_state(a), end_state(b), "checkpoint")
    if (a / "history.json").read_text() != (b / "history.json").read_text():
        found.append("history.json")
    rows = [[json.loads(line) for line in (run / "evaluations.jsonl").read_text().splitlines()] for run in (a, b)]
    found += differences(*rows, "evaluations")
    found += differences(curves(a), curves(b), "curves") + [f"doubled {point}" for point in doubled(b)]
    if (a / "policy").exists() or (b / "policy").exists():
        found += differences(*(load_file(run / "policy" / "model.safetensors") for run in (a, b)), "policy")
    return found
