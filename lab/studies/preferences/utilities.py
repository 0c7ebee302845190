"""Utilities of tasks from `Choices`, and how well they foretell choices that were not seen."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from lab.estimate import Estimate
from lab.record.kept import Kept
from lab.stats.intervals import paired_difference, student, wilson
from lab.studies.preferences import active, thurstone
from lab.studies.preferences.comparisons import Comparisons, count
from lab.studies.preferences.pair_choices import Choices
from lab.studies.preferences.regularisation import recommend
from lab.studies.preferences.wordings import Scored

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_LEAST_SHARE = 1e-10
HOLD = 0.1
"""Penalty on utilities, a prior standard deviation of 2.2, which holds tasks that were always chosen or never."""
HOLD_EXACT = 1e-3
"""The same of probabilities, which are never 0 or 1."""


@dataclass(frozen=True)
class Utilities:
    """Thurstone's utilities of the tasks of some choices, with a position term, and Bradley and Terry's beside them.

    Attributes
    ----------
    choices
        What they were fitted to.
    fit, logit
        By Thurstone's model, and by Bradley and Terry's.
    l2, why
        The penalty on log sigma, and why it is that one.
    """

    choices: Choices
    fit: thurstone.Fit
    logit: thurstone.Fit
    l2: float
    why: str

    @cached_property
    def estimates(self) -> tuple[Estimate, ...]:
        """Each task's utility with its interval (normal); in doubt where only one order was asked.

        Of answers by the expected information. Of probabilities, of which none is a draw, times the root of the
        dispersion (quasi-likelihood; McCullagh and Nelder 1989, section 9.2): what the scale leaves unexplained of a
        pair, both orders together, over what a draw in each would leave.
        """
        found = tuple(self.choices.qualified(e) for e in self.fit.utilities())
        if not self.choices.exact:
            return found
        scale, doubt = math.sqrt(self.dispersion) if self.dispersion else 0.0, ""
        if not scale:
            doubt = "there are no more pairs than tasks, so that nothing tells how well utilities explain choices"
        return tuple(
            replace(
                e,
                low=e.value - scale * (e.value - e.low),
                high=e.value + scale * (e.high - e.value),
                n=self.fit.comparisons.n_pairs,
                method="Thurstone, dispersion of pairs",
                doubt=e.doubt or doubt,
            )
            for e in found
        )

    @property
    def dispersion(self) -> float | None:
        """Mean square of what is unexplained of a pair over what a draw leaves; None without more pairs than tasks."""
        fit, p, pairs = self.fit, self.choices.p_first, self.choices.pairs
        both = ~np.isnan(p).any(1)
        free = int(both.sum()) - len(fit.mu)
        if free < 1:
            return None
        one, other = pairs[both].T
        expected = np.stack([fit.probability(one, other), fit.probability(other, one)], axis=1)
        left = (p[both] - expected) @ [1, -1]
        return float((left**2 / (expected * (1 - expected)).sum(1)).sum() / free)

    @property
    def fitted_with(self) -> dict[str, Any]:
        """What was minimised, and by which code, as `objective` says what is today."""
        l2 = None if math.isinf(self.l2) else self.l2
        return {"objective": self.fit.objective, "l2": l2, "exact": self.choices.exact, "code": thurstone.version()}

    @property
    def agreement(self) -> float:
        """Rank correlation of the two models' utilities."""
        from scipy.stats import spearmanr

        return float(spearmanr(self.fit.mu, self.logit.mu).statistic)

    @property
    def scored(self) -> Scored:
        """For `lab.studies.preferences.wordings`."""
        c = self.choices
        return Scored(c.asked.wording, c.tasks, c.origins, self.fit.mu, self.fit.sigma)

    def summary(self) -> dict[str, Any]:
        """How the fit went, as plain data."""
        fit, counted = self.fit, self.fit.comparisons
        agreement = counted.agreement
        return {
            "design": self.choices.design,
            "fitted_with": self.fitted_with,
            "why this l2": self.why,
            "nll per answer": fit.nll_per_answer,
            "converged": fit.converged,
            "iterations": fit.iterations,
            "gradient norm": fit.gradient_norm,
            "message": fit.message,
            "at bounds": list(fit.at_bounds),
            "position": fit.position,
            "offset": fit.offset,
            "dispersion": self.dispersion if self.choices.exact else None,
            "max sigma": float(fit.sigma.max()),
            "pair agreement": None if agreement is None else agreement.value,
            "rank agreement with Bradley and Terry": self.agreement,
            "tasks": len(fit.mu),
            "pairs": counted.n_pairs,
            "answers": counted.total,
        }

    def ranked(self, refused: ArrayLike | None = None) -> list[dict[str, Any]]:
        """One mapping a task, the most preferred first, with the share of its completions that refused, if [n] has one.

        A share of NaN is None.
        """
        c, fit = self.choices, self.fit
        shares = np.full(len(fit.mu), np.nan) if refused is None else np.asarray(refused, dtype=float)
        rows = []
        for rank, i in enumerate(fit.ranking.tolist(), 1):
            e, share = self.estimates[i], None if np.isnan(shares[i]) else float(shares[i])
            row = {
                "rank": rank,
                "task_id": c.tasks[i],
                "origin": c.origins[i],
                "mu": float(fit.mu[i]),
                "low": e.low,
                "high": e.high,
                "sigma": float(fit.sigma[i]),
                "doubt": e.doubt,
                "refusal_rate": share,
                "is_refusal": None if share is None else share > 0.5,
                "text": c.texts[i] if c.texts else "",
            }
            rows.append(row)
        return rows

    def plot(self, ax: Axes) -> None:
        """All tasks by rank with their intervals, each origin in its colour."""
        colours = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
        c, order = self.choices, self.fit.ranking.tolist()
        for k, origin in enumerate(dict.fromkeys(c.origins)):
            at = [rank for rank, i in enumerate(order, 1) if c.origins[i] == origin]
            es = [self.estimates[order[rank - 1]] for rank in at]
            error = [[e.value - e.low for e in es], [e.high - e.value for e in es]]
            style: dict[str, Any] = {"fmt": "o", "markersize": 3, "elinewidth": 0.6, "color": colours[k % len(colours)]}
            ax.errorbar(at, [e.value for e in es], yerr=error, label=f"{origin} ({len(at)})", **style)
        ax.axhline(0, color="0.6", linewidth=0.8)
        counted = self.fit.comparisons
        ax.set(
            xlabel="rank",
            ylabel="utility (mean 0)",
            title=f"{len(order)} tasks, {counted.n_pairs} pairs, {c.design}",
        )
        ax.legend(fontsize=6.5, ncols=2)


