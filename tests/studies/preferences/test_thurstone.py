"""Utilities come back from choices, with intervals that hold them; what has no finite estimate says so."""

import csv
import io
import math

import choix
import numpy as np
import pytest
import yaml
from scipy.optimize import check_grad
from scipy.special import entr, ndtr
from scipy.stats import spearmanr

from lab.studies.preferences import thurstone
from lab.studies.preferences.comparisons import count
from tests.studies.preferences.stored import of_rows


def world(seed, n=30, samples=1, *, share=1.0, mu_sd=1.0, sigma_sd=0.3, position=0.0):
    """True mu and sigma, and answers in both orders: first, second, shares, weights."""
    rng = np.random.default_rng(seed)
    mu, sigma = rng.normal(0, mu_sd, n), np.exp(rng.normal(0, sigma_sd, n))
    one, other = np.triu_indices(n, 1)
    kept = rng.random(len(one)) < share
    first, second = np.concatenate([one[kept], other[kept]]), np.concatenate([other[kept], one[kept]])
    p = ndtr((mu[first] - mu[second] + position) / np.hypot(sigma[first], sigma[second]))
    return mu - mu.mean(), sigma, first, second, rng.binomial(samples, p) / samples, np.full(len(p), samples)


OBJECTIVES = {
    "free sigma": {"l2": 0.0},
    "log sigma held": {"l2": 1.0, "position": True},
    "sigma held": {"l2": 2.0, "penalty": "sigma"},
    "case V": {"l2": math.inf, "position": True},
    "utilities held too": {"l2": 1.0, "l2_mu": 0.3, "position": True},
}


@pytest.mark.parametrize("how", OBJECTIVES.values(), ids=OBJECTIVES.keys())
def test_the_gradient_is_that_of_the_objective(how):
    _, _, first, second, shares, weights = world(1, n=8, samples=3)
    loss = thurstone.fit(first, second, shares, 8, weights, max_iterations=1, **how)._model.loss()
    at = np.random.default_rng(0).normal(0, 0.5, 8 * (1 if how["l2"] == math.inf else 2) + ("position" in how))
    off = check_grad(lambda x: loss(x)[0], lambda x: loss(x)[1], at, epsilon=1e-6)
    assert off < 1e-6 * np.linalg.norm(loss(at)[1]) + 1e-5


def test_bradley_and_terrys_gradient_is_that_of_the_objective():
    _, _, first, second, shares, weights = world(1, n=8, samples=3)
    loss = thurstone.bradley_terry(first, second, shares, 8, weights, l2_mu=0.2, position=True)._model.loss()
    at = np.random.default_rng(0).normal(0, 0.5, 9)
    assert check_grad(lambda x: loss(x)[0], lambda x: loss(x)[1], at, epsilon=1e-6) < 1e-4


def test_planted_utilities_sigma_and_position_come_back():
    mu, sigma, first, second, shares, weights = world(0, n=40, samples=50, position=0.6)
    found = thurstone.fit(first, second, shares, 40, weights, position=True)
    assert found.converged
    assert spearmanr(found.mu, mu).statistic > 0.99
    assert spearmanr(found.sigma, sigma).statistic > 0.8
    scale = np.polyfit(mu, found.mu, 1)[0]  # the penalty sets the unit
    assert found.position / scale == pytest.approx(0.6, abs=0.05)


def test_one_order_alone_puts_position_into_the_utilities():
    """Items of one kind are named first in nine of ten of their comparisons with the other kind, and no better liked."""
    off, kept = [], []
    for seed in range(10):
        mu, _, first, second, shares, _ = world(seed, n=40, position=0.8)
        kind = np.arange(40) < 20
        mixed = kind[first] != kind[second]
        asked = np.where(mixed, np.random.default_rng(seed).random(len(first)) < np.where(kind[first], 0.9, 0.1), True)
        truth = mu[kind].mean() - mu[~kind].mean()
        for found, position in ((off, False), (kept, True)):
            fit = thurstone.fit(first[asked], second[asked], shares[asked], 40, l2=math.inf, position=position)
            found.append(fit.mu[kind].mean() - fit.mu[~kind].mean() - truth)
    assert np.mean(off) > 0.25
    assert abs(np.mean(kept)) < 0.1


