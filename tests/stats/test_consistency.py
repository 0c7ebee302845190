"""Consistency of tasks: definitions worked by hand, laws, and the table that overwrote itself."""

import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from lab.estimate import Bar
from lab.stats.consistency import (
    Rated,
    across_models,
    at_ceiling,
    by_model,
    by_template,
    consistency_v1,
    consistency_v2,
    consistency_v3,
    extremes,
    intrinsic_or_specific,
    keep_top,
    normalise,
    percentiles,
    ranked,
    reached,
)
from lab.stats.correlations import fisher_z
from lab.stats.reliability import cross_seed

# Scores from 0 to 1 -----------------------------------------------------------------------------------


def test_ratings_beyond_the_scale_are_excluded_and_listed():
    found = normalise([[-2, 850], [0, np.nan]], -2, 2)
    assert found.outliers == (((0, 1), 850.0),)
    assert np.array_equal(found.scores, [[0, np.nan], [0.5, np.nan]], equal_nan=True)
    with pytest.raises(ValueError, match="below"):
        normalise([1], 5, 1)


def table():
    """Two models, two templates of unlike scales, three seeds, ten tasks; template "percent" is noise."""
    rng = np.random.default_rng(0)
    good = rng.uniform(size=10)
    for model in ("m1", "m2"):
        for task in range(10):
            for seed in range(3):
                yield Rated(f"t{task}", seed, model, "five", 1 + 4 * good[task], (1, 5))
                yield Rated(f"t{task}", seed, model, "percent", 100 * rng.uniform(), (0, 100))


def test_pooling_overwrites_nothing():
    """Grouped as dict[seed] = run, every later template replaces the earlier: "by model" was its last template."""
    rows = list(table())
    overwritten = {}
    for rated in rows:
        if rated.model == "m1":
            overwritten[rated.seed, rated.task] = rated.rating
    last = np.array([[overwritten[seed, f"t{task}"] for seed in range(3)] for task in range(10)])
    model = by_model(rows)["m1"]
    assert last == pytest.approx(100 * model.parts["percent"])  # the first template is gone without trace
    assert abs(cross_seed(last).mean.value) < 0.5
    assert cross_seed(model.parts["five"]).mean.value == pytest.approx(1)
    assert model.scores == pytest.approx((model.parts["five"] + model.parts["percent"]) / 2)
    assert 0 <= model.scores.min() < model.scores.max() <= 1


def test_pooled_and_mean_are_two_aggregates():
    found = by_template(table())
    assert set(found) == {"five", "percent"}
    assert set(found["five"].parts) == {"m1", "m2"}

    def spread(x):
        return np.nanstd(x)

    percent = found["percent"]
    assert percent.mean(spread) == pytest.approx(np.mean([spread(part) for part in percent.parts.values()]))
    assert percent.pooled(spread) == pytest.approx(spread(percent.scores))
    assert percent.pooled(spread) < percent.mean(spread)  # averaging over models takes noise away


def test_pooling_lists_strays_averages_repeats_and_leaves_gaps():
    rows = [
        Rated("a", 0, "m", "t", 850, (1, 5)),
        Rated("a", 1, "m", "t", 5, (1, 5)),
        Rated("a", 1, "m", "t", 3, (1, 5)),
        Rated("b", 0, "m", "u", 1, (1, 5)),
        Rated("b", 1, "m", "u", math.nan, (1, 5)),
    ]
    found = by_model(rows)["m"]
    assert found.outliers == (rows[0],)
    assert np.array_equal(found.scores, [[np.nan, 0.75], [0, np.nan]], equal_nan=True)


# How consistent a task is -----------------------------------------------------------------------------


def test_v1_by_hand():
    scores = np.array([[[0.2, 0.4], [0.5, 0.5]], [[0.0, 1.0], [0.4, 0.6]], [[0.3, 0.3], [0.3, 0.3]]])
    intra, inter = np.array([[0.1, 0.0], [0.5, 0.1], [0.0, 0.0]]), np.array([0.1, 0.0, 0.0])
    expected = 0.9 * (1 - np.minimum(intra.mean(1) / np.percentile(intra, 95), 1)) + 0.1 * (
        1 - np.minimum(inter / np.percentile(inter, 95), 1)
    )
    assert consistency_v1(scores) == pytest.approx(expected)


