"""The probe finds a planted label, and noise never passes, whatever the base rate."""

import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.stats.auroc import area
from lab.stats.intervals import delong, reweighted, student, wilson
from lab.studies.activations import probing


def data(n=600, d=64, strength=0.0, base=0.25, seed=0):
    rng = np.random.default_rng(seed)
    labels = rng.random(n) < base
    features = rng.normal(size=(n, d))
    features[:, 0] += strength * labels
    return features, labels


def test_noise_features_never_pass():
    """Pitfall D6: on a base rate of 25 % the plan's rule, accuracy above 0.55, passes noise. Ours must not.

    400 rows, as few as the plan has: of 40 experiments the plan's rule passes all. Ours passes 1 in 200 of them.
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import cross_val_score

    plans = ours = 0
    for seed in range(40):
        features, labels = data(n=400, seed=seed)
        plans += cross_val_score(LogisticRegression(max_iter=1000), features, labels, cv=5).mean() > 0.55
        ours += (probing.logistic(features, labels, shuffles=2, seed=seed).auroc > 0.55).outcome == "PASS"
    assert plans == 40
    assert ours <= 1


def test_most_noise_fails_outright():
    outcomes = [
        (probing.logistic(*data(n=3000, d=16, seed=seed), shuffles=2, seed=seed).auroc > 0.55).outcome
        for seed in range(10)
    ]
    assert outcomes.count("FAIL") >= 8


def test_the_interval_covers_chance_on_noise():
    """DeLong's own interval covers 0.5 in 83 to 85 % of noise experiments, ours in about 96 %; with groups too."""
    held = plain = 0
    for seed in range(60):
        rng, group = np.random.default_rng(seed), np.repeat(np.arange(75), 4)
        features = rng.normal(size=(75, 8))[group] + 0.3 * rng.normal(size=(300, 8))
        labels = rng.normal(size=75)[group] + rng.normal(size=300) > 0.9
        probe = probing.logistic(features, labels, groups=group, shuffles=2, seed=seed)
        own, naive = probe.auroc, delong(probe.scores, probe.labels)
        held += own.low < 0.5 < own.high
        plain += naive.low < 0.5 < naive.high
    assert held >= 53  # three standard errors below 96 %
    assert plain < 0.9 * 60


@pytest.mark.parametrize("group", [None, np.repeat(np.arange(50), 2)])
def test_balanced_accuracy_of_noise_passes_no_more_often_than_it_may(group):
    """Pooled over folds it has twice the variance: a bootstrap of the scored rows misses chance in 12 to 16 %."""
    ours = naive = 0
    for seed in range(60):
        features, labels = data(n=100, d=6, base=0.4, seed=seed)
        probe = probing.ridge(features, labels, folds=4, groups=group, permutations=19, seed=seed)
        right, y, e = (probe.scores > 0) == labels, labels, probe.balanced_accuracy

        def balanced(w, right=right, y=y):
            return ((w @ (right & y)) / (w @ y) + (w @ (right & ~y)) / (w @ ~y)) / 2

        drawn = reweighted(balanced, 100, groups=group, seed=seed, resamples=400)
        assert e.value == pytest.approx(drawn.value)
        assert "out of fold" in e.method
        ours += not e.low < 0.5 < e.high
        naive += not drawn.low < 0.5 < drawn.high
    assert ours <= 6
    assert naive >= ours + 3


