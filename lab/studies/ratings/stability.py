"""Stability of a model's ratings of the same tasks under other seeds, and how far they tell tasks apart."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from lab.estimate import Estimate
from lab.record.kept import Kept
from lab.stats.bootstrap import mean_of_finite, reweighted
from lab.stats.correlations import pair_moments, pearson, weighted_r
from lab.stats.seeds import CrossSeed, cross_seed, discrimination_rate, informative_correlation_by_third
from lab.stats.shares import wilson
from lab.studies.shared.ratings import Ratings

if TYPE_CHECKING:
    from matplotlib.axes import Axes

LEAST = 10
"""Tasks that two seeds must share for a correlation."""


@dataclass(frozen=True)
class Stability:
    """One run's ratings of n tasks under s seeds.

    Attributes
    ----------
    ratings
        What was rated.
    seeds
        Correlations between all s (s - 1) / 2 pairs of seeds; a pair of which one is constant has none and is counted.
    by_origin
        The same among the tasks of each origin.
    mode, modal_share
        The commonest rating, in points, and how often it was given; the interval draws tasks.
    variance
        Of all ratings, in squared points; NaN where none was given.
    informative
        [pairs] Pearson's r over the tasks that not both seeds rate at the mode; NaN where fewer than two are left, or
        a side of them is constant. Chance alone gives less than 0 here: `by_third` is what to hold against a bar.
    discrimination
        [pairs] the share of tasks that are left.
    by_third
        The correlation over the tasks that a third seed does not rate at the mode; None for two seeds.
    """

    ratings: Ratings
    seeds: CrossSeed
    by_origin: dict[str, CrossSeed]
    mode: float
    modal_share: Estimate
    variance: float
    informative: np.ndarray
    discrimination: np.ndarray
    by_third: Estimate | None

    @property
    def informative_r(self) -> float:
        """The mean of the pairs' informative r; NaN where none has one."""
        return mean(self.informative)

    @property
    def d(self) -> float:
        """The mean of the pairs' discrimination rates."""
        return mean(self.discrimination)

    def row(self) -> dict[str, Any]:
        """All of it as plain data, with the correlation of every pair, and how often each point was given."""
        form, third = self.ratings.template, self.by_third
        return {
            "template": self.ratings.asked.template,
            "run": self.ratings.name,
            "tasks": len(self.ratings.tasks),
            "seeds": len(self.ratings.seeds),
            **_row(self.seeds),
            "pairs": _pairs(self.ratings.seeds, self.seeds),
            "by origin": {origin: _row(found) for origin, found in self.by_origin.items()},
            "informative r": known(self.informative_r),
            "informative pairs": [known(r) for r in self.informative],
            "informative by a third seed": None if third is None or third.doubt else third.value,
            "d": self.d,
            "mode": self.mode,
            "modal share": self.modal_share.value,
            "variance": known(self.variance),
            "points": list(form.values),
            "counts": [int((self.ratings.given == point).sum()) for point in form.values],
            "outcomes": self.ratings.counts,
        }


def stability(ratings: Ratings, *, seed: int = 0) -> Stability:
    """How alike the seeds of a run rate. Raises ValueError for fewer than two seeds, or no rating at all.

    `seed` is that of the bootstraps over tasks.
    """
    x = ratings.values
    if x.shape[1] < 2:
        raise ValueError(f"{ratings.name} has one rating of each task; stability needs two seeds or more")
    if not len(ratings.given):
        raise ValueError(f"{ratings.name} has no rating at all, but {_listed(ratings.counts)}; read its raw answers")
    points, counts = np.unique(ratings.given, return_counts=True)
    mode = float(points[counts.argmax()])
    rated = ~np.isnan(x)
    kept = [_informative(x[rated[:, a] & rated[:, b]][:, [a, b]]) for a, b in combinations(range(x.shape[1]), 2)]
    whole = x[rated.all(1)]
    member = np.broadcast_to(np.arange(len(x))[:, None], x.shape)[rated]
    return Stability(
        ratings,
        seeds=cross_seed(x, least=LEAST, seed=seed),
        by_origin={
            origin: cross_seed(rows, least=LEAST, seed=seed)
            for origin in dict.fromkeys(ratings.origins)
            if len(rows := ratings.of(origin).values) >= 2
        },
        mode=mode,
        modal_share=wilson(x[rated] == mode, groups=member),
        variance=float(ratings.given.var(ddof=1)) if len(ratings.given) > 1 else float("nan"),
        informative=np.array([r for r, _ in kept]),
        discrimination=np.array([d for _, d in kept]),
        by_third=informative_correlation_by_third(whole, seed) if x.shape[1] > 2 and len(whole) > 1 else None,
    )


