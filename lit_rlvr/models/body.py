"""The transformer below the heads, run on a micro-batch: what policy and critic have in common.

From: `algorithms/packing.py` (the layout). To: `models/policy.py`, `models/critic.py`.
"""

from torch import Tensor, nn
from transformers import DynamicCache, PreTrainedModel

from lit_rlvr.algorithms.packing import MicroBatch


class Body(nn.Module):
    """A causal transformer whose last hidden states are wanted where response tokens are predicted.

    Args:
        model: with or without its output layer.
        checkpointing: recompute each layer's activations in the backward pass instead of keeping them.

    Attributes:
        shares_prompt: whether the prompt of a micro-batch is computed once for all its responses.
    """

    def __init__(self, model: PreTrainedModel, checkpointing: bool = False) -> None:
        super().__init__()
        if checkpointing:  # transformers 5.23 renamed the method
            enable = getattr(model, "activation_checkpointing_enable", None) or model.gradient_checkpointing_enable
            enable({"use_reentrant": False})
        self.model = model
        # A layer that is recomputed cannot keep the keys and values of a shared prompt.
        self.shares_prompt = not checkpointing

    def hidden(self, batch: MicroBatch) -> Tensor:
        """[T, H] hidden states that stand before each of the micro-batch's T response tokens.

        A shared prompt is computed once, with gradient, and expanded to every response.
        """
        body = self.model.base_model
        if batch.prefix is None:
            # Padding is on the right, where causal attention never looks: no mask is needed, and none is built.
            states = body(input_ids=batch.inputs, use_cache=False).last_hidden_state
        else:
            cache = DynamicCache(config=self.model.config)
            body(input_ids=batch.prefix, past_key_values=cache, use_cache=True)
            cache.batch_repeat_interleave(batch.inputs.shape[0])
            states = body(input_ids=batch.inputs, past_key_values=cache, use_cache=True).last_hidden_state
        return states.flatten(0, 1)[batch.select]
