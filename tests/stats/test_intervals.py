"""Intervals against published numbers, and by how often they are right."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.stats.intervals import paired_difference, reweighted, student, wilson


@pytest.mark.parametrize(
    ("k", "n", "low", "high"),
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)],
)
def test_wilson_equals_newcombe_1998(k, n, low, high):
    e = wilson(k, n)
    assert (e.low, e.high) == pytest.approx((low, high), abs=5e-5)
    assert wilson([True] * k + [False] * (n - k)) == e


@given(st.integers(1, 5000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_wilson_holds_every_share(share):
    k, n = share
    e = wilson(k, n)
    assert 0 <= e.low <= e.value <= e.high <= 1
    assert e.low < e.high


def test_no_units_have_no_share():
    with pytest.raises(ValueError, match="at least one unit"):
        wilson([])


def test_student_equals_scipy():
    from scipy import stats

    x = np.random.default_rng(0).normal(0.3, 1, 40)
    reference = stats.ttest_1samp(x, 0)
    interval = reference.confidence_interval()
    e = student(x)
    assert (e.low, e.high, e.p) == pytest.approx((interval.low, interval.high, reference.pvalue), rel=1e-12)


@pytest.mark.parametrize(
    ("values", "said"), [([1.0], "at least two"), ([], "at least two"), ([1.0, np.nan], "not finite")]
)
def test_a_mean_of_too_little_is_refused(values, said):
    with pytest.raises(ValueError, match=said):
        student(values)


def test_constant_values_decide_nothing():
    assert student([2.0, 2.0, 2.0]).within(1, 3).outcome == "INCONCLUSIVE"


def test_paired_difference_covers_the_truth():
    """1000 experiments with correlated pairs; 95 % intervals must hold the truth in 93.5 to 97.5 % of them."""
    from scipy.stats import norm

    rng = np.random.default_rng(1)
    truth = 0.5 - norm.sf(-0.5 / 2**0.5)
    held = 0
    for _ in range(1000):
        shared = rng.normal(size=60)
        e = paired_difference(shared + rng.normal(size=60) > 0, shared + rng.normal(size=60) + 0.5 > 0)
        held += e.low < truth < e.high
    assert 935 <= held <= 975


def test_paired_difference_of_equal_rows_is_zero_with_width():
    e = paired_difference([True, False, True, False] * 10, [True, False, True, False] * 10)
    assert e.value == 0
    assert e.low < 0 < e.high
    assert e.p == 1


def test_bootstrap_of_a_mean_agrees_with_scipy():
    from scipy.stats import bootstrap as reference

    x = np.random.default_rng(2).exponential(size=80)
    e = reweighted(lambda w: w @ x / w.sum(1), len(x), seed=0, resamples=20_000)
    interval = reference((x,), np.mean, method="percentile", n_resamples=20_000, rng=0).confidence_interval
    assert e.value == pytest.approx(x.mean())
    assert (e.low, e.high) == pytest.approx((interval.low, interval.high), abs=0.01)


def test_a_cluster_bootstrap_counts_clusters_and_is_wider():
    rng = np.random.default_rng(3)
    group = np.repeat(np.arange(30), 10)
    x = rng.normal(size=30)[group] + 0.3 * rng.normal(size=300)
    by_row = reweighted(lambda w: w @ x / w.sum(1), 300, seed=0)
    by_group = reweighted(lambda w: w @ x / w.sum(1), 300, groups=group, seed=0)
    assert (by_row.n, by_group.n) == (300, 30)
    assert by_group.high - by_group.low > 2 * (by_row.high - by_row.low)


def test_a_bootstrap_is_the_same_for_a_seed():
    x = np.arange(10.0)
    assert reweighted(lambda w: w @ x / w.sum(1), 10, seed=5) == reweighted(lambda w: w @ x / w.sum(1), 10, seed=5)


def test_a_bootstrap_that_cannot_be_is_refused():
    with pytest.raises(ValueError, match="two groups"):
        reweighted(lambda w: w.sum(1), 4, groups=[1, 1, 1, 1], seed=0)
    with pytest.raises(ValueError, match="not finite"):
        reweighted(lambda w: np.full(len(w), np.nan), 4, seed=0)
    with pytest.raises(ValueError, match="group labels"):
        reweighted(lambda w: w.sum(1), 4, groups=[1, 2], seed=0)
