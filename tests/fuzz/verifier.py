"""`python -m tests.fuzz.verifier`: answers and golds put together at random, and real ones with something changed."""

import random
import sys
import time
from functools import cache

from lit_rlvr.rewards import Kind, Verifier
from lit_rlvr.rewards.exact import decide
from lit_rlvr.rewards.extract import extract_boxed, extract_flexible
from lit_rlvr.rewards.limits import MAX_BOX
from lit_rlvr.rewards.rule import Mode, Rule
from tests.fuzz.loop import main
from tests.rewards.hostile import HOSTILE_RESPONSES, PIECES
from tests.rewards.pairs import DIFFERENT, EQUAL

REAL = (*EQUAL, *DIFFERENT)
TIMEOUT = 1.0
# What a busy machine may add: a worker that is over its time is killed, and another forked.
PATIENCE = 4.0
NESTS = (
    ("{", "}"),
    ("(", ")"),
    ("[", "]"),
    (r"\frac{", "}{2}"),
    (r"\sqrt{", "}"),
    (r"\left(", r"\right)"),
    ("x^{", "}"),
    (r"\text{", "}"),
)


def piece(rng: random.Random) -> str:
    """Formulas in parts, any characters, deep nests, long runs."""
    match rng.randrange(8):
        case 0:
            return "".join(chr(rng.randrange(0x110000)) for _ in range(rng.randrange(20)))
        case 1:
            opened, closed = rng.choice(NESTS)
            depth = rng.choice((1, 3, 30, 300, 3000))
            return opened * depth + "1" + closed * (depth - rng.randrange(2))
        case 2:
            return rng.choice(PIECES) * rng.choice((1, 2, 50, 5000))
        case 3:
            return str(rng.choice((rng.randrange(-99, 99), rng.random(), 10 ** rng.randrange(400), -(2**63), 1e-300)))
        case _:
            return "".join(rng.choice(PIECES) for _ in range(rng.randrange(25)))


def answer(rng: random.Random) -> str:
    """One of those, or a real answer with something changed."""
    if rng.random() < 0.5:
        return piece(rng)
    real = rng.choice(rng.choice(REAL))
    for _ in range(rng.randrange(4)):
        place, end = sorted(rng.randrange(len(real) + 1) for _ in range(2))
        match rng.randrange(4):
            case 0:
                real = real[:place] + real[end:]
            case 1:
                real = real[:place] + rng.choice(PIECES) + real[place:]
            case 2:
                real = real[:end] + real[place:]
            case _:
                real = real[:place] + real[place:end][::-1] + real[end:]
    return real


def boxed(text: str) -> str:
    """As a response ends."""
    return rf"So the answer is $\boxed{{{text}}}$."


def text(rng: random.Random) -> str:
    """The layers without symbols: in this process, so that any mistake is an exception; the same twice; a gold is itself."""
    one, gold = answer(rng), answer(rng)
    begin = time.monotonic()
    kind = decide(one, gold)
    assert kind is decide(one, gold)
    assert decide(gold, gold) is Kind.RIGHT, f"not itself: {gold[:200]!r}"
    assert isinstance(extract_flexible(one + boxed(gold)), str | None)
    assert time.monotonic() - begin < PATIENCE, f"{time.monotonic() - begin:.1f} s: {one[:100]!r} {gold[:100]!r}"
    return "open" if kind is None else kind.value


@cache
def _verifiers() -> tuple[Verifier, Verifier]:
    """Two, for neither is to remember what the other found."""
    both = Verifier(workers=1, timeout=TIMEOUT), Verifier(workers=1, timeout=TIMEOUT)
    for one in both:
        one(r"\boxed{x+1}", "x+2")  # starts its worker outside of what is timed
    return both


def whole(rng: random.Random) -> str:
    """The whole verifier by any rule and mode: in time, never crashed, the same by another verifier."""
    one, gold = answer(rng), answer(rng)
    gold = gold if gold.strip() else "1"
    response = rng.choice((boxed(one), one, boxed(one) + one, rng.choice(HOSTILE_RESPONSES)[0]))
    rule, mode = rng.choice([Rule.EXACT, Rule.EXACT, *Rule]), rng.choice((None, *Mode))
    kinds = []
    for verifier in _verifiers():
        begin = time.monotonic()
        (verdict,) = verifier.verify_many([(response, gold)], rule=rule, mode=mode)
        took = time.monotonic() - begin
        assert took < TIMEOUT + PATIENCE, f"{took:.1f} s: {response[:100]!r} {gold[:100]!r}"
        kinds.append(verdict.kind)
    assert Kind.CRASHED not in kinds, f"crashed by {rule}: {response[:200]!r} {gold[:200]!r}"
    # Over time is the machine's doing, too.
    assert kinds[0] is kinds[1] or Kind.TOO_COSTLY in kinds, f"{kinds} by {rule}: {response[:200]!r} {gold[:200]!r}"
    return kinds[0].value


def itself(rng: random.Random) -> str:
    """A gold that can be put in a box is right in it."""
    gold = answer(rng)
    if not gold.strip() or extract_boxed(boxed(gold)) != gold.strip():
        return "left out"
    begin = time.monotonic()
    kind = _verifiers()[0](boxed(gold), gold).kind
    assert time.monotonic() - begin < TIMEOUT + PATIENCE, f"slow: {gold[:200]!r}"
    if kind is Kind.TOO_COSTLY and len(gold) > MAX_BOX:
        return "too long"
    assert kind is Kind.RIGHT, f"{kind}: {gold[:200]!r}"
    return kind.value


FUZZERS = {"text": text, "whole": whole, "itself": itself}

if __name__ == "__main__":
    sys.exit(main(FUZZERS))
