"""Means and spreads lose no digits, and distances are what they are called."""

import numpy as np
import pytest

from lab.studies.activations import activation_compare as compare

RNG = np.random.default_rng(0)
LAYERS, WIDTH = 3, 16


def run(n=60, shift=0.0, seed=None):
    rng = RNG if seed is None else np.random.default_rng(seed)
    return 5 + shift + rng.standard_normal((n, LAYERS, WIDTH)) * np.linspace(2, 0.2, WIDTH)


@pytest.mark.parametrize("offset", [0.0, 1e6])
@pytest.mark.parametrize("batch", [1, 7, 60])
def test_statistics_of_batches_are_those_of_two_passes_in_float64(offset, batch, monkeypatch):
    monkeypatch.setattr(compare, "_PART", batch * LAYERS * WIDTH)
    x = (run(seed=3) + offset).astype(np.float32)
    found, exact = compare.summarise(x, [0, 4, 8]), x.astype(np.float64)
    np.testing.assert_allclose(found.mean, exact.mean(0), rtol=1e-12)
    np.testing.assert_allclose(found.std, exact.std(0).mean(1), rtol=1e-6)
    np.testing.assert_allclose(found.norm_of_mean, np.linalg.norm(exact.mean(0), axis=1), rtol=1e-6)
    np.testing.assert_allclose(found.mean_of_norms, np.linalg.norm(exact, axis=2).mean(0), rtol=1e-6)
    assert (found.n, found.layers, found.left_out) == (60, (0, 4, 8), ())


def test_the_sum_of_squares_formula_would_have_failed_here():
    """The fault that the test above guards against: float32 E[x^2] - E[x]^2 under a common offset."""
    x = (run(seed=3) + 1e4).astype(np.float32)
    naive = np.sqrt(np.maximum(0, (x**2).mean(0) - x.mean(0) ** 2)).mean(1)
    assert np.abs(naive / x.astype(np.float64).std(0).mean(1) - 1).max() > 0.05
    np.testing.assert_allclose(compare.summarise(x).std, x.astype(np.float64).std(0).mean(1), rtol=1e-6)


def test_the_norm_of_the_mean_is_not_the_mean_of_norms():
    x = np.concatenate([run(), -run()])
    found = compare.summarise(x)
    assert (found.norm_of_mean < 0.3 * found.mean_of_norms).all()


def test_items_that_are_not_finite_are_left_out_counted_and_named():
    x = run()
    x[[2, 5], 0, 0] = np.nan, np.inf
    found = compare.summarise(x)
    assert (found.n, found.left_out) == (58, (2, 5))
    assert found.table()["samples processed"] == 58
    np.testing.assert_allclose(found.mean, np.delete(x, [2, 5], axis=0).mean(0))
    with pytest.raises(ValueError, match="none of 1 items has finite activations"):
        _ = compare.summarise(x[2:3])


def test_activations_of_another_shape_are_refused():
    with pytest.raises(ValueError, match="do not fit 3 layers"):
        compare.summarise(run(2)[:, :2], [0, 4, 8])
    with pytest.raises(ValueError, match=r"must be \[n, layers, d_model\]"):
        compare.summarise(run(2)[0])


def test_a_run_is_the_same_as_itself():
    one = compare.summarise(run())
    found = compare.compare(one, one, names=("a", "a"))
    np.testing.assert_allclose(found.cosine, 1, rtol=1e-12)
    assert not found.l2.any()
    assert found.means == pytest.approx({"mean cosine": 1, "mean l2": 0, "mean relative l2": 0})
    assert compare.compare(one, compare.summarise(run()), names=("a", "b")).l2.all()


def test_distances_are_those_of_their_names_over_common_layers():
    a, b = {0: [3.0, 4.0], 2: [0.0, 0.0], 5: [1.0, 0.0]}, {0: [4.0, 3.0], 2: [0.0, 2.0], 7: [1.0, 1.0]}
    found = compare.compare(a, b, names=("a", "b"))
    assert found.layers == (0, 2)
    np.testing.assert_allclose(found.cosine, [0.96, 0])
    np.testing.assert_allclose(found.l2, [np.sqrt(2), 2])
    np.testing.assert_allclose(found.relative_l2, [np.sqrt(2) / 5, 2])
    told = found.table()
    assert told["zero vectors at layers"] == [2]
    assert told["mean cosine"] == pytest.approx(np.mean(list(told["cosine"].values())))
    assert told["mean l2"] == pytest.approx(np.mean(list(told["l2"].values())))
    assert "l2" not in found.table(per_layer=False)
    with pytest.raises(ValueError, match=r"a has layers \[0\] and b \[1\]; none is in both"):
        compare.compare({0: [1.0]}, {1: [1.0]}, names=("a", "b"))
    with pytest.raises(ValueError, match="differ in width"):
        compare.compare({0: [1.0]}, {0: [1.0, 2.0]}, names=("a", "b"))


def test_three_runs_make_three_pairs_or_two_with_the_first():
    assert compare.pairs("abc") == [("a", "b"), ("a", "c"), ("b", "c")]
    assert compare.pairs("abc", "baseline") == [("a", "b"), ("a", "c")]
    with pytest.raises(ValueError, match="choose pairwise or baseline"):
        compare.pairs("ab", "best")
    with pytest.raises(ValueError, match="two runs of different names"):
        compare.pairs("aa")


def test_what_is_kept_of_a_run_is_read_back_equal():
    one, two = compare.summarise(run(), [1, 4, 9]), compare.summarise(run(shift=1), [1, 4, 9])
    back = compare.saved(one.arrays("a/b") | two.arrays("c"))
    found = compare.compare(back["a/b"], back["c"], names=("a/b", "c"))
    assert found.table() == compare.compare(one, two, names=("a/b", "c")).table()
    assert all(array.dtype == np.float32 for name, array in one.arrays("x").items() if name.endswith("mean"))
    with pytest.raises(ValueError, match="no mean vectors"):
        compare.saved({"weights": np.zeros(3)})
