"""Rules of `lab.stats.reliability`: agreement of raters and seeds, and use of the scale."""

from __future__ import annotations

import numpy as np

from lab.stats import reliability
from tests.calibration.simulate import Rule, seed_of


def ratings(rng, n=60, k=4):
    """Variances: 1 of targets, 0.25 of raters, 1 of noise. ICC(2,1) = 1/2.25, ICC(3,1) = 1/2, as k grows."""
    return rng.normal(size=(n, 1)) + 0.5 * rng.normal(size=(1, k)) + rng.normal(size=(n, k))


def seeds_apart(rng):
    """Two independent seeds whose commonest rating, the top of the scale, has 80 %."""
    return (np.where(rng.random(400) < 0.8, 5.0, rng.integers(1, 5, 400)) for _ in range(2))


def informative(rng):
    return reliability.informative_correlation(*seeds_apart(rng), seed=seed_of(rng), permutations=499)


def by_third(rng):
    """Three independent seeds whose commonest rating, the top of the scale, has 40 %."""
    ratings = np.where(rng.random((200, 3)) < 0.4, 5.0, rng.integers(1, 5, (200, 3)))
    return reliability.informative_correlation_by_third(ratings, seed=seed_of(rng))


def uses_the_scale(rng):
    """KL from uniform of 60 answers that are uniform on 7 points: is any divergence "found" beyond 0.02 nats?"""
    found = reliability.kl_from_uniform(rng.integers(1, 8, 60), range(1, 8), seed=seed_of(rng))
    return (found > 0.0).outcome == "PASS"


def peaked(rng):
    shares = np.array([0.05, 0.1, 0.2, 0.4, 0.25])
    return reliability.kl_from_uniform(rng.choice(5, 100, p=shares) + 1, range(1, 6), seed=seed_of(rng))


KL_OF_PEAKED = float(np.log(5) + (np.array([0.05, 0.1, 0.2, 0.4, 0.25]) * np.log([0.05, 0.1, 0.2, 0.4, 0.25])).sum())


def own_raters(rng):
    return rng.normal(size=(60, 1)) + rng.normal(size=(60, 4))


def unlike(rng):
    """Variances of 1 of targets, raters and noise: an ICC(2,1) of one third."""
    return rng.normal(size=(100, 1)) + rng.normal(size=(1, 4)) + rng.normal(size=(100, 4))


def icc_by_bootstrap(rng):
    """Ratings from 1 to 5, a third of which are at the ceiling."""
    x = 4.2 + rng.normal(size=(100, 1)) + rng.normal(size=(100, 4))
    x = np.clip(np.rint(x), 1, 5)
    return reliability.icc_bootstrap(x, "3,1", seed=seed_of(rng), resamples=999)


ICC_AT_THE_CEILING = 0.4382
"""Of four million such targets, to 0.0002."""


VARIANCE_RATIO = (1 + 1 / 4) / (1 + 1 / 4 + 1)
"""Of `own_raters`: a mean of 4 ratings has a quarter of the noise's variance beside that of the tasks."""


def cross_seed(rng):
    """Four seeds that correlate 0.5."""
    x = np.sqrt(0.5) * rng.normal(size=(100, 1)) + np.sqrt(0.5) * rng.normal(size=(100, 4))
    return reliability.cross_seed(x, seed=seed_of(rng))


RULES = (
    Rule("ICC(1,1), F", "60 targets, 4 raters each its own", lambda rng: reliability.icc(own_raters(rng))["1,1"], 0.5),
    Rule("ICC(1,k), F", "60 targets, 4 raters each its own", lambda rng: reliability.icc(own_raters(rng))["1,k"], 0.8, share=0.3),
    Rule("ICC(2,1), F", "100 targets, 4 raters as unlike as the noise", lambda rng: reliability.icc(unlike(rng))["2,1"], 1 / 3,
         admits="in doubt, and so not decided, wherever the generalised interval reaches further"),
    Rule("ICC(2,1), generalised", "100 targets, 4 raters as unlike as the noise",
         lambda rng: reliability.icc_generalized(unlike(rng), seed=seed_of(rng), draws=4000), 1 / 3),
    Rule("ICC(2,k), F", "100 targets, 4 raters as unlike as the noise", lambda rng: reliability.icc(unlike(rng))["2,k"], 2 / 3,
         share=0.3, admits="in doubt, and so not decided, wherever the generalised interval reaches further"),
    Rule("ICC(2,k), generalised", "100 targets, 4 raters as unlike as the noise",
         lambda rng: reliability.icc_generalized(unlike(rng), "2,k", seed=seed_of(rng), draws=4000), 2 / 3, share=0.3),
    Rule("ICC(3,1), F", "60 targets, 4 raters", lambda rng: reliability.icc(ratings(rng))["3,1"], 0.5),
    Rule("ICC(3,k), F", "60 targets, 4 raters", lambda rng: reliability.icc(ratings(rng))["3,k"], 0.8, share=0.3),
    Rule("ICC(3,1), BCa bootstrap", "100 targets, 4 raters, a ceiling at 5", icc_by_bootstrap, ICC_AT_THE_CEILING, share=0.2,
         admits="of targets skewed as an exponential it is below the truth in 7.2 % at n = 100 and in 5.0 % at 200, and F in 10 %"),
    Rule("Mean correlation of seeds", "100 tasks, 4 seeds, r = 0.5", lambda rng: cross_seed(rng).mean, 0.5, share=0.2),
    Rule("Mean rank correlation of seeds", "100 tasks, 4 seeds, r = 0.5", lambda rng: cross_seed(rng).mean_spearman,
         float(6 / np.pi * np.arcsin(0.25)), share=0.1),
    Rule("Variance ratio", "60 tasks, 4 seeds, variances of 1", lambda rng: reliability.variance_ratio(own_raters(rng), seed=seed_of(rng)),
         VARIANCE_RATIO, share=0.2,
         admits="a bootstrap of 60 tasks is a little narrow"),
    Rule("Informative correlation: excess", "independent seeds, 80 % at the end of the scale", lambda rng: informative(rng).excess, 0.0, share=0.2),
    Rule("Informative correlation: p", "p <= .05, independent seeds, 80 % at the end of the scale", lambda rng: informative(rng).p <= 0.05, share=0.05),
    Rule("Informative correlation by a third seed", "3 independent seeds, 200 tasks, 40 % at the end", by_third, 0.0, share=0.1),
    Rule("Discrimination rate", "independent seeds, 80 % at the end of the scale", lambda rng: reliability.discrimination_rate(*seeds_apart(rng)), 1 - 0.8**2),
    Rule("KL from uniform: above 0", "60 uniform answers on 7 points", uses_the_scale, share=0.2),
    Rule("KL from uniform: interval", "100 peaked answers on 5 points", peaked, KL_OF_PEAKED, share=0.2,
         admits="inverts a test of discrete answers, and is a little wide"),
)  # fmt: skip
