"""A page taken apart by the standard library's parser, and a text that would like to break out of it."""

from html.parser import HTMLParser

HOSTILE = "</pre></script><script>alert(1)</script>\x00\x1b[2J<img src=http://evil.example/x onerror=alert(2)> ```\n````\n# no heading"
VOID = {"meta", "img", "link", "br", "input"}


class Outline(HTMLParser):
    """Tags with their attributes, the ids, and the text; complains of tags that are not closed in order."""

    def __init__(self, page: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.text: list[str] = []
        self.feed(page)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text.append(data)

    def ids(self, prefix: str = "") -> list[str]:
        return [id for _, attributes in self.tags if (id := attributes.get("id") or "").startswith(prefix) and id]

    def of(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]
