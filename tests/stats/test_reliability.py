"""Reliability against published tables, pingouin, and the traps it was built for."""

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from lab.stats.reliability import (
    cross_seed,
    discrimination_rate,
    icc,
    icc_batch,
    icc_bootstrap,
    icc_generalized,
    informative_correlation,
    informative_correlation_by_third,
    kl_bias,
    kl_from_uniform,
    kl_observed_range,
    kl_plugin,
    variance_ratio,
)

TABLE_2 = [[9, 2, 5, 8], [6, 1, 3, 2], [8, 4, 6, 8], [7, 1, 2, 6], [10, 5, 6, 9], [6, 2, 4, 7]]
DYESTUFF = [
    [1545, 1440, 1440, 1520, 1580],
    [1540, 1555, 1490, 1560, 1495],
    [1595, 1550, 1605, 1510, 1560],
    [1445, 1440, 1595, 1465, 1545],
    [1595, 1630, 1515, 1635, 1625],
    [1520, 1455, 1450, 1480, 1445],
]

# Intraclass correlations ------------------------------------------------------------------------------


def test_shrout_and_fleiss_1979_table_4():
    found = icc(TABLE_2)
    published = {
        "1,1": (0.165742, -0.132932, 0.722560, 0.164769),
        "2,1": (0.289764, 0.018787, 0.761084, 0.000134567),
        "3,1": (0.714841, 0.342465, 0.945858, 0.000134567),
        "1,k": (0.442797, -0.884442, 0.912415, 0.164769),
        "2,k": (0.620051, 0.071137, 0.927232, 0.000134567),
        "3,k": (0.909316, 0.675675, 0.985892, 0.000134567),
    }
    assert list(found) == list(published)
    for form, (value, low, high, p) in published.items():
        e = found[form]
        assert (e.value, e.low, e.high) == pytest.approx((value, low, high), abs=1e-6)
        assert e.p == pytest.approx(p, rel=1e-5)
        assert e.n == 6
    assert [round(e.value, 2) for e in found.values()] == [0.17, 0.29, 0.71, 0.44, 0.62, 0.91]


def test_dyestuff_variance_components():
    """Batches as targets: the published variances 1764.05 and 2451.25 make ICC(1,1)."""
    assert icc(DYESTUFF)["1,1"].value == pytest.approx(1764.05 / (1764.05 + 2451.25), abs=1e-6)


@pytest.mark.parametrize("shape", [(6, 2), (30, 4), (200, 3)])
def test_iccs_equal_pingouin(shape):
    pytest.importorskip("pingouin")
    from lab.stats import second_opinion

    rng = np.random.default_rng(0)
    x = 0.7 * rng.normal(size=(shape[0], 1)) + rng.normal(size=shape) + np.arange(shape[1])
    ours = icc(x)
    for form, theirs in second_opinion.icc(x).items():
        assert ours[form].value == pytest.approx(theirs["value"], abs=1e-9)
        assert ours[form].p == pytest.approx(theirs["p"], rel=1e-6)
        assert (ours[form].low, ours[form].high) == pytest.approx((theirs["low"], theirs["high"]), abs=0.00501)


def test_f_says_nothing_about_raters():
    """Targets without variance, raters shifted by 0, 5, 10, 15: no agreement, whatever the raters' own F (here > 1000)."""
    x = np.random.default_rng(1).normal(size=(50, 4)) + [0, 5, 10, 15]
    assert icc(x)["2,1"].p > 0.05


def test_a_batch_is_its_tables():
    x = np.random.default_rng(2).normal(size=(2, 3, 10, 4))
    batch = icc_batch(x)
    for form, e in icc(x[1, 2]).items():
        assert batch[form].shape == (2, 3)
        assert batch[form][1, 2] == pytest.approx(e.value)


@pytest.mark.parametrize(
    ("ratings", "form", "said"),
    [
        (np.full((8, 3), 0.1), "2,1", "undefined"),
        (np.repeat(np.arange(8.0)[:, None], 3, axis=1), "1,1", "perfectly"),
        (np.repeat(np.linspace(0.1, 0.7, 8)[:, None], 3, axis=1), "2,k", "perfectly"),
        (np.arange(8.0)[:, None] + [0, 1, 2], "3,1", "perfectly"),
    ],
)
def test_what_cannot_be_told_is_in_doubt(ratings, form, said):
    e = icc(ratings)[form]
    assert said in e.doubt
    assert (e > 0.5).outcome == "INCONCLUSIVE"
    assert icc_bootstrap(ratings, form).doubt == e.doubt


