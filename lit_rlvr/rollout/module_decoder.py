"""The general decoder: any causal language model of transformers, through its own forward and cache."""

import inspect
from collections.abc import Sequence

import torch
from torch import Tensor
from transformers import DynamicCache, PretrainedConfig, PreTrainedModel

from lit_rlvr.models.fresh import fresh_module
from lit_rlvr.models.weights import named_weights
from lit_rlvr.rollout.cache_room import UNBOUNDED
from lit_rlvr.rollout.decoder import PREFILL_TOKENS, left_padded, rows_that_go_on


class ModuleDecoder:
    """Decodes with a transformers module of its own; see ``Decoder`` for the methods.

    Args:
        config: of the policy.
        dtype: of the inference copy.
        device: where it lives.
        vocabulary: logits are returned for the token ids below this only.
    """

    # Dropping rows copies the whole cache.
    keeps_cheaply = False
    _cache: DynamicCache | None
    _mask: Tensor | None

    def __init__(self, config: PretrainedConfig, dtype: torch.dtype, device: torch.device, vocabulary: int) -> None:
        self._module = fresh_module(config, dtype)
        torch.nn.Module.to(self._module, device)
        self._device = device
        self._vocabulary = vocabulary
        self._accepted = set(inspect.signature(self._module.forward).parameters)
        self._own = dict(self._module.named_parameters())
        self.end()
        self.token_bytes = self._measure()

    def load(self, policy: PreTrainedModel) -> None:
        """Copy the policy's weights over the own ones. Collective where parameters are sharded."""
        with torch.no_grad():
            for name, weight in named_weights(policy):
                self._own[name].copy_(weight)

    def split(self, prompts: Sequence[Sequence[int]]) -> tuple[int, int]:
        """See ``Decoder.split``."""
        return 0, max(map(len, prompts))

    def begin(
        self, prompts: Sequence[Sequence[int]], counts: Sequence[int], max_tokens: int, room: int = UNBOUNDED
    ) -> Tensor:
        """See ``Decoder.begin``."""
        ids, real, positions = left_padded(prompts, self._device)
        width = ids.shape[1]
        self._columns, self._limit, self._room = width, width + max_tokens, room
        self._cache = DynamicCache(config=self._module.config)
        part = max(1, PREFILL_TOKENS // len(prompts))
        for start in range(0, width, part):
            end = start + part
            self._mask = None if real is None else real[:, :end].long()
            logits = self._forward(ids[:, start:end], positions[:, start:end])
        owners = torch.repeat_interleave(torch.arange(len(prompts)), torch.tensor(counts)).to(self._device)
        self._positions = positions[:, -1:]
        self._select(owners)
        return logits

    def fitting(self, rows: int) -> int:
        """See ``Decoder.fitting``."""
        return rows_that_go_on(self._room, rows, self._columns, 1, self._limit)

    def step(self, tokens: Tensor) -> Tensor:
        """See ``Decoder.step``."""
        self._columns += 1
        self._positions = self._positions + 1
        if self._mask is not None:
            self._mask = torch.cat((self._mask, self._mask.new_ones(len(tokens), 1)), dim=1)
        return self._forward(tokens[:, None], self._positions)

    def keep(self, index: Tensor) -> None:
        """See ``Decoder.keep``."""
        self._select(index.to(self._device))

    def end(self) -> None:
        """See ``Decoder.end``."""
        self._cache = self._mask = None
        self._positions = torch.empty(0, 1, dtype=torch.int64)
        self._columns = self._limit = self._room = 0

    def _measure(self) -> int:
        """Bytes that one token leaves in the cache: architectures keep different things there."""
        with torch.no_grad():
            self.begin([(0,)], [1], 0)
        assert self._cache is not None
        kept = (getattr(layer, name, None) for layer in self._cache.layers for name in ("keys", "values"))
        held = sum(tensor.nbytes for tensor in kept if tensor is not None)
        self.end()
        return max(1, held)

    def _select(self, index: Tensor) -> None:
        assert self._cache is not None
        self._cache.reorder_cache(index)  # type: ignore[arg-type]
        self._positions = self._positions[index]
        self._mask = None if self._mask is None else self._mask[index]

    def _forward(self, ids: Tensor, positions: Tensor) -> Tensor:
        extra = {"position_ids": positions, "logits_to_keep": 1}
        accepted = {name: value for name, value in extra.items() if name in self._accepted}
        output = self._module(
            input_ids=ids, attention_mask=self._mask, past_key_values=self._cache, use_cache=True, **accepted
        )
        return output.logits[:, -1, : self._vocabulary]
