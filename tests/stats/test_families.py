"""Families of claims: published adjustments, statsmodels, and how often a family passes falsely."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lab.estimate import Bar, Estimate
from lab.stats.auroc import delong
from lab.stats.bootstrap import bootstrap
from lab.stats.correlations import fisher_z
from lab.stats.families import benjamini_hochberg, holm, max_t, p_against, verdicts
from lab.stats.means import student
from lab.stats.shares import wilson

BH_1995 = [0.0001, 0.0004, 0.0019, 0.0095, 0.0201, 0.0278, 0.0298, 0.0344, 0.0459, 0.3240, 0.4262, 0.5719, 0.6528, 0.7590, 1]  # fmt: skip
P = st.lists(st.floats(0, 1), min_size=1, max_size=20)


def test_benjamini_hochberg_1995():
    adjusted = benjamini_hochberg(BH_1995)
    assert adjusted[:6] == pytest.approx([0.0015, 0.003, 0.0095, 0.035625, 0.0603, 0.06386], abs=5e-6)
    assert ((adjusted <= 0.05).sum(), (holm(BH_1995) <= 0.05).sum()) == (4, 3)


@settings(max_examples=10)  # statsmodels takes 25 ms a call
@given(P)
def test_adjusted_p_values_equal_statsmodels(p):
    from statsmodels.stats.multitest import multipletests

    assert holm(p) == pytest.approx(multipletests(p, method="holm")[1], rel=1e-12)
    assert benjamini_hochberg(p) == pytest.approx(multipletests(p, method="fdr_bh")[1], rel=1e-12)


def test_an_untested_member_stays_untested_and_counts():
    """statsmodels answers NaN for everybody (fdr_bh), or takes the untested member for a rejected one (holm)."""
    from statsmodels.stats.multitest import multipletests

    p = [0.01, 0.02, np.nan]
    assert np.isnan(multipletests(p, method="fdr_bh")[1]).all()
    assert multipletests(p, method="holm")[0][2]
    for correct in (holm, benjamini_hochberg):
        adjusted = correct([0.01, 0.02, None])
        assert adjusted[:2] == pytest.approx(correct([0.01, 0.02, 1.0])[:2])
        assert np.isnan(adjusted[2])
        assert not adjusted[2] < 0.05


@given(P, st.data())
def test_a_missing_member_never_helps(p, data):
    at = data.draw(st.integers(0, len(p) - 1))
    known = [x for i, x in enumerate(p) if i != at]
    holed = [None if i == at else x for i, x in enumerate(p)]
    for correct in (holm, benjamini_hochberg):
        rest = np.delete(correct(holed), at)
        assert (rest >= correct(known) - 1e-12).all()
        assert np.isnan(correct(holed)[at])


def test_p_values_that_are_none_are_refused():
    with pytest.raises(ValueError, match="between 0 and 1"):
        holm([0.1, 1.2])


# max-T ------------------------------------------------------------------------------------------------


def test_one_layer_is_the_plain_permutation_test():
    from scipy.stats import permutation_test

    x = np.random.default_rng(0).normal(0.7, 1, 10)
    exact = permutation_test((x,), np.mean, permutation_type="samples", n_resamples=np.inf).pvalue
    assert max_t(x[:, None]).p[0] == pytest.approx(exact, abs=0.006)


def test_the_best_of_many_null_layers_is_no_finding():
    """120 sweeps of 20 correlated null layers: the best layer's own t-test errs often, max-T and its band do not."""
    from scipy.stats import ttest_1samp

    rng = np.random.default_rng(1)
    naive = stepped = band = 0
    for _ in range(120):
        x = 0.6 * rng.normal(size=(30, 1)) + 0.8 * rng.normal(size=(30, 20))
        naive += ttest_1samp(x, 0).pvalue.min() < 0.05
        found = max_t(x, permutations=399)
        stepped += found.p.min() < 0.05
        band += any(e.low > 0 or e.high < 0 for e in found.band)
    assert naive > 48
    assert stepped <= 13
    assert band <= 13


def test_the_band_holds_all_truths_at_once():
    """Effects of very different size: the naive 95 % intervals all hold in far fewer than 95 % of sweeps."""
    rng, truth = np.random.default_rng(2), np.linspace(-3, 3, 12)
    held = naive = 0
    for _ in range(100):
        x = truth + rng.normal(size=(25, 12))
        held += all(e.low <= t <= e.high for e, t in zip(max_t(x, permutations=399).band, truth, strict=True))
        naive += all(e.low <= t <= e.high for e, t in zip(map(student, x.T), truth, strict=True))
    assert held >= 88
    assert naive < 75


