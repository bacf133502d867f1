"""`python -m tests.fuzz.configs`: command lines and YAML files given to the real parser, which builds and runs nothing."""

import random
import sys
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from unittest import mock

import yaml

from lit_rlvr import cli
from lit_rlvr.errors import UserError
from lit_rlvr.mistakes import class_keys, known_keys, sentence_for
from tests.fuzz.loop import main
from tests.fuzz.things import changed, damaged, text, value

REPOSITORY = Path(__file__).resolve().parents[2]
SCRAPS = (
    "&a [*a]", "!!binary x", "!!python/name:os.system", "? a\n: b", "<<: {a: 1}", "- \n- ", "a: b: c", "{", "[", "---\na: 1\n---\nb: 2",
    "\t", "2001-99-99", "0x1G", "1_000", "yes", "~", "|\n  x", "%TAG", "@", "`", "'", '"', "model", "model: ", "data: {rows: 2}",
    "data:\n  rows: 2\n  rows: 3", "a: &b\n  c: *b", "? [a, b]\n: 1", "1: 2", "null: 1", "model.policy: x", "fit:\n  data: {rows: 1}",
)  # fmt: skip
CLASSES = (
    "GRPO",
    "PPO",
    "ReinforcePlusPlus",
    "AnswerReward",
    "FormatReward",
    "TransformersEngine",
    "VLLMEngine",
    "PPQ",
    "torch.optim.AdamW",
    "torch.nn.Linear",
    "",
    ".",
    "a..b",
    "3",
    "torch.optim",
    "none.such",
)


class _ParsesOnly(cli.RLVRCLI):
    """The command line's own class, which stops where it would begin to build."""

    made: "list[_ParsesOnly]" = []  # noqa: RUF012  # one for the process

    def instantiate_classes(self) -> None:
        self.made.append(self)

    def _run_subcommand(self, subcommand: str) -> None:
        return


@cache
def _parser() -> _ParsesOnly:
    with mock.patch.object(cli, "RLVRCLI", _ParsesOnly):
        cli.run(["fit", "--config", str(REPOSITORY / "configs/tiny.yaml")])
    return _ParsesOnly.made[0]


@cache
def _keys() -> list[str]:
    skipped = ("help", "print_config", "config", "ckpt_path", "subcommand")
    return [
        key
        for key in dict.fromkeys(known_keys(_parser().parser) + class_keys())
        if key not in skipped and "help" not in key
    ]


@cache
def _room() -> TemporaryDirectory[str]:
    return TemporaryDirectory()


def _parse(words: list[str]) -> str:
    made = _parser()
    try:
        made.config = made.parser.parse_args(words)
        made.before_instantiate_classes()
    except Exception as error:
        sentence = sentence_for(error)  # what the command line would print
        if sentence is None:
            raise
        raise UserError(sentence) from error
    return "read"


def _word(rng: random.Random) -> str:
    match rng.randrange(6):
        case 0:
            return rng.choice(SCRAPS)
        case 1:
            return rng.choice(CLASSES)
        case 2:
            return rng.choice(
                (
                    "0",
                    "1",
                    "-1",
                    "3",
                    "0.5",
                    "1e-6",
                    "1e999",
                    ".nan",
                    "true",
                    "false",
                    "null",
                    "cpu",
                    "gpu",
                    "auto",
                    "ddp",
                    "fsdp2",
                    "16",
                )
            )
        case 3:
            return text(rng, value(rng, 2, _words()))
        case _:
            return str(value(rng, 0))


@cache
def _words() -> tuple[str, ...]:
    parts = {part for key in _keys() for part in key.split(".")}
    return (*sorted(parts), "class_path", "init_args")


def _key(rng: random.Random) -> str:
    key = rng.choice(_keys())
    match rng.randrange(8):
        case 0:
            place = rng.randrange(len(key))
            return key[:place] + rng.choice("abc._-") + key[place + 1 :]
        case 1:
            return key.rsplit(".", 1)[0]
        case 2:
            return key + rng.choice((".init_args", ".class_path", "+", ".x", "."))
        case _:
            return key


def line(rng: random.Random) -> str:
    """Options with values, some of each misspelt."""
    words = ["fit"] + (["--config", str(REPOSITORY / "configs/tiny.yaml")] if rng.random() < 0.7 else [])
    for _ in range(rng.randrange(1, 5)):
        key, word = f"--{_key(rng)}", _word(rng).replace("\x00", "")
        words += rng.choice(([key, word], [key, word], [f"{key}={word}"], [key], [word]))
    if any(word.startswith(("-h", "--h", "--print", "--pr")) for word in words):
        return "left out"  # they print and leave
    return _parse(words)


@cache
def _tiny() -> dict[str, Any]:
    content: dict[str, Any] = yaml.safe_load((REPOSITORY / "configs/tiny.yaml").read_text("utf-8"))
    return content


def file(rng: random.Random) -> str:
    """The tiny configuration with something in it changed, or any YAML."""
    if rng.random() < 0.7:
        content = changed(rng, _tiny(), _words()) if rng.random() < 0.8 else _tiny()
        for _ in range(rng.randrange(2)):
            content = changed(rng, content, _words())
        written = text(rng, content) if rng.random() < 0.5 else yaml.dump(content, allow_unicode=True)
    else:
        written = "\n".join(rng.choice(SCRAPS) for _ in range(rng.randrange(4)))
    path = Path(_room().name) / "c.yaml"
    data = written.encode("utf-8", "surrogatepass")
    path.write_bytes(damaged(rng, data) if rng.random() < 0.5 else data)
    return _parse(["fit", "--config", str(path)])


FUZZERS = {"lines": line, "files": file}

if __name__ == "__main__":
    sys.exit(main(FUZZERS))
