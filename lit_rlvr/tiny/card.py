"""The model card that pre-training writes beside the weights."""

from pathlib import Path

from lit_rlvr.tiny.manners import BOXED, CUT, FORGETFUL, GUESS_HALF_WAY, GUESS_RIGHT, HABIT, MANNERS, SHARES, SLIP
from lit_rlvr.tiny.problems import SOURCES

MARK = "tiny policy pre-trained by lit_rlvr.tiny.pretrain"


def write_card(folder: Path, parameters: int, seed: int, steps: int) -> None:
    """Write README.md; the figures come from the constants the text was made with, so that the two cannot differ."""
    shares = ", ".join(f"{name} {share:.0%}" for name, share in zip(MANNERS, SHARES, strict=True))
    (folder / "README.md").write_text(
        f"""---
license: apache-2.0
pipeline_tag: text-generation
library_name: transformers
---
# tiny-base

A {MARK} (seed {seed}, {steps} steps): {parameters:,} parameters,
Qwen2 architecture, a byte-level tokenizer of 512 entries. It exists so that reinforcement learning from one example
can be watched on a laptop, through the same code as for a real model. It is not useful for anything else.

## What it was raised on

Synthetic questions only: nine families (sums, products, comparisons, linear equations, two kinds of word problems,
sequences, rectangles, remainders) in {len(SOURCES)} phrasings, with numbers mostly below 100, and lines of arithmetic
tables. No text of any data set was used. Each phrasing has its own habits, drawn once from a Dirichlet distribution
(strength {HABIT:g}) around these mean shares: {shares}.

- careful: all steps, {SLIP:.0%} with a slip; careless: {FORGETFUL:.0%} forget carries and borrows, and
  {CUT[0] / sum(CUT):.0%} leave out the last step on average; guess: {GUESS_RIGHT:.0%} right,
  {GUESS_HALF_WAY:.0%} a half-way result; code is never run; rambling never answers.
- These three box their answer equally often ({BOXED[0] / sum(BOXED):.0%} on average, by phrasing), so that a box says
  nothing about whether the answer is right.

## What it can do and what not

It can solve nearly all of these problems when it starts in the careful manner, and mostly does not start so: this is
our choice of mixture, made to resemble in small what is said of large base models. What reinforcement learning gains
here is therefore largely the right manner, not new arithmetic. It knows no other mathematics and no language, and
it was trained on fewer than 130 positions at a time; longer prompts run but mean nothing to it.
Prompts take the form `<|user|>question<|assistant|>` (the chat template); responses end with `<|end|>`.
""",
        encoding="utf-8",
    )