PUBLISHED = np.array(
    [  # intra_std, inter_std, consistency_score
        [0.08808987177741114, 0.09277976303524586, 0.5701467592934866],
        [0.08310032871220178, 0.09462399699067882, 0.5908158309813867],
        [0.047402684589601146, 0.09415614797940804, 0.7457715130727768],
        [0.03864508750161762, 0.09978979958001054, 0.7808078644403275],
        [0.02419130419320618, 0.14647197131935846, 0.81926272779778],
        [0.020631569296100896, 0.08677044907483748, 0.8656240842619821],
        [0.012834335908431945, 0.08347135060206423, 0.9011266056362486],
        [0.0101694772547296, 0.018181818181818184, 0.9465049246238584],
    ]
)
"""Of task_consistency.json in github.com/oscar-gilg/probing-persona-preferences at commit abd3e35e (MIT License)."""


def test_v1_of_published_deviations_is_the_published_score():
    """The percentiles are not published: two rows give them, and the others come out to the last digits.

    The table has these deviations, and beside them tasks with the percentile's own, so that it is the percentile.
    """
    score = PUBLISHED[:, 2]
    share_of_intra, share_of_inter = np.linalg.solve(PUBLISHED[[0, 4], :2], 1 - score[[0, 4]])
    deviations = np.vstack([PUBLISHED[:, :2], np.tile([0.9 / share_of_intra, 0.1 / share_of_inter], (8, 1))])
    within, between = deviations.T[:, :, None, None]
    ends = np.array([-1.0, 1.0])
    found = consistency_v1(0.5 + between * ends[None, :, None] + within * ends[None, None, :])
    np.testing.assert_allclose(found[:8], score, atol=1e-12)
    np.testing.assert_allclose(found[8:], 0, atol=1e-12)


def test_v1_and_v2_are_what_their_published_program_computes():
    """Written out as it was, in loops over tasks, templates and seeds, with answers that are missing here and there."""
    rng = np.random.default_rng(0)
    scores = rng.random((40, 5, 4)) * rng.random((40, 1, 1))
    scores[rng.random(scores.shape) < 0.2] = np.nan
    intra, inter, every_intra = {}, {}, []
    for task in range(40):
        cells = [[x for x in scores[task, template] if x == x] for template in range(5)]
        intra[task] = [float(np.std(cell)) for cell in cells if len(cell) >= 2]
        inter[task] = float(np.std([float(np.mean(cell)) for cell in cells if cell]))
        every_intra += intra[task]
    p95, p95_inter = np.percentile(every_intra, 95), np.percentile(list(inter.values()), 95)
    v2 = [1 - min(float(np.mean(intra[task])) / p95, 1.0) for task in range(40)]
    v1 = [0.9 * v2[task] + 0.1 * (1 - min(inter[task] / p95_inter, 1.0)) for task in range(40)]
    np.testing.assert_allclose(consistency_v1(scores), v1, atol=1e-12)
    np.testing.assert_allclose(consistency_v2(scores), v2, atol=1e-12)


def test_v2_and_v3_by_hand():
    scores = [[0.0, 1.0, np.nan], [0.5, 0.5, 0.5], [0.2, 0.4, 0.6]]
    deviation = np.array([0.5, 0.0, np.std([0.2, 0.4, 0.6])])
    assert consistency_v2(scores) == pytest.approx(1 - np.minimum(deviation / np.percentile(deviation, 95), 1))
    assert consistency_v3(scores) == pytest.approx(1 - deviation / 0.5)


SCORES = arrays(float, st.tuples(st.integers(1, 8), st.integers(2, 4), st.integers(2, 5)), elements=st.floats(0, 1))


@given(SCORES)
def test_consistency_lies_between_0_and_1(scores):
    for of in (consistency_v1, consistency_v2, consistency_v3):
        found = of(scores)
        assert found.shape == (len(scores),)
        assert (found >= -1e-9).all()
        assert (found <= 1 + 1e-9).all()


def test_a_relative_score_always_finds_a_worst_task_and_an_absolute_one_does_not():
    scores = 0.5 + np.random.default_rng(1).normal(0, 1e-4, size=(50, 4))
    assert consistency_v2(scores).min() == 0
    assert consistency_v3(scores).min() > 0.999


