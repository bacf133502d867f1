"""Scoring again what was generated: the responses in an evaluation's folder -> new verdicts, new rows, and what changed.

Needs no model and no benchmark file. The counting is the evaluator's own.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path
from typing import Any

from lit_rlvr.errors import UserError
from lit_rlvr.evaluation.folder import EvaluationFolder, plan_to_json
from lit_rlvr.evaluation.plan import EvaluationPlan
from lit_rlvr.evaluation.store import problem_of, read_responses, response_of, row_of
from lit_rlvr.evaluation.tally import Tally, VerifiesMany
from lit_rlvr.files import write_json, write_jsonl


@dataclass(frozen=True)
class Rescored:
    """One evaluation before and after.

    Attributes:
        before, after: its row of ``evaluations.jsonl``.
        changes: (verdict before, verdict after) -> responses, of those that changed.
    """

    before: dict[str, Any]
    after: dict[str, Any]
    changes: Counter[tuple[str, str]]

    def describe(self) -> str:
        """One line: what came out otherwise."""
        name, was, now = self.after["benchmark"], self.before["accuracy"], self.after["accuracy"]
        new = [
            f"{rule} {100 * f['accuracy']:.1f}%"
            for rule, f in self.after["rules"].items()
            if (self.before.get("rules") or {}).get(rule) != f
        ]
        gone = [rule for rule in self.before.get("rules") or {} if rule not in self.after["rules"]]
        pairs = ", ".join(f"{count} from {a} to {b}" for (a, b), count in sorted(self.changes.items()))
        return "; ".join(
            [
                f"{name}: accuracy {100 * was:.1f}%, as before"
                if was == now
                else f"{name}: accuracy {100 * was:.1f}% -> {100 * now:.1f}%",
                f"verdicts changed: {pairs}" if pairs else "no verdict changed",
                *([f"now by rule: {', '.join(new)}"] if new else []),
                *([f"no longer by rule: {', '.join(gone)}"] if gone else []),
            ]
        )


def rescore(path: Path, rules: Sequence[str] | None, verifier: VerifiesMany) -> list[Rescored]:
    """Score the finished evaluations of a folder again and write their rows and verdicts anew.

    Args:
        path: the folder.
        rules: further rules to score by, instead of the plans' own; None keeps those.
        verifier: judges.

    Raises:
        UserError: nothing is finished there, or a file is damaged.
    """
    folder = EvaluationFolder(path)
    manifest = folder.manifest()
    plans = [plan if rules is None else replace(plan, rules=tuple(rules)) for plan in folder.plans_of(manifest)]
    folder.lock()
    try:
        old = {(row["benchmark"], row["k"]): row for row in folder.rows()}
        if not old:
            raise UserError(f"No evaluation in {path} has been finished, so there is nothing to score again.")
        done = []
        for plan in plans:
            if (before := old.get((plan.benchmark, plan.k))) is not None:
                after, changes = _again(plan, folder.store(plan).file, before, verifier)
                done.append(Rescored(before, after | {key: before[key] for key in before if key == "seconds"}, changes))
        folder.write_rows([one.after for one in done])
        write_json(folder.manifest_file, manifest | {"plans": [plan_to_json(plan) for plan in plans]})
        return done
    finally:
        folder.release()


def _again(
    plan: EvaluationPlan, file: Path, before: dict[str, Any], verifier: VerifiesMany
) -> tuple[dict[str, Any], Counter[tuple[str, str]]]:
    """The new row of a plan, its responses written with their new verdicts."""
    if not file.exists():
        raise UserError(f"The responses of {plan.benchmark} are gone: there is no {file}.")
    kept, _ = read_responses(file)
    problems = {row["index"]: problem_of(row) for row in kept}
    places = list(product(range(before["problems"]), range(plan.k)))
    if [(row["index"], row["sample"]) for row in kept] != places:
        raise UserError(
            f"{file} does not hold {plan.k} responses to each of {before['problems']} problems, in their order; put back what "
            "was there."
        )
    tally = Tally(plan, tuple(problems[index] for index in range(len(problems))), verifier)
    responses = [response_of(row) for row in kept]
    verdicts = tally.add(responses)
    changes: Counter[tuple[str, str]] = Counter()
    for row, verdict in zip(kept, verdicts, strict=True):
        if row["verdict"] != verdict.kind.value:
            changes[row["verdict"], verdict.kind.value] += 1
    judged = zip(responses, verdicts, strict=True)
    write_jsonl(file, [row_of(plan, problems[r.index], r, verdict) for r, verdict in judged])
    return tally.result(before["rl_step"]).row(), changes
