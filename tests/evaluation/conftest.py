"""The problems that the evaluator's tests evaluate on."""

import json
from pathlib import Path

import pytest


@pytest.fixture
def problem_file(tmp_path: Path) -> str:
    """500 problems whose answer is the number in the question; subject by thirds."""
    path = tmp_path / "p.jsonl"
    rows = [{"problem": f"Say {i}.", "answer": str(i), "subject": "abc"[i % 3], "level": i // 250} for i in range(500)]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(path)
