"""The checkpoints of a run: a file and its manifest, by which a damaged or half-written one is known.

`checkpoints/rl_step=20.ckpt` holds the run after RL step 20, and `rl_step=20.json` says how long it is and what its SHA-256 is.
A checkpoint is whole if it has a manifest and is as the manifest says. The manifest is written last.
"""

import hashlib
import json
from dataclasses import asdict, dataclass, field
from pathlib import Path

from lit_rlvr.files import write_json

FOLDER = "checkpoints"
"""In the folder of a run."""


@dataclass(frozen=True)
class Manifest:
    """What is known of a checkpoint.

    Attributes:
        rl_step: RL steps done.
        bytes: length of the file.
        sha256: of its content, as `sha256sum` prints it.
        events: length in bytes of each TensorBoard file of the run when the checkpoint was written, by name.
        finished: the run came to its end with this checkpoint: evaluated and exported.
    """

    rl_step: int
    bytes: int
    sha256: str
    events: dict[str, int] = field(default_factory=dict)
    finished: bool = False

    def write(self, checkpoint: Path) -> None:
        """Put it beside its checkpoint."""
        write_json(manifest_file(checkpoint), asdict(self))


def manifest_file(checkpoint: Path) -> Path:
    """Where the manifest of a checkpoint is; `last.ckpt` and `best.ckpt` are links."""
    return checkpoint.resolve().with_suffix(".json")


def read_manifest(checkpoint: Path) -> Manifest | None:
    """The manifest of a checkpoint; None if there is none that can be read."""
    try:
        return Manifest(**json.loads(manifest_file(checkpoint).read_text("utf-8")))
    except (OSError, ValueError, TypeError):
        return None


def damage(checkpoint: Path) -> str | None:
    """Why a checkpoint is not whole, or None: it is as its manifest says. Reads the whole file."""
    manifest = read_manifest(checkpoint)
    if manifest is None:
        return "it has no manifest beside it, so nothing says that it was written to its end"
    found = checkpoint.stat().st_size
    if found != manifest.bytes:
        return f"it has {found:,} bytes, and its manifest says {manifest.bytes:,}"
    with open(checkpoint, "rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return None if digest == manifest.sha256 else "its content is not what was written (SHA-256 differs)"


def checkpoint_file(folder: Path, rl_step: int) -> Path:
    """Where a run's folder has the checkpoint of an RL step."""
    return folder / FOLDER / f"rl_step={rl_step}.ckpt"


def checkpoints(folder: Path) -> list[tuple[int, Path]]:
    """The checkpoints of a run's folder with their RL steps, the newest last, whole or not."""
    found = []
    for path in (folder / FOLDER).glob("rl_step=*.ckpt"):
        step = path.stem.partition("=")[2]
        if step.isdigit():
            found.append((int(step), path))
    return sorted(found)


def newest_whole(folder: Path) -> tuple[Path | None, list[str]]:
    """The newest whole checkpoint of a run's folder, and a sentence for each newer one that is not."""
    notes: list[str] = []
    for _, path in reversed(checkpoints(folder)):
        why = damage(path)
        if why is None:
            return path, notes
        notes.append(f"The checkpoint {path} is damaged: {why}.")
    return None, notes
