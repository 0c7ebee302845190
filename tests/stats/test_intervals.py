"""Intervals against published numbers, and by how often they are right."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.stats.intervals import (
    bootstrap,
    clopper_pearson,
    correlation,
    correlation_difference,
    delong,
    fisher_z,
    paired_difference,
    ratio,
    reweighted,
    student,
    unpaired_difference,
    welch,
    wilson,
)


@pytest.mark.parametrize(
    ("k", "n", "low", "high"),
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)],
)
def test_wilson_equals_newcombe_1998(k, n, low, high):
    e = wilson(k, n)
    assert (e.low, e.high) == pytest.approx((low, high), abs=5e-5)
    assert wilson([True] * k + [False] * (n - k)) == e


@pytest.mark.parametrize(("ours", "theirs"), [(wilson, "wilson"), (clopper_pearson, "exact")])
@pytest.mark.parametrize("level", [0.5, 0.95, 0.999])
def test_intervals_of_a_share_equal_scipy(ours, theirs, level):
    from scipy.stats import binomtest

    for k, n in [(0, 1), (1, 1), (0, 7), (3, 7), (7, 7), (81, 263), (1, 9000), (49_999, 100_000)]:
        interval = binomtest(k, n).proportion_ci(level, method=theirs)
        e = ours(k, n, level=level)
        assert (e.low, e.high) == pytest.approx((interval.low, interval.high), abs=1e-12)


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


@pytest.mark.parametrize(("ups", "downs"), [(0, 0), (1, 0), (5, 5), (3, 9), (9, 3), (40, 17)])
def test_paired_difference_has_mcnemars_exact_p(ups, downs):
    from scipy.stats import binomtest

    e = paired_difference([1] * ups + [0] * downs + [1, 0], [0] * ups + [1] * downs + [1, 0])
    assert e.p == pytest.approx(binomtest(ups, ups + downs).pvalue if ups + downs else 1, rel=1e-10)


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


def test_a_statistic_undefined_on_some_resamples_decides_nothing():
    """The variance of two values is 0 where one of them is drawn alone, and so is what it is divided by."""
    x = np.array([0.0] * 11 + [1.0])

    def skewness(w):
        mean = w @ x / w.sum(1)
        with np.errstate(invalid="ignore", divide="ignore"):
            return (w @ x**3 / w.sum(1) - mean**3) / (w @ x**2 / w.sum(1) - mean**2) ** 1.5

    verdict = reweighted(skewness, 12, seed=0) > -100
    assert verdict.outcome == "INCONCLUSIVE"
    assert "not finite on" in verdict.reason
    assert "of 2000 resamples" in verdict.reason


def test_a_handful_of_units_decides_no_share():
    """Four of four are wholly above one half by Wilson, and come up in one of sixteen experiments."""
    four = wilson(4, 4)
    assert four.low > 0.5
    for verdict in (four > 0.5, paired_difference([1], [0]) > -0.9, unpaired_difference([1] * 4, [0] * 40) > 0):
        assert verdict.outcome == "INCONCLUSIVE"
        assert "an interval needs 5" in verdict.reason
    assert (wilson(5, 5) > 0.5).outcome == "PASS"


def test_a_bootstrap_that_cannot_be_is_refused():
    with pytest.raises(ValueError, match="two groups"):
        reweighted(lambda w: w.sum(1), 4, groups=[1, 1, 1, 1], seed=0)
    with pytest.raises(ValueError, match="not finite"):
        reweighted(lambda w: np.full(len(w), np.nan), 4, seed=0)
    with pytest.raises(ValueError, match="group labels"):
        reweighted(lambda w: w.sum(1), 4, groups=[1, 2], seed=0)


@pytest.mark.parametrize(
    ("k", "n", "low", "high"),
    [(81, 263, 0.2527, 0.3676), (15, 148, 0.0578, 0.1617), (0, 20, 0.0, 0.1684), (1, 29, 0.0009, 0.1776)],
)
def test_clopper_pearson_equals_newcombe_1998(k, n, low, high):
    e = clopper_pearson(k, n)
    assert (e.low, e.high) == pytest.approx((low, high), abs=5e-5)


def test_unpaired_shares_equal_newcombe_1998():
    """Table II, example (a): 56/70 against 48/80, method 10."""
    e = unpaired_difference([True] * 56 + [False] * 14, [True] * 48 + [False] * 32)
    assert (e.value, e.low, e.high) == pytest.approx((0.2, 0.0524, 0.3339), abs=5e-5)


@pytest.mark.parametrize("share", [wilson, clopper_pearson])
def test_what_is_no_share_is_refused(share):
    with pytest.raises(ValueError, match="is no share"):
        share(21, 20)
    with pytest.raises(ValueError, match="true or false"):
        share([0.2, 0.9])


def test_welch_equals_scipy():
    from scipy import stats

    rng = np.random.default_rng(0)
    a, b = rng.normal(0.5, 1, 30), rng.normal(0, 3, 50)
    reference = stats.ttest_ind(a, b, equal_var=False)
    interval = reference.confidence_interval()
    e = welch(a, b)
    assert (e.low, e.high, e.p) == pytest.approx((interval.low, interval.high, reference.pvalue), rel=1e-10)


def test_a_clustered_mean_counts_groups_and_covers():
    """Rows of a group share a shock; 95 % intervals by group hold the truth, those by row do not."""
    group = np.repeat(np.arange(40), np.tile([2, 4, 6, 8], 10))
    held = naive = 0
    for seed in range(400):
        rng = np.random.default_rng(seed)
        x = rng.normal(size=40)[group] + rng.normal(size=200)
        e, plain = student(x, groups=group), student(x)
        held += e.low < 0 < e.high
        naive += plain.low < 0 < plain.high
    assert e.n == 40
    assert 0.92 * 400 <= held <= 0.98 * 400
    assert naive < 0.8 * 400


def test_groups_of_one_are_rows():
    x = np.random.default_rng(0).normal(size=30)
    one, two = student(x, groups=np.arange(30)), student(x)
    assert (one.low, one.high, one.n) == pytest.approx((two.low, two.high, two.n))


def test_a_ratio_covers_the_truth_and_scales():
    """Fieller's interval of a ratio of correlated means, 1000 experiments of 40 units."""
    rng, held = np.random.default_rng(0), 0
    for _ in range(1000):
        shared = rng.normal(size=40)
        e = ratio(1 + shared + rng.normal(size=40), 2 + shared + rng.normal(size=40))
        held += e.low < 0.5 < e.high
    assert 930 <= held <= 970
    a, b = rng.normal(1, 1, 20), rng.normal(3, 1, 20)
    one, ten = ratio(a, b), ratio(10 * a, b)
    assert (ten.low, ten.high) == pytest.approx((10 * one.low, 10 * one.high))


