"""`lit-rlvr report` as its user calls it: from run folders to a page, in a browser too, and every mistake in a sentence."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from lit_rlvr.errors import UserError
from lit_rlvr.report.command import main
from tests.report.made import TINY, changed, row, sample_text, write_run
from tests.report.outline import HOSTILE, Outline

FIGURES = ["arms", "accuracy", "curves", "dynamics", "subjects-tiny500", "format"]
TABLES = [
    *("summary", "saturation", "dynamics", "zero-advantage", "manner", "subjects-tiny500", "format", "beyond-format"),
    "orientation",
]


@pytest.fixture(scope="module")
def sweep(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two arms of two seeds, one of them rewarded for the format alone; hostile responses in both."""
    root = tmp_path_factory.mktemp("sweep")
    for arm, reward in (("one-shot", "AnswerReward"), ("format <b>", "FormatReward")):
        for seed in (0, 1):
            subjects = {"subjects": {"a": [2, 0.5], "b": [2, 0.25]}, "boxed": 0.5, "length": 9.0, "reflection": 0.0}
            rows = [row(step, [0, 1, int(step > 5), seed], **subjects) for step in (0, 10, 15, 20)]
            config = changed(TINY, seed_everything=seed, model__reward__class_path=f"lit_rlvr.rewards.rewards.{reward}")
            curve = {step: min(1.0, 0.3 + step / 4) for step in range(20)}
            tags = ("accuracy", "entropy", "kl", "grad_norm", "zero_variance")
            write_run(
                root / arm / f"seed-{seed}",
                config,
                rows,
                {"p": list(curve.values())},
                {f"train/{tag}": curve for tag in tags} | {"rollout/length/mean": curve},
                {
                    "samples/train": {
                        0: sample_text(("p", False, HOSTILE)),
                        19: sample_text(("p", True, "\\boxed{4}")),
                    },
                    "samples/eval/tiny500@1": {
                        s: sample_text(("t/0", s > 5, f"test {HOSTILE}")) for s in (0, 10, 15, 20)
                    },
                },
            )
    return root


