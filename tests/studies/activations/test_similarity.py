"""The ridge map between two models finds what they share, and nothing where they share nothing."""

import numpy as np
import pytest

from lab.estimate import Bar
from lab.studies.activations import similarity

RULE = Bar(passes=0.3, fails=0.1)


def sides(n_groups=120, per_group=4, d=24, shared=1.0, seed=0):
    """Two models' activations: noise of their own, and `shared` times a linear image of the same 8 numbers a group."""
    rng = np.random.default_rng(seed)
    groups = np.repeat(np.arange(n_groups), per_group)
    truth = rng.normal(size=(n_groups, 8))[groups] + 0.3 * rng.normal(size=(len(groups), 8))
    first, second = (shared * truth @ rng.normal(size=(8, d)) + rng.normal(size=(len(groups), d)) for _ in range(2))
    return first, second, groups


def test_a_shared_structure_passes():
    first, second, groups = sides()
    found = similarity.ridge_correlation(first, second, groups=groups, seed=42)
    assert (found.r > RULE).outcome == "PASS"
    assert (found.excess > 0).outcome == "PASS"
    assert found.r.n == 24  # held-out groups, not rows
    assert found.r.value == pytest.approx((found.forward.value + found.backward.value) / 2)


@pytest.mark.parametrize("seed", range(8))
def test_independent_models_never_pass(seed):
    first, second, groups = sides(shared=0.0, seed=seed)
    found = similarity.ridge_correlation(first, second, groups=groups, seed=seed)
    assert (found.r > RULE).outcome == "FAIL"
    assert found.shuffled.within(-0.1, 0.1).outcome == "PASS"


def test_p_is_as_often_small_as_it_says():
    """Groups of like texts, nothing shared: p below 0.1 in a tenth of 30 experiments, at most 8 of them."""
    small = 0
    for seed in range(30):
        rng = np.random.default_rng(seed)
        groups = np.repeat(np.arange(60), 4)
        first, second = (rng.normal(size=(60, 12))[groups] + 0.3 * rng.normal(size=(240, 12)) for _ in range(2))
        small += similarity.ridge_correlation(first, second, groups=groups, seed=seed).r.p < 0.1
    assert small <= 8


def test_the_null_pairs_held_out_texts_with_held_out_texts():
    """Both directions then meet the same pairs, as the observed ones do; across the parts the null is too narrow.

    The scale of the held-out texts of one side cannot show in any r, unless they are trained on in the null.
    """
    first, second, _ = sides(n_groups=60, per_group=1, d=8, shared=0)
    test = np.isin(np.arange(60), np.random.default_rng(3).permutation(60)[:12])
    scaled = second.copy()
    trained = second[~test].mean(0)
    scaled[test] = trained + 100 * (second[test] - trained)
    one, other = (similarity.ridge_correlation(first, side, permutations=50, seed=3) for side in (second, scaled))
    assert one.r.value == pytest.approx(other.r.value, abs=1e-9)
    assert one.null == pytest.approx(other.null, abs=1e-9)


def test_texts_that_stand_twice_and_a_model_held_against_itself_are_in_doubt():
    """A repeated text is trained on and held out at once, so unrelated models pass."""
    rng = np.random.default_rng(0)
    first, second = rng.normal(size=(2, 100, 12))
    once = np.tile(np.arange(100), 2)
    first, second = first[once], second[once]
    found = similarity.ridge_correlation(first, second, permutations=40)
    assert found.percentile.value == 1
    for verdict in (found.r > RULE, found.forward > 0, found.backward > 0, found.excess > 0, found.percentile > 0.95):
        assert verdict.outcome == "INCONCLUSIVE"
        assert "100 of 200 texts are repeated on both sides" in verdict.reason
    assert similarity.ridge_correlation(first, second, groups=once, permutations=40).r.doubt == ""
    again = similarity.ridge_correlation(first[:100], first[:100], permutations=40)
    assert "one model twice" in again.r.doubt


def test_words_met_in_training_win_nothing():
    """Random word vectors of each model, one word a group: a map by rows would recognise words, one by groups cannot."""
    rng = np.random.default_rng(1)
    groups = np.repeat(np.arange(60), 8)
    first, second = (rng.normal(size=(60, 70))[groups] + 0.01 * rng.normal(size=(480, 70)) for _ in range(2))
    by_row = similarity.ridge_correlation(first, second, groups=np.arange(480), seed=0)
    by_group = similarity.ridge_correlation(first, second, groups=groups, seed=0)
    assert (by_row.r > RULE).outcome == "PASS"
    assert (by_group.r > RULE).outcome == "FAIL"


def test_telling_forms_apart_earns_nothing():
    """Pitfall D8: one shared surface variable alone gives an r. Here it is the form of the text."""
    first, second, groups = sides(shared=0.0)
    form = np.tile(np.arange(4), 120)
    rng = np.random.default_rng(2)
    first, second = (side + 3 * rng.normal(size=(4, 24))[form] for side in (first, second))
    naive = similarity.ridge_correlation(first, second, groups=groups, seed=0)
    centred = similarity.ridge_correlation(first, second, groups=groups, within=form, seed=0)
    assert (naive.r > RULE).outcome == "PASS"
    assert (centred.r > RULE).outcome == "FAIL"


def test_r_equals_scikit_learn():
    """Row 108: the mean of Pearson's r over dimensions equals a plain Ridge to 1e-6."""
    from sklearn.linear_model import Ridge

    first, second, groups = sides(seed=3)
    found = similarity.ridge_correlation(first, second, groups=groups, seed=42)
    test = np.isin(groups, np.random.default_rng(42).permutation(np.unique(groups))[:24])
    expected = []
    for x, y in ((first, second), (second, first)):
        predicted = Ridge(alpha=1.0).fit(x[~test], y[~test]).predict(x[test])
        expected.append(np.mean([np.corrcoef(predicted[:, j], y[test][:, j])[0, 1] for j in range(24)]))
    assert (found.forward.value, found.backward.value) == pytest.approx(expected, abs=1e-6)


