"""CCS finds a plain truth, not a faint one beside something loud, and noise looks like noise."""

import numpy as np
import pytest

from lab.stats.shares import wilson
from lab.studies.activations import unsupervised


def pairs(n=400, d=16, truth=1.0, loud=0.0, noise=0.3, seed=0):
    """Statements whose yes and no sides part along one direction by their truth, along another by a distractor."""
    rng = np.random.default_rng(seed)
    label, other = rng.random((2, n)) < 0.5
    along, beside = np.linalg.qr(rng.normal(size=(d, 2)))[0].T
    statement = rng.normal(size=(n, d))
    push = truth * np.where(label, 0.5, -0.5)[:, None] * along + loud * np.where(other, 0.5, -0.5)[:, None] * beside
    yes, no = (statement + sign * push + noise * rng.normal(size=(n, d)) for sign in (1, -1))
    return yes + 1.0, no, label, other  # a constant part tells yes from no, as the word itself does


def test_a_plain_truth_is_found_without_labels():
    yes, no, truth, _ = pairs()
    found = unsupervised.ccs(yes, no, truth, model_says=truth)
    for direction in (found.ccs, found.pca, found.supervised):
        assert direction.auroc_sign_free.value > 0.9
        assert direction.auroc.value > 0.9
    assert found.random.p < 0.01
    assert found.random.low < found.random.mean < found.random.high < found.ccs.auroc_sign_free.value
    assert len(found.losses) == len(found.restart_aurocs) == 10
    assert (np.diff(found.losses) >= 0).all()
    assert found.restart_aurocs[0] == pytest.approx(found.ccs.auroc_sign_free.value)
    assert (found.ratio > 0.8).outcome == "PASS"
    assert (found.ratio_above_chance > 0.8).outcome == "PASS"
    assert found.ratio_above_chance.value <= found.ratio.value


def test_the_loss_and_its_slope_are_those_of_the_paper(monkeypatch):
    import scipy.optimize

    seen, minimise = [], scipy.optimize.minimize

    def watched(loss, start, **how):
        seen.append((loss, start))
        return minimise(loss, start, **how)

    monkeypatch.setattr(scipy.optimize, "minimize", watched)
    yes, no, *_ = pairs(n=50, d=4)
    unsupervised._fit(yes, no, np.random.default_rng(0))
    loss, weights = seen[0]
    p1, p0 = (1 / (1 + np.exp(-(side @ weights[:4] + weights[4]))) for side in (yes, no))
    value, slope = loss(weights)
    assert value == pytest.approx(np.mean((p1 - (1 - p0)) ** 2) + np.mean(np.minimum(p0, p1) ** 2))
    step = 1e-6 * np.eye(5)
    numeric = [(loss(weights + e)[0] - loss(weights - e)[0]) / 2e-6 for e in step]
    np.testing.assert_allclose(slope, numeric, atol=1e-8)


def test_nothing_is_learnt_from_the_held_out_pairs():
    """Row 153: other test pairs, anywhere at all, with any labels, leave the rest of the predictions as they are."""
    yes, no, truth, _ = pairs()
    one = unsupervised.ccs(yes, no, truth)
    moved = np.flatnonzero(one.test)[:80]
    labels = truth.copy()
    labels[moved] = ~labels[moved]
    for side in (yes := yes.copy(), no := no.copy()):
        side[moved] = 50 * side[moved] - 1000
    two = unsupervised.ccs(yes, no, labels)
    assert (one.test == two.test).all()
    assert (one.losses == two.losses).all()
    for direction in ("ccs", "pca", "supervised"):
        np.testing.assert_array_equal(getattr(one, direction).scores[80:], getattr(two, direction).scores[80:])


def test_test_statistics_and_the_better_sign_flatter_noise():
    """Pitfall D14: with both, noise is above one half by construction; ours stays within its null."""
    flattered, passed, better = [], 0, 0
    for seed in range(25):
        yes, no, truth, _ = pairs(n=100, truth=0.0, d=8, seed=seed)
        found = unsupervised.ccs(yes, no, truth, restarts=2, directions=99, seed=seed)
        test = found.test
        one, zero = ((side - side[test].mean(0)) / side[test].std(0) for side in (yes, no))
        _, weights = unsupervised._fit(one[~test], zero[~test], np.random.default_rng(seed))
        accuracy = ((unsupervised._belief(one, zero, weights)[test] > 0) == truth[test]).mean()
        flattered.append(max(accuracy, 1 - accuracy))
        passed += (found.ccs.auroc_sign_free > 0.55).outcome == "PASS"
        better += found.random.p <= 0.05
    assert min(flattered) >= 0.5
    assert np.mean(flattered) > 0.53
    assert passed <= 1
    assert better <= 4


def test_random_directions_have_a_sign_free_auroc_above_one_half():
    yes, no, truth, _ = pairs(n=100, truth=0.0)
    found = unsupervised.ccs(yes, no, truth, restarts=1)
    assert found.random.mean > 0.52
    assert (found.random.aurocs >= 0.5).all()
    assert (found.random.accuracies >= 0.5).all()


