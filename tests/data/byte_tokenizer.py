"""A tokenizer small enough for tests: one token per byte, with or without a chat template and a beginning-of-text token."""

from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors
from transformers import PreTrainedTokenizerFast

CHAT = "{% for m in messages %}<|{{ m.role }}|>{{ m.content }}{% endfor %}{% if add_generation_prompt %}<|assistant|>{% endif %}"


def byte_tokenizer(chat_template: str | None = CHAT, bos: bool = False) -> PreTrainedTokenizerFast:
    """``bos``: put <bos> in front of every text that is encoded with special tokens, as Llama's tokenizer does."""
    special = ["<pad>", "<end>", "<bos>", "<|user|>", "<|assistant|>"]
    vocabulary = {token: i for i, token in enumerate(special + sorted(pre_tokenizers.ByteLevel.alphabet()))}
    tokenizer = Tokenizer(models.BPE(vocabulary, []))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens(special)
    if bos:
        tokenizer.post_processor = processors.TemplateProcessing(
            single="<bos> $A <end>", special_tokens=[("<bos>", 2), ("<end>", 1)]
        )
    wrapped = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="<pad>", eos_token="<end>", bos_token="<bos>" if bos else None
    )
    wrapped.chat_template = chat_template
    return wrapped
