"""The report as one HTML page: the blocks of `page.py` -> `report.html`, pictures inside it, no script, nothing loaded.

Every text is plain: markup in it, whoever wrote it, is shown and never obeyed. Backticks alone mean code.
"""

import base64
import re
from collections.abc import Sequence

from lit_rlvr.escape import escape
from lit_rlvr.report.page import DENSITY, Block, Items, Picture, Responses, Section, Table, Text
from lit_rlvr.report.samples import Sample

GENERATOR = "lit-rlvr report"
"""Stands in the page's head, so that a later report knows an earlier one, which it may replace."""


LONG = 22
"""Letters from which on a cell of text may take several lines."""

COLUMNS = 8
"""Columns beyond which a table is set closer, to stay on the page."""

STYLE = """
:root { color: #1a1a1a; background: #fff; font: 16px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", sans-serif; }
body { max-width: 66rem; margin: 2rem auto 4rem; padding: 0 1.25rem; }
h1 { font-size: 1.7rem; line-height: 1.25; margin: 0 0 1rem; }
h2 { font-size: 1.25rem; margin: 2.6rem 0 .6rem; padding-top: .6rem; border-top: 1px solid #d5d5d5; }
p, li { max-width: 46rem; }
nav ol { columns: 2; padding-left: 1.4rem; margin: 0; }
nav a, a { color: #005a9c; text-decoration: none; } a:hover { text-decoration: underline; }
figure { margin: 1.4rem 0; } figure img { display: block; max-width: 100%; height: auto; }
figcaption { color: #4a4a4a; font-size: .875rem; line-height: 1.4; max-width: 52rem; margin-top: .5rem; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; font-size: .875rem; font-variant-numeric: tabular-nums; }
th, td { padding: .32rem .6rem; border-bottom: 1px solid #e3e3e3; text-align: right; vertical-align: top; }
.dense { font-size: .8125rem; } .dense th, .dense td { padding: .3rem .4rem; }
.scroll th:first-child, .scroll td:first-child { padding-left: 0; }
td.t { white-space: nowrap; } td.w { white-space: normal; min-width: 6.5rem; }
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
            dense = ' class="dense"' if len(block.header) > COLUMNS else ""
            head = _row_html("th", block.header, block.is_text)
            body = "\n".join(_row_html("td", row, block.is_text) for row in block.rows)
            return (
                f'<figure><div class="scroll"><table id="table-{block.name}"{dense} '
                f'aria-describedby="caption-{block.name}">\n<thead>{head}</thead>\n<tbody>\n{body}\n</tbody></table></div>\n'
                f'<figcaption id="caption-{block.name}">{_inline_html(block.caption)}</figcaption></figure>'
            )
        case Picture():
            content = block.file.read_bytes()
            data = base64.b64encode(content).decode("ascii")
            return (
                f'<figure id="figure-{block.name}"><img width="{_width(content)}" '
                f'alt="{escape(block.alternative, quote=True)}" src="data:image/png;base64,{data}">\n<figcaption>{_inline_html(block.caption)}</figcaption></figure>'
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


def _row_html(tag: str, cells: Sequence[str], is_text: Sequence[bool]) -> str:
    parts = []
    for cell, text in zip(cells, is_text, strict=True):
        kind = "t w" if text and len(cell) > LONG else "t" if text else ""
        shown = _inline_html(cell if text or tag == "th" else _unbroken(cell))
        parts.append(f'<{tag} class="{kind}">{shown}</{tag}>' if kind else f"<{tag}>{shown}</{tag}>")
    return f"<tr>{''.join(parts)}</tr>"


def _unbroken(cell: str) -> str:
    """Numbers that belong together stay on one line; it may end after a semicolon, or else before a range in brackets."""
    fixed = "\N{NO-BREAK SPACE}"
    cell = cell.replace(" ", fixed)
    return cell.replace(f";{fixed}", "; ") if ";" in cell else cell.replace(f"{fixed}[", " [")


def _width(png: bytes) -> int:
    """CSS pixels at which a figure's letters are as large as the page's: its own, from its header, over its density."""
    return round(int.from_bytes(png[16:20], "big") / DENSITY)


def _sample_html(sample: Sample) -> str:
    shade = "right" if sample.verdict == "right" else "wrong" if sample.verdict else ""
    return f'<p class="verdict">{escape(sample.head)}</p><pre class="{shade}">{escape(sample.body)}</pre>'