def test_step_down_p_values_rise_as_t_falls_and_hold_the_strong_layer():
    x = np.random.default_rng(3).normal([0, 2, 0.8, 0, 0], 1, size=(40, 5))
    found = max_t(x, permutations=1999)
    assert found.p[1] == 1 / 2000
    assert (np.diff(found.p[np.argsort(-abs(found.t))]) >= 0).all()
    assert found.t == pytest.approx(x.mean(0) / x.std(0, ddof=1) * 40**0.5)
    assert [e.method for e in found.band] == ["max-T band"] * 5


def test_a_constant_layer_is_in_doubt_and_changes_no_other():
    x = np.random.default_rng(4).normal(0.4, 1, size=(30, 3))
    with_constant = max_t(np.column_stack([x, np.full(30, 0.7)]), permutations=499)
    assert with_constant.p[:3] == pytest.approx(max_t(x, permutations=499).p)
    assert np.isnan(with_constant.p[3])
    assert (with_constant.band[3] > 0).outcome == "INCONCLUSIVE"
    assert (max_t(np.ones((5, 2))).band[0] > 0).outcome == "INCONCLUSIVE"


def test_a_sweep_without_units_is_refused():
    with pytest.raises(ValueError, match="units, layers"):
        max_t([1.0, 2.0])


# A family of estimates --------------------------------------------------------------------------------

ESTIMATES = st.builds(
    lambda value, left, right, n: Estimate(value, value - left, value + right, n, "test"),
    st.floats(-1, 1, width=32),
    st.floats(2**-6, 2, width=32),
    st.floats(2**-6, 2, width=32),
    st.integers(2, 500),
)
BARS = st.one_of(
    st.floats(-1, 1, width=32),
    st.just(Bar(0.4, 0.1)),
    st.tuples(st.floats(-1, -0.125, width=32), st.floats(0.125, 1, width=32)),
)


def alone(estimate, bar):
    return estimate.within(*bar) if isinstance(bar, tuple) else estimate > bar


@given(ESTIMATES, BARS)
def test_a_family_of_one_has_its_ordinary_verdict(estimate, bar):
    [member] = verdicts([estimate], bar)
    assert member.outcome == alone(estimate, bar).outcome


@given(st.lists(ESTIMATES, min_size=1, max_size=8), BARS, st.randoms(use_true_random=False))
def test_a_family_knows_no_order_and_is_never_milder_than_its_members(family, bar, random):
    members = verdicts(family, bar)
    order = list(range(len(family)))
    random.shuffle(order)
    shuffled = verdicts([family[i] for i in order], bar)
    assert [shuffled[order.index(i)].outcome for i in range(len(family))] == [m.outcome for m in members]
    for estimate, member in zip(family, members, strict=True):
        assert member.outcome in (alone(estimate, bar).outcome, "INCONCLUSIVE")


@pytest.mark.parametrize("n", [5, 40])
def test_a_null_family_passes_in_at_most_two_and_a_half_percent(n):
    """24 layers, no effect. Uncorrected, some layer passes in most sweeps."""
    rng = np.random.default_rng(5)
    naive = corrected = failed = 0
    for _ in range(70):
        family = [student(x) for x in rng.normal(size=(24, n))]
        naive += any((e > 0).outcome == "PASS" for e in family)
        outcomes = {member.outcome for member in verdicts(family, 0)}
        corrected += "PASS" in outcomes
        failed += "FAIL" in outcomes
    assert naive > 20
    assert corrected <= 5
    assert failed <= 5


def test_p_against_the_bar_is_students_own():
    from scipy.stats import ttest_1samp

    x = np.random.default_rng(6).normal(0.5, 1, 9)
    assert p_against(student(x), 0.1) == pytest.approx(ttest_1samp(x, 0.1, alternative="greater").pvalue)
    assert p_against(student(x), 0.1, "<") == pytest.approx(ttest_1samp(x, 0.1, alternative="less").pvalue)


def test_members_in_doubt_are_undecided_and_still_count():
    clear = Estimate(0.5, 0.04, 0.96, 200, "test")
    doubtful = Estimate(0.5, 0.4, 0.6, 200, "test", doubt="the fit did not converge")
    constant = Estimate(0.5, 0.5, 0.5, 200, "test")
    assert verdicts([clear], 0)[0].outcome == "PASS"
    members = verdicts([clear, doubtful, constant], 0)
    assert [m.outcome for m in members] == ["INCONCLUSIVE"] * 3
    assert "not among 3 claims" in members[0].verdict.reason
    assert "did not converge" in members[1].verdict.reason
    assert np.isnan(members[2].p_pass)


def test_the_other_direction_and_the_milder_correction():
    family = [Estimate(v, v - 0.2, v + 0.2, 100, "test") for v in (-0.3, -0.22, 0.0)]
    assert [m.outcome for m in verdicts(family, 0, "<")] == ["PASS", "INCONCLUSIVE", "INCONCLUSIVE"]
    assert [m.outcome for m in verdicts(family, 0, "<", method="benjamini-hochberg")][:2] == ["PASS", "PASS"]
    assert verdicts(family, 0)[0].outcome == "FAIL"


