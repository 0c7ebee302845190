"""Utilities of choices: recovered, foretelling, and told with what they do not know."""

import itertools
import math
from dataclasses import replace

import numpy as np
from scipy.special import expit

from lab.studies.preferences import active, pair_choices, utilities
from lab.studies.preferences.pair_choices import Asked
from tests.studies.preferences.learners import simulated

N = 40
MU = np.random.default_rng(5).permutation(np.linspace(-1.7, 1.7, N))


def asked(bias=0.8, pairs=160, *, noise=0.0, orders="both", samples=0, content=1.0, seed=0):
    rng = np.random.default_rng(seed)
    both = pair_choices.design(N, pairs, seed=seed)
    gap = content * (MU[both[:, 0]] - MU[both[:, 1]])
    p = expit(np.concatenate([bias + gap, bias - gap]) + rng.normal(0, noise, 2 * len(both)))
    p = p if orders == "both" else p[: len(both)]
    logprobs = np.log(np.stack([p, 1 - p], axis=1))
    tasks = [f"t{i}" for i in range(N)]
    asked = Asked("simple_preference", "m", orders=orders)
    return pair_choices.from_probabilities(
        asked, tasks, ["x", "y"] * (N // 2), both, logprobs, seed=seed, samples=samples
    )


def test_planted_utilities_come_back_under_a_planted_bias():
    found = utilities.utilities(asked())
    assert np.corrcoef(found.fit.mu, MU)[0, 1] > 0.999
    assert found.fit.converged
    assert found.fit.position > 0.4
    assert found.agreement > 0.999
    assert abs(found.fit.mu.mean()) < 1e-9
    told = found.summary()
    assert told["design"] == "both orders"
    assert told["fitted_with"]["l2"] is None
    assert told["pair agreement"] is None


def test_few_answers_are_held_back_and_many_are_not():
    few, many = (utilities.utilities(asked(samples=k)) for k in (1, 20))
    assert (few.l2, many.l2) == (10.0, 1.0)
    assert "few answers" in few.why
    assert many.summary()["pair agreement"] > 0.5


def test_intervals_of_probabilities_tell_what_the_scale_leaves_unexplained():
    clean, noisy = (utilities.utilities(asked(noise=noise)) for noise in (0.02, 0.8))
    widths = [np.mean([e.high - e.low for e in found.estimates]) for found in (clean, noisy)]
    assert widths[1] > 5 * widths[0]
    ring = utilities.utilities(asked(pairs=N))
    assert ring.dispersion is None
    assert "no more pairs than tasks" in ring.estimates[0].doubt


def test_one_order_leaves_every_utility_in_doubt():
    found = utilities.utilities(asked(orders="one"))
    assert all("one order" in e.doubt for e in found.estimates)


def test_utilities_foretell_new_pairs_and_a_leaning_to_a_place_does_not_help():
    liked = utilities.foretold(asked().counted, l2=math.inf)
    place = utilities.foretold(asked(bias=3.0, content=0.0, noise=0.3).counted, l2=math.inf)
    assert (liked.gain > 0.05).outcome == "PASS"
    assert (place.gain > 0.05).outcome == "FAIL"
    assert place.held_out.accuracy.value > 0.95  # which is of the places


def test_ranked_tasks_have_their_refusals_and_ends_are_those_that_are_known():
    found = utilities.utilities(asked(samples=10))
    refused = np.full(N, np.nan)
    refused[:3] = [0.0, 0.6, 1.0]
    rows = replace(found, choices=replace(found.choices, texts=[f"Text {i}." for i in range(N)])).ranked(refused)
    assert [row["rank"] for row in rows] == list(range(1, N + 1))
    assert all(a["mu"] >= b["mu"] for a, b in itertools.pairwise(rows))
    by = {row["task_id"]: row for row in rows}
    assert [by[f"t{i}"]["is_refusal"] for i in range(4)] == [False, True, True, None]
    assert by["t7"]["text"] == "Text 7."
    top, bottom = utilities.extremes(rows, 5)
    assert top[0]["rank"] <= 3
    assert bottom[0]["rank"] >= N - 2
    wide = [row | {"high": row["high"] + 10 * (row["task_id"] == "t7")} for row in rows]
    known, left = ({row["task_id"] for row in utilities.extremes(each, N)[0]} for each in (rows, wide))
    assert known - left == {"t7"}
    assert utilities.extremes([], 5) == ([], [])


def test_two_learners_are_held_against_pairs_that_neither_has_asked():
    settings = active.Settings(degree=4, batch=40, samples=10, seed=1)
    learned = active.learn(simulated(MU, samples=10), N, settings)
    rival = active.learn(simulated(MU, samples=10), N, utilities.at_random(settings, learned))
    assert len(rival.state.pairs) == len(learned.state.pairs)
    new = utilities.unasked([learned, rival], 100, seed=0)
    known = {tuple(sorted(p)) for one in (learned, rival) for p in one.state.pairs.tolist()}
    assert not known & {tuple(sorted(pair)) for pair in new.tolist()}
    gap = MU[new[:, 0]] - MU[new[:, 1]]
    p = expit(np.concatenate([gap, -gap]))
    told = pair_choices.from_probabilities(
        Asked("w", "m"), [f"t{i}" for i in range(N)], ["x"] * N, new, np.log(np.stack([p, 1 - p], axis=1))
    )
    found = utilities.against(told, learned.fit, rival.fit)
    assert found.first.low > 0.8
    assert found.difference.low < 0 < found.difference.high
    assert found.rank_correlation > 0.9
    assert found.pairs == 100


def test_planted_utilities_come_back_at_the_learners_stop():
    """Over 0.95 in rank, with ten draws of each order."""
    from scipy.stats import spearmanr

    found = []
    for seed in range(5):
        settings = active.Settings(degree=3, batch=60, samples=10, seed=seed)
        learned = active.learn(simulated(np.linspace(-1.7, 1.7, 60), position=0.8, samples=10, seed=seed), 60, settings)
        assert learned.converged
        found.append(spearmanr(learned.fit.mu, np.arange(60)).statistic)
    assert min(found) > 0.95
