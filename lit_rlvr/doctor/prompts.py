"""Is the policy asked as it expects to be? From: the training problems and the tokenizer. To: a sentence, or `UnfitError`."""

import re
from collections.abc import Sequence

from transformers import PreTrainedTokenizerBase

from lit_rlvr.data.prompts import Example, encode, render
from lit_rlvr.doctor.outcome import UnfitError
from lit_rlvr.experience import Problem

_MARK = re.compile(r"<[|｜][^<>|｜\s]{1,40}[|｜]>")
"""How nearly all models write what is to be one token: <|im_end|>, <|eot_id|>, DeepSeek's with wide bars."""

_REPLY, _NEXT = "xyzzy", "And then?"
"""A reply and a next question that stand in no template."""


def check_prompts(
    problems: Sequence[Problem],
    tokenizer: PreTrainedTokenizerBase,
    template: str,
    examples: Sequence[Example],
    positions: int | None,
    max_tokens: int,
) -> str:
    """Look at the prompts of all problems; the first one is shown.

    Args:
        problems: trained on.
        tokenizer: the policy's.
        template: ``data.template``.
        examples: ``data.example``.
        positions: of the model, or None where it has no limit.
        max_tokens: of a response.
    """
    prompts = []
    for problem in problems:
        text = render(template, problem.question, tokenizer, examples)
        ids = encode(template, problem.question, tokenizer, examples)
        for what in (problem.question, *(part for one in examples for part in (one.question, one.response))):
            if what.strip() not in text:
                raise UnfitError(
                    f"data.template {template} leaves {_short(what)} out of the prompt of problem {problem.id}, which is "
                    f"{_short(text)}: mend the tokenizer's chat template, or choose another data.template."
                )
        _check_tokens(problem, text, ids, tokenizer, template)
        prompts.append((len(ids), problem.id, text))
    _check_end(problems[0].question, prompts[0][2], tokenizer, template, examples)
    longest, whose, _ = max(prompts)
    if positions is not None and longest + max_tokens > positions:
        raise UnfitError(
            f"the prompt of problem {whose} has {longest} tokens, which with model.sampling.max_tokens {max_tokens} exceeds the "
            f"model's {positions} positions: lower max_tokens, or leave the problem out with data.select."
        )
    room = "" if positions is None else f" of {positions:,} positions"
    return (
        f"{_count(len(problems), 'prompt')} by data.template {template}, the longest with {longest} tokens, which leaves "
        f"{max_tokens} for a response{room}; the first is {prompts[0][2]!r}."
    )


def _check_tokens(
    problem: Problem, text: str, ids: tuple[int, ...], tokenizer: PreTrainedTokenizerBase, template: str
) -> None:
    bos = tokenizer.bos_token_id
    if bos is not None and ids[:2] == (bos, bos):
        raise UnfitError(
            f"the prompt of problem {problem.id} begins with {tokenizer.bos_token} twice: take it out of the tokenizer's chat "
            "template, or choose another data.template."
        )
    own = set(_MARK.findall(problem.question))
    for mark in dict.fromkeys(_MARK.findall(text)):
        pieces = tokenizer(mark, add_special_tokens=False)["input_ids"]
        if mark not in own and len(pieces) != 1:
            raise UnfitError(
                f"{mark} in the prompt is {len(pieces)} tokens of this tokenizer and should be one, so the policy has never "
                f"seen it used like this: data.template {template} belongs to another model; use chat or chat-plain."
            )


def _check_end(
    question: str, prompt: str, tokenizer: PreTrainedTokenizerBase, template: str, examples: Sequence[Example]
) -> None:
    """A talk that goes on shows what stands before a reply: the prompt must have come as far, or (with an opened
    ``<think>``) farther.
    """
    talk = render(template, _NEXT, tokenizer, (*examples, Example(question, _REPLY)))
    before = talk.partition(_REPLY)[0].rstrip()
    if _REPLY in talk and not prompt.startswith(before):
        raise UnfitError(
            f"the prompt does not end where the assistant is to speak: it ends in {prompt[-40:]!r}, and in a talk "
            f"{before[-40:]!r} stands before a reply. Mend add_generation_prompt in the tokenizer's chat template, or use "
            "data.template plain."
        )


def _short(text: str) -> str:
    return repr(text if len(text) < 120 else f"{text[:100]} …")


def _count(number: int, what: str) -> str:
    return f"{number:,} {what}" + ("" if number == 1 else "s")