def test_a_louder_distractor_is_found_instead_of_the_truth():
    """The failure of statistics.md, section 5: and the distractor check says so."""
    yes, no, truth, other = pairs(n=600, d=32, truth=1.0, loud=6.0)
    found = unsupervised.ccs(yes, no, truth, distractor=other)
    assert found.supervised.auroc.value > 0.95  # the truth is there to be read
    assert (found.distractor > 0.95).outcome != "FAIL"
    assert found.distractor.value > 0.99
    assert (found.ccs.auroc_sign_free > 0.8).outcome == "FAIL"
    assert found.pca.auroc_sign_free.value < 0.7
    assert (found.ratio_above_chance > 0.8).outcome == "FAIL"
    quiet = unsupervised.ccs(*pairs(n=600, d=32, truth=2.0)[:3], distractor=pairs(n=600, d=32)[3])
    assert quiet.distractor.value < 0.6


def test_of_a_faint_truth_the_restart_with_the_lowest_loss_is_not_the_best():
    """More features than pairs let any direction reach a loss near 0: all restarts are shown, none is picked."""
    yes, no, truth, _ = pairs(n=300, d=300, truth=0.8, seed=1)
    found = unsupervised.ccs(yes, no, truth)
    assert found.losses[0] < 0.02
    assert found.restart_aurocs[0] < found.restart_aurocs.max() - 0.05
    assert found.pca.auroc_sign_free.value > 0.9


def test_two_coins_have_no_ratio():
    """Chance over chance is 1, above any bar of 80 %."""
    doubted = 0
    for seed in range(6):
        yes, no, truth, _ = pairs(n=120, truth=0.0, seed=seed)
        found = unsupervised.ccs(yes, no, truth, restarts=2, directions=20, seed=seed)
        doubted += (found.ratio > 0.8).outcome == "INCONCLUSIVE"
        assert found.ratio.value > 0.8
    assert doubted >= 5


def test_the_sign_is_told_by_the_model_or_is_in_doubt():
    yes, no, truth, _ = pairs(truth=2.0)
    told = unsupervised.ccs(yes, no, truth, model_says=truth)
    lied = unsupervised.ccs(yes, no, truth, model_says=~truth)
    untold = unsupervised.ccs(yes, no, truth)
    assert (told.ccs.accuracy > 0.8).outcome == "PASS"
    assert (lied.ccs.accuracy < 0.2).outcome == "PASS"
    assert lied.ccs.accuracy_best_sign.value == told.ccs.accuracy_best_sign.value == told.ccs.accuracy.value
    assert "convention" in (untold.ccs.accuracy > 0.5).reason


def test_an_accuracy_whose_sign_the_test_labels_chose_decides_nothing():
    """At least 0.5 by construction: of labels that are noise, some pass by Wilson's interval alone."""
    passed = 0
    for seed in range(200):
        right = np.random.default_rng(seed).random(40) < 0.5
        passed += (wilson(right if right.mean() >= 0.5 else ~right) > 0.5).outcome == "PASS"
    yes, no, truth, _ = pairs(truth=2.0)
    verdict = unsupervised.ccs(yes, no, truth, model_says=truth).ccs.accuracy_best_sign > 0.5
    assert passed >= 4
    assert verdict.outcome == "INCONCLUSIVE"
    assert "chosen by the test labels; use accuracy" in verdict.reason


def test_pairs_that_belong_together_stay_together_and_count_once():
    yes, no, truth, _ = pairs(n=300)
    group = np.arange(300) // 3
    found = unsupervised.ccs(yes, no, truth, groups=group)
    assert set(group[found.test]).isdisjoint(group[~found.test])
    assert found.ccs.auroc_sign_free.n == found.ratio.n == 40
    assert found.ccs.accuracy_best_sign.n == 40


def imbalanced(seed, n=500, share=0.85):
    """Of statements 85 % are true; the loud feature follows another label as frequent, a faint one the truth."""
    rng = np.random.default_rng(seed)
    truth, topic = rng.random((2, n)) < share
    one, zero = 0.3 * rng.normal(size=(2, n, 8))
    for side, sign in ((one, 1), (zero, -1)):
        side[:, 0] += sign * np.where(topic, 1, -1)
        side[:, 1] += sign * 0.4 * np.where(truth, 1, -1) + rng.normal(size=n)
    return one, zero, truth


def test_calling_true_what_mostly_is_finds_no_truth():
    plain = balanced = 0
    for seed in range(4):
        one, zero, truth = imbalanced(seed)
        found = unsupervised.ccs(one, zero, truth, model_says=np.ones(500), restarts=2, directions=20, seed=seed)
        plain += {(found.ratio > 0.8).outcome, (found.ccs.accuracy > 0.6).outcome} == {"PASS"}
        claims = (found.ratio_balanced > 0.8, found.ccs.balanced_accuracy > 0.6, found.ccs.auroc > 0.5)
        balanced += sum(claim.outcome == "PASS" for claim in claims)
    assert plain >= 2
    assert balanced == 0


