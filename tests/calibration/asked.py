"""Rules of `lab.studies.ratings.stability` and `lab.studies.ratings.discrimination`: seeds and templates, compared task by task."""

from __future__ import annotations

import numpy as np

from lab.studies.ratings import discrimination, stability
from tests.calibration.simulate import Rule, seed_of

FIRST, SECOND = np.array([0.1, 0.2, 0.4, 0.3]), np.array([0.05, 0.1, 0.2, 0.25, 0.25, 0.15])
"""What two models of a scale of 4 and one of 6 points give, over all tasks."""


def _kl(p):
    return float(np.log(p.size) + (p * np.log(p)).sum())


KL_OF_FIRST = _kl(FIRST)
KL_APART = _kl(FIRST) / np.log(4) - _kl(SECOND) / np.log(6)


def of_tasks(rng, p, n=100):
    """[n, K] exact distributions of n tasks whose mean over all tasks is p."""
    return rng.dirichlet(6 * p, n)


def used(rng):
    return discrimination.divergence(of_tasks(rng, FIRST), seed=seed_of(rng))


def used_apart(rng):
    return discrimination.divergence_difference(of_tasks(rng, FIRST), of_tasks(rng, SECOND), seed=seed_of(rng))


def reliabilities_apart(rng):
    """Two templates of four seeds each, both with an ICC of 0.5, whose tasks correlate 0.5."""
    common = rng.normal(size=(100, 1))
    tasks = [np.sqrt(0.5) * common + np.sqrt(0.5) * rng.normal(size=(100, 1)) for _ in range(2)]
    first, second = (own + rng.normal(size=(100, 4)) for own in tasks)
    return discrimination.icc_difference(first, second, seed=seed_of(rng))


def stated_and_chosen(rng):
    """Four seeds of two measures of 100 tasks that correlate 0.5."""
    common = rng.normal(size=(100, 1))
    return stability.matched(*(common + rng.normal(size=(100, 4)) for _ in range(2)), seed=seed_of(rng)).mean


RULES = (
    Rule("KL of pooled answers", "100 tasks, 4 points", used, KL_OF_FIRST, share=0.15),
    Rule("KL of pooled answers, paired difference", "100 tasks, 4 and 6 points", used_apart, KL_APART, share=0.15),
    Rule("ICC(2,1), paired difference", "100 tasks, 2 x 4 seeds, both 0.5", reliabilities_apart, 0.0, share=0.15),
    Rule("Mean correlation, seed by seed", "100 tasks, 4 seeds, r = 0.5", stated_and_chosen, 0.5, share=0.15),
)  # fmt: skip
