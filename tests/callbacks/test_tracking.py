"""Saturation step, warnings, and their way through a checkpoint."""

import warnings
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from lit_rlvr.callbacks.tracking import SaturationTracker
from lit_rlvr.errors import UserError
from lit_rlvr.experience import StepRecord
from lit_rlvr.rewards.verdict import Kind, Verdict
from tests.callbacks.stub_run import SaveAndStop, StubModule, record_of, run

ACCURACIES = [0.2, 0.6, 1.0, 1.0, 0.97, 1.0, 1.0, 0.4, 1.0]
# Means over three: -, -, .6, .867, .99, .99, .99, .8, .8: the first at 0.99 is step 4.


def module_of(accuracies: list[float], **metrics: float) -> StubModule:
    def make(step: int) -> StepRecord:
        return record_of(step, [("p", False, "the response")], **{"train/accuracy": accuracies[step], **metrics})

    return StubModule(make)


def test_finds_the_saturation_step_and_logs_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tracker = SaturationTracker(window=3, threshold=0.99)
    run(module_of(ACCURACIES, **{"train/reward": 0.5}), [tracker], tmp_path, len(ACCURACIES), tensorboard=True)
    assert tracker.saturation_step == 4
    assert tracker.window_accuracy == pytest.approx(0.8)
    assert tracker.window_entropy == pytest.approx(0.5)
    lines = [line for line in capsys.readouterr().out.splitlines() if "solved" in line]
    assert lines == ["RL step 4: the training problem is solved: accuracy 99.0% over the last 3 RL steps."]
    events = EventAccumulator(str(tmp_path / "run"))
    events.Reload()
    window = {event.step: event.value for event in events.Scalars("train/accuracy/window")}
    assert window == pytest.approx({0: 0.2, 1: 0.4, 2: 0.6, 3: 2.6 / 3, 4: 0.99, 5: 0.99, 6: 0.99, 7: 0.8, 8: 0.8})
    assert [event.value for event in events.Scalars("train/saturated")] == [0, 0, 0, 0, 1, 1, 1, 1, 1]


def test_a_window_that_is_not_full_is_not_saturated(tmp_path: Path) -> None:
    tracker = SaturationTracker(window=3)
    run(module_of([1.0, 1.0], **{"train/reward": 1.0}), [tracker], tmp_path, 2)
    assert tracker.saturation_step is None


@pytest.mark.parametrize("stop", [2, 4, 6])
def test_resume_finds_the_same_step(tmp_path: Path, capsys: pytest.CaptureFixture[str], stop: int) -> None:
    checkpoint = tmp_path / "stop.ckpt"
    metrics = {"train/reward": 0.5}
    with pytest.raises(RuntimeError, match="power cut"):
        run(module_of(ACCURACIES, **metrics), [SaturationTracker(3), SaveAndStop(stop, checkpoint)], tmp_path, 9)
    tracker = SaturationTracker(3)
    run(module_of(ACCURACIES, **metrics), [tracker], tmp_path, 9, ckpt_path=checkpoint)
    assert tracker.saturation_step == 4
    assert tracker.window_accuracy == pytest.approx(0.8)
    assert capsys.readouterr().out.count("is solved") == 1


def warnings_of(job: Callable[[], object], word: str) -> list[str]:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        job()
    return [str(item.message) for item in caught if word in str(item.message)]


def test_warns_once_of_collapsed_entropy(tmp_path: Path) -> None:
    entropies = [0.5, 0.001, 0.001, 0.02, 0.001, 0.001, 0.001, 0.001]

    def job(tracker: SaturationTracker, steps: int) -> None:
        module = StubModule(
            lambda step: record_of(step, [("p", True, "t"), ("p", False, "u")], **{"train/entropy": entropies[step]})
        )
        run(module, [tracker], tmp_path, steps)

    assert warnings_of(lambda: job(SaturationTracker(3), 6), "entropy") == []
    (message,) = warnings_of(lambda: job(SaturationTracker(3), 8), "entropy")
    assert "below 0.01 nats per token for 3 RL steps" in message
    assert "entropy_coefficient" in message
    assert warnings_of(lambda: job(SaturationTracker(3, entropy_floor=0), 8), "entropy") == []


def test_warns_of_reward_that_never_comes_and_shows_a_response(tmp_path: Path) -> None:
    (message,) = warnings_of(lambda: run(module_of([0.0] * 8), [SaturationTracker(3)], tmp_path, 8), "earned a reward")
    assert "first 3 RL steps" in message
    assert "gold answer 'gold of p', verdict wrong, read as 'read', ended" in message
    assert message.endswith("\nthe response")


def test_no_reward_warning_after_a_first_reward(tmp_path: Path) -> None:
    def make(step: int) -> StepRecord:
        return record_of(step, [("p", step == 1, "t")])

    assert warnings_of(lambda: run(StubModule(make), [SaturationTracker(3)], tmp_path, 8), "earned a reward") == []


def test_resume_does_not_take_later_steps_for_the_first(tmp_path: Path) -> None:
    def module() -> StubModule:
        return StubModule(lambda step: record_of(step, [("p", step == 1, "t")]))

    checkpoint = tmp_path / "stop.ckpt"
    with pytest.raises(RuntimeError, match="power cut"):
        run(module(), [SaturationTracker(3), SaveAndStop(2, checkpoint)], tmp_path, 9)
    job = lambda: run(module(), [SaturationTracker(3)], tmp_path, 9, ckpt_path=checkpoint)  # noqa: E731
    assert warnings_of(job, "earned a reward") == []


