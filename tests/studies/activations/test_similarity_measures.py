"""Measures of similarity: published and analytic answers, nulls that hold their size, and what fools a bare score."""

import itertools
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lab.studies.activations import representations, similarity
from lab.studies.activations.shuffles import layout

MEASURES = {
    "cka": similarity.cka,
    "cka biased": lambda x, y, **also: similarity.cka(x, y, unbiased=False, **also),
    "svcca": lambda x, y, **also: similarity.svcca(x, y, keep=4, **also),
    "mutual_knn": similarity.mutual_knn,
    "cknna": similarity.cknna,
    "rsa": similarity.rsa,
    "rsa Pearson": lambda x, y, **also: similarity.rsa(x, y, kind="Pearson", **also),
    "procrustes": similarity.procrustes,
}
every_measure = pytest.mark.parametrize("measure", MEASURES.values(), ids=MEASURES)


def two(n=80, d=(12, 9), shared=1.0, seed=0):
    """Noise of their own, and `shared` times a linear image of the same 3 numbers a text."""
    rng = np.random.default_rng(seed)
    truth = rng.normal(size=(n, 3))
    return tuple(shared * truth @ rng.normal(size=(3, width)) + rng.normal(size=(n, width)) for width in d)


# What platonic-rep computes, word by word, without the 1e-6 in its denominators and its random noise.


def hsic_biased(K, L):
    H = np.eye(len(K)) - 1 / len(K)
    return np.trace(K @ H @ L @ H)


def hsic_unbiased(K, L):
    m = len(K)
    K, L = K * (1 - np.eye(m)), L * (1 - np.eye(m))
    total = (K * L.T).sum() + K.sum() * L.sum() / ((m - 1) * (m - 2)) - 2 * (K @ L).sum() / (m - 2)
    return total / (m * (m - 3))


def plain_cka(x, y, hsic):
    K, L = x @ x.T, y @ y.T
    return hsic(K, L) / np.sqrt(hsic(K, K) * hsic(L, L))


def unit(x):
    return x / np.linalg.norm(x, axis=1, keepdims=True)


def plain_neighbours(x, k):
    likeness = unit(x) @ unit(x).T
    np.fill_diagonal(likeness, -1e8)
    return np.argsort(-likeness, axis=1)[:, :k]


def plain_mutual_knn(x, y, k):
    pairs = zip(plain_neighbours(x, k), plain_neighbours(y, k), strict=True)
    return np.mean([len(set(a) & set(b)) / k for a, b in pairs])


def plain_cknna(x, y, k):
    K, L = unit(x) @ unit(x).T, unit(y) @ unit(y).T
    masks = []
    for side in (x, y):
        mask = np.zeros_like(K)
        np.put_along_axis(mask, plain_neighbours(side, k), 1, axis=1)
        masks.append(mask)

    def alike(A, B, mask_a, mask_b):
        mask = mask_a * mask_b
        return hsic_unbiased(mask * A, mask * B)

    a, b = masks
    return alike(K, L, a, b) / np.sqrt(alike(K, K, a, a) * alike(L, L, b, b))


def test_every_measure_is_that_of_platonic_rep():
    x, y = two()
    few = {"permutations": 20}
    assert similarity.cka(x, y, unbiased=False, **few).value == pytest.approx(plain_cka(x, y, hsic_biased), abs=1e-12)
    assert similarity.cka(x, y, **few).value == pytest.approx(plain_cka(x, y, hsic_unbiased), abs=1e-12)
    for k in (5, 10):
        assert similarity.mutual_knn(x, y, k=k, **few).value == pytest.approx(plain_mutual_knn(x, y, k), abs=1e-12)
        assert similarity.cknna(x, y, k=k, **few).value == pytest.approx(plain_cknna(x, y, k), abs=1e-10)


def test_svcca_is_statsmodels_canonical_correlation_of_the_components():
    from statsmodels.multivariate.cancorr import CanCorr

    x, y = two(d=(30, 40))
    tops = []
    for side in (x, y):
        z = (side - side.mean(0)) / side.std(0)
        tops.append(np.linalg.svd(z, full_matrices=False)[0][:, :10])
    expected = CanCorr(*tops).cancorr.mean()
    assert similarity.svcca(x, y, permutations=20).value == pytest.approx(expected, abs=1e-8)


