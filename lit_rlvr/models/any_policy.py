"""Any policy by its name, to be used but not trained: one of our checkpoints, or whatever `models/loading.py` knows.

From what the user wrote to a model on CPU with its tokenizer, which an engine then takes over.
"""

from dataclasses import dataclass
from pathlib import Path

from transformers import PreTrainedModel, PreTrainedTokenizerBase

from lit_rlvr.models.export import build_model, policy_of, read_checkpoint
from lit_rlvr.models.loading import load_config, load_model, load_tokenizer
from lit_rlvr.models.weights import fingerprint


@dataclass(frozen=True)
class AnyPolicy:
    """A policy and where it stands.

    Attributes:
        model: float32, on CPU.
        tokenizer: its own, or the one that was asked for.
        rl_step: how many RL steps it has had; 0 where that is not known.
    """

    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase
    rl_step: int

    def fingerprint(self) -> str:
        """Hex digits that change with the weights, whatever they are called and wherever they lie."""
        return fingerprint(self.model.named_parameters())


def load_policy(source: str, tokenizer: str | None = None, key: str = "--policy") -> AnyPolicy:
    """The policy of that name.

    Args:
        source: a .ckpt file of ours, or any other name of a policy (``load_config``).
        tokenizer: folder or hub id, instead of the policy's own.
        key: where the user wrote ``source``, for the sentence about a mistake.

    Raises:
        UserError: it is missing, damaged, or has no tokenizer.
    """
    if Path(source).suffix == ".ckpt":
        checkpoint = read_checkpoint(Path(source).expanduser())
        policy = policy_of(checkpoint)
        words = load_tokenizer(tokenizer or policy.tokenizer, "--tokenizer")
        model = build_model(policy.weights, policy.config, policy.generation)
        return AnyPolicy(model, words, int(checkpoint["state_dict"]["rl_step"]))
    load_config(source, key)  # says what is wrong with the name before the tokenizer does
    words = load_tokenizer(tokenizer or source, "--tokenizer")
    return AnyPolicy(load_model(source, words, key=key), words, rl_step=0)
