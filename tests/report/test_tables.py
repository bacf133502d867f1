"""The tables' exact cells, from hand-made runs."""

from pathlib import Path
from typing import Any

import pytest

from lit_rlvr.report import effect_tables, tables
from lit_rlvr.report.arms import Arm
from lit_rlvr.report.phenomena import by_group, ends, format_split, pairs, phases, saturation
from lit_rlvr.report.reading import Kind, read_run
from tests.report.made import TINY, changed, row, write_run

GREEDY = Kind("tiny500", 1, 0.0, 4, False)
SUBJECTS = {"subjects": {"algebra": [2, 0.5], "word": [2, 0.0], "": [9, 1.0]}, "levels": {"0": [4, 0.25]}}
LATER = {"subjects": {"algebra": [2, 1.0], "word": [2, 0.5], "": [9, 1.0]}, "levels": {"0": [4, 0.75]}}
MANNER = {"length": 20.0, "truncated": 0.25, "reflection": 0.0125, "reflection_more": None, "code": 0.5}


def _rows(last: list[int]) -> list[dict[str, Any]]:
    """Greedy at 0, 10, 16 and 20 RL steps, avg@2 at 16 and 20; the box is filled more and more."""
    return [
        row(0, [0, 0, 0, 1], boxed=0.5, right_outside_box=0.25, **SUBJECTS, **MANNER),
        row(10, [1, 0, 0, 1]),
        row(16, [1, 1, 0, 0]),
        row(16, [2, 1, 0, 0], k=2, temperature=0.6),
        row(
            20,
            last,
            boxed=1.0,
            right_given_boxed=sum(last) / 4,
            right_outside_box=0.0,
            **LATER,
            **MANNER | {"length": 30.0},
        ),
        row(20, [2, 2, 1, 0], k=2, temperature=0.6),
    ]


def _run(folder: Path, last: list[int], seed: int = 0, config: dict[str, Any] = TINY) -> Path:
    return write_run(
        folder,
        changed(config, seed_everything=seed),
        _rows(last),
        history={"p": [0.5] * 5 + [1.0] * 15},
        scalars={
            "train/entropy": {step: 1.0 if step < 10 else 0.5 for step in range(20)},
            "train/zero_variance": {step: float(step >= 5) for step in range(20)},
            "train/grad_norm": dict.fromkeys(range(20), 0.125),
        },
    )


@pytest.fixture
def arm(tmp_path: Path) -> Arm:
    """Two seeds: 75% and 100% at the end."""
    folders = [_run(tmp_path / "arm" / f"seed-{i}", last, i) for i, last in enumerate(([1, 1, 1, 0], [1, 1, 1, 1]))]
    return Arm("mine", tuple(read_run(folder) for folder in folders))


def test_summary(arm: Arm) -> None:
    table = tables.summary_table([arm])
    assert table.rows == (
        (
            *(
                "mine",
                "checkpoints/tiny-base",
                "GRPO (KL 0.001, entropy 0.001)",
                "tiny",
                "own",
                "AnswerReward",
                "20",
                "0, 1",
            ),
            *("25.0 ± 1.0", "87.5 ± 1.0 [75.0, 100.0]"),
        ),
    )
    assert "(tiny500, greedy)" in table.caption


def test_summary_of_arms_that_are_something_else(tmp_path: Path) -> None:
    config = changed(
        TINY,
        data__label="24",
        data__rl_steps=40,
        data__select=["a", "b"],
        model__algorithm__init_args__policy_coefficient=0.0,
        model__algorithm__init_args__kl_coefficient=0.0,
    )
    control = Arm("control", (read_run(_run(tmp_path / "a", [1, 1, 1, 1], config=config)),))
    wrong = changed(TINY, data__wrong_label_share=0.6)
    other = Arm("other", (read_run(write_run(tmp_path / "b", wrong, [row(0, [1, 0])], {"p": [0.5], "q": [0.5]})),))
    nothing = Arm("nothing", (read_run(write_run(tmp_path / "c", None, history={"p": [0.5]})),))
    table = tables.summary_table([control, other, nothing])
    assert table.header[8] == "test"  # the arms were not evaluated alike
    assert table.rows[0][2:7] == (
        "GRPO (no policy loss, entropy 0.001)",
        "tiny, selected a, b",
        "replaced by 24",
        "AnswerReward",
        "20 of 40",
    )
    assert table.rows[1][3:] == (
        "tiny (2 problems)",
        "60% wrong",
        "AnswerReward",
        "1 of 20",
        "0",
        "tiny500, greedy",
        "50.0 ± 1.0",
        "–",
    )
    assert table.rows[2][1:] == ("–", "–", "–", "–", "–", "1", "1", "–", "–", "–")


