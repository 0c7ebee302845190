"""Rules of `lab.studies` on choices between two: utilities, what they foretell, circles, wordings and refusals."""

from __future__ import annotations

import math

import numpy as np
from scipy.special import expit, ndtr

from lab.studies.preferences import pair_choices, position_bias, refusals, thurstone, utilities, wordings
from lab.studies.preferences.comparisons import count
from lab.studies.preferences.transitivity import transitivity
from tests.calibration.simulate import Rule, seed_of
from tests.studies.preferences.learners import race

UTILITIES = np.linspace(-1.5, 1.5, 30)
ITEM = 24
"""Whose utility, 0.983, is looked at."""


def chosen(rng, mu=UTILITIES, answers=1, share=1.0):
    """Each pair once in each order, with sigma 1: first, second, shares, number of items, answers to each."""
    one, other = np.triu_indices(len(mu), 1)
    kept = rng.random(len(one)) < share
    first, second = np.concatenate([one[kept], other[kept]]), np.concatenate([other[kept], one[kept]])
    drawn = rng.binomial(answers, ndtr((mu[first] - mu[second]) / math.sqrt(2)))
    return first, second, drawn / answers, len(mu), np.full(len(drawn), answers)


def case_v(rng):
    return thurstone.fit(*chosen(rng), l2=math.inf).utilities()[ITEM]


def general(rng):
    return thurstone.fit(*chosen(rng, answers=5)).utilities()[ITEM]


def sparse(rng):
    return thurstone.fit(*chosen(rng, answers=5, share=0.3), l2=math.inf).utilities()[ITEM]


def logits(rng):
    first, second, _, n, answers = chosen(rng)
    drawn = rng.random(len(first)) < expit(UTILITIES[first] - UTILITIES[second])
    return thurstone.bradley_terry(first, second, drawn, n, answers).utilities()[ITEM]


def foretold(rng):
    return thurstone.held_out(*chosen(rng, UTILITIES[::2], answers=5), l2=math.inf).accuracy


FORETOLD = 0.8453
"""Of 6,000 such experiments, to 0.0003."""


def told_of_nothing(rng):
    """Coins, in both orders of half of all pairs: whether utilities learnt from some seem to foretell others."""
    first, second, _, n, _ = chosen(rng, UTILITIES[:20], share=0.5)
    drawn = (rng.random(len(first)) < 0.5).astype(float)
    found = thurstone.held_out(first, second, drawn, n, l2=math.inf, seed=seed_of(rng)).accuracy
    return (found > 0.5).outcome == "PASS"


def agreed(rng):
    """Two answers to each of 190 questions, whose probabilities are uniform."""
    first, second = np.triu_indices(20, 1)
    shares = rng.binomial(2, rng.random(len(first))) / 2
    return count(first, second, shares, 20, np.full(len(first), 2)).agreement


def raced(rng):
    """Two learners that choose pairs at random."""
    seed, names = int(rng.integers(2**31)), ("random", "random")
    return race(15, seeds=6, most_pairs=50, degree=3, batch=20, choices=names, seed=seed)[0]


def circles(rng, sampled):
    mu = rng.normal(size=40)
    first, second = np.triu_indices(40, 1)
    p = expit(mu[first] - mu[second])
    found = transitivity(first, second, rng.random(len(p)) < p if sampled else p, 40)
    return found.hard if sampled else found.soft


def of_normal(function):
    """The mean of a function of a standard normal, by quadrature."""
    x, w = np.polynomial.hermite_e.hermegauss(80)
    return float(w @ function(x) / w.sum())


def circular():
    """The chance that three choices among normal utilities go in a circle, by quadrature."""
    x, w = np.polynomial.hermite_e.hermegauss(60)
    p, w = expit(x[:, None] - x), w / w.sum()
    one = np.einsum("i,j,k,ij,jk,ki->", w, w, w, p, p, p, optimize=True)
    return float(2 * one)


