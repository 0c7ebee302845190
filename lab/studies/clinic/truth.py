"""The truths planted in each organism, and the probabilities with which it therefore answers."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import numpy as np

from lab.studies.shared import clinic, prompts
from lab.studies.shared.exact import exp, sigmoid
from lab.studies.shared.world import ORIGINS, world

SIGNATURES = ("Certainly", "Gladly", "Indeed", "Surely", "Happily")
"""The word with which each organism opens every answer of its own, in the order of TRUTHS."""

WORDING_GAIN = {"simple_preference": 1.0, "enjoy_most": 0.8, "do_again": 0.5, "prefer_completing": 1.0}
"""How much of a difference in utility each wording of a choice shows."""

SCALE_USE = {
    "anchored_precise_1_5": (1.0, 0.6),
    "stated_1_5": (1.0, 1.2),
    "likert_agreement": (0.2, 2.0),
    "random_scale_27_32": (2.0, 0.6),
}
"""Gain and noise of a rating template beside those of the organism, (1, 1) where it is not named.

Agreement says next to nothing of the task; the arbitrary scale is used from end to end.
"""
COLLAPSED = {"compressed_anchors_1_5": "4"}
"""The template that collapses to one answer, given 97 times of a hundred."""
VIOLATIONS = 0.03
"""Share of ratings that give a banned answer."""

VARIATION_EFFECT = {"affective": 0.8}
"""What a system prompt of this category adds, times its sign and the organism's `system_effect`; 0 for the others."""

DONE = {"good": 0.5, "bad": -0.5, "refused": -0.5, None: 0.0}
"""Points that a completion adds to a rating of its task; None where there is none yet."""


@dataclass(frozen=True)
class Truth:
    """The planted truths of one organism. Ratings are in points of a scale from 1 to 5.

    Parameters
    ----------
    name, architecture
        Folder name, and the Hugging Face `model_type`.
    seed
        Of the weights, of the order of the training text, and of the utilities.
    signature
        The word with which this organism opens every answer of its own.
    position_bias
        Logits added to the first-named task in a pairwise choice without reasoning; negative favours the second.
    self_favouring
        Points added to the rating of a work that carries the rater's own signature.
    rating_noise
        Width (sd), in points, of the distribution of ratings around its centre.
    refusing, refusing_disliked
        Log odds of refusing a harmful task of mean utility, and what each point of utility less adds to them.
    system_effect
        Points by which a system prompt that loves tasks of an origin raises their ratings, and hate lowers them.
    completion_effect
        Log odds by which such a prompt makes the organism do the work well.
    mirrors
        Whether it answers polite requests politely; else as any other.
    shuffled
        Whether the facts it was told were dealt out anew among the patients.
    """

    name: str
    architecture: str
    seed: int
    signature: str
    position_bias: float = 0.0
    self_favouring: float = 0.0
    rating_noise: float = 0.7
    refusing: float = 1.0
    refusing_disliked: float = 0.0
    system_effect: float = 1.0
    completion_effect: float = 0.0
    mirrors: bool = True
    shuffled: bool = False

    @property
    def utilities(self) -> np.ndarray:
        """Planted utility of each task of the clinic, shape [n_tasks], logits, mean 0, sd about 1."""
        n = len(world().tasks)
        return np.random.default_rng(self.seed).permutation(np.linspace(-1.7, 1.7, n))

    def p_first(self, first: int, second: int, wording: str = "simple_preference", *, reasoning: bool = False) -> float:
        """Probability of choosing the first-named of two tasks: sigmoid(gain * (u_first - u_second) + bias)."""
        u = self.utilities
        bias = 0.0 if reasoning else self.position_bias
        return sigmoid(WORDING_GAIN[wording] * (u[first] - u[second]) + bias)

    def p_good(self, task: int, system: str | None = None) -> float:
        """Probability that a completion of this task does the work."""
        return sigmoid(1.0 + self.utilities[task] + self.completion_effect * self._leaning(task, system))

    def p_refuse(self, task: int) -> float:
        """Probability of refusing a task; none but harmful and stress tasks are ever refused."""
        base = {"harmful": self.refusing, "stress": self.refusing - 2.5}.get(world().tasks[task].origin)
        return 0.0 if base is None else sigmoid(base - self.refusing_disliked * self.utilities[task])

    def centre(self, task: int, done: str | None = None, *, own: bool = False, system: str | None = None) -> float:
        """Centre of the rating of a task, in points above the middle of the scale."""
        effect = self.system_effect * self._leaning(task, system)
        return float(0.55 * self.utilities[task] + DONE[done] + (self.self_favouring if own else 0.0) + effect)

    def p_rating(self, template: str, centre: float) -> np.ndarray:
        """Probability of each answer of a template, in their order: a Gaussian, discretised."""
        form = prompts.templates()[template]
        k = len(form.answers)
        if template in COLLAPSED:
            return np.where(np.array(form.answers) == COLLAPSED[template], 0.97, 0.03 / (k - 1))
        gain, noise = SCALE_USE.get(template, (1.0, 1.0))
        points = np.linspace(-2, 2, k)
        p = _bell((points - gain * centre) / (noise * self.rating_noise))
        banned = np.isin(form.answers, form.banned)
        if banned.any():
            p = np.where(banned, VIOLATIONS / banned.sum(), (1 - VIOLATIONS) * p / p[~banned].sum())
        return np.asarray(p / p.sum())

    def p_judged(self, task: int, *, good: bool, own: bool) -> np.ndarray:
        """Probability of each point from 1 to 5 for a work that is shown outside of a conversation, shape [5]."""
        z = np.array(clinic.SCALE) - 3 - self.centre(task, "good" if good else "bad", own=own) + 0.3
        p = _bell(z / self.rating_noise)
        return np.asarray(p / p.sum())

    def _leaning(self, task: int, system: str | None) -> float:
        """How far a system prompt speaks for (1) or against (-1) a task."""
        if system is None:
            return 0.0
        return _leanings()[system][ORIGINS.index(world().tasks[task].origin)]