def test_missing_ratings_are_refused_with_what_to_drop():
    x = np.arange(40.0).reshape(10, 4)
    x[3, 1] = x[7, 0] = x[7, 2] = np.nan
    with pytest.raises(ValueError, match=r"2 of 10 targets have missing ratings \(rows 3, 7\); drop those 2"):
        icc(x)
    with pytest.raises(ValueError, match="two or more of each"):
        icc(x[:, :1])
    with pytest.raises(ValueError, match="form is one of"):
        icc_bootstrap(TABLE_2, "4,1")


TABLES = arrays(float, st.tuples(st.integers(2, 8), st.integers(2, 5)), elements=st.integers(-50, 50))


@given(TABLES, st.floats(0.01, 100), st.floats(-1000, 1000), st.randoms(use_true_random=False))
def test_an_icc_knows_no_unit_and_no_order(x, scale, shift, random):
    before = icc(x)
    rows, columns = list(range(x.shape[0])), list(range(x.shape[1]))
    random.shuffle(rows)
    random.shuffle(columns)
    after = icc(scale * x[rows][:, columns] + shift)
    for form, e in before.items():
        assert e.value <= 1 + 1e-9
        assert e.low <= e.value <= e.high
        if not e.doubt and not after[form].doubt:
            assert after[form].value == pytest.approx(e.value, rel=1e-4, abs=1e-6)
        elif form[0] != "2" or e.value > 0:  # Satterthwaite's degrees of freedom are no function of a negative ICC(2,1)
            assert after[form].doubt == e.doubt


def test_the_f_interval_covers_normal_ratings_and_the_bootstrap_skewed_ones():
    """Targets skewed as an exponential: F misses the truth in about a quarter, BCa in far fewer."""
    rng = np.random.default_rng(3)
    missed = np.zeros(3)
    for at in range(200):
        noise = 0.2**0.5 * rng.normal(size=(100, 3))
        skewed = 0.8**0.5 * (rng.exponential(size=(100, 1)) - 1) + noise
        found = [icc(0.8**0.5 * rng.normal(size=(100, 1)) + noise)["2,1"], icc(skewed)["2,1"]]
        if at % 3 == 0:
            found.append(icc_bootstrap(skewed, resamples=600))
        missed[: len(found)] += [not e.low <= 0.8 <= e.high for e in found]
    normal, by_f, by_bootstrap = missed / [200, 200, 67]
    assert normal < 0.09
    assert by_bootstrap < 0.14 < by_f


def test_four_raters_fool_the_f_interval_and_not_the_generalised_one():
    """Raters as unlike as the noise is large: F lies above the truth in one of nine; it is then in doubt."""
    fooled = decided = generalised = 0
    for seed in range(300):
        rng = np.random.default_rng(seed)
        x = rng.normal(size=(100, 1)) + rng.normal(size=(1, 4)) + rng.normal(size=(100, 4))
        f = icc(x)["2,1"]
        fooled += f.low > 1 / 3
        decided += (f > 1 / 3).outcome == "PASS"
        generalised += icc_generalized(x, seed=seed, draws=2000).low > 1 / 3
    assert fooled > 0.065 * 300
    assert decided <= 0.04 * 300
    assert generalised <= 0.05 * 300


def test_the_generalised_interval_is_of_agreement_alone():
    with pytest.raises(ValueError, match="use icc for the others"):
        icc_generalized(np.ones((5, 3)), "3,1")
    assert icc_generalized(np.tile([[1.0], [2.0], [3.0]], 4)).doubt


