"""Rules of `lab.stats`: intervals, effect sizes, families, sequences."""

from __future__ import annotations

import numpy as np

from lab.stats.intervals import (
    bootstrap,
    clopper_pearson,
    correlation,
    correlation_difference,
    delong,
    delong_difference,
    paired_difference,
    ratio,
    reweighted,
    student,
    unpaired_difference,
    welch,
    wilson,
)
from lab.stats.sequential import ConfidenceSequence, decided
from tests.calibration.simulate import Rule, seed_of

AREA_AT_ONE = 0.7602499389065233
"""Phi(1 / sqrt(2)): the AUROC of two normals one standard deviation apart."""


AREA_NEAR_ONE = 0.8984541062114161
"""Phi(1.8 / sqrt(2))."""


ABOVE_TENTH = 1.2815515655446004
"""The normal quantile of 0.9."""


def grouped(rng, k, size, share=0.5):
    """[k * size] values whose groups share half of their variance, and the groups."""
    member = np.repeat(np.arange(k), size)
    return np.sqrt(share) * rng.normal(size=k)[member] + np.sqrt(1 - share) * rng.normal(size=k * size), member


def unequal(rng, share=0.5):
    """Values as `grouped` has them, in 30 groups of 60, 30, 20, 15 ... rows, and the groups."""
    member = np.repeat(np.arange(30), [max(1, 60 // (i + 1)) for i in range(30)])
    return np.sqrt(share) * rng.normal(size=30)[member] + np.sqrt(1 - share) * rng.normal(size=member.size), member


def unequal_scores(rng):
    score, member = unequal(rng)
    trait, _ = unequal(rng)
    return score, trait > 0.4, member


def binormal(rng, positive=40, negative=120, gap=1.0):
    labels = np.arange(positive + negative) < positive
    return rng.normal(size=labels.size) + gap * labels, labels


def clustered_scores(rng):
    score, member = grouped(rng, 75, 4)
    trait, _ = grouped(rng, 75, 4)
    return score, trait > 0.6, member


def paired_flags(rng, n=200):
    shared = rng.normal(size=n)
    return shared + rng.normal(size=n) > 0, shared + rng.normal(size=n) > 0


def pair(rng, n, r):
    x = rng.normal(size=n)
    return x, r * x + np.sqrt(1 - r * r) * rng.normal(size=n)


def two_scores(rng):
    truth, labels = binormal(rng)
    return truth + rng.normal(size=160), truth + rng.normal(size=160), labels


def two_scores_by_group(rng):
    score, labels, member = clustered_scores(rng)
    return score + rng.normal(size=300), score + rng.normal(size=300), labels, member


def ratio_by_group(rng):
    """Group means of 1 and 2 that go together, four rows a group."""
    (shared, member), noise = grouped(rng, 40, 4), rng.normal(size=(2, 160))
    return ratio(1 + shared + noise[0], 2 + shared + noise[1], groups=member)


def balanced(rng):
    """Balanced accuracy, by weights, of answers that are right in 70 % of both classes; four rows a group."""
    labels = rng.random(300) < 0.3
    right = rng.random(300) < 0.7

    def of(w):
        return ((w @ (right & labels)) / (w @ labels) + (w @ (right & ~labels)) / (w @ ~labels)) / 2

    return reweighted(of, 300, groups=np.repeat(np.arange(75), 4), seed=seed_of(rng), resamples=1000)


def peeked(rng, draw, truth):
    """Whether a sequence, looked at after every 10 of 500 observations, ever PASSes `> truth`."""
    sequence = ConfidenceSequence()
    for _ in range(50):
        sequence.add(draw(rng, 10))
        if decided(sequence.estimate, truth):
            return (sequence.estimate > truth).outcome == "PASS"
    return False


def log_mean(s, axis):
    return np.log(s.mean(axis))


RULES = (
    Rule("Wilson", "n = 200, share 50 %", lambda rng: wilson(rng.random(200) < 0.5), 0.5),
    Rule(
        "Wilson, near 1",
        "n = 200, share 95 %",
        lambda rng: wilson(rng.random(200) < 0.95),
        0.95,
        admits="discrete: a share near 1 is missed more often on one side",
    ),
    Rule(
        "Wilson, clustered",
        "60 groups of 5, share 90 %",
        lambda rng: (lambda x, g: wilson(x < ABOVE_TENTH, groups=g))(*grouped(rng, 60, 5)),
        0.9,
    ),
    Rule(
        "Wilson, unequal groups",
        "30 groups of 60, 30, 20, 15 ..., share 90 %",
        lambda rng: (lambda x, g: wilson(x < ABOVE_TENTH, groups=g))(*unequal(rng)),
        0.9,
        admits="where the groups differ much in size it is wide",
    ),
    Rule(
        "Clopper-Pearson",
        "n = 200, share 95 %",
        lambda rng: clopper_pearson(rng.random(200) < 0.95),
        0.95,
        admits="exact: covers more than its level by design",
    ),
    Rule(
        "Newcombe, paired",
        "n = 200, correlated",
        lambda rng: paired_difference(*paired_flags(rng)),
        0.0,
        admits="its correction for small samples makes it slightly wide",
    ),
    Rule(
        "Newcombe, unpaired",
        "n = 100 + 150",
        lambda rng: unpaired_difference(rng.random(100) < 0.7, rng.random(150) < 0.5),
        0.2,
    ),
    Rule("Student", "n = 60, normal", lambda rng: student(rng.normal(size=60)), 0.0),
    Rule(
        "Student, skewed",
        "n = 200, exponential",
        lambda rng: student(rng.exponential(size=200)),
        1.0,
        admits="skewness moves misses to one side at this n",
    ),
    Rule(
        "Student, clustered",
        "40 groups of 5",
        lambda rng: (lambda x, g: student(x, groups=g))(*grouped(rng, 40, 5)),
        0.0,
    ),
    Rule(
        "Student, unequal groups",
        "30 groups of 60, 30, 20, 15 ...",
        lambda rng: (lambda x, g: student(x, groups=g))(*unequal(rng)),
        0.0,
        admits="a few large groups carry the mean",
    ),
    Rule("Welch", "n = 30 + 60, unequal spread", lambda rng: welch(rng.normal(0, 1, 30), rng.normal(0, 3, 60)), 0.0),
    Rule(
        "Fieller",
        "n = 60, correlated",
        lambda rng: (lambda s: ratio(1 + s + rng.normal(size=60), 2 + s + rng.normal(size=60)))(rng.normal(size=60)),
        0.5,
    ),
    Rule("Fieller, clustered", "40 groups of 4", ratio_by_group, 0.5),
    Rule("Fisher z", "n = 50, r = 0.5", lambda rng: correlation(*pair(rng, 50, 0.5)), 0.5),
    Rule(
        "Spearman, Fisher z",
        "n = 50, r = 0.5",
        lambda rng: correlation(*pair(rng, 50, 0.5), kind="Spearman"),
        float(6 / np.pi * np.arcsin(0.25)),
    ),
    Rule(
        "Correlation, clustered",
        "75 groups of 4",
        lambda rng: (lambda x, y: correlation(x[0], y[0], groups=x[1], seed=seed_of(rng)))(
            grouped(rng, 75, 4), grouped(rng, 75, 4)
        ),
        0.0,
        share=0.3,
        admits="a percentile bootstrap of few groups is a little narrow",
    ),
    Rule(
        "Zou, dependent correlations",
        "n = 60",
        lambda rng: (lambda x: correlation_difference(x, x + rng.normal(size=60), x + rng.normal(size=60)))(
            rng.normal(size=60)
        ),
        0.0,
    ),
    Rule(
        "DeLong",
        "40 + 120 rows, area 0.76",
        lambda rng: delong(*binormal(rng)),
        AREA_AT_ONE,
        admits="the plain interval, as other software has it, lies too high above 0.75; methods use the logit scale",
    ),
    Rule("DeLong, logit", "40 + 120 rows, area 0.76", lambda rng: delong(*binormal(rng), logit=True), AREA_AT_ONE),
    Rule(
        "DeLong, logit, near 1",
        "40 + 120 rows, area 0.90",
        lambda rng: delong(*binormal(rng, gap=1.8), logit=True),
        AREA_NEAR_ONE,
    ),
    Rule(
        "DeLong, logit, few of a class",
        "8 + 60 rows, area 0.76",
        lambda rng: delong(*binormal(rng, 8, 60), logit=True),
        AREA_AT_ONE,
        admits="degrees of freedom by the smaller class alone make it wide",
    ),
    Rule(
        "DeLong, logit, unequal groups",
        "30 groups of 60, 30, 20, 15 ...",
        lambda rng: (lambda s, y, g: delong(s, y, groups=g, logit=True))(*unequal_scores(rng)),
        0.5,
        share=0.5,
        admits="few effective groups: wide, and often in doubt",
    ),
    Rule(
        "DeLong, clustered",
        "75 groups of 4",
        lambda rng: (lambda s, y, g: delong(s, y, groups=g))(*clustered_scores(rng)),
        0.5,
    ),
    Rule("DeLong, paired", "40 + 120 rows", lambda rng: delong_difference(*two_scores(rng)), 0.0),
    Rule(
        "DeLong, paired, clustered",
        "75 groups of 4",
        lambda rng: (lambda a, b, y, g: delong_difference(a, b, y, groups=g))(*two_scores_by_group(rng)),
        0.0,
        share=0.3,
    ),
    Rule(
        "BCa bootstrap, mean",
        "n = 100, exponential",
        lambda rng: bootstrap(rng.exponential(size=100), resamples=1999, seed=seed_of(rng)),
        1.0,
        share=0.5,
        admits="skewness at this n",
    ),
    Rule(
        "BCa bootstrap, log of a mean",
        "n = 100, exponential",
        lambda rng: bootstrap(rng.exponential(size=100), log_mean, resamples=999, seed=seed_of(rng)),
        0.0,
        share=0.2,
        admits="skewness at this n",
    ),
    Rule(
        "Percentile bootstrap, mean",
        "n = 100, normal",
        lambda rng: bootstrap(rng.normal(size=100), method="percentile", resamples=1999, seed=seed_of(rng)),
        0.0,
        admits="quantiles of a resampled mean are a little narrow; `reweighted` expands them",
        share=0.5,
    ),
    Rule(
        "BCa cluster bootstrap, mean",
        "75 groups of 4",
        lambda rng: (lambda x, g: bootstrap(x, groups=g, resamples=1999, seed=seed_of(rng)))(*grouped(rng, 75, 4)),
        0.0,
        share=0.5,
    ),
    Rule("Bootstrap by weights: balanced accuracy", "75 groups of 4", balanced, 0.7, share=0.2),
    Rule(
        "Confidence sequence, booleans",
        "50 looks in 500 answers",
        lambda rng: peeked(rng, lambda g, m: g.random(m) < 0.5, 0.5),
        share=0.3,
    ),
    Rule(
        "Confidence sequence, numbers",
        "50 looks in 500 numbers",
        lambda rng: peeked(rng, lambda g, m: g.beta(2, 3, m), 0.4),
        share=0.2,
    ),
)