@pytest.fixture(scope="module")
def written(sweep: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The report of the sweep."""
    output = tmp_path_factory.mktemp("reports") / "report"
    assert main([str(sweep), "--output", str(output), "--title", "Both <arms>"]) == 0
    return output


def test_every_figure_and_table_is_there_once(written: Path) -> None:
    outline = Outline((written / "report.html").read_text("utf-8"))
    assert sorted(outline.ids("table-")) == sorted(f"table-{name}" for name in TABLES)
    assert sorted(outline.ids("figure-")) == sorted(f"figure-{name}" for name in FIGURES)
    assert sorted(outline.ids("samples-")) == ["samples-0-test", "samples-0-train", "samples-1-test", "samples-1-train"]
    sections = [
        "runs",
        "saturation",
        "curves",
        "dynamics",
        "zero-advantage",
        "reflection",
        "transfer",
        "format",
        "samples",
    ]
    assert [s["id"] for s in outline.of("section")] == [*sections, "published"]
    assert len(outline.of("img")) == len(FIGURES)
    for image in outline.of("img"):
        assert (image["src"] or "").startswith("data:image/png;base64,iVBORw0KGgo")  # the signature of PNG
        assert image["alt"]
    markdown = (written / "report.md").read_text("utf-8")
    for name in FIGURES:
        assert markdown.count(f"(figures/{name}.png)") == 1
        assert (written / "figures" / f"{name}.png").read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"
    assert sorted(p.name for p in written.iterdir()) == ["figures", "report.html", "report.md"]


def test_nothing_is_loaded_and_nothing_runs(written: Path) -> None:
    page = (written / "report.html").read_text("utf-8")
    outline = Outline(page)
    assert outline.of("script") == outline.of("link") == outline.of("iframe") == []
    for _, attributes in outline.tags:
        assert not {"onerror", "onload", "srcset", "background"} & set(attributes)
        assert not (attributes.get("src") or "data:").startswith(("http", "//"))
    assert [a["href"] for a in outline.of("a") if not (a["href"] or "").startswith("#")] == []
    assert "url(" not in page.split("</style>")[0]
    shown = HOSTILE.replace("\x00", "\N{REPLACEMENT CHARACTER}").replace("\x1b", "\N{REPLACEMENT CHARACTER}")
    assert any(shown in text for text in outline.text)


def test_what_the_page_says(written: Path) -> None:
    text = (written / "report.md").read_text("utf-8")
    assert text.startswith("# Both \\<arms>\n")
    assert "one-shot: solved at RL step 12 in 2 of 2 seeds; since then tiny500, greedy +0.0 points" in text
    assert "RL step 10 (around saturation)" in text
    assert "`checkpoints/tiny-base` is not one of the paper's models" in text


def test_a_report_replaces_an_earlier_one_and_nothing_else(
    sweep: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    output = tmp_path / "report"
    main([str(sweep), "--output", str(output)])
    assert "2 arms, 4 runs, 6 figures." in capsys.readouterr().out
    main([str(sweep / "one-shot"), "--output", str(output)])
    assert "Replaced" in capsys.readouterr().out
    assert not (output / "figures" / "curves.png").exists()  # of one arm alone
    (output / "notes.txt").write_text("mine")
    with pytest.raises(UserError, match=r"holds notes\.txt, which no report wrote"):
        main([str(sweep), "--output", str(output)])
    (output / "notes.txt").unlink()
    (output / "figures" / "mine.svg").write_text("mine")
    with pytest.raises(UserError, match=r"holds mine\.svg"):
        main([str(sweep), "--output", str(output)])


def test_a_page_of_somebody_elses_is_left_alone(sweep: Path, tmp_path: Path) -> None:
    (tmp_path / "report.html").write_text("<html>mine</html>")
    with pytest.raises(UserError, match=r"holds report\.html"):
        main([str(sweep), "--output", str(tmp_path)])
    with pytest.raises(UserError, match="is a file"):
        main([str(sweep), "--output", str(tmp_path / "report.html")])
    with pytest.raises(UserError, match=r"Cannot write to .*choose another folder"):
        main([str(sweep), "--output", str(tmp_path / "report.html" / "below")])


@pytest.mark.parametrize("make", ["rows", "events", "history only", "one evaluation"])
def test_a_run_with_little_in_it_still_gets_its_page(tmp_path: Path, make: str, capsys: pytest.CaptureFixture) -> None:
    folder = tmp_path / "run"
    if make == "rows":
        write_run(folder, None, [row(0, [0, 1]), row(10, [1, 1])])
    elif make == "events":
        write_run(folder, TINY, scalars={"train/accuracy": {0: 0.5}})
    elif make == "history only":
        write_run(folder, None, [row(0, [1, 1])], {"p": [1.0] * 12})
    else:
        write_run(folder, TINY, [row(0, [0, 1])])
    main([str(folder), "--output", str(tmp_path / "report")])
    outline = Outline((tmp_path / "report" / "report.html").read_text("utf-8"))
    assert "table-summary" in outline.ids()
    assert len(outline.of("section")) == 10
    assert "note: " in capsys.readouterr().out


def test_a_sweep_of_many_arms(tmp_path: Path) -> None:
    for i in range(8):
        subjects = {"subjects": {"a": [2, 0.5], "b": [2, 0.25]}}
        curve = dict.fromkeys(range(200), 0.1 * i)
        rows = [row(step, [0, 1, int(step > 5)], **subjects) for step in (0, 10, 20)]
        write_run(
            tmp_path / "sweep" / f"arm-{i}" / "seed-0",
            changed(TINY, data__label=str(i)),
            rows,
            scalars={"train/kl": curve},
        )
    main([str(tmp_path / "sweep"), "--output", str(tmp_path / "report")])
    outline = Outline((tmp_path / "report" / "report.html").read_text("utf-8"))
    assert {"figure-arms", "figure-curves", "figure-dynamics", "figure-subjects-tiny500"} <= set(outline.ids("figure-"))
    assert "lit-rlvr report: 8 arms" in outline.text
    assert "tiny500, greedy, per subject: accuracy at the last evaluation, mean over seeds." in outline.text


def test_two_runs_of_different_benchmarks_are_both_shown(tmp_path: Path) -> None:
    write_run(tmp_path / "a", None, [row(0, [0, 1]), row(10, [1, 1])])
    write_run(tmp_path / "b", None, [row(0, [0, 1], benchmark="gsm8k"), row(10, [1, 1], benchmark="gsm8k")])
    main([str(tmp_path / "a"), str(tmp_path / "b"), "--output", str(tmp_path / "report")])
    text = (tmp_path / "report" / "report.md").read_text("utf-8")
    assert "No two arms were evaluated alike three times or more." in text
    assert "| tiny500, greedy |" in text
    assert "| gsm8k, greedy |" in text


def test_a_mistake_is_one_sentence_and_status_2(tmp_path: Path) -> None:
    broken = write_run(tmp_path / "broken", TINY, [row(0, [1])])
    (broken / "evaluations.jsonl").write_text(json.dumps(row(0, [1])) + '\n{"rl_step": 1')
    line = [sys.executable, "-m", "lit_rlvr", "report", str(broken), "--output", str(tmp_path / "out")]
    done = subprocess.run(line, capture_output=True, text=True, check=False)
    assert done.returncode == 2, done.stderr
    assert done.stderr.startswith("lit-rlvr: error: ")
    assert done.stderr.count("\n") == 1
    assert "evaluations.jsonl, row 2 is not valid JSON" in done.stderr
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("arguments", "said"), [(["nowhere"], "nowhere does not exist"), (["x", "--outptu", "y"], "outptu"), ([], "runs")]
)
def test_other_mistakes(arguments: list[str], said: str) -> None:
    with pytest.raises(UserError, match=said):
        main(arguments)


def test_the_report_needs_no_torch(sweep: Path, tmp_path: Path) -> None:
    """It starts in a second or two; torch alone takes longer."""
    code = f"import sys; from lit_rlvr.report.command import main; main([{str(sweep)!r}, '--output', {str(tmp_path / 'r')!r}]); assert 'torch' not in sys.modules"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]


@pytest.fixture(scope="module")
def browser() -> str:
    found = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if found is None:
        pytest.skip("needs Chromium to open the page")
    return found


def test_a_browser_shows_the_page(browser: str, written: Path, tmp_path: Path) -> None:
    """As the browser parsed it: all figures and tables, and the hostile responses made no element of their own."""
    line = [browser, "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path}", "--dump-dom"]
    done = subprocess.run(
        [*line, f"file://{written / 'report.html'}"], capture_output=True, text=True, timeout=120, check=True
    )
    outline = Outline(done.stdout)
    assert sorted(outline.ids("table-")) == sorted(f"table-{name}" for name in TABLES)
    assert sorted(outline.ids("figure-")) == sorted(f"figure-{name}" for name in FIGURES)
    assert outline.of("script") == []
    assert len(outline.of("img")) == len(FIGURES)
    assert len(outline.of("pre")) == 2 * (2 + 3)  # two arms: training problem at two steps, test problem at three


def test_a_real_run(tmp_path: Path, repository: Path) -> None:
    """Two RL steps of the tiny default, then its report."""
    options = {
        "data.rl_steps": 2,
        "data.rows": 2,
        "evaluation.every_n_rl_steps": 1,
        "evaluation.plans": '[{"benchmark": "tiny500", "limit": 10}]',
        "evaluation.endpoint_plans": "[]",
        "checkpoint.export": "false",
        "trainer.logger.init_args.save_dir": str(tmp_path),
        "trainer.logger.init_args.name": "run",
        "trainer.logger.init_args.version": "seed-0",
    }
    line = [sys.executable, "-m", "lit_rlvr", "fit", "--config", "configs/tiny.yaml"]
    line += [f"--{key}={value}" for key, value in options.items()]
    # Two threads would wait for each other where other tests are at work.
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    subprocess.run(line, cwd=repository, env=environment, check=True, capture_output=True)
    assert main([str(tmp_path / "run"), "--output", str(tmp_path / "report")]) == 0
    text = (tmp_path / "report" / "report.md").read_text("utf-8")
    assert (
        "| run | checkpoints/tiny-base | GRPO (KL 0.001, entropy 0.001) | tiny | own | AnswerReward | 2 | 0 |" in text
    )
    assert "tiny500, greedy, 10 problems only" in text
    assert "Solve for x: 3x+18=42" in text  # a response to the training problem
    outline = Outline((tmp_path / "report" / "report.html").read_text("utf-8"))
    assert {"figure-accuracy", "figure-dynamics"} <= set(outline.ids("figure-"))
