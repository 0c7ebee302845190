"""Self-rating bias is told apart from quality and from the bias of others."""

import numpy as np
import pytest

from lab.studies.ratings import self_rating

NAMES = ("a", "b", "c", "d")


def matrix(own=(0.0, 0.0, 0.0, 0.0), quality=(0.0, 0.0, 0.0, 0.0), n=120, noise=0.3, seed=0):
    """Ratings [4, 4, n]: rater's level, task's ease, author's quality, favour of oneself, noise."""
    rng = np.random.default_rng(seed)
    y = 3 + rng.normal(0, 0.5, (4, 1, 1)) + rng.normal(0, 0.5, (1, 1, n)) + np.array(quality)[None, :, None]
    return y + np.diag(own)[:, :, None] + rng.normal(0, noise, (4, 4, n))


def test_a_planted_favour_comes_back_for_the_one_who_has_it():
    y = matrix(own=(0, 0, 1.0, 0))
    found = {name: self_rating.self_bias(y, name, NAMES).bias for name in NAMES}
    assert found["c"].low < 1.0 < found["c"].high
    assert all(found[name].within(-0.25, 0.25).outcome == "PASS" for name in "abd")


def test_quality_is_not_bias():
    y = matrix(quality=(1.0, 0, 0, 0))
    found = self_rating.self_bias(y, "a", NAMES)
    assert found.alike.within(-0.25, 0.25).outcome == "PASS"
    assert found.self_minus_cross.value > 0.8
    assert found.quality.value == pytest.approx(1.0, abs=0.1)
    assert self_rating.self_bias(y, "a", NAMES, spread=1).bias == found.alike


def stretched(seed, gain, quality=0.8, own=0.0, n=60):
    """Ratings of five raters, the first of whom stretches what all see in works: its own are better by `quality`."""
    rng = np.random.default_rng(seed)
    seen = rng.normal(0, 0.5, (1, 1, n)) + rng.normal(0, 0.4, (1, 5, n))
    seen[0, 0] += quality
    y = 3 + rng.normal(0, 0.3, (5, 1, 1)) + np.array([gain, 1, 1, 1, 1])[:, None, None] * seen
    y[0, 0] += own
    return y + rng.normal(0, 0.3, (5, 5, n))


@pytest.mark.parametrize(("gain", "quality"), [(0.67, 0.8), (0.67, -0.8), (1.0, 0.8), (1.5, 0.8), (1.5, -0.8)])
def test_who_uses_more_of_the_scale_is_not_taken_for_biased(gain, quality):
    """200 experiments without bias: "no bias" is refuted in at most a few, where equal spreads are not asked for."""
    found = [self_rating.self_bias(stretched(seed, gain, quality), "a", "abcde") for seed in range(200)]
    assert sum(each.bias.within(-0.25, 0.25).outcome == "FAIL" for each in found) <= 10
    taken = sum(each.alike.within(-0.25, 0.25).outcome == "FAIL" for each in found)
    assert taken > 120 if gain == 1.5 else True, "which is what is guarded against"


@pytest.mark.parametrize("gain", [0.67, 1.0, 1.5])
def test_a_planted_favour_is_found_whatever_the_spread(gain):
    for quality, own in ((0.0, 0.6), (0.8, 1.2), (-0.8, 1.2)):
        found = [self_rating.self_bias(stretched(s, gain, quality, own), "a", "abcde").bias for s in range(50)]
        assert sum(each.within(-0.25, 0.25).outcome == "FAIL" for each in found) >= 45


@pytest.mark.parametrize("gain", [0.67, 1.0, 1.5])
def test_no_bias_is_shown_where_works_are_alike_and_not_beyond_the_bound(gain):
    none = [self_rating.self_bias(stretched(s, gain, 0.0), "a", "abcde").bias for s in range(50)]
    assert sum(each.within(-0.25, 0.25).outcome == "PASS" for each in none) >= 40
    for quality in (-0.4, 0.0, 0.4):
        at_bound = [self_rating.self_bias(stretched(s, gain, quality, 0.25), "a", "abcde").bias for s in range(200)]
        assert sum(each.within(-0.25, 0.25).outcome == "PASS" for each in at_bound) <= 10