@pytest.mark.parametrize(
    ("l2", "samples", "share"), [(math.inf, 1, 1.0), (1.0, 5, 1.0), (1.0, 5, 0.3)], ids=["case V", "general", "sparse"]
)
def test_intervals_hold_the_utilities(l2, samples, share):
    """40 experiments of 30 items; with sigma free the unit is the fit's own, which the intervals allow for."""
    held = []
    for seed in range(40):
        mu, _, first, second, shares, weights = world(
            seed, samples=samples, share=share, sigma_sd=0.0 if l2 == math.inf else 0.2
        )
        fit = thurstone.fit(first, second, shares, 30, weights, l2)
        held += [e.low < m < e.high for e, m in zip(fit.utilities(), mu, strict=True) if not e.doubt]
    assert len(held) > 1150
    assert np.mean(held) > 0.93


def test_a_fit_stops_where_the_slope_is_gone_and_not_before():
    _, _, first, second, shares, weights = world(3, n=60, share=0.3)
    found = thurstone.fit(first, second, shares, 60, weights, position=True)
    assert found.converged
    assert found.gradient_norm <= thurstone.TOLERANCE
    finer = thurstone.fit(first, second, shares, 60, weights, position=True, tolerance=1e-6, start=found.found)
    assert finer.gradient_norm <= 1e-6
    known = found.comparisons.comparable
    assert (np.abs(finer.mu - found.mu) / finer.standard_errors)[known].max() < 0.05
    short = thurstone.fit(first, second, shares, 60, weights, max_iterations=4)
    assert not short.converged
    assert short.gradient_norm > 1
    verdict = short.utilities()[0] > -50
    assert verdict.outcome == "INCONCLUSIVE"
    assert "did not converge" in verdict.reason


def test_utilities_are_centred_and_the_anchor_is_told():
    _, _, first, second, shares, weights = world(4)
    found = thurstone.fit(first, second, shares, 31, weights)  # the last item is never compared
    assert found.mu[:30].mean() == pytest.approx(0, abs=1e-9)
    assert found.mu[30] == 0
    assert found.offset == pytest.approx((found.mu - found.mu[0])[:30].mean())
    never = found.utilities()[30] > -50
    assert "never compared" in never.reason


def test_repeats_are_counted_and_cost_nothing():
    _, _, first, second, shares, weights = world(5, n=12, samples=4)
    chosen = np.repeat(shares, 4) > np.tile([0, 1, 2, 3], len(shares)) / 4  # as many ones as there were
    one = thurstone.fit(first, second, shares, 12, weights, position=True)
    other = thurstone.fit(np.repeat(first, 4), np.repeat(second, 4), chosen.astype(float), 12, position=True)
    np.testing.assert_allclose(one.mu, other.mu)
    assert one.nll == pytest.approx(other.nll)
    assert len(one.comparisons) == len(other.comparisons) == 132
    assert one.comparisons.total == other.comparisons.total == 528


def test_no_answer_is_left_out():
    _, _, first, second, shares, weights = world(5, n=12)
    refused = np.arange(len(shares)) % 3 == 0
    one = thurstone.fit(first, second, np.where(refused, np.nan, shares), 12, weights)
    other = thurstone.fit(first[~refused], second[~refused], shares[~refused], 12)
    np.testing.assert_allclose(one.mu, other.mu)


def test_an_item_that_is_always_chosen_has_no_utility():
    """It goes to the bound, which is told, and its verdict decides nothing; the others' stand."""
    _, _, first, second, shares, _ = world(6, n=20, samples=5)
    shares = np.where(first == 0, 1.0, np.where(second == 0, 0.0, shares))
    for held in (0.0, 0.5):
        found = thurstone.fit(first, second, shares, 20, l2=math.inf, l2_mu=held, mu_bound=4.0)
        assert (held == 0) == ("mu[0]" in found.at_bounds)
        best, other = found.utilities()[:2]
        assert "always chosen" in (best > 0).reason
        assert (best > 0).outcome == "INCONCLUSIVE"
        assert not other.doubt
    assert 0.1 < (other.high - other.low) / 2 < 1


def test_items_that_never_meet_stand_on_no_common_scale():
    _, _, first, second, shares, _ = world(7, n=10)
    first, second, shares = np.tile(first, 2), np.tile(second, 2), np.tile(shares, 2)
    first[90:] += 10
    second[90:] += 10
    found = thurstone.fit(first, second, shares, 20)
    assert found.comparisons.parts == 2
    assert all("2 sets of items that never meet" in (e > -50).reason for e in found.utilities())
    joined = thurstone.fit([*first, 3, 12], [*second, 12, 3], [*shares, 1, 1], 20)
    assert joined.comparisons.parts == 1
    assert any(not e.doubt for e in joined.utilities())