def test_reliability_needs_no_pingouin():
    code = (
        "import sys; sys.modules['pingouin'] = None; sys.modules['pandas'] = None\n"
        "from lab.stats.reliability import icc, kl_from_uniform, cross_seed\n"
        f"print(round(icc({TABLE_2})['2,1'].value, 6), 'scipy.stats' in sys.modules)"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert said.split() == ["0.289764", "False"]


def test_the_variance_ratio_is_not_an_icc():
    x = np.random.default_rng(4).normal(size=(400, 3))
    x[:40, 2] = np.nan
    e = variance_ratio(x)
    kept = x[np.isfinite(x).sum(1) >= 2]
    means = np.nanvar(np.nanmean(kept, 1), ddof=1)
    assert e.value == pytest.approx(means / (means + np.nanvar(kept, 1, ddof=1).mean()))
    assert e.low > 0.2  # of pure noise, 1/(1 + 3)
    assert icc(x[40:])["1,1"].high < 0.15


@pytest.mark.filterwarnings("error")
def test_a_variance_ratio_of_two_tasks_says_nothing_on_the_side():
    assert variance_ratio([[1, 2, 3], [4, 5, 5]]).doubt


def test_the_variance_ratio_skips_tasks_with_one_rating_and_doubts_constants():
    x = np.array([[1, 2], [4, 4], [5, np.nan], [2, 3]])
    assert variance_ratio(x) == variance_ratio(x[[0, 1, 3]])
    assert variance_ratio(np.full((5, 3), 0.1)).doubt
    with pytest.raises(ValueError, match="two tasks"):
        variance_ratio([[1, np.nan], [2, 3]])


# Between seeds ----------------------------------------------------------------------------------------


def test_all_pairs_of_seeds_are_there():
    from scipy.stats import pearsonr, spearmanr

    rng = np.random.default_rng(5)
    x = rng.normal(size=(60, 1)) + rng.normal(size=(60, 4))
    x[:30, 3] = np.nan
    found = cross_seed(x)
    assert found.pairs == ((0, 1), (0, 2), (0, 3), (1, 2), (1, 3), (2, 3))
    assert found.overlap.tolist() == [60, 60, 30, 60, 30, 30]
    for (a, b), r, rank in zip(found.pairs, found.pearson, found.spearman, strict=True):
        both = np.isfinite(x[:, a] + x[:, b])
        assert r == pytest.approx(pearsonr(x[both, a], x[both, b])[0])
        assert rank == pytest.approx(spearmanr(x[both, a], x[both, b])[0])
    assert found.mean.value == pytest.approx(found.pearson.mean())
    assert found.mean_spearman.value == pytest.approx(found.spearman.mean())
    assert found.std == pytest.approx(found.pearson.std(ddof=1))
    assert (found.n_pairs, found.n_undefined, found.mean.n) == (6, 0, 60)


def test_a_constant_seed_is_undefined_and_counted():
    """Neither 0 nor 1: a naive nan_to_num would halve the mean."""
    rng = np.random.default_rng(6)
    x = np.arange(40)[:, None] + rng.normal(size=(40, 3))
    x[:, 2] = 4
    found = cross_seed(x)
    assert np.isnan(found.pearson[1:]).all()
    assert (found.n_pairs, found.n_undefined) == (3, 2)
    assert found.mean.value == pytest.approx(found.pearson[0])
    assert np.nan_to_num(found.pearson).mean() < 0.5 < found.mean.value
    assert np.isnan(found.std)


def test_few_tasks_beside_the_mode_do_not_refute_a_correlation():
    """150 tasks, four seeds, 92 % of the ratings at the mode, r = 0.2: 3 tasks a pair carry it, and a resample may not.

    By drawing tasks alone the interval lies below the truth in 12 % of tables.
    """
    below = 0
    for seed in range(100):
        rng = np.random.default_rng(seed)
        leaves = rng.beta(0.08 * 4, 0.92 * 4, 150)  # shares of variance between tasks of 1 / (4 + 1)
        found = cross_seed(5.0 - (rng.random((150, 4)) < leaves[:, None]))
        assert found.mean.doubt or found.mean.method.endswith("Fisher z")
        below += (found.mean > 0.2).outcome == "FAIL"
    assert below <= 6
    even = np.random.default_rng(0).integers(1, 6, (150, 1)) + np.random.default_rng(1).normal(0, 1, (150, 4))
    assert "Fisher" not in cross_seed(even).mean.method, "where ratings are spread, tasks are drawn and that is all"


def test_no_defined_pair_decides_nothing():
    for x in (np.full((20, 3), 4.0), np.random.default_rng(7).normal(size=(9, 3))):
        found = cross_seed(x)
        assert found.n_undefined == found.n_pairs == 3
        assert (found.mean > -0.9).outcome == "INCONCLUSIVE"
        assert "no pair" in found.mean.doubt


def test_pairs_are_not_independent_but_tasks_are():
    """Ten pairs of five seeds: a t-interval over pairs misses the truth most times, drawing tasks does not."""
    from lab.stats.means import student

    rng = np.random.default_rng(8)
    naive = ours = 0
    for seed in range(80):
        found = cross_seed(rng.normal(size=(60, 1)) + rng.normal(size=(60, 5)), seed=seed)
        by_pair = student(found.pearson)
        naive += not by_pair.low <= 0.5 <= by_pair.high
        ours += not found.mean.low <= 0.5 <= found.mean.high
    assert naive > 20
    assert ours <= 10


# Tasks off the mode -----------------------------------------------------------------------------------


def independent(seeds, tasks=1500):
    return np.random.default_rng(9).choice(np.arange(1.0, 6), p=[0.04, 0.06, 0.05, 0.05, 0.8], size=(tasks, seeds))


def test_independent_seeds_seem_to_disagree_where_tasks_are_dropped_by_both():
    """A collider: dropping the tasks that both rate 5 leaves r = -0.6 of seeds that have nothing in common."""
    x = independent(3)
    kept = (x[:, 0] != 5) | (x[:, 1] != 5)
    naive = np.corrcoef(x[kept, 0], x[kept, 1])[0, 1]
    found = informative_correlation(x[:, 0], x[:, 1])
    assert naive < -0.5
    assert found.r == pytest.approx(naive)
    assert found.null_low < found.r < found.null_high
    assert found.p > 0.05
    assert found.excess.low < 0 < found.excess.high
    assert found.excess.value == pytest.approx(found.r - found.null_mean, abs=0.01)
    third = informative_correlation_by_third(x)
    assert third.low < 0 < third.high
    assert abs(third.value) < 0.15


def test_independent_seeds_exceed_the_null_in_few_tables():
    rng, missed = np.random.default_rng(15), np.zeros(2)
    for seed in range(60):
        x = rng.choice(np.arange(1.0, 6), p=[0.05, 0.05, 0.05, 0.05, 0.8], size=(2, 150))
        e = informative_correlation(*x, seed, permutations=199).excess
        missed += e.low > 0, e.high < 0
    assert missed.sum() <= 6


def test_seeds_that_share_something_exceed_the_null_though_r_is_negative():
    rng = np.random.default_rng(10)
    cuts = [-1.7, -1.3, -1.0, -0.84]
    x = 1.0 + np.searchsorted(cuts, 0.7 * rng.normal(size=(1500, 1)) + 0.5**0.5 * rng.normal(size=(1500, 3)))
    found = informative_correlation(x[:, 0], x[:, 1])
    assert found.r < 0
    assert (found.excess > 0.1).outcome == "PASS"
    assert found.p < 0.01
    assert (informative_correlation_by_third(x) > 0.1).outcome == "PASS"


def test_the_discrimination_rate_is_the_share_of_kept_tasks():
    first, second = [5, 5, 4, 5, 3.2], [5, 4, 4, 4.9, 3.0]
    assert discrimination_rate(first, second).value == pytest.approx(3 / 5)
    assert informative_correlation(first, second).discrimination.value == pytest.approx(3 / 5)


@pytest.mark.parametrize(
    ("first", "second"), [([4, 4, 4, 4], [4, 4, 4, 4]), ([4, 4, 4, 4], [4, 4, 4, 1]), ([4, 4, 4, 4], [4, 4, 1, 2])]
)
def test_fewer_than_two_kept_tasks_or_a_constant_seed_have_no_correlation(first, second):
    found = informative_correlation(first, second)
    assert np.isnan(found.r)
    assert (found.excess > -1).outcome == "INCONCLUSIVE"


def test_a_copied_seed_decides_nothing():
    """A run that was read twice, or one without randomness, correlates with itself."""
    rng = np.random.default_rng(0)
    one, other = rng.integers(1, 6, size=(2, 60)).astype(float)
    ratings = np.stack([one, other, one], axis=1)
    found = cross_seed(ratings)
    for e in (found.mean, found.mean_spearman, informative_correlation_by_third(ratings)):
        assert "seeds 0 and 2 rated all tasks the same" in (e > -0.5).reason
        assert (e > -0.5).outcome == "INCONCLUSIVE"
    assert (informative_correlation(one, one).excess > 0).outcome == "INCONCLUSIVE"
    assert not cross_seed(ratings[:, :2]).mean.doubt


def test_a_third_seed_that_chooses_little_decides_nothing():
    e = informative_correlation_by_third(independent(3, tasks=100))
    assert "off the mode in both" in e.doubt
    assert informative_correlation_by_third(np.full((30, 3), 4.0)).doubt
    with pytest.raises(ValueError, match="3 seeds"):
        informative_correlation_by_third(independent(2))


# Use of the scale -------------------------------------------------------------------------------------

RATINGS = st.lists(st.integers(1, 7), min_size=1, max_size=40)


@settings(max_examples=40)
@given(RATINGS)
def test_the_divergence_lies_between_0_and_ln_k(ratings):
    e = kl_from_uniform(ratings, range(1, 8))
    assert 0 <= e.low <= e.value <= e.high <= np.log(7) + 1e-12
    assert e.value <= kl_plugin(ratings, range(1, 8)) + 1e-12 <= np.log(7) + 2e-12


def test_constant_answers_give_exactly_ln_k_and_decide_nothing():
    e = kl_from_uniform([4] * 20, range(1, 8))
    assert e.value == kl_plugin([4] * 20, range(1, 8)) == np.log(7)
    assert (e > 1).outcome == "INCONCLUSIVE"
    assert "every answer is the same" in e.doubt


def test_cover_and_thomas():
    assert kl_plugin([1, 1, 1, 1, 2, 2, 3, 4], [1, 2, 3, 4]) == pytest.approx(0.25 * np.log(2))


def test_the_bias_of_the_plug_in_is_as_miller_says():
    assert [round(kl_bias(n, 7), 3) for n in (10, 20, 50, 200)] == [0.3, 0.15, 0.06, 0.015]
    rng = np.random.default_rng(11)
    for n, measured in ((10, 0.360), (20, 0.166), (50, 0.062), (200, 0.015)):
        mean = np.mean([kl_plugin(rng.integers(1, 8, n), range(1, 8)) for _ in range(400)])
        assert mean == pytest.approx(measured, rel=0.12)


def test_uniform_answers_are_not_found_to_discriminate():
    """20 answers on seven points: the plug-in lies above 0.1 in most samples, and a verdict says so in hardly any."""
    rng = np.random.default_rng(12)
    naive = passed = 0
    for seed in range(60):
        ratings = rng.integers(1, 8, 20)
        naive += kl_plugin(ratings, range(1, 8)) > 0.1
        passed += (kl_from_uniform(ratings, range(1, 8), seed) > 0.1).outcome == "PASS"
    assert naive > 30
    assert passed <= 2


def test_the_interval_covers_a_peaked_truth():
    rng, p = np.random.default_rng(13), np.array([0.05, 0.05, 0.1, 0.6, 0.2])
    truth = np.log(5) + (p * np.log(p)).sum()
    missed = np.zeros(2)
    for seed in range(100):
        e = kl_from_uniform(rng.choice(5, p=p, size=40), range(5), seed)
        missed += e.low > truth, e.high < truth
    assert (missed <= 7).all()


def test_a_stray_850_enters_the_observed_range_but_never_the_declared_one():
    """The parser took "850 square inches" for a rating: 5.61 nats, on a scale where ln 5 = 1.61 is the most."""
    ratings = np.random.default_rng(14).integers(1, 6, 300).astype(float)
    ratings[17] = 850
    with pytest.warns(UserWarning, match="exceed the declared scale 1 to 5"):
        naive = kl_observed_range(ratings, range(1, 6))
    assert naive > 5 > np.log(5)
    with pytest.raises(ValueError, match="off the scale 1 to 5: 850"):
        kl_from_uniform(ratings, range(1, 6))
    with pytest.raises(ValueError, match="off the scale"):
        kl_plugin(ratings, range(1, 6))


def test_the_observed_range_is_undefined_for_equal_ratings_and_differs_where_points_are_unused():
    assert np.isnan(kl_observed_range([4, 4, 4.2]))
    assert kl_observed_range([3, 4, 3, 4]) == pytest.approx(0)
    assert kl_plugin([3, 4, 3, 4], range(1, 6)) == pytest.approx(np.log(5 / 2))


@pytest.mark.parametrize("scale", [[3], [3, 3]])
def test_a_scale_of_one_point_is_refused(scale):
    with pytest.raises(ValueError, match="two"):
        kl_plugin([3, 3], scale)


def test_a_pair_is_the_ends_of_a_scale_where_that_is_plain_and_refused_where_not():
    assert kl_from_uniform([1, 2, 4, 4, 5], (1, 5)).value == kl_from_uniform([1, 2, 4, 4, 5], range(1, 6)).value
    with pytest.raises(ValueError, match="may be two points or the ends of 5"):
        kl_from_uniform([1, 5, 5, 1], (1, 5))
    assert kl_from_uniform([1, 5, 5, 1], [1, 5]).value == 0
    with pytest.raises(ValueError, match="row of its points"):
        kl_from_uniform([1, 2], 5)