def objective(l2: float | None, exact: bool) -> str:
    """What `utilities` minimises today at a penalty, None for infinite, of probabilities or of answers."""
    tiny = count([0, 1], [1, 0], [1, 1], 2)
    hold = HOLD_EXACT if exact else HOLD
    return thurstone.fitted(tiny, math.inf if l2 is None else l2, True, l2_mu=hold).objective


def utilities(choices: Choices, *, l2: float | None = None) -> Utilities:
    """Fits utilities. `l2` of log sigma is by default what `regularisation.recommend` says for so many answers.

    Of probabilities, each of which stands for no draw in particular, sigma is held at 1 (case V). Raises ValueError as
    `thurstone.fit`.
    """
    counted = choices.counted
    if l2 is not None:
        why = "given"
    elif choices.exact:
        l2, why = math.inf, "probabilities: every sigma is held at 1"
    else:
        l2, why = recommend(counted.n_items, counted.n_pairs, counted.total)
    hold = HOLD_EXACT if choices.exact else HOLD
    fit = thurstone.fitted(counted, l2, True, l2_mu=hold)
    logit = thurstone.bradley_terry(*counted.asked, counted.n_items, counted.asked_weights, l2_mu=hold, position=True)
    return Utilities(choices, fit, logit, l2, why)


@dataclass(frozen=True)
class Foretold:
    """How well utilities foretell pairs that they have not seen.

    Attributes
    ----------
    gain
        Nats an answer by which they foretell held-out choices better than the two places alone do, whose shares are
        learnt from the same pairs; Student's interval over pairs.
    held_out
        Held-out NLL and accuracy, places included.
    """

    gain: Estimate
    held_out: thurstone.HeldOut