def test_every_evaluation(arm: Arm) -> None:
    table = tables.accuracy_table([arm])
    assert table is not None
    assert table.rows == (
        ("mine", "tiny500", "greedy", "4", "25.0 ± 1.0", "87.5 ± 1.0 [75.0, 100.0]", "+62.5"),
        ("mine", "tiny500", "avg@2 at temperature 0.6", "4", "–", "62.5 ± 1.0", "–"),
    )


def test_saturation(arm: Arm) -> None:
    table = tables.saturation_table({arm.name: [saturation(run) for run in arm.runs]})
    assert table.rows[:2] == (
        # Solved at step 14; greedy from 16 on: 1 gained, none lost; avg@2: differences 0, 1, 1, 0: z = 0.5 / (0.577 / 2).
        ("mine", "seed-0", "tiny500, greedy", "14", "100.0", "16 → 20", "25.0", "50.0", "75.0", "+25.0", "1, 0", "1"),
        (
            "mine",
            "seed-0",
            "tiny500, avg@2 at 0.6",
            "14",
            "100.0",
            "16 → 20",
            "–",
            "37.5",
            "62.5",
            "+25.0",
            "–",
            "0.083",
        ),
    )
    assert table.rows[2][-2:] == ("2, 0", "0.5")


def test_saturation_that_did_not_come_or_that_nobody_saw(tmp_path: Path) -> None:
    never = read_run(write_run(tmp_path / "never", history={"p": [0.5] * 30}))
    early = read_run(write_run(tmp_path / "early", rows=[row(0, [1]), row(20, [1])], history={"p": [1.0] * 20}))
    untrained = read_run(write_run(tmp_path / "untrained", rows=[row(0, [1])]))
    found = {"a": [saturation(run) for run in (never, early, untrained)]}
    assert [cells[2:5] for cells in tables.saturation_table(found).rows] == [
        ("–", "not solved", "–"),
        ("no two evaluations since", "9", "100.0"),
        ("–", "no training", "–"),
    ]


def test_saturation_goes_by_the_runs_own_window(tmp_path: Path) -> None:
    config = changed(TINY, saturation__window=2, saturation__threshold=0.75)
    assert saturation(read_run(write_run(tmp_path, config, history={"p": [0.5, 0.5, 0.75, 0.75]}))).step == 3


def test_outcomes_of_other_problems_are_not_paired(tmp_path: Path) -> None:
    rows = [row(10, [1, 0]), row(20, [1, 1]) | {"correct": [1, 1, 1]}]
    (gain,) = saturation(read_run(write_run(tmp_path, rows=rows, history={"p": [1.0] * 20}))).gains
    assert (gain.changed, gain.p, gain.base) == (None, None, None)


def test_dynamics_and_zero_advantage(arm: Arm) -> None:
    dynamics = tables.dynamics_table([arm])
    assert dynamics is not None
    # First: steps 0 to 9. When solved: the window of steps 5 to 14. Last: steps 10 to 19.
    assert dynamics.header == (
        *(
            "arm",
            "Entropy, nats per token",
            "Gradient norm before clipping, norm",
            "Groups without variance, % of responses",
        ),
    )
    assert dynamics.rows == (("mine", "1 → 0.75 → 0.5", "0.125 → 0.125 → 0.125", "50 → 100 → 100"),)
    idle = tables.zero_advantage_table([arm])
    assert idle is not None
    assert idle.rows == (("mine", "50.0", "100.0", "100.0", "0.125", "0.125", "0.125"),)


def test_nothing_logged_makes_no_table(tmp_path: Path) -> None:
    arms = [Arm("bare", (read_run(write_run(tmp_path, None, [row(0, [1])])),))]
    assert tables.dynamics_table(arms) is None
    assert tables.zero_advantage_table(arms) is None
    assert tables.manner_table(arms) is None
    assert tables.accuracy_table(arms) is None
    assert phases(arms[0], "train/kl") is None


def test_manner_shows_what_is_on_record(arm: Arm) -> None:
    table = tables.manner_table([arm])
    assert table is not None
    assert table.header == ("arm", "test", "tokens", "cut at the limit %", "reflection %", "code-like %")
    assert table.rows == (("mine", "tiny500, greedy", "20 → 30", "25.0 → 25.0", "1.25 → 1.25", "50.0 → 50.0"),)


