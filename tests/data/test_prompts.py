"""Templates: the exact text, and one beginning-of-text token at most."""

import pytest

from lit_rlvr.data.prompts import TEMPLATES, encode, get_template, render
from lit_rlvr.errors import UserError
from tests.data.byte_tokenizer import CHAT, byte_tokenizer


def test_the_text_of_every_template() -> None:
    tokenizer = byte_tokenizer()
    texts = {name: render(name, "What is 1+1?", tokenizer) for name in TEMPLATES}
    assert texts == {
        "chat": "<|user|>What is 1+1? Let's think step by step and output the final answer within \\boxed{}.<|assistant|>",
        "chat-plain": "<|user|>What is 1+1?<|assistant|>",
        "qwen25-math-cot": (
            "<|im_start|>system\nPlease reason step by step, and put your final answer within \\boxed{}.<|im_end|>\n"
            "<|im_start|>user\nWhat is 1+1?<|im_end|>\n<|im_start|>assistant\n"
        ),
        "plain": "What is 1+1?\n",
    }


def test_tokens_decode_to_the_text() -> None:
    tokenizer = byte_tokenizer()
    for name in TEMPLATES:
        assert tokenizer.decode(encode(name, "Größe {x}?", tokenizer)) == render(name, "Größe {x}?", tokenizer)


def test_the_roles_of_the_chat_are_single_tokens() -> None:
    assert encode("chat-plain", "A", byte_tokenizer())[0] == 3
    assert len(encode("chat-plain", "AB", byte_tokenizer())) == 4


@pytest.mark.parametrize("name", TEMPLATES)
def test_one_bos_and_no_end_token(name: str) -> None:
    tokenizer = byte_tokenizer("<bos>" + CHAT, bos=True)
    ids = encode(name, "Hi", tokenizer)
    assert ids[0] == 2
    assert ids.count(2) == 1
    assert 1 not in ids


def test_no_bos_where_the_tokenizer_puts_none() -> None:
    assert encode("plain", "Hi", byte_tokenizer())[0] != 2


def test_only_the_chatml_prompt_stops_at_its_own_mark() -> None:
    assert {name: template.stop for name, template in TEMPLATES.items() if template.stop} == {
        "qwen25-math-cot": ("<|im_end|>",)
    }


def test_unknown_template() -> None:
    with pytest.raises(
        UserError, match=r"no prompt template 'chat_plain' \(did you mean chat-plain\?\).*chat, chat-plain"
    ):
        get_template("chat_plain")


@pytest.mark.parametrize("name", ["chat", "chat-plain"])
def test_a_tokenizer_without_chat_template(name: str) -> None:
    tokenizer = byte_tokenizer(chat_template=None)
    with pytest.raises(UserError, match="use the template `plain`"):
        render(name, "Hi", tokenizer)
    assert render("plain", "Hi", tokenizer) == "Hi\n"