def test_a_family_needs_members_of_one_level():
    with pytest.raises(ValueError, match="one level"):
        verdicts([], 0)
    with pytest.raises(ValueError, match="one level"):
        verdicts([Estimate(1, 0, 2, 9, "a"), Estimate(1, 0, 2, 9, "a", level=0.9)], 0)


# Intervals that are not symmetric --------------------------------------------------------------------


def extended(estimate, bar):
    """The naive way to a p: the half-width towards the bar, as if it went on like this."""
    from scipy.special import stdtr, stdtrit

    half = estimate.value - estimate.low if estimate.value > bar else estimate.high - estimate.value
    return stdtr(estimate.n - 1, -abs(estimate.value - bar) / half * stdtrit(estimate.n - 1, 0.975))


@pytest.mark.parametrize(("k", "bar", "sign"), [(1, 0.05, "<"), (25, 0.05, ">"), (200, 0.9, ">"), (0, 0.1, "<")])
def test_p_of_a_share_is_the_binomial_tail(k, bar, sign):
    from scipy.stats import binomtest

    exact = binomtest(k, 200, bar, alternative="greater" if sign == ">" else "less").pvalue
    assert p_against(wilson(k, 200), bar, sign) == pytest.approx(exact)
    assert extended(wilson(1, 200), 0.05) < 1e-4 < 4e-4 < p_against(wilson(1, 200), 0.05, "<")


def test_p_of_a_correlation_is_not_below_fishers_own():
    """z-test of Fisher's z: 8.4e-4. Extended as it stands, the interval gives 1.8e-4."""
    from scipy.stats import norm

    e = fisher_z(0.9, 30)
    own = norm.sf((np.arctanh(0.9) - np.arctanh(0.7)) * 27**0.5)
    assert extended(e, 0.7) < own / 4
    assert own < p_against(e, 0.7) < 3 * own


def test_a_family_of_areas_near_one_passes_rarely_and_extended_intervals_often():
    """12 AUROCs of 20 + 60 rows with a true area of 0.898: any false PASS is due in 2.5 %."""
    rng, truth, labels = np.random.default_rng(7), 0.8984541062114161, np.arange(80) < 20
    passed = on_logit = naive = 0
    for _ in range(150):
        scores = rng.normal(size=(12, 80)) + 1.8 * labels
        plain, logit = ([delong(row, labels, logit=scale) for row in scores] for scale in (False, True))
        passed += any(member.outcome == "PASS" for member in verdicts(plain, truth))
        on_logit += any(member.outcome == "PASS" for member in verdicts(logit, truth))
        naive += any(e.value > truth and not e.doubt and extended(e, truth) < 0.025 / 12 for e in plain)
    assert passed <= 11
    assert on_logit <= 9
    assert naive > 30


def test_a_bootstrap_resolves_no_smaller_p_than_a_thousandth():
    x = np.random.default_rng(8).normal(5, 1, 100)
    e = bootstrap(x, resamples=999)
    assert p_against(e, 0) == 1e-3
    assert [m.outcome for m in verdicts([e] * 20, 0)] == ["PASS"] * 20
    assert verdicts([e] * 40, 0)[0].outcome == "INCONCLUSIVE"


SHARES = st.builds(
    lambda value, left, right, n, method: Estimate(
        value, value * (1 - left), value + (1 - value) * right, n, method, bounds=(0, 1)
    ),
    st.sampled_from([0.0, 0.01, 0.3, 0.5, 0.9, 1.0]),
    st.floats(2**-6, 1),
    st.floats(2**-6, 1),
    st.integers(2, 500),
    st.sampled_from(["test", "cluster bootstrap"]),
)


@given(SHARES, st.floats(0, 1))
def test_a_bounded_family_of_one_has_its_ordinary_verdict(estimate, bar):
    for sign in (">", "<"):
        [member] = verdicts([estimate], bar, sign)
        assert member.outcome == (estimate > bar if sign == ">" else estimate < bar).outcome


@given(st.integers(0, 60), st.floats(0.01, 0.99))
def test_a_family_of_one_share_has_wilsons_verdict(k, bar):
    [member] = verdicts([wilson(k, 60)], bar)
    assert member.outcome == (wilson(k, 60) > bar).outcome


def test_an_edge_of_a_band_may_lie_outside_the_range():
    family = [wilson(20, 200), wilson(22, 200)]
    assert [m.outcome for m in verdicts(family, (-0.05, 0.3))] == ["PASS", "PASS"]
    assert [m.outcome for m in verdicts([fisher_z(0.1, 400)] * 2, (-1.5, 0.5))] == ["PASS", "PASS"]


def test_an_unknown_correction_is_refused():
    with pytest.raises(ValueError, match="'holm' or 'benjamini-hochberg'"):
        verdicts([Estimate(1, 0, 2, 9, "a")], 0, method="bh")