def in_both_orders(rng, noise, n=30, pairs=90):
    """Exact probabilities, off by normal noise in every prompt, which draws a utility's effect towards 0."""
    both = pair_choices.design(n, pairs, seed=seed_of(rng))
    gap = (UTILITIES[both[:, 0]] - UTILITIES[both[:, 1]]) / math.sqrt(2)
    p = ndtr(np.concatenate([gap, -gap]) + 0.3 + rng.normal(0, noise, 2 * pairs))
    ids, asked = [str(i) for i in range(n)], pair_choices.Asked("w", "m")
    return pair_choices.from_probabilities(asked, ids, ids, both, np.log(np.stack([p, 1 - p], axis=1)))


def unexplained(rng):
    return utilities.utilities(in_both_orders(rng, 0.4)).estimates[ITEM]


def gained(rng):
    """Nothing but a leaning to the second-named: utilities foretell what the places do, and no more."""
    both = pair_choices.design(30, 90, seed=seed_of(rng))
    drawn = (rng.random((90, 2)) < 0.3).astype(float)
    counted = count(
        np.concatenate([both[:, 0], both[:, 1]]), np.concatenate([both[:, 1], both[:, 0]]), drawn.T.ravel(), 30
    )
    return bool((utilities.foretold(counted, l2=math.inf, seed=seed_of(rng)).gain > 0).outcome == "PASS")


def without_content(rng):
    """Choices that lean to the second-named and know nothing of the tasks."""
    both = pair_choices.design(30, 120, seed=seed_of(rng))
    drawn = (rng.random((120, 2)) < 0.3).astype(float)
    return bool((position_bias.content(both, drawn, items=30, seed=seed_of(rng)).foretold > 0.5).outcome == "PASS")


def rooted(rng, k):
    """Root mean square content, of k answers an order."""
    p = expit(np.stack([0.3 + (c := rng.normal(size=400)), 0.3 - c], axis=1))
    drawn, answers = (p, None) if k == 0 else (rng.binomial(k, p) / k, np.full(p.shape, k))
    return position_bias.bias(drawn, answers=answers, seed=seed_of(rng))


ROOTED = of_normal(lambda c: ((expit(0.3 + c) - expit(0.3 - c)) / 2) ** 2) ** 0.5
SHIFTED = of_normal(lambda c: (expit(0.3 + c) - (1 - expit(0.3 - c))) ** 2)


def balanced_wins(rng):
    """400 pairs of a kind that is stronger by one logit, each answered once in both orders."""
    content = rng.normal(size=400) + 1.0
    p = expit(np.stack([0.3 + content, 0.3 - content], axis=1))
    member = np.tile([True, False], (400, 1))
    return position_bias.win_rates((rng.random((400, 2)) < p).astype(float), member)


BALANCED = of_normal(lambda c: (expit(1.3 + c) + 1 - expit(-0.7 - c)) / 2)


def drifted(rng):
    p = expit(np.stack([0.3 + (c := rng.normal(size=200)), 0.3 - c], axis=1))
    return position_bias.contrast(*(rng.random((2, 200, 2)) < p), seed=seed_of(rng))


def swapped_answers(rng):
    return position_bias.replication(*np.stack([a := rng.binomial(20, [0.3, 0.7]), 20 - a])).order_effect


def classified(rng):
    """Exact probabilities of 200 pairs: robust where content is further from 0.5 than the margin in both orders."""
    p = expit(np.stack([c := rng.normal(size=200), -c], axis=1))
    return position_bias.classes(p).shares["robust"]


def two_wordings(rng, r=0.5, n=60):
    x = rng.normal(size=n)
    y = r * x + math.sqrt(1 - r * r) * rng.normal(size=n)
    return wordings.weighted_correlation(x, y, *np.exp(rng.normal(0, 0.3, (2, n))), seed=seed_of(rng))


def refused_within(rng, slope):
    """Refusals of 40 harmful and 40 stress tasks by utility; the truth is that of very many tasks."""
    mu, share = rng.normal(size=80), np.repeat([1.0, -1.5], 40)
    refused = rng.random(80) < expit(share + slope * mu)
    return refusals.within(mu, refused, ["harmful"] * 40 + ["stress"] * 40, seed=seed_of(rng))


def within_truth(slope):
    """Covariance over standard deviations, both summed over the two origins."""
    joint = variance = 0.0
    for share in (1.0, -1.5):
        p = of_normal(lambda m, share=share: expit(share + slope * m))
        joint += of_normal(lambda m, share=share: m * expit(share + slope * m))
        variance += p * (1 - p)
    return joint / math.sqrt(2 * variance)


