"""Under FSDP2 rank 0 alone loads, and every rank holds its share of the same model."""

from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModelForCausalLM

from tests.two_processes.launch import launch
from tests.two_processes.loaded_once import TINY_BASE


@pytest.fixture(scope="module")
def of_two(repository: Path, tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """What each rank found."""
    folder = tmp_path_factory.mktemp("loaded")
    launch(repository, "tests.two_processes.loaded_once", str(folder))
    return [torch.load(folder / f"rank{rank}.pt", weights_only=False) for rank in range(2)]


def test_rank_0_alone_loads(of_two: list[dict[str, Any]]) -> None:
    assert [found["whole"]["loads"] for found in of_two] == [[TINY_BASE] * 3, []]
    assert [found["lora"]["loads"] for found in of_two] == [["random:qwen2"] * 2, []]


@pytest.mark.parametrize("body", ["policy", "reference", "critic"])
def test_every_rank_has_the_weights_of_the_folder(body: str, of_two: list[dict[str, Any]]) -> None:
    model = AutoModelForCausalLM.from_pretrained(TINY_BASE, dtype=torch.float32)
    inner = model.base_model if body == "critic" else model
    expected = dict(inner.named_parameters())
    first, second = (found["whole"][body] for found in of_two)
    for rank in (first, second):
        assert rank["weights"].keys() - expected.keys() == ({"head.weight", "head.bias"} if body == "critic" else set())
        assert all(torch.equal(rank["weights"][name], weight) for name, weight in expected.items())
        assert {name: value.tolist() for name, value in rank["buffers"].items()} == {
            name: value.tolist() for name, value in inner.named_buffers()
        }
        assert rank["tied"] == (body != "critic")
    assert first["held"] + second["held"] == sum(weight.numel() for weight in first["weights"].values())
    assert first["generation"] == second["generation"]


def test_every_rank_ends_responses_at_the_same_tokens(of_two: list[dict[str, Any]]) -> None:
    first, second = (found["whole"]["engine ends"] for found in of_two)
    assert first == second
    assert first


def test_an_adapter_is_the_same_on_every_rank(of_two: list[dict[str, Any]]) -> None:
    first, second = (found["lora"] for found in of_two)
    assert first["adapter"] == second["adapter"]
    assert first["adapter"]["fingerprint"]
    assert all(torch.equal(w, second["policy"]["weights"][n]) for n, w in first["policy"]["weights"].items())
    assert any("lora_A" in name and weight.any() for name, weight in first["policy"]["weights"].items())


def test_what_rank_0_cannot_load_ends_every_rank_with_its_sentence(of_two: list[dict[str, Any]]) -> None:
    assert [found["said"] for found in of_two] == ["model.critic: it is damaged."] * 2
