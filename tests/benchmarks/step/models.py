"""Transformers folders for the works: exported, or random weights of a known shape, which take as long to compute with."""

import subprocess
import sys
from pathlib import Path

import torch
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import AutoModelForCausalLM, LlamaConfig, PretrainedConfig, PreTrainedTokenizerFast, Qwen2Config

TINY = Path(__file__).resolve().parents[3] / "checkpoints" / "tiny-base"
RANDOM = "random"

SHAPES: dict[str, PretrainedConfig] = {
    "smollm2": LlamaConfig(
        vocab_size=49_152,
        hidden_size=576,
        intermediate_size=1536,
        num_hidden_layers=30,
        num_attention_heads=9,
        num_key_value_heads=3,
        max_position_embeddings=8192,
        tie_word_embeddings=True,
    ),
    "1.5b": Qwen2Config(  # Qwen2.5-1.5B
        vocab_size=151_936,
        hidden_size=1536,
        intermediate_size=8960,
        num_hidden_layers=28,
        num_attention_heads=12,
        num_key_value_heads=2,
        max_position_embeddings=4096,
        tie_word_embeddings=True,
    ),
}


def folder_of(model: str, source: str, into: Path) -> Path:
    """The folder of a work's model, written below ``into`` unless there is one already.

    Args:
        model: ``tiny``, ``smollm2`` or ``1.5b``.
        source: of SmolLM2: a folder, anything `lit-rlvr export` reads, or ``random``.
        into: a folder for what must be written.
    """
    if model == "tiny":
        return TINY
    if model == "smollm2" and Path(source).is_dir():
        return Path(source).resolve()
    folder = into / model
    if not folder.exists():
        if model == "smollm2" and source != RANDOM:
            command = [sys.executable, "-m", "lit_rlvr", "export", source, str(folder)]
            if subprocess.run(command, stdout=sys.stderr).returncode:
                raise SystemExit(f"--model {source} could not be exported.")
        else:
            write_random(SHAPES[model], folder)
    return folder


def write_random(config: PretrainedConfig, folder: Path) -> None:
    """A random model, saved in bfloat16 to be half as large, with a tokenizer of as many words."""
    write_tokenizer(config, folder)
    torch.manual_seed(0)
    AutoModelForCausalLM.from_config(config, dtype=torch.bfloat16).save_pretrained(folder)


def write_tokenizer(config: PretrainedConfig, folder: Path) -> None:
    """A tokenizer of as many words as the configuration has room for, whose special tokens the configuration is told."""
    # Special tokens are found within words, too, and no word has these signs in it.
    special = {"unk_token": "<unk>", "pad_token": "<pad>", "eos_token": "<end>"}
    words = [*special.values(), *(_letters(i) for i in range(len(special), config.vocab_size))]
    core = Tokenizer(models.WordLevel({word: i for i, word in enumerate(words)}, unk_token="<unk>"))
    core.pre_tokenizer = pre_tokenizers.Whitespace()
    PreTrainedTokenizerFast(tokenizer_object=core, **special).save_pretrained(folder)
    config.pad_token_id, config.eos_token_id, config.bos_token_id = 1, 2, None


def _letters(number: int) -> str:
    """A word of its own for each number: base 26 in letters."""
    word = ""
    while number or not word:
        number, digit = divmod(number, 26)
        word += chr(ord("a") + digit)
    return word
