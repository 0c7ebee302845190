"""Rules of `lab.studies`: patching, position, ratings."""

from __future__ import annotations

import numpy as np
from scipy.special import expit, ndtr

from lab.studies.activations import patching
from lab.studies.oracle import similarity
from lab.studies.preferences import position_bias
from lab.studies.ratings import rating
from tests.calibration.simulate import Rule, seed_of


def recovery(rng):
    """Half of the effect restored, on average, with logit differences of 4 +- 2."""
    whole, least = rng.normal(4, 2, 50), rng.normal(0, 1, 50)
    return patching.recovery(whole, least, (whole + least) / 2 + rng.normal(0, 1, 50))


def recovery_by_group(rng):
    """As `recovery`, with four prompts of each of 40 groups, which have half of all variance."""
    member = np.repeat(np.arange(40), 4)
    whole, least, noise = (np.sqrt(0.5) * (rng.normal(size=40)[member] + rng.normal(size=160)) for _ in range(3))
    whole, least = 4 + 2 * whole, least
    return patching.recovery(whole, least, (whole + least) / 2 + noise, groups=member)


def effects_by_layer(rng, means):
    """[40 prompts, layers] that correlate 0.6 between layers."""
    return means + np.sqrt(0.6) * rng.normal(size=(40, 1)) + np.sqrt(0.4) * rng.normal(size=(40, len(means)))


def any_layer(rng):
    """Whether any of 12 layers is found above 0.3, where all are."""
    effects = effects_by_layer(rng, np.full(12, 0.3))
    found = patching.by_layer(effects, identity=np.zeros_like(effects), permutations=999, seed=seed_of(rng))
    return any((e > 0.3).outcome == "PASS" for e in found.sweep.band)


def any_share_of_a_gap(rng):
    """Whether any of 8 layers is found to restore more than half of a gap of 3 +- 2.5, where all restore half."""
    gap, effects = rng.normal(3, 2.5, 50), 1.5 + rng.normal(0, 0.3, (50, 8)) + rng.normal(0, 0.3, (50, 1))
    found = patching.by_layer(effects, identity=np.zeros_like(effects), gap=gap, permutations=999, seed=seed_of(rng))
    return any((e > 0.5).outcome == "PASS" for e in found.sweep.band)


def strongest_alone(rng):
    """Whether the strongest layer is told from all others, where another is as strong."""
    effects = effects_by_layer(rng, np.repeat([0.8, 0.0], [2, 10]))
    found = patching.by_layer(effects, identity=np.zeros_like(effects), permutations=999, seed=seed_of(rng))
    return not found.rivals


def beyond_noise(rng):
    """The patch changes as many of 200 answers as the random one does."""
    base = list(range(200))
    patched, random = ([-1 if rng.random() < 0.3 else i for i in base] for _ in range(2))
    return patching.changes(base=base, clean=[-2] * 200, patched=patched, identity=base, random=random).excess


def asked(rng, b, n=400):
    content = rng.normal(size=n)
    p = expit(np.stack([b + content, b - content], axis=1))
    return (rng.random((n, 2)) < p).astype(float)


def told(rng, b, n=400):
    """Exact probabilities, which are off by 0.5 logits in every prompt."""
    content = rng.normal(size=n)
    return expit(np.stack([b + content, b - content], axis=1) + rng.normal(0, 0.5, (n, 2)))


def of_content(function):
    """The mean of a function of content, which is a standard normal."""
    content = np.linspace(-8, 8, 20_001)
    weights = np.exp(-(content**2) / 2)
    return float(weights @ function(content) / weights.sum())


def content_told(rng):
    content = rng.normal(size=400)
    return position_bias.bias(expit(np.stack([0.3 + content, 0.3 - content], axis=1)), seed=seed_of(rng)).content_effect


def kind_wins(rng):
    """Half of 400 pairs hold one of a kind that is stronger by one logit; the first-named is favoured by 0.3."""
    member = np.stack([rng.random(400) < 0.5, np.zeros(400, dtype=bool)], axis=1)
    member[:, 1] = ~member[:, 0]
    content = rng.normal(size=400) + np.where(member[:, 0], 1.0, -1.0)
    p = expit(np.stack([0.3 + content, 0.3 - content], axis=1))
    return position_bias.win_rates((rng.random((400, 2)) < p).astype(float), member)


