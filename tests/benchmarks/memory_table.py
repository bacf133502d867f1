"""What `lit-rlvr plan` says of the paper presets on cards of several sizes, as tables in Markdown; nothing is run on a GPU.

    python -m tests.benchmarks.memory_table

The models' shapes are their published configurations, written to a folder with the tiny policy's tokenizer: plan needs no weights.
"""

import contextlib
import io
import logging
import re
import shutil
import tempfile
from pathlib import Path

from transformers import LlamaConfig, Qwen2Config

from lit_rlvr.cli import run
from tests.benchmarks.step.models import SHAPES

REPOSITORY = Path(__file__).resolve().parents[2]
CARDS = (80, 48, 40, 24)
MODELS = {
    "1.5B": SHAPES["1.5b"],
    "7B": Qwen2Config(
        hidden_size=3584, num_hidden_layers=28, num_attention_heads=28, num_key_value_heads=4, intermediate_size=18_944,
        vocab_size=152_064, tie_word_embeddings=False, max_position_embeddings=4096,
    ),
    "3B Llama": LlamaConfig(
        hidden_size=3072, num_hidden_layers=28, num_attention_heads=24, num_key_value_heads=8, head_dim=128,
        intermediate_size=8192, vocab_size=128_256, tie_word_embeddings=True, max_position_embeddings=131_072,
    ),
    "1.5B distilled": Qwen2Config(
        hidden_size=1536, num_hidden_layers=28, num_attention_heads=12, num_key_value_heads=2, intermediate_size=8960,
        vocab_size=151_936, tie_word_embeddings=False, max_position_embeddings=131_072,
    ),
}  # fmt: skip
"""Qwen2.5-Math's two, Llama-3.2-3B-Instruct's and DeepSeek-R1-Distill-Qwen-1.5B's."""
ROWS = (
    ("1.5B", "1", ("model/qwen2.5-math-1.5b", "strategy/single")),
    ("1.5B", "8, ddp", ("model/qwen2.5-math-1.5b", "strategy/ddp")),
    ("1.5B", "8, fsdp2", ("model/qwen2.5-math-1.5b", "strategy/fsdp2")),
    ("1.5B", "2, fsdp2", ("model/qwen2.5-math-1.5b", "memory/40gb")),
    ("1.5B", "1", ("model/qwen2.5-math-1.5b", "memory/48gb")),
    ("1.5B", "1", ("model/qwen2.5-math-1.5b", "memory/24gb")),
    ("7B", "1", ("model/qwen2.5-math-7b", "strategy/single")),
    ("7B", "8, ddp", ("model/qwen2.5-math-7b", "strategy/ddp")),
    ("7B", "8, fsdp2", ("model/qwen2.5-math-7b", "strategy/fsdp2")),
    ("7B", "1", ("model/qwen2.5-math-7b", "strategy/single", "model/lora")),
    ("3B Llama", "1", ("model/llama-3.2-3b-instruct", "strategy/single")),
    ("3B Llama", "8, fsdp2", ("model/llama-3.2-3b-instruct", "strategy/fsdp2")),
    ("1.5B distilled", "1", ("model/deepseek-r1-distill-qwen-1.5b", "strategy/single")),
    ("1.5B distilled", "8, fsdp2", ("model/deepseek-r1-distill-qwen-1.5b", "strategy/fsdp2")),
)
"""Model, GPUs, and the files on top of `paper.yaml`."""


def shapes(folder: Path) -> dict[str, Path]:
    """Write a policy's folder for each model, without weights: name -> folder."""
    made = {}
    for name, config in MODELS.items():
        made[name] = folder / name
        shutil.copytree(REPOSITORY / "checkpoints" / "tiny-base", made[name])
        for weights in made[name].glob("*.safetensors"):
            weights.unlink()
        config.save_pretrained(made[name])
    return made


def plan(policy: Path, files: tuple[str, ...], memory: float, *more: str) -> str:
    """What `lit-rlvr plan` prints, in one line.

    Args:
        policy: its folder.
        files: of `configs/`, without their ending, after the paper's.
        memory: of the card, in GB.
        *more: arguments that come last.
    """
    configs = [
        part for file in ("paper", *files) for part in ("--config", str(REPOSITORY / "configs" / f"{file}.yaml"))
    ]
    settings = ["--model.policy", str(policy), "--trainer.accelerator", "gpu", "--memory", f"{memory:g}", *more]
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(io.StringIO()):
        run(["plan", *configs, *settings])
    return " ".join(printed.getvalue().split())


def peak(text: str) -> float:
    """GB per process that a plan gives."""
    found = re.search(r"memory about ([\d.,]+) GB", text)
    assert found is not None
    return float(found.group(1).replace(",", ""))


def cell(text: str) -> str:
    """A plan's memory, and whether it fits."""
    return f"{peak(text):.0f}" if ": fits" in text else f"**{peak(text):.0f}**"


def remedy(text: str) -> str:
    """What a plan says would make it fit, or nothing."""
    found = re.search(r"to mend it (.*?)(?: host | disk |$)", text)
    return "" if found is None else found.group(1)


def main() -> None:
    """Print the table, and under it what plan proposes where a card is too small."""
    logging.disable(logging.INFO)
    proposals = []
    with tempfile.TemporaryDirectory() as folder:
        policies = shapes(Path(folder))
        print(
            "| model | GPUs | `configs/` on top of `paper.yaml` | " + " | ".join(f"{card} GB" for card in CARDS) + " |"
        )
        print("|---|---|---|" + "---|" * len(CARDS))
        for name, where, files in ROWS:
            texts = [plan(policies[name], files, card) for card in CARDS]
            listed = ", ".join(f"`{file}`" for file in files)
            print(f"| {name} | {where} | {listed} | " + " | ".join(cell(text) for text in texts) + " |", flush=True)
            proposals += [
                f"{name}, {where}, {card} GB: {remedy(text)}"
                for card, text in zip(CARDS, texts, strict=True)
                if remedy(text)
            ]
    print("", *proposals, sep="\n")


if __name__ == "__main__":
    main()
