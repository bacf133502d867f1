"""torch's settings come back as they were, and vLLM finds its own again. vLLM itself is not needed: it sets them as here."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import torch

from lit_rlvr.rollout import vllm_settings
from lit_rlvr.rollout.vllm_settings import apart

CPU, CUDA = torch.device("cpu"), torch.device("cuda", 0)
MATMUL = torch.backends.cuda.matmul
WHOLE = MATMUL, torch.backends.mkldnn.matmul, torch.backends.cudnn.conv, torch.backends.cudnn.rnn  # type: ignore[attr-defined]


def state() -> tuple[Any, ...]:
    """All of the settings on CPU, read one by one."""
    return (
        torch.get_num_threads(),
        tuple(backend.fp32_precision for backend in WHOLE),
        torch.are_deterministic_algorithms_enabled(),
        torch.is_deterministic_algorithms_warn_only_enabled(),
    )


@pytest.fixture(autouse=True)
def _as_before(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(vllm_settings, "_own", {})
    before = state()
    yield
    torch.set_float32_matmul_precision("highest")
    for backend, precision in zip(WHOLE, before[1], strict=True):
        backend.fp32_precision = precision
    torch.use_deterministic_algorithms(False)
    assert state()[1:] == before[1:]


def build() -> None:
    """What vLLM sets while it is built."""
    torch.set_float32_matmul_precision("highest")
    torch.set_num_threads(1)


def by_name(name: str) -> Callable[[], None]:
    return lambda: torch.set_float32_matmul_precision(name)


def by_backend() -> None:
    MATMUL.fp32_precision = "tf32"


@pytest.mark.parametrize(
    "configure",
    [lambda: None, by_name("highest"), by_name("high"), by_name("medium"), by_backend],
    ids=["untouched", "highest", "high", "medium", "by backend"],
)
def test_the_trainer_keeps_its_own(configure: Callable[[], None]) -> None:
    configure()
    torch.set_num_threads(2)
    torch.use_deterministic_algorithms(True, warn_only=True)
    before = state()
    for _ in range(2):
        with apart(CPU):
            build()
            assert MATMUL.fp32_precision == "ieee"
        assert state() == before


def test_the_name_for_all_backends_comes_back_too() -> None:
    torch.set_float32_matmul_precision("high")
    with apart(CPU):
        build()
    assert torch.get_float32_matmul_precision() == "high"


def test_after_a_failure_too() -> None:
    torch.set_num_threads(2)
    torch.set_float32_matmul_precision("high")
    before = state()

    def fail() -> None:
        with apart(CPU):
            build()
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert state() == before


def test_vllm_finds_what_it_has_set_and_the_rest_is_the_trainers() -> None:
    torch.set_num_threads(2)
    torch.set_float32_matmul_precision("high")
    with apart(CPU):
        torch.set_float32_matmul_precision("highest")
    torch.set_float32_matmul_precision("medium")
    torch.set_num_threads(3)
    with apart(CPU):
        assert torch.get_float32_matmul_precision() == "highest"
        assert torch.get_num_threads() == 3
    assert torch.get_float32_matmul_precision() == "medium"


def test_deterministic_algorithms_are_off_inside() -> None:
    torch.use_deterministic_algorithms(True)
    with apart(CPU):
        assert not torch.are_deterministic_algorithms_enabled()
    assert torch.are_deterministic_algorithms_enabled()
    assert not torch.is_deterministic_algorithms_warn_only_enabled()


class Stream:
    """A CUDA stream as far as it is used: what it has waited for."""

    device = CUDA

    def __init__(self) -> None:
        self.waited: list[Stream] = []

    def wait_stream(self, other: "Stream") -> None:
        self.waited.append(other)


def test_the_stream_and_cudnn_attention_of_each(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a GPU, which vLLM leaves on its own stream and without cuDNN's attention."""
    default, own = Stream(), Stream()
    current = [default]
    monkeypatch.setattr(torch.cuda, "current_stream", lambda device: current[0])
    monkeypatch.setattr(torch.cuda, "set_stream", lambda stream: current.__setitem__(0, stream))

    @contextmanager
    def turn() -> Iterator[None]:
        assert current == [default]
        assert torch.backends.cuda.cudnn_sdp_enabled()
        with apart(CUDA):
            yield
        assert current == [default]
        assert torch.backends.cuda.cudnn_sdp_enabled()

    with turn():
        torch.backends.cuda.enable_cudnn_sdp(False)
        current[0] = own
    assert default.waited == [own]
    with turn():
        assert current == [own]
        assert own.waited == [default]
        assert not torch.backends.cuda.cudnn_sdp_enabled()
    assert default.waited == [own, own]
