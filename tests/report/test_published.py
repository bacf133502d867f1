"""Which published figure belongs to a run, and what is said of the two."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from lit_rlvr.report import effect_tables
from lit_rlvr.report.arms import Arm
from lit_rlvr.report.published import AVERAGE, compare, differences, published, same_model, settings_of, verdict
from lit_rlvr.report.reading import read_run
from tests.report.made import PAPER, SIX, TINY, changed, paper_row, write_run

FORMAT = "lit_rlvr.rewards.rewards.FormatReward"


def _arm(folder: Path, config: dict[str, Any], rows: list[dict[str, Any]] | None = None) -> Arm:
    return Arm("mine", (read_run(write_run(folder, config, rows or [])),))


def _six(step: int, **accuracies: float) -> list[dict[str, Any]]:
    return [paper_row(step, name, accuracies.get(name, 0.2)) for name in SIX]


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({}, ["base model", "one problem, pi_13"]),
        ({"data__source": "pi1"}, ["base model", "one problem, pi_1"]),
        ({"data__source": "/somewhere/one_shot_rlvr/pi13_r128.parquet"}, ["base model", "one problem, pi_13"]),
        ({"data__source": "pi1-pi13"}, ["base model", "two problems, pi_1 and pi_13"]),
        ({"data__source": "dsr-sub"}, ["base model", "DSR-sub, 1,209 problems"]),
        (
            {"data__source": "dsr-sub", "model__reward__class_path": FORMAT},
            ["base model", "format reward only, DSR-sub"],
        ),
        ({"model__policy": "/models/Qwen2.5-Math-1.5B"}, ["base model", "one problem, pi_13"]),
        ({"model__policy": "Qwen/Qwen2.5-Math-7B"}, ["base model", "one problem"]),
        (
            {"model__policy": "deepseek-ai/DeepSeek-R1-Distill-Qwen-1.5B", "data__source": "dsr-sub"},
            ["base model, responses of 8,192 tokens", "DSR-sub, 1,209 problems, responses of 8,192 tokens"],
        ),
        (
            {
                "data__source": "pi1",
                "model__algorithm__init_args__policy_coefficient": 0.0,
                "model__algorithm__init_args__kl_coefficient": 0.0,
            },
            ["base model", "entropy bonus only, no reward"],
        ),
        # What has no published figure, one difference each.
        ({"model__policy": "Qwen/Qwen2.5-Math-1.5B-Instruct"}, []),
        ({"model__policy": "meta-llama/Llama-3.2-3B-Instruct"}, []),
        ({"data__source": "pi2"}, ["base model"]),
        ({"data__select": [3]}, ["base model"]),
        ({"model__reward__class_path": FORMAT}, ["base model"]),
        ({"model__reward__class_path": "lit_rlvr.rewards.rewards.RandomReward"}, ["base model"]),
        ({"model__algorithm__class_path": "lit_rlvr.algorithms.ppo.PPO"}, ["base model"]),
        ({"model__algorithm__init_args__scale": "none"}, ["base model"]),
        ({"model__algorithm__init_args__policy_coefficient": 0.0}, ["base model"]),  # entropy alone, but on pi13
    ],
)
def test_matching(tmp_path: Path, change: dict[str, Any], expected: list[str]) -> None:
    arm = _arm(tmp_path, changed(PAPER, **change))
    assert [setting.name for setting in settings_of(arm)] == expected


def test_a_tiny_run_has_no_published_figure(tmp_path: Path) -> None:
    arm = _arm(tmp_path, TINY, [paper_row(0, "math500", 0.3)])
    assert settings_of(arm) == []
    assert compare(arm) == []


def test_the_last_step_beside_the_papers_choice(tmp_path: Path) -> None:
    # Six-set average: 30% at step 20, 20% + 50/6 points at the last, so step 20 is the paper's choice.
    rows = [*_six(0), *_six(20, **dict.fromkeys(SIX, 0.3)), *_six(40, math500=0.7)]
    found = {(c.setting.name, c.benchmark, c.checkpoint): c for c in compare(_arm(tmp_path, PAPER, rows))}
    last = found["one problem, pi_13", "math500", "last: RL step 40 of 2,000"]
    assert (last.theirs, last.yours, last.error) == (73.6, pytest.approx(70.0), pytest.approx(2.0))
    assert last.verdict == "within error"
    assert last.problems == "500"
    assert last.decoding == "greedy, 3,072 tokens, scored by exact"
    best = found["one problem, pi_13", "math500", "best of six: RL step 20"]
    assert best.yours == pytest.approx(30.0)
    assert best.verdict == "below by 43.6"
    average = found["one problem, pi_13", AVERAGE, "last: RL step 40 of 2,000"]
    assert average.yours == pytest.approx(100 * (0.7 + 5 * 0.2) / 6)
    assert average.error == pytest.approx(100 * (6 * 0.02**2) ** 0.5 / 6)
    assert average.problems == "1,547"
    assert found["base model", AVERAGE, "before training"].yours == pytest.approx(20.0)
    assert len(found) == 2 + 4


def test_scored_as_the_paper_did_where_that_is_on_record(tmp_path: Path) -> None:
    rows = [paper_row(20, "math500", 0.70, rules={"qwen": {"accuracy": 0.735, "stderr": 0.019}})]
    (found,) = compare(_arm(tmp_path, PAPER, rows))
    assert found.yours == pytest.approx(73.5)
    assert found.error == pytest.approx(1.9)
    assert found.decoding.endswith("scored by qwen")


@pytest.mark.parametrize(
    ("values", "why"),
    [
        ({"problems": 20, "limit": 20}, "20 of 500 problems"),
        ({"k": 4, "temperature": 0.6}, "avg@4 at temperature 0.6 instead of greedy"),
        ({"example": "tiny"}, "an example stands in the prompt"),
        ({"max_tokens": 1024}, "at most 1,024 tokens instead of 3,072"),
    ],
)
def test_what_cannot_be_compared(tmp_path: Path, values: dict[str, Any], why: str) -> None:
    rows = [*_six(20), paper_row(40, "math500", 0.5)]
    rows[0] = paper_row(20, "math500", 0.7, **values)
    rows[-1] |= values
    verdicts = {(c.benchmark, c.checkpoint): c.verdict for c in compare(_arm(tmp_path, PAPER, rows))}
    assert verdicts["math500", "last: RL step 40 of 2,000"] == f"not comparable: {why}"
    assert verdicts[AVERAGE, "last: RL step 20 of 2,000"] == f"not comparable: {why} (math500)"


def test_the_untrained_model_evaluated_alone(tmp_path: Path) -> None:
    folder = write_run(tmp_path, None, [paper_row(0, "math500", 0.34, template="chat")])
    (folder / "evaluation.json").write_text('{"policy": "Qwen/Qwen2.5-Math-1.5B", "seed": 0}')
    (found,) = compare(Arm("mine", (read_run(folder),)))
    assert (found.theirs, found.verdict) == (36.0, "within error")
    assert found.decoding == "greedy, 3,072 tokens, prompt chat, scored by exact"


def test_seeds_are_averaged(tmp_path: Path) -> None:
    runs = [
        read_run(write_run(tmp_path / str(i), PAPER, [paper_row(20, "math500", a)])) for i, a in enumerate((0.7, 0.8))
    ]
    (found,) = compare(Arm("mine", tuple(runs)))
    assert found.yours == pytest.approx(75.0)
    assert found.error == pytest.approx(2.0)  # the seeds share the problems, so it does not shrink


@pytest.mark.parametrize(
    ("yours", "words"), [(73.6, "within error"), (77.6, "within error"), (69.5, "below by 4.1"), (80.0, "above by 6.4")]
)
def test_verdicts(yours: float, words: str) -> None:
    assert verdict(73.6, yours, error=2.0) == words


def test_differences_from_the_recipe_are_said(tmp_path: Path) -> None:
    config = changed(PAPER, model__algorithm__init_args__entropy_coefficient=0.003, data__label="12.7")
    arm = _arm(tmp_path, config)
    base, setting = settings_of(arm)
    assert differences(arm, base) == []
    assert differences(arm, setting) == [
        "`model.algorithm.init_args.entropy_coefficient` is 0.003, theirs 0.001",
        "`data.label` is 12.7",
    ]
    exact = _arm(tmp_path / "exact", PAPER)
    assert differences(exact, settings_of(exact)[1]) == []


def test_model_names() -> None:
    assert same_model("Qwen/Qwen2.5-Math-1.5B", "Qwen/Qwen2.5-Math-1.5B")
    assert same_model("downloads/qwen2.5-math-1.5b", "Qwen/Qwen2.5-Math-1.5B")
    assert not same_model("Qwen/Qwen2.5-Math-1.5B-Instruct", "Qwen/Qwen2.5-Math-1.5B")
    assert not same_model(None, "Qwen/Qwen2.5-Math-1.5B")


def test_the_data_file_is_the_papers() -> None:
    math500 = {s.name: s.figures.get("math500") for s in published().settings if s.model == "Qwen/Qwen2.5-Math-1.5B"}
    assert math500["base model"] == 36.0
    assert math500["two problems, pi_1 and pi_13"] == 74.8
    # The abstract: an entropy bonus alone lifts MATH500 by 27.4 points.
    assert math500["entropy bonus only, no reward"] == pytest.approx(36.0 + 27.4)
    for setting in published().settings:
        assert set(setting.figures) <= {*published().decoding, AVERAGE}
        assert all(0 < figure < 100 for figure in setting.figures.values())
        assert setting.source


def test_the_preset_of_the_repository_is_the_recipe(repository: Path, tmp_path: Path) -> None:
    preset = yaml.safe_load((repository / "configs" / "paper.yaml").read_text("utf-8"))
    preset["data"]["source"] = "pi13"
    arm = _arm(tmp_path, preset)
    assert [s.name for s in settings_of(arm)] == ["base model", "one problem, pi_13"]
    assert differences(arm, settings_of(arm)[1]) == []
    evaluated = {plan["benchmark"] for plan in preset["evaluation"]["plans"]}
    assert evaluated == set(published().six)


def test_the_papers_figures(tmp_path: Path) -> None:
    arm = Arm(
        "mine", (read_run(write_run(tmp_path, PAPER, [paper_row(0, "math500", 0.3), paper_row(40, "math500", 0.7)])),)
    )
    table = effect_tables.published_table(compare(arm))
    how = "greedy, 3,072 tokens, scored by exact"
    assert table.rows == (
        ("mine", "base model", "math500", "before training", how, "500", "36.0", "30.0 ± 2.0", "-6.0", "below by 6.0"),
        (
            "mine",
            "one problem, pi_13",
            "math500",
            "last: RL step 40 of 2,000",
            how,
            "500",
            "73.6",
            "70.0 ± 2.0",
            "-3.6",
            "within error",
        ),
    )
    orientation = effect_tables.orientation_table()
    assert orientation.rows[0][:4] == ("Qwen2.5-Math-1.5B", "base model", "main table; ARC table", "36.0")


def test_notes_on_the_recipe(tmp_path: Path) -> None:
    config = changed(PAPER, data__source="pi1", model__sampling__temperature=1.0)
    arm = Arm("mine", (read_run(write_run(tmp_path, config, [paper_row(40, "math500", 0.7)])),))
    assert effect_tables.recipe_notes([arm], compare(arm)) == [
        "mine differs from the paper's recipe: `model.sampling.temperature` is 1.0, theirs 0.6.",
        "mine beside “one problem, pi_1”: pi_13's figures; pi_1 is about as good.",
    ]
