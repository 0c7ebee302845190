"""Rules of probes: with labels, without them, and what is done with their confidence."""

from __future__ import annotations

import numpy as np
from scipy.special import ndtr

from lab.stats.calibration import ece
from lab.studies.activations import abstention, probing, unsupervised
from tests.calibration.simulate import Rule, seed_of


def noise(rng, n=300, d=8, base=0.25):
    return rng.normal(size=(n, d)), rng.random(n) < base


def logistic(rng):
    return probing.logistic(*noise(rng), shuffles=2, seed=seed_of(rng)).auroc


def logistic_by_group(rng):
    """75 groups of 4: features and labels cling together, and have nothing to do with each other."""
    group = np.repeat(np.arange(75), 4)
    features = rng.normal(size=(75, 8))[group] + 0.3 * rng.normal(size=(300, 8))
    labels = rng.normal(size=75)[group] + rng.normal(size=300) > 0.9
    return probing.logistic(features, labels, groups=group, shuffles=2, seed=seed_of(rng)).auroc


def logistic_balanced(rng):
    return probing.logistic(*noise(rng, 200), shuffles=2, seed=seed_of(rng)).balanced_accuracy


def logistic_accuracy(rng):
    return probing.logistic(*noise(rng, 200, base=0.5), folds=2, penalty=1.0, shuffles=2, seed=seed_of(rng)).accuracy


def ridge(rng):
    return probing.ridge(*noise(rng), permutations=19, seed=seed_of(rng))


def ridge_of_signal(rng):
    """The classes lie one standard deviation apart in one of eight dimensions."""
    features, labels = noise(rng)
    features[:, 0] += labels
    return probing.ridge(features, labels, permutations=19, seed=seed_of(rng)).auroc


AREA_OF_SIGNAL = 0.7416
"""Out of fold, the mean over 1,800 such data sets, to .0009: a probe of 240 rows misses some of the 0.7602 that is there."""


def ridge_p(rng):
    return probing.ridge(*noise(rng, 200), permutations=199, seed=seed_of(rng)).p <= 0.05


def selective(rng):
    """Types are all there is: the task's labels are random by type too, so its selectivity is 0."""
    types = np.repeat(np.arange(60), 3)
    features = rng.normal(size=(60, 12))[types] + 0.5 * rng.normal(size=(180, 12))
    labels = (rng.random(60) < 0.5)[types]
    return probing.selectivity(features, labels, types, controls=1, folds=3, penalty=1.0, seed=seed_of(rng)).selectivity


def transfer(rng):
    sets = {"a": noise(rng, 200), "b": noise(rng, 200)}
    found = probing.transfer(sets, folds=2, penalty=1.0, seed=seed_of(rng))
    return found.auroc["a", "b"]


def ccs(rng):
    """Contrast pairs without truth in them; the sign is told by a model that guesses."""
    yes, no = (rng.normal(size=(200, 8)) for _ in range(2))
    labels, says = (rng.random(200) < 0.5 for _ in range(2))
    return unsupervised.ccs(yes, no, labels, model_says=says, restarts=3, directions=20, seed=seed_of(rng))


def ccs_sign_free(rng):
    """The better of two signs is above 0.5 by construction; is it "found" above 0.5?"""
    return (ccs(rng).ccs.auroc_sign_free > 0.5).outcome == "PASS"


def ccs_beside_directions(rng):
    """Whether CCS is found better than 95 % of random directions."""
    yes, no = (rng.normal(size=(200, 8)) for _ in range(2))
    found = unsupervised.ccs(yes, no, rng.random(200) < 0.5, restarts=3, directions=99, seed=seed_of(rng))
    return found.random.p <= 0.05


