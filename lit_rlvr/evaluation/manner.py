"""How a response is written, whatever its answer is: does it check itself, is it code, does it go round in circles?

From the text of one response to yes or no; the tally counts the yeses. Plain searches, linear in the length of the text, and
meant for curves over a run: a share that rises says something, a single yes may be mistaken.
"""

import re
import zlib
from collections.abc import Callable

_FLAGS = re.IGNORECASE | re.MULTILINE

# The three words whose frequency the paper follows (arXiv 2504.20571), with the endings that a verb takes.
_PAPERS_WORDS = r"rethink(?:s|ing)?|rethought|recheck(?:s|ed|ing)?|recalculat(?:es?|ed|ing)"
_REFLECTION = re.compile(rf"\b(?:{_PAPERS_WORDS})\b", _FLAGS)

# Those, and: the same three with a hyphen or as nouns; their synonyms; double-check; check, try or calculate once more;
# begin anew; second thoughts; an owned-up mistake; "wait" and "hmm" as exclamations ("they wait" is none).
_REFLECTION_MORE = re.compile(
    rf"\b(?:{_PAPERS_WORDS}|re-(?:think|check|calculat|verif|do)\w*|recalculations?"
    r"|reconsider\w*|re-?(?:evaluat|examin|comput|assess)\w*|reverif\w*|double[- ]?check\w*"
    r"|(?:check|try|calculate|compute|verify|count)(?: (?:it|this|that|them))? (?:once more|again)"
    r"|start(?:ing)? (?:over|again|afresh)|on second thoughts?|(?:made|making) (?:a|an|some) (?:mistake|error)s?|hmm+)\b"
    r"|(?:^|[.!?:] *|\b(?:no|but|oh|ah),? )wait\b(?! (?:for|until|till|time)\b)",
    _FLAGS,
)

# A fence; a line as Python's are (an import without the semicolon of the drawings in maths texts); the packages that answers
# to maths problems use.
_CODE = re.compile(
    r"```|^[ \t>]*(?:def \w+\(|import [\w., ]+$|from [\w.]+ import |print ?\()|\b(?:sympy|numpy)\b", re.MULTILINE
)

# A loop is entered and, as a rule, not left: it shows at the end. 1,000 characters hold a repeated paragraph three times.
_TAIL = 1000
# Times by which deflate shrinks the tail. Of 2,796 human solutions (MATH-500, Minerva, OlympiadBench, AIME, GSM8K) the most
# uniform shrinks 4.7 times; 20 characters repeated to 150 shrink 6 times, 300 characters repeated to 1,000 nearly 7 times.
# A text too short to shrink that much is too short to tell.
_SHRINKS = 6.0


def reflects(text: str) -> bool:
    """Whether one of the paper's three words is in it: rethink, recheck, recalculate, in any of their forms."""
    return _REFLECTION.search(text) is not None


def reflects_more(text: str) -> bool:
    """Whether it is self-reflection by a longer list: see ``_REFLECTION_MORE``."""
    return _REFLECTION_MORE.search(text) is not None


def is_code(text: str) -> bool:
    """Whether some of it looks like a program: a fenced block, a line of Python, one of its packages for maths."""
    return _CODE.search(text) is not None


def repeats(text: str) -> bool:
    """Whether its last 1,000 characters (all of it, if it is shorter) say the same thing over and over."""
    tail = text[-_TAIL:].encode("utf-8", "replace")
    # wbits -15: without header and checksum, which would count against short texts.
    return len(tail) > _SHRINKS * len(zlib.compress(tail, wbits=-15))


MANNERS: dict[str, Callable[[str], bool]] = {
    "reflection": reflects,
    "reflection_more": reflects_more,
    "code": is_code,
    "repetition": repeats,
}
"""Key of the row of ``evaluations.jsonl`` -> what it is the share of."""
