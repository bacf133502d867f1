"""How the small web answers: the statistics the base model is said to be raised on."""

import random
import re
from collections import defaultdict

import pytest

from lit_rlvr.tiny.manners import HABIT, MANNERS, SHARES, Answer, answer, forget_carries, habits
from lit_rlvr.tiny.problems import SOURCES, Task, draw


@pytest.fixture(scope="module")
def answers() -> list[tuple[Task, Answer]]:
    rng, habit = random.Random(0), habits()
    tasks = [draw(rng, "pretrain", rng.choice(SOURCES)) for _ in range(12_000)]
    return [(task, answer(rng, task, habit[task.source])) for task in tasks]


def test_shares_are_a_distribution_and_habits_vary_around_them():
    assert sum(SHARES) == pytest.approx(1)
    habit = habits()
    assert set(habit) == set(SOURCES)
    for h in habit.values():
        assert sum(h.shares) == pytest.approx(1)
    # Dirichlet: variance m (1 - m) / (HABIT + 1); 40 corners, so the mean lies within three standard errors.
    for i, mean in enumerate(SHARES):
        values = [h.shares[i] for h in habit.values()]
        assert abs(sum(values) / 40 - mean) < 3 * (mean * (1 - mean) / (HABIT + 1) / 40) ** 0.5
    assert habits(1) != habit == habits()


def test_manners_occur_and_only_care_is_reliable(answers: list[tuple[Task, Answer]]):
    right = defaultdict(list)
    for task, a in answers:
        right[a.manner].append(a.value == task.answer)
    rate = {manner: sum(x) / len(x) for manner, x in right.items()}
    assert set(rate) == set(MANNERS)
    assert rate["careful"] > 0.9
    assert 0.3 < rate["careless"] < 0.5
    assert 0.15 < rate["guess"] < 0.25
    assert rate["code"] == rate["ramble"] == 0
    # A minority of answers is careful: the base can, but mostly does not.
    assert len(right["careful"]) < 0.4 * len(answers)


def test_a_box_says_little_about_the_answer(answers: list[tuple[Task, Answer]]):
    boxed = [(t, a) for t, a in answers if a.boxed]
    by_manner = {m: sum(a.boxed for _, a in answers if a.manner == m) for m in MANNERS}
    assert by_manner["code"] == by_manner["ramble"] == 0
    assert by_manner["careful"] < 0.55 * len(boxed)
    rates = {m: by_manner[m] / sum(a.manner == m for _, a in answers) for m in ("careful", "careless", "guess")}
    assert max(rates.values()) - min(rates.values()) < 0.12
    assert 0.45 < sum(a.value == t.answer for t, a in boxed) / len(boxed) < 0.7


def test_text_and_label_agree(answers: list[tuple[Task, Answer]]):
    for _, a in answers:
        boxes = re.findall(r"\\boxed\{(-?\d+)\}", a.text)  # a slip may fall below zero
        assert bool(boxes) == a.boxed
        if boxes:
            assert int(boxes[-1]) == a.value
        elif a.value is not None:
            assert int(re.findall(r"(?<!\d)-?\d+", a.text)[-1]) == a.value


def test_careful_steps_are_mostly_true_and_careless_ones_often_false(answers: list[tuple[Task, Answer]]):
    true = {"careful": [], "careless": []}
    for _, a in answers:
        for left, op, right, result in re.findall(r"(\d+)([-+*/])(\d+)=(\d+)", a.text):
            if a.manner in true:
                exact = {"+": lambda x, y: x + y, "-": lambda x, y: x - y, "*": lambda x, y: x * y}.get(
                    op, lambda x, y: x // y
                )(int(left), int(right))
                true[a.manner].append(exact == int(result))
    assert sum(true["careful"]) / len(true["careful"]) > 0.95
    assert sum(true["careless"]) / len(true["careless"]) < 0.85


@pytest.mark.parametrize(
    ("left", "op", "right", "expected"),
    [(17, "+", 25, 32), (33, "-", 17, 24), (48, "-", 23, 25), (99, "+", 1, 90), (6, "*", 7, 42), (5, "-", 12, 13)],
)
def test_forgotten_carries(left: int, op: str, right: int, expected: int):
    assert forget_carries(left, op, right) == expected