def test_canonical_correlations_of_linnerud_are_the_published_ones():
    """SAS prints .795608 .200556 .072570 for the 20 men of sklearn's load_linnerud."""
    exercise = [5, 162, 60, 2, 110, 60, 12, 101, 101, 12, 105, 37, 13, 155, 58, 4, 101, 42, 8, 101, 38, 6, 125, 40]
    exercise += [15, 200, 40, 17, 251, 250, 17, 120, 38, 13, 210, 115, 14, 215, 105, 1, 50, 50, 6, 70, 31, 12, 210, 120]
    exercise += [4, 60, 25, 11, 230, 80, 15, 225, 73, 2, 110, 43]
    body = [191, 36, 50, 189, 37, 52, 193, 38, 58, 162, 35, 62, 189, 35, 46, 182, 36, 56, 211, 38, 56, 167, 34, 60]
    body += [176, 31, 74, 154, 33, 56, 169, 34, 50, 166, 33, 52, 154, 34, 64, 247, 46, 50, 193, 36, 46, 202, 37, 62]
    body += [176, 37, 54, 157, 32, 52, 156, 33, 54, 138, 33, 68]
    x, y = (np.array(side, dtype=float).reshape(20, 3) for side in (exercise, body))
    found = similarity.svcca(x, y, keep=3, permutations=20)
    assert found.value == pytest.approx(np.mean([0.79560815, 0.20055604, 0.07257029]), abs=5e-9)


def test_procrustes_is_that_of_scipy():
    from scipy.spatial import procrustes

    x, y = two(d=(9, 9))
    expected = np.sqrt(1 - procrustes(x, y)[2])
    assert similarity.procrustes(x, y, permutations=19).value == pytest.approx(expected, abs=1e-12)


def test_rsa_is_the_correlation_of_the_distances():
    from scipy.spatial.distance import pdist
    from scipy.stats import pearsonr, spearmanr

    x, y = two()
    x[5] = x[6]  # the same text twice: ties
    a, b = (pdist(side, "correlation") for side in (x, y))
    assert similarity.rsa(x, y, permutations=19).value == pytest.approx(spearmanr(a, b)[0], abs=1e-10)
    assert similarity.rsa(x, y, kind="Pearson", permutations=19).value == pytest.approx(pearsonr(a, b)[0], abs=1e-10)


def test_the_mean_of_the_biased_null_is_the_analytic_one():
    """tr(Kc) tr(Lc) / ((n - 1) ||Kc|| ||Lc||), over all permutations."""
    x, y = two(n=60, d=(40, 30))
    found = similarity.cka(x, y, unbiased=False, permutations=20_000)
    K, L = (side @ side.T for side in (x - x.mean(0), y - y.mean(0)))
    expected = np.trace(K) * np.trace(L) / (59 * np.linalg.norm(K) * np.linalg.norm(L))
    assert found.null.mean() == pytest.approx(expected, abs=4 * found.null.std() / np.sqrt(20_000))


def test_neighbours_of_unrelated_texts_agree_by_chance():
    x, y = two(shared=0)
    null = similarity.mutual_knn(x, y, permutations=4000).null
    assert null.mean() == pytest.approx(10 / 79, abs=4 * null.std() / np.sqrt(4000))


# Laws


@every_measure
def test_a_side_is_wholly_like_itself(measure):
    x, _ = two()
    found = measure(x, x, permutations=50)
    assert found.value == pytest.approx(1, abs=1e-9)
    assert found.calibrated == pytest.approx(1, abs=1e-9)
    assert found.p == 1 / 51
    for verdict in (found.score > 0.5, found.percentile > 0.95, found.excess > 0):
        assert verdict.outcome == "INCONCLUSIVE"
        assert "is it one model twice?" in verdict.reason


def test_a_model_turned_and_scaled_is_seen_as_the_same():
    x, _ = two()
    turn = np.linalg.qr(np.random.default_rng(1).normal(size=(12, 12)))[0]
    for measure in (similarity.cka, MEASURES["cka biased"], similarity.procrustes):
        assert "one model twice" in measure(x, 7 * x @ turn + 3, permutations=19).percentile.doubt
    assert similarity.cka(x, x + 0.1 * turn[0] * x[:, :1], permutations=19).percentile.doubt == ""


