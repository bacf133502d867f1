"""`lit-rlvr grade`: verdicts on a file of responses by the verifier that trains. Read rows, verify, write, summarise.

Nothing here loads torch, so it starts in a fraction of a second.
"""

import contextlib
import json
import math
import os
import select
import stat
import sys
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from itertools import combinations
from pathlib import Path
from typing import Any, BinaryIO, Literal

from jsonargparse import Namespace

from lit_rlvr.commands import BROKEN_PIPE, INTERRUPTED, CommandParser
from lit_rlvr.errors import UserError
from lit_rlvr.rewards.rule import RULES, Mode, Rule
from lit_rlvr.rewards.verdict import Kind, Verdict
from lit_rlvr.rewards.verifier import Verifier

# Bytes asked of the input at once.
_CHUNK = 1 << 16
# Rows verified at once. One call of the verifier gives its slow answers 20 s in all, at up to 1 s each and a worker:
# so few rows that none is ever given up for the sake of its neighbours, whatever they are.
ROWS_PER_WORKER = 16


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the input.

    Attributes:
        line: its number, from 1.
        content: the object in it.
        gold, response: the two that are compared, as text.
        error: why it cannot be graded; empty if it can.
    """

    line: int
    content: dict[str, Any] = field(default_factory=dict)
    gold: str = ""
    response: str = ""
    error: str = ""


@dataclass
class Summary:
    """By which rules rows are judged, and how many came out how.

    Attributes:
        rules: in the order of the columns.
        mode: where answers are looked for; None is each rule's own.
        outcomes: rows per combination of the rules' verdicts; the empty one is of the bad rows.
    """

    rules: Sequence[Rule] = (Rule.EXACT,)
    mode: Mode | None = None
    outcomes: Counter[tuple[Kind, ...]] = field(default_factory=Counter)
    started: float = field(default_factory=time.monotonic)

    def render(self) -> str:
        """A table: a line per kind, a column per rule. Shares are of the rows that could be graded."""
        cells: Counter[tuple[Rule, Kind]] = Counter()
        splits: Counter[str] = Counter()  # rows right by one rule and not by the other, per pair of rules
        split = 0
        for kinds, rows in self.outcomes.items():
            kind_by = dict(zip(self.rules, kinds, strict=False))  # empty for a bad row
            right_by = {rule: kind is Kind.RIGHT for rule, kind in kind_by.items()}
            cells.update(dict.fromkeys(kind_by.items(), rows))
            for one, other in combinations(right_by, 2):
                splits[f"{one}/{other}"] += rows * (right_by[one] != right_by[other])
            split += rows * (len(set(right_by.values())) > 1)
        rows, bad = self.outcomes.total(), self.outcomes[()]
        graded = rows - bad
        lines = [f"{rows} rows, {graded} graded, {bad} bad, {time.monotonic() - self.started:.1f} s", " " * 10]
        for rule in self.rules:
            lines[-1] += f"{f'{rule} ({self.mode or RULES[rule].default})':>23}"
        for kind in Kind:
            counts = [cells[rule, kind] for rule in self.rules]
            lines.append(f"{kind:10}" + "".join(f"{count:>14}{count / max(graded, 1):>9.1%}" for count in counts))
        if splits:
            pairs = ", ".join(f"{pair} {count}" for pair, count in splits.items())
            lines.append(f"right by some rules only: {split} rows ({split / graded:.1%}); {pairs}")
        return "\n".join(lines)


def read_lines(descriptor: int) -> Iterator[bytes | None]:
    """The lines of a file or pipe as they come, and None where whoever writes it pauses."""
    pieces: list[bytes] = []  # of a line that has not ended
    while True:
        if not select.select([descriptor], [], [], 0)[0]:
            yield None
        chunk = os.read(descriptor, _CHUNK)
        first, *others = chunk.split(b"\n")
        pieces.append(first)
        if others:
            yield b"".join(pieces)
            yield from others[:-1]
            pieces = others[-1:]
        if not chunk:
            break
    yield b"".join(pieces)


def read_rows(lines: Iterable[bytes | None]) -> Iterator[Row | None]:
    """Lines as rows, without the blank ones. A pause stays one."""
    number = 0
    for line in lines:
        if line is None:
            yield None
            continue
        number += 1
        text = line.removeprefix(b"\xef\xbb\xbf") if number == 1 else line
        if text.strip():
            yield _row(number, text)


def _row(number: int, line: bytes) -> Row:
    try:
        content = json.loads(line.decode("utf-8"), parse_float=_float, parse_constant=_float)
        if not isinstance(content, dict):
            raise ValueError("not a JSON object")
        return Row(number, content, _text(content, "gold"), _text(content, "response"))
    except UnicodeDecodeError as error:
        reason = f"not UTF-8 at byte {error.start + 1}"
    except json.JSONDecodeError as error:
        reason = f"not JSON: {error.msg} at column {error.colno}"
    except (ValueError, RecursionError) as error:  # ours, a number too long to read, or brackets without end
        reason = str(error)
    return Row(number, error=reason)


def _float(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"not JSON: {text} is no number, or too large")
    return value


def _text(content: dict[str, Any], key: str) -> str:
    """The text under a key, or a `ValueError`; a gold may also be a number."""
    if key not in content:
        raise ValueError(f"no {key}")
    value = content[key]
    if key == "gold" and isinstance(value, int | float) and not isinstance(value, bool):
        return format(Decimal(repr(value)), "f")  # digits only: 1e-05 would be read as 1*e - 5
    if not isinstance(value, str):
        raise ValueError(f"{key} is {json.dumps(value)[:40]}, not text")
    if key == "gold" and not value.strip():
        raise ValueError("gold is empty")
    return value


def in_batches(rows: Iterable[Row | None], size: int) -> Iterator[list[Row]]:
    """As many rows as there are, up to ``size``: a pause ends a batch, so that no verdict waits for rows to come."""
    batch: list[Row] = []
    for row in rows:
        if row is not None:
            batch.append(row)
        if batch and (row is None or len(batch) == size):
            yield batch
            batch = []
    if batch:
        yield batch


def grade(lines: Iterable[bytes | None], verifier: Verifier, summary: Summary) -> Iterator[bytes]:
    """A line with its verdict per row read, in their order, in blocks; bad rows are also named on the error stream.

    Args:
        lines: of JSON, None where the input pauses.
        verifier: judges.
        summary: by which rules, and where is it counted.
    """
    for batch in in_batches(read_rows(lines), ROWS_PER_WORKER * verifier.workers):
        pairs = [(row.response, row.gold) for row in batch if not row.error]
        by_rule = [verifier.verify_many(pairs, rule, summary.mode) for rule in summary.rules]
        judged = zip(*by_rule, strict=True)
        block = []
        for row in batch:
            if row.error:
                print(f"line {row.line}: {row.error}", file=sys.stderr)
            verdicts = () if row.error else next(judged)
            summary.outcomes[tuple(verdict.kind for verdict in verdicts)] += 1
            block.append(_line(_graded(row, verdicts, summary.rules)))
        yield b"".join(block)


def _graded(row: Row, verdicts: Sequence[Verdict], rules: Sequence[Rule]) -> dict[str, Any]:
    if row.error:
        return {"line": row.line, "error": row.error}
    entries = [{"verdict": v.kind.value, "right": v.right, "answer": v.answer} for v in verdicts]
    if len(rules) == 1:
        return row.content | entries[0]
    return row.content | {"verdicts": dict(zip(map(str, rules), entries, strict=True))}


def _line(row: dict[str, Any]) -> bytes:
    try:
        return json.dumps(row, ensure_ascii=False, allow_nan=False).encode() + b"\n"
    except UnicodeEncodeError:  # half a surrogate pair, which only an escape can write
        return json.dumps(row, allow_nan=False).encode() + b"\n"


def main(arguments: list[str]) -> int:
    """`lit-rlvr grade`; returns the exit status, 1 if a row was bad."""
    options = _parse(arguments)
    summary = Summary(
        rules=list(Rule) if options.rule == "all" else [Rule(options.rule)],
        mode=Mode(options.mode) if options.mode else None,
    )
    to_file = options.output not in (None, "-")
    target = Path(options.output if to_file else "-").resolve()
    part = target.with_name(f"{target.name}.part")
    kept = f"; what was graded is in {part}" if to_file else ""
    status = 0
    with contextlib.ExitStack() as stack:
        verifier = stack.enter_context(Verifier(workers=options.workers))
        source = 0 if options.file == "-" else stack.enter_context(_open(options.file, "rb")).fileno()
        _refuse_input_as_output(source, [target, part] if to_file else [1])
        output = stack.enter_context(_open(part, "wb")) if to_file else sys.stdout.buffer
        try:
            for block in grade(read_lines(source), verifier, summary):
                if not _written(block, output):
                    return BROKEN_PIPE
        except KeyboardInterrupt:
            status = INTERRUPTED
            print(f"lit-rlvr: stopped after {summary.outcomes.total()} rows{kept}.", file=sys.stderr)
        except OSError as error:
            raise UserError(f"cannot go on after {summary.outcomes.total()} rows: {error.strerror}{kept}.") from error
    if to_file and not status:
        os.replace(part, target)
    print(summary.render(), file=sys.stderr)
    return status or int(summary.outcomes[()] > 0)


def _written(block: bytes, output: BinaryIO) -> bool:
    """Write at once; False if whoever read the output has seen enough."""
    try:
        output.write(block)
        output.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), output.fileno())  # or Python would try again at its end
        return False
    return True


def _parse(arguments: list[str]) -> Namespace:
    parser = CommandParser(
        "grade",
        "Verdicts on responses: JSON rows {gold, response} in, the same rows with verdict, right and answer "
        "out; a summary goes to the error stream. The exit status is 1 if a row could not be graded.",
    )
    add = parser.add_argument
    add("--file", required=True, metavar="FILE", help="JSONL, one object per line; - reads standard input")
    add("--rule", choices=[*map(str, Rule), "all"], default="exact", help="how answers are compared; all: side by side")
    add("--mode", choices=[*map(str, Mode)], default=None, help="where answers are looked for; null: the rule's own")
    add("--output", metavar="FILE", default=None, help="instead of standard output; complete or not there")
    add("--workers", type=int, default=2, help="processes for answers that take symbols")
    return parser.parse_args(arguments)


def _open(file: str | Path, mode: Literal["rb", "wb"]) -> BinaryIO:
    try:
        return open(file, mode)
    except OSError as error:
        raise UserError(f"cannot {'read' if mode == 'rb' else 'write'} {file}: {error.strerror}.") from None


def _refuse_input_as_output(source: int, targets: Sequence[Path | int]) -> None:
    for target in targets:
        with contextlib.suppress(OSError):  # not there yet
            found = os.stat(target)
            plain = stat.S_ISREG(found.st_mode)
            if isinstance(target, Path) and not plain:
                raise UserError(f"{target} is no plain file: name another, or leave --output out.")
            if plain and os.path.samestat(found, os.fstat(source)):
                raise UserError("input and output are the same file: name another for the output.")
