"""How large must an effect be to be found? The five hypotheses' own rules, on data with an effect of known size."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from lab.estimate import Bar, Verdict
from lab.studies.activations import patching, probing, similarity
from lab.studies.preferences import position_bias
from lab.studies.ratings import rating
from tests.calibration.simulate import seed_of


@dataclass(frozen=True)
class Curve:
    """Simulated experiments of one hypothesis. `draw` gives the verdicts that are asserted, in their order."""

    id: str
    effect: str
    sizes: Sequence[float]
    draw: Callable[[np.random.Generator, float], Sequence[Verdict]]
    setting: str
    share: float = 1.0


def outcome(verdicts: Sequence[Verdict]) -> str:
    """What a test with these assertions comes to: the first that is no PASS decides."""
    return next((v.outcome for v in verdicts if v.outcome != "PASS"), "PASS")


def run(curve: Curve, runs: int, *, seed: int = 0) -> list[dict[str, float]]:
    """For each size of the effect, the share of each outcome over `runs` experiments."""
    points = []
    for k, size in enumerate(curve.sizes):
        came_to = [outcome(curve.draw(np.random.default_rng([seed, k, i]), size)) for i in range(runs)]
        shares = {name: came_to.count(name) / runs for name in ("PASS", "INCONCLUSIVE", "FAIL")}
        points.append({"effect": size, **shares, "runs": runs})
    return points


def pm1(rng: np.random.Generator, strength: float) -> list[Verdict]:
    """Two models share 8 latent directions of 24; `strength` is the correlation of a dimension with its best map."""
    groups = np.repeat(np.arange(150), 4)
    latent = rng.normal(size=(600, 8))
    x = latent @ rng.normal(size=(8, 24)) / np.sqrt(8)
    y = strength * latent @ rng.normal(size=(8, 24)) / np.sqrt(8) + np.sqrt(1 - strength**2) * rng.normal(
        size=(600, 24)
    )
    x = strength * x + np.sqrt(1 - strength**2) * rng.normal(size=(600, 24))
    found = similarity.ridge_correlation(x, y, groups=groups, permutations=40, seed=seed_of(rng))
    return [found.r > Bar(passes=0.3, fails=0.1), found.excess > 0]


def pm2(rng: np.random.Generator, gap: float) -> list[Verdict]:
    """A quarter of answers is wrong; the classes lie `gap` standard deviations apart in one of 16 dimensions."""
    wrong = rng.random(800) < 0.25
    x = rng.normal(size=(800, 16))
    x[:, 0] += gap * wrong
    found = probing.logistic(x, wrong, shuffles=2, seed=seed_of(rng))
    return [found.auroc > 0.55]


def pm3(rng: np.random.Generator, rate: float) -> list[Verdict]:
    """The clean activation changes `rate` of 200 right answers, a random one 10 %."""
    base = np.arange(200)
    patched = np.where(rng.random(200) < rate, -1, base)
    random = np.where(rng.random(200) < 0.1, -2, base)
    found = patching.changes(
        base=list(base), clean=[-1] * 200, patched=list(patched), identity=list(base), random=list(random)
    )
    return [found.excess > Bar(passes=0.5, fails=0.2), found.rate > Bar(passes=0.5, fails=0.2)]


def no_position_bias(rng: np.random.Generator, b: float) -> list[Verdict]:
    """400 pairs, content of 1 logit, sampled five times in either order."""
    content = rng.normal(size=400)
    p = 1 / (1 + np.exp(-np.stack([b + content, b - content], axis=1)))
    found = position_bias.bias(rng.binomial(5, p) / 5, seed=seed_of(rng))
    return [found.bias.within(-0.25, 0.25)]


def no_self_rating_bias(rng: np.random.Generator, favour: float) -> list[Verdict]:
    """Five raters, 60 tasks, noise of 0.25 points; the first favours itself."""
    y = rng.normal(0, 0.5, (5, 1, 1)) + rng.normal(0, 0.5, (1, 5, 60)) + rng.normal(0, 0.25, (5, 5, 60))
    y[0, 0] += favour
    return [rating.self_bias(y, "a", "abcde").bias.within(-0.25, 0.25)]


CURVES = (
    Curve("PM1", "correlation of each side with what is shared", (0.0, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9), pm1,
          "600 texts in 150 groups, 24 dimensions", share=0.5),
    Curve("PM2", "distance of the classes (standard deviations)", (0.0, 0.2, 0.4, 0.6, 0.8, 1.0), pm2,
          "800 questions, a quarter wrong", share=0.5),
    Curve("PM3", "share of answers that the patch changes", (0.1, 0.3, 0.45, 0.55, 0.65, 0.75, 0.9), pm3,
          "200 prompts"),
    Curve("POSITION", "position bias b (logits)", (0.0, 0.1, 0.2, 0.25, 0.3, 0.5, 0.8), no_position_bias,
          "400 pairs, five samples in each order"),
    Curve("SELF", "self-rating bias (points)", (0.0, 0.1, 0.2, 0.25, 0.4, 0.6, 0.8), no_self_rating_bias,
          "5 raters, 60 tasks"),
)  # fmt: skip
