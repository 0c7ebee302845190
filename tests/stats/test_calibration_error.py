"""A calibrated model is not found wanting, a miscalibrated one is."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lab.stats.calibration import ece


def calibrated(n, seed):
    rng = np.random.default_rng(seed)
    stated = rng.random(n)
    return stated, rng.random(n) < stated


def naive(stated, labels, bins=15):
    """The usual loop over bins, as in Guo et al. 2017."""
    edges, error = np.linspace(0, 1, bins + 1), 0.0
    for low, high in pairwise(edges):
        inside = (stated >= low) & (stated < high)
        if inside.any():
            error += inside.mean() * abs(labels[inside].mean() - stated[inside].mean())
    return error


def test_it_is_the_usual_error():
    stated, labels = calibrated(500, 0)
    assert ece(stated, labels).ece == pytest.approx(naive(stated, labels), abs=1e-12)


def test_a_calibrated_model_at_n_100_is_within_its_null_though_the_bare_error_fails_it():
    held = failed = 0
    for seed in range(100):
        found = ece(*calibrated(100, seed), draws=200, seed=seed)
        failed += found.ece > 0.05
        held += found.p > 0.05 and found.excess.low <= 0
    assert failed >= 95
    assert held >= 90


@pytest.mark.parametrize(("n", "error"), [(100, 0.118), (200, 0.086), (500, 0.055), (2000, 0.027)])
def test_the_null_is_as_measured_elsewhere(n, error):
    """Mean error of a calibrated model with uniform probabilities and 15 bins, over many draws of both."""
    nulls = [ece(*calibrated(n, seed), draws=50, seed=seed).null_mean for seed in range(20)]
    assert np.mean(nulls) == pytest.approx(error, abs=0.004)


def test_overconfidence_is_found_and_sized():
    rng = np.random.default_rng(0)
    truth = rng.uniform(0.3, 0.7, 2000)
    labels = rng.random(2000) < truth
    stated = np.clip(0.5 + 2 * (truth - 0.5), 0, 1)
    found = ece(stated, labels)
    assert found.p < 0.01
    assert (found.excess > 0.02).outcome == "PASS"
    assert found.ece == pytest.approx(np.abs(stated - truth).mean(), abs=0.03)
    assert found.brier.value == pytest.approx(((stated - labels) ** 2).mean())


def test_outcomes_that_cling_together_are_no_miscalibration():
    group, alone, together = np.repeat(np.arange(50), 20), 0, 0
    for seed in range(40):
        rng = np.random.default_rng(seed)
        stated = rng.random(50)
        labels = (rng.random(50) < stated)[group]
        single, grouped = (ece(stated[group], labels, groups=g, draws=200).excess for g in (None, group))
        alone += single.p <= 0.05 and single.low > 0
        together += grouped.p <= 0.05 or grouped.low > 0
        assert grouped.n == 50
    assert alone >= 38  # fooled: each of 50 outcomes was counted 20 times
    assert together <= 5


@settings(max_examples=30)
@given(st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=2, max_size=40))
def test_the_error_is_a_share_and_order_does_not_matter(rows):
    stated, labels = np.array([r[0] for r in rows]), np.array([r[1] for r in rows])
    found = ece(stated, labels, draws=20)
    assert 0 <= found.ece <= 1
    assert ece(stated[::-1], labels[::-1], draws=20).ece == pytest.approx(found.ece, abs=1e-12)
    assert ece(1 - stated, ~labels, bins=1, draws=20).ece == pytest.approx(ece(stated, labels, bins=1, draws=20).ece)


@pytest.mark.parametrize(
    ("stated", "labels", "said"),
    [
        ([0.5, 1.2], [0, 1], "between 0 and 1"),
        ([0.5, np.nan], [0, 1], "not finite"),
        ([0.5, 0.2, 0.1], [0, 1], "as many labels"),
        ([0.5], [1], "at least two"),
        ([0.5, 0.5], [1, 2], "true or false"),
    ],
)
def test_what_is_no_probability_is_refused(stated, labels, said):
    with pytest.raises(ValueError, match=said):
        ece(stated, labels)
