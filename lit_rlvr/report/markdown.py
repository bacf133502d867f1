"""The report as Markdown: the blocks of `page.py` -> `report.md`, with its pictures beside it.

Every text is plain: markup in it, whoever wrote it, is shown and never obeyed. Backticks alone mean code.
"""

import re
from collections.abc import Sequence
from pathlib import Path

from lit_rlvr.escape import printable
from lit_rlvr.report.page import Block, Items, Picture, Responses, Section, Table, Text
from lit_rlvr.report.samples import Sample

# What would begin markup: a backslash, star, tick or angle bracket, an underscore at the edge of a word, the middle of a link.
_MARKUP = re.compile(r"[\\*`<~]|(?<![^\W_])_|_(?![^\W_])|(?<=\])\(")


def to_markdown(title: str, sections: Sequence[Section], folder: Path) -> str:
    """The report as Markdown; pictures are named relative to ``folder``."""
    parts = [f"# {_inline_markdown(title)}"]
    for section in sections:
        parts.append(f"## {_inline_markdown(section.title)}")
        parts += [_block_markdown(block, folder) for block in section.blocks]
    return "\n\n".join(parts) + "\n"


def _block_markdown(block: Block, folder: Path) -> str:
    match block:
        case Text():
            return _inline_markdown(block.text)
        case Items():
            return "\n".join(f"- {_inline_markdown(sentence)}" for sentence in block.sentences)
        case Table():
            rules = ["---" if text else "---:" for text in block.is_text]
            lines = ["| " + " | ".join(map(_cell_markdown, row)) + " |" for row in (block.header, *block.rows)]
            lines.insert(1, "|" + "|".join(rules) + "|")
            return "\n".join(lines) + f"\n\n*{_inline_markdown(block.caption)}*"
        case Picture():
            alternative = _inline_markdown(block.alternative).replace("]", "\\]")
            return (
                f"![{alternative}]({block.file.relative_to(folder).as_posix()})\n\n*{_inline_markdown(block.caption)}*"
            )
        case Responses():
            parts = [f"### {_inline_markdown(block.title)}"]
            for heading, samples in block.columns:
                parts += [f"**{_inline_markdown(heading)}**", *(_fenced(sample) for sample in samples)]
            return "\n\n".join(parts)


def _inline_markdown(text: str) -> str:
    """Code in backticks stays; elsewhere what Markdown or HTML would take for markup is disarmed."""
    pieces = re.split(r"(`[^`\n]+`)", " ".join(printable(text).split()))
    return "".join(piece if i % 2 else _MARKUP.sub(r"\\\g<0>", piece) for i, piece in enumerate(pieces))


def _cell_markdown(text: str) -> str:
    return _inline_markdown(text).replace("|", "\\|")


def _fenced(sample: Sample) -> str:
    """A response as a code block, whose fence is longer than any in it."""
    body = printable(f"{sample.head}\n\n{sample.body}".strip())
    longest = max((len(run) for run in re.findall(r"`+", body)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}text\n{body}\n{fence}"