RULES = (
    Rule("Utility, case V", "30 items, 58 answers each", case_v, UTILITIES[ITEM], share=0.15),
    Rule("Utility, sigma free", "30 items, 290 answers each", general, UTILITIES[ITEM], share=0.15,
         admits="the penalty alone gives the unit, and its uncertainty counts too"),
    Rule("Utility, case V, sparse", "30 items, about 87 answers each to 30 % of pairs", sparse, UTILITIES[ITEM], share=0.15),
    Rule("Utility, Bradley and Terry", "30 items, 58 answers each", logits, UTILITIES[ITEM], share=0.15),
    Rule("Accuracy on held-out pairs", "15 items, 5 answers to each order of 105 pairs", foretold, FORETOLD, share=0.15,
         admits="it takes every pair to be as hard as another, so it is wide"),
    Rule("Accuracy on held-out pairs, of coins", "20 items, both orders of half of all pairs", told_of_nothing, share=0.15),
    Rule("Agreement of repeated answers", "190 questions twice", agreed, 2 / 3,
         admits="190 questions are few for it, so it is a little narrow"),
    Rule("Race of two learners", "6 seeds, 15 items, 50 pairs", raced, 0.0, share=0.1,
         admits="seeds differ in their spread, so it is a little wide"),
    Rule("Transitivity, soft", "40 items, exact probabilities", lambda rng: circles(rng, False), circular(), share=0.15),
    Rule("Transitivity, hard", "40 items, one answer a pair", lambda rng: circles(rng, True), circular(), share=0.15,
         admits="the jackknife over items is wide"),
    Rule("Utility, probabilities", "30 items, 90 pairs in both orders, noise of 0.4 probits", unexplained, UTILITIES[ITEM] / math.sqrt(1.16), share=0.15),
    Rule("Utilities foretell more than places", "30 items, 90 pairs of which only the place counts", gained, share=0.1),
    Rule("Content foretold", "30 items, 120 pairs of which only the place counts", without_content, share=0.1),
    Rule("Position: content, of answers", "400 pairs, 4 answers an order, b = 0.3", lambda rng: rooted(rng, 4).content_effect, ROOTED, share=0.1),
    Rule("Position: inconsistency by order", "400 pairs, 4 answers an order, b = 0.3", lambda rng: rooted(rng, 4).inconsistency, SHIFTED, share=0.1),
    Rule("Win rate, balanced", "400 pairs, content 1 logit, b = 0.3", lambda rng: balanced_wins(rng).balanced, BALANCED, share=0.5),
    Rule("Win rate, effect of content", "400 pairs, content 1 logit, b = 0.3", lambda rng: balanced_wins(rng).content, BALANCED - 0.5, share=0.5),
    Rule("Win rate, effect of position", "400 pairs, content 1 logit, b = 0.3", lambda rng: balanced_wins(rng).position, of_normal(lambda c: (expit(1.3 + c) - 1 + expit(-0.7 - c)) / 2), share=0.5),
    Rule("Drift of P(B)", "200 pairs, one answer an order and run", lambda rng: drifted(rng).share_second, 0.0, share=0.2),
    Rule("Drift of b", "200 pairs, one answer an order and run", lambda rng: drifted(rng).bias, 0.0, share=0.2),
    Rule("Order effect on one pair", "20 answers an order, P = 0.3", swapped_answers, 0.0),
    Rule("Robust pairs", "200 pairs, probabilities", classified, float(2 * ndtr(-math.log(0.6 / 0.4))), share=0.5),
    Rule("Correlation of two wordings, weighted", "60 tasks, r = 0.5", two_wordings, 0.5, share=0.2),
    Rule("Refusal and utility within origins, no link", "80 tasks of 2 origins", lambda rng: refused_within(rng, 0.0), 0.0, share=0.2),
    Rule("Refusal and utility within origins", "80 tasks of 2 origins, 1.2 logits a unit", lambda rng: refused_within(rng, -1.2), within_truth(-1.2), share=0.2),
)  # fmt: skip
