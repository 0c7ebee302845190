"""AUROC against published numbers, brute force, and its own error rate."""

import csv
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.stats.auroc import area
from lab.stats.intervals import delong, delong_difference

PUBLISHED = Path(__file__).parents[3] / "shared" / "published" / "aSAH.csv"


def test_hanley_mcneil_1982():
    """Ratings of 58 normal and 51 abnormal images: area 0.8932, DeLong SE 0.0307 (the paper's own SE is 0.032)."""
    normal, abnormal = [33, 6, 6, 11, 2], [3, 2, 2, 11, 33]
    scores = np.repeat([1, 2, 3, 4, 5] * 2, normal + abnormal)
    e = delong(scores, np.repeat([False, True], [58, 51]))
    assert e.value == pytest.approx(0.8931711, abs=1e-7)
    assert (e.high - e.low) / 2 / 1.959964 == pytest.approx(0.0307244, abs=1e-6)


@pytest.mark.parametrize(("column", "area"), [("ndka", 0.611957994579946), ("s100b", 0.7313686), ("wfns", 0.8236789)])
def test_proc_on_asah(column, area):
    if not PUBLISHED.is_file():
        pytest.skip("the published table is not beside the checkout")
    with PUBLISHED.open() as file:
        rows = list(csv.DictReader(file))
    e = delong([float(row[column]) for row in rows], [row["outcome"] == "Poor" for row in rows])
    assert e.value == pytest.approx(area, abs=1e-7)


@pytest.mark.parametrize(
    ("first", "second", "z", "p"),
    [
        ("wfns", "s100b", 2.20898359144091, 0.0271757822291882),
        ("wfns", "ndka", 2.79777591868904, 0.00514557970691098),
        ("ndka", "s100b", -1.39077002573558, 0.164295175223054),
    ],
)
def test_paired_areas_equal_proc(first, second, z, p):
    if not PUBLISHED.is_file():
        pytest.skip("the published table is not beside the checkout")
    with PUBLISHED.open() as file:
        rows = list(csv.DictReader(file))
    one, two = ([float(row[name]) for row in rows] for name in (first, second))
    e = delong_difference(one, two, [row["outcome"] == "Poor" for row in rows])
    assert e.p == pytest.approx(p, rel=1e-9)
    assert e.value / ((e.high - e.low) / 2 / 1.959963984540054) == pytest.approx(z, rel=1e-9)


def test_scores_and_labels_that_were_swapped_are_noticed():
    with pytest.raises(ValueError, match="labels must be true or false"):
        delong([True, False, True, False], [0.3, 0.7, 0.2, 0.1])


def test_areas_of_many_rows_are_those_of_each():
    rng = np.random.default_rng(0)
    scores, labels = rng.integers(0, 9, (20, 50)), rng.random(50) < 0.3
    assert area(scores, labels) == pytest.approx([delong(row, labels).value for row in scores])


@given(st.lists(st.tuples(st.integers(0, 6), st.booleans()), min_size=4, max_size=40))
def test_area_is_the_share_of_pairs_in_order(rows):
    scores, labels = np.array([s for s, _ in rows]), np.array([y for _, y in rows])
    if min(labels.sum(), (~labels).sum()) < 2:
        with pytest.raises(ValueError, match="two members of each class"):
            delong(scores, labels)
        return
    pairs = [(a > b) + 0.5 * (a == b) for a in scores[labels] for b in scores[~labels]]
    e = delong(scores, labels)
    assert e.value == pytest.approx(np.mean(pairs), abs=1e-12)
    assert 0 <= e.low <= e.value <= e.high <= 1


def test_perfect_separation_is_not_certainty():
    """DeLong's own interval has no width there; a naive reader takes it for proof."""
    verdict = delong([1, 2, 3, 10, 11, 12], [0, 0, 0, 1, 1, 1]) > 0.4
    assert verdict.outcome == "INCONCLUSIVE"
    assert "perfectly separated" in verdict.reason
    e = delong([1, 2, 3, 10, 11, 12], [0, 0, 0, 1, 1, 1])
    assert (e.value, e.high) == (1, 1)
    assert e.low == pytest.approx(0.4385, abs=1e-3)
    assert delong([10, 11, 12, 1, 2, 3], [0, 0, 0, 1, 1, 1]).value == 0


def test_tied_scores_decide_nothing():
    assert (delong([1.0] * 8, [0, 1] * 4) > 0.3).outcome == "INCONCLUSIVE"


def test_clustered_rows_have_a_wider_interval_that_covers():
    """Rows of a group share their label's and their score's disturbance; Obuchowski's interval holds, DeLong's does not."""
    held = plain = 0
    for seed in range(400):
        rng = np.random.default_rng(seed)
        group = np.repeat(np.arange(60), 5)
        labels = rng.normal(size=60)[group] + 0.5 * rng.normal(size=300) > 0.8
        scores = rng.normal(size=60)[group] + 0.5 * rng.normal(size=300)
        e, naive = delong(scores, labels, groups=group), delong(scores, labels)
        held += e.low < 0.5 < e.high
        plain += naive.low < 0.5 < naive.high
    assert e.n == 60
    assert held >= 0.91 * 400
    assert plain < 0.8 * 400