def test_balanced_accuracy_is_the_mean_over_the_classes_and_the_ratio_is_of_those():
    yes, no, truth, _ = pairs(truth=0.5, n=600)
    truth[truth & (np.random.default_rng(1).random(600) < 0.7)] = False  # rare, and some of them mislabelled
    found = unsupervised.ccs(yes, no, truth, model_says=truth)

    def mean(scores):
        return np.mean([((scores > 0) == kind)[truth[found.test] == kind].mean() for kind in (True, False)])

    own, supervised = mean(found.ccs.scores), mean(found.supervised.scores)
    assert found.ccs.balanced_accuracy.value == pytest.approx(own)
    assert found.supervised.balanced_accuracy.value == pytest.approx(supervised)
    assert found.ratio_balanced.value == pytest.approx(max(own, 1 - own) / supervised)


def test_the_interval_of_a_balanced_accuracy_holds_the_truth():
    missed = 0
    for seed in range(200):
        rng = np.random.default_rng(seed)
        truth = rng.random(200) < 0.8
        e = unsupervised._balanced(rng.random(200) < np.where(truth, 0.9, 0.5), truth, None)
        missed += not e.low <= 0.7 <= e.high
    assert missed <= 16


def test_texts_that_stand_twice_are_in_doubt_until_groups_join_them():
    yes, no, truth, _ = (np.repeat(part, 2, axis=0) for part in pairs(n=150, noise=0.6))
    apart = unsupervised.ccs(yes, no, truth, model_says=truth)
    assert apart.duplicates == 300
    for e in (apart.ratio, apart.ratio_balanced, apart.ccs.accuracy, apart.ccs.balanced_accuracy, apart.ccs.auroc):
        assert e.doubt == "300 rows have a twin in another group, and their labels agree; pass groups that join them"
    joined = unsupervised.ccs(yes, no, truth, model_says=truth, groups=np.arange(300) // 2)
    assert joined.duplicates == 0
    assert (joined.ccs.accuracy > 0.6).outcome == "PASS"
    assert joined.ccs.accuracy.n == 60


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"no": np.zeros((400, 3))}, "two sides"),
        ({"yes": np.full((400, 16), np.nan)}, "not finite"),
        ({"labels": np.ones(400)}, "fewer than two members"),
        ({"labels": np.ones(300)}, "400 pairs need 400 values of labels"),
        ({"distractor": np.ones(300)}, "400 pairs need 400 values of distractor"),
        ({"model_says": np.arange(400)}, "true or false"),
    ],
)
def test_what_are_no_pairs_is_refused(change, said):
    yes, no, labels, _ = pairs()
    with pytest.raises(ValueError, match=said):
        unsupervised.ccs(**({"yes": yes, "no": no, "labels": labels} | change))


def test_the_plot_shows_each_with_the_band_of_chance():
    from matplotlib.figure import Figure

    ax = Figure().add_subplot()
    found = unsupervised.ccs(*pairs()[:3])
    found.plot(ax)
    assert [label.get_text() for label in ax.get_xticklabels()] == ["CCS", "PCA of differences", "supervised"]
    assert ax.lines[0].get_ydata()[0] == pytest.approx(found.ccs.auroc_sign_free.value)


def test_a_contrast_of_two_answers_to_all_keeps_their_order_and_one_of_many_draws_it():
    pairs, truth = unsupervised.contrast((" yes", " no"), [0, 1, 0])
    assert pairs == [(" yes", " no")] * 3
    assert truth.tolist() == [True, False, True]

    key, options = np.arange(400) % 4, [tuple("abcd")] * 400
    pairs, truth = unsupervised.contrast(options, key, seed=3)
    right = ["abcd"[k] for k in key]
    assert [pair[0] == answer for pair, answer in zip(pairs, right, strict=True)] == truth.tolist()
    assert all((answer in pair) and pair[0] != pair[1] for pair, answer in zip(pairs, right, strict=True))
    assert 150 < truth.sum() < 250
    for given, said in (((" a", " b", " c"), "there are 3 options"), ([(" a",), (" b",)], "fewer than two options")):
        with pytest.raises(ValueError, match=said):
            unsupervised.contrast(given, [0, 0])


def test_where_both_are_always_right_the_ratio_is_as_sure_as_their_number_makes_it():
    def found(n):
        labels = np.arange(n) % 2 == 0
        side = np.where(labels, 3.0, -3.0)[:, None] + 0.1 * np.random.default_rng(0).standard_normal((n, 4))
        return unsupervised.ccs(side, -side, labels, model_says=labels, restarts=3).ratio

    few, many = found(30), found(400)
    assert few.value == many.value == 1
    assert few.low < many.low < 1
    assert (few > 0.8).outcome == "INCONCLUSIVE"
    assert (many > 0.8).outcome == "PASS"