def test_subjects(arm: Arm) -> None:
    groups = by_group(arm, GREEDY, "subjects")
    assert [group.name for group in groups] == ["algebra", "word"]  # problems without a subject are none
    table = effect_tables.groups_table("subjects-tiny500", "subject", GREEDY, {"mine": groups, "other": groups[:1]})
    assert table.header == ("subject", "problems", "mine", "other")
    assert table.rows == (
        # Standard error of 0.5 over 2 problems: sqrt(0.25 / 2) = 35.4 points.
        ("algebra", "2", "50.0 → 100.0; +50.0 ± 35.4", "50.0 → 100.0; +50.0 ± 35.4"),
        ("word", "2", "0.0 → 50.0; +50.0 ± 35.4", "–"),
    )
    assert by_group(arm, GREEDY, "levels") == []  # one level is no comparison


def test_subjects_of_many_arms_have_a_row_each(arm: Arm) -> None:
    groups = by_group(arm, GREEDY, "subjects")
    table = effect_tables.groups_table("subjects-tiny500", "subject", GREEDY, {f"arm {i}": groups for i in range(5)})
    assert table.header == ("arm", "algebra (2)", "word (2)")
    assert table.rows[4] == ("arm 4", "50.0 → 100.0; +50.0 ± 35.4", "0.0 → 50.0; +50.0 ± 35.4")


def test_arms_beside_each_other(arm: Arm, tmp_path: Path) -> None:
    control = Arm("control", (read_run(write_run(tmp_path / "c", None, [row(0, [1, 1, 0, 0])])),))
    first, second = ends([arm, control], GREEDY)
    assert (first.before and first.before.mean, first.after.mean) == (0.25, 0.875)
    assert (second.name, second.before, second.after.mean) == ("control", None, 0.5)


def test_format_split_by_hand(arm: Arm) -> None:
    split = format_split(arm, GREEDY)
    assert split is not None
    # Base: 25% right of 50% boxed. End: 75% and 100% right, all boxed: 87.5% pooled.
    assert split.right_given_boxed == (0.5, 0.875)
    assert split.parts.boxed == pytest.approx(0.25)  # (1 - 0.5) * 0.5
    assert split.parts.reasoning == pytest.approx(0.375)  # 1 * (0.875 - 0.5)
    assert split.parts.gain == pytest.approx(0.625)
    assert split.parts.rest == pytest.approx(0.0)
    table = effect_tables.format_table({("mine", GREEDY): split}, {"mine": "AnswerReward"})
    assert table.rows == (
        (
            "mine",
            "AnswerReward",
            "tiny500, greedy",
            "50.0 → 100.0",
            "50.0 → 87.5",
            "+62.5",
            "+25.0",
            "+37.5",
            "25.0 → 0.0",
        ),
    )


def test_format_beside_a_format_reward(arm: Arm, tmp_path: Path) -> None:
    config = changed(TINY, model__reward__class_path="lit_rlvr.rewards.rewards.FormatReward")
    control = Arm("control", (read_run(_run(tmp_path / "control", [1, 1, 0, 0], config=config)),))
    splits = {(a.name, GREEDY): split for a in (arm, control) if (split := format_split(a, GREEDY))}
    table = effect_tables.beyond_format_table(splits, {"mine": "AnswerReward", "control": "FormatReward"})
    assert table is not None
    assert table.rows == (("mine", "tiny500, greedy", "control", "+62.5", "+25.0", "+37.5"),)
    assert effect_tables.beyond_format_table(splits, {"mine": "AnswerReward"}) is None


def test_no_box_no_split(tmp_path: Path) -> None:
    rows = [row(0, [0, 0], boxed=0.0, right_given_boxed=None), row(20, [1, 1], boxed=1.0)]
    arm = Arm("a", (read_run(write_run(tmp_path, rows=rows)),))
    kind = arm.kinds()[0]
    assert len(pairs(arm, kind)) == 1
    assert format_split(arm, kind) is None


def test_a_run_shorter_than_the_window_has_no_last_steps(tmp_path: Path) -> None:
    arm = Arm("short", (read_run(write_run(tmp_path, scalars={"train/kl": {0: 1.0, 1: 3.0}})),))
    found = phases(arm, "train/kl")
    assert found is not None
    assert (found.first, found.solving, found.since, found.last) == (2.0, None, None, None)
