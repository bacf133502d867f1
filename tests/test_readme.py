"""The README's two commands are the ones that are used, and its tables are the code's."""

import re
import tomllib
from pathlib import Path

from lit_rlvr.names import METRICS


def _commands(repository: Path) -> list[str]:
    return [b.strip() for b in re.findall(r"```bash\n(.*?)```", (repository / "README.md").read_text("utf-8"), re.S)]


def test_opens_with_the_two_commands(repository: Path) -> None:
    main_job, tests = _commands(repository)[:2]
    assert main_job == "pip install -c constraints.txt -e . && lit-rlvr fit --config configs/tiny.yaml"
    assert tests == 'pip install -c constraints.txt -e ".[test]" && pytest -n 2 --dist loadfile'


def test_ci_runs_the_second_command_as_printed(repository: Path) -> None:
    """CI reads it out of the README, by the same rule as this test, into a fresh virtual environment."""
    script = (repository / ".ci" / "run").read_text("utf-8")
    assert "python3 -m venv" in script
    assert r"```bash\n(.*?)```" in script
    assert "blocks[1]" in script
    assert 'bash -euo pipefail -c "$command"' in script


def test_commands_name_what_exists(repository: Path) -> None:
    project = tomllib.loads((repository / "pyproject.toml").read_text("utf-8"))["project"]
    assert project["name"] == "lit-rlvr"
    assert project["scripts"] == {"lit-rlvr": "lit_rlvr.__main__:main"}
    assert {"test", "vllm"} <= set(project["optional-dependencies"])
    for config in re.findall(r"configs/[\w./-]+\.yaml", (repository / "README.md").read_text("utf-8")):
        assert (repository / config).is_file(), config


def test_torch_is_pinned_in_one_place(repository: Path) -> None:
    pins = [
        path.name
        for path in (repository / "constraints.txt", repository / "pyproject.toml", repository / ".ci" / "run")
        if "torch==" in path.read_text("utf-8")
    ]
    assert pins == ["constraints.txt"]


def test_every_metric_is_in_the_table(repository: Path) -> None:
    text = (repository / "README.md").read_text("utf-8")
    for name, meaning in METRICS.items():
        assert f"| `{name}` | {meaning} |" in text, name
