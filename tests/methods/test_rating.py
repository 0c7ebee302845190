"""Self-rating bias is told apart from quality and from the bias of others."""

import numpy as np
import pytest

from lab.methods import rating

NAMES = ("a", "b", "c", "d")


def matrix(own=(0.0, 0.0, 0.0, 0.0), quality=(0.0, 0.0, 0.0, 0.0), n=120, noise=0.3, seed=0):
    """Ratings [4, 4, n]: rater's level, task's ease, author's quality, favour of oneself, noise."""
    rng = np.random.default_rng(seed)
    y = 3 + rng.normal(0, 0.5, (4, 1, 1)) + rng.normal(0, 0.5, (1, 1, n)) + np.array(quality)[None, :, None]
    return y + np.diag(own)[:, :, None] + rng.normal(0, noise, (4, 4, n))


def test_a_planted_favour_comes_back_for_the_one_who_has_it():
    y = matrix(own=(0, 0, 1.0, 0))
    found = {name: rating.self_bias(y, name, NAMES).bias for name in NAMES}
    assert found["c"].low < 1.0 < found["c"].high
    assert all(found[name].within(-0.25, 0.25).outcome == "PASS" for name in "abd")


def test_quality_is_not_bias():
    y = matrix(quality=(1.0, 0, 0, 0))
    found = rating.self_bias(y, "a", NAMES)
    assert found.bias.within(-0.25, 0.25).outcome == "PASS"
    assert found.self_minus_cross.value > 0.8


def test_equivalence_is_rarely_claimed_at_the_bound():
    """True bias exactly at the bound: "no bias" may be claimed in 2.5 % of experiments; 400 of them, at most 5 %."""
    claimed = sum(
        rating.self_bias(matrix(own=(0.25, 0, 0, 0), seed=seed), "a", NAMES).bias.within(-0.25, 0.25).outcome == "PASS"
        for seed in range(400)
    )
    assert claimed <= 20


def test_order_of_models_and_tasks_does_not_matter():
    y = matrix(own=(0.3, 0, 0, 0))
    order = [2, 0, 3, 1]
    one = rating.self_bias(y, "a", NAMES).bias
    two = rating.self_bias(y[np.ix_(order, order)][:, :, ::-1], "a", [NAMES[i] for i in order]).bias
    assert one.value == pytest.approx(two.value, abs=1e-12)
    assert one.low == pytest.approx(two.low, abs=1e-12)


def test_too_few_models_are_refused():
    with pytest.raises(ValueError, match="at least three"):
        rating.self_bias(np.ones((2, 2, 5)), "a", "ab")
    with pytest.raises(ValueError, match="need shape"):
        rating.self_bias(np.ones((3, 4, 5)), "a", "abc")


def test_expected_rating_is_the_mean_over_the_scale():
    np.testing.assert_allclose(rating.expected([[0.5, 0, 0, 0, 0.5], [0, 1, 0, 0, 0]], (1, 2, 3, 4, 5)), [3, 2])