def test_constant_dimensions_are_dropped_and_counted():
    first, second, groups = sides()
    second[:, :3] = 7.0
    found = similarity.ridge_correlation(first, second, groups=groups, seed=0)
    assert found.constant_dims == (3, 0)
    assert (found.r > RULE).outcome == "PASS"


def test_order_of_rows_does_not_matter():
    first, second, groups = sides()
    order = np.random.default_rng(5).permutation(len(groups))
    one = similarity.ridge_correlation(first, second, groups=groups, seed=1)
    two = similarity.ridge_correlation(first[order], second[order], groups=groups[order], seed=1)
    assert one.r.value == pytest.approx(two.r.value, abs=1e-9)


def test_what_cannot_be_split_is_refused():
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(20, 2)), rng.normal(size=(21, 2))
    with pytest.raises(ValueError, match="use more texts"):
        similarity.ridge_correlation(x, y[:20], groups=np.repeat(np.arange(4), 5), seed=0)
    with pytest.raises(ValueError, match="same n"):
        similarity.ridge_correlation(x, y, seed=0)
    with pytest.raises(ValueError, match="covariates"):
        similarity.ridge_correlation(x, y[:20], covariates=np.ones(19))
    with pytest.raises(ValueError, match="0 or more"):
        similarity.ridge_correlation(x, y[:20], alpha=-1)


def test_the_null_does_not_see_a_shared_length_and_covariates_do():
    """Pitfall D8: one number that any model holds of a text, its length, in a quarter of 24 dimensions of each."""
    rng = np.random.default_rng(0)
    length = rng.normal(size=400)
    first, second = (rng.normal(size=(400, 24)) for _ in range(2))
    for side in (first, second):
        side[:, :6] += 2 * length[:, None]
    naive = similarity.ridge_correlation(first, second, seed=0)
    assert naive.r.value > 0.2
    assert (naive.excess > 0).outcome == "PASS"  # shuffled pairings break the length too, so chance cannot give it
    controlled = similarity.ridge_correlation(first, second, covariates=length, seed=0)
    assert (controlled.excess > 0).outcome != "PASS"
    assert controlled.r.within(-0.1, 0.1).outcome == "PASS"


def test_covariates_are_fitted_on_training_texts_alone():
    first, second, groups = sides(seed=5)
    length = np.random.default_rng(1).normal(size=(len(groups), 2))
    first, second = first + length[:, :1], second + length @ np.ones((2, 24))
    test = np.isin(groups, np.random.default_rng(42).permutation(np.unique(groups))[:24])

    def without(side, fitted_on):
        rows = np.column_stack([np.ones(len(length)), length])
        return side - rows @ np.linalg.lstsq(rows[fitted_on], side[fitted_on], rcond=None)[0]

    def r(x, y, **also):
        return similarity.ridge_correlation(x, y, groups=groups, seed=42, permutations=20, **also).value

    found = r(first, second, covariates=length)
    assert found == pytest.approx(r(without(first, ~test), without(second, ~test)), abs=1e-9)
    everything = np.ones_like(test)
    assert abs(found - r(without(first, everything), without(second, everything))) > 1e-6


def test_without_a_penalty_it_is_least_squares():
    from sklearn.linear_model import LinearRegression
    from sklearn.metrics import r2_score

    first, second, groups = sides(seed=4)
    found = similarity.ridge_correlation(first, second, groups=groups, alpha=0, seed=42)
    test = np.isin(groups, np.random.default_rng(42).permutation(np.unique(groups))[:24])
    r, r2 = [], []
    for x, y in ((first, second), (second, first)):
        predicted = LinearRegression().fit(x[~test], y[~test]).predict(x[test])
        r.append(np.mean([np.corrcoef(predicted[:, j], y[test][:, j])[0, 1] for j in range(24)]))
        r2.append(r2_score(y[test], predicted))
    assert (found.forward.value, found.backward.value) == pytest.approx(r, abs=1e-9)
    assert found.r2.value == pytest.approx(np.mean(r2), abs=1e-9)


def test_ridge_has_the_attributes_of_every_measure():
    first, second, groups = sides()
    found = similarity.ridge_correlation(first, second, groups=groups, seed=42)
    assert (found.value, found.score, found.p) == (found.r.value, found.r, 1 / 101)
    assert (found.percentile > 0.95).outcome == "PASS"
    assert 0 < found.calibrated < 1


def test_groups_of_unlike_size_are_paired_whole():
    """A short partner begins again; of equal groups it is a permutation."""
    from lab.studies.activations.shuffles import Families

    member = np.array([0, 0, 0, 1, 1, 2])
    assert Families.of(member).partners(np.array([1, 2, 0])).tolist() == [3, 4, 3, 5, 5, 0]
    even = Families.of(np.repeat(np.arange(5), 3)).partners(np.array([4, 0, 1, 2, 3]))
    assert sorted(even) == list(range(15))


def test_two_held_out_texts_decide_nothing_and_are_no_error():
    """Half of the resamples are of one text twice, on which no correlation is defined."""
    rng = np.random.default_rng(0)
    truth = rng.normal(size=(20, 2))
    x, y = (truth @ rng.normal(size=(2, 4)) + 0.1 * rng.normal(size=(20, 4)) for _ in range(2))
    found = similarity.ridge_correlation(x, y, test_share=0.1)
    assert (found.r > 0).outcome == "INCONCLUSIVE"
    assert "2 groups is too narrow" in found.r.doubt or "2 units is too narrow" in found.r.doubt
