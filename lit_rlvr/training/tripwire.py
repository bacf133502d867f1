"""The tripwire: a run stops where its engine does not say of the same tokens what the trainer's policy says.

From: the engine after it took over the weights, and the policy. To: nothing, or one sentence that ends the run. A sync that
forgets a layer raises no error and shows in no reward for a long time: the run merely learns from another model's responses.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import torch

from lit_rlvr.errors import UserError
from lit_rlvr.experience import Rollouts
from lit_rlvr.models.policy import Policy
from lit_rlvr.rollout.engine import RolloutEngine, Sampling, engine_dtype
from lit_rlvr.training.parallel import Parallel
from lit_rlvr.training.score import score

PROBES = 8
"""Responses that the tokens of a probe are divided between: few steps of the engine, and not one response's luck."""

EXACT_LIMIT = 1e-3
"""Two float32 forwards of one model differ by less than 1e-5 in the mean (our engine and vLLM, on CPU); a hundred times that
leaves room for other kernels and is still less than one update of the tiny policy moves."""

COARSE_LIMIT = 0.2
"""A model of 135M parameters differs by 0.03 in the mean where the engine is in bfloat16, by 0.04 where both are; over 32
tokens that mean has a standard deviation of a third and a tail, since single tokens differ by 0.5: five times it is no
rounding."""


@dataclass(frozen=True)
class TripwireConfig:
    """When a run stops because of its engine.

    Attributes:
        mean: largest mean difference of engine and trainer log-probs. Left out, it follows from the precision of both:
            0.001 where they compute in float32, otherwise 0.2. ``.inf`` stops for nothing but what is no number.
        tokens: length of the probe that is drawn and scored after each sync; 0 for none.
    """

    mean: float | None = None
    tokens: int = 32

    def __post_init__(self) -> None:
        if self.mean is not None and not self.mean > 0:
            raise UserError(
                f"model.tripwire.mean is {self.mean}; no two forward passes agree to the last bit: use a positive number."
            )
        if self.tokens < 0:
            raise UserError(f"model.tripwire.tokens is {self.tokens}; use 0 for no probe or a positive number.")


@dataclass(frozen=True)
class Tripwire:
    """The configuration together with what the run computes in.

    Attributes:
        config: as the user wrote it.
        limit: what the mean difference may be.
    """

    config: TripwireConfig
    limit: float

    @classmethod
    def of(cls, config: TripwireConfig, engine: RolloutEngine, precision: str, device: torch.device) -> "Tripwire":
        """The limit that was asked for, or the one that fits.

        Args:
            config: as the user wrote it.
            engine: its ``dtype``, where it has one, is what it computes in; otherwise that is ``auto``.
            precision: ``trainer.precision``.
            device: where both compute.
        """
        coarse = engine_dtype(getattr(engine, "dtype", "auto"), device) != torch.float32
        # TF32 and its like have the 10 bits of float16 behind the point.
        coarse |= precision != "32-true" or torch.get_float32_matmul_precision() != "highest"
        fitting = COARSE_LIMIT if coarse else EXACT_LIMIT
        return cls(config, fitting if config.mean is None else config.mean)

    def probe(
        self,
        engine: RolloutEngine,
        policy: Policy,
        prompt: tuple[int, ...],
        sampling: Sampling,
        seed: int,
        parallel: Parallel,
        when: str,
    ) -> float | None:
        """Draw a few tokens with the engine and score them with the policy. Every rank calls it, and all stop or none does.

        Args:
            engine: has just taken over the weights.
            policy: has them; left in the mode it is in.
            prompt: to answer.
            sampling: how rollouts are drawn; of it the temperature is taken, and the token limit if it is a low one.
            seed: of the draw.
            parallel: the processes of the run.
            when: what the sentence begins with.

        Returns:
            The mean difference, or None where no probe is asked for.

        Raises:
            UserError: the log-probs differ by more than the limit on some rank.
        """
        if self.config.tokens == 0:
            return None
        length = min(math.ceil(self.config.tokens / PROBES), sampling.max_tokens)
        drawn = engine.generate([prompt], Sampling(PROBES, sampling.temperature, max_tokens=length), seed)
        training = policy.training
        policy.eval()  # engines know no dropout
        scored = score(
            lambda batch: policy(batch, sampling.temperature)[0],
            policy,
            drawn,
            list(range(len(drawn))),
            len(drawn) * (len(prompt) + length),
            parallel,
        )
        policy.train(training)
        mean, largest = worst_difference(drawn, scored, parallel)
        where = f"{when}, over a probe of {len(drawn.tokens)} tokens"
        if not parallel.all(bool(scored.isfinite().all())):
            raise UserError(
                f"{where}: the policy's log-probs are not finite. Its weights have become so in an update: lower the learning "
                "rate (train/grad_norm shows when it began), and resume from a checkpoint before it."
            )
        if not math.isfinite(mean):
            raise UserError(
                f"{where}: the engine's log-probs are not finite, and the policy's are. It lost them in taking over the "
                "weights, or computes too coarsely: mend the engine's update_weights, or set model.engine.init_args.dtype to "
                "float32."
            )
        self._stop(mean, largest, where)
        return mean

    def hold(self, metrics: Mapping[str, float], sampling: Sampling, when: str) -> None:
        """The same for the rollouts themselves, whose difference the update has measured: equal on all ranks, and finite, for
        with others no update is made.

        Where top-p or top-k cut the distribution, the difference is meant to be, and nothing is held against it.
        """
        if sampling.top_p == 1 and sampling.top_k == 0:
            mean, largest = (metrics[f"rollout/logprob_diff/{kind}"] for kind in ("mean", "max"))
            self._stop(mean, largest, f"{when}, over all rollouts")

    def _stop(self, mean: float, largest: float, where: str) -> None:
        if mean <= self.limit:
            return
        raise UserError(
            f"{where}: the log-probs of engine and trainer differ by {mean:.2g} in the mean and {largest:.2g} at most, and "
            f"model.tripwire.mean allows {self.limit:g}. The engine does not have the trainer's weights, or computes too "
            "coarsely, and the run would learn from another model's responses: mend the engine's update_weights, set "
            "model.engine.init_args.dtype to float32, or, if that much is meant to be, raise model.tripwire.mean."
        )


def worst_difference(drawn: Rollouts, scored: torch.Tensor, parallel: Parallel) -> tuple[float, float]:
    """(mean, maximum) of |engine - trainer| over a rank's tokens, of the rank where they are largest; equal on all ranks.

    Not the mean over ranks: one broken engine of many would hide in it. What is no number counts as infinite, for a
    maximum over processes may lose it.
    """
    difference = (scored - drawn.logprobs).abs().double().nan_to_num(nan=math.inf)
    mean, largest = parallel.reduce([difference.mean().item(), difference.max().item()], largest=True)
    return mean, largest
