"""Results of the pages of this study, one a page, each with the rows, summary and plots that are kept of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike

from lab.estimate import Estimate
from lab.record.kept import Kept
from lab.studies.preferences import position_bias, refusals, regularisation, wordings
from lab.studies.preferences import utilities as fits
from lab.studies.preferences.comparisons import of_orders
from lab.studies.preferences.pair_choices import Choices
from lab.studies.preferences.position_bias import Classes, Contrast, PositionBias
from lab.studies.preferences.transitivity import Transitivity, transitivity
from lab.studies.preferences.utilities import Utilities


def _bias(choices: Choices, seed: int) -> PositionBias:
    return position_bias.bias(choices.p_first, answers=choices.answers, seed=seed)


@dataclass(frozen=True)
class ByPlace:
    """Position bias of choices, what swapping does to pairs, and the position term of a fit."""

    choices: Choices
    bias: PositionBias
    classes: Classes
    fitted: Estimate

    def kept(self) -> Kept:
        choices, bias, classes = self.choices, self.bias, self.classes
        rows = {
            "choices": choices.rows(),
            "win rates": position_bias.by_origin(choices.p_first, choices.of_origins),
        }
        summary = {
            "wording": choices.asked.wording,
            "design": choices.design,
            "outcomes": choices.counts,
            "share_of_b": bias.share_second,
            "position_effect": bias.position_effect,
            "content_effect": bias.content_effect,
            "swap_consistency": bias.swap_consistency,
            "repeat_consistency": bias.repeat_consistency,
            "inconsistency_by_order": bias.inconsistency,
            "classes": {name: classes.shares[name].value for name in position_bias.CLASSES},
            "class_counts": classes.counts,
            "fitted_position_term": self.fitted,
        }
        return Kept(rows, summary, {"content_and_position": bias.plot})


def by_place(choices: Choices, *, seed: int) -> ByPlace:
    """Raises ValueError as `position_bias.bias`."""
    classes = position_bias.classes(choices.p_first, answers=choices.answers)
    fitted = position_bias.fit(choices.pairs, choices.p_first, items=len(choices.tasks)).intercept
    return ByPlace(choices, _bias(choices, seed), classes, fitted)


@dataclass(frozen=True)
class Content:
    """What is left of preferences when position is taken out, measured in two ways."""

    choices: Choices
    bias: PositionBias
    content: position_bias.Content

    def kept(self) -> Kept:
        summary = {
            "design": self.choices.design,
            "position_effect": self.bias.position_effect,
            "fitted_position": self.content.position,
            "sd_of_utilities": self.content.spread,
        }
        return Kept(summary=summary)


def content(choices: Choices, *, seed: int) -> Content:
    """Raises ValueError as `position_bias.bias` and `position_bias.content`."""
    c = choices
    found = position_bias.content(c.pairs, c.p_first, items=len(c.tasks), answers=c.answers, seed=seed)
    return Content(c, _bias(c, seed), found)


@dataclass(frozen=True)
class Circles:
    """How often choices go in a circle, and how often the same choices do when they are dealt out to other pairs."""

    choices: Choices
    found: Transitivity
    dealt: Transitivity

    def kept(self) -> Kept:
        found = self.found
        summary = {
            "wording": self.choices.asked.wording,
            "design": self.choices.design,
            "circles_by_the_more_frequent_answer": found.hard,
            "circles_of_dealt_choices": self.dealt.soft,
            "triples": found.triples,
            "ties": found.ties,
        }
        return Kept(summary=summary)


def circles(choices: Choices, *, seed: int) -> Circles:
    """Raises ValueError as `transitivity`.

    What is dealt out is also turned at random, so that either task of a pair may be the preferred one: a circle is then
    as likely as of coins, one quarter.
    """
    n, rng = len(choices.pairs), np.random.default_rng(seed)
    dealt = choices.p_first[rng.permutation(n)]
    dealt = np.where(rng.random(n)[:, None] < 0.5, dealt, dealt[:, ::-1])
    found, other = (
        transitivity(*of_orders(choices.pairs, p), len(choices.tasks), seed=seed) for p in (choices.p_first, dealt)
    )
    return Circles(choices, found, other)


@dataclass(frozen=True)
class Drift:
    """How far the choices of now lean to the second-named more than those of another time."""

    now: Choices
    share_second: Estimate
    moved: Contrast

    def kept(self) -> Kept:
        summary = {
            "design": self.now.design,
            "outcomes": self.now.counts,
            "share_of_b": self.share_second,
            "drift_of_b": self.moved.bias,
            "pairs": self.moved.pairs,
        }
        return Kept(summary=summary)


def drift(now: Choices, then: ArrayLike, *, seed: int) -> Drift:
    """`then` [m, 2] is P(first-named) of the same questions. Raises ValueError as `position_bias.contrast`."""
    return Drift(now, _bias(now, seed).share_second, position_bias.contrast(now.p_first, then, seed=seed))


@dataclass(frozen=True)
class Reasoned:
    """Choices without and with a reason before them, and single pairs that were asked again and again."""

    choices: Choices
    before: PositionBias
    after: PositionBias
    changed: Contrast
    again: Choices

    def kept(self) -> Kept:
        again = self.again
        rows = {"replications": position_bias.replications(again.tasks, again.pairs, again.outcomes)}
        summary = {
            "design": self.choices.design,
            "outcomes": self.choices.counts,
            "direct_position_effect": self.before.position_effect,
            "direct_b": self.before.bias,
            "reasoned_b": self.after.bias,
            "direct_less_reasoned_share_of_b": self.changed.share_second,
            "direct_less_reasoned_b": self.changed.bias,
            "direct_content_effect": self.before.content_effect,
            "reasoned_content_effect": self.after.content_effect,
        }
        return Kept(rows, summary)


def reasoned(direct: Choices, reasoned: Choices, again: Choices, *, seed: int) -> Reasoned:
    """Of choices of the same pairs, and of some of them again. Raises ValueError as `position_bias.contrast`."""
    changed = position_bias.contrast(direct.p_first, reasoned.p_first, seed=seed)
    return Reasoned(reasoned, _bias(direct, seed), _bias(reasoned, seed), changed, again)


@dataclass(frozen=True)
class OneScale:
    """Utilities, how well they foretell pairs that were held out, and how much their sigma must be held back.

    `tested.gain` is in doubt where each pair was asked in one order. `shown` is how many tasks either end has.
    """

    utilities: Utilities
    tested: fits.Foretold
    penalties: regularisation.Study
    shown: int

    def kept(self) -> Kept:
        fitted, held_out = self.utilities, self.tested.held_out
        ranked = fitted.ranked()
        top, bottom = fits.extremes(ranked, self.shown)
        rows = {
            "utilities": ranked,
            "utility by origin": wordings.origin_means(fitted.fit.mu, fitted.choices.origins),
            "most and least preferred": [
                {"end": end, **row} for end, rows in (("top", top), ("bottom", bottom)) for row in rows
            ],
            "regularisation": self.penalties.rows(),
        }
        summary = {
            "wording": fitted.choices.asked.wording,
            **fitted.summary(),
            "held_out_nll": held_out.nll,
            "held_out_accuracy": held_out.accuracy,
            "held_out_ties": held_out.ties,
        }
        return Kept(rows, summary, {"utilities": (fitted.plot, (6.4, 3.6))})


def one_scale(choices: Choices, *, folds: int, shown: int, seed: int) -> OneScale:
    """Raises ValueError as `thurstone.held_out`."""
    fitted, counted = fits.utilities(choices), choices.counted
    tested = fits.foretold(counted, l2=fitted.l2, folds=folds, seed=seed)
    penalties = regularisation.study(counted, name=choices.asked.chooser, position=True, folds=folds)
    return OneScale(fitted, replace(tested, gain=choices.qualified(tested.gain)), penalties, shown)


@dataclass(frozen=True)
class Wordings:
    """Utilities by wording, their correlations, and how far each wording moves choices.

    `lowest` is the least of the correlations, in doubt where each pair was asked in one order; `least_moved` the least
    content effect.
    """

    fits: Sequence[Utilities]
    pairs: Sequence[wordings.Pair]
    effects: Sequence[Estimate]

    @property
    def _lowest(self) -> wordings.Pair:
        return min(self.pairs, key=lambda pair: pair.pearson.value)

    @property
    def lowest(self) -> Estimate:
        return self.fits[0].choices.qualified(self._lowest.pearson)

    @property
    def least_moved(self) -> Estimate:
        return min(self.effects, key=lambda effect: effect.value)

    def kept(self) -> Kept:
        scored, lowest = [each.scored for each in self.fits], self._lowest
        rows = {
            "correlations": [pair.row() for pair in self.pairs],
            "utility by origin": [
                {"wording": one.wording, **row} for one in scored for row in wordings.origin_means(one.mu, one.origins)
            ],
            "utilities": [
                {"wording": one.choices.asked.wording, **row}
                for one in self.fits
                for row in one.fit.rows(one.choices.tasks)
            ],
        }
        summary = {
            "design": self.fits[0].choices.design,
            "fitted_with": self.fits[0].fitted_with,
            "lowest": {"first": lowest.first, "second": lowest.second, "weighted": lowest.weighted.value},
            "spread": {one.wording: float(one.mu.std(ddof=1)) for one in scored},
            "flips": wordings.flips(scored),
            "converged": all(one.fit.converged for one in self.fits),
        }
        return Kept(rows, summary, {"wordings": (lambda ax: wordings.plot(self.pairs, ax), (5.6, 3.8))})


def by_wording(runs: Sequence[Choices], *, l2: float, seed: int) -> Wordings:
    """Of choices of the same pairs under several wordings. Raises ValueError as `wordings.correlations`."""
    fitted = [fits.utilities(run, l2=l2) for run in runs]
    pairs = wordings.correlations([each.scored for each in fitted], seed=seed)
    return Wordings(fitted, pairs, [_bias(run, seed).content_effect for run in runs])


@dataclass(frozen=True)
class Refusals:
    """Refusals of tasks against their utilities by wording, of which the first is the main one, and their ratings.

    Attributes
    ----------
    link
        Correlation of refusal and utility within origins; in doubt where each pair was asked in one order.
    fits
        Utilities by wording.
    refused
        Which tasks were refused.
    rated, stated
        [n] ratings, and the name of their template.
    without
        Every analysis with all tasks and without the refused ones.
    """

    link: Estimate
    fits: Mapping[str, Utilities]
    refused: refusals.Refused
    rated: np.ndarray
    stated: str
    without: list[dict[str, object]]

    def kept(self) -> Kept:
        main, refused = next(iter(self.fits.values())), self.refused
        c, mu = main.choices, main.fit.mu
        scores = {wording: each.fit.mu for wording, each in self.fits.items()} | {self.stated: self.rated}
        rows = {
            "refusals": refusals.rows(c.tasks, c.origins, refused, scores),
            "links": refusals.table(scores, refused.is_refusal, c.origins),
            "quartiles": refusals.quartiles(mu, refused.is_refusal).rows(),
            "ranked": main.ranked(refused.share),
            "with and without refused tasks": self.without,
        }
        summary = {
            "design": c.design,
            "fitted_with": main.fitted_with,
            "refused_types": refused.types,
            "judge_failed": refused.failed,
            "tasks_in_the_fit": len(c.tasks),
            "tasks_with_completions": refused.known,
            "overall": refusals.link(mu, refused.is_refusal).r,
            "stated_and_revealed": refusals.agreement(self.rated, mu),
        }
        return Kept(rows, summary, {"refusals": lambda ax: refusals.plot(mu, refused.is_refusal, c.origins, ax)})


def refusals_and_utilities(
    runs: Sequence[Choices], refused: refusals.Refused, rated: np.ndarray, stated: str, *, seed: int
) -> Refusals:
    """Of choices of the same pairs under several wordings. Raises ValueError as `refusals.within`."""
    fitted = {run.asked.wording: fits.utilities(run) for run in runs}
    link = refusals.within(fitted[runs[0].asked.wording].fit.mu, refused.share, runs[0].origins, seed=seed)
    without = refusals.with_and_without(fitted, rated, refused.is_refusal, seed=seed)
    return Refusals(runs[0].qualified(link), fitted, refused, rated, stated, without)
