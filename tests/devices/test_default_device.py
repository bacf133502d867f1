"""Whole starts on a device that has the manners of CUDA, and without accelerate, which is no dependency (peft alone has it)."""

import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
import transformers.integrations.accelerate
from torch import Tensor
from transformers import PretrainedConfig

from lit_rlvr.cli import run
from lit_rlvr.commands import call
from lit_rlvr.models import body
from lit_rlvr.models.fresh import fresh_module, two_layers
from lit_rlvr.models.loading import load_config, load_model, load_tokenizer
from lit_rlvr.models.lora import LoRAConfig, add_adapter
from lit_rlvr.replay import main as replay
from lit_rlvr.rollout.decoder_choice import build_decoder
from tests.devices.cuda_like import CUDA, CudaLike, cuda_like

PLANS = '[{"benchmark": "tiny500", "limit": 4, "max_tokens": 8, "samples": 2, "temperature": 0.6}]'
SMALL = [
    "--config", "configs/tiny.yaml", "--model.sampling.max_tokens", "8", "--data.rows", "2", "--data.rl_steps", "2",
    "--evaluation.plans", PLANS, "--evaluation.endpoint_plans", "[]", "--model.engine.init_args.dtype", "float32",
]  # fmt: skip
PPO_LORA = ["--config", "configs/algorithm/ppo.yaml", "--config", "configs/model/lora.yaml"]


@pytest.fixture(autouse=True)
def device(repository: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[CudaLike]:
    """The pretended device, in a process that has not tried the packed forward before."""
    monkeypatch.chdir(repository)
    monkeypatch.setattr(body, "_packs", {})
    with cuda_like() as mode:
        yield mode


@pytest.fixture
def _without_accelerate(monkeypatch: pytest.MonkeyPatch) -> None:
    """Under a default device, transformers asks for it by this function."""
    monkeypatch.setitem(sys.modules, "accelerate", None)
    monkeypatch.setattr(transformers.integrations.accelerate, "is_accelerate_available", lambda: False)


@pytest.mark.usefixtures("_without_accelerate")
def test_fit_and_replay(tmp_path: Path, capsys: pytest.CaptureFixture[str], device: CudaLike) -> None:
    _fit_and_replay([], tmp_path, capsys, device)


def test_fit_and_replay_with_a_critic_and_an_adapter(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], device: CudaLike
) -> None:
    _fit_and_replay(PPO_LORA, tmp_path, capsys, device)


def _fit_and_replay(more: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str], device: CudaLike) -> None:
    """Two RL steps with evaluations and checkpoints, and the second done again."""
    kept = ["--model.guard.save_batches_every_n_rl_steps", "1", "--trainer.logger.init_args.save_dir", str(tmp_path)]
    run(["fit", *SMALL, *more, *kept])
    assert device.reseeded == 1  # by seed_everything: models are drawn with the CPU's generator
    rows = (tmp_path / "tiny" / "version_0" / "evaluations.jsonl").read_text().splitlines()
    assert [json.loads(row)["rl_step"] for row in rows] == [0, 2]
    step = tmp_path / "tiny" / "version_0" / "batches" / "rl_step=1" / "rank0.pt"
    assert replay([str(step)]) == 0
    assert "Parameters after the update: equal bit for bit." in capsys.readouterr().out


@pytest.mark.usefixtures("_without_accelerate")
def test_doctor(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run(["doctor", *SMALL, "--trainer.logger.init_args.save_dir", str(tmp_path)])  # else it would leave with a status
    said = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in said] == ["ok"] * 9


@pytest.mark.usefixtures("_without_accelerate")
def test_evaluate(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    line = ["--policy", "checkpoints/tiny-base", "--accelerator", "cpu", "--engine.init_args.dtype", "float32"]
    with pytest.raises(SystemExit) as end:
        call("evaluate", [*line, "--plans", PLANS, "--output", str(tmp_path / "out")])
    assert end.value.code == 0, capsys.readouterr().err


def _adapter(config: PretrainedConfig) -> dict[str, Tensor]:
    with torch.device("cpu"):
        model = fresh_module(config, torch.float32)
    add_adapter(model, LoRAConfig(rank=4, alpha=8), "random:qwen2", 3)
    return dict(model.named_parameters())


def _random_policy(config: PretrainedConfig) -> dict[str, Tensor]:
    return dict(load_model("random:qwen2", load_tokenizer("checkpoints/tiny-base"), 3).named_parameters())


def _packed(config: PretrainedConfig) -> dict[str, Tensor]:
    assert body.why_not_packed(config) is None
    return {}


def _decoder(config: PretrainedConfig) -> dict[str, Tensor]:
    model = load_model("checkpoints/tiny-base", load_tokenizer("checkpoints/tiny-base"))
    build_decoder(model, torch.float32, torch.device("cpu"), 64)
    return dict(model.named_parameters())


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(
    "make",
    [
        _random_policy,
        _adapter,
        _packed,
        _decoder,
        lambda config: dict(two_layers(config).named_parameters()),
        lambda config: dict(fresh_module(config, torch.float32, 5).named_parameters()),
    ],
    ids=["random policy", "adapter", "packed forward", "decoder", "two layers", "fresh module"],
)
def test_models_are_the_same_under_any_default_device(
    make: Callable[[PretrainedConfig], dict[str, Tensor]], device: CudaLike, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Bit for bit, on the CPU, and neither the CPU's nor the device's global generator notices."""
    config = load_config("checkpoints/tiny-base")
    before = make(config)
    monkeypatch.setattr(body, "_packs", {})
    state = torch.default_generator.get_state()
    with torch.device("cuda:0"):
        made = make(config)
    assert torch.equal(torch.default_generator.get_state(), state)
    assert device.reseeded == 0
    assert made.keys() == before.keys()
    for name, value in made.items():
        assert value.device == torch.device("cpu")
        assert torch.equal(value, before[name]), name


def test_the_pretended_device_has_the_manners_of_cuda() -> None:
    there, here = torch.ones(3, device=CUDA), torch.ones(3)
    draw = torch.Generator().manual_seed(0)
    for mixed in (
        lambda: there + here,
        lambda: torch.cat([here, there]),
        lambda: here[there.long()],
        lambda: torch.nn.functional.linear(there, here[None].to(CUDA), here[:1]),
        lambda: (2 * there).backward(here),
    ):
        with pytest.raises(RuntimeError, match="Expected all tensors to be on the same device"):
            mixed()
    for foreign in (lambda: torch.randn(3, device=CUDA, generator=draw), lambda: there.uniform_(generator=draw)):
        with pytest.raises(RuntimeError, match="Expected a 'cuda' device type for generator but found 'cpu'"):
            foreign()
    with torch.device(CUDA):
        assert torch.zeros(2).device == torch.tensor([1]).device == CUDA
        assert torch.zeros(2, device="cpu").device == here.device == torch.device("cpu")
        with pytest.raises(RuntimeError, match="type for generator"):
            torch.randint(4, (2,), generator=draw)
    assert (
        (there * 2 + torch.tensor(1.0)).device == there[here.long()].device == CUDA
    )  # scalars and indices may be of the CPU
    assert there.cpu().device == (there.cpu() + here).device == torch.device("cpu")
    with pytest.raises(TypeError, match="numpy"):
        there.numpy()
    weight = torch.nn.Parameter(there)
    (weight * there).sum().backward()
    assert weight.grad is not None
    assert weight.grad.device == weight.data.device == CUDA
    assert torch.nn.Linear(3, 2).to(CUDA)(there).device == CUDA