def test_a_pair_is_never_on_both_sides_of_a_fold():
    """Asked in both orders, and twice: all four answers go together, and each pair is held out once."""
    _, _, first, second, shares, weights = world(8, n=15, samples=2)
    counted = count(first, second, shares, 15, weights)
    seen = []
    for rest, out in counted.folds(5, seed=0):
        sides = [{frozenset(pair) for pair in zip(side.first, side.second, strict=True)} for side in (rest, out)]
        assert not sides[0] & sides[1]
        assert rest.total + out.total == counted.total
        seen += sides[1]
    assert len(seen) == len(set(seen)) == 105


def test_answers_without_utilities_foretell_nothing():
    """Each pair has an answer of its own, always the same: known by heart, and of no use for other pairs."""
    rng = np.random.default_rng(0)
    one, other = np.triu_indices(30, 1)
    answers = (rng.random(len(one)) < 0.5).astype(float)
    first, second = np.concatenate([one, other]), np.concatenate([other, one])
    found = thurstone.held_out(first, second, np.concatenate([answers, 1 - answers]), 30, np.full(870, 10))
    assert (found.accuracy > 0.5).outcome != "PASS"
    assert found.accuracy.n == 435
    assert found.nll > math.log(2)
    _, _, first, second, shares, weights = world(1, samples=5)
    real = thurstone.held_out(first, second, shares, 30, weights)
    assert (real.accuracy > 0.65).outcome == "PASS"
    assert real.nll < 0.65
    assert real.nll_by_fold.shape == real.accuracy_by_fold.shape == (5,)


def test_what_is_out_of_fold_counts_its_pairs_for_half():
    """Two folds' pairs have taught each other's fits: of coins, Wilson's interval alone misses one half too often."""
    one, other = np.triu_indices(20, 1)
    above, plain = 0, 0
    for seed in range(60):
        rng = np.random.default_rng(seed)
        kept = rng.random(len(one)) < 0.5
        first, second = np.concatenate([one[kept], other[kept]]), np.concatenate([other[kept], one[kept]])
        coins = (rng.random(len(first)) < 0.5).astype(float)
        found = thurstone.held_out(first, second, coins, 20, l2=math.inf, seed=seed, tolerance=0.05).accuracy
        above += found.low > 0.5 or found.high < 0.5
        ends = (found.value + (end - found.value) / math.sqrt(2) for end in (found.low, found.high))
        plain += not next(ends) <= 0.5 <= next(ends)
        assert found.method.endswith("out of fold")
    assert above <= 3 < plain


def test_ties_are_counted_and_left_out():
    found = thurstone.held_out([0, 1, 2, 0], [1, 2, 0, 1], [1, 1, 0.5, 1], 3, [2, 2, 2, 2], folds=2, l2=math.inf)
    assert found.ties == 1


def test_agreement_is_undefined_without_repeats():
    _, _, first, second, shares, weights = world(2, n=10)
    assert count(first, second, shares, 10, weights).agreement is None  # both orders once are no repeat
    exact = np.full(len(first), 0.5)
    assert count(first, second, exact, 10).agreement is None  # nor are probabilities
    rng = np.random.default_rng(0)
    twice = np.repeat(first, 2), np.repeat(second, 2)
    coins = count(*twice, (rng.random(180) < 0.5).astype(float), 10).agreement
    assert coins.value == pytest.approx(0.5, abs=0.12)  # the share of the more frequent of two would be 0.75
    sure = count(*twice, np.repeat(shares, 2), 10).agreement
    assert sure.value == 1
    assert sure.n == 45


def test_utilities_come_back_from_a_file_exactly():
    _, _, first, second, shares, weights = world(9)
    found = thurstone.fit(first, second, shares, 30, weights)
    ids = [f"task {i}" for i in range(30)]
    text = io.StringIO()
    writer = csv.DictWriter(text, ["task_id", "mu", "sigma"])
    writer.writeheader()
    writer.writerows(found.rows(ids))
    text.seek(0)
    for rows in (list(csv.DictReader(text)), yaml.safe_load(yaml.safe_dump(found.rows(ids)))):
        assert [row["task_id"] for row in rows] == [ids[i] for i in found.ranking]
        assert [float(row["mu"]) for row in rows] == found.mu[found.ranking].tolist()
        assert [float(row["sigma"]) for row in rows] == found.sigma[found.ranking].tolist()
    with pytest.raises(ValueError, match="as many different ids"):
        found.rows(ids[:5])


