r"""The benchmarks' own golds, and for each gold answers that differ from it by one small change.

``python -m tests.rewards.golds [DATA_DIR]`` judges them all and prints a table and every failure. The changes are made on
the text alone, with none of the verifier's readers, so a slip of theirs cannot hide itself here.
"""

import ast
import json
import os
import re
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import pyarrow.parquet

from lit_rlvr.rewards import Verifier

BENCHMARKS = ("math500", "aime24", "aime25", "amc23", "minerva_math", "olympiadbench")
DRESSES = ("{}", r"\displaystyle {}", r"\, {} \;", "${}$")
KINDS = (
    "last digit + 1",
    "sign",
    "element dropped",
    "element doubled",
    "interval end",
    "tuple order",
    "other word/letter",
)  # fmt: skip


@dataclass(frozen=True)
class Golds:
    """The golds of one benchmark.

    Attributes:
        rows: rows of the file.
        kept: their golds, but for
        left_out: (why, gold) of rows without a usable gold.
    """

    rows: int
    kept: list[str]
    left_out: list[tuple[str, str]]


def read_golds(data: Path) -> dict[str, Golds]:
    """The golds of the six benchmarks and of the paper's training set, as their makers wrote them."""
    raw = {}
    for name in BENCHMARKS:
        with (data / "benchmarks" / name / "test.jsonl").open() as file:
            raw[name] = [_gold(name, json.loads(line)) for line in file]
    rewards = pyarrow.parquet.read_table(data / "one_shot_rlvr" / "dsr_sub.parquet", columns=["reward_model"])
    raw["dsr_sub"] = [row["ground_truth"] for row in rewards.column(0).to_pylist()]
    return {name: _sorted_out(golds) for name, golds in raw.items()}


def _gold(name: str, row: dict) -> str:
    if name == "minerva_math":
        return _inside_last_box(row["solution"])
    if name == "olympiadbench":
        answers = row["final_answer"]
        return ", ".join(ast.literal_eval(answers) if isinstance(answers, str) else answers)
    return str(row["answer"])


def _inside_last_box(solution: str) -> str:
    text = solution[solution.rindex(r"\boxed{") + len(r"\boxed{") :]
    depth = 1
    for position, c in enumerate(text):
        depth += (c == "{") - (c == "}")
        if depth == 0:
            return text[:position]
    raise ValueError(f"a box that is never closed: {text!r}")


def _sorted_out(golds: list[str]) -> Golds:
    left_out = [("empty", gold) for gold in golds if not gold.strip()]
    left_out += [("missing brace", gold) for gold in golds if gold.count("{") != gold.count("}")]
    return Golds(len(golds), [gold for gold in golds if gold.strip() and gold.count("{") == gold.count("}")], left_out)


# Reading a gold

_TOKEN = re.compile(r"\\begin\{\w+\}|\\end\{\w+\}|\\[A-Za-z]+|\\.|.", re.DOTALL)
_OPENING, _CLOSING = ("(", "[", "{", r"\{"), (")", "]", "}", r"\}")
_BRACED = r"\{(?:[^{}]|\{[^{}]*\})*\}"
# What is no digit or letter of the value: units with their powers, words, commands, subscripts.
_NO_VALUE = re.compile(
    rf"\\(?:text|mathrm|mbox)\s*{_BRACED}(?:\^(?:\{{\d\}}|\d))?|\\(?:begin|end)\{{\w+\}}|\\[A-Za-z]+|_\s*(?:{_BRACED}|\w)"
    r"|\\."
)
_WORD = re.compile(r"\\text\{(?P<word>[^{}\d]*)\}")
_OTHER_WORDS = ("Evelyn", "Navin", "east", "west", "even", "odd", "ellipse", "circle")
_THOUSANDS = re.compile(r"(?:\\\$)?[1-9]\d{0,2}(?:,\d{3})+")
_RATIO = re.compile(r"\d+(?:\s*:\s*\d+)+")
_E_NOTATION = re.compile(r"(-?\d*\.?\d*)e(-?\d+)")
_RELATIONS = ("=", r"\le", r"\leq", r"\geq", r"\ge", r"\geqslant", r"\leqslant", r"\neq", r"\in", "<", ">")
_END_OF_INEQUALITY = {
    r"\le": "<", r"\leq": "<", r"\leqslant": "<", r"\ge": ">", r"\geq": ">", r"\geqslant": ">", "<": r"\le ", ">": r"\ge ",
}  # fmt: skip


def plain(gold: str) -> str:
    """A gold without maths delimiters, sizes of brackets, thousands marks and a final full stop."""
    text = re.sub(r"(?<!\\)\$|\\(?:left|right)(?![A-Za-z])|\\quad|^\\[(\[]|\\[)\]]$", "", gold.strip())
    text = re.sub(r",\\!\s*|\{,\}", "", text).strip()
    text = text[1:-1] if text.startswith("{") and _balanced(text[1:-1]) else text
    return text if text.endswith(".m.") else re.sub(r"(?<=[^.])\.$", "", text)


