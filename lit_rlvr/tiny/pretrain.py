"""Raises the tiny policy from scratch: ``python -m lit_rlvr.tiny.pretrain --out DIR``.

Beside the line, before it starts: writes the transformers folder (weights, tokenizer, configs, model card) that the
embedded default trains on. One thread, fixed seeds: the same command gives the same bytes on the same machine.
"""

import argparse
import math
import random
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers import GenerationConfig, PreTrainedTokenizerFast, Qwen2Config, Qwen2ForCausalLM

from lit_rlvr.errors import UserError
from lit_rlvr.tiny.card import MARK, write_card
from lit_rlvr.tiny.manners import answer, habits
from lit_rlvr.tiny.muon import Muon
from lit_rlvr.tiny.problems import SOURCES, draw, split_of
from lit_rlvr.tiny.tokenizer import END_ID, PAD_ID, VOCABULARY, chat, train_tokenizer


@dataclass(frozen=True)
class Recipe:
    """What pre-training is made of. The defaults make the embedded checkpoint.

    Attributes:
        steps: optimizer steps.
        positions: at most so many token positions, padding included, per step.
        conversations: questions answered, each seen about once.
        drills: lines of arithmetic tables per conversation; without them two-digit sums stay unsure.
        muon_rate: peak learning rate of the matrices (Muon).
        adam_rate: peak learning rate of embeddings, norms and biases (AdamW).
        flat: part of the run at the peak rate, before the linear decay.
        prompt_weight: loss weight of the question's tokens against 1 for the response's.
    """

    steps: int = 2200
    positions: int = 3200
    conversations: int = 84_000
    drills: float = 0.35
    muon_rate: float = 0.02
    adam_rate: float = 3e-3
    flat: float = 0.4
    prompt_weight: float = 0.1


@dataclass(frozen=True)
class Line:
    """One training sequence: token ids, the first ``prompt`` of which are the question."""

    ids: tuple[int, ...]
    prompt: int


def architecture() -> Qwen2Config:
    """0.7 million parameters. Positions reach 4,096 so that real competition problems fit, though none was learnt."""
    return Qwen2Config(
        vocab_size=VOCABULARY,
        hidden_size=128,
        intermediate_size=384,
        num_hidden_layers=3,
        num_attention_heads=4,
        num_key_value_heads=4,
        max_position_embeddings=4096,
        tie_word_embeddings=True,
        bos_token_id=None,
        eos_token_id=END_ID,
        pad_token_id=PAD_ID,
    )


def fresh_model(seed: int) -> Qwen2ForCausalLM:
    """A randomly initialised policy: matrices at 1/sqrt(width), those that write into the residual stream at half."""
    torch.manual_seed(seed)
    model = Qwen2ForCausalLM(architecture())
    for name, parameter in model.named_parameters():
        if parameter.ndim == 2 and "embed" not in name:
            writes = "o_proj" in name or "down_proj" in name
            nn.init.normal_(parameter, std=(0.5 if writes else 1.0) / math.sqrt(parameter.shape[1]))
    return model


def drill_line(rng: random.Random, facts: int = 8) -> str:
    """A line of an arithmetic table, less the facts that are themselves a problem of another split."""
    line = []
    for _ in range(facts):
        kind = rng.random()
        if kind < 0.35:
            a, b = rng.randint(2, 95), rng.randint(2, 30)
            fact, result = f"{a}+{b}", a + b
        elif kind < 0.68:
            a = rng.randint(3, 110)
            b = rng.randint(1, min(a, 40))
            fact, result = f"{a}-{b}", a - b
        elif kind < 0.8:
            a, b = rng.randint(2, 12), rng.randint(2, 12)
            fact, result = f"{a}*{b}", a * b
        elif kind < 0.85:
            a, b = rng.choice((10, 20)), rng.randint(2, 5)
            fact, result = f"{a}*{b}", a * b
        elif kind < 0.91:
            a, b = rng.randint(2, 9), rng.randint(2, 10)
            fact, result = f"{a * b}/{a}", b
        elif kind < 0.94:
            b = rng.randint(2, 50)
            fact, result = f"2*{b}", 2 * b
        else:  # a remainder's first half: the multiple just below a number
            d, v = rng.randint(3, 9), rng.randint(4, 74)
            fact, result = f"{v}%{d}. {d}*{v // d}", v // d * d
        if split_of(fact) == "pretrain":
            line.append(f"{fact}={result}")
    return ". ".join(line) + "."


