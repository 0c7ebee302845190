"""Position and content are told apart, and a planted bias comes back."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.studies.preferences import position_bias


def asked(bias, content_sd, n=500, seed=0, noise=0.0):
    """P(first) in both orders under the conditional logit model."""
    rng = np.random.default_rng(seed)
    content = rng.normal(0, content_sd, n)
    logits = np.stack([bias + content, bias - content], axis=1) + rng.normal(0, noise, (n, 2))
    return 1 / (1 + np.exp(-logits))


@given(st.floats(-2, 2), st.sampled_from([0.0, 0.5, 1.0, 4.0]))
def test_the_planted_bias_comes_back_whatever_the_content(bias, content_sd):
    found = position_bias.bias(asked(bias, content_sd, n=60), seed=0)
    assert found.bias.value == pytest.approx(bias, abs=1e-6)


@pytest.mark.parametrize("bias", [0.0, 0.5, -1.0])
def test_it_comes_back_from_samples_within_its_interval(bias):
    held = 0
    for seed in range(60):
        draws = np.random.default_rng(1000 + seed).random((400, 2)) < asked(bias, 1.0, n=400, seed=seed)
        e = position_bias.bias(draws.astype(float), seed=seed).bias
        held += e.low < bias < e.high
    assert held >= 53  # 95 % of 60 is 57; 53 is three standard errors below


def test_swap_consistency_moves_with_content_at_no_bias():
    weak, strong = (position_bias.bias(asked(0.0, sd, noise=1.0), seed=0) for sd in (0.3, 4.0))
    assert strong.swap_consistency - weak.swap_consistency > 0.2
    assert weak.bias.within(-0.25, 0.25).outcome == strong.bias.within(-0.25, 0.25).outcome == "PASS"


def test_content_survives_when_position_is_balanced():
    fair, biased = (position_bias.bias(asked(b, 1.5), seed=0) for b in (0.0, -0.8))
    assert biased.share_second.value > 0.55
    assert fair.share_second.value == pytest.approx(0.5, abs=0.02)
    np.testing.assert_allclose(fair.content, biased.content, atol=1e-9)
    assert biased.content_effect.value == pytest.approx(fair.content_effect.value, abs=0.05)


@given(st.integers(0, 2**32 - 1))
def test_swapping_the_pairs_changes_nothing(seed):
    p = asked(0.4, 1.0, n=40, seed=seed)
    swapped = p[:, ::-1]
    assert position_bias.bias(p, seed=1).bias.value == pytest.approx(
        position_bias.bias(swapped, seed=1).bias.value, abs=1e-12
    )


@pytest.mark.parametrize(
    ("p", "said"),
    [
        (np.ones(5), "shape"),
        (np.ones((1, 2)), "at least two pairs"),
        (np.full((4, 2), 1.2), "no probabilities"),
        (np.full((4, 2), np.nan), "no probabilities"),
        (np.ones((4, 2)), "no finite estimate"),
    ],
)
def test_what_has_no_estimate_is_refused(p, said):
    with pytest.raises(ValueError, match=said):
        position_bias.bias(p, seed=0)


def test_the_logs_own_numbers():
    """Row 375: chosen 45.9 % first and 54.1 % second; a kind that is first in 47 % of its comparisons gets 50.2 %."""
    first = np.full((1000, 2), np.nan)
    first[:470, 0] = 0.389  # the kind is named first: it wins 38.9 %
    first[470:, 1] = 1 - 0.727  # it is named second: it wins 72.7 %
    found = position_bias.win_rates(first, [[True, False]] * 1000)
    assert found.in_first.value == pytest.approx(0.389)
    assert found.in_second.value == pytest.approx(0.727)
    assert found.balanced.value == pytest.approx(0.558)
    assert found.content.value == pytest.approx(0.058)
    assert found.position.value == pytest.approx((0.389 - 0.727) / 2)
    chose_first = 0.47 * 0.389 + 0.53 * 0.273
    assert found.expected == pytest.approx(0.47 * chose_first + 0.53 * (1 - chose_first))
    assert found.excess == pytest.approx(found.actual - found.expected)


def test_balanced_win_rates_are_free_of_position():
    rng = np.random.default_rng(0)
    member = np.stack([np.arange(400) % 2 == 0, np.arange(400) % 2 == 1], axis=1)
    content = rng.normal(0, 1, 400) + np.where(member[:, 0], 0.7, -0.7)  # the kind is liked better

    def rates(b):
        logits = np.stack([b + content, b - content], axis=1)
        return position_bias.win_rates(1 / (1 + np.exp(-logits)), member)

    fair, biased = rates(0.0), rates(-1.0)
    assert biased.in_second.value - biased.in_first.value > 0.3
    assert fair.in_second.value == pytest.approx(fair.in_first.value, abs=1e-9)
    assert biased.balanced.value == pytest.approx(fair.balanced.value, abs=0.04)
    assert biased.expected == pytest.approx(0.5)
    assert biased.excess > 0.08


def test_the_fit_recovers_utilities_and_a_planted_position_term():
    """Row 377: 60 experiments of sampled choices; the interval holds the planted term, and mu is unbiased under it."""
    from scipy.stats import norm

    held, slopes = 0, []
    for seed in range(60):
        rng = np.random.default_rng(seed)
        mu = rng.normal(0, 0.6, 20)
        mu -= mu.mean()
        pairs = np.array([(i, j) for i in range(20) for j in range(i)])
        gap = mu[pairs[:, 0]] - mu[pairs[:, 1]]
        chosen = rng.random((len(pairs), 2)) < norm.cdf(np.stack([gap, -gap], axis=1) - 0.5)
        found = position_bias.fit(pairs, chosen, items=20)
        held += found.intercept.low < -0.5 < found.intercept.high
        slopes.append(float(np.polyfit(mu, found.mu, 1)[0]))
        assert np.corrcoef(mu, found.mu)[0, 1] > 0.8
    assert held >= 52  # 95 % of 60 is 57; three standard errors are 5
    # 38 choices an item: maximum likelihood overstates by about 8 %, with a position term as without one.
    assert np.mean(slopes) == pytest.approx(1.08, abs=0.08)


def test_the_gradient_of_the_fit_is_right():
    """At the optimum found on exact probabilities, the planted parameters come back."""
    from scipy.stats import norm

    mu = np.linspace(-1, 1, 9)
    pairs = np.array([(i, j) for i in range(9) for j in range(9) if i != j])
    gap = mu[pairs[:, 0]] - mu[pairs[:, 1]]
    found = position_bias.fit(pairs, norm.cdf(np.stack([gap, -gap], axis=1) + 0.3), items=9)
    np.testing.assert_allclose(found.mu, mu, atol=0.01)
    assert found.intercept.value == pytest.approx(0.3, abs=0.005)


def test_sampled_choices_have_wilsons_interval():
    draws = (np.random.default_rng(0).random((200, 2)) < 0.46).astype(float)
    share = position_bias.bias(draws, seed=0).share_second
    assert share.method.startswith("Wilson")
    assert share.n == 200


def test_what_cannot_be_fitted_is_refused():
    with pytest.raises(ValueError, match="items 0 to 2"):
        position_bias.fit(np.array([[0, 3]]), np.ones((1, 2)), items=3)
    with pytest.raises(ValueError, match="at least 40 pairs"):
        position_bias.fit(np.array([[0, 2]]), np.full((1, 2), 0.5), items=3)
    with pytest.raises(ValueError, match="fewer than twice"):
        position_bias.win_rates(np.ones((3, 2)), [[True, True]] * 3)


def test_items_that_never_meet_decide_nothing():
    """A fit puts all items on one scale and says nothing of it; the penalty alone does that here."""
    pairs = np.array([(i, j) for part in (range(8), range(8, 16)) for i in part for j in part if i < j])
    p = np.random.default_rng(0).uniform(0.5, 0.7, (len(pairs), 2))
    found = position_bias.fit(pairs, p, items=16)
    verdict = found.intercept > -5
    assert verdict.outcome == "INCONCLUSIVE"
    assert "2 sets of items that never meet" in verdict.reason
    assert not position_bias.fit(np.vstack([pairs, [2, 9]]), np.vstack([p, [0.6, 0.6]]), items=16).intercept.doubt


def test_b_equals_agrestis_conditional_logit():
    """Approval ratings asked twice (Agresti 2002, table 10.1): 794, 150, 86, 570; ln(86/150) = -0.55629, SE 0.135257."""
    orders = [(1, 0), (0, 0), (1, 1), (0, 1)]
    p = np.repeat(np.array(orders, dtype=float), [794, 150, 86, 570], axis=0)
    e = position_bias.bias(p, seed=0).bias
    assert 2 * e.value == pytest.approx(-0.55629, abs=1e-5)
    assert e.high - e.low == pytest.approx(2 * 1.96 * 0.135257 / 2, rel=0.06)


def test_the_effect_of_content_is_free_of_the_noise_of_answers():
    """Two answers an order or more give the square without bias; single answers, and shares that nobody told of, doubt."""
    rng = np.random.default_rng(0)
    content = 0.5 * rng.normal(size=400)
    exact = 1 / (1 + np.exp(-np.stack([content, -content], axis=1)))
    truth = position_bias.bias(exact, seed=0).content_effect
    assert not truth.doubt
    for k in (2, 5, 20):
        drawn = [
            position_bias.bias(rng.binomial(k, exact) / k, answers=np.full(exact.shape, k), seed=0).content_effect
            for _ in range(20)
        ]
        assert np.mean([e.value**2 for e in drawn]) == pytest.approx(truth.value**2, abs=0.004)
        assert not drawn[0].doubt
        untold = position_bias.bias(rng.binomial(k, exact) / k, seed=0).content_effect
        assert (untold > 0).outcome == "INCONCLUSIVE"
        assert f"shares of {k} answers" in untold.doubt
    single = position_bias.bias(rng.binomial(1, exact), seed=0).content_effect
    assert single.low > truth.high
    assert "single answers" in (single > 0).reason


def test_inconsistency_is_of_position_and_not_of_content():
    """At no bias two answers agree as often in one order as across both, however close the pairs are."""
    for sd in (0.3, 1.0, 4.0):
        fair, biased = (position_bias.bias(asked(b, sd), seed=0) for b in (0.0, 1.0))
        assert fair.repeat_consistency == pytest.approx(fair.swap_consistency)
        assert biased.repeat_consistency - biased.swap_consistency == pytest.approx(biased.inconsistency.value)
        assert biased.inconsistency.low > 0.01
    rng = np.random.default_rng(0)
    p, k = asked(0.5, 1.0, n=2000), np.full((2000, 2), 5)
    drawn = position_bias.bias(rng.binomial(5, p) / 5, answers=k, seed=0)
    exact = position_bias.bias(p, seed=0)
    assert drawn.inconsistency.low < exact.inconsistency.value < drawn.inconsistency.high
    assert drawn.repeat_consistency == pytest.approx(exact.repeat_consistency, abs=0.02)
    assert position_bias.bias(rng.binomial(1, p), seed=0).inconsistency is None


def test_single_answers_have_the_exact_binomial_interval():
    from scipy.stats import binomtest

    p = np.array([[1, 1]] * 12 + [[0, 0]] * 4 + [[1, 0]] * 30, dtype=float)
    e = position_bias.bias(p, seed=0).bias
    test = binomtest(12, 16)
    low, high = test.proportion_ci(method="exact")
    assert e.value == pytest.approx(0.5 * np.log(12 / 4))
    assert e.p == pytest.approx(test.pvalue)
    assert (e.low, e.high) == pytest.approx((0.5 * np.log(low / (1 - low)), 0.5 * np.log(high / (1 - high))))


def test_pairs_without_an_answer_in_one_order_are_left_out():
    p = asked(0.4, 1.0, n=80)
    with_gaps = np.vstack([p, [[np.nan, 0.9], [0.1, np.nan]]])
    assert position_bias.bias(with_gaps, seed=1).bias == position_bias.bias(p, seed=1).bias
    with pytest.raises(ValueError, match="no probabilities to compare"):
        position_bias.bias(np.array([[np.nan, 0.9], [0.1, np.nan]]), seed=1)


def test_what_the_places_alone_would_give_is_of_all_comparisons():
    """The log's own: B was chosen in 54.1 % of all 7,164, not only of the kind's; 0.47 of them in A gives 50.2 %."""
    own = np.full((1000, 2), np.nan)
    own[:470, 0], own[470:, 1] = 0.389, 1 - 0.727
    others = np.full((6164, 2), np.nan)
    others[:, 0] = (0.459 * 7164 - np.nansum(own)) / 6164
    found = position_bias.win_rates(np.vstack([own, others]), [[True, False]] * 1000 + [[True, True]] * 6164)
    assert round(found.expected, 3) == 0.502
    assert round(found.actual, 3) == 0.568
    assert round(found.excess, 3) == 0.066


def test_win_rates_are_told_for_every_two_origins():
    p = asked(-0.5, 1.0, n=300, seed=2)
    origins = np.stack([np.tile(["x", "y", "z"], 100), np.tile(["y", "z", "x"], 100)], axis=1)
    rows = position_bias.by_origin(p, origins)
    assert {(row["origin"], row["against"]) for row in rows} == {("x", "y"), ("x", "z"), ("y", "z")}
    for row in rows:
        assert row["pairs"] == 100
        assert row["in first"]["value"] < row["in second"]["value"]
        content, place = row["content"]["value"], row["position"]["value"]
        assert row["in first"]["value"] == pytest.approx(0.5 + content + place)
        assert row["in second"]["value"] == pytest.approx(0.5 + content - place)
        assert row["expected"] == pytest.approx(0.5)  # both orders: places alone give one half


def test_pairs_are_robust_fragile_or_flip_with_the_order():
    p = np.array([[0.9, 0.1], [0.2, 0.8], [0.9, 0.9], [0.1, 0.1], [0.55, 0.2], [0.9, 0.45]])
    found = position_bias.classes(p)
    assert found.of.tolist() == ["robust", "robust", "order-flipping", "order-flipping", "fragile", "fragile"]
    assert found.counts == {"robust": 2, "fragile": 2, "order-flipping": 2}
    assert found.shares["robust"].value == pytest.approx(1 / 3)
    few, many = (position_bias.classes(p, answers=np.full(p.shape, k)) for k in (5, 20))
    assert few.counts["fragile"] == 6  # of five answers no order is clear
    assert many.counts == {"robust": 2, "fragile": 2, "order-flipping": 2}


def test_the_logs_replication():
    """Row 379: A=2, B=18 and A=0, B=20: B whatever it holds."""
    found = position_bias.replication([2, 0], [18, 20])
    assert [(row["A"], row["B"]) for row in found.table] == [(2, 18), (0, 20)]
    assert found.order_effect.high < -0.6
    assert found.order_effect.p < 1e-6
    content = position_bias.replication([19, 1], [1, 19])
    assert content.order_effect.low < 0 < content.order_effect.high
    rows = position_bias.replications(["x", "y"], [[0, 1]], [[[2, 18, 0, 0, 0], [0, 20, 0, 0, 0]]])
    assert [(row["A is"], row["B is"], row["A"], row["B"]) for row in rows] == [("x", "y", 2, 18), ("y", "x", 0, 20)]
    assert position_bias.replications(["x", "y"], [[0, 1]], [[[0, 0, 3, 0, 0], [0, 2, 0, 1, 0]]])[1]["neither"] == 1
    with pytest.raises(ValueError, match="both of two orders"):
        position_bias.replication([0, 2], [0, 18])


def test_two_runs_are_compared_pair_by_pair():
    """Row 383: P(B) moved from 54 to 95 %, and back; and a run against itself has not moved."""
    rng = np.random.default_rng(0)
    then, now = ((rng.random((300, 2)) < asked(b, 1.0, n=300, seed=1)).astype(float) for b in (-0.2, -1.5))
    moved = position_bias.contrast(now, then, seed=0)
    assert moved.share_second.low > 0.15
    assert moved.bias is not None
    assert moved.bias.low < -1.3 < moved.bias.high < -0.6
    again = (rng.random((300, 2)) < asked(-0.2, 1.0, n=300, seed=1)).astype(float)
    assert (position_bias.contrast(again, then, seed=0).share_second.within(-0.15, 0.15)).outcome == "PASS"
    gone = now.copy()
    gone[:10] = np.nan
    assert position_bias.contrast(gone, then, seed=0).pairs == 290
    always = position_bias.contrast(np.zeros((300, 2)), then, seed=0)
    assert always.bias is None
    assert always.share_second.low > 0.3


def test_content_is_foretold_and_a_leaning_to_a_place_is_not_content():
    rng = np.random.default_rng(0)
    mu = rng.normal(size=30)
    pairs = np.array([(i, j) for i in range(30) for j in range(i)])
    gap = mu[pairs[:, 0]] - mu[pairs[:, 1]]
    p = 1 / (1 + np.exp(-np.stack([gap, -gap], axis=1) + 2.0))
    found = position_bias.content(pairs, p, items=30)
    assert found.foretold.low > 0.9
    assert found.position == pytest.approx(-2.0, abs=0.15)
    assert np.corrcoef(found.mu, mu)[0, 1] > 0.99
    lean = (rng.random(p.shape) < 0.05).astype(float)  # always B, whatever the tasks
    left = position_bias.content(pairs, lean, items=30)
    assert left.foretold.low < 0.55
    with pytest.raises(ValueError, match="ask more pairs"):
        position_bias.content(pairs[:3], p[:3], items=30)
