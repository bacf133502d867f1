"""What an algorithm is: an advantage function, a loss function, and whether it needs a critic or a reference."""

from abc import ABC, abstractmethod
from dataclasses import dataclass

from torch import Tensor

from lit_rlvr.algorithms.mismatch import MismatchCorrection
from lit_rlvr.algorithms.returns import Reduce
from lit_rlvr.experience import Experience, Rollouts


@dataclass(frozen=True)
class TokenBatch:
    """The tokens of one micro-batch, as the loss sees them. All [T], none with gradient.

    Attributes:
        advantages: float32, one per token.
        responses: int64, which response of the micro-batch each token belongs to, counted from 0.
        weights: float32, what each token counts in the sum (`algorithms/aggregation.py`), or None for 1.
        old_logprobs: float32, of the policy that made the rollouts; None means this forward is that policy, unchanged.
        reference_logprobs: float32, of the frozen reference, or None where the loss has no such term.
        old_values: float32, the critic's before this RL step's updates, or None.
        returns: float32, what the critic is to learn, or None.
        engine_logprobs: float32, of the distribution that the engine sampled from; only a mismatch correction needs them.
        kept: float32, what each token counts in every sum because others were left out (`algorithms/subsets.py`), or None.
        reference_weights: float32, what each token's KL counts (`Experience`), or None for 1.
    """

    advantages: Tensor
    responses: Tensor
    weights: Tensor | None = None
    old_logprobs: Tensor | None = None
    reference_logprobs: Tensor | None = None
    old_values: Tensor | None = None
    returns: Tensor | None = None
    engine_logprobs: Tensor | None = None
    kept: Tensor | None = None
    reference_weights: Tensor | None = None

    def sum(self, per_token: Tensor) -> Tensor:
        """The sum of [T] values in which each token counts what the aggregation gives it: a loss."""
        return self.total(per_token if self.weights is None else self.weights * per_token)

    def total(self, per_token: Tensor) -> Tensor:
        """The sum of [T] values over all tokens, also those that were left out: a metric."""
        return (per_token if self.kept is None else self.kept * per_token).sum()


@dataclass(frozen=True)
class LossSums:
    """Sums over tokens; the caller divides.

    Attributes:
        loss: scalar with gradient, the weighted sum of the per-token loss.
        metrics: metric name -> scalar ``TokenBatch.total`` over the same tokens, without gradient.
    """

    loss: Tensor
    metrics: dict[str, Tensor]


class Algorithm(ABC):
    """Everything that tells one algorithm from another. Configured from YAML, holds no state.

    Attributes:
        needs_critic: whether a critic is built and trained beside the policy.
        needs_old_logprobs: whether advantages take the policy's own log-probs, even with one update per rollout step.
        critic_warmup: RL steps at the beginning in which only the critic learns.
        kl_share: share of the responses that the reference is asked about.
        correction: how the loss makes up for an engine that samples from a slightly other distribution.
    """

    needs_critic: bool = False
    needs_old_logprobs: bool = False
    critic_warmup: int = 0
    kl_share: float = 1.0
    correction: MismatchCorrection = MismatchCorrection()

    @property
    @abstractmethod
    def needs_reference(self) -> bool:
        """Whether anything is measured against the reference; if not, no reference is built."""

    @abstractmethod
    def check(self, samples_per_row: int, rows: int) -> None:
        """Raise ``UserError`` if the algorithm cannot work with this many responses."""

    @abstractmethod
    def groups(self, rollouts: Rollouts) -> Tensor:
        """[N] int64, which responses are compared with which."""

    @abstractmethod
    def advantages(self, experience: Experience, reduce: Reduce = lambda sums: sums) -> Experience:
        """The experience with its advantages, and with returns where there is a critic.

        Args:
            experience: rewards and whatever log-probs and values this algorithm needs.
            reduce: sums over processes, for statistics over all responses of an RL step.
        """

    @abstractmethod
    def loss(self, logprobs: Tensor, entropy: Tensor, batch: TokenBatch, values: Tensor | None = None) -> LossSums:
        """Loss and metric sums of one micro-batch.

        Args:
            logprobs: [T], with gradient.
            entropy: [T], with gradient.
            batch: what belongs to the same tokens.
            values: [T], the critic's, with gradient, where there is one.
        """
