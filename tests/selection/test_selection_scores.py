"""Scores against arrays worked out by hand, with fractions or with numpy."""

import os
import subprocess
import sys
from fractions import Fraction

import numpy as np
import pytest

from lit_rlvr.selection.scores import learning_impact, random_draws, reward_variance, variance

RAGGED = {"a": [0.0, 0.5, 1.0], "b": [1.0, 1.0], "c": [0.0], "d": [0.125, 0.25, 0.875, 1.0]}


def test_variance_of_lists_of_any_length() -> None:
    scores = variance(RAGGED)
    assert scores["a"] == pytest.approx(1 / 6)  # ((1/2)^2 + 0 + (1/2)^2) / 3: over n, not n - 1
    assert scores["b"] == 0
    assert scores["c"] == 0
    assert scores["d"] == pytest.approx(np.var([0.125, 0.25, 0.875, 1.0]))
    assert list(scores) == list(RAGGED)


def test_variance_does_not_depend_on_the_order_of_the_entries() -> None:
    values = [0.1, 0.7, 0.3, 0.9, 1 / 3]
    assert len({variance({"x": order})["x"] for order in (values, values[::-1], sorted(values))}) == 1


def test_learning_impact_by_hand() -> None:
    # mean curve (1/4, 3/4); sum of (1 - mean)^2 is 9/16 + 1/16 = 10/16
    scores = learning_impact({"rises": [0.0, 1.0], "flat": [0.5, 0.5]})
    # both are (1/4, 1/4) away from it: 1 - (2/16) / (10/16)
    assert scores == {"rises": pytest.approx(0.8), "flat": pytest.approx(0.8)}


def test_learning_impact_of_marked_problems() -> None:
    curves = {"always": [1.0, 1.0], "never": [0.0, 0.0], "mean": [0.5, 0.5]}
    assert learning_impact(curves) == {"always": 0, "never": 0, "mean": 1}
    # where the mean is high, never solved is further from it than always solved
    lifted = learning_impact({"always": [1.0], "one": [1.0], "two": [1.0], "never": [0.0]})
    assert lifted["never"] == pytest.approx(1 - (9 / 16) / (1 / 16))


def test_learning_impact_of_lists_of_different_length() -> None:
    columns = [[0, 1, 0, Fraction(1, 8)], [Fraction(1, 2), 1, Fraction(1, 4)], [1, Fraction(7, 8)], [1]]
    mean = [Fraction(sum(column), len(column)) for column in columns]
    for problem, score in learning_impact(RAGGED).items():
        pairs = [(Fraction(value), average) for value, average in zip(RAGGED[problem], mean, strict=False)]
        expected = 1 - sum((r - m) ** 2 for r, m in pairs) / sum((1 - m) ** 2 for _, m in pairs)
        assert score == pytest.approx(float(expected)), problem


def test_learning_impact_where_all_solved_all() -> None:
    assert learning_impact({"a": [1.0, 1.0], "b": [1.0]}) == {"a": 1, "b": 1}
    # b has only the epoch that everyone solved
    assert learning_impact({"a": [1.0, 0.0], "b": [1.0]})["b"] == 1


def test_random_draws_hang_on_seed_and_id_alone() -> None:
    ids = [f"p/{i}" for i in range(200)]
    draws = random_draws(ids, 3)
    assert random_draws(ids[::-1], 3) == draws
    assert random_draws(ids[50:60], 3) == {problem: draws[problem] for problem in ids[50:60]}
    assert all(draws[problem] != other for problem, other in random_draws(ids, 4).items())
    assert np.mean(list(draws.values())) == pytest.approx(0.5, abs=0.1)


def test_random_draws_do_not_hang_on_the_hash_seed() -> None:
    program = "from lit_rlvr.selection.scores import random_draws; print(random_draws({'a', 'b', 'c'}, 0)['b'])"
    said = {
        subprocess.run(
            [sys.executable, "-c", program],
            env=os.environ | {"PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert said == {f"{random_draws(['b'], 0)['b']}\n"}


def test_reward_variance() -> None:
    assert reward_variance({"never": 0, "eighth": 0.125, "half": 0.5, "always": 1}) == {
        "never": 0,
        "eighth": 7 / 64,
        "half": 0.25,
        "always": 0,
    }