def test_a_ratio_to_what_may_be_nothing_decides_nothing():
    """A mean of ratios is carried off by one small denominator; a ratio of means says that it has no interval."""
    rng = np.random.default_rng(1)
    a, b = rng.normal(1, 0.1, 30), rng.normal(0.02, 1, 30)
    assert np.abs(a / b).max() > 20
    verdict = ratio(a, b) > 0
    assert verdict.outcome == "INCONCLUSIVE"
    assert "cannot be told from 0" in verdict.reason
    with pytest.raises(ValueError, match="has mean 0"):
        ratio([1.0, 2.0], [1.0, -1.0])


def test_fisher_z_equals_scipy():
    from scipy import stats

    rng = np.random.default_rng(0)
    x = rng.normal(size=50)
    y = x + rng.normal(size=50)
    reference = stats.pearsonr(x, y)
    interval = reference.confidence_interval()
    e = correlation(x, y)
    assert (e.value, e.low, e.high, e.p) == pytest.approx(
        (reference.statistic, interval.low, interval.high, reference.pvalue), rel=1e-9
    )
    assert correlation(x, y, kind="Spearman").value == pytest.approx(stats.spearmanr(x, y).statistic)


@pytest.mark.parametrize("kind", ["Pearson", "Spearman"])
def test_correlations_cover_the_truth(kind):
    """Bivariate normal, r = 0.6, n = 40; Spearman's truth is 6/pi asin(r/2)."""
    truth = 0.6 if kind == "Pearson" else 6 / np.pi * np.arcsin(0.3)
    rng, held = np.random.default_rng(2), 0
    for _ in range(800):
        x = rng.normal(size=40)
        e = correlation(x, 0.6 * x + 0.8 * rng.normal(size=40), kind=kind)
        held += e.low < truth < e.high
    assert 0.93 * 800 <= held <= 0.975 * 800


def test_a_correlation_with_a_constant_is_undefined():
    with pytest.raises(ValueError, match="undefined"):
        correlation([1, 1, 1, 1, 1], [1, 2, 3, 4, 5])