def ccs_of_truth(rng, n=400):
    """The two sides of a pair lie apart by its truth in one of four dimensions. A distractor says nothing of them."""
    labels, other = (rng.random(n) < 0.5 for _ in range(2))
    yes, no = (rng.normal(size=(n, 4)) for _ in range(2))
    yes[:, 0] += np.where(labels, 0.8, -0.8)
    no[:, 0] -= np.where(labels, 0.8, -0.8)
    return unsupervised.ccs(yes, no, labels, distractor=other, restarts=3, directions=20, seed=seed_of(rng))


def finds_the_distractor(rng):
    found = ccs_of_truth(rng).distractor
    return (found > 0.5).outcome == "PASS"


CCS_RATIO, CCS_RATIO_ABOVE_CHANCE = 0.9968, 0.9917
"""Means of CCS over those of the supervised probe, over 850 such data sets, to .0007 and .002."""


def declining(rng):
    """Confidence that says nothing of being right."""
    return abstention.abstain(rng.random(300), rng.random(300) < 0.6)


def declining_by_probe(rng):
    """From features of noise to abstention: the half that a cross-validated probe ranks first."""
    features, right = noise(rng, base=0.6)
    scores = probing.ridge(features, right, permutations=19, seed=seed_of(rng)).scores
    said = (np.argsort(np.argsort(scores)) + 0.5) / 300
    return abstention.abstain(said, right, threshold=0.5, out_of_fold=True)


def declining_by_group(rng):
    group = np.repeat(np.arange(75), 4)
    said = 1 / (1 + np.exp(-(rng.normal(size=75)[group] + 0.5 * rng.normal(size=300))))
    right = rng.normal(size=75)[group] + rng.normal(size=300) > -0.3
    return abstention.abstain(said, right, groups=group, seed=seed_of(rng))


RIGHT_BY_GROUP = 0.5839978
"""Phi(0.3 / sqrt(2))."""


def calibrated(rng):
    said = rng.random(200)
    return ece(said, rng.random(200) < said, draws=300, seed=seed_of(rng))


def calibrated_by_group(rng):
    """Every stated probability is right, but the outcomes of a group of 4 go together."""
    member, said = np.repeat(np.arange(75), 4), rng.random(300)
    level = ndtr(np.sqrt(0.5) * (rng.normal(size=75)[member] + rng.normal(size=300)))
    return ece(said, level < said, groups=member, draws=300, seed=seed_of(rng))


