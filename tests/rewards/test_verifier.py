"""The verifier as a whole: labelled pairs, the benchmarks' own golds, hostile text, duplicates, processes and threads."""

import copy
import pickle
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lit_rlvr.errors import UserError
from lit_rlvr.rewards import Kind, Verdict, Verifier, check_gold, verify
from lit_rlvr.rewards.exact import decide
from lit_rlvr.rewards.rule import RULES, Rule
from tests.rewards.hostile import HOSTILE
from tests.rewards.pairs import DIFFERENT, EQUAL


@pytest.fixture(scope="module")
def verifier() -> Iterator[Verifier]:
    with Verifier(workers=2) as verifier:
        verifier(r"\boxed{x+1}", "x+2")  # start the workers outside of what is timed
        yield verifier


def boxed(answer: str) -> str:
    return rf"So the answer is $\boxed{{{answer}}}$."


@pytest.mark.parametrize(("gold", "answer"), EQUAL)
def test_equal_pairs_are_right(verifier: Verifier, gold: str, answer: str) -> None:
    assert verifier(boxed(answer), gold) == Verdict(Kind.RIGHT, answer.strip())


@pytest.mark.parametrize(("gold", "answer"), DIFFERENT)
def test_different_pairs_are_not_right(verifier: Verifier, gold: str, answer: str) -> None:
    assert verifier(boxed(answer), gold).kind in (Kind.WRONG, Kind.UNPARSABLE, Kind.TOO_COSTLY)


def test_the_pairs_are_many_and_of_both_verdicts() -> None:
    assert len(EQUAL) >= 150
    assert len(DIFFERENT) >= 150


@pytest.mark.parametrize("gold", ["12", r"x+\frac{1}{2}", "1,-2"])
def test_hostile_answers_end_in_time_and_earn_nothing(verifier: Verifier, gold: str, tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    for hostile in HOSTILE:
        begin = time.monotonic()
        verdict = verifier(boxed(hostile.replace("MARK", str(mark))), gold)
        assert time.monotonic() - begin < 2.5, hostile[:80]
        assert verdict.kind not in (Kind.RIGHT, Kind.CRASHED), hostile[:80]
    assert not mark.exists()


def test_duplicates_are_decided_once(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def counting(answer: str, gold: str) -> Kind | None:
        asked.append((answer, gold))
        return decide(answer, gold)

    monkeypatch.setitem(RULES, Rule.EXACT, replace(RULES[Rule.EXACT], decide=counting))
    verifier = Verifier()
    pairs = [(f"thought {i}: {boxed(str(i % 3))}", "2") for i in range(300)]
    verdicts = verifier.verify_many(pairs)
    assert [verdict.right for verdict in verdicts] == [i % 3 == 2 for i in range(300)]
    assert sorted(asked) == [("0", "2"), ("1", "2"), ("2", "2")]
    assert verifier.verify_many(pairs) == verdicts
    assert len(asked) == 3


def test_kinds() -> None:
    with Verifier() as verifier:
        assert verifier("no box, but 12", "12") == Verdict(Kind.NO_ANSWER)
        assert verifier(r"put it in \boxed{}", "12") == Verdict(Kind.NO_ANSWER, "")
        assert verifier(r"\boxed{12", "12").kind is Kind.NO_ANSWER
        assert verifier(boxed(r"\unknown{3}"), "12").kind is Kind.UNPARSABLE
        assert verifier(boxed("9^{9^{9}}"), "12").kind is Kind.TOO_COSTLY
        assert verifier(boxed("13"), "12").kind is Kind.WRONG
        assert verifier._pool._server is None  # nothing of this needs a worker


def test_an_empty_gold_is_refused() -> None:
    with pytest.raises(UserError, match="empty"):
        check_gold("  ")
    with pytest.raises(UserError, match="empty"):
        Verifier()(r"\boxed{}", "")


def test_verify_takes_the_gold_first() -> None:
    assert verify(r"2\sqrt{5}", boxed(r"\sqrt{20}"))
    assert not verify(r"2\sqrt{5}", r"2\sqrt{5}")


def test_copies_have_their_own_processes(verifier: Verifier) -> None:
    for twin in (copy.deepcopy(verifier), pickle.loads(pickle.dumps(verifier))):
        assert twin._pool is not verifier._pool
        assert twin(boxed("12"), "12").right


def test_any_thread_can_ask(verifier: Verifier) -> None:
    pairs = [(boxed(f"(x+{i})^2"), f"x^2+{2 * i}x+{i * i}") for i in range(20)]
    with ThreadPoolExecutor(4) as threads:
        assert all(threads.map(lambda pair: verifier(*pair).right, pairs))


def test_workers_outlive_the_thread_that_started_them() -> None:
    with Verifier(workers=1) as verifier:
        thread = threading.Thread(target=verifier, args=(boxed("x+1"), "1+x"))
        thread.start()
        thread.join()
        pid = verifier._pool._workers[0].pid
        assert verifier(boxed("y+z"), "z+y").right
        assert verifier._pool._workers[0].pid == pid


def test_a_script_without_a_main_guard_runs_once(tmp_path: Path, repository: Path) -> None:
    script = tmp_path / "plain.py"
    script.write_text(
        "from lit_rlvr.rewards import verify\nprint('begin')\n"
        r"print(verify(r'2\sqrt{5}', r'\boxed{\sqrt{20}}'))"
        "\n"
    )
    done = subprocess.run(
        [sys.executable, str(script)],
        env={"PYTHONPATH": str(repository)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert (done.stdout.split(), done.returncode, done.stderr) == (["begin", "True"], 0, "")


def test_a_step_of_typical_responses_is_cheap(verifier: Verifier) -> None:
    text = "First we add the two numbers, and then we multiply the sum by three. " * 20
    pairs = [(f"{text} {i} {boxed(str(i % 40))}", "12") for i in range(1024)]
    begin = time.process_time()
    verifier.verify_many(pairs)
    assert time.process_time() - begin < 0.3


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(answer=st.text(max_size=60) | st.text(alphabet=r"\{}()[]|^_/+-=,.0123456789xpifracsqt&$% ", max_size=60))
def test_it_never_raises(answer: str) -> None:
    kind = decide(answer, "12")
    assert kind is None or isinstance(kind, Kind)
    assert isinstance(decide("12", answer or "1"), Kind | None)


@settings(max_examples=100, deadline=None)
@given(top=st.integers(-(10**6), 10**6), bottom=st.integers(1, 10**4), factor=st.integers(1, 50))
def test_equal_fractions_are_equal_both_ways_and_neighbours_are_not(top: int, bottom: int, factor: int) -> None:
    one, other = rf"\frac{{{top}}}{{{bottom}}}", f"{top * factor}/{bottom * factor}"
    assert decide(one, other) is decide(other, one) is Kind.RIGHT
    assert decide(rf"\frac{{{top + 1}}}{{{bottom}}}", other) is Kind.WRONG
