"""Samples on TensorBoard, read back from the event file and rendered by TensorBoard's own markdown."""

import html
import re
from pathlib import Path

from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.plugin_util import markdown_to_safe_html
from tensorboard.plugins.custom_scalar import layout_pb2
from torch.utils.tensorboard import SummaryWriter

from lit_rlvr.callbacks.layout import custom_layout
from lit_rlvr.callbacks.samples import TEXT_LIMIT, SampleLogger, escape, evaluation_text, pick
from lit_rlvr.experience import Problem
from lit_rlvr.rewards.verdict import Kind, Verdict
from tests.callbacks.stub_run import StubModule, record_of, run

HOSTILE = "</pre><script>alert('x')</script><img src=x onerror=y> **bold** `a`\n\n# head\n&lt; \x02 \x00 \ud800 end"


def verdicts_of(text: str) -> list[Verdict]:
    return [Verdict({"r": Kind.RIGHT, "w": Kind.WRONG}[letter]) for letter in text]


def read_events(folder: Path) -> EventAccumulator:
    events = EventAccumulator(str(folder), size_guidance={"tensors": 0, "histograms": 0, "scalars": 0})
    events.Reload()
    return events


def test_pick_shows_both_sides() -> None:
    texts = list("abcdefgh")
    assert pick(verdicts_of("wwwwrrrr"), texts, 4) == [0, 2, 4, 6]
    assert pick(verdicts_of("rrrrrrrw"), texts, 4) == [0, 2, 4, 7]
    assert pick(verdicts_of("wwwwwwww"), texts, 4) == [0, 2, 4, 6]
    assert pick(verdicts_of("rrrrrrrr"), texts, 3) == [0, 2, 5]
    assert pick(verdicts_of("rw"), ["a", "b"], 4) == [0, 1]
    assert pick(verdicts_of("rwwwwwww"), texts, 1) == [1]  # with room for one: a wrong one, which tells more


def test_pick_shows_no_text_twice() -> None:
    assert pick(verdicts_of("rrrrww"), ["a", "a", "a", "b", "c", "c"], 4) == [0, 3, 4]


def test_training_samples_in_the_event_file(tmp_path: Path) -> None:
    responses = [("p1", True, "good"), ("p1", False, HOSTILE), ("p2", False, "bad")]
    module = StubModule(lambda step: record_of(step, responses))
    run(module, [SampleLogger(every_n_rl_steps=2, count=4)], tmp_path, steps=4, tensorboard=True)
    events = read_events(tmp_path / "run")
    texts = events.Tensors("samples/train/text_summary")
    assert [event.step for event in texts] == [0, 2, 3]  # every second, and the last
    text = texts[0].tensor_proto.string_val[0].decode()
    assert "1 of 3 responses right" in text
    assert "**right**, reward 1, advantage +0.500, 1 tokens" in text
    assert "**wrong**, reward 0, advantage -0.500, 2 tokens" in text
    for part in ("question of p1", "question of p2", "gold      gold of p1", "read as   read"):
        assert part in text
    assert "<script" not in text
    assert text.count("<pre>") == text.count("</pre>") == 3
    lengths = events.Histograms("rollout/lengths")
    assert [event.step for event in lengths] == [0, 2, 3]
    value = lengths[0].histogram_value
    assert (value.num, value.sum, value.min, value.max) == (3, 6, 1, 3)
    advantages = events.Histograms("train/advantages")[0].histogram_value
    assert (advantages.num, advantages.sum, advantages.min, advantages.max) == (3, -0.5, -0.5, 0.5)


def test_hostile_text_comes_out_as_it_was_written() -> None:
    text = evaluation_text([(Problem(HOSTILE, HOSTILE, HOSTILE), HOSTILE, Verdict(Kind.NO_ANSWER, None))])
    page = markdown_to_safe_html(text)
    assert "<script" not in page
    assert "<img" not in page
    assert "<strong>bold" not in page
    assert "<h1>" not in page
    assert page.count("<pre>") == page.count("</pre>") == 1
    shown = html.unescape(page.split("<pre>")[1].split("</pre>")[0])
    visible = HOSTILE.replace("\x02", "\ufffd").replace("\x00", "\ufffd").replace("\ud800", "?")
    assert shown.count(visible) == 4
    assert "<strong>no answer</strong>" in page
    assert "read as   nothing" in shown


