"""Means and spreads lose no digits, distances are what they are called, and what is noise is told from what is not."""

import numpy as np
import pytest

from lab.methods import activation_compare as compare

RNG = np.random.default_rng(0)
LAYERS, WIDTH = 3, 16


def run(n=60, shift=0.0, seed=None):
    rng = RNG if seed is None else np.random.default_rng(seed)
    return 5 + shift + rng.standard_normal((n, LAYERS, WIDTH)) * np.linspace(2, 0.2, WIDTH)


@pytest.mark.parametrize("offset", [0.0, 1e6])
@pytest.mark.parametrize("batch", [1, 7, 60])
def test_statistics_of_batches_are_those_of_two_passes_in_float64(offset, batch):
    x = (run(seed=3) + offset).astype(np.float32)
    collected = compare.Running([0, 4, 8])
    for start in range(0, len(x), batch):
        collected.add(x[start : start + batch])
    found, exact = collected.summary, x.astype(np.float64)
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


def test_batches_of_another_shape_are_refused():
    collected = compare.Running()
    collected.add(run(2))
    with pytest.raises(ValueError, match="does not fit 3 layers"):
        collected.add(run(2)[:, :2])
    with pytest.raises(ValueError, match=r"must be \[n, layers, d_model\]"):
        collected.add(run(2)[0])


def test_a_run_is_the_same_as_itself():
    one = compare.summarise(run())
    found = compare.compare(one, one, names=("a", "a"))
    assert found.same
    assert found.means == pytest.approx({"mean cosine": 1, "mean l2": 0, "mean relative l2": 0})
    assert not compare.compare(one, compare.summarise(run()), names=("a", "b")).same


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


@pytest.mark.parametrize("paired", [True, False])
def test_runs_that_differ_at_one_layer_are_told_apart_there(paired):
    a = run(seed=1)
    b = a + 0.05 * RNG.standard_normal(a.shape) if paired else run(seed=2)
    b[:, 1] += np.linspace(-1, 1, WIDTH)
    found = compare.diverging(a, b, paired=paired, layers=[0, 6, 12], permutations=300, resamples=400)
    assert found.ranked()[0] == found.ranked("relative_l2")[0] == 6
    assert [e.p < 0.05 for e in found.cosine_distance] == [False, True, False]
    assert [e.p < 0.05 for e in found.relative_l2] == [False, True, False]
    assert found.relative_l2[1].low > 0
    assert [row["layer"] for row in found.table()] == found.ranked()


def test_intervals_hold_the_distance_that_was_planted():
    """Of 150 draws like these 95 % held it; of a mean that keeps its noise, fewer."""
    apart = np.linspace(-1, 1, WIDTH)
    sizes = [np.linalg.norm(5 + move) for move in (0 * apart, apart)]
    truth = np.linalg.norm(apart) / np.mean(sizes)
    held = 0
    for seed in range(30):
        a, b = run(seed=seed), run(seed=1000 + seed) + apart
        e = compare.diverging(a[:, :1], b[:, :1], paired=False, permutations=200, resamples=400, seed=seed).relative_l2[
            0
        ]
        held += e.low < truth < e.high
    assert held >= 26


def test_two_draws_of_one_run_are_at_no_distance_on_average():
    """A distance of two means is biased upwards by their noise; the estimate of its square is not."""
    found = [
        compare.diverging(run(20), run(20), paired=False, permutations=200, resamples=200, seed=i) for i in range(40)
    ]
    values = np.array([one.overall["separation"].value for one in found])
    assert abs(values.mean()) < 3 * values.std() / np.sqrt(len(values))
    plain = [np.linalg.norm(run(20).mean(0) - run(20).mean(0)) for _ in range(10)]
    assert min(plain) > 0.5
    assert sum(min(e.p for e in one.cosine_distance) < 0.05 for one in found) <= 6


