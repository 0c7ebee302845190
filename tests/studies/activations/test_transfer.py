"""A map carries what two models share, and a transfer that fails says why."""

import numpy as np
import pytest

from lab.studies.activations import transfer


def models(n=400, shared=8, width=(24, 32), noise=0.3, seed=0):
    """Activations of two models that hold the same 8 numbers of each text, in bases of their own."""
    rng = np.random.default_rng(seed)
    truth = rng.normal(size=(n, shared))
    return tuple(truth @ rng.normal(size=(shared, d)) + noise * rng.normal(size=(n, d)) + 5 for d in width)


def answers(n=400, seed=0, **shares):
    rng = np.random.default_rng(seed)
    return {name: rng.random(n) < share for name, share in shares.items()}


def test_the_map_is_scikit_learns_ridge_on_standardised_activations():
    from sklearn.linear_model import Ridge
    from sklearn.preprocessing import StandardScaler

    x, y = models()
    scaler = StandardScaler().fit(x[:300])
    theirs = Ridge(alpha=10.0).fit(scaler.transform(x[:300]), y[:300]).predict(scaler.transform(x[300:]))
    np.testing.assert_allclose(transfer.fit(x[:300], y[:300])(x[300:]), theirs, rtol=1e-8)


def test_a_map_carries_what_is_shared_to_items_it_never_saw_and_one_of_shuffled_pairs_nothing():
    x, y = models()
    dealt = np.random.default_rng(1).permutation(300)
    assert transfer.fit(x[:300], y[:300]).correlation(x[300:], y[300:]) > 0.8
    assert abs(transfer.fit(x[:300], y[dealt]).correlation(x[300:], y[300:])) < 0.2


def test_a_constant_dimension_carries_nothing_and_breaks_nothing():
    x, y = models()
    x[:, 0], y[:, 0] = 0.1, 0.1
    carry = transfer.fit(x[:300], y[:300])
    assert np.isfinite(carry(x[300:])).all()
    assert carry.correlation(x[300:], y[300:]) > 0.8


def test_a_group_is_wholly_on_one_side():
    groups = np.repeat(np.arange(100), 4)
    test = transfer.held_out(groups, share=0.3, seed=1)
    assert set(groups[test]) & set(groups[~test]) == set()
    assert len(set(groups[test])) == 30
    assert (test != transfer.held_out(groups, share=0.3, seed=2)).any()


def test_the_improvement_is_paired_and_its_p_is_mcnemars():
    from scipy.stats import binomtest

    before = np.repeat([True, True, False, False], [200, 12, 60, 128])
    after = np.repeat([True, False, True, False], [200, 12, 60, 128])
    found = transfer.compare(source=after, target=before, transfer=after, shuffled=before, map_r=0.9)
    assert found.improvement.value == pytest.approx(48 / 400)
    assert found.mcnemar.p == pytest.approx(binomtest(12, 72, 0.5).pvalue)
    assert (found.gained.value, found.lost.value) == (0.15, 0.03)
    assert found.relative.value == pytest.approx(48 / 212)
    assert (found.improvement > 0.02).outcome == "PASS"


def test_groups_widen_the_interval_where_their_items_cling_together():
    groups = np.repeat(np.arange(50), 8)
    before, after = np.repeat(np.random.default_rng(0).random((2, 50)) < [[0.4], [0.6]], 8, axis=1)
    told = {"source": after, "target": before, "transfer": after, "shuffled": before, "map_r": 0.9}
    alone, together = transfer.compare(**told).improvement, transfer.compare(**told, groups=groups).improvement
    assert together.value == pytest.approx(alone.value)
    assert together.high - together.low > 2 * (alone.high - alone.low)
    assert together.n == 50


@pytest.mark.parametrize("groups", [None, np.arange(200), np.arange(200) // 4], ids=["items", "single", "fours"])
def test_few_gains_do_not_refute_a_gain_of_2_points(groups):
    """The probability, exactly, of FAIL where the truth is on the bar: 200 items, each gained with 2 %."""
    from scipy.stats import binom

    refuted = 0.0
    for gained in range(12):
        before, after = np.repeat([True, False, False], [120, gained, 80 - gained]), np.arange(200) < 120 + gained
        told = {"source": after, "target": before, "transfer": after, "shuffled": before, "map_r": 0.9}
        refuted += binom.pmf(gained, 200, 0.02) * (
            (transfer.compare(**told, groups=groups).improvement > 0.02).outcome == "FAIL"
        )
    assert refuted <= 0.025


def test_many_answers_of_which_none_changed_refute_an_improvement():
    right = np.arange(2000) < 1200
    told = {"source": right, "target": right, "transfer": right, "shuffled": right, "map_r": 0.9}
    found = transfer.compare(**told, groups=np.arange(2000) // 4).improvement
    assert (found > 0.02).outcome == "FAIL"
    assert found.low < 0 < found.high


def test_a_change_at_random_improves_no_more_often_than_it_may():
    passed = 0
    for seed in range(200):
        told = answers(n=200, seed=seed, source=0.6, target=0.6, transfer=0.6, shuffled=0.6)
        found = transfer.compare(**told, map_r=0.5, groups=np.arange(200) // 4)
        passed += (found.improvement > 0).outcome == "PASS"
    assert passed <= 11  # 5 expected


@pytest.mark.parametrize(
    ("shares", "map_r", "reason"),
    [
        ({"source": 0.01, "target": 0.6}, 0.9, "little to gain"),
        ({"source": 0.7, "target": 0.6}, 0.1, "the map carries little: its r on held-out activations is 0.10"),
        ({"source": 0.3, "target": 0.6}, 0.9, "the source knows less than the target"),
        ({"source": 0.7, "target": 0.6, "touched": 0}, 0.9, "hardly touched"),
        ({"source": 0.7, "target": 0.6}, 0.9, "disturbs nearly as much as it helps"),
    ],
)
def test_a_failed_transfer_says_what_was_tried_the_numbers_and_the_likely_reason(shares, map_r, reason):
    touched = shares.pop("touched", 1)
    told = answers(**shares, other=0.6)
    after = told["other"] if touched else told["target"]
    found = transfer.compare(
        source=told["source"], target=told["target"], transfer=after, shuffled=told["target"], map_r=map_r
    )
    row = found.negative_result("a ridge map", 0.02)
    assert row["tried"] == "a ridge map"
    assert reason in row["likely_reason"]
    assert row["numbers"]["improvement"] == found.improvement.value
    assert row["numbers"]["n"] == 400


def test_what_cannot_be_mapped_is_refused_in_one_line():
    x, y = models()
    with pytest.raises(ValueError, match="same items on both sides"):
        transfer.fit(x, y[:10])
    with pytest.raises(ValueError, match="taught on 1 items"):
        transfer.fit(x[:1], y[:1])
    with pytest.raises(ValueError, match="above 0"):
        transfer.fit(x, y, alpha=0)
    with pytest.raises(ValueError, match="the map was taught activations"):
        transfer.fit(x, y)(y)
    with pytest.raises(ValueError, match="one side empty"):
        transfer.held_out(["a", "b"], share=0.1)
    with pytest.raises(ValueError, match="the same items, one each"):
        transfer.compare(source=[True], target=[True, False], transfer=[True], shuffled=[True], map_r=0.0)
