"""The engine that needs nothing but transformers: prompts in, sampled responses with their log-probs out.

Second stage of a training step, after the prompts and before the reward.
"""

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from lit_rlvr.errors import UserError
from lit_rlvr.experience import Rollouts
from lit_rlvr.rollout.decoder import Decoder
from lit_rlvr.rollout.decoder_choice import build_decoder
from lit_rlvr.rollout.decoding import Batch, decode
from lit_rlvr.rollout.engine import Dtype, Progress, RolloutEngine, Sampling, check_settings, engine_dtype
from lit_rlvr.rollout.responses import check_prompts, to_rollouts
from lit_rlvr.rollout.stopping import StopStrings, end_tokens, special_stops


class TransformersEngine(RolloutEngine):
    """Samples responses with an own copy of the weights, on the device the policy trains on.

    Equal prompts are prefilled once and shared by all their samples; rows that have ended leave the batch. Random
    numbers belong to samples, so rollouts do not depend on ``max_batch`` (up to the rounding of matrix products of
    another height, which can move a draw that falls within 1e-7 of the border between two tokens).

    Args:
        dtype: of the inference copy; ``auto`` is float32 on CPU and bfloat16 elsewhere.
        max_batch: responses decoded at once.
        max_batch_tokens: limit for responses times (prompt + max_tokens), which bounds the key-value cache; 0 for none.
    """

    def __init__(
        self,
        dtype: Dtype = "auto",
        max_batch: int = 1024,
        max_batch_tokens: int = 0,
    ) -> None:
        check_settings(dtype, max_batch)
        if max_batch_tokens < 0:
            raise UserError(f"engine.max_batch_tokens is {max_batch_tokens}; use 0 for no limit or a positive number.")
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
            UserError: a prompt is empty, or a prompt and ``max_tokens`` together exceed the model's positions.
        """
        decoder = self.decoder
        asked = tuple(tuple(int(token) for token in prompt) for prompt in prompts)
        check_prompts(asked, sampling, self._positions, f"the model's {self._positions} positions")
        total, finished = len(asked) * sampling.n, 0
        end_ids = (*self._ends, *special_stops(self._tokenizer, sampling.stop))
        ends = torch.tensor(end_ids, dtype=torch.int64, device=self._device)
        stop = StopStrings(self._tokenizer, sampling.stop, end_ids)
        tokens: list[Tensor] = [torch.empty(0)] * total
        logprobs: list[Tensor] = [torch.empty(0)] * total
        stopped = torch.zeros(total, dtype=torch.bool)

        def report(ended: int) -> None:
            if progress is not None:
                progress(finished + ended, total)

        with torch.inference_mode(), torch.autocast(self._device.type, enabled=False):
            for batch in self._batches(asked, sampling):
                decoded = decode(decoder, batch, sampling, seed, ends, stop, report)
                samples = [sample for group in batch.samples for sample in group]
                lengths = decoded.lengths.tolist()
                for place, (drawn, scored) in enumerate(
                    zip(decoded.tokens.split(lengths), decoded.logprobs.split(lengths), strict=True)
                ):
                    tokens[samples[place]], logprobs[samples[place]] = drawn, scored
                stopped[samples] = decoded.stopped
                finished += len(samples)
        # Outside inference mode, so that the results may take part in training.
        texts = tuple(stop.text(drawn.tolist()) for drawn in tokens)
        return to_rollouts(asked, sampling.n, tokens, logprobs, stopped, texts)

    def _batches(self, prompts: tuple[tuple[int, ...], ...], sampling: Sampling) -> Iterator[Batch]:
        """Longest prompts first, so that neighbours are of similar length and memory is needed early or never."""
        samples: dict[tuple[int, ...], list[int]] = {}
        for row, prompt in enumerate(prompts):
            samples.setdefault(prompt, []).extend(range(row * sampling.n, (row + 1) * sampling.n))
        batch, room = Batch([], []), 0
        for prompt in sorted(samples, key=len, reverse=True):
            waiting = samples[prompt]
            while waiting:
                if room == 0:
                    if batch.prompts:
                        yield batch
                    batch, room = Batch([], []), self._room(len(prompt) + sampling.max_tokens)
                batch.prompts.append(prompt)
                batch.samples.append(waiting[:room])
                waiting, room = waiting[room:], room - len(batch.samples[-1])
        if batch.prompts:
            yield batch

    def _room(self, tokens: int) -> int:
        if self.max_batch_tokens == 0:
            return self.max_batch
        return max(1, min(self.max_batch, self.max_batch_tokens // tokens))