def _split(text: str, separator: Callable[[str], bool]) -> list[str]:
    """The pieces between separators outside of brackets, with the separators: an odd number of texts."""
    pieces = [""]
    depth = 0
    for token in _TOKEN.findall(text):
        depth += (token in _OPENING or token.startswith(r"\begin")) - (token in _CLOSING or token.startswith(r"\end"))
        if depth == 0 and separator(token):
            pieces += [token, ""]
        else:
            pieces[-1] += token
    return pieces


def _is_prose(text: str) -> bool:
    return " where " in text or "OR" in text


@dataclass(frozen=True)
class Parts:
    """An answer of several elements: ``before``, the elements with a joint between every two, and ``after``."""

    shape: str  # list, set, tuple, ratio, union, column or matrix
    before: str
    elements: list[str]
    joints: list[str]
    after: str = ""

    def replaced(self, elements: dict[int, str]) -> str:
        """The answer with other elements at some positions."""
        new = [elements.get(position, element) for position, element in enumerate(self.elements)]
        joined = [text for pair in zip(new, self.joints, strict=False) for text in pair]
        return self.before + "".join([*joined, new[-1]]) + self.after

    def shortened(self) -> str:
        """The answer without its last element."""
        return replace(self, elements=self.elements[:-1], joints=self.joints[:-1]).replaced({})

    def lengthened(self) -> str:
        """The answer with its last element twice."""
        doubled, joints = [*self.elements, self.elements[-1]], [*self.joints, self.joints[-1]]
        return replace(self, elements=doubled, joints=joints).replaced({})


def parts_of(text: str) -> Parts | None:
    """The elements of a list, set, tuple, interval, ratio, union or matrix; None of a single answer."""
    if _THOUSANDS.fullmatch(text) or " where " in text:
        return None
    if matrix := re.fullmatch(r"(\\begin\{pmatrix\})(.*)(\\end\{pmatrix\})", text):
        pieces = re.split(r"(\\\\|&)", matrix[2])
        return Parts("matrix" if "&" in text else "column", matrix[1], pieces[::2], pieces[1::2], matrix[3])
    if _RATIO.fullmatch(text):
        pieces = re.split("(:)", text)
        return Parts("ratio", "", pieces[::2], pieces[1::2])
    commas = re.sub(r"\s*(?:\\text\{\s*(?:and|or)\s*\}|(?<![A-Za-z])(?:and|or)(?![A-Za-z]))", ",", text)
    pieces = _split(commas, lambda token: token in ",;")
    if len(pieces) > 1:
        return Parts("list", "", pieces[::2], pieces[1::2])
    pieces = _split(text, lambda token: token == r"\cup")
    if len(pieces) > 1:
        return Parts("union", "", pieces[::2], pieces[1::2])
    if enclosed := re.fullmatch(r"((?:.*\\in|[a-z])?\s*(?:\\\{|\(|\[))(.*)(\\\}|\)|\])", text, re.DOTALL):
        pieces = _split(enclosed[2], lambda token: token == ",")
        shape = "set" if enclosed[1].endswith("{") else "tuple"
        if (len(pieces) > 1 or shape == "set") and all(_balanced(element) for element in pieces):
            return Parts(shape, enclosed[1], pieces[::2], pieces[1::2], enclosed[3])
    return None


def _balanced(text: str) -> bool:
    tokens = _TOKEN.findall(text)
    return sum(token in _OPENING for token in tokens) == sum(token in _CLOSING for token in tokens)


# Changing it


def changes(gold: str) -> list[tuple[str, str]]:
    """(kind, changed gold) for every kind of change that alters the value of this gold."""
    text = plain(gold)
    found = [("last digit + 1", changed) for changed in _other_digits(text)]
    if changed := _other_sign(text):
        found.append(("sign", changed))
    found += _other_elements(text)
    found += [("interval end", changed) for changed in _other_ends(text)]
    if changed := _other_order(text):
        found.append(("tuple order", changed))
    if changed := _other_word(text):
        found.append(("other word/letter", changed))
    return found


def _masked(text: str) -> str:
    """The text with blanks for what is no part of the value, at the same positions."""
    return _NO_VALUE.sub(lambda match: " " * len(match[0]), text)


def _other_digits(text: str) -> Iterator[str]:
    """The last digit one more (8 for 9), of both parts of ``1.04e-3``."""
    ends = [match.end() - 1 for match in re.finditer(r"\d(?!\d)", _masked(text))]
    e_notation = _E_NOTATION.fullmatch(text)
    for end in [e_notation.end(1) - 1, len(text) - 1] if e_notation else ends[-1:]:
        yield text[:end] + ("8" if text[end] == "9" else str(int(text[end]) + 1)) + text[end + 1 :]