@pytest.mark.parametrize(("stop", "warned"), [(2, 1), (4, 0)])
def test_resume_counts_on_and_warns_no_second_time(tmp_path: Path, stop: int, warned: int) -> None:
    def module() -> StubModule:
        return StubModule(lambda step: record_of(step, [("p", False, "t")], **{"train/entropy": 0.0}))

    checkpoint = tmp_path / "stop.ckpt"
    with pytest.raises(RuntimeError, match="power cut"):
        run(module(), [SaturationTracker(3), SaveAndStop(stop, checkpoint)], tmp_path, stop + 1)

    def job() -> None:
        run(module(), [SaturationTracker(3)], tmp_path, 3 if warned else 8, ckpt_path=checkpoint)

    assert len(warnings_of(job, "earned a reward")) == warned
    assert len(warnings_of(job, "entropy has been")) == warned


def trouble(step: int, costly: int, crashed: int, shown: int = 100, answer: str = "9!!") -> StepRecord:
    """A step of 100 responses, of which so many took or killed the verifier; the first ``shown`` are this process'."""
    kinds = [Kind.TOO_COSTLY] * costly + [Kind.CRASHED] * crashed
    kinds = ([Kind.RIGHT] * (100 - len(kinds)) + kinds)[:shown]
    shares = {"verdict/too_costly": costly / 100, "verdict/crashed": crashed / 100}
    record = record_of(step, [("p", True, "t")] * shown, **shares)
    verdicts = tuple(Verdict(kind, answer if kind in (Kind.TOO_COSTLY, Kind.CRASHED) else "1") for kind in kinds)
    return replace(record, experience=replace(record.experience, verdicts=verdicts))


def trouble_messages(records: list[StepRecord], folder: Path, tracker: SaturationTracker | None = None) -> list[str]:
    tracker = tracker or SaturationTracker()
    return warnings_of(
        lambda: run(StubModule(lambda step: records[step]), [tracker], folder, len(records)), "responses "
    )


def test_warns_once_per_kind_of_a_verifier_in_trouble(tmp_path: Path) -> None:
    steps = [(5, 0), (6, 0), (50, 0), (10, 2), (0, 7), (20, 20)]
    costly, crashed = trouble_messages([trouble(i, *step) for i, step in enumerate(steps)], tmp_path)
    assert costly.startswith("RL step 1: 6 of 100 responses were given up by the verifier as too costly")
    assert "model.verifier.timeout" in costly
    assert costly.endswith("One such answer, of 3 characters (problem p, gold answer 'gold of p'): '9!!'.")
    assert crashed.startswith("RL step 4: 7 of 100 responses crashed the verifier's worker")
    assert "model.verifier.workers" in crashed


def test_kinds_of_trouble_add_up(tmp_path: Path) -> None:
    (message,) = trouble_messages([trouble(0, 2, 4)], tmp_path)
    assert "4 of 100 responses crashed" in message
    both = trouble_messages([trouble(0, 6, 30)], tmp_path)
    assert ["6 of 100 responses were given up" in both[0], "30 of 100 responses crashed" in both[1]] == [True, True]


def test_the_share_of_trouble_is_configurable(tmp_path: Path) -> None:
    records = [trouble(0, 90, 10)]
    assert trouble_messages(records, tmp_path, SaturationTracker(trouble_share=1.0)) == []
    assert len(trouble_messages([trouble(0, 1, 0)], tmp_path, SaturationTracker(trouble_share=0.0))) == 1
    assert trouble_messages([trouble(0, 0, 0)], tmp_path, SaturationTracker(trouble_share=0.0)) == []


def test_a_troublesome_answer_is_shortened_and_may_be_elsewhere(tmp_path: Path) -> None:
    (message,) = trouble_messages([trouble(0, 50, 0, answer="9" * 5000)], tmp_path)
    assert f"of 5000 characters (problem p, gold answer 'gold of p'): '{'9' * 200}[...]'." in message
    (message,) = trouble_messages([trouble(0, 50, 0, shown=50)], tmp_path)
    assert message.endswith("None of them is on the first process.")


def test_resume_does_not_warn_of_the_verifier_again(tmp_path: Path) -> None:
    def module() -> StubModule:
        return StubModule(lambda step: trouble(step, 50, 10 * (step == 4)))

    checkpoint = tmp_path / "stop.ckpt"
    with pytest.raises(RuntimeError, match="power cut"):
        run(module(), [SaturationTracker(), SaveAndStop(2, checkpoint)], tmp_path, 6)
    job = lambda: run(module(), [SaturationTracker()], tmp_path, 6, ckpt_path=checkpoint)  # noqa: E731
    (message,) = warnings_of(job, "responses ")
    assert message.startswith("RL step 4: 10 of 100 responses crashed")


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"window": 0}, "window"),
        ({"threshold": 1.5}, "threshold"),
        ({"entropy_floor": -1.0}, "entropy_floor"),
        ({"trouble_share": 5.0}, "trouble_share"),
    ],
)
def test_settings_that_make_no_sense_are_refused(settings: dict[str, float], named: str) -> None:
    with pytest.raises(UserError, match=f"saturation.{named}"):
        SaturationTracker(**settings)  # type: ignore[arg-type]
