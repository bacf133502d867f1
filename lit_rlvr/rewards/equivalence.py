"""Stage 3b: is an answer the same as the gold? Exact work on text and fractions, with a third outcome, "undecided".

``compare`` walks the two trees; what it does at a leaf is a parameter, so the same walk serves the exact layers here (in
the trainer's process) and the symbolic layer (in a worker).
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from lit_rlvr.rewards.numbers import read_based, read_number
from lit_rlvr.rewards.structure import Node, Shape, as_interval, is_name, parse_list, split_top
from lit_rlvr.rewards.units import split_unit, units_clash


class Decision(StrEnum):
    """The outcome of a comparison."""

    EQUAL = "equal"
    DIFFERENT = "different"
    UNDECIDED = "undecided"  # equal or not only by computing with symbols


LeafComparison = Callable[[str, str], Decision]
_CHOICE = re.compile(r"\(?(?:\\text\{\(?([A-Za-z])\)?\}|([A-Z]))\)?")
# Chains such as `8/2=4` that are still looked at.
_MAX_CHAIN = 4


@dataclass(frozen=True, slots=True)
class _Quantity:
    body: str
    unit: str
    percent: bool


def _quantity(text: str) -> _Quantity:
    body, unit = split_unit(text)
    percent = body.endswith("\\%") or unit == "percent"
    return _Quantity(body.removesuffix("\\%").strip(), "" if unit == "percent" else unit, percent)


def both(decisions: list[Decision]) -> Decision:
    """Equal if all are equal, different if any is different."""
    if Decision.DIFFERENT in decisions:
        return Decision.DIFFERENT
    return Decision.UNDECIDED if Decision.UNDECIDED in decisions else Decision.EQUAL


def _decided(equal: bool) -> Decision:
    return Decision.EQUAL if equal else Decision.DIFFERENT


def compare_exactly(gold: str, answer: str) -> Decision:
    """Compare two leaves by text, units and exact numbers."""
    if gold == answer:
        return Decision.EQUAL
    ours, theirs = _quantity(gold), _quantity(answer)
    if units_clash(ours.unit, theirs.unit):
        return Decision.DIFFERENT
    if not ours.body or not theirs.body or "\\text" in (ours.body + theirs.body)[:6]:
        return _compare_words(gold, answer)
    value, other = read_number(ours.body), read_number(theirs.body)
    if value is not None and other is not None:
        if ours.percent == theirs.percent:
            return _decided(value == other)
        if ours.percent:  # the gold has the sign: it may be left out, or the share be written as a number
            return _decided(other in (value, value / 100))
        # Only the answer has it: beside a gold below 1 it means hundredths, else it repeats what the question said.
        return _decided(other == value if abs(value) >= 1 else other == 100 * value)
    based, other_based = read_based(ours.body), read_based(theirs.body)
    if based and (other_based or other is not None):
        # The question gives the base, so an answer may leave it out; it must not name another.
        return _decided(based == (other_based or (theirs.body, based[1])))
    if other_based and value is not None:
        return _decided(other_based[1] == 10 and read_number(other_based[0]) == value)
    choice, other_choice = _CHOICE.fullmatch(gold), _CHOICE.fullmatch(answer)
    if choice and other_choice:
        return _decided((choice[1] or choice[2]).upper() == (other_choice[1] or other_choice[2]).upper())
    if ours.body == theirs.body and ours.percent == theirs.percent:
        return Decision.EQUAL
    if not theirs.body.isascii() or "\\text" in theirs.body:
        return Decision.UNDECIDED if "\\text" in ours.body else Decision.DIFFERENT
    return Decision.UNDECIDED


def _compare_words(gold: str, answer: str) -> Decision:
    return _decided(_words(gold) == _words(answer) != "")


def _words(text: str) -> str:
    """Letters and digits of an answer in words, folded."""
    bare = re.sub(r"\\text|[{}$\\]", " ", text)
    folded = re.sub(r"[^a-z0-9+\-*/^=<>()]+", "", bare.casefold())
    return folded[1:-1] if re.fullmatch(r"\([a-z]\)", folded) else folded


def compare(gold: Node, answer: Node, leaf: LeafComparison) -> Decision:
    """Compare two trees by the gold's kind.

    Lists and sets are compared without order but with counts, tuples, intervals and matrices in order and with their
    brackets; a name before ``=`` may be missing on either side but not differ.
    """
    if gold.name and answer.name and gold.name != answer.name:
        if not (gold.shape is answer.shape is Shape.LEAF) or "\\text" in gold.name + answer.name:
            return Decision.DIFFERENT
        # As equations they may still be the same: `y=2x` and `x=y/2`.
        return leaf(f"{gold.name}={gold.text}", f"{answer.name}={answer.text}")
    gold, answer = _aligned(gold, answer)
    if gold.shape is Shape.LEAF and answer.shape is Shape.LEAF:
        return _compare_leaves(gold, answer, leaf)
    if Shape.LIST in (gold.shape, answer.shape) and Shape.LEAF in (gold.shape, answer.shape):
        # A set of one is its element.
        (items, single) = (gold.items, answer) if gold.shape is Shape.LIST else (answer.items, gold)
        if len(items) != 1:
            return Decision.DIFFERENT
        return compare(items[0], single, leaf) if gold.shape is Shape.LIST else compare(single, items[0], leaf)
    if gold.shape is not answer.shape or gold.mark != answer.mark or len(gold.items) != len(answer.items):
        return Decision.DIFFERENT
    if gold.shape in (Shape.LIST, Shape.UNION):
        return _compare_unordered(gold.items, answer.items, leaf)
    decisions = []
    for ours, theirs in zip(gold.items, answer.items, strict=True):
        decisions.append(compare(ours, theirs, leaf))
        if decisions[-1] is Decision.DIFFERENT:
            break
    return both(decisions)


def _relation(node: Node) -> bool:
    return bool(re.search(r"=|<|>|\\[lg]e(?![a-zA-Z])", node.text))


def _aligned(gold: Node, answer: Node) -> tuple[Node, Node]:
    """Read the answer in the gold's kind where its text allows both readings."""
    if gold.shape is Shape.LIST and answer.shape is Shape.LEAF and "," in answer.text:
        answer = parse_list(answer.text)
    interval = as_interval(gold)
    if interval is not None:
        gold = interval if as_interval(answer) or answer.shape is not Shape.LEAF else gold
    if gold.shape is Shape.TUPLE and gold.items:
        answer = as_interval(answer) or answer
    if gold.shape is Shape.UNION and answer.shape is Shape.LIST:
        pieces = [as_interval(item) for item in answer.items]
        if all(pieces):
            answer = Node(Shape.UNION, answer.text, tuple(piece for piece in pieces if piece))
    return gold, answer


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