@every_measure
@given(seed=st.integers(0, 1000), scale=st.floats(1e-3, 1e3))
@settings(max_examples=4, deadline=None)
def test_sides_may_be_swapped_and_scaled(measure, seed, scale):
    x, y = two(n=40, seed=seed)
    swapped = (scale * x, y) if measure is similarity.cknna else (scale * y, x)  # see its docstring
    one, other = measure(x, y, permutations=19), measure(*swapped, permutations=19)
    assert one.value == pytest.approx(other.value, abs=1e-8)


@given(seed=st.integers(0, 1000), shift=st.floats(-100, 100))
@settings(max_examples=5, deadline=None)
def test_turning_and_moving_changes_nothing(seed, shift):
    x, y = two(n=40, seed=seed)
    turn = np.linalg.qr(np.random.default_rng(seed).normal(size=(9, 9)))[0]
    for measure in (similarity.cka, MEASURES["cka biased"], similarity.procrustes):
        moved = measure(x, y @ turn + shift, permutations=19)
        assert moved.value == pytest.approx(measure(x, y, permutations=19).value, abs=1e-7)


@every_measure
def test_the_same_seed_gives_the_same_digits(measure):
    x, y = two()
    one, two_ = (measure(x, y, permutations=30, seed=3) for _ in range(2))
    assert one.score == two_.score
    assert (one.null == two_.null).all()


@pytest.mark.parametrize(("k", "size"), [(7, 1), (8, 1), (6, 3), (5, 2)])
def test_permutations_by_shifts_are_permutations(k, size):
    """The null by Fourier transforms equals looking each permuted matrix up, group by group."""
    rng = np.random.default_rng(0)
    n = k * size
    a, b = (representations.kernel(rng.normal(size=(n, width))) for width in (4, 6))
    texts = layout(n, np.repeat(np.arange(k), size), 0)
    quick = representations.shuffled([a], [b], texts, k, np.random.default_rng(1))[:, 0, 0]
    order = np.random.default_rng(1).permutation(k)
    rows = [(np.roll(order, -s)[:, None] * size + np.arange(size)).ravel() for s in range(k)]
    assert quick == pytest.approx(a.permuted(b, np.array(rows)), abs=1e-12)


@pytest.mark.parametrize("kind", ["mutual_knn", "cknna", "svcca", "procrustes"])
def test_a_permuted_score_is_the_score_of_permuted_texts(kind):
    x, y = two(n=40)
    make = representations.KINDS[kind]
    orders = np.array([np.random.default_rng(s).permutation(40) for s in range(3)], dtype=np.int32)
    expected = [make(x).score(make(y[order])) for order in orders]
    assert make(x).permuted(make(y), orders) == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("options", [("cka", {}), ("cka", {"unbiased": False}), ("rsa", {"kind": "Pearson"})])
def test_scores_without_a_block_are_those_of_the_texts_that_are_left(options):
    kind, more = options
    x, y = two(n=70)
    texts = layout(70, np.repeat(np.arange(30), [2, 3, 2] * 10), 0)
    make = representations.KINDS[kind]
    quick = representations.left_out(make(x, **more), make(y, **more), texts)
    slow = [make(x[rows], **more).score(make(y[rows], **more)) for rows in texts.without_blocks()]
    assert len(slow) == 20
    assert quick == pytest.approx(slow, abs=1e-10)


# Nulls hold their size


@every_measure
def test_p_is_as_often_small_as_it_says(measure):
    """Of 30 experiments with nothing shared, p is below 0.1 in a tenth: more than 8 would be a chance of 1 in 500."""
    small = [measure(*two(n=40, shared=0, seed=seed), permutations=39, seed=seed).p <= 0.1 for seed in range(30)]
    assert sum(small) <= 8


