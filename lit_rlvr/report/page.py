"""What the report consists of, and how it is written: the same sections as Markdown and as one HTML page.

Every text that comes here is plain: markup in it, whoever wrote it, is shown and never obeyed. Backticks alone mean code.
"""

import base64
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from lit_rlvr.escape import escape, printable
from lit_rlvr.report.samples import Sample

GENERATOR = "lit-rlvr report"
"""Stands in the page's head, so that a later report knows an earlier one, which it may replace."""


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
    """Rows of cells; columns after the first ``text`` ones are numbers, set to the right."""

    name: str
    caption: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    text: int = 1


@dataclass(frozen=True)
class Picture:
    """A figure that has been written: its file below the output folder, what it shows, and what a reader who cannot see it is told."""

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


# Markdown.


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
            rules = ["---"] * block.text + ["---:"] * (len(block.header) - block.text)
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
    return "".join(p if i % 2 else re.sub(r"([\\*_<>\[\]#`])", r"\\\1", p) for i, p in enumerate(pieces))


def _cell_markdown(text: str) -> str:
    return _inline_markdown(text).replace("|", "\\|")


def _fenced(sample: Sample) -> str:
    """A response as a code block, whose fence is longer than any in it."""
    body = printable(f"{_head(sample)}\n\n{_body(sample)}".strip())
    longest = max((len(run) for run in re.findall(r"`+", body)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}text\n{body}\n{fence}"


def _head(sample: Sample) -> str:
    return ", ".join(part for part in (sample.verdict, sample.facts) if part)


def _body(sample: Sample) -> str:
    if not sample.problem:
        return sample.response
    return f"{sample.question}\n\ngold: {sample.gold}   read as: {sample.answer}\n\n{sample.response}"


# HTML.

STYLE = """
:root { color: #1a1a1a; background: #fff; font: 16px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", sans-serif; }
body { max-width: 62rem; margin: 2rem auto 4rem; padding: 0 1.25rem; }
h1 { font-size: 1.7rem; line-height: 1.25; margin: 0 0 1rem; }
h2 { font-size: 1.25rem; margin: 2.6rem 0 .6rem; padding-top: .6rem; border-top: 1px solid #d5d5d5; }
p, li { max-width: 46rem; }
nav ol { columns: 2; padding-left: 1.4rem; margin: 0; }
nav a, a { color: #005a9c; text-decoration: none; } a:hover { text-decoration: underline; }
figure { margin: 1.4rem 0; } figure img { display: block; max-width: 100%; height: auto; }
figcaption, caption { color: #4a4a4a; font-size: .875rem; line-height: 1.4; text-align: left; max-width: 52rem; }
figcaption { margin-top: .4rem; }
.scroll { overflow-x: auto; margin: 1.2rem 0; }
table { border-collapse: collapse; font-size: .875rem; font-variant-numeric: tabular-nums; }
caption { caption-side: bottom; padding-top: .5rem; }
th, td { padding: .32rem .7rem; border-bottom: 1px solid #e3e3e3; text-align: right; vertical-align: top; }
th { border-bottom: 2px solid #1a1a1a; vertical-align: bottom; font-weight: 600; }
.t { text-align: left; }
code { font: .875em ui-monospace, "DejaVu Sans Mono", Menlo, Consolas, monospace; background: #f3f3f3; padding: .05em .25em; border-radius: 3px; overflow-wrap: anywhere; }
details { margin: .8rem 0; border: 1px solid #d5d5d5; border-radius: 4px; padding: .5rem .9rem; }
summary { cursor: pointer; font-weight: 600; }
.columns { display: grid; grid-template-columns: repeat(auto-fit, minmax(15rem, 1fr)); gap: 1rem; margin-top: .6rem; }
.columns h3 { font-size: .9rem; margin: .2rem 0 .3rem; }
.verdict { font-size: .82rem; color: #4a4a4a; margin: .5rem 0 .2rem; }
pre { font: .78rem/1.45 ui-monospace, "DejaVu Sans Mono", Menlo, Consolas, monospace; background: #f7f7f7; border-left: 3px solid #b8b8b8; margin: 0 0 .6rem; padding: .5rem .7rem; white-space: pre-wrap; overflow-wrap: anywhere; max-height: 24rem; overflow-y: auto; unicode-bidi: isolate; }
pre.right { border-left-color: #009e73; } pre.wrong { border-left-color: #d55e00; }
@media print { pre { max-height: none; } body { margin: 0; max-width: none; } }
""".strip()

# Nothing is loaded and nothing runs, whatever slips into the page.
_POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"


def to_html(title: str, sections: Sequence[Section]) -> str:
    """The report as one page: pictures inside it, no script, nothing loaded."""
    contents = "".join(f'<li><a href="#{s.anchor}">{_inline_html(s.title)}</a></li>' for s in sections)
    body = "\n".join(
        f'<section id="{section.anchor}">\n<h2>{_inline_html(section.title)}</h2>\n'
        + "\n".join(_block_html(block) for block in section.blocks)
        + "\n</section>"
        for section in sections
    )
    return (
        f'<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n<meta http-equiv="Content-Security-Policy" '
        f'content="{_POLICY}">\n<meta name="viewport" content="width=device-width, initial-scale=1">\n<meta name="generator" '
        f'content="{GENERATOR}">\n<title>{escape(title)}</title>\n<style>\n{STYLE}\n</style>\n</head>\n<body>\n'
        f"<h1>{_inline_html(title)}</h1>\n<nav><ol>{contents}</ol></nav>\n{body}\n</body>\n</html>\n"
    )


def _block_html(block: Block) -> str:
    match block:
        case Text():
            return f"<p>{_inline_html(block.text)}</p>"
        case Items():
            return "<ul>" + "".join(f"<li>{_inline_html(s)}</li>" for s in block.sentences) + "</ul>"
        case Table():
            head = _row_html("th", block.header, block.text)
            body = "\n".join(_row_html("td", row, block.text) for row in block.rows)
            return (
                f'<div class="scroll"><table id="table-{block.name}">\n<caption>{_inline_html(block.caption)}</caption>\n'
                f"<thead>{head}</thead>\n<tbody>\n{body}\n</tbody></table></div>"
            )
        case Picture():
            data = base64.b64encode(block.file.read_bytes()).decode("ascii")
            return (
                f'<figure id="figure-{block.name}"><img alt="{escape(block.alternative, quote=True)}" '
                f'src="data:image/png;base64,{data}">\n<figcaption>{_inline_html(block.caption)}</figcaption></figure>'
            )
        case Responses():
            columns = "".join(
                f"<div><h3>{_inline_html(heading)}</h3>{''.join(map(_sample_html, samples))}</div>"
                for heading, samples in block.columns
            )
            return (
                f'<details id="samples-{block.name}"{" open" if block.opened else ""}><summary>{_inline_html(block.title)}'
                f'</summary><div class="columns">{columns}</div></details>'
            )


def _inline_html(text: str) -> str:
    pieces = re.split(r"`([^`\n]+)`", text)
    return "".join(f"<code>{escape(p)}</code>" if i % 2 else escape(p) for i, p in enumerate(pieces))


def _row_html(tag: str, cells: Sequence[str], text: int) -> str:
    marked = (f"<{tag}{' class=t' if i < text else ''}>{_inline_html(cell)}</{tag}>" for i, cell in enumerate(cells))
    return f"<tr>{''.join(marked)}</tr>"


def _sample_html(sample: Sample) -> str:
    shade = "right" if sample.verdict == "right" else "wrong" if sample.verdict else ""
    return f'<p class="verdict">{escape(_head(sample))}</p><pre class="{shade}">{escape(_body(sample))}</pre>'
