"""Abstention is held against random abstention, and ties in confidence decide nothing."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.stats.auroc import area
from lab.studies.activations import abstention, probing

rows = st.lists(st.tuples(st.integers(0, 5), st.booleans()), min_size=4, max_size=60)


def answers(n=1000, signal=1.5, share=0.7, seed=0):
    rng = np.random.default_rng(seed)
    correct = rng.random(n) < share
    return 1 / (1 + np.exp(-(signal * (correct - 0.5) + rng.normal(size=n)))), correct


@given(rows)
def test_augrc_is_what_auroc_and_the_error_make_it(given_rows):
    """Traub et al. 2024: AUGRC = (1 - AUROC) r (1 - r) + r^2 / 2, here with its term in 1/n, so exactly."""
    confidence, correct = np.array([r[0] for r in given_rows]), np.array([r[1] for r in given_rows])
    if correct.all() or not correct.any():
        return
    found, r = abstention.risk_coverage(confidence, correct), float(np.mean(~correct))
    auroc = float(area(confidence, correct))
    assert found.augrc == pytest.approx((1 - auroc) * r * (1 - r) + r**2 / 2 + r / (2 * len(correct)), abs=1e-12)
    assert found.oracle_aurc - 1e-12 <= found.aurc <= 1
    assert (np.diff(found.coverage) > 0).all()
    assert found.coverage[-1] == 1
    assert found.risk[-1] == pytest.approx(found.error)


def test_random_order_and_oracle_are_at_their_formulas():
    correct = np.arange(20_000) % 10 < 7
    constant = abstention.risk_coverage(np.ones(20_000), correct)
    assert constant.aurc == pytest.approx(0.3)
    assert constant.risk == pytest.approx(np.full(20_000, 0.3))
    best = abstention.risk_coverage(correct + np.linspace(0, 0.1, 20_000), correct)
    assert best.aurc == best.oracle_aurc == pytest.approx(0.3 + 0.7 * np.log(0.7), abs=1e-4)


def test_the_order_in_which_ties_are_stored_does_not_matter():
    said, correct = answers(300)
    coarse = np.round(said * 4) / 4

    def naive(order):
        order = order[np.argsort(-coarse[order], kind="stable")]
        wrong = np.cumsum(~correct[order])
        return (wrong / np.arange(1, 301)).mean()

    orders = [np.argsort(correct, kind="stable"), np.argsort(~correct, kind="stable")]
    assert abs(naive(orders[0]) - naive(orders[1])) > 0.05
    one, two = (abstention.risk_coverage(coarse[order], correct[order]) for order in orders)
    assert one.aurc == pytest.approx(two.aurc, abs=1e-12)
    mean = np.mean([naive(np.random.default_rng(seed).permutation(300)) for seed in range(300)])
    assert one.aurc == pytest.approx(mean, abs=0.003)


def test_a_probe_that_knows_improves_and_noise_does_not():
    for groups in (None, np.repeat(np.arange(250), 4)):
        knows = abstention.abstain(*answers(), groups=groups)
        assert (knows.improvement > 0).outcome == "PASS"
        assert knows.improvement.p < 0.001
        assert knows.improvement.value == pytest.approx(knows.effective_accuracy.value - knows.accuracy.value)
        noise = abstention.abstain(*answers(signal=0.0, seed=1), groups=groups)
        assert (noise.improvement > 0).outcome == "INCONCLUSIVE"


def test_random_abstention_improves_no_more_often_than_it_may():
    group, passed, small = np.repeat(np.arange(75), 4), 0, 0
    for seed in range(40):
        rng = np.random.default_rng(seed)
        correct = rng.normal(size=75)[group] + rng.normal(size=300) > -0.7
        said = 1 / (1 + np.exp(-(rng.normal(size=75)[group] + 0.3 * rng.normal(size=300))))
        found = abstention.abstain(said, correct, groups=group, seed=seed).improvement
        passed += found.low > 0
        small += found.p <= 0.05
    assert passed <= 4
    assert small <= 6


def test_permuting_single_rows_is_fooled_where_answers_cling_together():
    group, alone, together = np.repeat(np.arange(60), 10), 0, 0
    for seed in range(24):
        rng = np.random.default_rng(seed)
        correct, said = (rng.random(60) < 0.6)[group], rng.random(60)[group]
        alone += abstention.abstain(said, correct, threshold=0.5).improvement.p <= 0.05
        together += abstention.abstain(said, correct, threshold=0.5, groups=group).improvement.p <= 0.05
    assert alone >= 6
    assert together <= 4


def test_the_threshold_is_a_knob_and_below_it_is_declined():
    said, correct = np.array([0.1, 0.29, 0.3, 0.9]), np.array([False, False, True, True])
    found = abstention.abstain(said, correct)
    assert found.answered.tolist() == [False, False, True, True]
    assert (found.coverage.value, found.accuracy.value, found.effective_accuracy.value) == (0.5, 0.5, 1.0)
    assert found.improvement.p == pytest.approx(1 / 6)  # of six ways to answer two of four, one is all right
    assert abstention.abstain(said, correct, threshold=0.2).coverage.value == 0.75


@pytest.mark.parametrize("group", [None, np.repeat(np.arange(50), 2)])
def test_a_probe_of_noise_improves_no_more_often_than_it_may(group):
    """From features to abstention: taken for scores of a fixed rule, those pooled over folds do in 6 to 10 %."""
    ours = naive = small = 0
    for seed in range(50):
        rng = np.random.default_rng(seed)
        features, correct = rng.normal(size=(100, 16)), rng.random(100) < 0.6
        scores = probing.ridge(features, correct, groups=group, permutations=19, seed=seed).scores
        said = (np.argsort(np.argsort(scores)) + 0.5) / 100
        e = abstention.abstain(said, correct, threshold=0.5, groups=group, out_of_fold=True, seed=seed).improvement
        ours += not e.low < 0 < e.high
        naive += not e.low - e.value < -(2**0.5) * e.value < e.high - e.value  # an interval narrower by that root
        small += e.p <= 0.025
    assert ours <= 5
    assert naive >= ours + 3
    assert small <= 5


@pytest.mark.parametrize("group", [None, np.repeat(np.arange(250), 4)])
def test_out_of_fold_everything_that_depends_on_the_choice_is_wider_by_the_root_of_two(group):
    said, correct = answers(signal=0.2)
    plain, wide = (abstention.abstain(said, correct, groups=group, out_of_fold=o) for o in (False, True))
    for name in ("improvement", "effective_accuracy"):
        one, two = getattr(plain, name), getattr(wide, name)
        assert two.value == one.value
        assert two.low - two.value == pytest.approx(2**0.5 * (one.low - one.value))
        assert two.high - two.value == pytest.approx(2**0.5 * (one.high - one.value))
        assert two.method == one.method + ", out of fold"
    assert plain.improvement.p < wide.improvement.p < 0.5
    assert (plain.accuracy, plain.coverage) == (wide.accuracy, wide.coverage)


def test_a_probe_that_knows_improves_by_its_probabilities():
    rng = np.random.default_rng(0)
    features = rng.normal(size=(400, 4))
    correct = features[:, 0] + rng.logistic(size=400) > 0.8
    probe = probing.logistic(features, correct, shuffles=2)
    found = abstention.abstain(probe.probabilities, correct, out_of_fold=True)
    plain = abstention.abstain(probe.probabilities, correct)
    assert (found.improvement > 0).outcome == "PASS"
    assert plain.improvement.p < found.improvement.p < 0.01
    assert found.coverage == plain.coverage
    assert found.accuracy == plain.accuracy
    assert found.effective_accuracy.low < plain.effective_accuracy.low
    assert found.effective_accuracy.high <= 1


@pytest.mark.parametrize(("threshold", "said"), [(0.0, "nothing was declined"), (1.0, "every question was declined")])
def test_where_nothing_or_everything_is_declined_nothing_is_decided(threshold, said):
    found = abstention.abstain(*answers(), threshold=threshold)
    verdict = found.improvement > -0.5
    assert verdict.outcome == "INCONCLUSIVE"
    assert said in verdict.reason
    if threshold == 1:
        assert (found.effective_accuracy > 0.1).outcome == "INCONCLUSIVE"


def test_a_handful_of_answered_groups_decides_nothing():
    group, said = np.repeat(np.arange(100), 2), np.full(200, 0.1)
    said[:8] = 0.9
    correct = np.arange(200) < 100
    assert "only 4 groups" in (abstention.abstain(said, correct, groups=group).improvement > 0).reason


@pytest.mark.parametrize(
    ("said", "correct", "match"),
    [([0.1, 1.1], [0, 1], "between 0 and 1"), ([0.1, 0.2], [0, 1, 1], "as many"), ([0.1, np.nan], [0, 1], "finite")],
)
def test_what_is_no_probability_is_refused(said, correct, match):
    with pytest.raises(ValueError, match=match):
        abstention.abstain(said, correct)


def test_the_plot_shows_the_curve_between_random_and_oracle():
    from matplotlib.figure import Figure

    ax = Figure().add_subplot()
    found = abstention.abstain(*answers())
    found.plot(ax)
    curve, chance, oracle = (line.get_ydata() for line in ax.lines[:3])
    assert curve[-1] == pytest.approx(100 * found.curve.error)
    assert chance[0] == pytest.approx(curve[-1])
    assert oracle[-1] == pytest.approx(curve[-1])
    assert np.mean(oracle) == pytest.approx(100 * found.curve.oracle_aurc)


@given(st.lists(st.tuples(st.integers(0, 5), st.booleans()), min_size=12, max_size=40))
def test_the_gain_in_aurc_is_that_of_the_curve(rows):
    said, right = np.array([s / 5 for s, _ in rows]), np.array([r for _, r in rows])
    found = abstention.abstain(said, right)
    assert found.aurc_gain.value == pytest.approx(found.curve.error - found.curve.aurc, abs=1e-12)


def test_weights_are_repetitions():
    """A row that is drawn twice counts as two rows of one confidence."""
    rng = np.random.default_rng(0)
    said, wrong, w = rng.random(20).round(1), rng.random(20) < 0.4, rng.integers(0, 3, 20)
    (found,) = abstention._aurc_gain(said, wrong)(w[None].astype(float))
    curve = abstention.risk_coverage(np.repeat(said, w), ~np.repeat(wrong, w))
    assert found == pytest.approx(curve.error - curve.aurc, abs=1e-12)


def test_the_order_is_judged_where_everything_is_declined():
    """A twin that guesses declines all; at its bar the order of its guesses is refuted, and that of one who knows is not."""
    rng = np.random.default_rng(0)
    right = rng.random(600) < 0.25
    guesses = abstention.abstain(0.2 * rng.random(600), right)
    assert guesses.improvement.doubt
    assert (guesses.aurc_gain > 0.1).outcome == "FAIL"
    knows = abstention.abstain(np.clip(0.2 * right + 0.05 * rng.random(600), 0, 1), right)
    assert (knows.aurc_gain > 0.1).outcome == "PASS"
