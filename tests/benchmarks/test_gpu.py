"""`make bench-gpu`: that its quick parts run on CPU and their checks can fail, that a part is stopped, and what it decides by."""

import json
import math
import sys
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import pytest
import torch

from lit_rlvr.models.packed_attention import Layout
from lit_rlvr.rollout.engine import Sampling
from tests.benchmarks.gpu import attention, effect, fits, part
from tests.benchmarks.gpu.__main__ import main, numbers, run_part, table
from tests.benchmarks.gpu.hidden import hide
from tests.benchmarks.gpu.job import Job
from tests.benchmarks.gpu.pace import Paced, TooSlowError, projected_s
from tests.benchmarks.gpu.parts import PARTS, TOTAL_S
from tests.benchmarks.gpu.report import Report
from tests.benchmarks.gpu.sizes import FULL, SMALL, drawn_lengths, similar_lengths
from tests.benchmarks.gpu.spans import Spans
from tests.benchmarks.step.forced import ForcedEngine
from tests.benchmarks.test_bench_step import BareTokenizer
from tests.builders import random_model

CPU = torch.device("cpu")


def test_parts_have_files_and_stay_below_nine_minutes() -> None:
    assert sum(one.limit_s for one in PARTS.values()) <= TOTAL_S <= 540
    for one in PARTS.values():
        assert (Path(part.__file__).parent / f"{one.module}.py").is_file()


@pytest.mark.parametrize("number", [2, 3, 4, 6])
def test_a_part_passes_on_cpu_and_leaves_its_figures(number: int, tmp_path: Path) -> None:
    file = tmp_path / "part.json"
    status = part.main([str(number), str(file), str(tmp_path), "60", "--small"])
    content = json.loads(file.read_text())
    assert (status, content["state"]) == (0, "passed"), json.dumps(content, indent=1)
    if number == 2:
        assert content["ways"]["masked"]["kernels"]
        assert max(content["ways"]["masked"]["relative_error"].values()) < 1e-5
    if number == 3:
        assert set(content["chunks"]) == {f"2^{power}" for power in SMALL.chunks}
    if number == 4:
        assert content["checkpointing"]["loss"] == pytest.approx(content["keeping activations"]["loss"], abs=1e-3)
        assert content["checkpointing"]["tokens"] == SMALL.prompt + SMALL.sequences * SMALL.length
    if number == 6:
        tripwire = content["models"]["tiny"]["tripwire"]
        assert [said["trips"] for name, said in tripwire.items() if name != "limit"] == [False, True, True]
        assert content["models"]["random"]["float32"]["mean"] < 1e-5 < content["models"]["random"]["bfloat16"]["mean"]


def test_a_part_is_stopped_at_its_limit_and_the_summary_says_so(tmp_path: Path) -> None:
    found = run_part(3, tmp_path / "part.json", tmp_path, limit_s=0.5, small=True)
    assert found["state"].startswith("stopped at its limit")
    assert 0.5 <= found["seconds"] < 20
    summary = {"machine": {"device": "cpu"}, "parts": {"3": found}}
    assert "| 3 | output layer by chunk size | stopped at its limit of 0 s |" in table(summary)


def test_a_missing_package_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "lightning.pytorch.strategies", None)  # what an import then says is the real thing
    for name in ("micro_batch", "learning"):
        monkeypatch.delitem(sys.modules, f"tests.benchmarks.gpu.{name}", raising=False)
    assert part.main(["4", str(tmp_path / "part.json"), str(tmp_path), "60", "--small"]) == 1
    content = json.loads((tmp_path / "part.json").read_text())
    assert content["state"] == "left out"
    assert "lightning.pytorch.strategies is not installed" in content["says"]


def test_a_gpu_is_asked_for(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(SystemExit):
        main(["--out", str(tmp_path / "out")])
    assert "finds no GPU" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_parts_are_chosen_by_number() -> None:
    assert numbers("4,1,4") == [1, 4]
    with pytest.raises(Exception, match="parts 1 to 8"):
        numbers("1,9")


def test_hidden_packages_are_not_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "meta_path", list(sys.meta_path))
    monkeypatch.delitem(sys.modules, "wsgiref", raising=False)
    assert find_spec("wsgiref") is not None
    hide({"wsgiref"})
    assert find_spec("wsgiref") is None
    assert find_spec("tokenize") is not None
    with pytest.raises(ModuleNotFoundError):
        import wsgiref.handlers  # noqa: F401


def test_lengths_have_the_mean_and_the_limit_that_are_asked_for() -> None:
    lengths = drawn_lengths(1024, FULL.step_mean, FULL.step_longest)
    assert sum(lengths) / 1024 == pytest.approx(800, abs=1)
    assert max(lengths) == 3072
    assert min(lengths) >= 2
    same = similar_lengths(30, 800)
    assert (sum(same), len(same), same == sorted(same, reverse=True)) == (24_000, 30, True)
    assert 760 <= min(same) < max(same) <= 840