def conversations(rng: random.Random, n: int) -> Iterator[tuple[str, str]]:
    """n questions of the pre-training split, over all phrasings alike, each with one response."""
    habit = habits()
    for _ in range(n):
        source = rng.choice(SOURCES)
        task = draw(rng, "pretrain", source)
        yield task.text, answer(rng, task, habit[source]).text


def make_lines(seed: int, recipe: Recipe) -> tuple[PreTrainedTokenizerFast, list[Line]]:
    """The training text as token ids, and the tokenizer learnt from its first part."""
    rng = random.Random(f"tiny-pretrain/{seed}")
    pairs = list(conversations(rng, recipe.conversations))
    drills = [drill_line(rng) for _ in range(int(recipe.conversations * recipe.drills))]
    # A fixed part is enough for 252 pieces.
    tokenizer = train_tokenizer([chat(question, response) for question, response in pairs[:20_000]])
    core = tokenizer.backend_tokenizer
    prompts = core.encode_batch([chat(question) for question, _ in pairs])
    responses = core.encode_batch([response for _, response in pairs])
    lines = [Line((*p.ids, *r.ids, END_ID), len(p.ids)) for p, r in zip(prompts, responses, strict=True)]
    # A drill follows an end token, as a page without a question would.
    lines += [Line((END_ID, *d.ids, END_ID), 1) for d in core.encode_batch(drills)]
    return tokenizer, lines


def batches(lines: Sequence[Line], positions: int, rng: random.Random) -> Iterator[list[Line]]:
    """Endless shuffled batches of lines of like length, at most ``positions`` token positions each."""
    while True:
        order = rng.sample(lines, len(lines))
        ready: list[list[Line]] = []
        for start in range(0, len(order), 4096):
            batch: list[Line] = []
            for line in sorted(order[start : start + 4096], key=lambda x: len(x.ids)):
                if batch and len(line.ids) * (len(batch) + 1) > positions:
                    ready.append(batch)
                    batch = []
                batch.append(line)
            ready.append(batch)
        rng.shuffle(ready)
        yield from ready


def language_loss(model: Qwen2ForCausalLM, batch: Sequence[Line], prompt_weight: float) -> Tensor:
    """Weighted mean cross-entropy of the next token, padding left out. Scalar."""
    width = max(len(line.ids) for line in batch)
    ids = torch.full((len(batch), width), PAD_ID)
    weight = torch.zeros(len(batch), width)
    for row, line in enumerate(batch):
        ids[row, : len(line.ids)] = torch.tensor(line.ids)
        weight[row, : line.prompt] = prompt_weight
        weight[row, line.prompt : len(line.ids)] = 1.0
    # No attention mask: padding stands at the end, where a causal model's real tokens cannot see it.
    hidden = model.model(input_ids=ids[:, :-1], use_cache=False).last_hidden_state
    weight = weight[:, 1:]
    chosen = weight > 0
    loss = functional.cross_entropy(model.lm_head(hidden[chosen]), ids[:, 1:][chosen], reduction="none")
    return (loss * weight[chosen]).sum() / weight.sum()


