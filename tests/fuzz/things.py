"""Random values, texts and damage, which the fuzzers are made of."""

import json
import random
from typing import Any

WORDS = (
    "problem", "answer", "question", "solution", "prompt", "reward_model", "ground_truth", "extra_info", "index", "id", "input",
    "target", "choices", "answerKey", "text", "label", "Body", "Question", "Answer", "final_answer", "context", "level", "subject",
    "role", "user", "content", "unique_id", "response", "gold",
)  # fmt: skip
TEXTS = (
    "", " ", "\n", "None", "nan", "42", "-0", "1e999", "#### 7", "[1, 2)", "['a'", "\\boxed{3}", "\\boxed{", "\ufeff", "\u2028x",
    "\x00", "\ud800", "é", "😀", "true", "null", "{", "}", "%s", "'", '"', "a: b", "x" * 3000, "9" * 5000, "../..", "$\\frac{1}{2}$",
)  # fmt: skip
NUMBERS = (0, 1, -1, 2, 10**30, -(2**63), 0.0, -0.0, 1.5, 43.0, 1e-12, 1e308, float("inf"), float("-inf"), float("nan"))


def value(rng: random.Random, depth: int = 3, words: tuple[str, ...] = WORDS) -> Any:
    """Anything that JSON can hold, and some that it cannot."""
    kind = rng.randrange(9 if depth else 6)
    if kind < 3:
        return rng.choice(TEXTS)
    if kind == 3:
        return rng.choice(NUMBERS)
    if kind == 4:
        return rng.choice((None, True, False))
    if kind == 5:
        return "".join(
            chr(rng.choice((rng.randrange(32, 127), rng.randrange(0x2FF)))) for _ in range(rng.randrange(12))
        )
    if kind == 6:
        return [value(rng, depth - 1, words) for _ in range(rng.randrange(4))]
    return {rng.choice(words): value(rng, depth - 1, words) for _ in range(rng.randrange(5))}


def changed(rng: random.Random, whole: Any, words: tuple[str, ...] = WORDS) -> Any:
    """A document with one thing in it changed, dropped, or added."""
    if isinstance(whole, dict) and whole and rng.random() < 0.8:
        key = rng.choice(list(whole))
        match rng.randrange(5):
            case 0:
                return {k: v for k, v in whole.items() if k != key}
            case 1:
                return {**whole, key: value(rng, 2, words)}
            case 2:
                return {**whole, rng.choice(words): value(rng, 2, words)}
            case _:
                return {**whole, key: changed(rng, whole[key], words)}
    if isinstance(whole, list) and whole and rng.random() < 0.8:
        place = rng.randrange(len(whole))
        return [*whole[:place], changed(rng, whole[place], words), *whole[place + 1 :]]
    return value(rng, 2, words)


def text(rng: random.Random, content: Any) -> str:
    """A value as JSON, as Python's own writer would, with its NaN and half surrogates."""
    return json.dumps(content, ensure_ascii=rng.random() < 0.5)


def damaged(rng: random.Random, content: bytes) -> bytes:
    """Bytes as a broken disk, another editor or a stopped writer would leave them."""
    match rng.randrange(10):
        case 0:
            return content[: rng.randrange(len(content) + 1)]
        case 1:
            return b"\xef\xbb\xbf" + content
        case 2:
            place = rng.randrange(len(content) + 1)
            return content[:place] + rng.randbytes(rng.randrange(1, 6)) + content[place:]
        case 3:
            place = rng.randrange(len(content) + 1)
            return content[:place] + rng.randbytes(1) + content[place + 1 :]
        case 4:
            return content.decode("utf-8", "ignore").encode("utf-16")
        case 5:
            return content.replace(b"\n", rng.choice((b"\r\n", b"\r", b"", b"\n\n", b"\x00")))
        case 6:
            return content + rng.choice(
                (b"[" * 5000, b'{"a":' * 2000, b"\x00" * 100, b'"' + b"x" * 300_000, b"\n" * 50)
            )
        case _:
            return content
