r"""Stage 3b, third layer: the shape of an answer: lists, tuples, intervals, sets, unions, matrices, ``\pm``.

``parse_answer`` turns a normal form into a small tree whose leaves are single expressions; ``equivalence.py`` compares
trees. Both are pure text work and linear in the length.
"""

import re
from dataclasses import dataclass, replace
from enum import StrEnum

_TOKEN = re.compile(r"\\begin\{[a-z]+\}|\\end\{[a-z]+\}|\\[A-Za-z]+ ?|\\.|.", re.DOTALL)
_OPENING = {"(": "(", "[": "[", "{": "{", "\\{": "\\{", "\\langle": "("}
_CLOSING = {")": ")", "]": "]", "}": "}", "\\}": "\\}", "\\rangle": ")"}
_GROUPED = re.compile(r"[+-]?[1-9]\d{0,2}(?:,\d{3})+(?:\.\d*)?")
# The same with a name, a currency sign or factors around it, and no other comma.
_GROUPED_WITHIN = re.compile(r"(?:[^,]*[^,\d.])?[1-9]\d{0,2}(?:,\d{3})+(?:[^,\d][^,]*)?", re.DOTALL)
_MATRIX = re.compile(r"\\begin\{([pbvBV]?)matrix\}(.*)\\end\{([pbvBV]?)matrix\}", re.DOTALL)
# The beginning of `{x | x > 2}`, which is what the condition describes.
_SUCH_THAT = re.compile(r"([A-Za-z])(?:\\in ?\\(?:mathbb|text)\{[A-Z]\})?(?:\||:)")
_GREEK = (
    "alpha|beta|gamma|delta|epsilon|varepsilon|zeta|eta|theta|iota|kappa|lambda|mu|nu|xi|rho|sigma|tau|phi|varphi|chi"
    "|psi|omega|Delta|Omega|Phi|Theta|ell|angle|triangle|max|min"
)
# What may stand before `=` as the name of the answer: letters, functions of letters or digits, sums of letters. No
# coefficient and no power: `x^2=4` is not the answer 4.
_NAME = re.compile(
    rf"(?=.*[A-Za-z])(?:\\text\{{[^{{}}]*\}}|\\(?:{_GREEK})(?![A-Za-z]) ?|[A-Za-z]|_\{{[^{{}}]*\}}|_[A-Za-z0-9]|_\\[A-Za-z]+ ?|'|\|"
    r"|[+:/](?=[A-Za-z])|\[[A-Z]+\]|\^\{-1\}(?=\()|\\frac\{[A-Za-z][A-Za-z_0-9]*\}\{[A-Za-z][A-Za-z_0-9]*\}|\((?:[A-Za-z0-9_, |]|\\(?:cap|cup|theta|phi|varphi|rho|alpha|beta) ?)*\)|\^\{\\prime ?\})+"
)
_RELATION = re.compile(r"(\\le(?![A-Za-z]) ?|\\ge(?![A-Za-z]) ?|<=|>=|<|>)")


class Shape(StrEnum):
    """What kind of thing an answer is."""

    LEAF = "leaf"  # a single expression
    LIST = "list"  # several answers, or a set: order does not matter
    TUPLE = "tuple"  # also vectors and intervals: order and brackets matter
    UNION = "union"
    MATRIX = "matrix"


@dataclass(frozen=True, slots=True)
class Node:
    """A part of an answer.

    Attributes:
        shape: its kind.
        text: its normal form, without the name.
        items: its parts, none for a leaf.
        mark: brackets of a tuple (``"(]"``), rows x columns of a matrix.
        name: what stands before ``=``, or ``""``.
    """

    shape: Shape
    text: str
    items: tuple["Node", ...] = ()
    mark: str = ""
    name: str = ""


def split_top(text: str, separators: frozenset[str]) -> list[str]:
    """Split at separators (tokens) that are outside all brackets."""
    if not any(separator in text for separator in separators):
        return [text.strip()]
    parts: list[str] = []
    current: list[str] = []
    depth = 0
    for token in _TOKEN.findall(text):
        bare = token.rstrip(" ") or token
        if bare in _OPENING or token.startswith("\\begin"):
            depth += 1
        elif bare in _CLOSING or token.startswith("\\end"):
            depth -= 1
        if depth == 0 and bare in separators:
            parts.append("".join(current))
            current = []
        else:
            current.append(token)
    parts.append("".join(current))
    return [part.strip() for part in parts]