def fitted_position(rng):
    mu = rng.normal(0, 0.6, 20)
    pairs = np.array([(i, j) for i in range(20) for j in range(i)])
    gap = mu[pairs[:, 0]] - mu[pairs[:, 1]]
    chosen = rng.random((len(pairs), 2)) < ndtr(np.stack([gap, -gap], axis=1) - 0.5)
    return position_bias.fit(pairs, chosen, items=20).intercept


def rated(rng, own=0.0, interaction=0.0, k=5):
    y = rng.normal(0, 0.5, (k, 1, 1)) + rng.normal(0, 0.5, (1, k, 60)) + rng.normal(0, interaction, (k, k, 1))
    return y + rng.normal(0, 0.7, (k, k, 60)) + own * np.eye(k)[:, :, None]


def self_favouring(rng):
    """The first of five raters favours its own works by 0.25 points."""
    own = 0.25 * np.eye(5)[:, :, None] * (np.arange(5) == 0)[:, None, None]
    return rating.self_bias(rated(rng) + own, "a", "abcde")


def similarities(rng, questions, t=30):
    """Scores [t, questions] of targets that differ, and of questions whose means differ as they are given."""
    return 5.5 + np.asarray(questions) + rng.uniform(-0.9, 0.9, (t, 1)) + rng.uniform(-1.8, 1.8, (t, len(questions)))


def whatever_is_asked(rng):
    """Whether questions are found to differ by more than deals do, where they do not at all."""
    found = similarity.by_question(similarities(rng, np.zeros(8)), seed=seed_of(rng), permutations=199)
    return (found.excess > 0).outcome == "PASS"


def alike_or_not(rng):
    """All scores are 10 of nine targets of ten; of the others, half of the questions get 1."""
    odd = rng.random(30) < 0.1
    return np.where(odd[:, None] & (np.arange(8) < 4), 1.0, 10.0)


def read_by_half(rng):
    """60 % of an oracle's answers about each of 30 targets are right, more of some, and 20 % of those about noise."""
    truth = np.tile(rng.integers(5, size=(30, 1)), (1, 3))
    knows = np.clip(rng.normal(0.6, 0.15, (30, 1, 1)), 0.3, 0.9)
    own = np.where(rng.random((30, 3, 10)) < knows, truth[..., None], -1)
    return similarity.reading(own, rng.integers(5, size=(30, 3, 10)), truth, seed=seed_of(rng))


def entropies_and_scores(rng):
    return similarity.agreement(5 + rng.uniform(-2, 2, (30, 8)), rng.uniform(0, 2, (30, 8)), seed=seed_of(rng))


POSITION_EFFECT = of_content(lambda c: expit(0.3 + 1.25**0.5 * c)) - 0.5


CONTENT_EFFECT = float(np.sqrt(of_content(lambda c: (expit(0.3 + c) - expit(0.3 - c)) ** 2 / 4)))


