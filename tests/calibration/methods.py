"""Rules of `lab.methods`: probes, abstention, calibration, patching, position, ratings."""

from __future__ import annotations

import numpy as np

from lab.methods import abstention, patching, position, probing, rating, unsupervised
from lab.stats.calibration import ece
from tests.calibration.simulate import Rule


def seed_of(rng):
    return int(rng.integers(2**31))


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


def ridge(rng):
    return probing.ridge(*noise(rng), permutations=19, seed=seed_of(rng)).auroc


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
    says = rng.random(200) < 0.5
    found = unsupervised.ccs(
        yes, no, rng.random(200) < 0.5, model_says=says, restarts=3, directions=20, seed=seed_of(rng)
    )
    return found.ccs.auroc


def ccs_sign_free(rng):
    """The better of two signs is above 0.5 by construction; is it "found" above 0.5?"""
    yes, no = (rng.normal(size=(200, 8)) for _ in range(2))
    found = unsupervised.ccs(yes, no, rng.random(200) < 0.5, restarts=3, directions=20, seed=seed_of(rng))
    return (found.ccs.auroc_sign_free > 0.5).outcome == "PASS"


def declining(rng):
    """Confidence that says nothing of being right."""
    return abstention.abstain(rng.random(300), rng.random(300) < 0.6).improvement


def declining_by_probe(rng):
    """From features of noise to abstention: the half that a cross-validated probe ranks first."""
    features, right = noise(rng, base=0.6)
    scores = probing.ridge(features, right, permutations=19, seed=seed_of(rng)).scores
    said = (np.argsort(np.argsort(scores)) + 0.5) / 300
    return abstention.abstain(said, right, threshold=0.5, out_of_fold=True).improvement


def declining_by_group(rng):
    group = np.repeat(np.arange(75), 4)
    said = 1 / (1 + np.exp(-(rng.normal(size=75)[group] + 0.5 * rng.normal(size=300))))
    right = rng.normal(size=75)[group] + rng.normal(size=300) > -0.3
    return abstention.abstain(said, right, groups=group, seed=seed_of(rng)).improvement


def calibrated(rng):
    said = rng.random(200)
    return (ece(said, rng.random(200) < said, draws=300, seed=seed_of(rng)).excess > 0).outcome == "PASS"


def recovery(rng):
    """Half of the effect restored, on average, with logit differences of 4 +- 2."""
    whole, least = rng.normal(4, 2, 50), rng.normal(0, 1, 50)
    return patching.recovery(whole, least, (whole + least) / 2 + rng.normal(0, 1, 50))


def beyond_noise(rng):
    """The patch changes as many of 200 answers as the random one does."""
    base = list(range(200))
    patched, random = ([-1 if rng.random() < 0.3 else i for i in base] for _ in range(2))
    return patching.changes(base=base, clean=[-2] * 200, patched=patched, identity=base, random=random).excess


def asked(rng, b, n=400):
    content = rng.normal(size=n)
    p = 1 / (1 + np.exp(-np.stack([b + content, b - content], axis=1)))
    return (rng.random((n, 2)) < p).astype(float)


def fitted_position(rng):
    from scipy.stats import norm

    mu = rng.normal(0, 0.6, 20)
    pairs = np.array([(i, j) for i in range(20) for j in range(i)])
    gap = mu[pairs[:, 0]] - mu[pairs[:, 1]]
    chosen = rng.random((len(pairs), 2)) < norm.cdf(np.stack([gap, -gap], axis=1) - 0.5)
    return position.fit(pairs, chosen, items=20).intercept


def rated(rng, own=0.0, interaction=0.0, k=5):
    y = rng.normal(0, 0.5, (k, 1, 1)) + rng.normal(0, 0.5, (1, k, 60)) + rng.normal(0, interaction, (k, k, 1))
    return y + rng.normal(0, 0.7, (k, k, 60)) + own * np.eye(k)[:, :, None]


RULES = (
    Rule("Logistic probe: AUROC", "noise, 300 rows, base rate 25 %", logistic, 0.5, share=0.15),
    Rule("Logistic probe by group: AUROC", "noise, 75 groups of 4", logistic_by_group, 0.5, share=0.15),
    Rule("Logistic probe: balanced accuracy", "noise, 200 rows, base rate 25 %", logistic_balanced, 0.5, share=0.15,
         admits="twice the variance is an upper bound, so it is wide"),
    Rule("Ridge probe: AUROC", "noise, 300 rows, base rate 25 %", ridge, 0.5, share=0.2),
    Rule("Ridge probe: permutation p", "noise, 200 rows", ridge_p, share=0.1),
    Rule("Selectivity", "60 types of 3, labels random by type", selective, 0.0, share=0.1,
         admits="twice the variance is an upper bound, so it is wide"),
    Rule("Transfer of a probe: AUROC", "noise, 200 rows to 200", transfer, 0.5, share=0.1, admits="by the smaller class, and a little wide"),
    Rule("CCS, sign told: AUROC", "200 pairs without truth", ccs, 0.5, share=0.1, admits="by the smaller class, and a little wide"),
    Rule("CCS, sign-free: above 0.5", "200 pairs without truth", ccs_sign_free, share=0.1),
    Rule("Abstention: improvement", "300 rows, confidence of noise", declining, 0.0),
    Rule("Abstention by a probe, out of fold", "300 rows, features of noise", declining_by_probe, 0.0, share=0.2,
         admits="twice the variance is an upper bound, so it is wide"),
    Rule("Abstention by group: improvement", "75 groups of 4", declining_by_group, 0.0, share=0.15),
    Rule("Calibration error: excess above 0", "calibrated, n = 200", calibrated, share=0.3),
    Rule("Recovery by a patch", "50 prompts, truth 0.5", recovery, 0.5),
    Rule("Changes beyond a random patch", "200 prompts, 30 % each", beyond_noise, 0.0, share=0.5),
    Rule("Position bias b", "400 pairs sampled, b = 0", lambda rng: position.bias(asked(rng, 0.0), seed=seed_of(rng)).bias, 0.0, share=0.1),
    Rule("Position bias b, at the bound", "400 pairs sampled, b = 0.25", lambda rng: position.bias(asked(rng, 0.25), seed=seed_of(rng)).bias, 0.25, share=0.1),
    Rule("Position term of the fit", "190 pairs of 20 items, -0.5", fitted_position, -0.5, share=0.2, admits="20 blocks are few, so it is wide"),
    Rule("Self-rating bias, this model", "5 raters, 60 tasks, at 0.25", lambda rng: rating.self_bias(rated(rng) + 0.25 * np.eye(5)[:, :, None] * (np.arange(5) == 0)[:, None, None], "a", "abcde").bias, 0.25),
    Rule("Self-preference, models in general", "5 raters, interaction 0.2", lambda rng: rating.self_preference(rated(rng, interaction=0.2)).in_general, 0.0),
)  # fmt: skip
