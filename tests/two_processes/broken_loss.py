"""A loss that is no number once, on the second process alone."""

import math
import os
from dataclasses import replace

from torch import Tensor

from lit_rlvr.algorithms.algorithm import LossSums, TokenBatch
from lit_rlvr.algorithms.grpo import GRPO


class BrokenLoss(GRPO):
    """GRPO whose k-th micro-batch, counted from 0, has a loss of NaN on the second process."""

    def __init__(self, k: int) -> None:
        super().__init__()
        self.k, self.count = k, 0

    def loss(self, logprobs: Tensor, entropy: Tensor, batch: TokenBatch, values: Tensor | None = None) -> LossSums:
        whole = super().loss(logprobs, entropy, batch, values)
        self.count += 1
        if self.count - 1 != self.k or os.environ.get("LOCAL_RANK") != "1":
            return whole
        return replace(whole, loss=whole.loss * math.nan)
