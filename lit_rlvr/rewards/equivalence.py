"""Stage 3b: is an answer the same as the gold? Exact work on text and fractions, with a third outcome, "undecided".

``compare`` walks the two trees; what it does at a leaf is a parameter, so the same walk serves the exact layers (in the
trainer's process) and the symbolic layer (in a worker).
"""

import re
from collections.abc import Callable

from lit_rlvr.rewards.alignment import aligned, as_tuple
from lit_rlvr.rewards.leaves import Decision, both, decided, words_of
from lit_rlvr.rewards.structure import Node, Shape, is_name, split_top

LeafComparison = Callable[[str, str], Decision]
# Chains such as `8/2=4` that are still looked at.
_MAX_CHAIN = 4


def compare(gold: Node, answer: Node, leaf: LeafComparison) -> Decision:
    """Compare two trees by the gold's kind.

    Lists and sets are compared without order but with counts, tuples, intervals and matrices in order and with their
    brackets; a name before ``=`` may be missing on either side but not differ.
    """
    if gold.name and answer.name and gold.name != answer.name:
        if not (gold.shape is answer.shape is Shape.LEAF):
            return Decision.DIFFERENT
        if words_of(gold.name + gold.text) and "\\text" in gold.text + answer.text:  # `MR=SRMC` either way round
            return decided((words_of(gold.name), words_of(gold.text)) == (words_of(answer.text), words_of(answer.name)))
        # As equations they may still be the same: `y=2x` and `x=y/2`.
        return leaf(f"{gold.name}={gold.text}", f"{answer.name}={answer.text}")
    gold, answer = aligned(gold, answer)
    gold, answer = as_tuple(gold, answer), as_tuple(answer, gold)
    if gold.shape is answer.shape is Shape.TUPLE and gold.name and answer.name and gold.name != answer.name:
        return Decision.DIFFERENT
    if gold.shape is Shape.LEAF and answer.shape is Shape.LEAF:
        return _compare_leaves(gold, answer, leaf)
    # A set of one is its element.
    if gold.shape is Shape.LIST and len(gold.items) == 1 and answer.shape is not Shape.LIST:
        return compare(gold.items[0], answer, leaf)
    if answer.shape is Shape.LIST and len(answer.items) == 1 and gold.shape is not Shape.LIST:
        return compare(gold, answer.items[0], leaf)
    if gold.shape is Shape.MATRIX and answer.shape is Shape.LEAF and "matrix}" in answer.text:
        return leaf(gold.text, answer.text)  # a sum or product of matrices
    if gold.shape is not answer.shape or len(gold.items) != len(answer.items):
        return Decision.DIFFERENT
    if gold.mark != answer.mark and gold.shape is not Shape.LIST:
        return Decision.DIFFERENT
    if gold.shape in (Shape.LIST, Shape.UNION) and "\\ldots" not in gold.text:
        return _compare_unordered(gold.items, answer.items, leaf)
    decisions = []
    for ours, theirs in zip(gold.items, answer.items, strict=True):
        decisions.append(compare(ours, theirs, leaf))
        if decisions[-1] is Decision.DIFFERENT:
            break
    return both(decisions)


def _relation(node: Node) -> bool:
    return bool(re.search(r"=|<|>|\\[lg]e(?![a-zA-Z])", node.text))


def _compare_leaves(gold: Node, answer: Node, leaf: LeafComparison) -> Decision:
    if "=" not in gold.text and "=" in answer.text and not re.search(r"[<>]", answer.text):
        if gold.name:
            return leaf(f"{gold.name}={gold.text}", answer.text)
        # A chain counts only if every member is the answer: `8/2=4` is 4, `11=12` is nothing.
        members = split_top(answer.text, frozenset("="))
        if len(members) > 1 and is_name(members[0]):
            members = members[1:]
        if len(members) > _MAX_CHAIN or not all(members):
            return Decision.DIFFERENT
        return both([leaf(gold.text, member) for member in members])
    if "=" in gold.text and "=" not in answer.text:
        if answer.name:
            return leaf(gold.text, f"{answer.name}={answer.text}")
        return Decision.DIFFERENT
    if not _relation(gold) and _relation(answer):
        return Decision.DIFFERENT
    return leaf(gold.text, answer.text)


def _compare_unordered(gold: tuple[Node, ...], answer: tuple[Node, ...], leaf: LeafComparison) -> Decision:
    """Is there a one-to-one match? Equality is transitive, so pairs that are equal may be taken as they come."""
    rest = list(answer)
    open_golds = []
    for ours in gold:
        decisions = [compare(ours, theirs, leaf) for theirs in rest]
        if Decision.EQUAL in decisions:
            del rest[decisions.index(Decision.EQUAL)]
        elif Decision.UNDECIDED in decisions:
            open_golds.append(ours)
        else:
            return Decision.DIFFERENT
    return Decision.UNDECIDED if open_golds else Decision.EQUAL
