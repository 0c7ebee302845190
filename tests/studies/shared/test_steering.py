"""A behaviour's change is told from that of random directions, and its interval is never without width."""

import numpy as np
import pytest
from matplotlib.figure import Figure

from lab.studies.shared import steering


def test_the_direction_is_the_difference_of_means():
    rng = np.random.default_rng(0)
    trait = np.arange(8.0)
    plain = rng.normal(size=(400, 8))
    found = steering.difference_in_means(plain, plain[:300] + trait)
    assert found == pytest.approx(plain[:300].mean(0) - plain.mean(0) + trait)


def test_random_directions_are_as_long_and_differ_by_seed():
    direction = np.array([3.0, 4.0] + [0.0] * 30)
    drawn = steering.random_directions(direction, 200, seed=1)
    assert np.linalg.norm(drawn, axis=1) == pytest.approx(np.full(200, 5.0))
    assert np.abs(drawn @ direction / 25).mean() < 0.3, "they point anywhere"
    assert not np.array_equal(drawn, steering.random_directions(direction, 200, seed=2))
    assert np.array_equal(drawn, steering.random_directions(direction, 200, seed=1))


def test_an_edit_that_moves_all_answers_alike_has_an_interval_with_width():
    found = steering.behaviour(np.zeros(100), np.full(100, 0.9), np.zeros((3, 100)))
    assert found.change.value == pytest.approx(0.9)
    assert 0.5 < found.change.low < 0.9 < found.change.high <= 1
    assert (found.change > 0.1).outcome == "PASS"
    assert found.change.p < 1e-10
    nothing = steering.behaviour(np.zeros(100), np.zeros(100), np.zeros((3, 100)))
    assert (nothing.change > 0.1).outcome == "FAIL"
    assert nothing.change.p == 1


def test_what_a_random_direction_does_as_well_is_no_excess():
    """Any disturbance raises the score here; the edit does nothing of its own."""
    rng = np.random.default_rng(0)
    base = np.zeros(1000)
    noise = (rng.random((5, 1000)) < 0.6) * 0.8
    found = steering.behaviour(base, (rng.random(1000) < 0.6) * 0.8, noise)
    assert (found.change > 0.1).outcome == "PASS"
    assert (found.excess > 0.1).outcome == "FAIL"
    assert found.random_change.value == found.random.max()


def test_the_excess_is_over_the_strongest_random_direction():
    base, edited = np.full(50, 0.2), np.full(50, 0.8)
    found = steering.behaviour(base, edited, [base, base + 0.3, base - 0.1])
    assert found.excess.value == pytest.approx(0.3)
    as_one_more = steering.beyond_random(found.change.value, found.random, symmetric=False)
    assert found.excess.low == pytest.approx(as_one_more.low), "three directions say less than fifty prompts"
    assert found.random == pytest.approx([0.0, 0.3, -0.1])
    assert found.share.value == 1


def test_one_more_direction_is_seldom_beyond_random_ones_and_over_prompts_alone_it_often_is():
    """Directions differ from each other, and how sure each is over prompts says nothing of the next."""
    beyond, over_prompts = 0, 0
    for i in range(100):
        rng = np.random.default_rng(i)
        said = (rng.random((3, 100)) < rng.uniform(0, 0.6, (3, 1))) * 1.0
        found = steering.behaviour(np.zeros(100), said[0], said[1:])
        beyond += (found.excess > 0).outcome == "PASS"
        strongest = said[1 + int(found.random.argmax())]
        over_prompts += (steering.paired_change(strongest, said[0]) > 0).outcome == "PASS"
    assert beyond <= 7
    assert over_prompts > beyond + 3


def test_one_random_direction_decides_nothing():
    found = steering.behaviour(np.zeros(100), np.full(100, 0.9), np.zeros((1, 100)))
    assert (found.excess > 0.1).outcome == "INCONCLUSIVE"
    assert "draw two or more" in found.excess.doubt


@pytest.mark.parametrize("symmetric", [True, False])
def test_a_direction_among_random_ones_is_beyond_them_as_often_as_is_said(symmetric):
    """Both tails of 5 % in 4000 experiments, of four normal changes; with a mean of their own if not symmetric."""
    rng = np.random.default_rng(0)
    changes = rng.normal(0 if symmetric else 0.4, 0.1, (4000, 5))
    found = [steering.beyond_random(one[0], one[1:], symmetric=symmetric) for one in changes]
    outside = np.mean([not e.low <= 0 <= e.high for e in found])
    assert outside == pytest.approx(0.05, abs=0.012)
    assert np.mean([e.p < 0.05 for e in found]) == outside


