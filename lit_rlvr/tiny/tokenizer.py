"""The tiny policy's tokenizer: byte-level BPE with 512 entries, digits one by one, and the chat template.

Trained by pre-training on its own text, then saved beside the weights as an ordinary transformers folder; the rest of
the line only ever meets it through ``AutoTokenizer``.
"""

from collections.abc import Iterable

from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

PAD, END, USER, ASSISTANT = "<|pad|>", "<|end|>", "<|user|>", "<|assistant|>"
PAD_ID, END_ID = 0, 1
VOCABULARY = 512  # 4 special, 256 bytes (so that any text can be written), 252 learnt pieces

# Whatever is not the assistant's is put to it by the user: the policy was never told of a system role.
CHAT_TEMPLATE = (
    "{% for message in messages %}"
    "{% if message['role'] == 'assistant' %}<|assistant|>{{ message['content'] }}<|end|>"
    "{% else %}<|user|>{{ message['content'] }}{% endif %}"
    "{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)


def train_tokenizer(texts: Iterable[str]) -> PreTrainedTokenizerFast:
    """Learn the pieces from texts."""
    core = Tokenizer(models.BPE())
    core.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    )
    core.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY,
        special_tokens=[PAD, END, USER, ASSISTANT],
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    core.train_from_iterator(texts, trainer)
    return as_transformers(core)


def as_transformers(core: Tokenizer) -> PreTrainedTokenizerFast:
    """The pieces as a transformers tokenizer with special tokens and chat template.

    Loaded back through ``AutoTokenizer`` beside a Qwen2 model it becomes a ``Qwen2Tokenizer``, which splits foreign text
    a little otherwise and puts it into Unicode's NFC form first; the policy's own text comes out the same either way.
    """
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=core,
        pad_token=PAD,
        eos_token=END,
        # Bytes are never unknown. Without a name for it the Qwen2 class would add an entry beyond the embedding.
        unk_token=PAD,
        extra_special_tokens=[USER, ASSISTANT],
        clean_up_tokenization_spaces=False,
    )
    tokenizer.chat_template = CHAT_TEMPLATE
    return tokenizer


def chat(question: str, response: str | None = None) -> str:
    """Question (and response) in the chat template's form, as the policy sees it."""
    return f"{USER}{question}{ASSISTANT}" + ("" if response is None else f"{response}{END}")
