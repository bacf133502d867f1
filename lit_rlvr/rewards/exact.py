"""Stage 3b: our own rule in the trainer's process: text, structure and exact numbers; symbols are left to a worker."""

import re
from functools import lru_cache

from lit_rlvr.rewards.equivalence import compare
from lit_rlvr.rewards.leaves import Decision, compare_choices, compare_exactly
from lit_rlvr.rewards.limits import MAX_BOX, MAX_DEPTH, MAX_NESTING, nesting, readable, too_costly
from lit_rlvr.rewards.normalize import normal_form
from lit_rlvr.rewards.structure import Node, parse_answer
from lit_rlvr.rewards.verdict import Kind

# Integers short enough to convert at once: the most frequent answers by far.
_INTEGER = re.compile(r"[+-]?[0-9]{1,30}")


@lru_cache(maxsize=4096)
def _tree(text: str) -> Node:
    return parse_answer(text)


def decide(answer: str, gold: str) -> Kind | None:
    """The verdict on an answer from text and exact numbers alone, or None if it takes symbols."""
    if answer == gold:
        return Kind.RIGHT
    if _INTEGER.fullmatch(answer) and _INTEGER.fullmatch(gold):
        return Kind.RIGHT if int(answer) == int(gold) else Kind.WRONG
    if len(answer) > MAX_BOX or max(nesting(answer), nesting(gold)) > MAX_DEPTH:
        return Kind.TOO_COSTLY
    ours, theirs = normal_form(gold), normal_form(answer)
    if ours == theirs:
        return Kind.RIGHT
    if nesting(theirs) > max(MAX_NESTING, nesting(ours)):
        return Kind.TOO_COSTLY
    decision = compare_choices(ours, theirs)
    if decision is Decision.UNDECIDED:
        try:
            decision = compare(_tree(ours), _tree(theirs), compare_exactly)
        except RecursionError:  # a gold of thousands of brackets, which no limit keeps out
            return Kind.TOO_COSTLY
    if decision is Decision.EQUAL:
        return Kind.RIGHT
    if not readable(theirs, ours):
        return Kind.UNPARSABLE
    if decision is Decision.DIFFERENT:
        return Kind.WRONG
    return Kind.TOO_COSTLY if too_costly(theirs, ours) else None