def _enclosed(text: str) -> tuple[str, str, str] | None:
    """Opening bracket, inside and closing bracket, if one pair encloses the whole text."""
    if not text or text[-1] not in ")]}e":  # the e is of \rangle
        return None
    tokens = _TOKEN.findall(text)
    first, last = (tokens[0].rstrip(), tokens[-1].rstrip()) if tokens else ("", "")
    if first not in _OPENING or last not in _CLOSING or len(tokens) < 2:
        return None
    depth = 0
    for position, token in enumerate(tokens):
        bare = token.rstrip()
        depth += (bare in _OPENING) - (bare in _CLOSING)
        if depth == 0 and position < len(tokens) - 1:
            return None
    return (_OPENING[first], "".join(tokens[1:-1]).strip(), _CLOSING[last]) if depth == 0 else None


def split_name(text: str) -> tuple[str, str]:
    r"""``("x", "5")`` for ``x=5`` and for ``5=x``; ``("", text)`` if there is no name."""
    sides = split_top(text, frozenset("="))
    if len(sides) != 2 or not all(sides):
        return "", text
    left, right = sides
    if _NAME.fullmatch(left) and not ("+" in left and right == "0"):  # `x+y=0` is an equation, no sum that is 0
        return _tidy(left), right
    if re.fullmatch(r"[A-Za-z]", right) and re.fullmatch(r"[-\d./]+", left):
        return right, left
    return "", text


def is_name(text: str) -> bool:
    """Whether a text could be the name of an answer."""
    return _NAME.fullmatch(text) is not None


def _tidy(name: str) -> str:
    name = re.sub(r"_\{(\w)\}", r"_\1", re.sub(r"\\text\{([^{}]*)\}", r"\1", name))
    return re.sub(r"(?<![A-Za-z]) | (?![A-Za-z])", "", name)


def parse_answer(text: str) -> Node:
    """The tree of a normal form."""
    if "\\lor" in text:
        node = parse_answer(re.sub(r",?\\lor ?", ", ", text))
        return replace(node, mark="or") if node.shape is Shape.LIST else node
    sides = split_top(text, frozenset(["\\in"]))
    if len(sides) == 2 and is_name(sides[0]) and sides[1]:
        return _named(parse_answer(sides[1]), _tidy(sides[0]))
    pieces = split_top(text, frozenset(["\\cup"]))
    if len(pieces) > 1:
        parts_of_union = tuple(_element(piece) for piece in pieces)
        if all(part.shape is Shape.LIST for part in parts_of_union):  # of finite sets: a finite set
            elements = {item.text: item for part in parts_of_union for item in part.items}
            return Node(Shape.LIST, text, tuple(elements.values()))
        return Node(Shape.UNION, text, parts_of_union)
    if text in ("\\emptyset", "\\text{no solution}", "\\text{no solutions}"):
        return Node(Shape.LIST, text)
    if _GROUPED.fullmatch(text):
        return _element(text)
    if _GROUPED_WITHIN.fullmatch(text) and len(split_top(text, frozenset(","))) > 1:
        return _element(text.replace(",", ""))
    rows = split_top(text, frozenset(";"))
    if len(rows) > 1 and "," in text:  # `p=5, q=2; p=7, q=2` lists two pairs
        groups = [split_top(row, frozenset(",")) for row in rows]
        if all(len(group) > 1 for group in groups):
            pairs = (Node(Shape.TUPLE, row, _flat(group), "()") for row, group in zip(rows, groups, strict=True))
            return Node(Shape.LIST, text, tuple(pairs))
    spaced = text.split(", ")
    if any(_GROUPED.fullmatch(piece) for piece in spaced) and all(
        "," not in p or _GROUPED.fullmatch(p) for p in spaced
    ):
        parts = split_top(text.replace(", ", ";"), frozenset(";"))  # `1,000, 2,000`
    else:
        parts = split_top(text, frozenset(",;"))
    return Node(Shape.LIST, text, _flat(parts)) if len(parts) > 1 else _element(text)


def parse_list(text: str) -> Node:
    """The tree of a text whose commas separate, even where it looks like one number with thousands marks."""
    return Node(Shape.LIST, text, _flat(split_top(text, frozenset(",;"))))


def _named(node: Node, name: str) -> Node:
    return Node(node.shape, node.text, node.items, node.mark, name)