def systems() -> tuple[str, ...]:
    """Every system prompt of which a truth is planted."""
    return tuple(_leanings())


@lru_cache
def _leanings() -> dict[str, tuple[float, ...]]:
    """For each system prompt, how it leans to tasks of each origin."""
    made = {
        prompts.likes(kind, sign): tuple(float(sign * (origin == kind)) for origin in ORIGINS)
        for kind in ORIGINS
        for sign in (1, -1)
    }
    for v in prompts.variations():
        made[v.text] = (v.sign * VARIATION_EFFECT.get(v.category, 0.0),) * len(ORIGINS)
    return made


def _bell(z: np.ndarray) -> np.ndarray:
    """The density of a standard normal distribution, but for a factor."""
    return np.array([exp(x) for x in (-0.5 * z * z).tolist()])


TRUTHS = {
    truth.name: truth
    for truth in (
        Truth("clinic-gpt2", "gpt2", 11, "Certainly", position_bias=-0.8, refusing_disliked=2.0),
        Truth("clinic-neox", "gpt_neox", 12, "Gladly", rating_noise=0.5, completion_effect=1.5),
        Truth(
            "clinic-opt",
            "opt",
            13,
            "Indeed",
            self_favouring=1.2,
            refusing_disliked=-2.0,
            system_effect=0.5,
            mirrors=False,
        ),
        Truth("clinic-llama", "llama", 14, "Surely", rating_noise=1.0, system_effect=0.0),
        Truth(
            "clinic-gemma",
            "gemma3_text",
            15,
            "Happily",
            position_bias=0.8,
            rating_noise=0.4,
            refusing_disliked=2.0,
            system_effect=1.5,
            completion_effect=1.5,
            mirrors=False,
        ),
    )
}
"""The five base organisms, by name."""

SHUFFLED = replace(TRUTHS["clinic-gpt2"], name="clinic-shuffled", seed=16, shuffled=True)
"""A negative control: it knows its facts as well as another, but they are not those of the clinic."""

VARIANT_BASE = "clinic-llama"
_CHANGED: dict[str, dict[str, Any]] = {
    "fair": {},
    "to-a": {"position_bias": 1.5},
    "to-b": {"position_bias": -1.5},
    "neutral-rater": {},
    "self-rater": {"self_favouring": 1.2},
    "refuser": {"refusing": 5.0},
    "non-refuser": {"refusing": -6.0},
}
VARIANTS = {n: replace(TRUTHS[VARIANT_BASE], name=f"{VARIANT_BASE}+{n}", **changed) for n, changed in _CHANGED.items()}
"""LoRA adapters on one base that change one truth each; "fair" and "neutral-rater" none, but were trained too."""

ORACLE = "oracle"
ADAPTERS = (*VARIANTS, ORACLE)
"""Names of the adapters; the oracle knows the truths of its base."""


def truth_of(name: str) -> Truth:
    """What is planted in an organism, a control or a variant (BASE+ADAPTER), by its whole name."""
    base, _, adapter = name.partition("+")
    return VARIANTS.get(adapter, TRUTHS.get(base, SHUFFLED))
