"""The folder of an evaluation: what is being evaluated, the rows that are done, and the responses.

Between the command and the files. What the evaluation is of is written first (``evaluation.json``), so that nobody goes on with
another policy, seed or plan by mistake.
"""

import fcntl
import os
from dataclasses import asdict
from pathlib import Path
from typing import Any

from lit_rlvr.errors import UserError
from lit_rlvr.evaluation.plan import EvaluationPlan
from lit_rlvr.evaluation.rows import fault
from lit_rlvr.evaluation.store import ResponseStore
from lit_rlvr.experience import Problem
from lit_rlvr.files import json_lines, parse_json, write_json, write_jsonl

Manifest = dict[str, Any]
"""policy, weights (a fingerprint), rl_step, seed, engine, plans, prompts (a fingerprint for each plan)."""


class EvaluationFolder:
    """Files of an evaluation.

    Args:
        path: the folder.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.manifest_file, self.rows_file = path / "evaluation.json", path / "evaluations.jsonl"
        self._lock: int | None = None

    def claim(self, manifest: Manifest) -> None:
        """Make the folder this evaluation's, or see that it is, and keep other processes out until this one ends.

        Raises:
            UserError: it is another's, it is in use, or it cannot be written to.
        """
        try:
            if not self.manifest_file.exists():
                if self.path.exists() and (not self.path.is_dir() or any(self.path.iterdir())):
                    raise UserError(
                        f"{self.path} is there and holds no evaluation; choose another folder for --output."
                    )
                write_json(self.manifest_file, manifest)
            self.manifest()  # before anything is put beside what may be damaged
            (self.path / "responses").mkdir(exist_ok=True)
            self.lock()
        except OSError as error:
            raise UserError(
                f"Cannot write to {self.path} ({error.strerror}); choose another folder for --output."
            ) from error
        try:
            old = self.manifest()
            for key, value in manifest.items():
                if key != "policy" and old.get(key) != value:
                    raise UserError(self._other(key, old, manifest))
        except UserError:
            self.release()
            raise

    def lock(self) -> None:
        """Keep other processes out.

        Raises:
            UserError: one is in.
        """
        self._lock = os.open(self.manifest_file, os.O_RDONLY)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self.release()
            raise UserError(
                f"Another process is at work in {self.path}; wait for it, or choose another folder."
            ) from None

    def release(self) -> None:
        """Let others in."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def _other(self, key: str, old: Manifest, new: Manifest) -> str:
        """What to say of a folder whose evaluation differs from the one that is asked for in ``key``."""
        if key == "plans" and _without_rules(old) == _without_rules(new):
            return f"The evaluation in {self.path} scores by other rules; use --rescore {self.path} --rules … to change them."
        what = {
            "weights": f"another policy, {old.get('policy')} ({old.get(key)}) and not {new['policy']} ({new[key]})",
            "engine": "another engine",
            "plans": "other benchmarks or decoding",
            "prompts": "other problems or prompts",
        }.get(key, f"the {key} {old.get(key)} and not {new[key]}")
        return f"{self.path} holds an evaluation with {what}; choose another folder for --output, or give what it was begun with."

    def manifest(self) -> Manifest:
        """What is evaluated here.

        Raises:
            UserError: the folder has no readable ``evaluation.json``.
        """
        try:
            manifest = parse_json(self.manifest_file.read_text("utf-8"))
            self.plans_of(manifest)
            return manifest
        except FileNotFoundError:
            raise UserError(f"{self.path} holds no evaluation: there is no {self.manifest_file}.") from None
        except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError, UserError) as error:
            raise UserError(
                f"{self.manifest_file} is damaged or of another version; evaluate into another folder."
            ) from error

    @staticmethod
    def plans_of(manifest: Manifest) -> list[EvaluationPlan]:
        """The plans in a manifest."""
        plans = [EvaluationPlan(**{**plan, "rules": tuple(plan["rules"])}) for plan in manifest["plans"]]
        for plan in plans:
            if not all(count is None or type(count) is int for count in (plan.samples, plan.limit, plan.max_tokens)):
                raise TypeError("a count of a plan is none")
        return plans

    def rows(self) -> list[dict[str, Any]]:
        """The rows of the plans that are done."""
        if not self.rows_file.exists():
            return []
        try:
            rows = [row for _, row in json_lines(self.rows_file)]
            if any(fault(row) for row in rows):
                raise UserError(f"{self.rows_file} holds a row that is no evaluation")
            return rows
        except UserError as error:
            raise UserError(
                f"{self.rows_file} is damaged; remove it, and what was generated will be scored again."
            ) from error

    def row_of(self, plan: EvaluationPlan) -> dict[str, Any] | None:
        """The row of a plan that is done."""
        return next((row for row in self.rows() if (row["benchmark"], row["k"]) == (plan.benchmark, plan.k)), None)

    def write_rows(self, rows: list[dict[str, Any]]) -> None:
        """All rows, in the order of the plans."""
        write_jsonl(self.rows_file, rows)

    def store(self, plan: EvaluationPlan, problems: tuple[Problem, ...] = (), rank: int = 0) -> ResponseStore:
        """The responses to a plan."""
        return ResponseStore(self.path / "responses", plan, problems, rank)


def _without_rules(manifest: Manifest) -> list[dict[str, Any]]:
    return [plan | {"rules": []} for plan in manifest["plans"]]


def plan_to_json(plan: EvaluationPlan) -> dict[str, Any]:
    """A plan with everything that was settled, so that a later change of the defaults does not change it."""
    return asdict(plan) | plan.settled() | {"rules": list(plan.rules)}
