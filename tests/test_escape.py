"""Whatever was written, HTML shows it and obeys none of it."""

import html

from lit_rlvr.escape import escape, printable

REPLACED = "\N{REPLACEMENT CHARACTER}"


def test_markup_is_shown() -> None:
    assert escape("<b>&amp;</b>") == "&lt;b&gt;&amp;amp;&lt;/b&gt;"
    assert escape('"it\'s"') == '"it\'s"'
    assert html.unescape(escape('a "b" <c>', quote=True)) == 'a "b" <c>'
    assert '"' not in escape('"', quote=True)


def test_control_characters_are_replaced_and_layout_stays() -> None:
    assert printable("a\x00b\x1b[2J\r\x7f") == f"a{REPLACED}b{REPLACED}[2J{REPLACED}{REPLACED}"
    assert printable("x\ty\nπ 😀") == "x\ty\nπ 😀"


def test_half_a_surrogate_pair_can_be_written() -> None:
    assert printable("a\ud800b").encode("utf-8") == b"a?b"
