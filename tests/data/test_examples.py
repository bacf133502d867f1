"""Worked examples: where they come from, how they stand in a prompt, and when they give the answer away."""

import json
import warnings
from pathlib import Path

import pytest

from lit_rlvr.data.examples import read_examples, warn_if_asked
from lit_rlvr.data.prompts import Example, encode, render
from lit_rlvr.errors import UserError
from lit_rlvr.experience import Problem
from lit_rlvr.rewards.extract import extract_boxed
from lit_rlvr.tiny.sets import NAMED
from tests.data.byte_tokenizer import CHAT, byte_tokenizer

SHOWN = Example("What is 2+2?", r"It is \boxed{4}.")


def test_the_text_of_every_template() -> None:
    texts = {
        name: render(name, "What is 1+1?", byte_tokenizer(), [SHOWN])
        for name in ("chat", "chat-plain", "qwen25-math-cot", "plain")
    }
    suffix = " Let's think step by step and output the final answer within \\boxed{}."
    assert texts == {
        "chat": (
            f"<|user|>What is 2+2?{suffix}<|assistant|>It is \\boxed{{4}}.<|user|>What is 1+1?{suffix}<|assistant|>"
        ),
        "chat-plain": ("<|user|>What is 2+2?<|assistant|>It is \\boxed{4}.<|user|>What is 1+1?<|assistant|>"),
        "qwen25-math-cot": (
            "<|im_start|>system\nPlease reason step by step, and put your final answer within \\boxed{}.<|im_end|>\n"
            "<|im_start|>user\nWhat is 2+2?<|im_end|>\n<|im_start|>assistant\nIt is \\boxed{4}.<|im_end|>\n"
            "<|im_start|>user\nWhat is 1+1?<|im_end|>\n<|im_start|>assistant\n"
        ),
        "plain": "What is 2+2?\nIt is \\boxed{4}.\n\nWhat is 1+1?\n",
    }


@pytest.mark.parametrize("template", ["chat", "plain"])
def test_still_one_beginning_of_text(template: str) -> None:
    tokenizer = byte_tokenizer("<bos>" + CHAT, bos=True)
    ids = encode(template, "Hi", tokenizer, [SHOWN])
    assert ids[0] == 2
    assert ids.count(2) == 1
    assert tokenizer.decode(ids).endswith(render(template, "Hi", tokenizer, [SHOWN]).removeprefix("<bos>"))


def test_the_built_in_one_is_the_problem_with_care() -> None:
    (example,) = read_examples("tiny/pi1")
    assert example.question == NAMED["tiny/pi1"].question
    assert extract_boxed(example.response) == NAMED["tiny/pi1"].answer
    assert example.response == r"Step by step: 42-18=24. 24/3=8. The answer is \boxed{8}."


@pytest.mark.parametrize("keys", [("question", "response"), ("problem", "solution")])
@pytest.mark.parametrize("ending", ["json", "jsonl"])
def test_from_a_file(keys: tuple[str, str], ending: str, tmp_path: Path) -> None:
    path = tmp_path / f"{keys[0]}.{ending}"
    row = {keys[0]: "Größe?", keys[1]: "\\boxed{1}\n", "answer": "1"}
    path.write_text("\ufeff" + json.dumps([row] if ending == "json" else row) + "\n")
    assert read_examples(str(path)) == (Example("Größe?", "\\boxed{1}"),)


def test_several_stand_in_the_order_of_the_file(tmp_path: Path) -> None:
    path = tmp_path / "two.jsonl"
    path.write_text('{"question": "a", "response": "b"}\n{"problem": "c", "solution": "d"}\n')
    examples = read_examples(str(path))
    assert render("chat-plain", "e", byte_tokenizer(), examples) == (
        "<|user|>a<|assistant|>b<|user|>c<|assistant|>d<|user|>e<|assistant|>"
    )
    assert render("plain", "e", byte_tokenizer(), examples) == "a\nb\n\nc\nd\n\ne\n"
    assert render("qwen25-math-cot", "e", byte_tokenizer(), examples).count("<|im_end|>") == 6


MISTAKES = {
    "tiny/pi7": (None, r"no worked example 'tiny/pi7' \(did you mean tiny/pi1\?\)"),
    "pi1": (None, "no worked example 'pi1'"),
    "no.json": (None, r"no.json cannot be read: .*No such file"),
    "damaged.json": ("{", "damaged.json is not valid JSON"),
    "empty.jsonl": ("", "holds no worked examples: each is an object"),
    "list.json": ('["a"]', "holds no worked examples"),
    "problem.json": ('{"problem": "a", "answer": "4"}', "has no response or solution with text in it"),
    "blank.json": ('{"problem": " ", "solution": "4"}', "has no question or problem with text"),
}


@pytest.mark.parametrize("source", MISTAKES)
def test_mistakes(source: str, tmp_path: Path) -> None:
    content, sentence = MISTAKES[source]
    if content is not None:
        (tmp_path / source).write_text(content)
    with pytest.raises(UserError, match=sentence):
        read_examples(str(tmp_path / source) if "." in source else source)


def test_a_question_that_is_the_example_is_noticed() -> None:
    with pytest.warns(UserWarning, match="evaluation of x: the worked example in the prompt is problem b itself"):
        warn_if_asked(
            [SHOWN], [Problem("a", "What is 1+1?", "2"), Problem("b", "What is 2+2?\n", "4")], "evaluation of x"
        )
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warn_if_asked([SHOWN], [Problem("a", "What is 1+1?", "2")], "evaluation of x")