def test_families_of_texts_are_permuted_whole():
    """Nothing shared but which texts are of one family: single rows find that, families do not; also of unlike size."""
    for sizes in (np.full(20, 5), np.tile([3, 7], 10)):
        family = np.repeat(np.arange(20), sizes)
        naive, honest = 0, 0
        for seed in range(20):
            rng = np.random.default_rng(seed)
            x, y = (rng.normal(size=(20, 8))[family] + 0.5 * rng.normal(size=(100, 8)) for _ in range(2))
            naive += similarity.cka(x, y, permutations=99, seed=seed).p <= 0.05
            honest += similarity.cka(x, y, permutations=99, seed=seed, groups=family).p <= 0.05
        assert naive == 20
        assert honest <= 4  # of 20 at 5 %


def test_a_shared_structure_passes_and_counts_families():
    x, y = two(n=100)
    for measure in MEASURES.values():
        found = measure(x, y, groups=np.repeat(np.arange(50), 2), permutations=200)
        assert (found.percentile > 0.95).outcome == "PASS"
        assert found.score.n == 50
        assert found.value > found.null_95
        assert found.excess.value == pytest.approx(found.value - found.null_95)


def test_the_interval_covers_the_value_of_many_texts():
    """Unbiased CKA of 100 texts against that of 2000: 95 % intervals miss in at most 8 of 50 experiments."""
    rng = np.random.default_rng(0)
    maps = [rng.normal(size=(3, width)) for width in (8, 8)]

    def draw(n, seed):
        rng = np.random.default_rng(seed)
        truth = rng.normal(size=(n, 3))
        return [truth @ m + 2 * rng.normal(size=(n, 8)) for m in maps]

    a, b = (representations.kernel(side) for side in draw(2000, 999))
    true = a.score(b)
    missed = 0
    for seed in range(50):
        score = similarity.cka(*draw(100, seed), permutations=19, seed=seed).score
        missed += not score.low < true < score.high
    assert missed <= 8


# What fools a bare score


def test_biased_cka_of_unrelated_activations_is_high_and_does_not_pass():
    """Pitfall D16: .81 at n = 200 with 768 and 1024 dimensions; a bar of 0.5 on the bare score is fooled."""
    passed = 0
    for seed in range(5):
        rng = np.random.default_rng(seed)
        x, y = rng.normal(size=(200, 768)), rng.normal(size=(200, 1024))
        found = similarity.cka(x, y, unbiased=False, permutations=400, seed=seed)
        assert found.value == pytest.approx(np.sqrt(768 * 1024 / ((768 + 200) * (1024 + 200))), abs=0.01)
        assert (found.score > 0.5).outcome == "PASS"
        passed += (found.percentile > 0.95).outcome == "PASS"
    assert passed <= 1
    assert abs(similarity.cka(x, y, permutations=19).value) < 0.02


def test_one_massive_dimension_is_found_and_named():
    """Unrelated activations that share one dimension of 100 times the spread: CKA is .9999, and the null agrees."""
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(200, 50)), rng.normal(size=(200, 60))
    x[:, 3] = y[:, 7] = 100 * rng.normal(size=200)
    found = similarity.cka(x, y)
    assert found.value > 0.999
    assert found.percentile.value == 1  # it is shared: the null cannot see what is wrong
    assert found.outliers == ((3,), (7,))
    assert abs(found.without_outliers) < 0.02
    assert "massive dimensions [3] of the first and [7] of the second" in found.notes[0]
    for verdict in (found.score > 0.5, found.percentile > 0.95, found.excess > 0):
        assert verdict.outcome == "INCONCLUSIVE"
        assert "without them the score is" in verdict.reason
    assert similarity.cka(*two()).outliers == ((), ())
    assert similarity.cka(*two()).without_outliers is None


def test_massive_dimensions_that_are_not_needed_are_noted_and_decide_nothing():
    """What remains without them passes as well, so the claim holds."""
    x, y = two(n=200, d=(50, 60))
    x[:, 3] = y[:, 7] = 100 * np.random.default_rng(1).normal(size=200)
    found = similarity.cka(x, y)
    assert (found.percentile > 0.95).outcome == "PASS"
    assert "massive dimensions [3] of the first and [7] of the second" in found.notes[0]