def _other_sign(text: str) -> str | None:
    """The last element that has a sign to change, negated; of several spellings of one value, each."""
    if "OR" in text:
        return r" \text{ OR } ".join(f"-({spelling.strip()})" for spelling in text.split(r"\text{ OR }"))
    if parts := parts_of(text):
        # Infinity only where nothing else is left.
        for infinite in (False, True):
            for position in reversed(range(len(parts.elements))):
                element = parts.elements[position]
                changed = _other_sign(element) if (r"\infty" in element and not parts_of(element)) is infinite else None
                if changed:
                    return parts.replaced({position: changed})
        return None
    sides = _split(text, lambda token: token in _RELATIONS)
    value = sides[-1].strip()
    if (
        re.fullmatch(r"0*\.?0*(?:\^\\circ)?", value)
        or re.search(r"\\pm|\\text\{\(|\||\\div|\d:\d|^[A-Z]{2,}$", value)
        or _WORD.fullmatch(value)
        or " where " in text
    ):
        return None
    if _E_NOTATION.fullmatch(value) or len([p for p in _split(value, lambda t: t in "+-")[::2] if p.strip()]) == 1:
        negated = value[1:] if value[0] == "-" else "-" + value.removeprefix("+")
    else:
        negated = f"-({value})"
    return "".join(sides[:-1]) + negated


def _other_elements(text: str) -> Iterator[tuple[str, str]]:
    parts = parts_of(text)
    if parts is None:
        if text.count(r"\pm") == 1:
            yield "element dropped", text.replace(r"\pm", "+")
        return
    # Without its last term the ratio x : 1 is x.
    if (
        parts.shape != "matrix"
        and len(parts.elements) > 1
        and not (parts.shape == "ratio" and parts.elements[-1] == "1")
    ):
        yield "element dropped", parts.shortened()
    # A union or a set with a piece written twice is the same set.
    if parts.shape not in ("matrix", "union", "set") and not re.search(r"\\[lg]e(?![a-z])|[<>]", text):
        yield "element doubled", parts.lengthened()
    if parts.shape == "set" and any(r"\pm" in element for element in parts.elements):
        yield "element dropped", text.replace(r"\pm", "+")


def _other_ends(text: str) -> Iterator[str]:
    r"""Each finite end of an interval or inequality open instead of closed, or closed instead of open."""
    parts = parts_of(text)
    if parts and parts.shape == "union":
        for position, piece in enumerate(parts.elements):
            yield from (parts.replaced({position: changed}) for changed in _other_ends(piece.strip()))
    elif parts and parts.shape == "tuple" and len(parts.elements) == 2:
        opening, closing = parts.before[-1], parts.after
        if r"\infty" not in parts.elements[0]:
            yield text[: len(parts.before) - 1] + {"(": "[", "[": "("}[opening] + text[len(parts.before) :]
        if r"\infty" not in parts.elements[1]:
            yield text[:-1] + {")": "]", "]": ")"}[closing]
    else:
        sides = _split(text, lambda token: token in _END_OF_INEQUALITY)
        for position in range(1, len(sides), 2):
            yield "".join([*sides[:position], _END_OF_INEQUALITY[sides[position]], *sides[position + 1 :]])


def _other_order(text: str) -> str | None:
    """Two different elements of the first tuple, ratio or matrix swapped, the first one being one of them."""
    parts = parts_of(text)
    if parts is None or parts.shape == "union":
        return None
    if parts.shape in ("list", "set"):
        orders = ((i, _other_order(element.strip())) for i, element in enumerate(parts.elements))
        return next((parts.replaced({i: changed}) for i, changed in orders if changed), None)
    one = parts.elements[0]
    others = ((i, other) for i, other in enumerate(parts.elements) if other.strip() != one.strip())
    return next((parts.replaced({0: other, i: one}) for i, other in others), None)


def _other_word(text: str) -> str | None:
    """Another option, word or time of day; in formulas another last letter."""
    if choice := re.fullmatch(r"\\text\{\(([A-E])\)\}", text):
        return rf"\text{{({'ABCDE'['EABCD'.index(choice[1])]})}}"
    if word := _WORD.fullmatch(text):
        return rf"\text{{{_OTHER_WORDS[_OTHER_WORDS.index(word['word']) ^ 1]}}}"
    if text.endswith("a.m."):
        return text.replace("a.m.", "p.m.")
    if _is_prose(text) or "np." in text or _E_NOTATION.fullmatch(text) or re.search(r"\d_\{?\d", text):
        return None
    if commands := re.fullmatch(r"\\(alpha|pi|div)", text):
        return {"alpha": r"\beta", "pi": r"\tau", "div": r"\times"}[commands[1]]
    # A name on the left may be another without changing what is said, so only what stands last on the right counts.
    sides = _split(text, lambda token: token in _RELATIONS)
    if any(side in _END_OF_INEQUALITY for side in sides[1::2]) or re.fullmatch(r"[a-z][(\[].*\]", text):
        return None
    letters = list(re.finditer(r"[A-Za-z]", _masked(sides[-1])))
    if not letters:
        return None
    last = letters[-1].start()
    other = next(letter for letter in "knwABZ" if letter not in text)
    return "".join(sides[:-1]) + sides[-1][:last] + other + sides[-1][last + 1 :]