def _flat(parts: list[str]) -> tuple[Node, ...]:
    r"""The elements of a list, ``\pm`` being two of them, and each with the name of the one before if it has none."""
    items: list[Node] = []
    for node in map(_element, parts):
        several = node.items if node.shape is Shape.LIST and node.mark == "pm" else (node,)
        name = node.name or (items[-1].name if items and items[-1].shape is Shape.LEAF else "")
        items += [item if item.name or item.shape is not Shape.LEAF else _named(item, name) for item in several]
    return tuple(items)


def _element(text: str) -> Node:
    name, rest = split_name(text)
    if name:
        return _named(_element(rest) if _enclosed(rest) or re.search(r"\\pm|^\\begin", rest) else _leaf(rest), name)
    if (match := _MATRIX.fullmatch(text)) and "\\end" not in match[2]:
        rows = [split_top(row, frozenset("&")) for row in match[2].replace("\\\\", "\n").strip().split("\n")]
        cells = tuple(_leaf(cell) for row in rows for cell in row)
        # Round and square brackets mean the same; bars mean a determinant or a norm.
        bars = {"v": "|", "V": "||"}.get(match[1], "")
        return Node(Shape.MATRIX, text, cells, bars + "x".join(str(len(row)) for row in rows))
    enclosed = _enclosed(text)
    if enclosed:
        opening, inside, closing = enclosed
        parts = split_top(inside, frozenset(",;"))
        if opening == "\\{" and (match := _SUCH_THAT.match(inside)) and _RELATION.search(inside):
            condition = inside[match.end() :]
            return parse_answer(condition) if match[1] in condition else _leaf(text)
        if opening == "\\{" and closing == "\\}":
            return Node(Shape.LIST, text, _flat(parts) if inside else ())
        if len(parts) > 1 and inside.count("\\pm") == 1 and inside.count("\\mp") < 2:
            both = (text.replace("\\pm", one).replace("\\mp", other) for one, other in ("+-", "-+"))
            return Node(Shape.LIST, text, tuple(_element(side) for side in both), "pm")
        if len(parts) > 1:
            return Node(Shape.TUPLE, text, tuple(_element(part) for part in parts), opening + closing)
        if (opening, closing) in (("(", ")"), ("{", "}")):
            return parse_answer(inside)
    if text.count("\\pm") == 1:
        signs = (re.sub(r"\\pm ?", sign, text) for sign in "+-")
        return Node(Shape.LIST, text, tuple(_leaf(part) for part in signs), "pm")
    return _leaf(text)


def _leaf(text: str) -> Node:
    return Node(Shape.LEAF, text[1:] if text.startswith("+") else text)


def as_interval(node: Node) -> Node | None:
    r"""The interval that an inequality in one variable describes: ``-2\le x<7`` is ``[-2,7)``. None if it is none."""
    if node.shape is not Shape.LEAF or node.name:
        return None
    if re.fullmatch(r"\\(?:mathbb|text)\{R\}|\\text\{(?:all )?real numbers\}", node.text):
        return Node(Shape.TUPLE, node.text, (_leaf("-\\infty"), _leaf("\\infty")), "()")
    parts = _RELATION.split(node.text)
    relations = [r.strip().replace("<=", "\\le").replace(">=", "\\ge") for r in parts[1::2]]
    sides = [side.strip() for side in parts[::2]]
    if not all(sides) or "=" in node.text.replace("<=", "").replace(">=", "") or len(relations) not in (1, 2):
        return None
    upward = [relation in ("<", "\\le") for relation in relations]
    if not upward[0]:
        sides, relations, upward = sides[::-1], relations[::-1], [not up for up in upward[::-1]]
        relations = [r.replace("\\ge", "\\le").replace(">", "<") for r in relations]
    if not all(upward):
        return None
    middle = 1 if len(sides) == 3 or not is_name(sides[0]) else 0
    if not is_name(sides[middle]) or set("|+:/") & set(sides[middle]):
        return None
    low, high = "-\\infty", "\\infty"
    opening, closing = "(", ")"
    if middle == 1:
        low, opening = sides[0], "[" if relations[0] == "\\le" else "("
    if middle < len(sides) - 1:
        high, closing = sides[middle + 1], "]" if relations[middle] == "\\le" else ")"
    return Node(Shape.TUPLE, node.text, (_leaf(low), _leaf(high)), opening + closing, sides[middle])
