"""What an algorithm is: an advantage function, a loss function, and whether it needs a critic or a reference."""

from abc import ABC, abstractmethod
from dataclasses import dataclass

from torch import Tensor

from lit_rlvr.experience import Rollouts


@dataclass(frozen=True)
class TokenBatch:
    """The tokens of one micro-batch, as the loss sees them. All [T] float32, none with gradient.

    Attributes:
        advantages: one per token.
        old_logprobs: of the policy that made the rollouts; None means this forward is that policy, unchanged.
        reference_logprobs: of the frozen reference, or None where the loss has no such term.
    """

    advantages: Tensor
    old_logprobs: Tensor | None = None
    reference_logprobs: Tensor | None = None


@dataclass(frozen=True)
class LossSums:
    """Sums over tokens; the caller divides.

    Attributes:
        loss: scalar with gradient, the sum of the per-token loss.
        metrics: metric name -> scalar sum over the same tokens, without gradient.
    """

    loss: Tensor
    metrics: dict[str, Tensor]


class Algorithm(ABC):
    """Everything that tells one algorithm from another. Configured from YAML, holds no state."""

    needs_critic: bool = False

    @property
    @abstractmethod
    def needs_reference(self) -> bool:
        """Whether the loss has a term against the reference; if not, no reference is built."""

    @abstractmethod
    def check(self, samples_per_row: int, rows: int) -> None:
        """Raise ``UserError`` if the algorithm cannot work with this many responses."""

    @abstractmethod
    def groups(self, rollouts: Rollouts) -> Tensor:
        """[N] int64, which responses are compared with which."""

    @abstractmethod
    def advantages(self, rollouts: Rollouts, rewards: Tensor) -> Tensor:
        """[T] advantages per token from [N] rewards."""

    @abstractmethod
    def loss(self, logprobs: Tensor, entropy: Tensor, batch: TokenBatch) -> LossSums:
        """Loss and metric sums of one micro-batch from log-probs [T] and entropies [T], both with gradient."""
