"""Each warning at its step, once, with its advice; through a checkpoint; and on a real run."""

import math
import warnings
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from lit_rlvr.callbacks.advice import Advice, engine_limit
from lit_rlvr.cli import run as command
from lit_rlvr.errors import UserError
from lit_rlvr.rollout.engine import Sampling
from tests.callbacks.stub_run import SaveAndStop, StubModule, record_of, run

HEALTHY = {
    "train/zero_variance": 0.9,
    "rollout/truncated": 0.4,
    "train/kl": 0.5,
    "rollout/logprob_diff/mean": 1e-4,
}


def messages(job: Callable[[], object]) -> list[str]:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        job()
    texts = [str(item.message) for item in caught]
    return [text for text in texts if text.startswith(("RL step", "No response"))]


def said(metric: str, values: list[float], folder: Path, advice: Advice | None = None) -> list[str]:
    """What a run of hand-made steps warns of; everything but one metric is healthy."""
    module = StubModule(lambda i: record_of(i, [("p", True, "t")], **{**HEALTHY, metric: values[i]}))
    module.tripwire, module.sampling = SimpleNamespace(limit=1e-3), Sampling()  # type: ignore[assignment]
    return messages(lambda: run(module, [advice or Advice(steps=3)], folder, len(values)))


@pytest.mark.parametrize(
    ("metric", "bad", "good", "word", "advice"),
    [
        ("train/zero_variance", 1.0, 0.99, "(mean reward 1)", "model.update.saturated_share"),
        ("rollout/truncated", 0.51, 0.5, "More than 50% of the responses", "model.sampling.max_tokens"),
        ("train/kl", 1.1, 1.0, "above 1 nats per token for 3 RL steps (1.1 in", "kl_coefficient"),
        ("rollout/logprob_diff/mean", 6e-4, 5e-4, "more than 0.0005 in the mean", "model.engine.init_args.dtype"),
    ],
)
def test_warns_once_after_so_many_in_a_row(
    metric: str, bad: float, good: float, word: str, advice: str, tmp_path: Path
) -> None:
    assert said(metric, [bad, bad, good] * 3, tmp_path) == []
    (message,) = said(metric, [bad, bad, good, bad, bad, bad, bad, good, bad, bad, bad], tmp_path)
    assert message.startswith("RL step 5: ")
    assert word in message
    assert advice in message


def test_what_is_switched_off_is_not_said(tmp_path: Path) -> None:
    off = {
        "rollout/truncated": Advice(1, truncated_share=1.0),
        "train/kl": Advice(1, kl=math.inf),
        "rollout/logprob_diff/mean": Advice(1, engine_share=1.0),
    }
    for metric, advice in off.items():
        assert said(metric, [1e9], tmp_path, advice) == []


def test_a_skipped_step_has_no_metric_and_changes_nothing() -> None:
    advice = Advice(steps=2)
    bad = {**HEALTHY, "train/kl": 2.0, "train/reward": 0.5}
    without = {name: value for name, value in bad.items() if name != "train/kl"}
    assert advice.look(bad, math.inf) == []
    assert advice.look(without, math.inf) == []
    assert len(advice.look(bad, math.inf)) == 1


def test_the_engine_is_held_against_its_tripwire() -> None:
    def module(limit: float, **sampling: Any) -> Any:
        return SimpleNamespace(tripwire=SimpleNamespace(limit=limit), sampling=Sampling(**sampling))

    assert engine_limit(module(0.2)) == 0.2
    assert engine_limit(module(0.2, top_p=0.9)) == engine_limit(module(0.2, top_k=5)) == math.inf
    assert engine_limit(SimpleNamespace()) == math.inf  # type: ignore[arg-type]


@pytest.mark.parametrize(("stop", "warned"), [(2, 1), (4, 0)])
def test_resume_counts_on_and_warns_no_second_time(tmp_path: Path, stop: int, warned: int) -> None:
    def module() -> StubModule:
        return StubModule(lambda i: record_of(i, [("p", True, "t")], **{**HEALTHY, "train/kl": 5.0}))

    checkpoint = tmp_path / "stop.ckpt"
    with pytest.raises(RuntimeError, match="power cut"):
        run(module(), [Advice(3), SaveAndStop(stop, checkpoint)], tmp_path, stop + 1)
    found = messages(lambda: run(module(), [Advice(3)], tmp_path, 3 if warned else 8, ckpt_path=checkpoint))
    assert len(found) == warned


@pytest.mark.parametrize(
    ("wrong", "key"),
    [
        ({"steps": 0}, "steps"),
        ({"truncated_share": 2.0}, "truncated_share"),
        ({"kl": 0.0}, "kl"),
        ({"kl": math.nan}, "kl"),
        ({"engine_share": -1.0}, "engine_share"),
    ],
)
def test_settings_that_make_no_sense_are_refused(wrong: dict[str, Any], key: str) -> None:
    with pytest.raises(UserError, match=rf"advice\.{key} is"):
        Advice(**wrong)


def test_a_real_run_that_cuts_everything_short_says_so(
    repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Four tokens are not enough for any answer: all are cut, none is rewarded, no group has variance."""
    monkeypatch.chdir(repository)
    line = [
        "fit", "--config", "configs/tiny.yaml", "--model.sampling.max_tokens", "4", "--data.rows", "2",
        "--data.rl_steps", "4", "--evaluation.plans", "[]", "--evaluation.endpoint_plans", "[]", "--advice.steps", "3",
        "--saturation.window", "3", "--trainer.logger.init_args.save_dir", str(tmp_path), "--checkpoint.export", "false",
    ]  # fmt: skip
    found = messages(lambda: command(line))
    (unrewarded,) = (m for m in found if m.startswith("No response earned a reward in the first 3 RL steps"))
    assert "the verifier misreads them. One response (problem tiny/pi1, gold answer '8'" in unrewarded
    assert [m for m in found if "cut at the token limit for 3 RL steps (100% in this one)" in m and "RL step 2:" in m]
    assert [m for m in found if "earned the same for 3 RL steps (mean reward 0)" in m]
