"""Effect sizes against published numbers, pingouin, and their laws."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from lab.stats.effects import cliffs_delta, cohen_d, cohen_d_paired, hedges_g


def exactly(mean, sd, n):
    """n values with exactly this mean and standard deviation."""
    z = np.linspace(-1, 1, n)
    return mean + sd * (z - z.mean()) / z.std(ddof=1)


def test_borenstein_2009():
    x, y = exactly(103, 5.5, 50), exactly(100, 4.5, 50)
    d, g = cohen_d(x, y), hedges_g(x, y)
    assert (d.value, g.value, g.value / d.value) == pytest.approx((0.5970, 0.5924, 0.9923), abs=5e-5)
    # The book's variances .0418 and .0411 make a normal interval; the noncentral t's is a little to the left.
    assert (d.high - d.low) / 2 / 1.959964 == pytest.approx(0.0418**0.5, rel=0.005)
    assert (g.high - g.low) / 2 / 1.959964 == pytest.approx(0.0411**0.5, rel=0.005)


def test_the_interval_inverts_the_noncentral_t():
    from scipy.stats import nct

    x, y = exactly(1.0, 1.0, 12), exactly(0.2, 1.3, 9)
    e, scale = cohen_d(x, y), (1 / 12 + 1 / 9) ** 0.5
    assert nct.sf(e.value / scale, 19, e.low / scale) == pytest.approx(0.025, abs=1e-6)
    assert nct.cdf(e.value / scale, 19, e.high / scale) == pytest.approx(0.025, abs=1e-6)


def test_a_large_effect_of_many_units_still_has_an_interval():
    e = cohen_d(exactly(5, 1, 20_000), exactly(0, 1, 20_000))
    half = 1.959964 * (2 / 20_000 + 25 / (4 * 20_000)) ** 0.5
    assert (e.low, e.high) == pytest.approx((5 - half, 5 + half), abs=1e-3)


def test_values_equal_pingouin():
    pytest.importorskip("pingouin")
    from lab.stats import second_opinion

    rng = np.random.default_rng(0)
    x, y = rng.normal(0.4, 1, 30), rng.normal(0, 1.4, 30)
    for kind, ours, tolerance in (
        ("cohen_d", cohen_d(x, y), 1e-12),
        ("hedges_g", hedges_g(x, y), 1e-4),  # pingouin's J is an approximation
        ("cohen_d_average", cohen_d_paired(x, y, standardiser="average"), 1e-12),
        ("cliffs_delta", cliffs_delta(x, y), 1e-12),
    ):
        assert second_opinion.effect_size(x, y, kind)["value"] == pytest.approx(ours.value, rel=tolerance)


def test_d_covers_the_truth():
    rng = np.random.default_rng(1)
    missed = np.zeros(2)
    for _ in range(500):
        e = cohen_d(rng.normal(0.8, 1, 12), rng.normal(0, 1, 20))
        missed += e.low > 0.8, e.high < 0.8
    assert (abs(missed / 500 - 0.025) < 0.02).all()


@pytest.mark.parametrize("standardiser", ["difference", "average"])
def test_paired_d_covers_its_own_truth(standardiser):
    rng, r = np.random.default_rng(2), 0.8
    truth = 0.5 / (2 - 2 * r) ** 0.5 if standardiser == "difference" else 0.5
    missed = np.zeros(2)
    for _ in range(500):
        z = rng.normal(size=(2, 15))
        e = cohen_d_paired(z[0] + 0.5, r * z[0] + (1 - r * r) ** 0.5 * z[1], standardiser=standardiser)
        missed += e.low > truth, e.high < truth
    assert (missed / 500 < 0.065).all()


def test_the_two_paired_variants_are_named_and_differ():
    rng = np.random.default_rng(3)
    y = rng.normal(size=40)
    x = y + 0.3 + 0.2 * rng.normal(size=40)
    z, av = (cohen_d_paired(x, y, standardiser=kind) for kind in ("difference", "average"))
    assert (z.method, av.method) == ("Cohen's d_z", "Cohen's d_av")
    assert z.value > 3 * av.value
    assert z.p == av.p


def test_perfect_separation_decides_nothing():
    e = cliffs_delta([5.0, 6.0, 7.0], [1.0, 2.0, 3.0])
    assert e.value == 1
    assert (e > 0.5).outcome == "INCONCLUSIVE"
    assert "separated" in e.doubt


def test_clustered_delta_counts_clusters():
    rng = np.random.default_rng(4)
    group = np.repeat(np.arange(12), 8)
    values = rng.normal(size=12)[group] + 0.1 * rng.normal(size=96)
    naive, by_group = cliffs_delta(values[:48], values[48:]), cliffs_delta(values[:48], values[48:], groups=group)
    assert (naive.n, by_group.n) == (96, 12)
    assert by_group.high - by_group.low > 1.5 * (naive.high - naive.low)


ROWS = arrays(float, st.integers(3, 20), elements=st.floats(-100, 100, width=32))


@given(ROWS, ROWS, st.floats(0.1, 10), st.floats(-50, 50))
def test_effect_sizes_know_no_unit_and_turn_with_the_order(x, y, scale, shift):
    if x.std() + y.std() < 1e-3:
        return
    d = cohen_d(x, y)
    assert cohen_d(scale * x + shift, scale * y + shift).value == pytest.approx(d.value, rel=1e-6, abs=1e-6)
    assert cohen_d(y, x).value == pytest.approx(-d.value)
    assert abs(hedges_g(x, y).value) <= abs(d.value)
    assert cliffs_delta(y, x).value == pytest.approx(-cliffs_delta(x, y).value)


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: cohen_d([2.0, 2.0], [1.0, 1.0]), "no spread"),
        (lambda: cohen_d([1.0], [1.0, 2.0]), "at least two"),
        (lambda: cohen_d([1.0, np.nan], [1.0, 2.0]), "not finite"),
        (lambda: cohen_d_paired([1.1, 2.1, 3.1], [1.0, 2.0, 3.0], standardiser="difference"), "no spread"),
        (lambda: cohen_d_paired([1.0, 2.0], [1.0, 3.0], standardiser="pooled"), "d_z"),
    ],
)
def test_what_has_no_effect_size_is_refused(call, said):
    with pytest.raises(ValueError, match=said):
        call()
