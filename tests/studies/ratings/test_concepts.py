"""Concept vectors have the length that is said, and steering is told from what any direction would do."""

import numpy as np
import pytest
from matplotlib.figure import Figure
from scipy import stats

from lab.studies.ratings import concepts
from lab.studies.shared.prompts import templates
from lab.studies.shared.ratings import Asked, from_probabilities


@pytest.fixture
def found():
    rng = np.random.default_rng(0)
    away = rng.normal(size=(50, 2, 8)) * np.array([1.0, 10.0])[:, None]
    toward = away + np.arange(8.0)
    return concepts.concept(away, toward, [1, 2]), away, toward


def test_a_vector_is_the_difference_of_means_at_the_length_of_the_mean_activation(found):
    made, away, toward = found
    norms = np.linalg.norm(np.concatenate([away, toward]), axis=2).mean(0)
    assert made.norms == pytest.approx(norms)
    assert made.activation_norms == pytest.approx(norms)
    assert made.original_norms == pytest.approx(np.full(2, np.linalg.norm(np.arange(8))))
    assert made.at(2) / np.linalg.norm(made.at(2)) == pytest.approx(np.arange(8) / np.linalg.norm(np.arange(8)))
    assert made.shares == pytest.approx([1, 1])
    with pytest.raises(ValueError, match="no vector at layer 3, only at 1, 2"):
        made.at(3)


def test_lengths_change_and_directions_do_not(found):
    made = found[0]
    unit, plain = made.to("unit"), made.to("none")
    assert unit.norms == pytest.approx([1, 1])
    assert plain.norms == pytest.approx(made.original_norms)
    assert unit.to("activations").vectors == pytest.approx(made.vectors)
    assert made.to("activations") is made, "what is so already is left as it is"
    with pytest.raises(ValueError, match="activations, unit, none"):
        made.to("double")


def test_a_strong_perturbation_is_warned_of(found):
    made = found[0]
    assert made.too_strong([-0.6, 0, 0.6], 1) is None
    warned = made.too_strong([-2, 2], 1)
    assert not warned.fatal
    assert "up to 2 of the activations' norm at layer 1, above 0.6" in warned.text
    assert made.to("unit").too_strong([-2, 2], 2) is None, "a vector of length 1 is little beside 30"


@pytest.mark.parametrize(
    ("away", "toward", "said"),
    [
        (np.ones((5, 2, 4)), np.ones((5, 2, 4)), "same mean at layer 1"),
        (np.ones((5, 2, 4)), np.ones((4, 2, 4)), "of the same tasks twice"),
        (np.ones((5, 3, 4)), np.ones((5, 3, 4)), "activations \\[n, 2, d_model\\]"),
        (np.full((5, 2, 4), np.nan), np.ones((5, 2, 4)), "not finite"),
    ],
)
def test_what_has_no_direction_is_refused(away, toward, said):
    with pytest.raises(ValueError, match=said):
        concepts.concept(away, toward, [1, 2])


def test_an_effect_is_told_from_that_of_any_direction():
    rng = np.random.default_rng(1)
    low = rng.normal(size=200)
    high, noise = low + 0.5 + rng.normal(0, 0.1, 200), [[low, low - 0.45], [low, low + 0.1]]
    made = concepts.effect(low, high, noise, unit="points")
    assert made.change.value == pytest.approx(0.5, abs=0.03)
    assert made.random == pytest.approx([-0.45, 0.1])
    assert made.random_change.value == pytest.approx(-0.45)
    held = made.excess
    half = 4.302653 * np.sqrt((0.45**2 + 0.1**2) / 2)  # t of two directions; their size counts, whatever their sense
    assert (held.value, held.n) == (made.change.value, 2)
    assert (held.low, held.high) == pytest.approx((held.value - half, held.value + half))
    assert held.p == pytest.approx(2 * stats.t.sf(made.change.value / half * 4.302653, 2))
    assert (held > 0).outcome == "INCONCLUSIVE", "no two hundred tasks tell it from what two directions do"
    assert (concepts.effect(low, high, [[low, low - 0.05], [low, low + 0.01]]).excess > 0).outcome == "PASS"
    with pytest.raises(ValueError, match="\\[r, 2, n\\]"):
        concepts.effect(low, high, [low])


@pytest.mark.parametrize("r", [1, 2, 4])
def test_one_more_random_direction_is_seldom_beyond_random_ones(r):
    """Each moves all units, and by its own amount: how sure that is over units says nothing of the next direction."""
    rng = np.random.default_rng(r)
    beyond = 0
    for _ in range(400):
        ends = rng.normal(0, 0.3, (r + 1, 1)) + rng.normal(0, 0.1, (r + 1, 30))
        scores = np.stack([np.zeros((r + 1, 30)), ends], axis=1)
        beyond += (concepts.effect(*scores[0], scores[1:]).excess > 0).outcome == "PASS"
    assert beyond / 400 < 0.05


def test_a_change_far_larger_than_those_of_random_directions_is_beyond_them():
    rng = np.random.default_rng(0)
    noise = [[np.zeros(30), rng.normal(mean, 0.1, 30)] for mean in (0.1, -0.05, 0.08)]
    assert (concepts.effect(np.zeros(30), rng.normal(0.5, 0.1, 30), noise).excess > 0).outcome == "PASS"


def ratings(shift, tasks=4):
    logprobs = np.log(np.full((tasks, 5), 0.18)) + shift * np.arange(5)
    ids, form = [f"t{i}" for i in range(tasks)], templates()["stated_1_5"]
    return from_probabilities(Asked("stated_1_5", "m"), form, ids, ["math"] * tasks, logprobs, [0])


def test_ratings_by_coefficient_keep_every_task():
    along = [ratings(-0.3), ratings(0), ratings(0.3)]
    made = concepts.rated((-1, 0, 1), along, [[ratings(-0.05), ratings(0.05)]])
    rows = made.rows(author="none")
    assert [row["coefficient"] for row in rows] == [-1, 0, 1]
    assert rows[1]["ratings"] == [3.0] * 4
    assert rows[1]["on scale"] == pytest.approx(0.9)
    assert made.effect.change.value > 5 * made.effect.random_change.value
    ax = Figure().add_subplot()
    made.plot(ax)
    assert ax.get_title() == "Steering ratings (n=4 tasks)"
    for wrong, said in (((1, 0, -1), "ascend"), ((0, 1), "ascend")):
        with pytest.raises(ValueError, match=said):
            concepts.rated(wrong, along, [])
    with pytest.raises(ValueError, match="same tasks"):
        concepts.rated((-1, 0, 1), [ratings(0), ratings(0), ratings(0, tasks=3)], [])
