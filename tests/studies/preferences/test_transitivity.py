"""Circles are counted, and a choice that is only uncertain is no circle."""

from itertools import combinations

import numpy as np
import pytest
from scipy.special import expit

from lab.studies.preferences import page_results, pair_choices
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
    place = transitivity(first, second, np.ones(6), 3)
    assert (place.hard, place.soft.value, place.ties) == (None, 0.25, 1)
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


def chosen(leads, bias=0.5, n=20):
    """Choices between all pairs of n tasks whose first one leads by `leads` [pairs] logits, in both orders."""
    pairs = np.stack(all_pairs(n), axis=1)
    p = expit(bias + np.concatenate([leads(*pairs.T), -leads(*pairs.T)]))
    ids = [str(i) for i in range(n)]
    logprobs = np.log(np.stack([p, 1 - p], axis=1))
    return pair_choices.from_probabilities(pair_choices.Asked("w", "m"), ids, ["x"] * n, pairs, logprobs)


@pytest.mark.parametrize(
    ("leads", "outcome"),
    [
        (lambda i, j: 0.3 * (j - i), "PASS"),
        (lambda i, j: np.where((j - i) % 2, 2.0, -2.0), "FAIL"),  # who is liked better goes round
        (lambda i, j: 0.001 * (j - i), "FAIL"),  # hardly any preference
    ],
)
def test_only_preferences_that_hang_together_are_below_coins(leads, outcome):
    """A leaning to the first-named is in all of them; and dealt out to other pairs none is below coins."""
    result = page_results.circles(chosen(leads), seed=0)
    assert (result.found.soft < 0.2).outcome == outcome
    assert result.dealt.soft.within(0.2, 0.3).outcome == "PASS"
    kept = result.kept().summary
    assert (kept["triples"], kept["circles_of_dealt_choices"]) == (1140, result.dealt.soft)
