"""Circles are counted, and a choice that is only uncertain is no circle."""

from itertools import combinations

import numpy as np
import pytest

from lab.studies.preferences.transitivity import transitivity


def all_pairs(n):
    return np.triu_indices(n, 1)


def test_utilities_have_no_circles_and_coins_have_a_quarter():
    first, second = all_pairs(25)
    mu = np.random.default_rng(0).normal(0, 3, 25)
    ordered = transitivity(first, second, (mu[first] > mu[second]).astype(float), 25)
    assert ordered.hard.value == ordered.soft.value == 0
    assert (ordered.hard < 0.4).outcome == "PASS"
    assert (ordered.hard < 0.1).outcome == "INCONCLUSIVE"  # 25 items hold 8 triples that share none
    coins = transitivity(first, second, np.random.default_rng(1).random(300) < 0.5, 25)
    assert coins.hard.value == pytest.approx(0.25, abs=0.05)
    assert coins.hard.low < 0.25 < coins.hard.high
    unsure = transitivity(first, second, np.full(300, 0.5) + 1e-6 * np.sign(mu[first] - mu[second]), 25)
    assert unsure.soft.value == pytest.approx(0.25, abs=1e-4)
    assert unsure.hard.value == 0


def test_both_are_what_the_definition_says():
    first, second = all_pairs(7)
    p = np.random.default_rng(2).random(21)
    table = np.full((7, 7), np.nan)
    table[first, second], table[second, first] = p, 1 - p
    soft, hard = [], []
    for i, j, k in combinations(range(7), 3):
        soft.append(table[i, j] * table[j, k] * table[k, i] + table[i, k] * table[k, j] * table[j, i])
        hard.append(len({table[i, j] > 0.5, table[j, k] > 0.5, table[k, i] > 0.5}) == 1)
    found = transitivity(first, second, p, 7)
    assert found.soft.value == pytest.approx(np.mean(soft))
    assert found.hard.value == pytest.approx(np.mean(hard))
    assert found.triples == 35
    assert "only 7 items" in found.soft.doubt


def test_both_orders_are_balanced_and_ties_left_out():
    """A circle that is made by always choosing the first-named is none."""
    first, second = [0, 1, 2, 1, 2, 0], [1, 2, 0, 0, 1, 2]
    one = transitivity(first[:3], second[:3], [1, 1, 1], 3)
    assert one.hard.value == 1
    with pytest.raises(ValueError, match="every triple has a pair that is tied"):
        transitivity(first, second, np.ones(6), 3)
    four = transitivity([0, 0, 1, 0, 1, 2], [1, 2, 2, 3, 3, 3], [1, 1, 1, 1, 0.5, 1], 4)
    assert four.triples == 4
    assert four.ties == 2


def test_only_whole_triples_count_and_many_are_sampled():
    first, second = all_pairs(60)
    mu = np.random.default_rng(3).normal(size=60)
    p = 1 / (1 + np.exp(mu[second] - mu[first]))
    whole = transitivity(first, second, p, 60)
    assert whole.triples == 34220
    some = transitivity(first, second, p, 60, most=1000, seed=1)
    assert some.triples == 1000
    assert some.soft.value == pytest.approx(whole.soft.value, abs=0.02)
    kept = np.random.default_rng(4).random(len(p)) < 0.5
    fewer = transitivity(first[kept], second[kept], p[kept], 60)
    assert 0.08 < fewer.triples / whole.triples < 0.18
    with pytest.raises(ValueError, match="no three items"):
        transitivity([0, 1], [1, 2], [1, 1], 4)
