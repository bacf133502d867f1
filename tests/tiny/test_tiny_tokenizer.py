"""The tiny tokenizer: lossless, digits one by one, a chat template, loads from a folder."""

import unicodedata
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from transformers import AutoTokenizer, PreTrainedTokenizerFast

from lit_rlvr.tiny.sets import tiny500
from lit_rlvr.tiny.tokenizer import END, END_ID, PAD_ID, VOCABULARY, chat, train_tokenizer


@pytest.fixture(scope="module")
def shipped(repository: Path) -> PreTrainedTokenizerFast:
    return AutoTokenizer.from_pretrained(repository / "checkpoints" / "tiny-base")


def test_special_tokens_and_size(shipped: PreTrainedTokenizerFast):
    assert len(shipped) == VOCABULARY
    assert (shipped.pad_token_id, shipped.eos_token_id) == (PAD_ID, END_ID)


def test_questions_come_back_unchanged_and_digits_stand_alone(shipped: PreTrainedTokenizerFast):
    for problem in tiny500():
        ids = shipped.encode(problem.question, add_special_tokens=False)
        assert shipped.decode(ids) == problem.question
    assert [shipped.decode([i]) for i in shipped.encode("4096", add_special_tokens=False)] == list("4096")
    assert not any(sum(c.isdigit() for c in piece) > 1 for piece in (shipped.decode([i]) for i in range(4, VOCABULARY)))


@given(text=st.text(max_size=60))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_any_text_comes_back(shipped: PreTrainedTokenizerFast, text: str):
    ids = shipped.encode(text, add_special_tokens=False, split_special_tokens=True)
    assert shipped.decode(ids) == unicodedata.normalize("NFC", text)
    assert max(ids, default=0) < VOCABULARY


def test_chat_template_is_the_training_format(shipped: PreTrainedTokenizerFast):
    user = {"role": "user", "content": "What is 2+2?"}
    prompt = shipped.apply_chat_template([user], tokenize=False, add_generation_prompt=True)
    assert prompt == chat("What is 2+2?") == "<|user|>What is 2+2?<|assistant|>"
    whole = shipped.apply_chat_template([user, {"role": "assistant", "content": "4"}], tokenize=False)
    assert whole == chat("What is 2+2?", "4") == prompt + "4" + END
    assert shipped.encode(prompt) == shipped.encode(prompt, add_special_tokens=False)


def test_training_a_tokenizer_is_repeatable(tmp_path: Path):
    texts = [chat(p.question, p.answer) for p in tiny500()]
    one, two = train_tokenizer(texts), train_tokenizer(texts)
    assert one.backend_tokenizer.to_str() == two.backend_tokenizer.to_str()
    one.save_pretrained(tmp_path)
    assert AutoTokenizer.from_pretrained(tmp_path).encode("<|user|>7*8") == two.encode("<|user|>7*8")
