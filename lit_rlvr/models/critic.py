"""The critic: a micro-batch in, the reward expected from before each response token on out.

From: `algorithms/packing.py` (the layout). To: `algorithms/ppo.py` (advantages and the value loss).
"""

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from lit_rlvr.algorithms.packing import MicroBatch
from lit_rlvr.models.body import Body


class Critic(Body):
    """A body of its own with one number as output.

    The value head starts at 0, so that the first advantages are the rewards themselves and not the noise of a random
    head; its gradient does not vanish there, only the body's does, for one step.

    Args:
        model: any causal language model; its output layer is left out.
        checkpointing: recompute each layer's activations in the backward pass instead of keeping them.
    """

    def __init__(self, model: PreTrainedModel, checkpointing: bool = False) -> None:
        body = model.base_model
        assert isinstance(body, PreTrainedModel)
        super().__init__(body, checkpointing)
        self.head = nn.Linear(model.config.get_text_config().hidden_size, 1)
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)

    def forward(self, batch: MicroBatch) -> Tensor:
        """[T] float32 values."""
        hidden = self.hidden(batch)
        # float32 whatever autocast chose: the advantage is a difference of values, and bf16 has 3 digits.
        with torch.autocast(hidden.device.type, enabled=False):
            kind = hidden.dtype if hidden.dtype == torch.float64 else torch.float32
            values = nn.functional.linear(hidden.to(kind), self.head.weight.to(kind), self.head.bias.to(kind))
        return values.squeeze(-1).clone()  # not a view: FSDP2 warns of outputs that are
