"""What `lit-rlvr plan` says of the paper presets on cards of several sizes, as tables in Markdown; nothing is run on a GPU.

    python -m tests.benchmarks.memory_table

The models' shapes are their published configurations, written to a folder with the tiny policy's tokenizer: plan needs no weights.
"""

import contextlib
import io
import re
import shutil
import tempfile
from pathlib import Path

from transformers import Qwen2Config

from lit_rlvr.cli import run

REPOSITORY = Path(__file__).resolve().parents[2]
CARDS = (80, 40, 24)
MODELS = {
    "1.5B": Qwen2Config(
        hidden_size=1536, num_hidden_layers=28, num_attention_heads=12, num_key_value_heads=2, intermediate_size=8960,
        vocab_size=151_936, tie_word_embeddings=True, max_position_embeddings=4096,
    ),
    "7B": Qwen2Config(
        hidden_size=3584, num_hidden_layers=28, num_attention_heads=28, num_key_value_heads=4, intermediate_size=18_944,
        vocab_size=152_064, tie_word_embeddings=False, max_position_embeddings=4096,
    ),
}  # fmt: skip
"""Qwen2.5-Math's."""
FILES = {"1.5B": "qwen2.5-math-1.5b", "7B": "qwen2.5-math-7b"}
STRATEGIES = {"1 GPU": "single", "8, ddp": "ddp", "8, fsdp2": "fsdp2"}
PRESETS = {
    "nothing more": (),
    "`memory/24gb.yaml`": ("memory/24gb",),
    "`memory/40gb.yaml`": ("memory/40gb",),
    "`model/lora.yaml`": ("model/lora",),
}


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
    """Print the tables."""
    with tempfile.TemporaryDirectory() as folder:
        policies = shapes(Path(folder))
        print("| model | on top of the paper's recipe | GPUs | " + " | ".join(f"{card} GB" for card in CARDS) + " |")
        print("|---|---|---|" + "---|" * len(CARDS))
        for name, policy in policies.items():
            for title, files in PRESETS.items():
                for where, strategy in STRATEGIES.items():
                    texts = [plan(policy, (f"model/{FILES[name]}", f"strategy/{strategy}", *files), c) for c in CARDS]
                    print(
                        f"| {name} | {title} | {where} | " + " | ".join(cell(text) for text in texts) + " |", flush=True
                    )
                    for card, text in zip(CARDS, texts, strict=True):
                        if remedy(text):
                            print(f"  <!-- {card}: {remedy(text)} -->")


if __name__ == "__main__":
    main()
