"""The engine that needs nothing but transformers: prompts in, sampled responses with their log-probs out.

Second stage of a training step, after the prompts and before the reward.
"""

from collections.abc import Sequence
from functools import partial

import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from lit_rlvr.errors import UserError
from lit_rlvr.experience import Rollouts
from lit_rlvr.rollout.cache_room import UNBOUNDED, free_bytes, rows_at_once, share_out
from lit_rlvr.rollout.decoder import FIRST_COLUMNS, Decoder
from lit_rlvr.rollout.decoder_choice import build_decoder
from lit_rlvr.rollout.decoding import decode
from lit_rlvr.rollout.engine import Dtype, Progress, RolloutEngine, Sampling, check_settings, engine_dtype
from lit_rlvr.rollout.responses import check_prompts, to_rollouts
from lit_rlvr.rollout.stopping import StopStrings, end_tokens, special_stops
from lit_rlvr.rollout.waiting import Waiting


class TransformersEngine(RolloutEngine):
    """Samples responses with an own copy of the weights, on the device the policy trains on.

    Equal prompts are prefilled once and shared by all their samples; rows that have ended leave the batch. Random
    numbers belong to samples, so rollouts do not depend on ``max_batch`` (up to the rounding of matrix products of
    another height, which can move a draw that falls within 1e-7 of the border between two tokens).

    The key-value cache stays within the memory that is free when generation starts: rows that find no room wait, and where
    responses grow beyond it the last rows make room and go on later, from the token they had got to. Their keys and values are
    then computed again in one pass, which is rounding of the same kind. ``max_batch_tokens`` makes it the same in every run.

    Args:
        dtype: of the inference copy; ``auto`` is float32 on CPU and bfloat16 elsewhere.
        max_batch: responses decoded at once.
        max_batch_tokens: limit for responses times (prompt + max_tokens), whatever memory is free; 0 goes by that memory.
    """

    def __init__(
        self,
        dtype: Dtype = "auto",
        max_batch: int = 1024,
        max_batch_tokens: int = 0,
    ) -> None:
        check_settings(dtype, max_batch)
        if max_batch_tokens < 0:
            raise UserError(
                f"engine.max_batch_tokens is {max_batch_tokens}; use 0 for what fits into the memory that is free, or a positive number."
            )
        self.dtype, self.max_batch, self.max_batch_tokens = dtype, max_batch, max_batch_tokens
        self._decoder: Decoder | None = None

    @property
    def decoder(self) -> Decoder:
        """The decoder in use; there is one between ``setup`` and ``close``."""
        if self._decoder is None:
            raise RuntimeError("The rollout engine is used before setup() or after close().")
        return self._decoder

    def setup(self, policy: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, device: torch.device) -> None:
        """Build the inference copy of ``policy`` on ``device``. Collective where the parameters are sharded."""
        # Weights made in inference mode could never be updated outside of it.
        with torch.inference_mode(False):
            self._decoder = build_decoder(policy, engine_dtype(self.dtype, device), device, len(tokenizer))
        self._tokenizer = tokenizer
        self._device = device
        self._vocabulary = len(tokenizer)
        self._ends = end_tokens(policy, tokenizer)
        self._positions = getattr(policy.config, "max_position_embeddings", None)

    def update_weights(self, policy: PreTrainedModel) -> None:
        """Take over the policy's weights after an update. Collective where the parameters are sharded."""
        with torch.inference_mode(False):
            self.decoder.load(policy)

    def close(self) -> None:
        """Free the weights. May be called twice."""
        self._decoder = None

    def generate(
        self, prompts: Sequence[Sequence[int]], sampling: Sampling, seed: int, progress: Progress | None = None
    ) -> Rollouts:
        """See ``RolloutEngine.generate``.

        Raises:
            UserError: a prompt is empty, a prompt and ``max_tokens`` together exceed the model's positions, or memory does
                not suffice for a single response.
        """
        decoder = self.decoder
        asked = tuple(tuple(int(token) for token in prompt) for prompt in prompts)
        check_prompts(asked, sampling, self._positions, f"the model's {self._positions} positions")
        waiting = Waiting(asked, sampling.n)
        end_ids = (*self._ends, *special_stops(self._tokenizer, sampling.stop))
        ends = torch.tensor(end_ids, dtype=torch.int64, device=self._device)
        stop = StopStrings(self._tokenizer, sampling.stop, end_ids)

        def report(ended: int) -> None:
            if progress is not None:
                progress(waiting.finished + ended, len(waiting.tokens))

        most, room = self._room(len(waiting.tokens))
        with torch.inference_mode(), torch.autocast(self._device.type, enabled=False):
            while waiting:
                batch = waiting.take(most, partial(self._fitting, room, sampling.max_tokens))
                try:
                    decoded = decode(decoder, batch, sampling, seed, ends, stop, report, room)
                except torch.OutOfMemoryError as error:
                    raise UserError(
                        f"Memory on {self._device} does not suffice for a single response of {sampling.max_tokens} tokens to a "
                        f"prompt of {len(batch.prompts[0]) - batch.drawn}: lower sampling.max_tokens."
                    ) from error
                waiting.receive(batch, decoded)
                if decoded.exhausted:  # there was less room than it seemed
                    most = max(1, int(decoded.waiting.sum()) // 2)
        # Outside inference mode, so that the results may take part in training.
        texts = tuple(stop.text(drawn.tolist()) for drawn in waiting.tokens)
        return to_rollouts(asked, sampling.n, waiting.tokens, waiting.logprobs, waiting.stopped, texts)

    def _room(self, samples: int) -> tuple[int, int]:
        """(Rows at once, tokens that the cache may hold) during this call."""
        rows = min(samples, self.max_batch)
        free = free_bytes(self._device) if self.max_batch_tokens == 0 else None
        if free is None:
            return rows, UNBOUNDED
        return share_out(free, rows, self._vocabulary, self.decoder.token_bytes)

    def _fitting(self, room: int, max_tokens: int, prompts: list[tuple[int, ...]], drawn: int, rows: int) -> int:
        """How many rows of these prompts may begin. Most end early, so nothing is reserved for the limit, unless asked for."""
        left = max_tokens - drawn
        if self.max_batch_tokens:
            return rows_at_once(self.max_batch_tokens, rows, len(prompts[0]) + left)
        shared, columns = self.decoder.split(prompts)
        return rows_at_once(room, rows, columns + min(left, max(columns, FIRST_COLUMNS)), shared)
