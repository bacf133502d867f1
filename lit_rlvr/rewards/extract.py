"""Stage 3a: what did the response answer? The inside of its last box, found in one linear scan.

The flexible reading, for evaluation reports only, also takes an answer that was said but not boxed. As a reward it would
pay for any text that happens to end on the right number.
"""

import re

# `\{` and `\}` are printed braces and do not group; `\\` is a line break, except in front of a box, where a doubled
# backslash is an escaping slip of the writer.
_TOKEN = re.compile(r"(?P<box>\\(?:boxed|fbox)\s*\{)|\\[{}]|\\\\(?!boxed|fbox)|(?P<brace>[{}])")
_THINK_END = "</think>"
# "the answer is", "final answer:", "answer =", and the mark before the answer in GSM8K's solutions.
_PHRASE = re.compile(
    r"\banswers?\b(?: to (?:the|this) (?:problem|question))?[*_\s]{0,4}(?:is|are|was|would be|will be|comes to|:|=)"
    r"[*_\s]{0,4}:?|^####",
    re.IGNORECASE | re.MULTILINE,
)
_SPAN = r"(?:\$\$?(?P<dollar>[^$]+)\$|\\\((?P<round>.+?)\\\)|\\\[(?P<square>.+?)\\\])"
_MATHS = re.compile(rf"[*_\s]*{_SPAN}", re.DOTALL)
_SPANS = re.compile(_SPAN, re.DOTALL)
# Where a spoken answer ends: its line, its sentence, or the reason that follows it.
_ENDS = re.compile(r"\n|[.!?;](?=\s|$)|,?\s(?:because|since|as|which|so|when|where|if|for|after)\s")
_NUMBER = re.compile(
    r"(?<![\w.])(?:[-−]\s?)?(?:\\[dt]?frac\{\d{1,30}\}\{\d{1,30}\}|\d{1,3}(?:,\d{3})+(?:\.\d+)?(?!\d)"
    r"|\d{1,30}(?:\.\d{1,30}|/\d{1,30})?)(?:\s?\\?%)?"
)
_PROSE = re.compile(r"(?:[A-Za-z]+ )*(?:the|there|we|it|a|an) ", re.IGNORECASE)
# A spoken answer is short, and the number that closes a response is near its end.
_LONGEST_SAID = 400
_TAIL = 20_000


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


def extract_flexible(response: str) -> str | None:
    r"""The inside of the last box or, if none was closed, the answer as the text says it.

    Looks for, in this order: the last complete box of the text after ``</think>``; what follows the last "the answer
    is", "answer:" or ``####`` (maths in its delimiters, or words up to the end of the sentence); the last formula or number,
    whichever is later. For evaluation reports, never for a reward.

    Returns:
        The answer, or None if there is none of these. Linear in the length of the response.
    """
    boxed = extract_boxed(response)
    if boxed:
        return boxed
    text = response[response.rfind(_THINK_END) + len(_THINK_END) :] if _THINK_END in response else response
    tail = text[-_TAIL:]
    for phrase in reversed(list(_PHRASE.finditer(tail))):
        said = _said(tail[phrase.end() : phrase.end() + _LONGEST_SAID])
        if said:
            return said
    spans, numbers = list(_SPANS.finditer(tail)), list(_NUMBER.finditer(tail))
    if spans and (not numbers or numbers[-1].start() < spans[-1].end()):
        return _inside(spans[-1])
    return numbers[-1][0] if numbers else None


def _inside(maths: re.Match[str]) -> str:
    return (maths["dollar"] or maths["round"] or maths["square"]).strip()


def _said(text: str) -> str:
    """The answer at the beginning of a text."""
    if maths := _MATHS.match(text):
        return _inside(maths)
    text = text.lstrip(" *_:\n")
    end = _ENDS.search(text)
    said = text[: end.start() if end else None]
    # "Answer: the largest of them is 34"
    return (said.rpartition(" is ")[2] if _PROSE.match(said) else said).strip(" *_`\"'$")
