"""What vLLM and the trainer's process do to each other. Run by `make test-vllm`."""

import gc
import logging
import os
import random
import signal
import warnings
from collections.abc import Iterator
from typing import Any

import numpy
import pytest
import torch
from engine_suite import EQUAL_PROMPTS, expected_logprobs, small_policy, small_tokenizer

from lit_rlvr.rollout.engine import Sampling
from lit_rlvr.rollout.vllm_engine import VLLMEngine
from lit_rlvr.rollout.vllm_support import contained

pytestmark = pytest.mark.vllm

CPU = torch.device("cpu")


def make_engine() -> VLLMEngine:
    engine = VLLMEngine(kv_cache_gb=0.05)
    engine.setup(small_policy(), small_tokenizer(), CPU)
    return engine


def snapshot() -> dict[str, Any]:
    """Whatever of the process a trainer could miss."""
    backends = torch.backends
    precisions = backends.cuda.matmul, backends.mkldnn.matmul, backends.cudnn.conv, backends.cudnn.rnn  # type: ignore[attr-defined]
    kernels = backends.cuda
    return {
        "random": (random.getstate(), numpy.random.get_state()[1].tolist(), torch.get_rng_state().tolist()),
        "environment": {name: value for name, value in os.environ.items() if not name.startswith("VLLM_")},
        "threads": (torch.get_num_threads(), torch.set_num_threads),
        "float32": (torch.get_float32_matmul_precision(), [backend.fp32_precision for backend in precisions]),
        "deterministic": (
            torch.are_deterministic_algorithms_enabled(), torch.is_deterministic_algorithms_warn_only_enabled(),
            torch.utils.deterministic.fill_uninitialized_memory, backends.cudnn.deterministic, backends.cudnn.benchmark,
        ),
        "attention": (
            kernels.flash_sdp_enabled(), kernels.mem_efficient_sdp_enabled(), kernels.math_sdp_enabled(),
            kernels.cudnn_sdp_enabled(),
        ),
        "sums": (
            kernels.matmul.allow_fp16_reduced_precision_reduction, kernels.matmul.allow_bf16_reduced_precision_reduction
        ),
        "defaults": (torch.get_default_dtype(), torch.get_default_device()),
        "autograd": (torch.is_grad_enabled(), torch.is_inference_mode_enabled(), torch.is_anomaly_enabled()),
        "autocast": (torch.is_autocast_enabled("cpu"), torch.get_autocast_dtype("cpu"), torch.is_autocast_cache_enabled()),
        "signals": {number: signal.getsignal(number) for number in signal.valid_signals()},
        "logging": (logging.root.level, list(logging.root.handlers), logging.root.manager.disable),
        "warnings": (list(warnings.filters), warnings.showwarning),
        "collector": (gc.isenabled(), gc.get_threshold(), list(gc.callbacks)),
    }  # fmt: skip


@pytest.fixture
def _settings_of_a_trainer() -> Iterator[None]:
    """Other ones than torch's defaults, and than those that vLLM sets."""
    torch.set_num_threads(2)
    torch.set_float32_matmul_precision("high")
    torch.use_deterministic_algorithms(True, warn_only=True)
    yield
    torch.set_float32_matmul_precision("highest")
    torch.use_deterministic_algorithms(False)


@pytest.mark.usefixtures("_settings_of_a_trainer")
def test_the_process_is_left_as_it_was() -> None:
    import vllm  # noqa: F401  # its modules come with hooks of their own in garbage collection and warnings, once

    before = snapshot()

    def same(after: str) -> None:
        now = snapshot()
        assert {name: now[name] for name in before if now[name] != before[name]} == {}, after

    engine = make_engine()
    same("setup")
    engine.generate([(5, 9)], Sampling(max_tokens=4), seed=0)
    same("generate")
    engine.release()
    same("release")
    engine.update_weights(small_policy(seed=1))
    same("update_weights")
    engine.close()
    same("close")
    assert not torch.distributed.is_initialized()
    assert gc.get_freeze_count() == 0


def test_the_model_runner_is_the_one_that_is_tested(monkeypatch: pytest.MonkeyPatch) -> None:
    """With Triton, which machines with a GPU have, vLLM would take another than here."""
    import vllm.config.vllm
    import vllm.envs

    engine = make_engine()
    config = engine.llm.llm_engine.vllm_config
    monkeypatch.setattr(vllm.config.vllm, "HAS_TRITON", True)
    vllm.envs.disable_envs_cache()
    monkeypatch.delenv("VLLM_USE_V2_MODEL_RUNNER", raising=False)
    assert config.use_v2_model_runner
    with contained(CPU):
        assert not config.use_v2_model_runner
    monkeypatch.setenv("VLLM_USE_V2_MODEL_RUNNER", "1")  # a user who wants it has it
    with contained(CPU):
        assert config.use_v2_model_runner
    engine.close()


def test_sleep_is_one_cycle_a_step(monkeypatch: pytest.MonkeyPatch) -> None:
    """Workers on CPU keep their memory; that vLLM's scheduler sleeps and wakes is the same."""
    engine, calls = make_engine(), []
    engine._sleeps = True  # as on a GPU
    asleep, awake = engine.llm.sleep, engine.llm.wake_up
    monkeypatch.setattr(engine.llm, "sleep", lambda level: calls.append(f"sleep {level}") or asleep(level))
    monkeypatch.setattr(engine.llm, "wake_up", lambda: calls.append("wake up") or awake())
    for step in range(3):
        policy = small_policy(seed=step)
        nothing = small_policy()
        with torch.no_grad():
            for parameter in nothing.parameters():
                parameter.fill_(torch.nan)
        engine.update_weights(nothing)  # what a sleeping engine forgets, wherever it keeps it
        calls.clear()
        engine.release()
        engine.release()
        assert calls == ["sleep 2"]
        assert engine.llm.llm_engine.is_sleeping()
        with pytest.raises(RuntimeError, match=r"between release\(\) and update_weights\(\)"):
            engine.generate(EQUAL_PROMPTS, Sampling(max_tokens=4), seed=0)
        engine.update_weights(policy)
        drawn = engine.generate(EQUAL_PROMPTS, Sampling(n=2, max_tokens=8), seed=step)
        torch.testing.assert_close(drawn.logprobs, expected_logprobs(policy, drawn, Sampling()), atol=2e-5, rtol=0)
        assert calls == ["sleep 2", "wake up"]
    engine.release()
    engine.close()  # memory is freed awake
    assert calls == ["sleep 2", "wake up"] * 2


@pytest.mark.parametrize("kind", ["qwen2", "llama"])
def test_what_a_sleeping_engine_forgets_comes_back(kind: str) -> None:
    """Parameters come with the policy's weights, buffers are kept by vLLM, the cache is emptied: the model has no more on its
    device. What is marked as of the CPU stays where it is.
    """
    engine = VLLMEngine(kv_cache_gb=0.05)
    engine.setup(small_policy(kind), small_tokenizer(), CPU)

    def others(worker: Any) -> set[str]:
        return {
            name
            for module in worker.get_model().modules()
            for name, value in vars(module).items()
            if isinstance(value, torch.Tensor)
        }

    (found,) = engine.llm.collective_rpc(others)
    assert {name for name in found if not name.endswith("_cpu")} == {"kv_cache"}
    engine.close()
