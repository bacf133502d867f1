"""The model as the trainer sees it: a micro-batch in, log-probabilities and entropies of its response tokens out.

From: `algorithms/packing.py` (the layout). To: `algorithms/` (the loss). The engine reads the weights of ``model``.
"""

from torch import Tensor
from transformers import PreTrainedModel

from lit_rlvr.algorithms.logprobs import logprobs_and_entropy
from lit_rlvr.algorithms.packing import MicroBatch
from lit_rlvr.errors import UserError
from lit_rlvr.models.body import Body


class Policy(Body):
    """A causal language model with a forward pass made for policy gradients.

    The log-probabilities are computed *inside* ``forward``: sharded strategies gather the output embedding only there.

    Args:
        model: any ``AutoModelForCausalLM``.
        vocabulary: tokens of the tokenizer; rows of the output embedding beyond it are padding and get no probability.
        checkpointing: recompute each layer's activations in the backward pass instead of keeping them.
    """

    def __init__(self, model: PreTrainedModel, vocabulary: int, checkpointing: bool = False) -> None:
        for name in ("logit_scale", "logits_scaling"):
            if getattr(model.config, name, None) not in (None, 1, 1.0):
                raise UserError(
                    f"model.policy: architecture {model.config.model_type} scales its logits ({name}), which is not "
                    "supported; use a Llama- or Qwen-like model."
                )
        super().__init__(model, checkpointing)
        self.vocabulary = min(vocabulary, model.get_output_embeddings().weight.shape[0])

    def forward(self, batch: MicroBatch, temperature: float) -> tuple[Tensor, Tensor]:
        """Log-probabilities and entropies, each [T] float32, of the micro-batch's T response tokens."""
        head = self.model.get_output_embeddings()
        bias = getattr(head, "bias", None)
        return logprobs_and_entropy(
            self.hidden(batch),
            head.weight[: self.vocabulary],
            batch.targets,
            temperature,
            bias=None if bias is None else bias[: self.vocabulary],
            softcap=getattr(self.model.config.get_text_config(), "final_logit_softcapping", None),
        )


def frozen(policy: Policy) -> Policy:
    """The policy with gradients off and in evaluation mode, as the reference is used."""
    return policy.requires_grad_(False).eval()
