"""Event files back into curves: one, several of a resumed run, a damaged one."""

import struct
from pathlib import Path

import pytest
from tensorboard.compat.tensorflow_stub.pywrap_tensorflow import masked_crc32c

from lit_rlvr.events import event_files, read_events
from tests.report.made import write_events


def test_scalars_and_texts_come_back(tmp_path: Path) -> None:
    write_events(tmp_path, {"train/accuracy": {0: 0.25, 1: 0.5}}, {"samples/train": {0: "**right**"}})
    events, notes = read_events(event_files(tmp_path))
    assert events.scalars == {"train/accuracy": {0: 0.25, 1: 0.5}}
    assert events.texts == {"samples/train": {0: "**right**"}}
    assert notes == []


def test_more_texts_than_tensorboard_keeps_by_default(tmp_path: Path) -> None:
    write_events(tmp_path, {}, {"samples/train": {step: str(step) for step in range(40)}})
    assert list(read_events(event_files(tmp_path))[0].texts["samples/train"]) == list(range(40))


def test_a_resumed_run_replaces_what_came_after_its_checkpoint(tmp_path: Path) -> None:
    write_events(
        tmp_path, {"train/kl": {0: 1.0, 1: 1.0, 2: 1.0, 3: 1.0}, "eval/x/avg@1": {0: 0.25, 2: 0.25}}, suffix=".a"
    )
    write_events(tmp_path, {"train/kl": {2: 5.0}}, suffix=".b")  # went on from the checkpoint after two steps
    files = event_files(tmp_path)
    assert len(files) == 2
    events, _ = read_events(files)
    assert events.scalars["train/kl"] == {0: 1.0, 1: 1.0, 2: 5.0}
    assert events.scalars["eval/x/avg@1"] == {0: 0.25, 2: 0.25}


def test_a_clock_that_was_set_back_loses_nothing(tmp_path: Path) -> None:
    """The names say that the files were made in the order third, first, second."""
    pieces = {".2-first": range(10), ".3-second": range(10, 20), ".1-third": range(20, 30)}
    for suffix, steps in pieces.items():
        write_events(tmp_path / suffix, {"train/kl": {step: float(step) for step in steps}})
        (file,) = event_files(tmp_path / suffix)
        file.rename(tmp_path / f"events.out.tfevents{suffix}")
    events, _ = read_events(event_files(tmp_path))
    assert events.scalars["train/kl"] == {step: float(step) for step in range(30)}
    assert list(events.scalars["train/kl"]) == list(range(30))


def _record(payload: bytes) -> bytes:
    """A record as TFRecord files frame it: length and payload, each with its checksum."""
    length = struct.pack("<Q", len(payload))
    return length + struct.pack("<I", masked_crc32c(length)) + payload + struct.pack("<I", masked_crc32c(payload))


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"nothing of the kind" * 40, "holds no curves"),
        (b"", "holds no curves"),
        (_record(b"\xff\xff\xff"), "cannot be read"),
    ],
)
def test_a_file_that_is_none_costs_itself_alone(tmp_path: Path, content: bytes, said: str) -> None:
    write_events(tmp_path, {"train/kl": {0: 1.0}})
    (tmp_path / "events.out.tfevents.9999999999.broken").write_bytes(content)
    events, notes = read_events(event_files(tmp_path))
    assert events.scalars == {"train/kl": {0: 1.0}}
    assert len(notes) == 1
    assert said in notes[0]


def test_a_file_cut_off_in_the_middle_is_read_up_to_there(tmp_path: Path) -> None:
    write_events(tmp_path, {"train/kl": dict.fromkeys(range(50), 1.0)})
    (file,) = event_files(tmp_path)
    file.write_bytes(file.read_bytes()[:1500])
    steps = list(read_events([file])[0].scalars["train/kl"])
    assert steps == list(range(len(steps)))
    assert 0 < len(steps) < 50