def test_a_perfect_correlation_decides_nothing():
    assert (correlation([1, 2, 3, 4, 5], [2, 4, 6, 8, 10]) > 0.5).outcome == "INCONCLUSIVE"


def test_clustered_rows_widen_a_correlation():
    rng, group = np.random.default_rng(3), np.repeat(np.arange(30), 8)
    x, y = rng.normal(size=30)[group] + 0.2 * rng.normal(size=240), rng.normal(size=30)[group]
    by_row, by_group = correlation(x, y), correlation(x, y, groups=group)
    assert by_group.n == 30
    assert by_group.high - by_group.low > 1.5 * (by_row.high - by_row.low)


@pytest.mark.parametrize(
    ("r1", "r2", "between", "n", "low", "high"),
    [(0.396, 0.179, 0.088, 66, -0.093, 0.517), (0.2, 0.5, 0.1, 315, -0.4307, -0.1675)],
)
def test_dependent_correlations_equal_zou_2007(r1, r2, between, n, low, high):
    """The paper's example 2, and the one in the documentation of R's cocor; data are made to have just these r."""
    rng = np.random.default_rng(0)
    white = np.linalg.qr(np.column_stack([np.ones(n), rng.normal(size=(n, 3))]))[0][:, 1:]
    made = white @ np.linalg.cholesky([[1, r1, r2], [r1, 1, between], [r2, between, 1]]).T
    e = correlation_difference(*made.T)
    assert (e.low, e.high) == pytest.approx((low, high), abs=5e-4)


R_BOOT = [10, 12, 12.5, 12.5, 13.9, 15, 21, 22, 23, 34, 50, 81, 89, 121, 134, 213]


@pytest.mark.parametrize(("method", "low", "high"), [("percentile", 28.86, 84.21), ("BCa", 32.31, 91.43)])
def test_bootstraps_equal_r(method, low, high):
    """The case of scipy's own tests, from R's boot."""
    e = bootstrap(R_BOOT, method=method, resamples=200_000)
    assert (e.low, e.high) == pytest.approx((low, high), abs=0.2)


def test_bca_of_any_statistic_equals_scipy():
    from scipy.stats import bootstrap as reference

    x = np.random.default_rng(2).exponential(size=60)
    for statistic in (np.median, np.std):
        e = bootstrap(x, statistic, resamples=20_000, seed=1)
        interval = reference((x,), statistic, n_resamples=20_000, rng=0).confidence_interval
        assert (e.low, e.high) == pytest.approx((interval.low, interval.high), abs=0.02)


def test_columns_are_drawn_together():
    """A paired bootstrap: the two columns correlate 0.9, so their difference is known better than either."""
    rng = np.random.default_rng(0)
    shared = rng.normal(size=100)
    x = np.column_stack([shared + 0.3 * rng.normal(size=100), shared + 0.3 * rng.normal(size=100)])
    e = bootstrap(x, lambda s, axis: (s[..., 0] - s[..., 1]).mean(axis), resamples=2000)
    alone = student(x[:, 0])
    assert e.high - e.low < 0.6 * (alone.high - alone.low)


@pytest.mark.parametrize("sizes", [[5] * 24, [2, 8] * 12])
def test_a_cluster_bootstrap_of_rows_agrees_with_that_of_sums(sizes):
    """One draws whole groups of rows, the other their sums; groups may differ in size."""
    rng, group = np.random.default_rng(4), np.repeat(np.arange(24), sizes)
    x = rng.normal(size=24)[group] + rng.normal(size=120)
    by_sums = bootstrap(x, groups=group, resamples=4000)
    by_rows = bootstrap(x, lambda s, axis: np.mean(s, axis), groups=group, resamples=4000)
    assert (by_rows.low, by_rows.high) == pytest.approx((by_sums.low, by_sums.high), abs=0.03)
    assert by_sums.n == by_rows.n == 24


def test_few_levels_are_drawn_as_counts():
    """The same distribution, without drawing rows: quantiles agree with those of drawn rows."""
    x = np.random.default_rng(0).integers(1, 6, 150).astype(float)
    counted = bootstrap(x, resamples=20_000)
    drawn = bootstrap(x, lambda s, axis: s.mean(axis), resamples=20_000)
    assert (counted.low, counted.high) == pytest.approx((drawn.low, drawn.high), abs=0.015)


