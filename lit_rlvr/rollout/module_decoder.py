"""The general decoder: any causal language model of transformers, through its own forward and cache."""

import inspect
from collections.abc import Sequence

import torch
from torch import Tensor
from transformers import DynamicCache, PretrainedConfig, PreTrainedModel

from lit_rlvr.models.fresh import fresh_module
from lit_rlvr.models.weights import named_weights
from lit_rlvr.rollout.decoder import left_padded


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

    def load(self, policy: PreTrainedModel) -> None:
        """Copy the policy's weights over the own ones. Collective where parameters are sharded."""
        with torch.no_grad():
            for name, weight in named_weights(policy):
                self._own[name].copy_(weight)

    def begin(self, prompts: Sequence[Sequence[int]], counts: Sequence[int], max_tokens: int) -> Tensor:
        """See ``Decoder.begin``."""
        ids, real, positions = left_padded(prompts, self._device)
        self._cache = DynamicCache(config=self._module.config)
        self._mask = None if real is None else real.long()
        logits = self._forward(ids, positions)
        owners = torch.repeat_interleave(torch.arange(len(prompts)), torch.tensor(counts)).to(self._device)
        self._positions = positions[:, -1:]
        self._select(owners)
        return logits

    def step(self, tokens: Tensor) -> Tensor:
        """See ``Decoder.step``."""
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
