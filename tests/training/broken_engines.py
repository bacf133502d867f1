"""Engines that a sync leaves behind, each in another way; every one of them goes on generating without a word."""

import copy
import os
from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from lit_rlvr.experience import Rollouts
from lit_rlvr.models.weights import named_weights
from lit_rlvr.rollout.engine import Progress, Sampling
from lit_rlvr.rollout.transformers_engine import TransformersEngine

Dtype = Literal["auto", "float32", "bfloat16", "float16"]


class ForgetfulEngine(TransformersEngine):
    """Leaves parameters as they were at set-up.

    Args:
        forgotten: parameters whose name holds this; the empty string means all.
        healthy: syncs that work before the first that does not.
        dtype: of the engine.
    """

    def __init__(self, forgotten: str, healthy: int = 0, dtype: Dtype = "auto") -> None:
        super().__init__(dtype)
        self.forgotten, self.healthy, self.syncs = forgotten, healthy, 0

    def setup(self, policy: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, device: torch.device) -> None:
        self.first = {name: weight.clone() for name, weight in named_weights(policy) if self.forgotten in name}
        super().setup(policy, tokenizer, device)

    def update_weights(self, policy: PreTrainedModel) -> None:
        self.syncs += 1
        if self.syncs > self.healthy:
            policy = copy.deepcopy(policy)
            with torch.no_grad():
                for name, weight in policy.named_parameters():
                    weight.copy_(self.first.get(name, weight))
        super().update_weights(policy)


class OneRankEngine(TransformersEngine):
    """On the second process, takes part in the gathering of weights and keeps none of them."""

    def update_weights(self, policy: PreTrainedModel) -> None:
        if os.environ.get("LOCAL_RANK") == "1":
            for _ in named_weights(policy):
                pass
        else:
            super().update_weights(policy)


class ShiftedEngine(TransformersEngine):
    """Says of rollouts something else than of a probe: log-probs off by so much where there are many responses.

    Args:
        shift: added to the log-probs.
        many: responses from which on.
    """

    def __init__(self, shift: float, many: int) -> None:
        super().__init__()
        self.shift, self.many = shift, many

    def generate(
        self, prompts: Sequence[Sequence[int]], sampling: Sampling, seed: int, progress: Progress | None = None
    ) -> Rollouts:
        rollouts = super().generate(prompts, sampling, seed, progress)
        if len(rollouts) < self.many:
            return rollouts
        return replace(rollouts, logprobs=rollouts.logprobs + self.shift)


class NaNEngine(TransformersEngine):
    """Of its k-th large rollouts the last log-prob is NaN, on one process; its probes are in order.

    Args:
        steps: which of them, counted from 0.
        rank: of the process.
        many: responses from which on rollouts are large.
    """

    def __init__(self, steps: list[int], rank: int = 0, many: int = 16) -> None:
        super().__init__()
        self.steps, self.rank, self.many, self.count = steps, rank, many, 0

    def generate(
        self, prompts: Sequence[Sequence[int]], sampling: Sampling, seed: int, progress: Progress | None = None
    ) -> Rollouts:
        rollouts = super().generate(prompts, sampling, seed, progress)
        if len(rollouts) < self.many:
            return rollouts
        self.count += 1
        if self.count - 1 in self.steps and int(os.environ.get("LOCAL_RANK", "0")) == self.rank:
            rollouts.logprobs[-1] = torch.nan
        return rollouts