# Judging


@dataclass
class Report:
    """What the verifier said on one benchmark.

    Attributes:
        unequal: (dress, gold) where a gold does not equal itself.
        pairs: changed golds per kind, counted by rows.
        equal: (kind, gold, changed gold) where a changed gold is judged right, each once.
        equal_pairs: how many of ``pairs`` these are.
        verdicts: the verdicts on ``pairs``.
    """

    golds: Golds
    unequal: list[tuple[str, str]] = field(default_factory=list)
    pairs: Counter[str] = field(default_factory=Counter)
    equal: list[tuple[str, str, str]] = field(default_factory=list)
    equal_pairs: Counter[str] = field(default_factory=Counter)
    verdicts: Counter[str] = field(default_factory=Counter)


def boxed(answer: str) -> str:
    """A response that ends on an answer."""
    return rf"So the answer is \boxed{{{answer}}}."


def judge(verifier: Verifier, golds: Golds) -> Report:
    """Judge every gold against itself and against its changes."""
    report = Report(golds)
    counts = Counter(golds.kept)
    dressed = [(dress, gold) for gold in counts for dress in DRESSES]
    verdicts = verifier.verify_many([(boxed(dress.replace("{}", gold)), gold) for dress, gold in dressed])
    report.unequal = [pair for pair, verdict in zip(dressed, verdicts, strict=True) if not verdict.right]
    changed = [(kind, gold, answer) for gold in counts for kind, answer in changes(gold)]
    verdicts = verifier.verify_many([(boxed(answer), gold) for _, gold, answer in changed])
    for case, verdict in zip(changed, verdicts, strict=True):
        kind, gold, _ = case
        report.pairs[kind] += counts[gold]
        report.verdicts[verdict.kind.value] += counts[gold]
        if verdict.right:
            report.equal.append(case)
            report.equal_pairs[kind] += counts[gold]
    return report


def _cpu_seconds(pid: int) -> float:
    """What a process and its living descendants have used; a killed server never counts its workers' time (Linux)."""
    process = Path("/proc", str(pid))
    ticks = sum(map(int, (process / "stat").read_text().rpartition(")")[2].split()[11:13]))
    children = [child for task in (process / "task").iterdir() for child in (task / "children").read_text().split()]
    return ticks / os.sysconf("SC_CLK_TCK") + sum(_cpu_seconds(int(child)) for child in children)


def main(arguments: list[str]) -> int:
    """Print the table and the failures; 1 if there are any."""
    beside = Path(__file__).resolve().parents[3] / "shared" / "data"
    data = Path(arguments[0]) if arguments else Path(os.environ.get("LIT_RLVR_DATA", beside))
    with Verifier() as verifier:
        reports = {name: judge(verifier, golds) for name, golds in read_golds(data).items()}
        seconds = _cpu_seconds(os.getpid())
    columns = ["benchmark", "rows", "judged", "self-unequal", *KINDS, "changed", "judged equal"]
    lines = [columns]
    for name, report in reports.items():
        kinds = [report.pairs[kind] for kind in KINDS]
        figures = [report.golds.rows, len(report.golds.kept), len(report.unequal), *kinds]
        lines.append([name, *map(str, [*figures, sum(kinds), report.equal_pairs.total()])])
    lines.append(["all", *(str(sum(int(line[i]) for line in lines[1:])) for i in range(1, len(columns)))])
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    for line in lines:
        print(" | ".join(cell.rjust(width) for cell, width in zip(line, widths, strict=True)))
    for name, report in reports.items():
        for why, gold in report.golds.left_out:
            print(f"{name}: left out, {why}: {gold!r}")
        for dress, gold in report.unequal:
            print(f"{name}: does not equal itself as {dress}: {gold}")
        for kind, gold, answer in report.equal:
            print(f"{name}: judged equal, {kind}: gold {gold}   answer {answer}")
    verdicts = sum((report.verdicts for report in reports.values()), Counter())
    print("verdicts on changed golds:", ", ".join(f"{count} {kind}" for kind, count in verdicts.most_common()))
    print(f"CPU seconds: {seconds:.1f}, with the workers")
    return int(any(report.unequal or report.equal for report in reports.values()))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
