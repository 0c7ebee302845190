"""Rules of `lab.studies` on what moves ratings: system prompts, steering, and whether two models are consistent alike."""

from __future__ import annotations

import numpy as np
from scipy.special import ndtr

from lab.stats.means import ratio
from lab.studies.ratings import attitudes, concepts, systems, task_consistency
from tests.calibration.simulate import Rule


def two_effects(rng, second, n=40):
    """Two effects on the same tasks: 0.5 points and `second`, each +- 0.4 from task to task, correlated 0.4."""
    common = rng.normal(size=n)
    noise = [0.4 * (np.sqrt(0.4) * common + np.sqrt(0.6) * rng.normal(size=n)) for _ in range(2)]
    return 0.5 + noise[0], second + noise[1]


def asymmetric(rng, second):
    return systems.larger(*two_effects(rng, second))


def times(rng):
    """How often the one is as large as the other, as a 3 x 3 design tells it: each turned by its own mean."""
    return ratio(*(np.sign(x.mean()) * x for x in two_effects(rng, -0.25)))


def farthest(rng):
    """Whether ten prompts are found to move ratings by less than 0.15, where two of them do by just as much."""
    means = np.array([0.15, -0.15, *[0.0] * 8])
    common = rng.normal(size=(16, 1))
    deltas = means + 0.15 * (np.sqrt(0.3) * common + np.sqrt(0.7) * rng.normal(size=(16, 10)))
    tasks = tuple(map(str, range(16)))
    nothing = np.zeros(16)
    shifts = {i: systems.Shift(tasks, tasks, d, nothing, nothing, nothing, 0) for i, d in enumerate(deltas.T)}
    return systems.farthest(shifts)[1].within(-0.15, 0.15).outcome == "PASS"


def steered(rng, own, randoms, n=30):
    """Scores at two coefficients along a direction, and along random ones, whose effects are 0 +- 0.3 points each.

    The direction has `own` points more than it would have as one of those.
    """
    moved = rng.normal(0, 0.3, randoms + 1)
    moved[0] += own
    ends = np.stack([np.zeros((randoms + 1, n)), moved[:, None] + rng.normal(0, 0.2, (randoms + 1, n))], axis=1)
    return concepts.effect(ends[0, 0], ends[0, 1], ends[1:])


def said(rng):
    """20 questions under 4 seeds, at either end, where the attitude moves by 0.3; a fifth of the answers is nonsense."""
    question = rng.normal(0, 0.2, (20, 1))

    def judged(mean, spread):
        attitude = np.clip(mean + spread * question + rng.normal(0, 0.2, (20, 4)), -1, 1)
        return attitudes.Attitudes(attitude, np.where(rng.random((20, 4)) < 0.2, 0.1, 0.9), 0.5)

    noise = [(judged(0.0, 1.0), judged(0.0, 1.0)) for _ in range(2)]
    return attitudes.shift(judged(-0.15, 1.0), judged(0.15, 1.4), noise).effect.change


def consistent(rng, n=150):
    """Consistencies of two models on the same tasks: skewed, most of them high, of normals that correlate 0.5."""
    common = rng.normal(size=n)
    one, other = (1 - 0.8 * ndtr(np.sqrt(0.5) * (common + rng.normal(size=n))) ** 2 for _ in range(2))
    names = [str(i) for i in range(n)]
    models = {name: _scored(name, names, x) for name, x in (("one", one), ("other", other))}
    return task_consistency.between(models).pearson


def _scored(rater, tasks, scores):
    every = np.full((len(tasks), 1, 2), 0.5)
    return task_consistency.TaskConsistency(
        rater, tuple(tasks), tuple(tasks), ("t",), None, scores, scores, scores, scores, every, every
    )


CONSISTENT = 0.4650
"""Of the correlation of 40 million such tasks."""

RULES = (
    Rule("Effects by size, difference", "40 tasks, 0.5 and -0.3", lambda rng: asymmetric(rng, -0.3), 0.2),
    Rule("Effects by size, difference: one is 0", "40 tasks, 0.5 and 0", lambda rng: asymmetric(rng, 0.0), 0.5,
         admits="an effect near 0 is turned by its noise and looks larger than it is, so PASS is rarer than it might be"),
    Rule("Effects by size, ratio", "40 tasks, 0.5 and -0.25", times, 2.0),
    Rule("Farthest of ten prompts: within bounds", "16 tasks, two at the bounds", farthest, share=0.5),
    Rule("Steering, against 2 random directions", "30 units, effects 0 +- 0.3, of the direction 0.5", lambda rng: steered(rng, 0.5, 2).excess, 0.5),
    Rule("Steering, against 4 random directions", "30 units, the direction is one more of them", lambda rng: steered(rng, 0.0, 4).excess, 0.0),
    Rule("Steering, change of attitude", "20 questions, 4 seeds, 0.3; a fifth left out", said, 0.3),
    Rule("Consistencies of two models", "150 tasks, skewed, r = 0.465", consistent, CONSISTENT,
         admits="Fisher's interval takes the scores to be normal, and they are skewed"),
)  # fmt: skip
