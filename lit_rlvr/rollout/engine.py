"""The contract every rollout engine keeps; one shared test suite checks it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import inf
from typing import Literal, Protocol, get_args, runtime_checkable

import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from lit_rlvr.errors import UserError
from lit_rlvr.experience import Rollouts

Progress = Callable[[int, int], None]
"""Called with (responses finished, responses asked for) while an engine generates."""

Dtype = Literal["auto", "float32", "bfloat16", "float16"]
"""Of an engine's copy of the weights."""


def check_settings(dtype: str, max_batch: int) -> None:
    """Raise ``UserError`` for what no engine can work with: a precision it does not know, or no response at once."""
    if dtype not in get_args(Dtype):
        raise UserError(f"engine.dtype is {dtype!r}; use auto, float32, bfloat16 or float16.")
    if max_batch < 1:
        raise UserError(f"engine.max_batch is {max_batch}; at least one response is decoded at once.")


@dataclass(frozen=True)
class Sampling:
    """How responses are drawn.

    Attributes:
        n: responses per row.
        temperature: 0 decodes greedily; the paper trains and samples at 0.6.
        top_p: nucleus mass kept, 1 keeps all.
        top_k: most likely tokens kept, 0 keeps all.
        max_tokens: response limit in tokens, stop token included.
        stop: strings that end a response besides the model's own end tokens.
    """

    n: int = 1
    temperature: float = 1.0
    top_p: float = 1.0
    top_k: int = 0
    max_tokens: int = 1024
    stop: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.n < 1:
            raise UserError(f"sampling.n is {self.n}; at least one response per row is needed.")
        if not 0 <= self.temperature < inf:  # NaN neither
            raise UserError(f"sampling.temperature is {self.temperature}; use 0 (greedy) or a positive number.")
        if not 0 < self.top_p <= 1:
            raise UserError(f"sampling.top_p is {self.top_p}; it must lie in (0, 1].")
        if self.top_k < 0:
            raise UserError(f"sampling.top_k is {self.top_k}; use 0 to keep all tokens or a positive number.")
        if self.max_tokens < 1:
            raise UserError(f"sampling.max_tokens is {self.max_tokens}; a response has at least one token.")


def engine_dtype(name: str, device: torch.device) -> torch.dtype:
    """The precision that an engine's ``dtype`` means: ``auto`` is float32 on CPU and bfloat16 elsewhere."""
    if name == "auto":
        return torch.float32 if device.type == "cpu" else torch.bfloat16
    dtype = getattr(torch, name)
    assert isinstance(dtype, torch.dtype)
    return dtype


@runtime_checkable
class RolloutEngine(Protocol):
    """Samples responses from the current policy. Owns its copy of the weights.

    An engine with a ``dtype`` (a name that ``engine_dtype`` knows) says by it how exact its log-probs are. Two methods it may
    have or not, so neither is asked of a class that is to count as an engine:

    - ``check()`` raises ``UserError`` where the engine cannot run on this machine. Called before anything is loaded.
    - ``release()`` gives back memory. Called once an RL step, after the rollouts; what follows is ``update_weights`` or
      ``close``, so the weights may go too. Every rank calls it.
    """

    def setup(self, policy: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, device: torch.device) -> None:
        """Build the inference copy of ``policy`` (whose parameters may be sharded DTensors) on ``device``."""

    def generate(
        self, prompts: Sequence[Sequence[int]], sampling: Sampling, seed: int, progress: Progress | None = None
    ) -> Rollouts:
        """``sampling.n`` responses for each prompt; the same seed gives the same rollouts whatever the batch split.

        Processes may share an engine, so every rank calls it equally often, if need be without prompts.

        Args:
            prompts: R sequences of token ids, none empty.
            sampling: how to draw.
            seed: all randomness; sample k of row r has the id ``r * n + k``.
            progress: called with (responses finished, responses asked for) whenever the first number grows.

        Raises:
            UserError: a prompt is empty, or with ``max_tokens`` longer than the engine has room for.
        """

    def update_weights(self, policy: PreTrainedModel) -> None:
        """Take over the policy's weights after an update. Collective: every rank calls it."""

    def close(self) -> None:
        """Free what the engine holds. May be called twice."""


def check_engine(engine: RolloutEngine) -> None:
    """Let an engine refuse the machine before anything is loaded; one without ``check`` runs everywhere.

    Raises:
        UserError: the engine cannot run here.
    """
    getattr(engine, "check", _nothing)()


def release_memory(engine: RolloutEngine) -> None:
    """Let an engine give back what it does not need until its next ``update_weights``; one without ``release`` keeps it."""
    getattr(engine, "release", _nothing)()


def _nothing() -> None:
    pass