def test_accuracy_without_folds_and_groups_would_be_wilsons():
    """Each row counts half, for the folds; and Student's quantile takes the place of the normal one."""
    right = np.arange(4000) % 10 < 7
    e, half = probing._right(right, [np.ones(4000, dtype=bool)], None), wilson(1400, 2000)
    assert (e.value, e.n) == (0.7, 4000)
    np.testing.assert_allclose([e.low, e.high], [half.low, half.high], atol=1e-4)
    by_group = probing._right(right, [np.ones(4000, dtype=bool)], np.arange(4000) // 10)
    assert by_group.high - by_group.low == pytest.approx(e.high - e.low, rel=0.01)  # never narrower than single rows
    sorted_out = probing._right(np.sort(right), [np.ones(4000, dtype=bool)], np.arange(4000) // 10)
    assert sorted_out.high - sorted_out.low > 3 * (e.high - e.low)


@pytest.mark.parametrize("probe", [probing.logistic, probing.ridge])
def test_small_cells_give_a_wide_interval_and_no_error(probe):
    """20 rows with 5 of a class, and 20 groups with one label each: resamples without a class are common there."""
    features, _ = data(n=120, d=5)
    group = np.repeat(np.arange(20), 6)
    rows = probe(features[:20], np.arange(20) < 5)
    groups = probe(features, np.isin(group, [0, 4, 8, 12, 16]), groups=group)
    for found, n in ((rows, 20), (groups, 20)):
        assert found.balanced_accuracy.high - found.balanced_accuracy.low > 0.3
        assert found.balanced_accuracy.n == n
        assert (found.balanced_accuracy > 0.5).outcome != "PASS"


def test_where_all_are_right_there_still_is_an_interval():
    features, labels = data(n=200, strength=100.0)
    found = probing.logistic(features, labels, shuffles=2).balanced_accuracy
    assert found.value == found.high == 1
    assert 0.8 < found.low < 0.98
    assert "perfectly separated" in (found > 0.5).reason  # as of a leak, which it may well be


def test_a_planted_label_passes():
    probe = probing.logistic(*data(strength=2.0), seed=0)
    assert (probe.auroc > 0.55).outcome == "PASS"
    assert probe.shuffled.auroc.within(0.45, 0.55).outcome == "PASS"
    assert (probe.balanced_accuracy > 0.6).outcome == "PASS"


def test_groups_are_never_split():
    """One random label a group and features that only name the group: by rows it is memory, by groups nothing."""
    rng = np.random.default_rng(0)
    group = np.repeat(np.arange(150), 4)
    features = rng.normal(size=(150, 64))[group] + 0.1 * rng.normal(size=(600, 64))
    labels = (rng.random(150) < 0.4)[group]
    assert probing.logistic(features, labels, shuffles=2, seed=0).auroc.value > 0.7
    assert (probing.logistic(features, labels, groups=group, shuffles=2, seed=0).auroc > 0.6).outcome != "PASS"


def test_the_same_seed_gives_the_same_numbers():
    one, two = (probing.logistic(*data(strength=0.5), shuffles=3, seed=9) for _ in range(2))
    assert one.auroc == two.auroc
    assert (one.shuffled.each == two.shuffled.each).all()


def test_scale_and_shift_of_features_do_not_matter():
    features, labels = data(strength=1.0)
    one = probing.logistic(features, labels, shuffles=2, seed=0)
    two = probing.logistic(features * 1000 - 5, labels, shuffles=2, seed=0)
    assert one.auroc.value == pytest.approx(two.auroc.value, abs=1e-3)


@pytest.mark.parametrize(
    ("features", "labels", "said"),
    [
        (np.ones((50, 3)), np.zeros(50), "the rarer class has 0 members"),
        (np.ones((50, 3)), np.arange(50) < 3, "the rarer class has 3 members, too few for 5 folds"),
        (np.ones((50, 3)), np.arange(40) < 20, "do not match"),
        (np.ones(50), np.arange(50) < 20, "do not match"),
        (np.ones((50, 3)), np.arange(50) < 20, "all 3 features are constant"),
        (np.full((50, 3), np.nan), np.arange(50) < 20, "150 of 150 features are not finite"),
        (np.ones((50, 3)), np.arange(50), "true or false"),
    ],
)
def test_what_cannot_be_probed_is_refused(features, labels, said):
    with pytest.raises(ValueError, match=said):
        probing.logistic(features, labels, seed=0)


def test_the_roc_curve_encloses_the_area_it_names():
    from matplotlib.figure import Figure

    probe = probing.logistic(*data(strength=1.0), shuffles=2, seed=0)
    ax = Figure().add_subplot()
    probe.plot_roc(ax)
    x, y = ax.lines[0].get_data()
    assert np.trapezoid(y, x) == pytest.approx(probe.auroc.value, abs=1e-9)
    assert f"{probe.auroc.value:.3f}" in ax.lines[0].get_label()


@pytest.mark.parametrize(
    ("ask", "said"),
    [
        (lambda x, y: probing.logistic(x, y, shuffles=1), "shuffles must be at least 2, not 1"),
        (lambda x, y: probing.logistic(x, y, shuffles=2.5), "shuffles must be a whole number, not 2.5"),
        (lambda x, y: probing.logistic(x, y, seed=None), "seed must be a whole number, not None"),
        (lambda x, y: probing.logistic(x, y, seed=-1), "seed must be at least 0"),
        (lambda x, y: probing.logistic(x, y, folds=1), "folds must be at least 2"),
        (lambda x, y: probing.ridge(x, y, permutations=0), "permutations must be at least 19, not 0"),
        (lambda x, y: probing.ridge(x, y, permutations=18), "permutations must be at least 19, not 18"),
        (lambda x, y: probing.ridge(x, y, seed=None), "seed must be a whole number"),
        (lambda x, y: probing.selectivity(x, y, np.arange(60) // 3, seed=None), "seed must be a whole number"),
        (lambda x, y: probing.selectivity(x, y, np.arange(60) // 3, controls=0), "controls must be at least 1"),
        (lambda x, y: probing.transfer({"a": (x, y), "b": (x, y)}, seed=None), "^seed must be a whole number"),
    ],
)
def test_too_few_draws_or_no_seed_are_refused_at_the_door(ask, said):
    with pytest.raises(ValueError, match=said):
        ask(*data(n=60, d=4, base=0.5))


def test_fewer_groups_than_folds_are_refused():
    features, labels = data(n=60)
    with pytest.raises(ValueError, match="there are 3 groups"):
        probing.logistic(features, labels, groups=np.arange(60) % 3)


# The penalty ----------------------------------------------------------------------------------------


def left_out(x, y, penalty, groups):
    """The slow way: ridge with an intercept, refitted without each group; its summed squared error."""
    error = 0.0
    for group in np.unique(groups):
        out = groups == group
        mean, level = x[~out].mean(0), y[~out].mean()
        a = x[~out] - mean
        weights = np.linalg.solve(a.T @ a + penalty * np.eye(x.shape[1]), a.T @ (y[~out] - level))
        error += ((y[out] - level - (x[out] - mean) @ weights) ** 2).sum()
    return error


@pytest.mark.parametrize("shape", [(60, 8), (40, 70)])
@pytest.mark.parametrize("groups", [None, "even", "uneven"])
def test_each_fold_chooses_the_penalty_that_refitting_without_each_group_would(shape, groups):
    n = shape[0]
    rng = np.random.default_rng(n)
    x = rng.normal(size=shape)
    columns = np.stack([x[:, 0] + rng.normal(size=n) > 0, *(rng.random((3, n)) < 0.4)], axis=1)
    member = {None: None, "even": np.arange(n) // 4, "uneven": np.arange(n) // 7}[groups]
    fold = probing._Fold(x, columns, np.arange(n), member, None)
    each = np.arange(n) if member is None else member
    penalties = n * np.logspace(-4, 2, 13)
    for column, chosen in zip(columns.T, fold.chosen, strict=True):
        errors = [left_out(fold.x, column.astype(float), penalty, each) for penalty in penalties]
        assert chosen == pytest.approx(penalties[np.argmin(errors)])


def test_rows_of_a_group_left_out_singly_would_choose_too_weak_a_penalty():
    """Features that name the group, labels that are the group's: by rows memory pays, and is penalised least."""
    rng, group = np.random.default_rng(0), np.repeat(np.arange(40), 6)
    x = rng.normal(size=(40, 60))[group] + 0.1 * rng.normal(size=(240, 60))
    y = (rng.random(40) < 0.5)[group][:, None]
    by_row, by_group = (probing._Fold(x, y, np.arange(240), g, None).chosen[0] for g in (None, group))
    assert by_group > 100 * by_row


def test_a_chosen_penalty_beats_a_fixed_one_where_features_are_many():
    rng = np.random.default_rng(0)
    behind = rng.normal(size=(200, 4))  # features have a few causes in common, as activations do
    features = behind @ rng.normal(size=(4, 150)) + 2 * rng.normal(size=(200, 150))
    labels = behind[:, 0] + rng.logistic(size=200) > 0
    chosen, fixed = (probing.logistic(features, labels, penalty=p, shuffles=2) for p in (None, 1.0))
    assert chosen.auroc.value > fixed.auroc.value + 0.05
    assert chosen.ece.ece < 0.1 < fixed.ece.ece
    assert (chosen.chosen < 0.1).all()
    assert (fixed.chosen == 1.0).all()


def test_choosing_the_penalty_finds_nothing_in_shuffled_labels():
    means = [probing.logistic(*data(n=300, d=40, seed=seed), shuffles=10, seed=seed).shuffled for seed in range(3)]
    assert np.mean([m.auroc.value for m in means]) == pytest.approx(0.5, abs=0.02)


# Honest machinery -----------------------------------------------------------------------------------


def test_a_fit_that_does_not_converge_decides_nothing(monkeypatch):
    monkeypatch.setattr(probing, "STEPS", 1)
    probe = probing.logistic(*data(strength=2.0), shuffles=2)
    assert not probe.converged
    for estimate in (probe.auroc, probe.accuracy, probe.balanced_accuracy, probe.shuffled.auroc):
        assert "did not converge" in (estimate > 0.01).reason
        assert (estimate > 0.01).outcome == "INCONCLUSIVE"


@pytest.mark.parametrize("d", [8, 600])
def test_scikit_learn_has_nothing_to_warn_of(d):
    """Its arguments change from release to release (`penalty=` went in 1.8): this fails with the first that does."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert probing.logistic(*data(n=80, d=d, base=0.5), folds=2, shuffles=2).converged


def test_blas_has_one_thread_during_a_fit(monkeypatch):
    from sklearn.linear_model import LogisticRegression
    from threadpoolctl import threadpool_info, threadpool_limits

    seen, fit = [], LogisticRegression.fit

    def watched(self, *args, **kwargs):
        seen.extend(pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas")
        return fit(self, *args, **kwargs)

    monkeypatch.setattr(LogisticRegression, "fit", watched)
    with threadpool_limits(2, user_api="blas"):
        probing.logistic(*data(n=80), folds=2, shuffles=2)
        probing.fit(*data(n=80))
    assert seen
    assert set(seen) == {1}


def test_constant_features_are_counted_and_change_nothing():
    """The spread of a column of 0.1 is 1e-17 by rounding, and dividing by it would make a feature of the rounding."""
    features, labels = data(n=303, strength=1.0)
    still = np.column_stack([features, np.full(303, 0.1), np.zeros(303)])
    assert still[:, -2].std() > 0
    one, two = (probing.logistic(x, labels, shuffles=2) for x in (features, still))
    assert (one.constant, two.constant) == (0, 2)
    np.testing.assert_allclose(one.scores, two.scores, atol=1e-8)


def test_rows_that_are_in_training_and_test_are_counted():
    """Every row twice, with noise for features and its twin's label: found by memory, unless grouped."""
    features, labels = (np.repeat(part, 2, axis=0) for part in data(n=100, d=100, base=0.5))
    leaky = probing.logistic(features, labels, shuffles=2)
    grouped = probing.logistic(features, labels, groups=np.arange(200) // 2, shuffles=2)
    assert leaky.duplicates > 100
    assert leaky.auroc.value > 0.8
    assert leaky.auroc.low > 0.6
    for estimate in (leaky.auroc, leaky.accuracy, leaky.balanced_accuracy):
        assert estimate.doubt == f"{leaky.duplicates} rows have a twin in another fold, and their labels agree; " + (
            "pass groups that join them"
        )
    assert not leaky.shuffled.auroc.doubt
    assert not grouped.auroc.doubt
    assert probing.ridge(features, labels, permutations=19).auroc.doubt
    assert grouped.duplicates == 0
    assert grouped.auroc.value < 0.65


def test_a_few_twins_among_many_rows_are_a_leak_too():
    """Every prompt answered three times, right in most or in few of them: labels agree more than chance has it."""
    rng = np.random.default_rng(0)
    share = rng.beta(0.5, 0.5, size=100)
    features, labels = np.repeat(rng.normal(size=(100, 8)), 3, axis=0), rng.random(300) < np.repeat(share, 3)
    assert "twin" in probing.ridge(features, labels, permutations=19).auroc.doubt


def honest(kind, rng, n=400):
    """Features that many rows share, with a label that depends on them and on the row."""
    x = {
        "three binary features": lambda: rng.integers(2, size=(n, 3)),
        "binary features, standardised": lambda: (rng.integers(2, size=(n, 3)) - 0.3) / 0.46,
        "grades of 1 to 7": lambda: rng.integers(1, 8, size=(n, 1)),
        "the length alone": lambda: rng.integers(5, 60, size=(n, 1)),
        "one-hot topics": lambda: np.eye(30)[rng.integers(30, size=n)],
        "length and a binary feature": lambda: np.stack([rng.poisson(30, size=n), rng.integers(2, size=n)], 1),
    }[kind]()
    level = x @ np.arange(1, x.shape[1] + 1)
    return x.astype(float), 1.5 * (level - level.mean()) / level.std() + rng.logistic(size=n) > 0


@pytest.mark.parametrize(
    "kind",
    [
        "three binary features",
        "binary features, standardised",
        "grades of 1 to 7",
        "the length alone",
        "one-hot topics",
        "length and a binary feature",
    ],
)
def test_discrete_features_share_rows_honestly(kind):
    for seed in range(3):
        found = probing.ridge(*honest(kind, np.random.default_rng(seed)), permutations=19, seed=seed)
        assert found.duplicates > 100
        assert not found.auroc.doubt


def test_twins_whose_labels_agree_by_chance_only_are_no_leak():
    rng, doubted = np.random.default_rng(0), 0
    for seed in range(40):
        features, labels = np.repeat(rng.normal(size=(60, 12)), 3, axis=0), rng.random(180) < 0.3
        doubted += probing.ridge(features, labels, permutations=19, seed=seed).auroc.doubt != ""
    assert doubted <= 5


def test_its_probabilities_are_of_the_true_base_rate():
    """Classes weighted alike say one half on a base rate of 10 %: the raw probabilities are far off."""
    rng = np.random.default_rng(0)
    features = rng.normal(size=(2000, 3))
    labels = rng.random(2000) < 1 / (1 + np.exp(2.5 - features[:, 0]))
    probe = probing.logistic(features, labels, shuffles=2)
    raw = 1 / (1 + np.exp(-probing.fit(features, labels).scores(features)))
    assert raw.mean() - labels.mean() > 0.2
    assert probe.probabilities.mean() == pytest.approx(labels.mean(), abs=0.01)
    assert probe.ece.brier.value == pytest.approx(((probe.probabilities - labels) ** 2).mean())
    assert area(probe.probabilities, labels) == pytest.approx(probe.auroc.value, abs=0.01)
    assert probe.ece.p > 0.01
    assert probe.ece.ece < 0.03


def test_perfect_separation_is_in_doubt():
    features, labels = data(n=200, strength=100.0)
    assert "perfectly separated" in (probing.logistic(features, labels, shuffles=2).auroc > 0.55).reason


@pytest.mark.parametrize("probe", [probing.logistic, probing.ridge])
def test_a_feature_that_varies_in_one_fold_only_is_no_matter(probe):
    """Constant in a training part, it has nothing to teach; nor has a training part in which all are."""
    features, labels = data(n=60, d=2, base=0.5)
    features[1:] = 0.0
    found = probe(features, labels)
    assert found.constant == 0
    assert np.isfinite(found.scores).all()
    assert found.auroc.value == pytest.approx(0.5, abs=0.2)


def test_lists_single_precision_and_named_groups_will_do():
    features, labels = data(n=80, d=4, strength=1.0)
    names = [f"patient {i // 4}" for i in range(80)]
    one = probing.logistic(features.astype(np.float32).tolist(), labels.astype(int).tolist(), groups=names, shuffles=2)
    two = probing.logistic(features, labels, groups=np.arange(80) // 4, shuffles=2)
    assert one.auroc.value == pytest.approx(two.auroc.value, abs=0.15)
    assert one.auroc.n == 20


# Ridge and its null ---------------------------------------------------------------------------------


def test_ridge_finds_what_logistic_finds_and_its_null_is_at_chance():
    features, labels = data(n=500, strength=1.0)
    found = probing.ridge(features, labels, permutations=300)
    assert found.auroc.value == pytest.approx(probing.logistic(features, labels, shuffles=2).auroc.value, abs=0.03)
    assert found.p == pytest.approx(1 / 301)
    assert found.null.mean() == pytest.approx(0.5, abs=0.01)
    assert (found.balanced_accuracy > 0.55).outcome == "PASS"


def test_ridge_of_noise_is_within_its_null():
    found = [probing.ridge(*data(n=120, d=30, seed=seed), permutations=59, seed=seed) for seed in range(30)]
    assert np.mean([f.p <= 0.05 for f in found]) <= 0.15
    assert np.mean([f.p for f in found]) == pytest.approx(0.5, abs=0.15)
    assert all((f.balanced_accuracy > 0.6).outcome != "PASS" for f in found)


def test_labels_of_a_group_are_permuted_together():
    """Labels and features that are both the group's own: a null by single rows finds too much in too many."""
    group, alone, together = np.repeat(np.arange(24), 10), 0, 0
    for seed in range(16):
        rng = np.random.default_rng(seed)
        features, labels = rng.normal(size=(24, 4))[group], (rng.permutation(24) < 12)[group]
        features = features + 0.01 * rng.normal(size=(240, 4))
        found = probing.ridge(features, labels, groups=group, permutations=99, seed=seed)
        singly = probing.ridge(features, labels, permutations=99, seed=seed).null
        together += found.p <= 0.05
        alone += (1 + (singly >= found.auroc.value).sum()) / 100 <= 0.05
    assert alone >= 4
    assert together <= 3


@given(st.integers(2, 8), st.integers(1, 5), st.integers(0, 1000))
def test_a_permutation_of_even_groups_moves_whole_blocks(k, size, seed):
    labels = np.arange(k * size)
    for row in probing.permuted(labels, 3, np.random.default_rng(seed), groups=np.repeat(np.arange(k), size)):
        assert sorted(row) == list(labels)
        blocks = row.reshape(k, size)
        assert (blocks // size == blocks[:, :1] // size).all()


# Selectivity and transfer ---------------------------------------------------------------------------


def words(dims, seed=0):
    """1000 occurrences of 100 words; the label is the word's own, and on the first feature."""
    rng = np.random.default_rng(seed)
    types = rng.integers(100, size=1000)
    label = rng.random(100) < 0.5
    features = rng.normal(size=(100, dims))[types] + 0.3 * rng.normal(size=(1000, dims))
    features[:, 0] = label[types] + 0.3 * rng.normal(size=1000)
    return features, label[types], types


def test_a_probe_that_memorises_types_is_not_selective():
    """Hewitt and Liang 2019: as accurate on the task, yet it finds random labels of the same words as well."""
    narrow, wide = (probing.selectivity(*words(dims), folds=3, controls=1) for dims in (3, 200))
    assert narrow.task.value > 0.9
    assert wide.task.value > 0.9
    assert (narrow.selectivity > 0.2).outcome == "PASS"
    assert (wide.selectivity > 0.2).outcome == "FAIL"
    assert wide.control.value > 0.9
    assert narrow.selectivity.n == 100
    assert narrow.selectivity.value == pytest.approx(narrow.task.value - narrow.control.value)


def test_the_task_is_judged_by_balanced_accuracy():
    features, labels, types = words(3)
    probe = probing.logistic(features, labels, shuffles=2)
    assert probing.selectivity(features, labels, types, controls=1).task.value == pytest.approx(
        probe.balanced_accuracy.value
    )


def test_selectivity_is_as_unsure_as_scores_pooled_over_folds_are():
    """Student's interval of the scored rows misses 0 in 12 % of experiments with noise; so it is wider by a root of 2."""
    features, labels, types = words(3)
    found, probe = probing.selectivity(features, labels, types, controls=2), probing.logistic(features, labels)
    share = np.where(labels, labels.mean(), 1 - labels.mean())
    naive = student(((probe.scores > 0) == labels) / (2 * share), groups=types)
    assert found.task.value == pytest.approx(naive.value)
    assert found.task.value - found.task.low == pytest.approx(2**0.5 * (naive.value - naive.low))
    assert all("out of fold" in e.method for e in (found.task, found.control, found.selectivity))
    assert found.selectivity.p < 0.001


def test_types_that_do_not_repeat_are_refused():
    features, labels = data(n=60)
    with pytest.raises(ValueError, match="types that repeat"):
        probing.selectivity(features, labels, np.arange(60) // 1.5)


def test_a_probe_transfers_along_a_shared_direction_only():
    one, two = data(strength=2.0, seed=1), data(strength=2.0, seed=2)
    turned = (two[0][:, ::-1], two[1])
    against = (-two[0], two[1])
    found = probing.transfer({"one": one, "two": two, "turned": turned, "against": (*against, np.arange(600) // 2)})
    assert (found.auroc["one", "two"] > 0.8).outcome == "PASS"
    assert found.auroc["one", "turned"].within(0.4, 0.6).outcome == "PASS"
    assert (found.auroc["one", "against"] < 0.2).outcome == "PASS"
    assert found.auroc["one", "against"].n == 300
    assert found.matrix.shape == (4, 4)
    assert found.auroc["one", "one"].value == probing.logistic(*one, shuffles=2).auroc.value


def test_a_probe_knows_nothing_of_the_rows_it_is_tested_on():
    """Standardised by the training set: what else is in the test set, and where, changes no score."""
    (x, y), (other, _) = data(strength=1.0, seed=1), data(n=100, seed=2)
    probe = probing.fit(x, y)
    np.testing.assert_allclose(probe.mean, x.mean(0))
    far = np.concatenate([other[:10], 1000 + other[10:]])
    np.testing.assert_allclose(probe.scores(far)[:10], probe.scores(other)[:10])
    with pytest.raises(ValueError, match="was taught 64 features"):
        probe.scores(other[:, :3])


def test_a_set_that_cannot_be_probed_is_named():
    with pytest.raises(ValueError, match="set 'bad': the rarer class has 0"):
        probing.transfer({"bad": (np.ones((50, 64)), np.zeros(50)), "good": data()})
    with pytest.raises(ValueError, match="from one set to another"):
        probing.transfer({"only": data()})


def test_the_matrix_is_drawn_with_its_figures():
    from matplotlib.figure import Figure

    ax = Figure().add_subplot()
    found = probing.transfer({"a": data(strength=1.0), "b": data(strength=1.0, seed=5)})
    found.plot(ax)
    assert [text.get_text() for text in ax.texts] == [f"{value:.2f}" for value in found.matrix.ravel()]
