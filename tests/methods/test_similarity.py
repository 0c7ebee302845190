"""The cross-model map finds what two models share, and nothing where they share nothing."""

import numpy as np
import pytest

from lab.estimate import Bar
from lab.methods import similarity

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
    found = similarity.cross_model_map(first, second, groups=groups, seed=42)
    assert (found.r > RULE).outcome == "PASS"
    assert (found.excess > 0).outcome == "PASS"
    assert found.r.n == 24  # held-out groups, not rows
    assert found.r.value == pytest.approx((found.forward.value + found.backward.value) / 2)


@pytest.mark.parametrize("seed", range(8))
def test_independent_models_never_pass(seed):
    first, second, groups = sides(shared=0.0, seed=seed)
    found = similarity.cross_model_map(first, second, groups=groups, seed=seed)
    assert (found.r > RULE).outcome == "FAIL"
    assert found.shuffled.within(-0.1, 0.1).outcome == "PASS"


def test_p_is_as_often_small_as_it_says():
    """Groups of like texts, nothing shared: p below 0.1 in about a tenth of 60 experiments, at most 13 of them."""
    small = 0
    for seed in range(60):
        rng = np.random.default_rng(seed)
        groups = np.repeat(np.arange(60), 4)
        first, second = (rng.normal(size=(60, 12))[groups] + 0.3 * rng.normal(size=(240, 12)) for _ in range(2))
        small += similarity.cross_model_map(first, second, groups=groups, seed=seed).r.p < 0.1
    assert small <= 13


def test_words_met_in_training_win_nothing():
    """Random word vectors of each model, one word a group: a map by rows would recognise words, one by groups cannot."""
    rng = np.random.default_rng(1)
    groups = np.repeat(np.arange(60), 8)
    first, second = (rng.normal(size=(60, 70))[groups] + 0.01 * rng.normal(size=(480, 70)) for _ in range(2))
    by_row = similarity.cross_model_map(first, second, groups=np.arange(480), seed=0)
    by_group = similarity.cross_model_map(first, second, groups=groups, seed=0)
    assert (by_row.r > RULE).outcome == "PASS"
    assert (by_group.r > RULE).outcome == "FAIL"


def test_telling_forms_apart_earns_nothing():
    """Pitfall D8: one shared surface variable alone gives an r. Here it is the form of the text."""
    first, second, groups = sides(shared=0.0)
    form = np.tile(np.arange(4), 120)
    rng = np.random.default_rng(2)
    first, second = (side + 3 * rng.normal(size=(4, 24))[form] for side in (first, second))
    naive = similarity.cross_model_map(first, second, groups=groups, seed=0)
    centred = similarity.cross_model_map(first, second, groups=groups, within=form, seed=0)
    assert (naive.r > RULE).outcome == "PASS"
    assert (centred.r > RULE).outcome == "FAIL"


def test_r_equals_scikit_learn():
    """Row 108: the mean of Pearson's r over dimensions equals a plain Ridge to 1e-6."""
    from sklearn.linear_model import Ridge

    first, second, groups = sides(seed=3)
    found = similarity.cross_model_map(first, second, groups=groups, seed=42)
    test = np.isin(groups, np.random.default_rng(42).permutation(np.unique(groups))[:24])
    expected = []
    for x, y in ((first, second), (second, first)):
        predicted = Ridge(alpha=1.0).fit(x[~test], y[~test]).predict(x[test])
        expected.append(np.mean([np.corrcoef(predicted[:, j], y[test][:, j])[0, 1] for j in range(24)]))
    assert (found.forward.value, found.backward.value) == pytest.approx(expected, abs=1e-6)


def test_constant_dimensions_are_dropped_and_counted():
    first, second, groups = sides()
    second[:, :3] = 7.0
    found = similarity.cross_model_map(first, second, groups=groups, seed=0)
    assert found.constant_dims == (3, 0)
    assert (found.r > RULE).outcome == "PASS"


def test_order_of_rows_does_not_matter():
    first, second, groups = sides()
    order = np.random.default_rng(5).permutation(len(groups))
    one = similarity.cross_model_map(first, second, groups=groups, seed=1)
    two = similarity.cross_model_map(first[order], second[order], groups=groups[order], seed=1)
    assert one.r.value == pytest.approx(two.r.value, abs=1e-9)


def test_what_cannot_be_split_is_refused():
    with pytest.raises(ValueError, match="use more texts"):
        similarity.cross_model_map(np.ones((4, 2)), np.ones((4, 2)), groups=np.array([0, 0, 1, 1]), seed=0)
    with pytest.raises(ValueError, match="same n"):
        similarity.cross_model_map(np.ones((4, 2)), np.ones((5, 2)), groups=np.arange(4), seed=0)