def test_what_cannot_be_scored_is_nan_and_constants_are_perfect():
    scores = [[[0.5, np.nan], [0.5, np.nan]], [[0.1, 0.1], [0.3, 0.3]], [[0.4, 0.4], [0.4, 0.4]]]
    assert np.isnan([of(scores)[0] for of in (consistency_v1, consistency_v2, consistency_v3)]).all()
    assert consistency_v2(scores)[1:].tolist() == consistency_v3(scores)[1:].tolist() == [1, 1]
    assert consistency_v1([[[0.1] * 3] * 2] * 4).tolist() == [1] * 4


@pytest.mark.parametrize(
    ("scores", "said"), [([[1.0, 5.0]], "normalise them first"), ([0.1, 0.2], "tasks, seeds"), ([[0.1, 0.2]], "v1")]
)
def test_scores_of_another_kind_are_refused(scores, said):
    with pytest.raises(ValueError, match=said):
        consistency_v1(scores)


# What follows from scores -----------------------------------------------------------------------------


def test_counts_and_ceiling_forgive_rounding():
    """0.7 and 1 less a rounding: `==` and `>=` lose them."""
    almost = [math.nextafter(0.7, 0), math.nextafter(1, 0), 0.2]
    assert sum(x == 1 for x in almost) == 0
    assert at_ceiling(almost).value == pytest.approx(1 / 3)
    assert almost[0] < 0.7
    assert [round(e.value * e.n) for e in reached(almost).values()] == [2, 2, 1]


def test_percentiles_run_from_5_to_95():
    found = percentiles(np.linspace(0, 1, 101))
    assert list(found) == list(range(5, 100, 5))
    assert found[95] == pytest.approx(0.95)


def test_the_filter_keeps_its_ratio_and_says_what_becomes_of_the_unknown():
    scores = {f"t{i}": i / 10 for i in range(10)} | {"nan": math.nan}
    tasks = [*scores, "new"]
    kept = keep_top(tasks, scores, 0.7, unknown="drop")
    assert kept == [f"t{i}" for i in range(3, 10)]
    assert keep_top(tasks, scores, 0.7, unknown="keep") == [*kept, "nan", "new"]
    with pytest.raises(TypeError):
        keep_top(tasks, scores, 0.7)
    with pytest.raises(ValueError, match="ratio"):
        keep_top(tasks, scores, 1.7, unknown="keep")


def test_a_ranked_list_is_sorted_plain_data():
    scores = {"b": 0.5, "a": 0.5, "c": np.float64(0.9), "d": math.nan}
    rows = ranked(scores, {"c": {"origin": "maths"}, "b": {"reason": "needs an image"}})
    assert [(r["rank"], r["task"]) for r in rows] == [(1, "c"), (2, "a"), (3, "b"), (None, "d")]
    assert json.loads(json.dumps(rows)) == rows
    top, bottom = extremes(rows, 1)
    assert (top[0]["origin"], bottom[0]["reason"]) == ("maths", "needs an image")


def test_models_are_compared_over_their_common_tasks():
    rng = np.random.default_rng(2)
    one = {str(t): s for t, s in enumerate(rng.uniform(size=30))}
    scores = {
        "a": one,
        "b": {t: s + 0.1 * rng.normal() for t, s in one.items() if int(t) < 20} | {"0": math.nan},
        "c": dict.fromkeys(one, 1.0),
    }
    ab, ac, bc = across_models(scores)
    assert (ab.first, ab.second, ab.n, ac.n, bc.n) == ("a", "b", 19, 30, 19)
    assert ab.pearson.value > 0.8
    assert ab.pearson.p < 0.001
    assert ab.spearman.n == 19
    assert ac.pearson is None  # constant: undefined, not 0
    assert ac.spearman is None


def test_the_conclusion_is_by_the_interval():
    assert intrinsic_or_specific(fisher_z(0.8, 100)) == "intrinsic to the tasks"
    assert intrinsic_or_specific(fisher_z(0.0, 100)) == "specific to the model"
    assert intrinsic_or_specific(fisher_z(0.8, 6)) == "undecided"  # the point rule would conclude
    assert intrinsic_or_specific(fisher_z(0.4, 10_000)) == "undecided"
    assert intrinsic_or_specific(fisher_z(0.4, 10_000), Bar(0.35)) == "intrinsic to the tasks"
    assert intrinsic_or_specific(fisher_z(1.0, 10)) == "undecided"
