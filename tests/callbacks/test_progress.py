"""The bar on a pretended terminal, and the lines in a log file."""

import io
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import rich

from lit_rlvr.callbacks import progress
from lit_rlvr.callbacks.progress import RLProgressBar
from lit_rlvr.errors import UserError
from lit_rlvr.experience import StepRecord
from tests.callbacks.stub_run import SaveAndStop, StubModule, record_of, run

ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Iterator[io.StringIO]:
    """What a terminal of 200 columns would be sent."""
    monkeypatch.setenv("TERM", "xterm")
    yield io.StringIO()
    rich.reconfigure()  # the bar sets Rich's global console


def bar_on(terminal: io.StringIO, every: int = 10) -> RLProgressBar:
    return RLProgressBar(every, console_kwargs={"file": terminal, "force_terminal": True, "width": 200})


def shown(terminal: io.StringIO) -> str:
    return ESCAPES.sub("", terminal.getvalue())


def module_of(during: Callable[[StubModule], None] | None = None) -> StubModule:
    def make(step: int) -> StepRecord:
        return record_of(step, [("p", True, "t"), ("p", step > 2, "u")], **{"time/rollout": 0.1 * step})

    return StubModule(make, during)


def test_bar_counts_rl_steps_and_shows_the_metrics(tmp_path: Path, terminal: io.StringIO) -> None:
    bar = bar_on(terminal, every=2)
    run(module_of(lambda module: bar.progress.refresh()), [bar], tmp_path, steps=4)
    text = shown(terminal)
    last = text.rstrip().splitlines()[-1]
    assert last.startswith("RL step ")
    assert " 4/4 " in last
    assert "s/step" in last
    assert "reward: 1.000 accuracy: 1.000 length: 1.5 entropy: 0.500" in last
    assert "reward: 0.500" in text
    assert "v_num" not in text
    assert "Epoch" not in text
    # mean over two steps: (0 + 0.1) / 2, then (0.2 + 0.3) / 2
    assert "step 2  rollout 0.05s  sync 0.06s" in text
    assert "step 4  rollout 0.25s  sync 0.06s" in text


def test_bar_of_a_resumed_run_goes_on_where_it_stood(tmp_path: Path, terminal: io.StringIO) -> None:
    checkpoint = tmp_path / "stop.ckpt"
    with pytest.raises(RuntimeError, match="power cut"):
        run(module_of(), [bar_on(terminal), SaveAndStop(3, checkpoint)], tmp_path, steps=5)
    terminal.truncate(0)
    bar = bar_on(terminal)
    seen: list[tuple[float, float]] = []

    def during(module: StubModule) -> None:
        task = bar.train_progress_bar
        seen.append((task.completed, sum(sample.completed for sample in task._progress)))

    run(module_of(during), [bar], tmp_path, steps=5, ckpt_path=checkpoint)
    assert seen == [(3, 0), (4, 1)]  # the speed is taken from the steps of this run alone
    assert " 5/5 " in shown(terminal).rstrip().splitlines()[-1]


def test_long_phases_get_a_task_while_they_last(
    tmp_path: Path, terminal: io.StringIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = [100.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: clock[0])
    bar = bar_on(terminal)
    seen: list[dict[str, float]] = []

    def tasks() -> dict[str, float]:
        assert bar.progress is not None
        return {task.description: task.completed for task in bar.progress.tasks if task.description != "RL step"}

    def during(module: StubModule) -> None:
        if int(module.rl_step) == 1:
            for done, seconds in ((0, 0.0), (1, 0.3), (2, 0.3), (3, 0.1), (4, 0.2)):
                clock[0] += seconds
                bar.on_rollout_progress(done, 9)
                seen.append(tasks())
            bar.evaluation_progress("math500", 0, 500)
            clock[0] += 1
            bar.evaluation_progress("math500", 10, 500)
            seen.append(tasks())
            bar.evaluation_progress("math500", 500, 500)
            seen.append(tasks())
        else:
            seen.append(tasks())

    run(module_of(during), [bar], tmp_path, steps=3)
    # Not before half a second, not more than four updates a second, and gone with the step even if never reported done.
    assert seen == [
        {},
        {},
        {},
        {"rollout": 2},
        {"rollout": 2},
        {"rollout": 4},
        {"rollout": 4, "eval math500": 10},
        {"rollout": 4},
        {},
    ]


def test_plain_lines_where_there_is_no_terminal(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bar = RLProgressBar(phase_line_every_n_rl_steps=3)
    run(module_of(), [bar], tmp_path, steps=7)
    out = capsys.readouterr().out
    lines = [line for line in out.splitlines() if line.startswith("step")]
    assert lines == [
        "step 1/7  reward 0.500  accuracy 0.500  length 1.5  entropy 0.500  0.25s",
        "step 3/7  reward 0.500  accuracy 0.500  length 1.5  entropy 0.500  0.25s",
        "step 3  rollout 0.10s  sync 0.06s",
        "step 6/7  reward 1.000  accuracy 1.000  length 1.5  entropy 0.500  0.25s",
        "step 6  rollout 0.40s  sync 0.06s",
        "step 7/7  reward 1.000  accuracy 1.000  length 1.5  entropy 0.500  0.25s",
    ]
    assert "\x1b" not in out


def test_plain_lines_say_how_far_a_long_phase_is(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = [100.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: clock[0])
    bar = RLProgressBar()

    def during(module: StubModule) -> None:
        for done in range(5):
            bar.on_rollout_progress(done, 8)
            clock[0] += 40

    run(module_of(during), [bar], tmp_path, steps=1)
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("rollout")]
    assert lines == ["rollout: 2/8 responses after 80s", "rollout: 4/8 responses after 160s"]


def test_other_processes_stay_silent(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    class Second(RLProgressBar):
        def setup(self, *args: Any, **kwargs: Any) -> None:
            super().setup(*args, **kwargs)
            self.disable()  # what Lightning does where the rank is not 0

    run(module_of(), [Second(1)], tmp_path, steps=2)
    assert "step" not in capsys.readouterr().out


def test_negative_interval_is_refused() -> None:
    with pytest.raises(UserError, match="phase_line_every_n_rl_steps"):
        RLProgressBar(-1)
