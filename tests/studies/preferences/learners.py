"""Answers of known utilities, and a race of two ways to choose pairs, which learn them with as many pairs."""

from dataclasses import replace

import numpy as np
from scipy.special import ndtr
from scipy.stats import spearmanr

from lab.stats.intervals import student
from lab.studies.preferences.active import Settings, learn


def simulated(mu, sigma=1.0, *, position=0.0, samples=1, seed=0):
    """An `ask` whose answers are drawn by the model of `thurstone.fit` from utilities that are known.

    Each pair has random numbers of its own, so that it is answered alike whenever it is asked.
    """
    true = np.asarray(mu, dtype=float)
    spread = np.broadcast_to(np.asarray(sigma, dtype=float), true.shape)

    def ask(pairs):
        low, high = pairs.min(1), pairs.max(1)
        scale = np.sqrt(spread[low] ** 2 + spread[high] ** 2)
        gap = (true[low] - true[high]) / scale
        low_first = ndtr(gap + position / scale), ndtr(-gap + position / scale)
        draws = np.array(
            [np.random.default_rng([seed, i, j]).random((2, samples)) for i, j in zip(low, high, strict=True)]
        )
        shares = np.stack([(draws[:, k] < low_first[k][:, None]).mean(1) for k in (0, 1)], axis=1)
        return np.where((pairs[:, 0] == low)[:, None], shares, shares[:, ::-1])

    return ask


def race(n_items, *, seeds, most_pairs, mu_sd=1.0, choices=("close", "random"), seed=0, **settings):
    """Returns the mean difference of the rank correlations with the truth, first minus second, and all [seeds, 2].

    The interval is Student's over seeds. Utilities are normal; a pair that both ask has the same answer.
    """
    base = Settings(stop="budget", most_pairs=most_pairs, rounds=most_pairs, **settings)
    found = np.empty((seeds, 2))
    for k in range(seeds):
        rng = np.random.default_rng([seed, k])
        mu, sigma = rng.normal(0, mu_sd, n_items), np.exp(rng.normal(0, 0.3, n_items))
        for side, choice in enumerate(choices):
            how = replace(base, choice=choice, seed=2 * k + side)
            learned = learn(simulated(mu, sigma, samples=how.samples, seed=k), n_items, how)
            found[k, side] = spearmanr(learned.fit.mu, mu).statistic
    return student(found[:, 0] - found[:, 1]), found