def pretrain(seed: int, recipe: Recipe) -> tuple[Qwen2ForCausalLM, PreTrainedTokenizerFast]:
    """Make the text, train on it, print progress. Deterministic for a seed with one thread on one machine."""
    started = time.process_time()
    tokenizer, lines = make_lines(seed, recipe)
    total = sum(len(line.ids) for line in lines)
    print(f"text: {len(lines):,} lines, {total:,} tokens, {time.process_time() - started:.0f} CPU s", flush=True)
    model = fresh_model(seed).train()
    matrices = [p for n, p in model.named_parameters() if p.ndim == 2 and "embed" not in n]
    rest = [p for n, p in model.named_parameters() if p.ndim != 2 or "embed" in n]
    optimizers: list[torch.optim.Optimizer] = [
        Muon(matrices, lr=recipe.muon_rate, weight_decay=0.01),
        torch.optim.AdamW(rest, lr=recipe.adam_rate, betas=(0.9, 0.98), weight_decay=0.0),
    ]
    peaks = [group["lr"] for optimizer in optimizers for group in optimizer.param_groups]
    stream = batches(lines, recipe.positions, random.Random(f"tiny-batches/{seed}"))
    smooth = 0.0
    for step in range(recipe.steps):
        rate = _rate(step, recipe)
        for group, peak in zip((g for o in optimizers for g in o.param_groups), peaks, strict=True):
            group["lr"] = peak * rate
        loss = language_loss(model, next(stream), recipe.prompt_weight)
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        for optimizer in optimizers:
            optimizer.step()
            optimizer.zero_grad()
        smooth = loss.item() if step == 0 else 0.95 * smooth + 0.05 * loss.item()
        if (step + 1) % 50 == 0 or step + 1 == recipe.steps:
            spent = time.process_time() - started
            print(f"step {step + 1}/{recipe.steps}  loss {smooth:.4f}  {spent:.0f} CPU s", flush=True)
    return model.eval(), tokenizer


def _rate(step: int, recipe: Recipe) -> float:
    """Fraction of the peak learning rate: 50 steps of warm-up, flat, then linear to 2 percent."""
    left = (recipe.steps - step) / ((1 - recipe.flat) * recipe.steps)
    return min(1.0, (step + 1) / 50) * min(1.0, max(0.02, left))


def save(model: Qwen2ForCausalLM, tokenizer: PreTrainedTokenizerFast, folder: Path, seed: int, recipe: Recipe) -> None:
    """Write the transformers folder. float32, so that it loads into a trainable precision without being told."""
    folder.mkdir(parents=True, exist_ok=True)
    model.generation_config = GenerationConfig(eos_token_id=END_ID, pad_token_id=PAD_ID, max_new_tokens=128)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    write_card(folder, sum(p.numel() for p in model.parameters()), seed, recipe.steps)


def check_folder(folder: Path, overwrite: bool) -> None:
    """Raise UserError if the folder holds something that pre-training did not write and may not be written over."""
    if overwrite or not folder.exists():
        return
    if not folder.is_dir():
        raise UserError(f"--out {folder} is a file; give a new or empty folder.")
    card = folder / "README.md"
    ours = card.is_file() and MARK in card.read_text(encoding="utf-8", errors="replace")
    if any(folder.iterdir()) and not ours:
        raise UserError(f"--out {folder} is not empty and not a tiny policy; give a new folder, or add --overwrite.")


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m lit_rlvr.tiny.pretrain", description="Pre-train the tiny policy.")
    parser.add_argument("--out", type=Path, required=True, help="folder to write, in transformers' format")
    parser.add_argument("--seed", type=int, default=0, help="seed of text, order and initial weights")
    parser.add_argument("--steps", type=int, default=Recipe.steps, help="optimizer steps")
    parser.add_argument("--conversations", type=int, default=Recipe.conversations, help="questions in the text")
    parser.add_argument("--threads", type=int, default=1, help="CPU threads; the bytes are repeatable with 1 only")
    parser.add_argument("--overwrite", action="store_true", help="write into a folder that holds other things")
    options = parser.parse_args(arguments)
    try:
        check_folder(options.out, options.overwrite)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    torch.set_num_threads(options.threads)
    recipe = Recipe(steps=options.steps, conversations=options.conversations)
    model, tokenizer = pretrain(options.seed, recipe)
    save(model, tokenizer, options.out, options.seed, recipe)
    print(f"written: {options.out}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
