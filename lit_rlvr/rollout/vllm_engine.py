"""The engine that runs on vLLM, in the trainer's process: prompts in, sampled responses with their log-probs out.

Second stage of a training step, like `transformers_engine.py`. vLLM is imported when the engine is set up, not before.
"""

import tempfile
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from lit_rlvr.errors import UserError
from lit_rlvr.experience import Rollouts
from lit_rlvr.rollout.engine import Dtype, Progress, RolloutEngine, Sampling, check_settings, engine_dtype
from lit_rlvr.rollout.responses import check_prompts, to_rollouts
from lit_rlvr.rollout.stopping import StopStrings, end_tokens, special_stops
from lit_rlvr.rollout.vllm_drawing import Part, draw
from lit_rlvr.rollout.vllm_support import (
    check_installed,
    contained,
    join_group,
    leave_group,
    reason,
    shut_down,
    spoken_for,
)
from lit_rlvr.rollout.vllm_weights import describe, load, weights_for

COOLEST = 0.01
"""vLLM takes positive temperatures below this for this one, so that the log-probs would be those of another distribution."""


class VLLMEngine(RolloutEngine):
    """Samples responses with vLLM, which keeps an own copy of the weights on the device the policy trains on.

    Every process has its own engine, or ``tensor_parallel_size`` neighbours share one and then answer each other's prompts
    together. Random numbers belong to samples, as in the transformers engine; the two engines draw different ones.

    Args:
        dtype: of the inference copy; ``auto`` is float32 on CPU and bfloat16 elsewhere.
        max_batch: responses decoded at once.
        kv_cache_gb: memory for the key-value cache on CPU, in GiB.
        gpu_memory_utilization: share of a GPU's memory that vLLM may fill: its weights, what a step computes, and with all the
            rest the key-value cache. It is of the card's whole memory, whatever the trainer holds, and set-up fails where less
            is free. The optimizer's moments are not there yet at that time in a new run, so leave room for them: without
            ``sleep``, share and trainer's peak make up at most the card; with it, share and what the trainer holds between
            RL steps (weights, reference, moments), and the peak has the rest to itself while vLLM sleeps.
        enforce_eager: run without compiling and capturing graphs; by default on CPU, where that takes longer than it saves.
        tensor_parallel_size: processes that share an engine. They must be neighbours in rank, and every one of them calls the
            engine equally often.
        sleep: on a GPU, give back weights and cache after the rollouts of an RL step, until the policy has been updated.
    """

    def __init__(
        self,
        dtype: Dtype = "auto",
        max_batch: int = 1024,
        kv_cache_gb: float = 2.0,
        gpu_memory_utilization: float = 0.4,
        enforce_eager: bool | None = None,
        tensor_parallel_size: int = 1,
        sleep: bool = False,
    ) -> None:
        check_settings(dtype, max_batch)
        if not kv_cache_gb > 0:
            raise UserError(f"engine.kv_cache_gb is {kv_cache_gb}; the cache needs some memory.")
        if not 0 < gpu_memory_utilization < 1:
            raise UserError(f"engine.gpu_memory_utilization is {gpu_memory_utilization}; it must lie in (0, 1).")
        if tensor_parallel_size < 1:
            raise UserError(
                f"engine.tensor_parallel_size is {tensor_parallel_size}; an engine has at least one process."
            )
        self.dtype, self.max_batch, self.kv_cache_gb = dtype, max_batch, kv_cache_gb
        self.gpu_memory_utilization, self.enforce_eager, self.sleep = gpu_memory_utilization, enforce_eager, sleep
        self.tensor_parallel_size = tensor_parallel_size
        self._llm: Any = None
        self._sleeps = self._asleep = False

    @property
    def llm(self) -> Any:
        """vLLM's engine; there is one between ``setup`` and ``close``."""
        if self._llm is None:
            raise RuntimeError("The rollout engine is used before setup() or after close().")
        return self._llm

    def check(self) -> None:
        """Look for vLLM, which configurations may name where it is not installed.

        Raises:
            UserError: it is not installed, or of a version that this is not tested with.
        """
        check_installed()

    def setup(self, policy: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, device: torch.device) -> None:
        """Build vLLM's copy of ``policy`` on ``device``. Collective where there are several processes.

        Call it when the run's process group is there, as it is from ``on_fit_start`` on.
        """
        self.check()
        self.close()
        self._tokenizer, self._device, self._ends = tokenizer, device, end_tokens(policy, tokenizer)
        self._vocabulary = min(policy.config.get_text_config().vocab_size, len(tokenizer))
        self._dtype = engine_dtype(self.dtype, device)
        on_cpu = device.type == "cpu"
        self._sleeps, self._asleep = self.sleep and not on_cpu, False
        with contained(device), tempfile.TemporaryDirectory() as folder:
            join_group(device, self.tensor_parallel_size)
            try:
                describe(policy, self._vocabulary, device, Path(folder))
                self._llm = self._build(folder, on_cpu)
            except BaseException as error:
                leave_group()
                if isinstance(error, ValueError):  # what it says of models and memory it cannot do with
                    memory = f"gpu_memory_utilization {self.gpu_memory_utilization}"
                    if on_cpu:
                        memory = f"kv_cache_gb {self.kv_cache_gb}"
                    raise UserError(f"vLLM cannot run this policy with engine.{memory}: {reason(error)}") from error
                raise
        self.update_weights(policy)

    def _build(self, folder: str, on_cpu: bool) -> Any:
        from vllm import LLM

        return LLM(
            model=folder,
            load_format="dummy",  # the weights follow
            skip_tokenizer_init=True,
            generation_config="vllm",  # no sampling settings but ours
            dtype=str(self._dtype).removeprefix("torch."),
            enforce_eager=on_cpu if self.enforce_eager is None else self.enforce_eager,
            logprobs_mode="processed_logprobs",
            enable_prefix_caching=True,
            max_model_len=-1,  # the model's positions, or as many as the cache has room for
            max_num_seqs=self.max_batch,
            kv_cache_memory_bytes=int(self.kv_cache_gb * 2**30) if on_cpu else None,
            gpu_memory_utilization=self.gpu_memory_utilization,
            tensor_parallel_size=self.tensor_parallel_size,
            distributed_executor_backend="external_launcher",  # the processes are there already
            enable_sleep_mode=self._sleeps,
        )

    def update_weights(self, policy: PreTrainedModel) -> None:
        """Take over the policy's weights after an update. Collective where the parameters are sharded."""
        with contained(self._device), spoken_for("taking over the policy's weights"):
            self._wake()
            self.llm.collective_rpc(load, args=(weights_for(policy, self._vocabulary, self._dtype),))
            if not self.llm.reset_prefix_cache():
                raise RuntimeError("its cache still holds keys and values of the old weights")

    def release(self) -> None:
        """With ``sleep``, give back cache and weights until the next ``update_weights``, which brings all weights anew."""
        if not self._sleeps or self._asleep:
            return
        with contained(self._device), spoken_for("giving memory back"):
            # Level 1 would copy the weights to pinned host memory and back for nothing. Level 2 drops them; vLLM keeps the
            # model's buffers (rotary tables, scales of the cache), which no update brings, and the update checks that it
            # brought every parameter.
            self.llm.sleep(level=2)
            self._asleep = True

    def close(self) -> None:
        """Free what vLLM holds. May be called twice."""
        if self._llm is None:
            return
        with contained(self._device):
            # Sleeping memory would be unmapped twice, which CUDA takes for an error; but there may be none to wake up in.
            with suppress(Exception):
                self._wake()
            shut_down(self._llm)
            self._llm = None
            leave_group()

    def generate(
        self, prompts: Sequence[Sequence[int]], sampling: Sampling, seed: int, progress: Progress | None = None
    ) -> Rollouts:
        """See ``RolloutEngine.generate``.

        Raises:
            UserError: a prompt is empty, or a prompt and ``max_tokens`` together exceed the model's positions or the cache;
                or the temperature is one that vLLM does not sample at.
        """
        asked = tuple(tuple(int(token) for token in prompt) for prompt in prompts)
        self._check(asked, sampling)
        ends = (*self._ends, *special_stops(self._tokenizer, sampling.stop))
        stop = StopStrings(self._tokenizer, sampling.stop, ends)
        if self._asleep:
            raise RuntimeError(
                "The rollout engine is asked between release() and update_weights(), and has no weights."
            )
        parts, mine = self._parts(asked, seed)
        with contained(self._device), spoken_for("generating"):
            drawn = draw(self.llm.llm_engine, parts, mine, sampling, ends, stop, progress)
        return to_rollouts(
            asked,
            sampling.n,
            [torch.tensor(response.tokens, dtype=torch.int64) for response in drawn],
            [torch.tensor(response.logprobs, dtype=torch.float32) for response in drawn],
            torch.tensor([response.stopped for response in drawn], dtype=torch.bool),
            tuple(stop.text(response.tokens) for response in drawn),
        )

    def _check(self, prompts: tuple[tuple[int, ...], ...], sampling: Sampling) -> None:
        config = self.llm.llm_engine.model_config
        positions, room = getattr(config.hf_text_config, "max_position_embeddings", None), config.max_model_len
        whose = f"the model's {positions} positions"
        if positions is None or room < positions:
            whose = f"the {room} tokens that the key-value cache has room for (engine.kv_cache_gb, on a GPU gpu_memory_utilization)"
        check_prompts(prompts, sampling, room, whose)
        if 0 < sampling.temperature < COOLEST:
            raise UserError(
                f"sampling.temperature is {sampling.temperature}, and vLLM samples at {COOLEST} or more; use 0 (greedy) or that."
            )

    def _parts(self, prompts: tuple[tuple[int, ...], ...], seed: int) -> tuple[list[Part], int]:
        """What the processes that share this engine ask for, in the same order in each, and which of it is ours."""
        if self.tensor_parallel_size == 1:
            return [Part(prompts, seed)], 0
        from vllm.distributed.parallel_state import get_tp_group

        group = get_tp_group()
        parts: list[Any] = [None] * self.tensor_parallel_size
        torch.distributed.all_gather_object(parts, Part(prompts, seed), group=group.cpu_group)
        return parts, group.rank_in_group

    def _wake(self) -> None:
        if self._asleep:
            self.llm.wake_up()
            self._asleep = False
