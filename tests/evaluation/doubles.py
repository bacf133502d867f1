"""What the evaluator's tests put in place of an engine and a verifier."""

import random
from collections.abc import Sequence
from typing import Any

import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from lit_rlvr.evaluation.evaluator import EvaluationPlan, EvaluationResult, evaluate
from lit_rlvr.experience import Rollouts
from lit_rlvr.rewards.extract import extract_boxed
from lit_rlvr.rewards.rule import Mode, Rule
from lit_rlvr.rewards.verdict import Kind, Verdict
from lit_rlvr.rollout.engine import Progress, Sampling
from lit_rlvr.seeding import step_seed
from tests.data.byte_tokenizer import byte_tokenizer

TOKENIZER = byte_tokenizer()


class TableEngine:
    """Keeps the engine's contract with canned answers.

    Greedy decoding boxes the number in the question if it is even. When sampling, whether it is right hangs, as the
    contract says, on (seed, place in the call) alone. Every fifth question is answered without a box, cut at the limit.
    """

    def __init__(self) -> None:
        self.calls: list[tuple[int, Sampling, int]] = []

    def setup(self, policy: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, device: torch.device) -> None:
        raise NotImplementedError

    def update_weights(self, policy: PreTrainedModel) -> None:
        raise NotImplementedError

    def close(self) -> None:
        raise NotImplementedError

    def generate(
        self, prompts: Sequence[Sequence[int]], sampling: Sampling, seed: int, progress: Progress | None = None
    ) -> Rollouts:
        self.calls.append((len(prompts), sampling, seed))
        texts, stopped = [], []
        for row, prompt in enumerate(prompts):
            number = int("".join(c for c in TOKENIZER.decode(list(prompt), skip_special_tokens=True) if c.isdecimal()))
            for sample in range(sampling.n):
                draw = random.Random(step_seed(seed, row * sampling.n + sample)).randrange(10)
                right = number % 2 == 0 if sampling.temperature == 0 else draw < 4
                answer = number if right else -1
                texts.append("no idea" if number % 5 == 4 else rf"So \boxed{{{answer}}}")
                stopped.append(number % 5 != 4)
                if progress is not None:
                    progress(len(texts), len(prompts) * sampling.n)
        lengths = torch.tensor([len(text) for text in texts])
        return Rollouts(
            prompts=tuple(map(tuple, prompts)),
            rows=torch.arange(len(prompts)).repeat_interleave(sampling.n),
            problems=torch.arange(len(prompts)).repeat_interleave(sampling.n),
            tokens=torch.zeros(int(lengths.sum()), dtype=torch.int64),
            lengths=lengths,
            logprobs=torch.zeros(int(lengths.sum())),
            stopped=torch.tensor(stopped),
            texts=tuple(texts),
        )


class ExactVerifier:
    """Compares the last box with the gold answer, letter by letter; the qwen rule takes no box for the right answer, and
    deepscaler holds no answer below 100 right. Remembers how it was asked.
    """

    def __init__(self) -> None:
        self.asked: set[tuple[str, str]] = set()

    def verify_many(self, pairs: list[tuple[str, str]], rule: Rule, mode: Mode) -> list[Verdict]:
        self.asked.add((rule, mode))
        verdicts = []
        for response, gold in pairs:
            answer = extract_boxed(response)
            if answer is None and rule is Rule.QWEN:
                answer = gold
            right = answer == gold and (rule is not Rule.DEEPSCALER or int(gold) >= 100)
            kind = Kind.NO_ANSWER if answer is None else Kind.RIGHT if right else Kind.WRONG
            verdicts.append(Verdict(kind, answer))
        return verdicts


def run(plan: EvaluationPlan, **settings: Any) -> EvaluationResult:
    """An evaluation by the two."""
    defaults: dict[str, Any] = {"engine": TableEngine(), "seed": 0, "rl_step": 0, "verifier": ExactVerifier()}
    return evaluate(plan, tokenizer=TOKENIZER, **{**defaults, **settings})


class ConstantEngine:
    """An engine of somebody else's: whatever is asked, the answer is the same.

    Args:
        answer: what it says, in a box.
    """

    def __init__(self, answer: str = "1") -> None:
        self.answer = answer

    def setup(self, policy: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, device: torch.device) -> None:
        pass

    def update_weights(self, policy: PreTrainedModel) -> None:
        raise NotImplementedError

    def close(self) -> None:
        pass

    def generate(
        self, prompts: Sequence[Sequence[int]], sampling: Sampling, seed: int, progress: Progress | None = None
    ) -> Rollouts:
        count = len(prompts) * sampling.n
        return Rollouts(
            prompts=tuple(map(tuple, prompts)),
            rows=torch.arange(len(prompts)).repeat_interleave(sampling.n),
            problems=torch.arange(len(prompts)).repeat_interleave(sampling.n),
            tokens=torch.zeros(count, dtype=torch.int64),
            lengths=torch.ones(count, dtype=torch.int64),
            logprobs=torch.zeros(count),
            stopped=torch.ones(count, dtype=torch.bool),
            texts=(rf"\boxed{{{self.answer}}}",) * count,
        )
