"""A race of two ways to choose pairs: which of them learns the same utilities better with as many pairs?"""

from dataclasses import replace

import numpy as np
from scipy.stats import spearmanr

from lab.stats.intervals import student
from lab.studies.preferences.active import Settings, learn, simulated


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
