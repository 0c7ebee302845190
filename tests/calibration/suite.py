"""Rules of `hypotheses/` at the sizes that they use, with the bar exactly on the truth."""

from __future__ import annotations

import numpy as np
from scipy.special import expit

from lab.studies.activations import patching, similarity
from lab.studies.preferences import position_bias
from lab.studies.ratings import rating
from tests.calibration.simulate import Rule, seed_of

PATIENTS, FORMS, DIMENSIONS = 1200, 4, 8
"""A question of each of four forms on every patient; activations of fewer dimensions than a model's, for speed."""
MAPS = np.random.default_rng(11).normal(size=(2, 6, DIMENSIONS)) / 6**0.5


def two_models(rng):
    """Two models that share 6 directions; half of all variance is the patient's."""
    patient = np.repeat(np.arange(PATIENTS), FORMS)

    def drawn(width):
        return np.sqrt(0.5) * (rng.normal(size=(PATIENTS, width))[patient] + rng.normal(size=(patient.size, width)))

    shared = drawn(6)
    x, y = (0.7 * shared @ MAPS[side] + drawn(DIMENSIONS) for side in (0, 1))
    return x, y, patient


def pm1(rng):
    x, y, patient = two_models(rng)
    form = np.tile(np.arange(FORMS), PATIENTS)
    found = similarity.ridge_correlation(x, y, groups=patient, within=form, permutations=19, seed=seed_of(rng))
    return found.score


PM1_TRUTH = 0.2971
"""The mean, to .0001, over 790 pairs of maps taught on 3,840 such texts; of maps that know it all it is 0.3021."""


def pm3(rng):
    """200 prompts, 80 % of them rightly answered; the clean activation changes 72.5 %, a random one 10 %."""
    base = np.arange(200)
    patched, random = (np.where(rng.random(200) < rate, -1, base).tolist() for rate in (0.725, 0.1))
    return patching.changes(
        base=base.tolist(),
        clean=[-1] * 200,
        patched=patched,
        identity=base.tolist(),
        random=random,
        answered=rng.random(200) < 0.8,
    )


def preferred(rng):
    """400 pairs with exact probabilities, which are off by 0.5 logits in every prompt: content 1, b 0.25."""
    content = rng.normal(size=400)
    p = expit(0.25 + np.stack([content, -content], axis=1) + rng.normal(0, 0.5, (400, 2)))
    return position_bias.bias(p, seed=seed_of(rng)).bias


def truth_of_b():
    """b of infinitely many such pairs: what is off in a prompt makes it a little smaller than 0.25."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(60)
    weights = weights / weights.sum()

    def first(content):
        """The mean probability of the first-named at each content."""
        return expit(0.25 + content[:, None] + 0.5 * nodes) @ weights

    there, back = first(nodes), first(-nodes)
    return float(0.5 * np.log((weights @ (there * back)) / (weights @ ((1 - there) * (1 - back)))))


def panel_of_three(rng):
    """Three raters, 60 tasks of three works; each rates tasks and works in its own way. The first favours itself."""
    works = rng.normal(0, 0.5, (1, 3, 60, 3)) + rng.normal(0, 0.3, (3, 3, 60, 3)) + rng.normal(0, 0.5, (3, 1, 60, 1))
    works[0, 0] += 0.25
    return rating.self_bias(works.mean(3), "a", "abc").bias


RULES = (
    Rule("PM1: mean r", "4,800 texts of 1,200 patients, 8 dimensions, r = 0.30", pm1, PM1_TRUTH, share=0.05),
    Rule("PM3: right answers changed beyond a random patch", "200 prompts, truth 0.5", lambda rng: pm3(rng).excess, 0.5, share=0.5),
    Rule("PM3: change rate", "200 prompts, truth 0.725", lambda rng: pm3(rng).rate, 0.725, share=0.5),
    Rule("POSITION: b", "400 pairs, probabilities, at 0.25", preferred, truth_of_b(), share=0.1),
    Rule("SELF: bias", "3 raters, 60 tasks of 3 works, at 0.25", panel_of_three, 0.25,
         admits="holds the bias of raters that spread up to 1.5 times as far as others, so it is wide"),
)  # fmt: skip
