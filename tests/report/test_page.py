"""Sections as Markdown and as HTML: every block once, and whatever a model or a user wrote is inert."""

import base64
from pathlib import Path

from lit_rlvr.report.html_page import to_html
from lit_rlvr.report.markdown import to_markdown
from lit_rlvr.report.page import Items, Picture, Responses, Section, Table, Text
from lit_rlvr.report.samples import Sample
from tests.report.outline import HOSTILE, Outline

# The smallest PNG there is: one transparent pixel.
PIXEL = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg=="
)


def _sections(folder: Path) -> list[Section]:
    (folder / "figures").mkdir(exist_ok=True)
    (folder / "figures" / "a.png").write_bytes(PIXEL)
    sample = Sample("wrong", "reward 0", "p/1", f"question {HOSTILE}", "gold", "read", HOSTILE)
    blocks = (
        Text("Plain, `code <b>` and <i>none</i> [link](http://evil.example)."),
        Items(("first *star*", "second")),
        Table(
            "t", "caption", ("arm", "n", "verdict"), (("a|b <b>", "1 ± 2 [0, 3]", "below by 2"),), words=("verdict",)
        ),
        Picture("a", folder / "figures" / "a.png", "the caption", 'said "so" <b>'),
        Responses("0-train", "arm <b>", (("RL step 0 (first)", (sample,)), ("RL step 9 (last)", (sample,)))),
    )
    return [Section("first", "First <b>", blocks)]


def test_html_has_every_block_once_and_nothing_else(tmp_path: Path) -> None:
    outline = Outline(to_html("Title <b>", _sections(tmp_path)))
    assert outline.ids("table-") == ["table-t"]
    assert outline.ids("figure-") == ["figure-a"]
    assert outline.ids("samples-") == ["samples-0-train"]
    assert len(outline.ids()) == len(set(outline.ids()))
    used = {tag for tag, _ in outline.tags}
    assert used <= {
        *(
            "html",
            "head",
            "meta",
            "title",
            "style",
            "body",
            "h1",
            "h2",
            "h3",
            "nav",
            "ol",
            "ul",
            "li",
            "a",
            "section",
            "p",
            "code",
        ),
        *(
            "figure",
            "figcaption",
            "img",
            "div",
            "table",
            "thead",
            "tbody",
            "tr",
            "th",
            "td",
            "details",
            "summary",
            "pre",
        ),
    }
    assert [a["href"] for a in outline.of("a")] == ["#first"]
    (image,) = outline.of("img")
    assert base64.b64decode((image["src"] or "").removeprefix("data:image/png;base64,")) == PIXEL
    assert image["alt"] == 'said "so" <b>'
    assert image["width"] == "1"
    assert not [name for _, attributes in outline.tags for name in attributes if name.startswith("on")]


def test_html_shows_hostile_text_as_it_is(tmp_path: Path) -> None:
    page = to_html("Title", _sections(tmp_path))
    shown = HOSTILE.replace("\x00", "\N{REPLACEMENT CHARACTER}").replace("\x1b", "\N{REPLACEMENT CHARACTER}")
    assert sum(shown in text for text in Outline(page).text) == 2
    assert "\x00" not in page
    assert "default-src 'none'" in page


def test_numbers_stand_on_one_line_and_to_the_right(tmp_path: Path) -> None:
    page = to_html("Title", _sections(tmp_path))
    assert "<td>1\N{NO-BREAK SPACE}±\N{NO-BREAK SPACE}2 [0,\N{NO-BREAK SPACE}3]</td>" in page
    assert '<td class="t">below by 2</td>' in page


def test_markdown(tmp_path: Path) -> None:
    text = to_markdown("A_title with _edges_", _sections(tmp_path), tmp_path)
    lines = text.splitlines()
    assert lines[0] == "# A_title with \\_edges\\_"
    assert "## First \\<b>" in lines
    assert "Plain, `code <b>` and \\<i>none\\</i> [link]\\(http://evil.example)." in lines
    assert "- first \\*star\\*" in lines
    assert lines[lines.index("| arm | n | verdict |") :][:3] == [
        "| arm | n | verdict |",
        "|---|---:|---|",
        "| a\\|b \\<b> | 1 ± 2 [0, 3] | below by 2 |",
    ]
    assert '![said "so" \\<b>](figures/a.png)' in lines
    # The fence is longer than the longest in the response, which has four ticks.
    assert lines.count("`````text") == lines.count("`````") == 2
    inside = text.split("`````text\n")[1].split("\n`````")[0]
    assert inside.endswith("# no heading")
