"""What the report consists of: sections of text, tables, pictures and responses, before they are Markdown or HTML."""

from dataclasses import dataclass, field
from pathlib import Path

from lit_rlvr.report.samples import Sample

DENSITY = 1.5
"""Pixels of a figure per CSS pixel, so that it is sharp on a dense screen too."""


@dataclass(frozen=True)
class Text:
    """A paragraph."""

    text: str


@dataclass(frozen=True)
class Items:
    """A list of sentences."""

    sentences: tuple[str, ...]


@dataclass(frozen=True)
class Table:
    """Rows of cells. The first ``text`` columns and those in ``words`` are text, the others numbers, set to the right."""

    name: str
    caption: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    text: int = 1
    words: tuple[str, ...] = ()

    @property
    def is_text(self) -> tuple[bool, ...]:
        """Of each column."""
        return tuple(i < self.text or name in self.words for i, name in enumerate(self.header))


@dataclass(frozen=True)
class Picture:
    """A figure that has been written: its file below the output folder, what it shows, and that in words."""

    name: str
    file: Path
    caption: str
    alternative: str


@dataclass(frozen=True)
class Responses:
    """Responses side by side, each under a heading; a reader opens and closes them together."""

    name: str
    title: str
    columns: tuple[tuple[str, tuple[Sample, ...]], ...]
    opened: bool = False


Block = Text | Items | Table | Picture | Responses


@dataclass(frozen=True)
class Section:
    """A heading and what stands below it."""

    anchor: str
    title: str
    blocks: tuple[Block, ...] = field(default_factory=tuple)