def test_intervals_hold_the_truth():
    """Of 300 experiments with a mean change of 0.15, at most 5 % + noise may miss it; bets at all times miss fewer."""
    rng = np.random.default_rng(3)
    missed = 0
    for i in range(300):
        before = rng.choice([0.2, 0.5], 60)
        e = steering.paired_change(before, before + rng.choice([0.0, 0.3], 60), seed=i)
        missed += not e.low <= 0.15 <= e.high
    assert missed <= 24


def test_side_effects_are_ratios_of_perplexity_and_paired_accuracy():
    rng = np.random.default_rng(0)
    before = -rng.uniform(1, 3, size=80)
    right = rng.random(80) < 0.8
    same = steering.side_effects(
        nats_before=before, nats_after=before + rng.normal(0, 0.01, 80), right_before=right, right_after=right
    )
    assert same.perplexity_ratio.low <= 1 <= same.perplexity_ratio.high
    assert same.accuracy_change.value == 0
    worse = steering.side_effects(
        nats_before=before,
        nats_after=before - np.log(2) + rng.normal(0, 0.01, 80),
        right_before=right,
        right_after=right & (rng.random(80) < 0.3),
    )
    assert worse.perplexity_ratio.value == pytest.approx(2, rel=0.01)
    assert worse.perplexity_ratio.low > 1.9
    assert worse.perplexity_before == pytest.approx(np.exp(-before.mean()))
    assert worse.accuracy_change.high < -0.3
    assert worse.row["perplexity_ratio"] == worse.perplexity_ratio.value


def test_two_ways_are_compared_prompt_by_prompt():
    rng = np.random.default_rng(1)
    before = rng.uniform(0, 0.4, size=100)
    found = steering.against(before, before + 0.5, before + 0.3, names=("steering", "asking"))
    assert found.difference.value == pytest.approx(0.2)
    assert found.difference.low > 0
    assert [row["way"] for row in found.rows()] == ["steering", "asking"]
    swapped = steering.against(before, before + 0.3, before + 0.5, names=("asking", "steering"))
    assert swapped.difference.value == pytest.approx(-0.2)


@pytest.mark.parametrize("k", [1, 5])
def test_plots_show_both_sides_and_all_random_directions(k):
    axes = Figure().add_subplot()
    steering.behaviour(np.zeros(20), np.full(20, 0.4), np.full((k, 20), 0.1)).plot(axes)
    assert [text.get_text() for text in axes.get_xticklabels()] == [
        "before",
        "after",
        "change",
        f"change by {k}\nrandom directions",
    ]
    assert [len(line.get_xdata()) for line in axes.lines if line.get_marker() == "o"] == [k]
    axes = Figure().add_subplot()
    steering.against([0, 0], [1, 1], [0, 1], names=("a", "b")).plot(axes)
    assert len(axes.patches) == 3


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: steering.difference_in_means(np.zeros((3, 2)), np.zeros((3, 4))), "a direction needs activations"),
        (lambda: steering.difference_in_means([[np.nan]], [[1.0]]), "1 of 1 activations are not finite"),
        (lambda: steering.random_directions([1.0, 2.0], 0, seed=0), "random directions"),
        (lambda: steering.behaviour([0, 1], [0, 1], [[0, 1, 1]]), "the same prompts"),
        (lambda: steering.behaviour([0, 1], [0, 1], np.zeros((0, 2))), "the same prompts"),
        (lambda: steering.paired_change([0, 1.2], [0, 1]), "a score lies between 0 and 1, and there is 1.2"),
        (lambda: steering.paired_change([0, 1], [0, 1, 1]), "not 2 and 3 of them"),
        (
            lambda: steering.side_effects(
                nats_before=[-1, -2], nats_after=[-1, -2, -3], right_before=[1], right_after=[1]
            ),
            "the same ones before and after",
        ),
    ],
)
def test_bad_input_says_what_is_wanted(call, said):
    with pytest.raises(ValueError, match=said):
        call()
