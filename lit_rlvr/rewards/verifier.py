"""Stage 3: the verifier, (response, gold) -> verdict. The cheapest layer that can decide does.

Almost all answers are decided here by text and exact numbers in some microseconds. Only what is left goes to the pool's
workers, once per distinct (answer, gold) of a step, and the outcome is remembered across steps. A response is never
executed, evaluated or handed to a parser in this process.
"""

import threading
from collections import OrderedDict
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from lit_rlvr.errors import UserError
from lit_rlvr.rewards.limits import MAX_BOX
from lit_rlvr.rewards.pool import Pool
from lit_rlvr.rewards.rule import RULES, Mode, Rule, parse_mode, parse_rule
from lit_rlvr.rewards.verdict import Kind, Verdict

# Distinct (rule, answer, gold) remembered: some hundred steps of a full-set run.
_REMEMBERED = 65536
_KIND = {
    "equal": Kind.RIGHT,
    "different": Kind.WRONG,
    "unparsable": Kind.UNPARSABLE,
    "too_costly": Kind.TOO_COSTLY,
    "unreached": Kind.TOO_COSTLY,
    "crashed": Kind.CRASHED,
}
# The machine's doing rather than the answer's, so it may come out otherwise the next time.
_NOT_REMEMBERED = frozenset(["unreached", "crashed"])


def check_gold(gold: str) -> str:
    """Return a gold answer as it is.

    Raises:
        UserError: it is empty or blank, so that nothing could ever be right (or an echoed empty box would be).
    """
    if not gold.strip():
        raise UserError("A gold answer is empty: give every problem an answer, or leave the problem out.")
    return gold


class Verifier:
    """Judges responses. Safe to call from any thread; worker processes are started when they are first needed.

    Args:
        workers: processes for answers that take symbols.
        timeout: wall seconds per such answer before it counts as too costly.
        rule: how answers are compared: ``exact`` (ours), ``deepscaler`` or ``qwen`` (the paper's).
        mode: where answers are looked for: ``strict`` (the last box) or ``flexible``; by default the rule's own, which
            is strict for all but ``qwen``.
    """

    def __init__(
        self,
        workers: int = 2,
        timeout: float = 1.0,
        rule: Rule | str = Rule.EXACT,
        mode: Mode | str | None = None,
    ) -> None:
        if workers < 1 or timeout <= 0:
            raise UserError(f"Verifier(workers={workers}, timeout={timeout}): both must be more than 0.")
        self.workers = workers
        self.timeout = timeout
        self.rule = parse_rule(rule)
        self.mode = parse_mode(mode)
        self._set_up()

    def _set_up(self) -> None:
        self._pool = Pool(self.workers, self.timeout)
        self._remembered: OrderedDict[tuple[Rule, str, str], Kind] = OrderedDict()
        self._lock = threading.Lock()

    def verify_many(
        self,
        pairs: Sequence[tuple[str, str]],
        rule: Rule | str | None = None,
        mode: Mode | str | None = None,
    ) -> list[Verdict]:
        """Verdicts on (response, gold) pairs, in their order.

        Args:
            pairs: responses with their golds.
            rule, mode: instead of the verifier's own; with another rule and no mode, that rule's own mode.

        Raises:
            UserError: a gold is empty, or there is no such rule or mode.
        """
        chosen = self.rule if rule is None else parse_rule(rule)
        steps = RULES[chosen]
        where = parse_mode(mode) or (self.mode if rule is None else None) or steps.default
        extract = steps.strict if where is Mode.STRICT else steps.flexible
        asked = [(extract(response), check_gold(gold)) for response, gold in pairs]
        kinds: dict[tuple[Rule, str, str], Kind] = {}
        open_keys: list[tuple[Rule, str, str]] = []
        for answer, gold in asked:
            if answer is None or (chosen, answer, gold) in kinds:
                continue
            key = (chosen, answer, gold)
            kind = self._recall(key) or (steps.decide(answer, gold) if answer.strip() else Kind.NO_ANSWER)
            if kind is None:
                open_keys.append(key)
            kinds[key] = kind or Kind.TOO_COSTLY
        outcomes = dict(zip(open_keys, self._pool.judge(open_keys), strict=True))
        kinds |= {key: _KIND.get(outcome, Kind.CRASHED) for key, outcome in outcomes.items()}
        self._remember({key: kind for key, kind in kinds.items() if outcomes.get(key) not in _NOT_REMEMBERED})
        return [Verdict(Kind.NO_ANSWER) if a is None else Verdict(kinds[chosen, a, gold], a) for a, gold in asked]

    def _recall(self, key: tuple[Rule, str, str]) -> Kind | None:
        with self._lock:
            kind = self._remembered.get(key)
            if kind is not None:
                self._remembered.move_to_end(key)
            return kind

    def _remember(self, kinds: dict[tuple[Rule, str, str], Kind]) -> None:
        with self._lock:
            # A long text is decided at once anyway.
            self._remembered.update((key, kind) for key, kind in kinds.items() if len(key[1]) <= MAX_BOX)
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
        return {"workers": self.workers, "timeout": self.timeout, "rule": self.rule, "mode": self.mode}

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
