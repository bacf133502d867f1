"""Worker processes: killed on time, replaced, gone at the end."""

import os
import resource
import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from lit_rlvr.rewards.pool import Pool


@pytest.fixture
def pool() -> Iterator[Pool]:
    pool = Pool(workers=2, timeout=5.0)
    assert pool.judge([("exact", "1+x", "x+1")]) == ["equal"]
    yield pool
    pool.close()


def alive(pid: int) -> bool:
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_outcomes_come_in_order(pool: Pool) -> None:
    pairs = [("exact", f"{i % 2 + i}+x", f"x+{i}") for i in range(9)]
    assert pool.judge(pairs) == ["equal" if i % 2 == 0 else "different" for i in range(9)]


def test_a_slow_answer_is_killed_and_the_others_are_judged(pool: Pool) -> None:
    os.kill(pool._workers[0].pid, signal.SIGSTOP)  # a worker that will not answer, whatever the reason
    before = {worker.pid for worker in pool._workers}
    pool.timeout = 0.5
    begin = time.monotonic()
    outcomes = pool.judge([("exact", f"{i}+x", f"x+{i}") for i in range(6)])
    assert time.monotonic() - begin < 2
    assert sorted(outcomes) == ["equal"] * 5 + ["too_costly"]
    after = {worker.pid for worker in pool._workers}
    assert len(before & after) == 1
    assert not any(alive(pid) for pid in before - after)
    assert pool.judge([("exact", "1+y", "y+1")] * 4) == ["equal"] * 4


def test_workers_that_die_while_idle_are_replaced(pool: Pool) -> None:
    for worker in pool._workers:
        os.kill(worker.pid, signal.SIGKILL)
    time.sleep(0.1)
    with pytest.warns(UserWarning, match="ended from outside"):
        assert pool.judge([("exact", "1+x", "x+1")] * 4) == ["equal"] * 4
    assert pool.deaths == 2


def killed_meanwhile(pool: Pool, victims: Callable[[], list[int]]) -> list[str]:
    """Outcomes of a batch in which these processes are killed while they are at work."""
    pairs = [("exact", f"{i}+x", f"x+{i}") for i in range(300)]

    def kill() -> None:
        for pid in victims():
            os.kill(pid, signal.SIGKILL)

    timer = threading.Timer(0.05, kill)
    timer.start()
    begin = time.monotonic()
    with pytest.warns(UserWarning, match=r"ended from outside.*judged again"):
        outcomes = pool.judge(pairs)
    timer.join()
    assert time.monotonic() - begin < 30
    return outcomes


def test_a_worker_killed_at_work_costs_no_answer_its_verdict(pool: Pool) -> None:
    """As the kernel does when memory runs out: one of them, then all."""
    assert killed_meanwhile(pool, lambda: [pool._workers[0].pid]) == ["equal"] * 300
    assert killed_meanwhile(pool, lambda: [worker.pid for worker in pool._workers]) == ["equal"] * 300
    assert pool.deaths >= 2


def test_the_server_killed_at_work_takes_its_workers_along_and_all_begin_anew(pool: Pool) -> None:
    assert pool._server is not None
    before = {pool._server.pid, *(worker.pid for worker in pool._workers)}
    server = pool._server.pid
    assert killed_meanwhile(pool, lambda: [server]) == ["equal"] * 300
    assert not any(alive(pid) for pid in before)


def test_an_answer_that_kills_every_worker_is_given_up(pool: Pool) -> None:
    """It is no request at all, so that a worker which reads it ends; the second of them is the last."""
    with pytest.warns(UserWarning, match="ended from outside"):
        outcomes = pool.judge([("exact", "1+x", "x+1"), ("no such rule",), ("exact", "2+x", "x+2")])  # type: ignore[list-item]
    assert outcomes == ["equal", "crashed", "equal"]
    assert pool.deaths == 2


def test_an_answer_that_wants_more_memory_than_a_worker_may_have(pool: Pool) -> None:
    """The expansion takes gigabytes and many seconds; here the limit is drawn near, so that memory comes first."""
    before = {worker.pid for worker in pool._workers}
    for pid in before:
        pages = int(Path(f"/proc/{pid}/statm").read_text().split()[0])
        resource.prlimit(pid, resource.RLIMIT_AS, (pages * resource.getpagesize() + (8 << 20),) * 2)
    begin = time.monotonic()
    assert pool.judge([("qwen", "(x+y+z)^{400}", "1"), ("exact", "1+x", "x+1")]) == ["too_costly", "equal"]
    assert time.monotonic() - begin < pool.timeout
    assert {worker.pid for worker in pool._workers} == before  # it said so itself, and goes on
    assert pool.deaths == 0


def test_closing_ends_every_process(pool: Pool) -> None:
    assert pool._server is not None
    pids = [pool._server.pid, *(worker.pid for worker in pool._workers)]
    assert all(alive(pid) for pid in pids)
    pool.close()
    deadline = time.monotonic() + 5
    while any(alive(pid) for pid in pids) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not any(alive(pid) for pid in pids)
    assert pool.judge([("exact", "1+x", "x+1")]) == ["equal"]  # it starts anew


def test_a_forked_process_gets_its_own_workers(pool: Pool) -> None:
    child = os.fork()
    if child == 0:
        right = pool.judge([("exact", "1+x", "x+1")]) == ["equal"]
        pool.close()
        os._exit(0 if right else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert pool.judge([("exact", "2+x", "x+2")]) == ["equal"]


def test_a_worker_is_limited(pool: Pool) -> None:
    with open(f"/proc/{pool._workers[0].pid}/limits") as file:
        limits = {line[:25].strip(): line[26:46].split()[0] for line in file}
    assert limits["Max address space"] == str(1 << 30)
    assert limits["Max file size"] == "0"
    assert limits["Max processes"] == "0"
