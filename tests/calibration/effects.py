"""Rules of effect sizes, equivalence and families."""

from __future__ import annotations

import numpy as np

from lab.stats import equivalence, families
from lab.stats.effects import cliffs_delta, cohen_d, cohen_d_paired, hedges_g
from lab.stats.intervals import correlation, delong, student
from tests.calibration.intervals import AREA_AT_ONE, AREA_NEAR_ONE, binormal, pair
from tests.calibration.simulate import Rule, seed_of


def two_groups(rng, gap=0.5, n=50):
    return rng.normal(size=n) + gap, rng.normal(size=n)


def paired(rng):
    """Differences with mean 0.5 and standard deviation 1."""
    first = rng.normal(size=50)
    return first + rng.normal(0.5, 1, 50), first


def alike(rng):
    """Pairs of equal spread that correlate 0.5, half a standard deviation apart."""
    first, second = pair(rng, 50, 0.5)
    return first + 0.5, second


def at_the_bound(rng):
    """Whether equivalence within 0.5 is claimed of a mean of 0.5."""
    return student(rng.normal(0.5, 1, 60)).within(-0.5, 0.5).outcome == "PASS"


def tost_at_the_bound(rng):
    x = rng.normal(size=60)
    return equivalence.tost_paired(x + rng.normal(0.5, 1, 60), x, -0.5, 0.5).p < 0.05


def layers(rng):
    """[40 units, 12 layers] that correlate 0.6 and have no effect."""
    return np.sqrt(0.6) * rng.normal(size=(40, 1)) + np.sqrt(0.4) * rng.normal(size=(40, 12))


def tost_apart(rng):
    return equivalence.tost_independent(rng.normal(0.8, 1, 40), rng.normal(0, 2, 80), -0.8, 0.8).p < 0.05


def any_of(rng, method):
    """Whether any of 12 correlated null layers passes, corrected over their intervals."""
    members = families.verdicts([student(column) for column in layers(rng).T], 0.0, method=method)
    return any(member.outcome == "PASS" for member in members)


def any_rejected(rng):
    return bool((families.max_t(layers(rng), permutations=999, seed=seed_of(rng)).p < 0.05).any())


def false_discovery(rng):
    """Whether one of the discoveries, taken at random, is false: the mean of this is the false discovery rate."""
    x = layers(rng)
    x[:, 6:] += 0.5
    p = families.benjamini_hochberg([student(column).p for column in x.T])
    found = np.flatnonzero(p < 0.05)
    return found.size > 0 and rng.choice(found) < 6


def any_area(rng):
    """Whether any of 12 areas passes `> truth`, by Holm over the intervals."""
    family = [delong(*binormal(rng, gap=1.8), logit=True) for _ in range(12)]
    return any(member.outcome == "PASS" for member in families.verdicts(family, AREA_NEAR_ONE))


def any_correlation(rng):
    family = [correlation(*pair(rng, 30, 0.7)) for _ in range(12)]
    return any(member.outcome == "PASS" for member in families.verdicts(family, 0.7))


def in_the_band(rng):
    """Whether the simultaneous band misses any of 12 truths."""
    band = families.max_t(layers(rng), permutations=999, seed=seed_of(rng)).band
    return any(e.low > 0 or e.high < 0 for e in band)


RULES = (
    Rule("Cohen's d", "50 + 50, d = 0.5", lambda rng: cohen_d(*two_groups(rng)), 0.5),
    Rule("Hedges' g", "50 + 50, d = 0.5", lambda rng: hedges_g(*two_groups(rng)), 0.5),
    Rule("Cohen's d_z", "50 pairs, d_z = 0.5", lambda rng: cohen_d_paired(*paired(rng), standardiser="difference"), 0.5),
    Rule("Cohen's d_av", "50 pairs, d_av = 0.5, r = 0.5", lambda rng: cohen_d_paired(*alike(rng), standardiser="average"), 0.5, share=0.3),
    Rule("Cohen's d_av, unequal spread", "50 pairs, variances 2 and 1", lambda rng: cohen_d_paired(*paired(rng), standardiser="average"), 0.5 / 1.5**0.5),
    Rule(
        "Cliff's delta", "50 + 50, delta = 0.52", lambda rng: cliffs_delta(*two_groups(rng, gap=1.0)),
        2 * AREA_AT_ONE - 1,
    ),
    Rule("Equivalence (within), at the bound", "n = 60; 2.5 % a side", at_the_bound),
    Rule("TOST, at the bound", "60 pairs; 5 %", tost_at_the_bound),
    Rule("TOST of separate samples, at the bound", "40 + 80, unequal spread; 5 %", tost_apart),
    Rule("Holm over 12 claims: any PASS", "correlated 0.6, n = 40", lambda rng: any_of(rng, "holm"), share=0.3),
    Rule("Benjamini-Hochberg over 12 claims: any PASS", "all on the bar, correlated 0.6, n = 40",
         lambda rng: any_of(rng, "benjamini-hochberg"), share=0.3),
    Rule("Benjamini-Hochberg: a discovery is false", "half of 12 layers without effect; 2.5 % due", false_discovery, share=0.3),
    Rule("Holm over 12 AUROCs: any PASS", "40 + 120 rows, area 0.90", any_area, share=0.3),
    Rule("Holm over 12 correlations: any PASS", "n = 30, r = 0.7", any_correlation, share=0.3),
    Rule("max-T over 12 layers: any rejected", "correlated 0.6, n = 40", any_rejected, share=0.3),
    Rule("max-T band: any layer missed", "correlated 0.6, n = 40", in_the_band, share=0.3),
)  # fmt: skip
