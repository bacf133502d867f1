"""The responses of an evaluation as JSON lines: written chunk by chunk while it runs, one file in order when it is done.

From the evaluator to a file that `lit-rlvr grade` and a re-scoring read, and back to an evaluator that goes on where another one
was stopped. A row holds the problem with the response, so that nothing else is needed to score it again.
"""

import json
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from lit_rlvr.errors import UserError
from lit_rlvr.evaluation.plan import EvaluationPlan
from lit_rlvr.evaluation.responses import Response
from lit_rlvr.experience import Problem
from lit_rlvr.files import parse_json, write_jsonl
from lit_rlvr.rewards.verdict import Verdict

Row = dict[str, Any]

_KINDS: dict[str, type] = {
    **dict.fromkeys(("index", "sample", "tokens"), int),
    **dict.fromkeys(("id", "subject", "level", "question", "gold", "response", "verdict"), str),
    "stopped": bool,
}
"""What a row holds; an answer may be null."""


_MOST = 1 << 40
"""Beyond any count; torch holds 63 bits."""


def row_of(plan: EvaluationPlan, problem: Problem, response: Response, verdict: Verdict) -> Row:
    """A response and its verdict, as it is kept."""
    return {
        "benchmark": plan.benchmark,
        "index": response.index,
        "id": problem.id,
        "subject": problem.subject,
        "level": problem.level,
        "question": problem.question,
        "gold": problem.answer,
        "sample": response.sample,
        "response": response.text,
        "tokens": response.tokens,
        "stopped": response.stopped,
        "verdict": verdict.kind.value,
        "answer": verdict.answer,
    }


def response_of(row: Row) -> Response:
    """The response in a row."""
    return Response(row["index"], row["sample"], row["response"], row["tokens"], row["stopped"])


def problem_of(row: Row) -> Problem:
    """The problem in a row."""
    return Problem(row["id"], row["question"], row["gold"], row["subject"], row["level"])


def read_responses(file: Path) -> tuple[list[Row], int]:
    """The whole rows of a file, and how many of its bytes they are: a process may have been killed while it wrote.

    Raises:
        UserError: one of them is damaged.
    """
    content = file.read_bytes()
    whole = content[: content.rfind(b"\n") + 1]
    rows = []
    for number, line in enumerate(whole.splitlines(), start=1):
        try:
            row = parse_json(line.decode())
            if not all(type(row[key]) is kind for key, kind in _KINDS.items()):
                raise TypeError("a value of another kind")
            if not all(0 <= row[key] < _MOST for key in ("index", "sample", "tokens")):
                raise ValueError("a number that counts nothing")
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise UserError(
                f"{file}, row {number} holds no response of an evaluation; put back what was there, or remove the file to have "
                "its responses made anew."
            ) from error
        rows.append(row)
    return rows, len(whole)


class ResponseStore:
    """The responses of one plan, as one of several processes sees them.

    Args:
        folder: where the files are.
        plan: what is evaluated.
        problems: its problems.
        rank: of this process, which writes a file of its own until all are done.
    """

    def __init__(self, folder: Path, plan: EvaluationPlan, problems: tuple[Problem, ...], rank: int = 0) -> None:
        self.plan, self.problems = plan, problems
        self.file = folder / f"{plan.benchmark}@{plan.k}.jsonl"
        self._part = self._part_of(str(rank))
        self._known: dict[int, dict[int, Response]] = {}
        for file in self._files():
            rows, size = read_responses(file)
            if file == self._part:
                os.truncate(file, size)
            for row in rows:
                self._known.setdefault(row["index"], {})[row["sample"]] = response_of(row)

    def _part_of(self, rank: str) -> Path:
        return self.file.with_suffix(f".rank{rank}.part")

    def _files(self) -> list[Path]:
        """Everything that holds responses to this plan, also parts of more processes than there are now."""
        return [file for file in (self.file, *sorted(self.file.parent.glob(self._part_of("*").name))) if file.exists()]

    @property
    def done(self) -> int:
        """Responses that were there when this process began."""
        return sum(map(len, self._known.values()))

    def recall(self, indices: Sequence[int]) -> list[Response] | None:
        """The responses to these problems, if all of them are there."""
        samples = range(self.plan.k)
        try:
            return [self._known[index][sample] for index in indices for sample in samples]
        except KeyError:
            return None

    def keep(self, responses: Iterable[Response], verdicts: Iterable[Verdict]) -> None:
        """Write the responses of a chunk, so that they survive whatever ends this process.

        Raises:
            UserError: they cannot be written.
        """
        rows = (row_of(self.plan, self.problems[r.index], r, v) for r, v in zip(responses, verdicts, strict=True))
        lines = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
        try:
            with open(self._part, "ab") as part:
                part.write(lines.encode())
                part.flush()
                os.fsync(part.fileno())
        except OSError as error:
            raise UserError(
                f"Cannot write to {self._part}: {error.strerror}; make room, and give the command again."
            ) from error

    def settle(self) -> None:
        """Put the parts of all processes into one file, in the order of the problems. For one process, when all are done."""
        found = {(row["index"], row["sample"]): row for file in self._files() for row in read_responses(file)[0]}
        write_jsonl(self.file, (row for _, row in sorted(found.items(), key=lambda entry: entry[0])))
        for file in self._files():
            if file != self.file:
                file.unlink()