def test_attention_without_its_prompt_is_found_to_be_wrong(tmp_path: Path) -> None:
    lengths = tuple(similar_lengths(SMALL.sequences, SMALL.length))
    inputs, grad = attention.tensors(SMALL, lengths, CPU)
    expected = attention.results(lambda q, k, v: attention.plain(q, k, v, SMALL.prompt, lengths), inputs, grad)
    job = Job(Report(tmp_path / "part.json"), SMALL, CPU, tmp_path, math.inf)
    shifted = (*lengths[1:], lengths[0])

    def wrong(*x: torch.Tensor) -> torch.Tensor:
        return attention.plain(*x, SMALL.prompt, shifted)

    errors = attention.measure(wrong, inputs, grad, expected, job)["relative_error"]
    assert max(errors.values()) > attention.TOLERANCE[torch.bfloat16]
    assert Layout(SMALL.prompt, lengths).longest == max(lengths)


def test_sequences_are_laid_out_as_variable_length_attention_takes_them(monkeypatch: pytest.MonkeyPatch) -> None:
    """The kernel itself wants a GPU; here stands what its documentation says that it does, in plain products."""

    def plain_varlen(q, k, v, cu_seq_q, cu_seq_k, max_q, max_k, *, window_size=(-1, -1), enable_gqa=False):  # type: ignore[no-untyped-def]
        assert window_size == (-1, 0)
        assert enable_gqa == (q.shape[1] != k.shape[1])
        assert (cu_seq_q.dtype, cu_seq_k.dtype) == (torch.int32, torch.int32)
        counts_q, counts_k = cu_seq_q.diff().tolist(), cu_seq_k.diff().tolist()
        assert (max(counts_q), max(counts_k), sum(counts_k)) == (max_q, max_k, len(k))
        rows = zip(q.split(counts_q), k.split(counts_k), v.split(counts_k), counts_q, counts_k, strict=True)
        outs = []
        for own, keys, values, asked, seen in rows:
            padded = torch.cat((own.new_zeros(seen - asked, *own.shape[1:]), own))
            outs.append(attention.plain(padded, keys, values, seen, ())[seen - asked :])
        return torch.cat(outs)

    monkeypatch.setattr("torch.nn.attention.varlen.varlen_attn", plain_varlen)
    lengths = (9, 7, 2)
    inputs, grad = attention.tensors(replace(SMALL, prompt=5), lengths, CPU)
    expected = attention.results(lambda q, k, v: attention.plain(q, k, v, 5, lengths), inputs, grad)
    ways = attention.variable_length(5, lengths, CPU)
    assert len(ways) == 2
    for way in ways.values():
        for a, b in zip(attention.results(way, inputs, grad), expected, strict=True):
            torch.testing.assert_close(a, b)


def test_curves_of_a_wrong_reference_are_too_large() -> None:
    good = {name: [0.0, most / 2] for name, most in fits.LARGEST.items()}
    assert fits.too_large(good) == []
    assert fits.too_large(good | {"train/kl": [1e-5, 8.59]}) == ["train/kl"]
    assert fits.too_large(good | {"train/kl": [math.nan]}) == ["train/kl"]


def test_a_rollout_that_would_take_too_long_is_given_up() -> None:
    lengths = [70] * 3 + [5]
    for allowed_s, gives_up in ((math.inf, False), (0.0, True)):
        engine = ForcedEngine(lengths)
        engine.setup(random_model().eval(), BareTokenizer(), CPU)
        engine._decoder = Paced(engine.decoder, lengths, allowed_s)
        if gives_up:
            with pytest.raises(TooSlowError, match="0 are left"):
                engine.generate([(7, 8, 9)], Sampling(n=4, max_tokens=70), seed=0)
        else:
            drawn = engine.generate([(7, 8, 9)], Sampling(n=4, max_tokens=70), seed=0)
            assert sorted(drawn.lengths.tolist()) == sorted(lengths)
    assert projected_s(0.01, [100] * 8) == pytest.approx(1.3)
    assert projected_s(0.01, [100] + [2] * 7) < projected_s(0.01, [100] * 8) / 1.5


def test_evaluations_are_reported_as_they_come(tmp_path: Path) -> None:
    job = Job(Report(tmp_path / "part.json"), SMALL, CPU, tmp_path, math.inf)
    file = tmp_path / "evaluations.jsonl"
    assert effect.take(job, file, 0, 1.0) == 0
    row = json.dumps({"rl_step": 10, "k": 1, "accuracy": 0.5, "more": 1})
    file.write_text(f"{row}\n{row[:9]}")  # the second line is being written
    assert effect.take(job, file, 0, 2.0) == 1
    file.write_text(f"{row}\n{row}\n")
    assert effect.take(job, file, 1, 3.0) == 2
    found = json.loads((tmp_path / "part.json").read_text())["evaluations"]
    assert [one["after_s"] for one in found] == [2.0, 3.0]
    assert found[0]["accuracy"] == 0.5


def test_spans_time_all_three_kinds_of_call_and_leave_gradients_alone() -> None:
    spans = Spans(CPU)
    timed = spans.around(lambda x: (x.square(), x))
    leaf = torch.tensor([3.0], requires_grad=True)
    timed(leaf)[0].sum().backward()
    with torch.no_grad():
        timed(leaf)
    assert leaf.grad is not None
    assert leaf.grad.item() == 6.0
    assert set(spans.seconds()) == {"forward", "backward", "score"}