def test_comparisons_are_read_as_they_are_stored():
    rows = [{"task_a": "x", "task_b": "y", "choice": c} for c in ("a", "b", "A", "refusal")]
    names, counted, without = of_rows(rows)
    assert (names, without) == (("x", "y"), 1)
    assert counted.for_first.tolist() == [2]
    assert counted.for_second.tolist() == [1]
    with pytest.raises(ValueError, match="lacks 'choice'"):
        of_rows([{"task_a": "x", "task_b": "y"}])
    rows = [{"first": "x", "second": "y", "chosen": c} for c in ("x", "y", "first", "refusal", None)]
    _, counted, without = of_rows(rows)
    assert (counted.for_first.tolist(), counted.for_second.tolist(), without) == ([2], [1], 2)
    _, counted, _ = of_rows([{"first": "y", "second": "x", "p first": [0.25, None]}])
    assert counted.for_first.tolist() == [0.25]
    with pytest.raises(ValueError, match="chose 'z', which is neither 'x' nor 'y'"):
        of_rows([{"first": "x", "second": "y", "chosen": "z"}])
    with pytest.raises(ValueError, match="compares 'x' with itself"):
        of_rows([{"first": "x", "second": "x", "chosen": "x"}])
    with pytest.raises(ValueError, match="'y' is compared and is none of the 1 items"):
        of_rows(rows, ids=["x"])


BASEBALL = {
    "Milwaukee": "Detroit 4 3, Toronto 4 2, New York 4 3, Boston 6 1, Cleveland 4 2, Baltimore 6 0",
    "Detroit": "Milwaukee 3 3, Toronto 4 2, New York 4 3, Boston 6 0, Cleveland 6 1, Baltimore 4 3",
    "Toronto": "Milwaukee 2 5, Detroit 4 3, New York 2 4, Boston 4 3, Cleveland 4 2, Baltimore 6 0",
    "New York": "Milwaukee 3 3, Detroit 5 1, Toronto 2 5, Boston 4 3, Cleveland 4 2, Baltimore 6 1",
    "Boston": "Milwaukee 5 1, Detroit 2 5, Toronto 3 3, New York 4 2, Cleveland 5 2, Baltimore 6 0",
    "Cleveland": "Milwaukee 2 5, Detroit 3 3, Toronto 3 4, New York 4 3, Boston 4 2, Baltimore 2 4",
    "Baltimore": "Milwaukee 2 5, Detroit 1 5, Toronto 1 6, New York 2 4, Boston 1 6, Cleveland 3 4",
}
"""Home team: visitor, wins at home, wins away; the American League's East in 1987 (Agresti 2002, table 10.10)."""


def baseball():
    teams, rows = sorted(BASEBALL), []
    for home, visitors in BASEBALL.items():
        for told in visitors.split(", "):
            visitor, won, lost = told.rsplit(" ", 2)
            rows.append((teams.index(home), teams.index(visitor), int(won), int(lost)))
    first, second, won, lost = np.array(rows).T
    return teams, (first, second, won / (won + lost), 7, won + lost)


def deviance(fit):
    """2 (NLL - NLL of a model that has a probability of its own for each question)."""
    c = fit.comparisons
    n = c.for_first + c.for_second
    return 2 * (fit.nll - float((n * (entr(c.for_first / n) + entr(c.for_second / n))).sum()))


def test_baseball_with_and_without_playing_at_home():
    """Agresti (2002), section 10.6.2: abilities against Baltimore's, the advantage at home, and deviances."""
    teams, played = baseball()
    plain, home = (thurstone.bradley_terry(*played, position=at_home, tolerance=1e-7) for at_home in (False, True))
    assert teams[0] == "Baltimore"
    np.testing.assert_allclose(
        (plain.mu - plain.mu[0])[1:], [1.1077, 0.68385, 1.43641, 1.58136, 1.24762, 1.29449], atol=1e-4
    )
    np.testing.assert_allclose(
        (home.mu - home.mu[0])[1:], [1.1438, 0.70469, 1.47536, 1.61955, 1.28134, 1.32711], atol=1e-4
    )
    assert deviance(plain) == pytest.approx(44.0535, abs=1e-4)
    assert deviance(home) == pytest.approx(38.6429, abs=1e-4)
    assert home.position == pytest.approx(0.30226, abs=1e-5)


