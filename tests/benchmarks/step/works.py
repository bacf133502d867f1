"""The works that are measured, and the one task that both sides are given for each.

From: a name on the command line. To: `ours.py` and `peer.py`, in processes of their own.
"""

import json
import random
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Literal

from transformers import PreTrainedTokenizerBase

from lit_rlvr.data.prompts import render
from lit_rlvr.data.readers import read_problems

Precision = Literal["fp32", "bf16"]
"""Of the forward and backward passes and of rollouts; the master weights are float32 in both."""

TEMPERATURE, GROUP, LEARNING_RATE, WEIGHT_DECAY = 0.8, 8, 1e-5, 0.01
"""Of every work, on both sides."""


@dataclass(frozen=True)
class Work:
    """One RL step of a certain size.

    Attributes:
        model: ``tiny``, ``smollm2`` or ``1.5b``.
        responses: in the step, in groups of 8.
        tokens: the limit, which responses reach unless they are made to end.
        prompt: tokens of the one prompt; None is the prompt of `configs/tiny.yaml`.
        early: a third of the responses ends before the limit.
        steps: RL steps measured after the first.
        precision: of both sides unless said otherwise.
        micro_batch_tokens: ours.
        peer_batch: responses in one forward pass of the peer; 0 is all of them.
        peer: whether the peer is to do it, too.
        gpu: only with a CUDA device.
    """

    model: str
    responses: int
    tokens: int
    prompt: int | None = 64
    early: bool = False
    steps: int = 1
    precision: Precision = "bf16"
    micro_batch_tokens: int = 2048
    peer_batch: int = 0
    peer: bool = True
    gpu: bool = False


SMOLLM2 = Work("smollm2", responses=32, tokens=128)
# 65,536 tokens at once would take the peer several times a GPU's memory.
GPU = Work("smollm2", responses=64, tokens=1024, steps=2, micro_batch_tokens=16_384, peer_batch=8, gpu=True)
WORKS: dict[str, Work] = {
    "tiny": Work("tiny", 64, 64, prompt=None, steps=5, precision="fp32", micro_batch_tokens=8192),
    "smollm2": SMOLLM2,
    "long-prompt": replace(SMOLLM2, prompt=512),
    "natural": replace(SMOLLM2, early=True),
    "smollm2-x2": replace(SMOLLM2, responses=64, peer=False),
    "smollm2-x4": replace(SMOLLM2, responses=128, peer=False),
    "gpu-smollm2": GPU,
    "gpu-1.5b": replace(GPU, model="1.5b"),
}
ALIASES: dict[str, tuple[str, ...]] = {"gpu": ("gpu-smollm2", "gpu-1.5b")}


@dataclass(frozen=True)
class Task:
    """All that a side must know.

    Attributes:
        folder: the model, a transformers folder.
        question: what becomes ``text`` by way of ``template``.
        template: prompt template, ours.
        text: the prompt as text.
        ids: the prompt as tokens, which both sides must arrive at.
        lengths: tokens of each response.
        limit: responses as long as this are cut, shorter ones end themselves.
        steps: RL steps to measure, after one to warm up.
        precision: see ``Precision``.
        threads: of the process.
        micro_batch_tokens: ours.
        peer_batch: responses in one forward pass of the peer.
        peer_checkpointing: whether the peer recomputes activations, as is its default.
    """

    folder: str
    question: str
    template: str
    text: str
    ids: list[int]
    lengths: list[int]
    limit: int
    steps: int
    precision: Precision
    threads: int
    micro_batch_tokens: int
    peer_batch: int
    peer_checkpointing: bool = False

    @property
    def group(self) -> int:
        """Responses that are compared with each other."""
        return min(GROUP, len(self.lengths))

    def write(self, path: Path) -> None:
        """As JSON."""
        path.write_text(json.dumps(asdict(self)))

    @classmethod
    def read(cls, path: Path) -> "Task":
        """What ``write`` wrote."""
        return cls(**json.loads(path.read_text()))


def lengths_of(work: Work, seed: int = 0) -> list[int]:
    """Tokens of each response: the limit, or for a third of them a draw between 1/16 and 3/4 of it (8 to 96 of 128)."""
    lengths = [work.tokens] * work.responses
    if work.early:
        draw = random.Random(seed)
        for place in draw.sample(range(work.responses), work.responses // 3):
            lengths[place] = draw.randint(max(2, work.tokens // 16), max(2, work.tokens * 3 // 4))
    return lengths


def prompt_of(work: Work, tokenizer: PreTrainedTokenizerBase) -> tuple[str, str, str, list[int]]:
    """(question, template, prompt as text, prompt as tokens) of a work."""
    if work.prompt is None:
        question, template = read_problems("tiny")[0].question, "chat-plain"
    else:
        question, template = _words(work.prompt, tokenizer), "plain"
    text = render(template, question, tokenizer)
    return question, template, text, list(tokenizer(text)["input_ids"])


def _words(tokens: int, tokenizer: PreTrainedTokenizerBase, seed: int = 0) -> str:
    """A question that the template ``plain`` turns into a prompt of so many tokens."""
    draw = random.Random(seed)
    words: list[str] = []
    for _ in range(100 * tokens):
        word = str(tokenizer.decode([draw.randrange(len(tokenizer))])).strip()
        if not (word.isascii() and word.isalpha()):
            continue
        # A word may become several tokens where a space stands before it: those that would be too many are passed over.
        question = " ".join([*words, word])
        length = len(tokenizer(render("plain", question, tokenizer))["input_ids"])
        if length == tokens:
            return question
        if length < tokens:
            words.append(word)
    raise SystemExit(f"No prompt of {tokens} tokens could be made with the tokenizer {tokenizer.name_or_path}.")
