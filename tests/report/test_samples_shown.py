"""Sample texts taken apart again, and which of them are shown."""

from lit_rlvr.callbacks.samples import training_text
from lit_rlvr.report.samples import Sample, moments, parse, right_and_wrong, same_problems
from tests.callbacks.stub_run import record_of
from tests.report.made import sample_text

HOSTILE = "</pre>\n**right**\n\n<pre>fake</pre><script>alert(1)</script>\x00 & \\boxed{1}"


def test_an_evaluations_text_comes_back_as_it_was() -> None:
    first, second = parse(sample_text(("p/1", True, "line\n\nresponse\n\\boxed{4}"), ("p/2", False, HOSTILE)))
    assert (first.verdict, first.problem, first.question) == ("right", "p/1", "question of p/1")
    assert (first.gold, first.answer, first.response) == ("gold", "read", "line\n\nresponse\n\\boxed{4}")
    assert second.verdict == "wrong"
    assert second.response == HOSTILE.replace("\x00", "\N{REPLACEMENT CHARACTER}")


def test_a_training_text_comes_back_with_its_facts() -> None:
    record = record_of(3, [("p", True, "good"), ("p", False, "bad one")])
    first, second = parse(training_text(record, 2))
    assert (first.verdict, first.response, first.facts) == ("right", "good", "reward 1, advantage +0.500, 1 tokens")
    assert (second.verdict, second.response) == ("wrong", "bad one")


def test_a_text_of_another_make_is_shown_whole() -> None:
    assert parse("<b>nothing known</b>") == [Sample("", "", "", "", "", "", "<b>nothing known</b>")]
    (half,) = parse("**wrong**\n\n<pre>no head at all &lt;b&gt;</pre>")
    assert (half.verdict, half.problem, half.response) == ("wrong", "", "no head at all <b>")
    assert parse("  ") == []


def test_first_around_saturation_and_last() -> None:
    steps = [0, 10, 20, 30, 40]
    assert moments(steps, 28) == {0: "first", 30: "around saturation", 40: "last"}
    assert moments(steps, None) == {0: "first", 20: "halfway", 40: "last"}
    assert moments(steps, 39) == {0: "first", 40: "last"}
    assert moments([5], 4) == {5: "first"}
    assert moments([], 4) == {}


def _sample(problem: str, verdict: str, response: str = "r") -> Sample:
    return Sample(verdict, "", problem, "q", "g", "a", response)


def test_problems_whose_verdict_changed_come_first() -> None:
    texts = {
        0: [_sample("p/0", "right"), _sample("p/1", "wrong"), _sample("p/2", "wrong")],
        20: [_sample("p/1", "wrong"), _sample("p/0", "right"), _sample("p/2", "right"), _sample("p/9", "right")],
    }
    shown = same_problems(texts, 2)
    assert {step: [s.problem for s in samples] for step, samples in shown.items()} == {
        0: ["p/2", "p/0"],
        20: ["p/2", "p/0"],
    }


def test_without_a_common_problem_the_first_are_shown() -> None:
    texts = {0: [_sample("p/0", "right")], 10: [], 20: [_sample("p/1", "wrong"), _sample("p/2", "wrong")]}
    assert {step: [s.problem for s in of] for step, of in same_problems(texts, 1).items()} == {0: ["p/0"], 20: ["p/1"]}
    assert same_problems({}, 2) == {}


def test_one_right_and_one_wrong() -> None:
    samples = [_sample("a", "no answer"), _sample("b", "right"), _sample("c", "right")]
    assert [s.problem for s in right_and_wrong(samples)] == ["b", "a"]
    assert [s.problem for s in right_and_wrong(samples[1:])] == ["b"]