def test_texts_with_nothing_but_massive_dimensions_are_in_doubt():
    x, y = two()
    x[:, 0] = 100 + 50 * np.random.default_rng(1).normal(size=80)
    x[:4, 1:] = 0
    found = similarity.mutual_knn(x, y, permutations=19)
    assert found.without_outliers is None
    assert "without them 4 texts are 0 in every dimension" in found.percentile.doubt


def binary(rng, d=3):
    x = rng.integers(0, 2, (100, d)).astype(float)
    x[(x == 0).all(1), 0] = 1  # a text of zeros has no direction
    return x


def one_hot(rng):
    return np.eye(12)[rng.integers(12, size=100)]


def signs(rng):
    return rng.choice([-1.0, 1.0], size=(100, 1)) * np.ones(2)


@pytest.mark.parametrize(
    ("kind", "draw", "fooled"),
    [
        ("mutual_knn", binary, 8),
        ("mutual_knn", one_hot, 12),
        ("mutual_knn", signs, 20),
        ("cknna", signs, 20),
        ("cknna", binary, 5),
    ],
)
def test_texts_that_are_equally_near_are_no_agreement(kind, draw, fooled):
    """Ties taken by number on both sides: unrelated features of few values then agree on the first or last texts."""
    naive, honest = 0, 0
    for seed in range(20):
        rng = np.random.default_rng(seed)
        x, y = draw(rng), draw(rng)
        a, b = (representations.KINDS[kind](side) for side in (x, y))
        # By number: in which order numpy selects equal values, and which of them rounding leaves equal, is the CPU's.
        a, b = (replace(side, nearness=np.rint(1e12 * side.likeness) + np.arange(100) / 100) for side in (a, b))
        orders = np.array([rng.permutation(100) for _ in range(60)], dtype=np.int32)
        naive += a.score(b) > np.quantile(a.permuted(b, orders), 0.95)
        honest += getattr(similarity, kind)(x, y, permutations=59, seed=seed).p <= 0.05
    assert naive >= fooled
    assert honest <= 4  # of 20 at 5 %


def test_ties_are_broken_the_same_way_with_the_same_seed_alone():
    rng = np.random.default_rng(0)
    x, y = binary(rng), binary(rng)
    values = [similarity.mutual_knn(x, y, permutations=19, seed=seed).value for seed in (0, 0, 1, 2, 3)]
    assert values[0] == values[1]
    assert len(set(values)) > 1


def twice(rng, n=60, again=10):
    """Unrelated sides whose last texts are the first ones again."""
    x, y = rng.normal(size=(2, n, 16))
    x[-again:], y[-again:] = x[:again], y[:again]
    return x, y


@every_measure
def test_texts_that_stand_twice_are_in_doubt(measure):
    found = measure(*twice(np.random.default_rng(0)), permutations=19)
    for verdict in (found.score > 0.5, found.percentile > 0.95, found.excess > 0):
        assert verdict.outcome == "INCONCLUSIVE"
        assert "10 of 60 texts are repeated on both sides; pass groups that join them" in verdict.reason


def test_texts_that_stand_twice_make_unrelated_sides_alike():
    """Any two models agree that a text is like itself; a shuffled pairing does not, so the null is no help."""
    for measure in (similarity.cka, similarity.cknna, similarity.procrustes):
        found = [measure(*twice(np.random.default_rng(seed)), permutations=99).percentile for seed in range(8)]
        assert sum(e.value > 0.95 for e in found) >= 5
        assert all(e.doubt for e in found)


def test_groups_that_join_what_stands_twice_remove_the_doubt():
    x, y = twice(np.random.default_rng(0))
    joined = np.r_[np.arange(50), np.arange(10)]
    for seed in range(3):
        found = similarity.cka(x, y, groups=joined, permutations=99, seed=seed)
        assert found.percentile.doubt == ""
    x[-10:] += 1e-7 * np.random.default_rng(1).normal(size=(10, 16))  # as float32 in another batch
    assert "10 of 60" in similarity.cka(x, y, permutations=19).percentile.doubt


def test_texts_that_are_equal_on_one_side_or_by_chance_are_no_repeats():
    rng = np.random.default_rng(0)
    x, _ = twice(rng)
    assert similarity.cka(x, rng.normal(size=(60, 16)), permutations=19).percentile.doubt == ""
    for draw in (binary, one_hot):
        assert similarity.cka(draw(rng), draw(rng), permutations=19).percentile.doubt == ""


