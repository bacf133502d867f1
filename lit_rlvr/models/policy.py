"""The model as the trainer sees it: a micro-batch in, log-probabilities and entropies of its response tokens out.

From: `algorithms/packing.py` (the layout). To: `algorithms/` (the loss). The engine reads the weights of ``model``.
"""

from torch import Tensor, nn
from transformers import DynamicCache, PreTrainedModel

from lit_rlvr.algorithms.logprobs import logprobs_and_entropy
from lit_rlvr.algorithms.packing import MicroBatch
from lit_rlvr.errors import UserError


class Policy(nn.Module):
    """A causal language model with a forward pass made for policy gradients.

    The log-probabilities are computed *inside* ``forward``: sharded strategies gather the output embedding only there.

    Args:
        model: any ``AutoModelForCausalLM``.
        vocabulary: tokens of the tokenizer; rows of the output embedding beyond it are padding and get no probability.
        checkpointing: recompute each layer's activations in the backward pass instead of keeping them.
    """

    def __init__(self, model: PreTrainedModel, vocabulary: int, checkpointing: bool = False) -> None:
        super().__init__()
        for name in ("logit_scale", "logits_scaling"):
            if getattr(model.config, name, None) not in (None, 1, 1.0):
                raise UserError(
                    f"model.policy: architecture {model.config.model_type} scales its logits ({name}), which is not "
                    "supported; use a Llama- or Qwen-like model."
                )
        if checkpointing:  # transformers 5.23 renamed the method
            enable = getattr(model, "activation_checkpointing_enable", None) or model.gradient_checkpointing_enable
            enable({"use_reentrant": False})
        self.model = model
        # A layer that is recomputed cannot keep the keys and values of a shared prompt.
        self.shares_prompt = not checkpointing
        self.vocabulary = min(vocabulary, model.get_output_embeddings().weight.shape[0])

    def forward(self, batch: MicroBatch, temperature: float) -> tuple[Tensor, Tensor]:
        """Log-probabilities and entropies, each [T] float32, of the micro-batch's T response tokens."""
        hidden = self._hidden(batch)
        head = self.model.get_output_embeddings()
        bias = getattr(head, "bias", None)
        return logprobs_and_entropy(
            hidden.flatten(0, 1)[batch.select],
            head.weight[: self.vocabulary],
            batch.targets,
            temperature,
            bias=None if bias is None else bias[: self.vocabulary],
            softcap=getattr(self.model.config.get_text_config(), "final_logit_softcapping", None),
        )

    def _hidden(self, batch: MicroBatch) -> Tensor:
        """[B, L, H] last hidden states. A shared prompt is computed once, with gradient, and expanded to every response."""
        body = self.model.base_model
        if batch.prefix is None:
            # Padding is on the right, where causal attention never looks: no mask is needed, and none is built.
            return body(input_ids=batch.inputs, use_cache=False).last_hidden_state
        cache = DynamicCache(config=self.model.config)
        body(input_ids=batch.prefix, past_key_values=cache, use_cache=True)
        cache.batch_repeat_interleave(batch.inputs.shape[0])
        return body(input_ids=batch.inputs, past_key_values=cache, use_cache=True).last_hidden_state


def frozen(policy: Policy) -> Policy:
    """The policy with gradients off and in evaluation mode, as the reference is used."""
    return policy.requires_grad_(False).eval()
