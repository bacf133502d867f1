"""Stage 3b, third layer: answers whose text allows two readings are read in the gold's kind."""

import re
from dataclasses import replace

from lit_rlvr.rewards.structure import Node, Shape, as_interval, parse_list

_DECIMAL_COMMA = re.compile(r"[+-]?(?:\d+,(?:\d{2}|\d{4,})|0,\d+)")

# The orders in which coordinates are written.
_ORDERS = (
    tuple("abcdefghijklmnopqrstuvwxyz"),
    ("r", "\\theta", "z"),
    ("\\rho", "\\theta", "\\phi"),
    tuple("ABCDEFGHIJKLMNOPQRSTUVWXYZ"),
)


def _union(node: Node) -> Node | None:
    """Several inequalities, ``x<2, x>5``, as the union of their intervals."""
    said = node.mark == "or"  # `(0,1) or (2,3)`; with a comma these are two points
    pieces = tuple(as_interval(i) or _single(i) or (i if said and i.shape is Shape.TUPLE else None) for i in node.items)
    found = tuple(piece for piece in pieces if piece)
    return Node(Shape.UNION, node.text, found) if found and all(pieces) and _one_variable(*node.items) else None


def _one_variable(*nodes: Node) -> bool:
    return len({(as_interval(node) or node).name for node in nodes}) == 1


def _single(node: Node) -> Node | None:
    """``x=1`` among the pieces of a union: the set of the one value."""
    return Node(Shape.LIST, node.text, (replace(node, name=""),)) if node.name and node.shape is Shape.LEAF else None


def _intersection(one: Node, other: Node) -> Node | None:
    r"""``x\ge-2, x\le7`` as the interval between the two bounds."""
    low, high = (one, other) if one.mark[-1:] == ")" and one.items[-1].text == "\\infty" else (other, one)
    if (
        [len(low.items), len(high.items)] != [2, 2]
        or low.items[1].text != "\\infty"
        or high.items[0].text != "-\\infty"
    ):
        return None
    return Node(Shape.TUPLE, one.text, (low.items[0], high.items[1]), low.mark[0] + high.mark[1], one.name)


def _decimal_comma(node: Node, other: Node) -> Node:
    """``12,80`` beside a single number with a decimal point: a list would never equal it."""
    if (
        node.shape is Shape.LIST
        and other.shape is Shape.LEAF
        and _DECIMAL_COMMA.fullmatch(node.text)
        and "." in other.text
    ):
        return Node(Shape.LEAF, node.text.replace(",", "."), name=node.name)
    return node


def as_tuple(node: Node, other: Node) -> Node:
    """A list of named values as the tuple of the values in the usual order of their names, a column as a tuple."""
    if other.shape is not Shape.TUPLE or other.mark != "()":
        return node
    names = [item.name for item in node.items]
    order = next((order for order in _ORDERS if set(names) <= set(order)), None)
    if node.shape is Shape.LIST and order and len(set(names)) == len(names):
        values = tuple(replace(item, name="") for item in sorted(node.items, key=lambda item: order.index(item.name)))
        return replace(node, shape=Shape.TUPLE, items=values, mark="()")
    if node.shape is Shape.MATRIX and set(node.mark.split("x")) == {"1"}:
        return replace(node, shape=Shape.TUPLE, mark="()")
    return node


def aligned(gold: Node, answer: Node) -> tuple[Node, Node]:
    """Read the answer in the gold's kind where its text allows both readings."""
    answer = _decimal_comma(answer, gold)
    gold = _decimal_comma(gold, answer) if gold.text.startswith("0,") else gold
    if gold.shape is Shape.LIST and answer.shape is Shape.LEAF and "," in answer.text:
        answer = parse_list(answer.text)
    interval = as_interval(gold)
    if interval is not None:
        gold = interval if as_interval(answer) or answer.shape is not Shape.LEAF else gold
    if gold.shape is Shape.TUPLE and gold.items:
        answer = as_interval(answer) or answer
    if gold.shape is Shape.LIST and answer.shape is Shape.UNION:
        gold = _union(gold) or gold
    if answer.shape is Shape.LIST and gold.shape in (Shape.UNION, Shape.TUPLE):
        pieces = [as_interval(item) or _single(item) for item in answer.items]
        if gold.shape is Shape.UNION:
            answer = _union(answer) or answer
        elif len(pieces) == 2 and pieces[0] and pieces[1] and answer.mark != "or" and _one_variable(*answer.items):
            answer = _intersection(pieces[0], pieces[1]) or answer
    return gold, answer