RULES = (
    Rule("Logistic probe: AUROC", "noise, 300 rows, base rate 25 %", logistic, 0.5, share=0.2),
    Rule("Logistic probe by group: AUROC", "noise, 75 groups of 4", logistic_by_group, 0.5, share=0.2),
    Rule("Logistic probe: balanced accuracy", "noise, 200 rows, base rate 25 %", logistic_balanced, 0.5, share=0.2,
         admits="twice the variance is an upper bound, so it is wide"),
    Rule("Logistic probe: accuracy", "noise, 200 rows, base rate 50 %", logistic_accuracy, 0.5, share=0.05,
         admits="twice the variance is an upper bound, so it is wide"),
    Rule("Ridge probe: AUROC", "noise, 300 rows, base rate 25 %", lambda rng: ridge(rng).auroc, 0.5, share=0.2),
    Rule("Ridge probe: balanced accuracy", "noise, 300 rows, base rate 25 %", lambda rng: ridge(rng).balanced_accuracy, 0.5, share=0.1,
         admits="twice the variance is an upper bound, so it is wide"),
    Rule("Ridge probe: AUROC of a signal", "300 rows, classes one standard deviation apart", ridge_of_signal, AREA_OF_SIGNAL, share=0.1,
         admits="twice the variance is an upper bound, so it is wide"),
    Rule("Ridge probe: permutation p", "noise, 200 rows", ridge_p, share=0.2),
    Rule("Selectivity", "60 types of 3, labels random by type", selective, 0.0, share=0.2,
         admits="twice the variance is an upper bound, so it is wide"),
    Rule("Transfer of a probe: AUROC", "noise, 200 rows to 200", transfer, 0.5, share=0.2, admits="by the smaller class, and a little wide"),
    Rule("CCS, sign told: AUROC", "200 pairs without truth", lambda rng: ccs(rng).ccs.auroc, 0.5, share=0.2, admits="by the smaller class, and a little wide"),
    Rule("CCS, sign told: accuracy", "200 pairs without truth", lambda rng: ccs(rng).ccs.accuracy, 0.5, share=0.05,
         admits="what another training half would give is not in it, so it is a little narrow"),
    Rule("First component of differences: AUROC", "200 pairs without truth", lambda rng: ccs(rng).pca.auroc, 0.5, share=0.05),
    Rule("CCS, sign-free: above 0.5", "200 pairs without truth", ccs_sign_free, share=0.2),
    Rule("CCS, random directions: p", "p <= .05, 200 pairs without truth", ccs_beside_directions, share=0.05),
    Rule("CCS, distractor: above 0.5", "400 pairs, a label that they do not carry", finds_the_distractor, share=0.05),
    Rule("CCS over supervised: accuracy", "400 pairs with truth", lambda rng: ccs_of_truth(rng).ratio, CCS_RATIO, share=0.05,
         admits="other training pairs would give other directions, which is not in the interval"),
    Rule("CCS over supervised: above chance", "400 pairs with truth", lambda rng: ccs_of_truth(rng).ratio_above_chance, CCS_RATIO_ABOVE_CHANCE, share=0.05,
         admits="other training pairs would give other directions, which is not in the interval"),
    Rule("Abstention: improvement", "300 rows, confidence of noise", lambda rng: declining(rng).improvement, 0.0),
    Rule("Abstention: AURC gain", "300 rows, confidence of noise", lambda rng: declining(rng).aurc_gain, 0.0, share=0.05,
         admits="a bootstrap of rows draws ties that the data do not have"),
    Rule("Abstention: p", "p <= .05, 300 rows, confidence of noise", lambda rng: declining(rng).improvement.p <= 0.05, share=0.3),
    Rule("Abstention: effective accuracy", "300 rows, confidence of noise", lambda rng: declining(rng).effective_accuracy, 0.6, share=0.3),
    Rule("Abstention by a probe, out of fold", "300 rows, features of noise", lambda rng: declining_by_probe(rng).improvement, 0.0, share=0.2,
         admits="twice the variance is an upper bound, so it is wide"),
    Rule("Abstention by a probe, out of fold: effective accuracy", "300 rows, features of noise",
         lambda rng: declining_by_probe(rng).effective_accuracy, 0.6, share=0.1,
         admits="twice the variance is an upper bound, so it is wide"),
    Rule("Abstention by group: improvement", "75 groups of 4", lambda rng: declining_by_group(rng).improvement, 0.0, share=0.2),
    Rule("Abstention by group: p", "p <= .05, 75 groups of 4", lambda rng: declining_by_group(rng).improvement.p <= 0.05, share=0.05),
    Rule("Abstention by group: effective accuracy", "75 groups of 4", lambda rng: declining_by_group(rng).effective_accuracy, RIGHT_BY_GROUP, share=0.05),
    Rule("Calibration error: excess above 0", "calibrated, n = 200", lambda rng: (calibrated(rng).excess > 0).outcome == "PASS", share=0.3),
    Rule("Calibration error: p", "p <= .05, calibrated, n = 200", lambda rng: calibrated(rng).p <= 0.05, share=0.3),
    Rule("Calibration error by group: excess above 0", "calibrated, 75 groups of 4",
         lambda rng: (calibrated_by_group(rng).excess > 0).outcome == "PASS", share=0.3),
    Rule("Calibration error by group: p", "p <= .05, calibrated, 75 groups of 4", lambda rng: calibrated_by_group(rng).p <= 0.05, share=0.3, more=4),
    Rule("Brier score", "calibrated, n = 200", lambda rng: calibrated(rng).brier, 1 / 6, share=0.3,
         admits="squared errors are skewed, which moves misses to one side at this n"),
)  # fmt: skip
