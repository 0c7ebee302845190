"""Rules of `lab.studies.activations.similarity`: unrelated activations must not be found alike."""

from __future__ import annotations

import numpy as np

from lab.studies.activations import similarity
from tests.calibration.simulate import Rule, seed_of


def unrelated(rng, n=100, d=(24, 32)):
    """Two sides with steep spectra and nothing in common."""
    return [rng.normal(size=(n, width)) / np.sqrt(np.arange(1, width + 1)) for width in d]


def by_chance(measure, **options):
    """Whether unrelated sides are found alike beyond the 95th percentile of the null."""

    def draw(rng):
        found = getattr(similarity, measure)(*unrelated(rng), seed=seed_of(rng), **options)
        return (found.percentile > 0.95).outcome == "PASS"

    return draw


def families_by_chance(rng):
    """Texts come in 20 families of 5 that are alike in any model; families share nothing between the models."""
    member = np.repeat(np.arange(20), 5)
    x, y = (rng.normal(size=(20, 16))[member] + 0.5 * rng.normal(size=(100, 16)) for _ in range(2))
    found = similarity.cka(x, y, groups=member, permutations=400, seed=seed_of(rng))
    return (found.percentile > 0.95).outcome == "PASS"


def searched(rng):
    xs, ys = ([rng.normal(size=(60, 12)) for _ in range(6)] for _ in range(2))
    found = similarity.search(xs, ys, permutations=400, seed=seed_of(rng))
    return (found.percentile > 0.95).outcome == "PASS"


def ridge(rng):
    """r over the null's 95th percentile, of unrelated activations; ridge_correlation's own interval by groups."""
    x, y = unrelated(rng, 240, (12, 12))
    groups = np.repeat(np.arange(60), 4)
    found = similarity.ridge_correlation(x, y, groups=groups, permutations=40, seed=seed_of(rng))
    return (found.excess > 0).outcome == "PASS"


def ridge_r(rng):
    """Mean r of unrelated activations, whose truth is 0."""
    x, y = unrelated(rng, 600, (12, 12))
    groups = np.repeat(np.arange(300), 2)
    return similarity.ridge_correlation(x, y, groups=groups, permutations=19, seed=seed_of(rng)).r


def ridge_by_chance(claim):
    """Whether a map between unrelated sides is claimed; both directions meet the same held-out pairs."""

    def draw(rng):
        x, y = unrelated(rng, 100, (8, 8))
        return claim(similarity.ridge_correlation(x, y, permutations=99, seed=seed_of(rng)))

    return draw


def excess_by_chance(measure):
    def draw(rng):
        found = getattr(similarity, measure)(*unrelated(rng), permutations=400, seed=seed_of(rng))
        return (found.excess > 0).outcome == "PASS"

    return draw


def sharing(rng, n):
    """n texts of two sides that share four of their directions."""
    latent = rng.normal(size=(n, 4))
    return [latent @ MAPS[side] + rng.normal(size=(n, 24)) for side in (0, 1)]


def between(measure, n=200, **options):
    """The score of two sides that share something."""

    def draw(rng):
        return getattr(similarity, measure)(*sharing(rng, n), permutations=19, seed=seed_of(rng), **options).score

    return draw


MAPS = np.random.default_rng(7).normal(size=(2, 4, 24))


WIDE = "leaving out whole blocks of texts makes it up to twice as wide as it need be"
TRUTHS_AT_100 = (
    ("mutual k-NN", "mutual_knn", 0.5346, WIDE),
    ("CKNNA", "cknna", 0.5606, WIDE),
    ("SVCCA", "svcca", 0.5011, WIDE),
    ("Procrustes", "procrustes", 0.8125, ""),
)
"""The mean over 4,000 sets of 100 such texts or more, to .0003: these measures move with the number of texts."""


TRUTH_OF_RSA = 0.7642
"""Of 4 million independent pairs of texts, to .0003."""


def truth_of_cka():
    """From covariances, for infinitely many texts: tr(Sxy Syx) / sqrt(tr(Sxx^2) tr(Syy^2))."""
    own = [m.T @ m + np.eye(24) for m in MAPS]
    between = MAPS[0].T @ MAPS[1]
    return float((between**2).sum() / np.sqrt((own[0] ** 2).sum() * (own[1] ** 2).sum()))


RULES = (
    Rule("CKA, unbiased: percentile", "unrelated, n = 100", by_chance("cka", permutations=400), share=0.5),
    Rule(
        "CKA, biased: percentile", "unrelated, n = 100", by_chance("cka", unbiased=False, permutations=400), share=0.5
    ),
    Rule("CKA by families: percentile", "unrelated, 20 families of 5", families_by_chance, share=0.5),
    Rule("mutual k-NN: percentile", "unrelated, n = 100", by_chance("mutual_knn", permutations=400), share=0.3),
    Rule("CKNNA: percentile", "unrelated, n = 100", by_chance("cknna", permutations=400), share=0.3),
    Rule("SVCCA: percentile", "unrelated, n = 100", by_chance("svcca", permutations=400), share=0.2),
    Rule("RSA: percentile", "unrelated, n = 100", by_chance("rsa", permutations=400), share=0.3),
    Rule("Procrustes: percentile", "unrelated, n = 100", by_chance("procrustes", permutations=100), share=0.2),
    Rule("Search over 6 x 6 layers: percentile", "unrelated, n = 60", searched, share=0.2),
    Rule("Ridge r: over the null", "unrelated, 60 groups of 4", ridge, share=0.2),
    Rule(
        "Ridge r: percentile",
        "unrelated, n = 100",
        ridge_by_chance(lambda found: (found.percentile > 0.95).outcome == "PASS"),
        share=0.5,
    ),
    Rule("Ridge r: p", "p <= .05, unrelated, n = 100", ridge_by_chance(lambda found: found.p <= 0.05), share=0.5),
    Rule("mutual k-NN: over the null", "unrelated, n = 100", excess_by_chance("mutual_knn"), share=0.3),
    Rule("CKA, unbiased: over the null", "unrelated, n = 100", excess_by_chance("cka"), share=0.1),
    Rule("Ridge r: interval", "unrelated, 300 groups of 2, a fifth held out", ridge_r, 0.0, share=0.5),
    Rule("CKA, unbiased: interval", "4 shared directions, n = 200", between("cka"), truth_of_cka(), share=0.5),
    Rule(
        "RSA, Pearson: interval",
        "4 shared directions, n = 200",
        between("rsa", kind="Pearson"),
        TRUTH_OF_RSA,
        share=0.5,
    ),
    *(
        Rule(
            f"{name}: interval",
            "4 shared directions, n = 100",
            between(measure, n=100),
            truth,
            share=0.05,
            admits=remark,
        )
        for name, measure, truth, remark in TRUTHS_AT_100
    ),
)
