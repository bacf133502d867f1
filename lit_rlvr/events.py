"""TensorBoard's event files of a run -> curves and sample texts. A resumed run has several, which are joined here."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

PATTERN = "events.out.tfevents*"
_TEXT = "/text_summary"  # what the writer adds to the tag of a text
_ALL = 0
_LIMITS = {"scalars": _ALL, "tensors": _ALL, "histograms": 1, "images": 1, "audio": 1, "compressedHistograms": 1}


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
    events, notes = Events({}, {}), []
    for file in files:
        try:
            scalars, texts = _read(file)
        except Exception as error:  # the reader's protobuf, or whatever it is that it stumbles over
            notes.append(
                f"{file} cannot be read as TensorBoard events ({type(error).__name__}): its curves are missing."
            )
            continue
        if not scalars and not texts:
            notes.append(f"{file} holds no curves and no samples: the run has not begun, or the file is damaged.")
        for joined, found in ((events.scalars, scalars), (events.texts, texts)):
            for tag, values in found.items():
                _append(joined.setdefault(tag, {}), values)
    return events, notes


def _append(earlier: dict[int, Any], later: dict[int, Any]) -> None:
    start = min(later)
    for step in [step for step in earlier if step >= start]:
        del earlier[step]
    earlier.update(sorted(later.items()))


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