def test_citations_among_journals_of_statistics():
    """Stigler (1994), as in Agresti (2002), section 10.6: scores against Biometrika's, and their errors."""
    cited = np.array([[0, 730, 498, 221], [33, 0, 68, 17], [320, 813, 0, 142], [284, 276, 325, 0]])
    i, j = np.nonzero(cited)
    found = thurstone.bradley_terry(i, j, np.ones(12), 4, cited[i, j], tolerance=1e-6)
    np.testing.assert_allclose((found.mu - found.mu[0])[1:], [-2.94907, -0.47957, 0.26895], atol=1e-4)
    # Answers come as "this one was cited": by pair, their deviance is on 3 degrees of freedom.
    low, high = np.triu_indices(4, 1)
    n = cited[low, high] + cited[high, low]
    found = thurstone.bradley_terry(low, high, cited[low, high] / n, 4, n, tolerance=1e-6)
    assert deviance(found) == pytest.approx(4.2934, abs=1e-4)


def test_three_models_rank_clean_data_alike():
    """Thurstone, Bradley and Terry, and TrueSkill by its own package: of 20 answers to either order of all pairs."""
    pytest.importorskip("trueskill")
    mu, _, first, second, shares, weights = world(2, n=20, samples=20)
    ours = thurstone.fit(first, second, shares, 20, weights)
    ranks = {
        "Bradley and Terry": thurstone.bradley_terry(first, second, shares, 20, weights).mu,
        "TrueSkill": thurstone.trueskill(ours.comparisons, seed=0),
        "truth": mu,
    }
    rho = {name: spearmanr(ours.mu, each).statistic for name, each in ranks.items()}
    assert min(rho["Bradley and Terry"], rho["TrueSkill"]) > 0.98
    assert rho["truth"] > 0.97
    dealt = thurstone.trueskill(count(first, second, np.full(len(first), 0.5), 20, weights), seed=0)
    assert abs(spearmanr(dealt, mu).statistic) < 0.5


def test_bradley_and_terry_agree_with_choix():
    _, _, first, second, shares, _ = world(3, n=25)
    data = [(a, b) if chosen else (b, a) for a, b, chosen in zip(first.tolist(), second.tolist(), shares, strict=True)]
    found = thurstone.bradley_terry(first, second, shares, 25, l2_mu=0.5, tolerance=1e-6)
    theirs = choix.opt_pairwise(25, data, alpha=0.5, tol=1e-10)
    np.testing.assert_allclose(found.mu, theirs - theirs.mean(), atol=1e-4)


def test_the_models_agree_in_rank_on_clean_data():
    mu, _, first, second, shares, weights = world(2, n=40, samples=10, sigma_sd=0.1)
    fits = [
        thurstone.fit(first, second, shares, 40, weights),
        thurstone.fit(first, second, shares, 40, weights, l2=math.inf),
        thurstone.bradley_terry(first, second, shares, 40, weights),
    ]
    assert all(spearmanr(fit.mu, fits[0].mu).statistic > 0.98 for fit in fits)
    assert all(spearmanr(fit.mu, mu).statistic > 0.98 for fit in fits)
    assert [fit.utilities()[0].method.split(",")[0] for fit in fits] == [
        "Thurstone",
        "Thurstone case V",
        "Bradley-Terry",
    ]
    assert len({fit.objective for fit in fits}) == 3


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (([0], [1, 2], [1], 3), "rows of one length"),
        (([0.0], [1.0], [1], 3), "whole numbers"),
        (([0], [3], [1], 3), "items are 0 to 2"),
        (([-1], [1], [1], 3), "items are 0 to 2"),
        (([1], [1], [1], 3), "compared with itself"),
        (([0], [1], [1.2], 3), "no probabilities"),
        (([0], [1], [np.nan], 3), "no answer"),
        (([], [], [], 3), "no answer"),
        (([0], [1], [1], 1), "number of items must be at least 2"),
        (([0], [1], [1], 3, [-1]), "not negative"),
        (([0], [1], [1], 3, None, -1.0), "l2 must not be negative"),
        (([0], [1], [1], 3, None, math.nan), "l2 must not be negative"),
    ],
)
def test_what_cannot_be_fitted_is_refused(given, said):
    with pytest.raises(ValueError, match=said):
        thurstone.fit(*given)


def test_other_settings_that_make_no_sense_are_refused():
    with pytest.raises(ValueError, match="penalty is of"):
        thurstone.fit([0], [1], [1], 2, penalty="mu")
    with pytest.raises(ValueError, match="starts from"):
        thurstone.fit([0], [1], [1], 2, start=(np.zeros(3), np.ones(3), 0.0))
    with pytest.raises(ValueError, match="cannot be parted into 5 folds"):
        thurstone.held_out([0], [1], [1], 2)
    with pytest.raises(ValueError, match=r"standard errors of 10000 parameters.*case V"):
        _ = thurstone.fit([0], [1], [0.5], 5000).standard_errors