def test_escape_leaves_ordinary_mathematics_readable() -> None:
    assert escape("$x < 3$ & \\frac{1}{2}\n\tπ") == "$x &lt; 3$ &amp; \\frac{1}{2}\n\tπ"


def test_long_texts_lose_their_middle() -> None:
    response = "a" * TEXT_LIMIT + "<" + "z" * TEXT_LIMIT
    text = evaluation_text([(Problem("p", "q", "g"), response, Verdict(Kind.RIGHT, "z"))])
    half = TEXT_LIMIT // 2
    assert "a" * half + f"\n[... {TEXT_LIMIT + 1} characters left out ...]\n" + "z" * half + "</pre>" in text
    assert "a" * (half + 1) not in text
    whole = "b" * TEXT_LIMIT
    assert whole in evaluation_text([(Problem("p", "q", "g"), whole, Verdict(Kind.RIGHT, "z"))])


def test_evaluation_text_shows_a_bounded_number() -> None:
    samples = [
        (Problem(f"p{i}", "q", "g"), f"text {i}", Verdict(Kind.RIGHT if i % 5 else Kind.WRONG)) for i in range(50)
    ]
    text = evaluation_text(samples, count=6)
    assert text.count("**right**") == 3
    assert text.count("**wrong**") == 3
    assert text == evaluation_text(samples, count=6)
    assert evaluation_text([]) == "no responses"


def test_no_tensorboard_no_samples(tmp_path: Path) -> None:
    run(StubModule(lambda step: record_of(step, [("p", True, "t")])), [SampleLogger()], tmp_path, steps=2)
    assert not list(tmp_path.rglob("events*"))


def test_broken_advantages_do_not_end_the_run(tmp_path: Path) -> None:
    record = record_of(0, [("p", True, "t")])
    record.experience.advantages.fill_(float("nan"))
    run(StubModule(lambda step: record), [SampleLogger()], tmp_path, steps=1, tensorboard=True)
    assert "train/advantages" not in read_events(tmp_path / "run").Tags()["histograms"]


def test_layout_draws_the_right_curves(tmp_path: Path) -> None:
    """TensorBoard matches a layout's tags as regular expressions from the beginning of a run's tags."""
    layout = custom_layout([("math500", 1), ("aime24", 8), ("aime24", 8), ("my-set.v2", 1)])
    with SummaryWriter(str(tmp_path)) as writer:
        writer.add_custom_scalars(layout)
    proto = layout_pb2.Layout.FromString(
        read_events(tmp_path).Tensors("custom_scalars__config__")[0].tensor_proto.string_val[0]
    )
    charts = {chart.title: list(chart.multiline.tag) for category in proto.category for chart in category.chart}
    tags = [
        "train/accuracy",
        "train/accuracy/window",
        "eval/math500/avg@1",
        "eval/math500/avg@16",
        "eval/aime24/avg@8",
        "eval/my-set.v2/avg@1",
        "eval/my-set-v2/avg@1",
        "time/step",
        "time/rollout",
        "time/forward",
    ]

    def drawn(title: str) -> list[str]:
        return [tag for tag in tags if any(re.compile(pattern).match(tag) for pattern in charts[title])]

    assert drawn("training and test accuracy") == [tags[i] for i in (0, 2, 4, 5)]
    assert drawn("training and aime24") == ["train/accuracy", "eval/aime24/avg@8"]
    assert drawn("phases") == ["time/rollout", "time/forward"]
    assert charts["KL to the reference"] == ["train/kl$"]
    assert "training and math500" not in custom_layout([("math500", 1)])["accuracy"]