def test_groups_are_drawn_whole_and_stand_in_one_run():
    groups = np.repeat(np.arange(15), 4)
    a = run() + np.repeat(RNG.standard_normal((15, LAYERS, WIDTH)), 4, axis=0)
    alone = compare.diverging(a, run(), paired=False, permutations=200, resamples=300)
    both = np.concatenate([groups, groups + 15])
    together = compare.diverging(a, run(), paired=False, groups=both, permutations=200, resamples=300)
    assert (alone.overall["separation"].n, together.overall["separation"].n) == (120, 30)
    with pytest.raises(ValueError, match="a group stands in both runs"):
        compare.diverging(a, run(), paired=False, groups=np.concatenate([groups, groups]))


@pytest.mark.parametrize(
    ("a", "b", "said"),
    [
        (run(5), run(6), "do not fit; same layers, and same items where paired"),
        (run(5)[0], run(5), "activations of the first run must be"),
        (np.full((5, 2, 3), np.nan), np.ones((5, 2, 3)), "5 items of the first run are not finite, as item 0"),
    ],
)
def test_runs_that_cannot_be_compared_are_told_in_one_line(a, b, said):
    with pytest.raises(ValueError, match=said) as error:
        compare.diverging(a, b, paired=True)
    assert "\n" not in str(error.value)


def cells(data, prompt, both, n=60):
    """Two data sets under two prompts, with effects of these sizes; items vary far more than the effects."""
    axes = np.eye(WIDTH)[:3]
    made = []
    for i in (-0.5, 0.5):
        items = run(n)
        made.append(
            [items + i * data * axes[0] + j * prompt * axes[1] + 2 * i * j * both * axes[2] for j in (-0.5, 0.5)]
        )
    return made


def test_the_split_finds_what_was_planted_and_its_shares_add_up():
    found = compare.split(cells(4, 2, 1, n=400), resamples=400)
    for layer in range(LAYERS):
        shares = [part[layer].value for part in (found.data, found.prompt, found.interaction)]
        assert sum(shares) == pytest.approx(1)
        assert shares == pytest.approx([16 / 21, 4 / 21, 1 / 21], abs=0.05)
    assert (found.data_over_prompt > 0.3).outcome == "PASS"
    assert sum(e.value for e in found.overall.values()) == pytest.approx(1)
    assert found.told.startswith("Of the divergence, ")


def test_the_split_follows_the_prompt_where_the_prompt_moves_more():
    assert (compare.split(cells(1, 4, 0), resamples=400).data_over_prompt > 0).outcome == "FAIL"


def test_the_noise_of_few_items_is_no_effect_of_the_data():
    """Of plain sums of squares the data set would get a share here, for its means differ by chance."""
    found = [compare.split(cells(0, 0.3, 0, n=20), resamples=200, seed=i).overall["data"].value for i in range(20)]
    plain = []
    for _ in range(20):
        (a, b), (c, d) = (np.array([x.mean(0) for x in row]) for row in cells(0, 0.3, 0, n=20))
        data, prompt = ((a + b - c - d) / 2) ** 2, ((a + c - b - d) / 2) ** 2
        plain.append((data.sum(1) / (data + prompt).sum(1)).mean())
    assert np.mean(plain) > 0.85
    assert np.median(found) < np.mean(plain) - 0.1


def test_a_split_needs_two_by_two():
    with pytest.raises(ValueError, match="two data sets, each under two prompts"):
        compare.split([[run(), run()]])
    with pytest.raises(ValueError, match="same items under both prompts"):
        compare.split([[run(5), run(6)], [run(5), run(5)]])


def test_what_items_share_is_known_and_random_signs_take_it_away():
    x = run(200)
    found = compare.common(x, resamples=300)
    truth = 25 * WIDTH / (25 * WIDTH + (np.linspace(2, 0.2, WIDTH) ** 2).sum())
    assert found.overall.low < truth < found.overall.high
    turned = compare.random_signs(x, seed=0)
    np.testing.assert_array_equal(np.abs(turned), np.abs(x))
    assert (compare.common(turned, resamples=300).overall > 0.5).outcome == "FAIL"


def test_permutations_have_no_smaller_p_than_they_can_tell():
    found = compare.diverging(run(), run(shift=3), paired=False, permutations=200, resamples=200)
    assert all(e.p == pytest.approx(1 / 201) for e in found.relative_l2)
    with pytest.raises(ValueError, match="use 200 or more"):
        compare.diverging(run(), run(), paired=False, permutations=20)
