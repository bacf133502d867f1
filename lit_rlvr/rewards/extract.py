"""Stage 3a: what did the response answer? The inside of its last box, found in one linear scan."""

import re

# `\{` and `\}` are printed braces and do not group; `\\` is a line break, except in front of a box, where a doubled
# backslash is an escaping slip of the writer.
_TOKEN = re.compile(r"(?P<box>\\(?:boxed|fbox)\s*\{)|\\[{}]|\\\\(?!boxed|fbox)|(?P<brace>[{}])")
_THINK_END = "</think>"


def extract_boxed(response: str) -> str | None:
    r"""The inside of the last ``\boxed{...}`` or ``\fbox{...}`` of a response, stripped of outer white space.

    Only the text after the last ``</think>`` counts, if there is one. Of boxes in boxes the outermost is taken. If the
    last box is never closed there is no answer: an earlier box is not what the response ended on.

    Returns:
        The inside (possibly empty), or None if there is no complete last box. Linear in the length of the response.
    """
    start = response.rfind(_THINK_END) + 1
    # Nothing before the first box can change the outcome, so the scan by tokens starts there.
    starts = [at for at in (response.find("\\boxed", start), response.find("\\fbox", start)) if at >= 0]
    if not starts:
        return None
    text = response[min(starts) :]
    opened: list[tuple[int, int] | None] = []  # per open brace: (start, inside) of a box, or None for a plain brace
    last_start = -1
    closed: tuple[int, int, int] | None = None  # start, inside, end of the last box that was closed
    for token in _TOKEN.finditer(text):
        if token["box"]:
            last_start = token.start()
            opened.append((token.start(), token.end()))
        elif token["brace"] == "{":
            opened.append(None)
        elif token["brace"] == "}" and opened:
            box = opened.pop()
            if box is not None:
                closed = (*box, token.start())
    # Boxes close inside out, so the last one closed is the outermost of its nest, and the last one opened was closed
    # exactly if it starts before that one ends.
    if closed is None or last_start >= closed[2]:
        return None
    return text[closed[1] : closed[2]].strip()
