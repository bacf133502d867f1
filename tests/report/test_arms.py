"""Which runs are seeds of one arm, what the arms are called, and what is said of it."""

from pathlib import Path

import pytest

from lit_rlvr.errors import UserError
from lit_rlvr.report.arms import find_arms
from tests.report.made import TINY, changed, row, write_run

ROWS = [row(0, [0, 0]), row(20, [1, 1])]


def _run(folder: Path, seed: int = 0, **values: object) -> Path:
    return write_run(folder, changed(TINY, seed_everything=seed, **values), ROWS)


def _named(paths: list[Path]) -> dict[str, list[str]]:
    return {arm.name: [run.folder.name for run in arm.runs] for arm in find_arms(paths)[0]}


def test_a_folder_of_seeds_is_one_arm(tmp_path: Path) -> None:
    for seed in (0, 1, 10, 2):
        _run(tmp_path / "one-shot" / f"seed-{seed}", seed)
    assert _named([tmp_path / "one-shot"]) == {"one-shot": ["seed-0", "seed-1", "seed-2", "seed-10"]}


def test_a_sweep_root_is_an_arm_per_folder_of_seeds(tmp_path: Path) -> None:
    for arm, source in (("pi1", "tiny"), ("pi2", "tiny/pi2")):
        for seed in (0, 1):
            _run(tmp_path / arm / f"seed-{seed}", seed, data__source=source)
    assert _named([tmp_path]) == {"pi1": ["seed-0", "seed-1"], "pi2": ["seed-0", "seed-1"]}


def test_versions_are_grouped_by_their_configuration(tmp_path: Path) -> None:
    _run(tmp_path / "tiny" / "version_0", 0)
    _run(tmp_path / "tiny" / "version_1", 1, trainer__logger={"init_args": {"save_dir": "elsewhere"}})
    _run(tmp_path / "tiny" / "version_2", 0, data__label="24")
    assert _named([tmp_path / "tiny"]) == {"version_0": ["version_0", "version_1"], "version_2": ["version_2"]}


def test_runs_named_one_by_one_are_grouped_across_folders(tmp_path: Path) -> None:
    first, second = _run(tmp_path / "a" / "x", 0), _run(tmp_path / "b" / "y", 1)
    other = _run(tmp_path / "c" / "z", 0, data__source="tiny/pi2")
    assert list(_named([first, second, other]).values()) == [["x", "y"], ["z"]]


def test_arms_of_one_name_are_told_apart_by_their_path(tmp_path: Path) -> None:
    for root in ("old", "new"):
        _run(tmp_path / root / "one-shot" / "seed-0", 0)
    assert list(_named([tmp_path / "old", tmp_path / "new"])) == ["old/one-shot", "new/one-shot"]


def test_one_run_named_twice_is_one_run(tmp_path: Path) -> None:
    run = _run(tmp_path / "one-shot" / "seed-0", 0)
    assert _named([run, tmp_path / "one-shot"]) == {"one-shot": ["seed-0"]}


def test_the_same_seed_again_is_no_further_seed(tmp_path: Path) -> None:
    short = write_run(tmp_path / "version_0", TINY, ROWS[:1])
    long = write_run(tmp_path / "version_1", TINY, ROWS)
    arms, notes = find_arms([short, long])
    assert [[run.folder.name for run in arm.runs] for arm in arms] == [["version_1"]]
    assert any("version_0 has the seed and the configuration of" in note for note in notes)


def test_seeds_that_differ_in_more_than_their_seed_are_said(tmp_path: Path) -> None:
    _run(tmp_path / "arm" / "seed-0", 0)
    _run(tmp_path / "arm" / "seed-1", 1, data__label="24")
    arms, notes = find_arms([tmp_path / "arm"])
    assert len(arms) == 1
    assert "The seeds of arm differ in more than their seed: data.label." in notes


def test_an_unfinished_seed_is_said(tmp_path: Path) -> None:
    _run(tmp_path / "arm" / "seed-0", 0)
    write_run(tmp_path / "arm" / "seed-1", changed(TINY, seed_everything=1), ROWS[:1])
    assert any("different RL steps (seed-0 20, seed-1 0)" in note for note in find_arms([tmp_path / "arm"])[1])


def test_a_folder_without_a_configuration_is_an_arm_of_its_own(tmp_path: Path) -> None:
    write_run(tmp_path / "base", None, ROWS[:1])
    write_run(tmp_path / "other", None, ROWS[:1])
    assert _named([tmp_path / "base", tmp_path / "other"]) == {"base": ["base"], "other": ["other"]}


def test_evaluations_of_one_policy_are_no_seeds_of_each_other(tmp_path: Path) -> None:
    for name in ("six", "arc"):
        write_run(tmp_path / name, None, ROWS[:1])
        (tmp_path / name / "evaluation.json").write_text('{"policy": "hub/model", "seed": 0}')
    assert _named([tmp_path / "six", tmp_path / "arc"]) == {"six": ["six"], "arc": ["arc"]}


def test_the_base_is_lent_to_runs_that_did_not_evaluate_it(tmp_path: Path) -> None:
    for seed in (0, 1):
        rows = [row(0, [seed, 1]), row(20, [1, 1]), row(0, [1, 1], k=2, temperature=0.6)]
        write_run(tmp_path / "full" / f"seed-{seed}", changed(TINY, seed_everything=seed), rows)
        write_run(tmp_path / "sparse" / f"seed-{seed}", changed(TINY, seed_everything=seed), [row(20, [1, 0])])
    other = changed(TINY, model__policy="another/model")
    write_run(tmp_path / "other" / "seed-0", other, [row(20, [1, 1])])
    prompted = [row(20, [1, 1], template="another")]
    write_run(tmp_path / "prompted" / "seed-0", TINY, prompted)
    arms, notes = find_arms([tmp_path])
    curves = {arm.name: [run.curve(arm.kinds()[0]) for run in arm.runs] for arm in arms}
    assert curves["sparse"] == [{0: 0.5, 20: 0.5}, {0: 1.0, 20: 0.5}]  # of the same seed each
    assert curves["other"] == [{20: 1.0}]
    assert curves["prompted"] == [{20: 1.0}]
    assert notes[-1:] == [
        "Not evaluated before training, and shown with the base of another run of the same model: sparse."
    ]


def test_an_example_in_the_prompt_is_another_kind(tmp_path: Path) -> None:
    write_run(tmp_path / "in-context", None, [row(0, [1, 1], example="tiny/pi1")])
    write_run(tmp_path / "trained", TINY, [row(20, [1, 0])])
    arms, _ = find_arms([tmp_path / "in-context", tmp_path / "trained"])
    assert arms[0].kinds()[0].label == "tiny500, greedy, after the example tiny/pi1"
    assert arms[1].runs[0].curve(arms[1].kinds()[0]) == {20: 0.5}  # nothing is borrowed from it


def test_no_such_folder(tmp_path: Path) -> None:
    (tmp_path / "one-shot").mkdir()
    with pytest.raises(UserError, match=r"one-shod does not exist.*did you mean .*/one-shot\?"):
        find_arms([tmp_path / "one-shod"])
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="is a file"):
        find_arms([tmp_path / "file"])


def test_a_folder_without_a_run(tmp_path: Path) -> None:
    (tmp_path / "a" / "b").mkdir(parents=True)
    with pytest.raises(UserError, match=r"holds no run: there is no evaluations.jsonl"):
        find_arms([tmp_path])
