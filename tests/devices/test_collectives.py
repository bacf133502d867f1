"""What processes give each other is on their device: NCCL takes nothing else."""

import ast
import json
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
import torch.distributed as dist
from torch import Tensor

from lit_rlvr.training.sharding import _from_first
from tests.devices.collectives import OF_OBJECTS, OF_TENSORS
from tests.devices.cuda_like import CUDA, cuda_like
from tests.two_processes.launch import launch

CALLERS = {
    "all_reduce": {"lit_rlvr.training.parallel"},
    "broadcast": {"lit_rlvr.training.sharding"},
    "all_gather_object": {
        "lit_rlvr.callbacks.history",
        "lit_rlvr.evaluation.result",
        "lit_rlvr.rollout.vllm_engine",  # in a group of vLLM's that is for the CPU
        "lit_rlvr.training.interrupt",
    },
}
"""Function of `torch.distributed` -> who calls it in the package. Tensors are looked after in two places alone."""


def test_evaluation_checkpoints_and_stopping_on_two_processes(repository: Path, tmp_path: Path) -> None:
    """With DDP and a critic; each function was called from where it should be, so that something was looked at."""
    launch(repository, "tests.devices.collectives", str(tmp_path))
    for rank in range(2):
        found = json.loads((tmp_path / f"rank{rank}.json").read_text())
        assert found["wrong"] == []
        assert found["ends"] == [0, "stopped by SIGTERM"]
        assert CALLERS["all_reduce"] <= set(found["calls"]["all_reduce"])
        assert CALLERS["all_gather_object"] - {"lit_rlvr.rollout.vllm_engine"} == set(
            found["calls"]["all_gather_object"]
        )
        asked = {"lit_rlvr.callbacks.checkpoint", "lit_rlvr.training.guard"}
        assert asked <= set(found["calls"]["broadcast_object_list"])
    assert (tmp_path / "tiny" / "version_0" / "checkpoints" / "rl_step=1.ckpt").is_file()


@pytest.mark.parametrize("rank", [0, 1])
def test_weights_are_sent_from_device_to_device(rank: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Under FSDP2 the first rank has them on the CPU, the others on ``meta``."""
    sent: list[Tensor] = []

    def broadcast(tensor: Tensor, **_: Any) -> None:
        sent.append(tensor)

    monkeypatch.setattr(dist, "get_rank", lambda: rank)
    monkeypatch.setattr(dist, "broadcast", broadcast)
    weight = torch.nn.Parameter(torch.ones(3, 2).T if rank == 0 else torch.ones(2, 3, device="meta"))
    with cuda_like():
        made = _from_first(weight, SimpleNamespace(get_group=lambda: None), CUDA)  # type: ignore[arg-type]
        assert [tensor.device for tensor in sent] == [CUDA]
        assert made.device == CUDA
        assert made.shape == (2, 3)
        assert sent[0].is_contiguous()


def test_tensors_are_sent_from_two_places_alone(repository: Path) -> None:
    found: dict[str, set[str]] = {}
    for path in (repository / "lit_rlvr").rglob("*.py"):
        module = ".".join(path.relative_to(repository).with_suffix("").parts)
        for name in _collectives(ast.parse(path.read_text())):
            found.setdefault(name, set()).add(module)
    assert found == CALLERS


def _collectives(tree: ast.Module) -> Iterator[str]:
    """Functions of `torch.distributed` that send something, by whatever name the module has it."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("torch.distributed"):
            yield from (alias.name for alias in node.names if alias.name in OF_TENSORS + OF_OBJECTS)
        if isinstance(node, ast.Attribute) and ast.unparse(node.value) in ("dist", "torch.distributed"):
            yield from {node.attr} & {*OF_TENSORS, *OF_OBJECTS}