def foretold(counted: Comparisons, *, l2: float, folds: int = 5, seed: int = 0) -> Foretold:
    """Holds out whole pairs, each fold in turn. Raises ValueError as `thurstone.held_out`."""
    found, fits = thurstone.evaluated(counted, l2, True, folds, seed, l2_mu=HOLD)
    gained, weights, pairs = [], [], []
    for (rest, out), fit in zip(counted.folds(folds, seed=seed), fits, strict=True):
        place = float(rest.for_first.sum() / rest.total)
        by = [fit.probability(out.first, out.second), np.full(len(out), place)]
        one, base = (
            out.for_first * np.log(np.clip(p, _LEAST_SHARE, 1))
            + out.for_second * np.log(np.clip(1 - p, _LEAST_SHARE, 1))
            for p in by
        )
        gained.append(one - base)
        weights.append(out.for_first + out.for_second)
        pairs.append(out.first.clip(max=out.second) * counted.n_items + np.maximum(out.first, out.second))
    _, pair = np.unique(np.concatenate(pairs), return_inverse=True)
    nats = np.bincount(pair, np.concatenate(gained)) / np.bincount(pair, np.concatenate(weights))
    return Foretold(student(nats, unit="nats"), found)


def extremes(rows: Sequence[Mapping[str, Any]], count: int = 10) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """The most and the least preferred of ranked rows, of those whose interval is not wider than twice the median.

    The ends of a ranking are known worse than its middle. Rows without an interval (low = high) never are among them.
    """
    known = [dict(row) for row in rows if row["high"] > row["low"]]
    if not known:
        return [], []
    most = 2 * float(np.median([row["high"] - row["low"] for row in known]))
    sure = [row for row in known if row["high"] - row["low"] <= most + 1e-12]
    return sure[:count], sure[::-1][:count]


# Two learners ----------------------------------------------------------------------------------------------


def at_random(settings: active.Settings, learned: active.Learned) -> active.Settings:
    """How to learn from as many pairs as were asked, chosen at random."""
    n = len(learned.state.pairs)
    return replace(settings, choice="random", stop="budget", most_pairs=n, rounds=n)


def unasked(learners: Sequence[active.Learned], n: int, *, seed: int) -> np.ndarray:
    """[n or fewer, 2] pairs at random that none of the learners has asked. Raises ValueError where there is none."""
    asked = np.concatenate([one.state.pairs for one in learners])
    pairs = active.next_pairs(learners[0].fit.mu, asked, n, seed=seed, choice="random")
    if not len(pairs):
        raise ValueError("the learners have asked every pair, so that none is new; take more tasks or fewer rounds")
    return pairs


@dataclass(frozen=True)
class Against:
    """How often two fits name the preferred one of pairs that neither has seen.

    Attributes
    ----------
    first, second, shuffled
        Share of pairs, both orders together, whose preferred one has the higher utility; Wilson's interval over pairs.
        Of the last, by the first fit's utilities dealt out anew among the items, which foretell nothing.
    difference
        First minus second (Newcombe, by pair).
    rank_correlation
        Of the two fits' utilities.
    pairs
        How many were answered in both orders, and not tied.
    design
        In how many orders they were asked.
    """

    first: Estimate
    second: Estimate
    shuffled: Estimate
    difference: Estimate
    rank_correlation: float
    pairs: int
    design: str

    def kept(self) -> Kept:
        summary = {
            "design": self.design,
            "new_pairs": self.pairs,
            "random_foretells": self.second,
            "gain_over_random": self.difference,
            "rank_correlation_with_random": self.rank_correlation,
        }
        return Kept(summary=summary)


def against(new: Choices, first: thurstone.Fit, second: thurstone.Fit, *, seed: int = 0) -> Against:
    """Holds two fits against choices between new pairs. Raises ValueError where none is answered in both orders."""
    from scipy.stats import spearmanr

    lead = new.p_first[:, 0] - new.p_first[:, 1]
    decided = np.abs(lead) > 1e-9  # NaN is not
    if not decided.any():
        raise ValueError("no new pair was answered in both orders and decided; ask more pairs, in both orders")
    one, other = new.pairs[decided].T
    scores = [first.mu, second.mu, np.random.default_rng(seed).permutation(first.mu)]
    hits = [np.sign(mu[one] - mu[other]) == np.sign(lead[decided]) for mu in scores]
    rho = float(spearmanr(first.mu, second.mu).statistic)
    one_share, other_share, shuffled = (wilson(each) for each in hits)
    gain = paired_difference(hits[0], hits[1])
    return Against(one_share, other_share, shuffled, gain, rho, int(decided.sum()), new.design)
