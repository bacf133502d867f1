"""TensorBoard's event files of a run -> curves and sample texts. A resumed run has several, which are joined here."""

from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple, TypeVar

from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

PATTERN = "events.out.tfevents*"
_TEXT = "/text_summary"  # what the writer adds to the tag of a text
_ALL = 0
_LIMITS = {"scalars": _ALL, "tensors": _ALL, "histograms": 1, "images": 1, "audio": 1, "compressedHistograms": 1}
Value = TypeVar("Value")


class Events(NamedTuple):
    """Tag -> RL step -> value, steps rising."""

    scalars: dict[str, dict[int, float]]
    texts: dict[str, dict[int, str]]


def event_files(folder: Path) -> list[Path]:
    """The event files of a folder, oldest first: their names begin with the second they were opened in."""
    return sorted(folder.glob(PATTERN), key=lambda path: path.name)


def read_events(files: Iterable[Path]) -> tuple[Events, list[str]]:
    """Everything in the files, and a sentence for each that cannot be read.

    Where a later file begins again at a step that an earlier one had passed (a run resumed from its last checkpoint), the
    later one holds from there on: what came after the checkpoint in the earlier one was never part of the policy.
    """
    scalars: dict[str, list[dict[int, float]]] = {}
    texts: dict[str, list[dict[int, str]]] = {}
    notes = []
    for file in files:
        try:
            one = _read(file)
        except Exception as error:  # the reader's protobuf, or whatever it is that it stumbles over
            notes.append(
                f"{file} cannot be read as TensorBoard events ({type(error).__name__}): its curves are missing."
            )
            continue
        if not one.scalars and not one.texts:
            notes.append(f"{file} holds no curves and no samples: the run has not begun, or the file is damaged.")
        for tag, values in one.scalars.items():
            scalars.setdefault(tag, []).append(values)
        for tag, lines in one.texts.items():
            texts.setdefault(tag, []).append(lines)
    return Events({t: _joined(p) for t, p in scalars.items()}, {t: _joined(p) for t, p in texts.items()}), notes


def _joined(parts: list[dict[int, Value]]) -> dict[int, Value]:
    """One curve of the files' pieces of it, oldest first by the clock."""
    ordered: list[dict[int, Value]] = []
    for part in parts:
        place = len(ordered)
        while place and min(ordered[place - 1]) > max(part):  # the clock was set back between the two
            place -= 1
        ordered.insert(place, part)
    curve: dict[int, Value] = {}
    for part in ordered:
        start = min(part)
        curve = {step: value for step, value in curve.items() if step < start} | dict(sorted(part.items()))
    return curve


def _read(file: Path) -> Events:
    accumulator = EventAccumulator(str(file), size_guidance=_LIMITS)
    accumulator.Reload()
    tags = accumulator.Tags()
    scalars = {tag: {e.step: float(e.value) for e in accumulator.Scalars(tag)} for tag in tags["scalars"]}
    texts = {
        tag.removesuffix(_TEXT): {
            e.step: e.tensor_proto.string_val[0].decode("utf-8", "replace")
            for e in accumulator.Tensors(tag)
            if e.tensor_proto.string_val
        }
        for tag in tags["tensors"]
        if tag.endswith(_TEXT)
    }
    return Events({t: v for t, v in scalars.items() if v}, {t: v for t, v in texts.items() if v})