@given(st.integers(0, 2**32 - 1))
def test_a_shift_of_the_data_shifts_the_interval(seed):
    """Equivariance: shifting and scaling the data shifts and scales the interval."""
    x = np.random.default_rng(seed).normal(size=12)
    one, two = bootstrap(x, resamples=200, seed=1), bootstrap(3 * x + 7, resamples=200, seed=1)
    assert (two.low, two.high) == pytest.approx((3 * one.low + 7, 3 * one.high + 7))


def test_a_statistic_that_returns_one_number_is_told_so():
    with pytest.raises(ValueError, match="one number a sample"):
        bootstrap([1.0, 2.0, 3.0], lambda s, axis: s.mean())


def test_equal_values_decide_nothing_by_bootstrap():
    assert (bootstrap([2.0] * 10) > 1).outcome == "INCONCLUSIVE"


def test_what_rounding_leaves_of_constants_decides_nothing():
    x = np.full(10, 0.1) + 0.2
    assert (student(x) > 0.2).outcome == "INCONCLUSIVE"
    assert (student([0.1] * 9, groups=[0, 0, 0, 1, 1, 1, 2, 2, 2]) > 0.05).outcome == "INCONCLUSIVE"


def test_perfectly_related_rows_decide_nothing_by_groups_either():
    x, group = np.random.default_rng(0).normal(size=120), np.repeat(np.arange(30), 4)
    e = correlation(x, 3.3 * x + 1, groups=group)
    assert "perfect" in e.doubt
    assert (e > 0.9).outcome == "INCONCLUSIVE"
    assert e.n == 30


def test_a_common_offset_costs_a_clustered_correlation_nothing():
    rng, group = np.random.default_rng(1), np.repeat(np.arange(30), 4)
    x = rng.normal(size=120)
    y = x + rng.normal(size=120)
    one, far = correlation(x, y, groups=group), correlation(x + 1e8, y + 1e8, groups=group)
    assert (far.value, far.low, far.high) == pytest.approx((one.value, one.low, one.high), abs=1e-6)


@pytest.mark.parametrize("outcome", ["first", "second", "apart"])
def test_a_difference_of_perfect_correlations_decides_nothing(outcome):
    """It divided by zero."""
    x, y, z = np.random.default_rng(2).normal(size=(3, 50))
    verdict = (
        correlation_difference(*{"first": (x, 2 * x, y), "second": (x, y, x), "apart": (z, x, 2 * x)}[outcome]) > 0
    )
    assert verdict.outcome == "INCONCLUSIVE"
    assert "perfect" in verdict.reason


def test_rows_in_the_place_of_r_are_told_where_to_go():
    with pytest.raises(ValueError, match=r"use correlation\(x, y\)"):
        fisher_z([0.1, 0.2, 0.3, 0.4], [1.0, 2.0, 3.0, 5.0])


@pytest.mark.parametrize(("count", "instead"), [(0.308, 81), (81.7, 82)])
def test_a_share_in_the_place_of_a_count_is_refused(count, instead):
    """0.308 of 263 was taken for 0 of 263."""
    with pytest.raises(ValueError, match=f"{count} is no count of successes; pass {instead}, or booleans"):
        wilson(count, 263)


def test_a_label_that_is_none_is_shown():
    with pytest.raises(ValueError, match="such as 2"):
        wilson([0, 1, 2])


@pytest.mark.parametrize("level", [0, 1, 95])
@pytest.mark.parametrize(
    "interval",
    [
        lambda x, level: student(x, level=level),
        lambda x, level: welch(x, x + 1, level=level),
        lambda x, level: ratio(x + 9, x + 8, level=level),
        lambda x, level: wilson(x > 0, level=level),
        lambda x, level: clopper_pearson(x > 0, level=level),
        lambda x, level: correlation(x, x**2, level=level),
        lambda x, level: delong(x, np.arange(30) % 2, level=level),
        lambda x, level: bootstrap(x, level=level),
        lambda x, level: reweighted(lambda w: w @ x / w.sum(1), 30, seed=0, level=level),
    ],
)
def test_a_level_in_per_cent_is_refused(interval, level):
    with pytest.raises(ValueError, match="write 0.95 for 95 %"):
        interval(np.random.default_rng(0).normal(size=30), level)


