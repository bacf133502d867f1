"""Stage 3: the verifier, (response, gold) -> verdict. The cheapest layer that can decide does.

Almost all answers are decided here by text and exact numbers in some microseconds. Only what is left goes to the pool's
workers, once per distinct (answer, gold) of a step, and the outcome is remembered across steps. A response is never
executed, evaluated or handed to a parser in this process.
"""

import re
import threading
from collections import OrderedDict
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from lit_rlvr.errors import UserError
from lit_rlvr.rewards.equivalence import Decision, compare, compare_exactly
from lit_rlvr.rewards.extract import extract_boxed
from lit_rlvr.rewards.limits import MAX_BOX, MAX_NESTING, nesting, readable, too_costly
from lit_rlvr.rewards.normalize import normal_form
from lit_rlvr.rewards.pool import Pool
from lit_rlvr.rewards.structure import Node, parse_answer
from lit_rlvr.rewards.verdict import Kind, Verdict

# Distinct (answer, gold) pairs remembered: some hundred steps of a full-set run.
_REMEMBERED = 65536
# Integers short enough to convert at once: the most frequent answers by far.
_INTEGER = re.compile(r"[+-]?[0-9]{1,30}")
_KIND = {
    "equal": Kind.RIGHT,
    "different": Kind.WRONG,
    "unparsable": Kind.UNPARSABLE,
    "too_costly": Kind.TOO_COSTLY,
    "crashed": Kind.CRASHED,
}


def check_gold(gold: str) -> str:
    """Return a gold answer as it is.

    Raises:
        UserError: it is empty or blank, so that nothing could ever be right (or an echoed empty box would be).
    """
    if not gold.strip():
        raise UserError("A gold answer is empty: give every problem an answer, or leave the problem out.")
    return gold


@lru_cache(maxsize=4096)
def _tree(text: str) -> Node:
    return parse_answer(text)


def decide(answer: str, gold: str) -> Kind | None:
    """The verdict on a boxed answer from text and exact numbers alone, or None if it takes symbols."""
    if not answer.strip():
        return Kind.NO_ANSWER
    if answer == gold:
        return Kind.RIGHT
    if _INTEGER.fullmatch(answer) and _INTEGER.fullmatch(gold):
        return Kind.RIGHT if int(answer) == int(gold) else Kind.WRONG
    if len(answer) > MAX_BOX:
        return Kind.TOO_COSTLY
    ours, theirs = normal_form(gold), normal_form(answer)
    if ours == theirs:
        return Kind.RIGHT
    if nesting(theirs) > max(MAX_NESTING, nesting(ours)):
        return Kind.TOO_COSTLY
    decision = compare(_tree(ours), _tree(theirs), compare_exactly)
    if decision is Decision.EQUAL:
        return Kind.RIGHT
    if not readable(theirs, ours):
        return Kind.UNPARSABLE
    if decision is Decision.DIFFERENT:
        return Kind.WRONG
    return Kind.TOO_COSTLY if too_costly(theirs, ours) else None


class Verifier:
    """Judges responses. Safe to call from any thread; worker processes are started when they are first needed.

    Args:
        workers: processes for answers that take symbols.
        timeout: wall seconds per such answer before it counts as too costly.
    """

    def __init__(self, workers: int = 2, timeout: float = 1.0) -> None:
        if workers < 1 or timeout <= 0:
            raise UserError(f"Verifier(workers={workers}, timeout={timeout}): both must be more than 0.")
        self.workers = workers
        self.timeout = timeout
        self._set_up()

    def _set_up(self) -> None:
        self._pool = Pool(self.workers, self.timeout)
        self._remembered: OrderedDict[tuple[str, str], Kind] = OrderedDict()
        self._lock = threading.Lock()

    def verify_many(self, pairs: Sequence[tuple[str, str]]) -> list[Verdict]:
        """Verdicts on (response, gold) pairs, in their order.

        Raises:
            UserError: a gold is empty.
        """
        asked = [(extract_boxed(response), check_gold(gold)) for response, gold in pairs]
        kinds: dict[tuple[str, str], Kind] = {}
        open_pairs: list[tuple[str, str]] = []
        for answer, gold in asked:
            if answer is None or (answer, gold) in kinds:
                continue
            kind = self._recall((answer, gold)) or decide(answer, gold)
            if kind is None:
                open_pairs.append((answer, gold))
            kinds[answer, gold] = kind or Kind.TOO_COSTLY
        outcomes = self._pool.judge([(normal_form(gold), normal_form(answer)) for answer, gold in open_pairs])
        kinds.update(zip(open_pairs, (_KIND.get(outcome, Kind.CRASHED) for outcome in outcomes), strict=True))
        self._remember(kinds)
        return [Verdict(Kind.NO_ANSWER) if a is None else Verdict(kinds[a, gold], a) for a, gold in asked]

    def _recall(self, pair: tuple[str, str]) -> Kind | None:
        with self._lock:
            kind = self._remembered.get(pair)
            if kind is not None:
                self._remembered.move_to_end(pair)
            return kind

    def _remember(self, kinds: dict[tuple[str, str], Kind]) -> None:
        with self._lock:
            # A crash may be the machine's fault, and a long text is decided at once anyway.
            self._remembered.update(
                (pair, kind) for pair, kind in kinds.items() if kind is not Kind.CRASHED and len(pair[0]) <= MAX_BOX
            )
            while len(self._remembered) > _REMEMBERED:
                self._remembered.popitem(last=False)

    def __call__(self, response: str, gold: str) -> Verdict:
        """The verdict on one response."""
        return self.verify_many([(response, gold)])[0]

    def close(self) -> None:
        """End the worker processes. A later call starts them anew."""
        self._pool.close()

    def __enter__(self) -> "Verifier":
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def __getstate__(self) -> dict[str, Any]:
        """A copy has the settings and its own processes."""
        return {"workers": self.workers, "timeout": self.timeout}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._set_up()


@lru_cache(maxsize=1)
def _shared() -> Verifier:
    return Verifier(workers=1)


def verify(gold: str, response: str) -> bool:
    """Whether a response is right, by a verifier shared in this process.

    Raises:
        UserError: the gold is empty.
    """
    return _shared()(response, gold).right
