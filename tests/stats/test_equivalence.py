"""Two one-sided tests against the published case, statsmodels, and `within`."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.stats.equivalence import tost_independent, tost_paired
from lab.stats.means import student


def exactly(mean, sd, n):
    z = np.linspace(-1, 1, n)
    return mean + sd * (z - z.mean()) / z.std(ddof=1)


def test_lakens_2017():
    """Moery and Calin-Jageman: 5.25 (.95, n 95) and 5.22 (.83, n 89), bounds of d = .43."""
    bound = 0.43 * ((0.95**2 + 0.83**2) / 2) ** 0.5
    found = tost_independent(exactly(5.25, 0.95, 95), exactly(5.22, 0.83, 89), -bound, bound)
    assert found.p_upper == pytest.approx(0.003876, abs=5e-7)
    assert found.p_lower == pytest.approx(0.000956, abs=5e-7)
    assert found.p == found.p_upper
    assert (found.estimate.low, found.estimate.high) == pytest.approx((-0.18709, 0.24708), abs=1e-5)
    assert found.estimate.level == pytest.approx(0.9)
    assert found.estimate.within(-bound, bound).outcome == "PASS"


def test_equal_to_statsmodels():
    from statsmodels.stats.weightstats import ttost_ind, ttost_paired

    rng = np.random.default_rng(0)
    x, y = rng.normal(0.1, 1, 40), rng.normal(0, 1.5, 40)
    p, lower, upper = ttost_paired(x, y, -0.6, 0.5)
    found = tost_paired(x, y, -0.6, 0.5)
    assert (found.p, found.p_lower, found.p_upper) == pytest.approx((p, lower[1], upper[1]), rel=1e-10)
    p, lower, upper = ttost_ind(x, y[:25], -0.6, 0.5, usevar="unequal")
    found = tost_independent(x, y[:25], -0.6, 0.5)
    assert (found.p, found.p_lower, found.p_upper) == pytest.approx((p, lower[1], upper[1]), rel=1e-10)


@given(st.integers(0, 10_000), st.floats(-0.5, 0.5), st.integers(4, 40))
def test_within_passes_exactly_where_tost_rejects_at_two_and_a_half_percent(seed, shift, n):
    rng = np.random.default_rng(seed)
    x, y = rng.normal(shift, 0.5, n), rng.normal(0, 0.5, n)
    passed = student(x - y).within(-0.5, 0.5).outcome == "PASS"
    assert passed == (tost_paired(x, y, -0.5, 0.5, alpha=0.025).p < 0.025)


@given(st.integers(0, 10_000))
def test_the_interval_says_what_p_says(seed):
    rng = np.random.default_rng(seed)
    found = tost_independent(rng.normal(0, 1, 15), rng.normal(0.3, 2, 30), -1, 1)
    assert (found.estimate.within(-1, 1).outcome == "PASS") == (found.p < 0.05)


def test_no_significant_difference_is_not_equivalence():
    """Five noisy pairs: a t-test finds nothing, which the naive reader takes for equality."""
    from scipy.stats import ttest_rel

    x, y = [1.0, 4.0, 2.0, 8.0, 5.0], [2.0, 1.0, 6.0, 3.0, 4.0]
    assert ttest_rel(x, y).pvalue > 0.05
    assert tost_paired(x, y, -0.5, 0.5).p > 0.05


def test_at_the_bound_equivalence_is_claimed_in_at_most_five_percent():
    rng = np.random.default_rng(1)
    claimed = sum(tost_paired(rng.normal(0.5, 1, 40), np.zeros(40), -0.5, 0.5).p < 0.05 for _ in range(600))
    assert 0.03 < claimed / 600 < 0.075


def test_pairs_without_variation_decide_nothing():
    found = tost_paired([2.0, 3.0, 4.0], [1.0, 2.0, 3.0], -2, 2)
    assert np.isnan(found.p)
    assert found.estimate.within(-2, 2).outcome == "INCONCLUSIVE"


@pytest.mark.parametrize(("bounds", "alpha", "said"), [((1, -1), 0.05, "below the upper"), ((-1, 1), 0.7, "alpha")])
def test_impossible_bounds_are_refused(bounds, alpha, said):
    with pytest.raises(ValueError, match=said):
        tost_paired([1.0, 2.0, 4.0], [1.0, 2.0, 3.0], *bounds, alpha=alpha)