def test_an_unknown_way_is_refused_and_case_does_not_matter():
    x, y = np.random.default_rng(0).normal(size=(2, 30))
    with pytest.raises(ValueError, match="'BCa' or 'percentile'"):
        bootstrap(x, method="nonsense")
    with pytest.raises(ValueError, match="'Pearson' or 'Spearman'"):
        correlation(x, y, kind="Kendall")
    assert correlation(x, y, kind="spearman") == correlation(x, y, kind="Spearman")


def test_too_few_resamples_are_refused():
    with pytest.raises(ValueError, match="draw 200 or more"):
        bootstrap(np.arange(20.0), resamples=99)
    with pytest.raises(ValueError, match="draw 200 or more"):
        reweighted(lambda w: w.sum(1), 20, seed=0, resamples=0)


def test_a_statistic_without_an_axis_is_told_how_to_be_written():
    with pytest.raises(ValueError, match="lambda sample, axis"):
        bootstrap(np.arange(20.0), lambda v: v.mean())
    with pytest.raises(TypeError, match="ufunc"):
        bootstrap(np.arange(20.0), lambda v, axis: v + "a")


def test_a_bootstrap_of_five_decides_nothing_and_would_pass_falsely():
    """Groups of normal means: the BCa interval alone is above 0 in 7 % where 2.5 % are due."""
    group, naive, passed = np.repeat(np.arange(5), 4), 0, 0
    for seed in range(400):
        rng = np.random.default_rng(seed)
        e = bootstrap(rng.normal(size=5)[group] + 0.3 * rng.normal(size=20), groups=group, resamples=400)
        naive += e.low > 0
        passed += (e > 0).outcome == "PASS"
    assert naive > 0.05 * 400
    assert passed == 0
    assert "5 groups is too narrow" in e.doubt
    assert "11 units" in reweighted(lambda w: w @ np.arange(11.0) / w.sum(1), 11, seed=0).doubt
    assert not bootstrap(np.arange(12.0)).doubt


UNEQUAL = [max(1, 60 // (i + 1)) for i in range(30)]
"""60, 30, 20, 15 ... rows."""


def test_unequal_groups_do_not_pass_falsely_and_counting_them_does():
    """k - 1 degrees of freedom and k/(k-1) are for equal groups."""
    group, sided, naive = np.repeat(np.arange(30), UNEQUAL), 0, 0
    for seed in range(800):
        rng = np.random.default_rng(seed)
        x = rng.normal(size=30)[group] + rng.normal(size=group.size)
        e = student(x, groups=group)
        sided += not e.low < 0 < e.high
        error = (30 / 29 * (np.bincount(group, x - x.mean()) ** 2).sum()) ** 0.5 / x.size
        naive += abs(x.mean()) > 2.045 * error
    assert not e.doubt
    assert sided < 0.08 * 800
    assert naive > 0.1 * 800


def test_one_large_group_decides_nothing():
    x = np.random.default_rng(0).normal(size=100) + 3
    verdict = student(x, groups=np.r_[np.zeros(60), np.repeat(np.arange(1, 21), 2)]) > 0
    assert verdict.outcome == "INCONCLUSIVE"
    assert "only 2.7 groups" in verdict.reason


def test_a_clustered_share_is_wilsons_and_never_narrower():
    """Of groups of one it is the plain interval, but for Student's quantile."""
    told = np.random.default_rng(0).random(400) < 0.9
    plain, single = wilson(told), wilson(told, groups=np.arange(400))
    assert (single.low, single.high) == pytest.approx((plain.low, plain.high), abs=2e-4)
    alternating = np.arange(400) % 2 == 0  # within pairs as unlike as can be
    paired = wilson(alternating, groups=np.arange(400) // 2)
    assert paired.high - paired.low >= wilson(alternating).high - wilson(alternating).low
    e = wilson(np.ones(100, bool), groups=np.arange(100) // 5)
    assert (e.low, e.high) == pytest.approx((20 / (20 + 2.093**2), 1), abs=1e-3)  # 20 units, not 100


def test_a_clustered_share_near_one_does_not_pass_falsely_and_students_does():
    """Share 0.97, 100 groups of one: how often is the interval wholly below the truth, or above it?"""
    wilsons = students = 0
    for seed in range(500):
        told = np.random.default_rng(seed).random(100) < 0.97
        e, naive = wilson(told, groups=np.arange(100)), student(told, groups=np.arange(100))
        wilsons += not e.low < 0.97 < e.high
        students += not naive.low < 0.97 < naive.high
    assert wilsons < 0.06 * 500
    assert students > 0.1 * 500
