"""Prompt templates: how a question becomes the text, and then the tokens, that a policy answers.

Stands between the readers (a Problem) and the rollout engine (token ids). Training and evaluation use the same functions.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches

from transformers import PreTrainedTokenizerBase

from lit_rlvr.errors import UserError, first_line

SUFFIX = r" Let's think step by step and output the final answer within \boxed{}."
"""What the paper's training files add to every question (arXiv 2504.20571, released data)."""

_QWEN25_SYSTEM = r"Please reason step by step, and put your final answer within \boxed{}."


@dataclass(frozen=True)
class Example:
    """A question with a response worked out, put before another question as an earlier turn of the same talk."""

    question: str
    response: str


@dataclass(frozen=True)
class PromptTemplate:
    """A named way to put a question.

    Attributes:
        name: what configs call it.
        description: one line for help texts and errors.
        render: (question, tokenizer, worked examples) -> prompt text.
        own_bos: True if the rendered text already begins as the model expects (a chat template writes its own
            beginning-of-text token), so that none is added on encoding.
        stop: strings that end a response to this prompt besides the model's end tokens.
    """

    name: str
    description: str
    render: Callable[[str, PreTrainedTokenizerBase, Sequence[Example]], str]
    own_bos: bool
    stop: tuple[str, ...] = ()


def _chat(question: str, tokenizer: PreTrainedTokenizerBase, examples: Sequence[Example], suffix: str = "") -> str:
    if not tokenizer.chat_template:
        raise UserError(
            f"The tokenizer {tokenizer.name_or_path or type(tokenizer).__name__} has no chat template, which the prompt "
            "templates `chat` and `chat-plain` need; use the template `plain`."
        )
    messages = [
        message
        for shown in examples
        for message in (
            {"role": "user", "content": shown.question + suffix},
            {"role": "assistant", "content": shown.response},
        )
    ]
    messages.append({"role": "user", "content": question + suffix})
    try:
        text = tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
    except Exception as error:  # the template is a program of the model's makers
        raise UserError(
            f"The chat template of the tokenizer {tokenizer.name_or_path} fails ({first_line(error).rstrip('.')}); mend its "
            "chat_template, or use the prompt template `plain`."
        ) from error
    assert isinstance(text, str)
    return text


def _chat_with_suffix(question: str, tokenizer: PreTrainedTokenizerBase, examples: Sequence[Example]) -> str:
    return _chat(question, tokenizer, examples, SUFFIX)


def _qwen25_math_cot(question: str, tokenizer: PreTrainedTokenizerBase, examples: Sequence[Example]) -> str:
    def ask(what: str) -> str:
        return f"<|im_start|>user\n{what}<|im_end|>\n<|im_start|>assistant\n"

    before = "".join(f"{ask(shown.question)}{shown.response}<|im_end|>\n" for shown in examples)
    return f"<|im_start|>system\n{_QWEN25_SYSTEM}<|im_end|>\n{before}{ask(question)}"


def _plain(question: str, tokenizer: PreTrainedTokenizerBase, examples: Sequence[Example]) -> str:
    before = "".join(f"{shown.question}\n{shown.response}\n\n" for shown in examples)
    return f"{before}{question}\n"


TEMPLATES: dict[str, PromptTemplate] = {
    template.name: template
    for template in (
        PromptTemplate("chat", "the model's chat template, question and the paper's suffix", _chat_with_suffix, True),
        PromptTemplate("chat-plain", "the model's chat template, question alone", _chat, True),
        # Base models of this family do not count <|im_end|> among their end tokens, yet write it.
        PromptTemplate(
            "qwen25-math-cot", "Qwen2.5-Math's evaluation prompt", _qwen25_math_cot, False, stop=("<|im_end|>",)
        ),
        PromptTemplate("plain", "question and a line break, no chat", _plain, False),
    )
}


def get_template(name: str) -> PromptTemplate:
    """The template of that name.

    Raises:
        UserError: there is none.
    """
    if name not in TEMPLATES:
        near = get_close_matches(name, TEMPLATES, n=1)
        hint = f" (did you mean {near[0]}?)" if near else ""
        raise UserError(f"There is no prompt template {name!r}{hint}; use one of {', '.join(TEMPLATES)}.")
    return TEMPLATES[name]


def render(template: str, question: str, tokenizer: PreTrainedTokenizerBase, examples: Sequence[Example] = ()) -> str:
    """The prompt as text, with worked examples before the question.

    Raises:
        UserError: unknown template, or a chat template is asked of a tokenizer that has none.
    """
    return get_template(template).render(question, tokenizer, examples)


def encode(
    template: str, question: str, tokenizer: PreTrainedTokenizerBase, examples: Sequence[Example] = ()
) -> tuple[int, ...]:
    """The prompt as token ids, with exactly one beginning-of-text token if the tokenizer puts one.

    Raises:
        UserError: as for :func:`render`.
    """
    chosen = get_template(template)
    ids = list(tokenizer(chosen.render(question, tokenizer, examples), add_special_tokens=False)["input_ids"])
    # Not add_special_tokens=True: some tokenizers would then append an end token, too.
    bos = tokenizer.bos_token_id
    if not chosen.own_bos and bos is not None and ids[:1] != [bos] and tokenizer("a")["input_ids"][:1] == [bos]:
        ids = [bos, *ids]
    return tuple(int(token) for token in ids)