def test_equivalence_is_rarely_claimed_at_the_bound():
    """True bias exactly at the bound: "no bias" may be claimed in 2.5 % of experiments; 400 of them, at most 5 %."""
    claimed = sum(
        self_rating.self_bias(matrix(own=(0.25, 0, 0, 0), seed=seed), "a", NAMES).bias.within(-0.25, 0.25).outcome
        == "PASS"
        for seed in range(400)
    )
    assert claimed <= 20


def test_order_of_models_and_tasks_does_not_matter():
    y = matrix(own=(0.3, 0, 0, 0))
    order = [2, 0, 3, 1]
    one = self_rating.self_bias(y, "a", NAMES).bias
    two = self_rating.self_bias(y[np.ix_(order, order)][:, :, ::-1], "a", [NAMES[i] for i in order]).bias
    assert one.value == pytest.approx(two.value, abs=1e-12)
    assert one.low == pytest.approx(two.low, abs=1e-12)


def test_too_few_models_are_refused():
    with pytest.raises(ValueError, match="at least three"):
        self_rating.self_bias(np.ones((2, 2, 5)), "a", "ab")
    with pytest.raises(ValueError, match="need shape"):
        self_rating.self_bias(np.ones((3, 4, 5)), "a", "abc")
    with pytest.raises(ValueError, match="1 times as far"):
        self_rating.self_bias(np.ones((3, 3, 5)), "a", "abc", spread=0.5)


def test_expected_rating_is_the_mean_over_the_scale():
    np.testing.assert_allclose(self_rating.expected([[0.5, 0, 0, 0, 0.5], [0, 1, 0, 0, 0]], (1, 2, 3, 4, 5)), [3, 2])


def of_models(seed, own=0.0, interaction=0.2, k=4, n=60):
    """Ratings of k models with an ordinary interaction of raters and authors: quirks that favour nobody on average."""
    rng = np.random.default_rng(seed)
    y = rng.normal(0, 0.5, (k, 1, 1)) + rng.normal(0, 0.3, (1, k, 1)) + rng.normal(0, interaction, (k, k, 1))
    return y + rng.normal(0, 0.5, (k, k, n)) + own * np.eye(k)[:, :, None]


def test_a_claim_about_models_in_general_needs_models_as_its_units():
    """No self-preference at all, 300 experiments: over tasks it is "found" in half of them, over models in 5 %."""
    found = [self_rating.self_preference(of_models(seed)) for seed in range(300)]
    by_task = np.mean([f.these_models.p < 0.05 for f in found])
    in_general = np.mean([f.in_general.p < 0.05 for f in found])
    permuted = np.mean([f.p_permutation < 0.05 for f in found])
    assert by_task > 0.4
    assert in_general < 0.09
    assert permuted < 0.09


def test_equivalence_in_general_is_not_claimed_at_the_bound():
    """Bias exactly at the bound: over tasks "no bias" is claimed in a third of experiments, over models in few."""
    found = [self_rating.self_preference(of_models(seed, own=0.2)) for seed in range(300)]
    by_task, in_general = (
        np.mean([getattr(f, name).within(-0.2, 0.2).outcome == "PASS" for f in found])
        for name in ("these_models", "in_general")
    )
    assert by_task > 0.2
    assert in_general < 0.05


def test_self_preference_is_the_regression_coefficient():
    y = of_models(0, own=0.5)
    rows = [(float(r == a), r, a) for r in range(4) for a in range(4)]
    design = np.array([[own, *np.eye(4)[r], *np.eye(4)[a][1:]] for own, r, a in rows])
    coefficient = np.linalg.lstsq(design, y.mean(2).ravel(), rcond=None)[0][0]
    f = self_rating.self_preference(y)
    assert f.in_general.value == pytest.approx(coefficient)
    assert f.these_models.value == pytest.approx(coefficient)


def test_four_models_cannot_reach_a_corrected_level_by_permutation():
    f = self_rating.self_preference(of_models(0, own=5.0, interaction=0.05))
    assert f.p_permutation == f.least_p == pytest.approx(1 / 24)
    assert self_rating.self_preference(of_models(0, own=5.0, k=9)).p_permutation < 0.001
    with pytest.raises(ValueError, match="at least three"):
        self_rating.self_preference(np.ones((2, 2, 5)))