def test_groups_of_one_are_no_clusters():
    rng = np.random.default_rng(0)
    scores, labels = rng.normal(size=200), rng.random(200) < 0.3
    one, two = delong(scores, labels, groups=np.arange(200), logit=True), delong(scores, labels, logit=True)
    assert one.high - one.low == pytest.approx(two.high - two.low, rel=0.01)


def test_the_logit_scale_keeps_its_level_near_one_and_the_plain_one_does_not():
    """Binormal scores of area 0.90, 40 of 160 positive: how often is the interval wholly above the truth?"""
    from scipy.stats import norm

    rng, truth, plain, logit = np.random.default_rng(0), norm.cdf(1.8 / 2**0.5), 0, 0
    labels = np.arange(160) < 40
    for _ in range(600):
        scores = rng.normal(size=160) + 1.8 * labels
        plain += delong(scores, labels).low > truth
        logit += delong(scores, labels, logit=True).low > truth
    assert plain > 0.065 * 600
    assert logit < 0.055 * 600


def test_delong_covers_the_truth():
    """Binormal scores of known area; 95 % intervals must hold it in 93 to 97 % of 800 experiments."""
    from scipy.stats import norm

    rng, truth = np.random.default_rng(0), norm.cdf(1 / 2**0.5)
    held = 0
    for _ in range(800):
        e = delong(np.concatenate([rng.normal(1, 1, 40), rng.normal(0, 1, 120)]), np.arange(160) < 40)
        held += e.low < truth < e.high
    assert 0.93 * 800 <= held <= 0.97 * 800


def test_unequal_groups_do_not_pass_falsely_and_the_normal_quantile_does():
    """30 groups of 60, 30, 20, 15 ... rows, noise: each side is due 2.5 %."""
    group = np.repeat(np.arange(30), [max(1, 60 // (i + 1)) for i in range(30)])
    sided = naive = runs = 0
    for seed in range(600):
        rng = np.random.default_rng(seed)
        scores, trait = (rng.normal(size=30)[group] + rng.normal(size=group.size) for _ in range(2))
        e = delong(scores, trait > 0.6, groups=group)
        runs += not e.doubt
        sided += not e.doubt and not e.low < 0.5 < e.high
        reach = (e.high - e.value) / _student(group, trait > 0.6) * 1.96
        naive += not e.doubt and abs(e.value - 0.5) > reach
    assert runs > 300
    assert sided <= 0.065 * runs
    assert naive > 0.09 * runs


def _student(group, labels):
    from scipy.special import stdtrit

    from lab.stats.checks import effective

    return stdtrit(min(effective(np.bincount(group[side])) for side in (labels, ~labels)) - 1, 0.975)


@pytest.mark.parametrize(("positive", "doubted"), [(4, True), (5, False)])
def test_a_class_of_four_is_too_few(positive, doubted):
    """By z, three positives were missed in 5 to 14 % of experiments on each side."""
    scores = np.random.default_rng(0).normal(size=40)
    labels = np.arange(40) < positive
    e = delong(scores, labels, logit=True)
    assert ("members of one class" in e.doubt) is doubted
    assert delong_difference(scores, -scores, labels).doubt == e.doubt
    group = np.r_[np.arange(positive), positive + np.arange(40 - positive) // 2]
    assert ("groups that hold" in delong(scores, labels, groups=group).doubt) is doubted


def test_the_logit_interval_has_students_quantile_and_the_plain_one_pROCs_z():
    from scipy.special import logit, stdtrit

    rng = np.random.default_rng(1)
    scores, labels = rng.normal(size=60), np.arange(60) < 10
    plain, on_logit = delong(scores, labels), delong(scores, labels, logit=True)
    error = (plain.high - plain.value) / 1.959963984540054
    reach = logit(on_logit.high) - logit(on_logit.value)
    slope = 1 / (plain.value * (1 - plain.value))
    assert reach == pytest.approx(error * slope * stdtrit(9, 0.975), rel=1e-9)


def test_a_difference_from_a_perfect_area_decides_nothing():
    rng = np.random.default_rng(2)
    labels = np.arange(40) < 15
    verdict = delong_difference(labels + 0.1 * rng.random(40), rng.normal(size=40), labels) > 0
    assert verdict.outcome == "INCONCLUSIVE"
    assert "perfectly separated" in verdict.reason


def test_a_difference_out_of_fold_has_twice_the_variance():
    rng = np.random.default_rng(3)
    labels, one, two = np.arange(60) < 20, rng.normal(size=60), rng.normal(size=60)
    plain = delong_difference(one, two, labels)
    pooled = delong_difference(one, two, labels, out_of_fold=True)
    assert pooled.high - pooled.low == pytest.approx(2**0.5 * (plain.high - plain.low))
    assert pooled.method == "DeLong paired, out of fold"