@pytest.mark.parametrize("permutations", [-1, 0, 1, 18])
def test_a_null_that_could_not_show_anything_is_refused(permutations):
    x, y = two(n=40)
    for measure in (*MEASURES.values(), similarity.ridge_correlation):
        with pytest.raises(ValueError, match="a null needs at least 19 permutations"):
            measure(x, y, permutations=permutations)
    with pytest.raises(ValueError, match="a null needs at least 19 permutations"):
        similarity.search([x], [y], permutations=permutations)


def test_cca_of_too_many_components_is_in_doubt():
    x, y = two(n=60, d=(80, 80), shared=0)
    found = similarity.svcca(x, y, keep=0.99, permutations=50)
    assert found.value > 0.9
    assert (found.score > 0.5).outcome == (found.percentile > 0.95).outcome == "INCONCLUSIVE"
    assert "p + q >= n" in found.notes[0]
    ones = representations.components(x, keep=0.99).basis.T @ representations.components(y, keep=0.99).basis
    assert (np.linalg.svd(ones, compute_uv=False) > 1 - 1e-9).sum() >= 30  # whatever the data


def test_constant_dimensions_are_counted_and_change_nothing():
    x, y = two()
    padded = np.column_stack([y, np.zeros((80, 2))])
    for measure in (similarity.cka, similarity.svcca, similarity.procrustes):
        found = measure(x, padded, permutations=19)
        assert found.constant_dims == (0, 2)
        assert found.value == pytest.approx(measure(x, y, permutations=19).value, abs=1e-9)


def test_what_cannot_be_compared_is_refused():
    x, y = two()
    broken = y.copy()
    broken[0, 0] = np.nan
    for a, b, said in (
        (x, y[:-1], "same n texts"),
        (x[:19], y[:19], "too few"),
        (x, broken, "not finite"),
        (x, np.ones_like(y), "same for all texts"),
        (x[0], x[0], "one row a text"),
    ):
        with pytest.raises(ValueError, match=said):
            similarity.cka(a, b)
    with pytest.raises(ValueError, match="at least 5 groups"):
        similarity.cka(x, y, groups=np.repeat(np.arange(4), 20))
    with pytest.raises(ValueError, match="more than half"):
        similarity.cka(x, y, groups=np.maximum(np.arange(80) - 60, 0))
    for measure in (similarity.mutual_knn, similarity.cknna):
        with pytest.raises(ValueError, match="the cosine of one dimension is 1 or -1"):
            measure(x[:, :1], y)
    with pytest.raises(ValueError, match="2 to 20 neighbours"):
        similarity.mutual_knn(x, y, k=21)
    with pytest.raises(ValueError, match="share of variance"):
        similarity.svcca(x, y, keep=1.5)
    with pytest.raises(ValueError, match="Spearman"):
        similarity.rsa(x, y, kind="Kendall")
    with pytest.raises(ValueError, match="no direction"):
        similarity.mutual_knn(x, np.vstack([np.zeros((1, 9)), y[1:]]))


def test_the_plot_names_score_and_chance():
    from matplotlib.figure import Figure

    for found in (similarity.cka(*two(), permutations=50), similarity.ridge_correlation(*two(), permutations=19)):
        ax = Figure().subplots()
        found.plot(ax)
        assert "n=" in ax.get_title()


def test_five_groups_have_their_120_pairings_and_no_others():
    x, y = two(n=20)
    found = similarity.cka(x, y, groups=np.repeat(np.arange(5), 4), permutations=2000)
    K, L = (representations.kernel(side).unit for side in (x, y))
    rows = [(np.array(g)[:, None] * 4 + np.arange(4)).ravel() for g in itertools.permutations(range(5))]
    all_of_them = np.array([np.vdot(K, L[np.ix_(r, r)]) for r in rows])
    assert np.isin(found.null.round(9), all_of_them.round(9)).all()
    assert found.p == pytest.approx((all_of_them >= found.value - 1e-9).mean(), abs=0.03)