def _informative(both: np.ndarray) -> tuple[float, float]:
    """r over the tasks that two seeds [n, 2] do not both rate at their mode, and the share of such tasks."""
    if len(both) < 2:
        return float("nan"), float("nan")
    points, counts = np.unique(np.rint(both), return_counts=True)
    kept = (np.rint(both) != points[counts.argmax()]).any(1)
    r = float(pearson(both[kept, 0], both[kept, 1])) if kept.sum() >= 2 else float("nan")
    return r, discrimination_rate(both[:, 0], both[:, 1]).value


def overall(found: Sequence[Stability]) -> dict[str, Any]:
    """The mean r over all pairs of seeds of several runs, each pair counted once; and how many had none."""
    r = np.concatenate([each.seeds.pearson for each in found])
    return {"mean r": known(mean(r)), "pairs": int(np.isfinite(r).sum()), "undefined": int(np.isnan(r).sum())}


def plot(found: Sequence[Stability], ax: Axes) -> None:
    """Mean r of each template with its interval; a hollow mark where it is undefined."""
    for i, each in enumerate(found):
        e = each.seeds.mean
        error = [[e.value - e.low], [e.high - e.value]]
        style: dict[str, Any] = {"fmt": "o", "capsize": 3, "color": "#0072B2"}
        ax.errorbar(e.value, i, xerr=error, mfc="none" if e.doubt else "#0072B2", **style)
    first = found[0].ratings
    ax.set_yticks(range(len(found)), [each.ratings.asked.template for each in found])
    ax.set_ylim(len(found) - 0.5, -0.5)
    ax.axvline(0, color="0.6", linewidth=0.8)
    n, s = len(first.tasks), len(first.seeds)
    ax.set(xlabel="mean r between seeds", title=f"{first.asked.rater}: {n} tasks, {s} seeds ({s * (s - 1) // 2} pairs)")


# Stated against revealed ---------------------------------------------------------------------------------


def win_shares(pairs: ArrayLike, p_first: ArrayLike, *, items: int, seeds: Sequence[int]) -> np.ndarray:
    """[items, seeds] how often each task is chosen of those that it was compared with, one draw of each choice a seed.

    Parameters
    ----------
    pairs
        [m, 2] indices of tasks.
    p_first
        [m, 2] the probability that the first-named is chosen: in the order of the pair, and in the other.

    NaN for a task that stands in no pair.

        >>> win_shares([(0, 1)], [[1.0, 0.0]], items=3, seeds=[0]).ravel().tolist()
        [1.0, 0.0, nan]
    """
    m, p = np.asarray(pairs, dtype=int), np.asarray(p_first, dtype=float)
    if m.shape != p.shape or m.ndim != 2 or m.shape[1] != 2:
        raise ValueError(f"pairs {m.shape} and p_first {p.shape} must both have shape [pairs, 2]")
    won = np.full((items, len(seeds)), np.nan)
    asked = np.bincount(m.ravel(), minlength=items) * 2.0
    for j, seed in enumerate(seeds):
        named_first = np.random.default_rng(seed).random(p.shape) < p
        of_first = named_first[:, 0].astype(int) + ~named_first[:, 1]  # the pair's first task is chosen, 0 to 2 times
        total = np.bincount(m[:, 0], of_first, items) + np.bincount(m[:, 1], 2 - of_first, items)
        won[:, j] = np.divide(total, asked, out=np.full(items, np.nan), where=asked > 0)
    return won


@dataclass(frozen=True)
class Matched:
    """Correlations of two measures of the same tasks, seed by seed.

    Attributes
    ----------
    pearson
        [seeds]; NaN where a side is constant or fewer than `LEAST` tasks have both.
    mean
        Of the defined ones; the interval draws tasks. In doubt where none is.
    """

    pearson: np.ndarray
    mean: Estimate

    @property
    def n_undefined(self) -> int:
        return int(np.isnan(self.pearson).sum())