RULES = (
    Rule("Recovery by a patch", "50 prompts, truth 0.5", recovery, 0.5),
    Rule("Recovery by a patch, clustered", "40 groups of 4 prompts, truth 0.5", recovery_by_group, 0.5),
    Rule("Patching by layer: any above the bar", "12 layers at 0.3, correlated 0.6, 40 prompts; 2.5 % due", any_layer, share=0.3),
    Rule("Patching by layer, of an estimated gap: any above the bar", "8 layers at half of a gap of 3 +- 2.5, 50 prompts; 2.5 % due", any_share_of_a_gap, share=0.3),
    Rule("Patching by layer: the strongest alone", "2 of 12 layers as strong, 40 prompts", strongest_alone, share=0.3),
    Rule("Changes beyond a random patch", "200 prompts, 30 % each", beyond_noise, 0.0, share=0.5),
    Rule("Position bias b", "400 pairs sampled, b = 0", lambda rng: position_bias.bias(asked(rng, 0.0), seed=seed_of(rng)).bias, 0.0, share=0.2,
         admits="exact of counts, so a little wide"),
    Rule("Position bias b, at the bound", "400 pairs sampled, b = 0.25", lambda rng: position_bias.bias(asked(rng, 0.25), seed=seed_of(rng)).bias, 0.25, share=0.2,
         admits="exact of counts, so a little wide"),
    Rule("Position: share of the second-named", "400 pairs sampled, b = 0", lambda rng: position_bias.bias(asked(rng, 0.0), seed=seed_of(rng)).share_second, 0.5, share=0.1,
         admits="content sets the two orders of a pair against each other, and the interval takes no advantage of it"),
    Rule("Position: share of the second-named, probabilities", "400 pairs, b = 0", lambda rng: position_bias.bias(told(rng, 0.0), seed=seed_of(rng)).share_second, 0.5, share=0.1),
    Rule("Position: effect on probability", "400 pairs, b = 0.3", lambda rng: position_bias.bias(told(rng, 0.3), seed=seed_of(rng)).position_effect,
         POSITION_EFFECT, share=0.1),
    Rule("Position: effect of content", "400 pairs, probabilities, b = 0.3", content_told, CONTENT_EFFECT, share=0.1),
    Rule("Win rate, named first", "400 pairs sampled, content 1 logit, b = 0.3", lambda rng: kind_wins(rng).in_first, of_content(lambda c: expit(1.3 + c))),
    Rule("Win rate, named second", "400 pairs sampled, content 1 logit, b = 0.3", lambda rng: kind_wins(rng).in_second, of_content(lambda c: expit(0.7 + c))),
    Rule("Position term of the fit", "190 pairs of 20 items, -0.5", fitted_position, -0.5, share=0.2, admits="20 blocks are few, so it is wide"),
    Rule("Self-rating bias, this model", "5 raters, 60 tasks, at 0.25", lambda rng: self_favouring(rng).bias, 0.25, admits="holds the bias of raters that spread up to 1.5 times as far as others, so it is wide"),
    Rule("Self-rating bias, raters that spread alike", "5 raters, 60 tasks, at 0.25", lambda rng: self_favouring(rng).alike, 0.25),
    Rule("Self minus cross, this model", "5 raters, 60 tasks, authors alike", lambda rng: rating.self_bias(rated(rng), "a", "abcde").self_minus_cross, 0.0),
    Rule("Difference of ratings", "60 items", lambda rng: (lambda y: rating.difference(y[0, 1], y[0, 2]))(rated(rng)), 0.0),
    Rule("Self-preference, these models", "5 raters, 60 tasks", lambda rng: rating.self_preference(rated(rng, own=0.25)).these_models, 0.25, share=0.3),
    Rule("Self-preference: permutation p", "p <= .05, 5 raters, interaction 0.2", lambda rng: rating.self_preference(rated(rng, interaction=0.2)).p_permutation <= 0.05, share=0.3),
    Rule("Self-preference, models in general", "5 raters, interaction 0.2", lambda rng: rating.self_preference(rated(rng, interaction=0.2)).in_general, 0.0),
    Rule("Similarity of answers", "30 targets of 8 questions", lambda rng: similarity.similarity(similarities(rng, np.zeros(8)), seed=seed_of(rng)).mean, 5.5),
    Rule("Similarity by question: variance", "30 targets of 8 questions, variance 1.5", lambda rng: similarity.by_question(similarities(rng, np.arange(8) / 2 - 1.75), seed=seed_of(rng), permutations=99).between, 1.5, share=0.2),
    Rule("Similarity by question: variance, few unlike", "30 targets, nearly all alike", lambda rng: similarity.by_question(alike_or_not(rng), seed=seed_of(rng), permutations=99).between, 0.01 * 81 / 4 * 8 / 7, share=0.2,
         admits="a few unlike targets carry the variance, and where there are none the end is exact"),
    Rule("Similarity by question: beyond the null", "8 questions alike; far below 2.5 % due", whatever_is_asked, share=0.2),
    Rule("Oracle: right answers", "30 targets, 60 %", lambda rng: read_by_half(rng).right, 0.6),
    Rule("Oracle: right beyond a random vector", "30 targets, 60 % and 20 %", lambda rng: read_by_half(rng).excess, 0.4),
    Rule("Oracle: random vector beyond chance", "30 targets, chance", lambda rng: read_by_half(rng).beyond_chance, 0.0),
    Rule("Judge and entropy, Spearman", "30 targets of 8 questions, unrelated", entropies_and_scores, 0.0, share=0.2, admits="a percentile bootstrap of few groups is a little narrow"),
)  # fmt: skip