def matched(first: ArrayLike, second: ArrayLike, *, seed: int = 0, level: float = 0.95) -> Matched:
    """Pearson's correlation of two tables [tasks, seeds] column by column, NaN where missing.

    Raises ValueError for tables of different shapes.

        >>> stated = np.arange(20.0)[:, None] + [[0, 1]] * 20
        >>> matched(stated, stated * 2 + [[0], [3]] * 10).pearson.round(3).tolist()
        [0.992, 0.992]
    """
    x, y = np.asarray(first, dtype=float), np.asarray(second, dtype=float)
    if x.shape != y.shape or x.ndim != 2 or len(x) < 2:
        raise ValueError(f"two tables [tasks, seeds] of one shape are correlated, not {x.shape} and {y.shape}")
    both = np.isfinite(x) & np.isfinite(y)
    r, moments = np.full(x.shape[1], np.nan), []
    for j in np.flatnonzero(both.sum(0) >= LEAST):
        a, b = x[both[:, j], j], y[both[:, j], j]
        r[j] = pearson(a, b)
        if np.isfinite(r[j]):
            moments.append(np.zeros((len(x), 6)))
            moments[-1][both[:, j]] = pair_moments(a, b)
    method = "mean Pearson, seed by seed"
    if not moments:
        doubt = "no seed has a correlation: a side is constant, or too few tasks have both"
        return Matched(r, Estimate(0.0, -1, 1, len(x), method, level, bounds=(-1, 1), doubt=doubt))
    stacked = np.stack(moments, axis=1)

    def of(w: np.ndarray) -> np.ndarray:
        sums = w @ stacked.reshape(len(x), -1)
        return mean_of_finite(weighted_r(sums.reshape(len(w), -1, 6)))

    found = reweighted(of, len(x), seed=seed, level=level, bounds=(-1, 1))
    return Matched(r, replace(found, method=f"{method}, {found.method}"))


@dataclass(frozen=True)
class Seeds:
    """One rater's stability on several templates, and how what is stated agrees with what is chosen.

    `found` and `matched` have one of each template, the claim's first.
    """

    found: tuple[Stability, ...]
    matched: tuple[Matched, ...]

    def kept(self) -> Kept:
        """A row a template, and what is told of the first and of all."""
        first, both = self.found[0], list(zip(self.found, self.matched, strict=True))
        return Kept(
            rows={"stability": [each.row() | {"stated and revealed": told(m)} for each, m in both]},
            summary={
                "author": first.ratings.asked.author,
                "overall": overall(self.found),
                "mean_r": {each.ratings.asked.template: each.seeds.mean.value for each in self.found},
                "without_the_mode": first.by_third,
                "modal_share": first.modal_share,
                "stated_and_revealed": self.matched[0].mean,
                "stated_and_revealed_pairs": sum(len(m.pearson) - m.n_undefined for m in self.matched),
                "stated_and_revealed_undefined": sum(m.n_undefined for m in self.matched),
                "stated_and_revealed_mean_r": mean(np.concatenate([m.pearson for m in self.matched])),
            },
            plots={"stability": (lambda ax: plot(self.found, ax), (5.6, 3.2))},
        )


def across_seeds(
    runs: Sequence[Ratings], pairs: Sequence[tuple[int, int]], p_first: ArrayLike, *, seed: int = 0
) -> Seeds:
    """Stability of several runs under the same seeds, beside choices between pairs of their tasks, seed by seed.

    `pairs` [m] are indices of tasks and `p_first` [m, 2] as in `win_shares`. Raises ValueError as `stability` does.
    """
    first = runs[0]
    revealed = win_shares(pairs, p_first, items=len(first.tasks), seeds=first.seeds)
    return Seeds(
        tuple(stability(run, seed=seed) for run in runs),
        tuple(matched(run.values, revealed, seed=seed) for run in runs),
    )


# Plain data ----------------------------------------------------------------------------------------------


def told(found: Matched) -> dict[str, Any]:
    """Each seed's correlation of what is stated with what is revealed, and their mean."""
    return {"r": [known(r) for r in found.pearson], "mean": None if found.mean.doubt else found.mean.value}


def known(x: float) -> float | None:
    """The number, or None for NaN, which JSON has not."""
    return None if x != x else float(x)


def mean(x: np.ndarray) -> float:
    """Of what is finite; NaN of nothing."""
    kept = x[np.isfinite(x)]
    return float(kept.mean()) if kept.size else float("nan")


def _row(found: CrossSeed) -> dict[str, Any]:
    defined = found.n_undefined < found.n_pairs
    return {
        "r": found.mean.value if defined else None,
        "low": found.mean.low,
        "high": found.mean.high,
        "rank r": found.mean_spearman.value if defined else None,
        "std": known(found.std),
        "n pairs": found.n_pairs,
        "undefined": found.n_undefined,
        "n": found.mean.n,
    }


def _pairs(seeds: Sequence[int], found: CrossSeed) -> list[dict[str, Any]]:
    return [
        {"seeds": [seeds[a], seeds[b]], "r": known(float(r)), "tasks": int(n)}
        for (a, b), r, n in zip(found.pairs, found.pearson, found.overlap, strict=True)
    ]


def _listed(counts: dict[str, int]) -> str:
    return ", ".join(f"{n} {outcome}" for outcome, n in counts.items())
