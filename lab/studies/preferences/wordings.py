"""Utilities by wording: their correlations, and origins that change places."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from lab.estimate import Estimate
from lab.stats.bootstrap import reweighted
from lab.stats.correlations import correlation, pair_moments, weighted_r
from lab.stats.means import student, welch

if TYPE_CHECKING:
    from matplotlib.axes import Axes

LEAST = 10
"""Tasks that two wordings must share for a correlation."""


@dataclass(frozen=True)
class Scored:
    """Utilities of tasks under one wording: ids [n], origins [n], mu [n], sigma [n]."""

    wording: str
    tasks: tuple[str, ...]
    origins: tuple[str, ...]
    mu: np.ndarray
    sigma: np.ndarray


@dataclass(frozen=True)
class Pair:
    """Two wordings on the tasks that both scored.

    Attributes
    ----------
    pearson
        With Fisher's interval, and p of Student's test.
    weighted
        Each task weighs 1 / (sigma_1^2 + sigma_2^2), so that what is known badly counts less; a bootstrap draws tasks.
    """

    first: str
    second: str
    pearson: Estimate
    weighted: Estimate

    def row(self) -> dict[str, Any]:
        """As plain data."""
        told: dict[str, Any] = {"first": self.first, "second": self.second, "n": self.pearson.n, "p": self.pearson.p}
        for name in ("pearson", "weighted"):
            e = getattr(self, name)
            told |= {name: e.value, f"{name} low": e.low, f"{name} high": e.high}
        return told


def weighted_correlation(
    x: ArrayLike, y: ArrayLike, sigma_x: ArrayLike, sigma_y: ArrayLike, *, seed: int = 0, level: float = 0.95
) -> Estimate:
    """Pearson's correlation of rows [n] with weights 1 / (sigma_x^2 + sigma_y^2); a bootstrap draws rows and weights.

    Raises ValueError for fewer than four rows, sigmas that are not above 0, or a constant row.

        >>> rng = np.random.default_rng(0)
        >>> x = rng.normal(size=40)
        >>> weighted_correlation(x, x + rng.normal(size=40), np.ones(40), np.ones(40)).value.__round__(3)
        0.556
    """
    a, b, sa, sb = (np.asarray(each, dtype=float) for each in (x, y, sigma_x, sigma_y))
    if not a.shape == b.shape == sa.shape == sb.shape or a.ndim != 1 or a.size < 4:
        raise ValueError(
            f"a weighted correlation takes four rows of one length, at least 4, not of {a.size} and {b.size}"
        )
    if not (np.isfinite(sa) & np.isfinite(sb) & (sa > 0) & (sb > 0)).all():
        raise ValueError("every sigma must be above 0")
    for side in (a, b):
        if (side == side[0]).all():
            raise ValueError(f"one of the two rows is constant (all {side[0]:g}); their correlation is undefined")
    moments = pair_moments(a, b) / (sa**2 + sb**2)[:, None]
    found = reweighted(lambda w: weighted_r(w @ moments), a.size, seed=seed, level=level, bounds=(-1, 1))
    return replace(found, method="weighted Pearson, bootstrap")


def correlations(scored: Sequence[Scored], *, seed: int = 0) -> list[Pair]:
    """Every two wordings, on the tasks that both have. Raises ValueError where these are fewer than `LEAST`."""
    found = []
    for one, other in combinations(scored, 2):
        place = {task: i for i, task in enumerate(other.tasks)}
        at = [(i, place[task]) for i, task in enumerate(one.tasks) if task in place]
        if len(at) < LEAST:
            raise ValueError(f"{one.wording} and {other.wording} share {len(at)} tasks; a correlation needs {LEAST}")
        i, j = np.array(at).T
        x, y = one.mu[i], other.mu[j]
        weighted = weighted_correlation(x, y, one.sigma[i], other.sigma[j], seed=seed)
        found.append(Pair(one.wording, other.wording, correlation(x, y), weighted))
    return found


def origin_means(mu: ArrayLike, origins: Sequence[str]) -> list[dict[str, Any]]:
    """Mean utility by origin, the most preferred first: mean, interval (Student, over tasks), deviation and n.

    The utilities are centred on all tasks first, so that the means tell how far from the average task an origin is;
    what they were centred by is the same for all. An origin of one task has no interval.
    """
    values, where = np.asarray(mu, dtype=float), np.array(origins)
    values = values - values.mean()
    rows = []
    for origin in dict.fromkeys(origins):
        mine = values[where == origin]
        e = student(mine) if mine.size > 1 else None
        rows.append(
            {
                "origin": origin,
                "n": mine.size,
                "mean": float(mine.mean()),
                "low": None if e is None else e.low,
                "high": None if e is None else e.high,
                "std": None if e is None else float(mine.std(ddof=1)),
            }
        )
    return sorted(rows, key=lambda row: -row["mean"])


def flips(scored: Sequence[Scored]) -> list[dict[str, Any]]:
    """Pairs of origins of which one wording likes the first better and another the second.

    `sure` says whether both differences are beyond their intervals (Welch, over tasks); else they may be one order and
    noise. Ranks are from 1, the most preferred.
    """
    means = {each.wording: origin_means(each.mu, each.origins) for each in scored}
    ranks = {name: {row["origin"]: i + 1 for i, row in enumerate(rows)} for name, rows in means.items()}
    found = []
    for one, other in combinations(scored, 2):
        shared = [origin for origin in dict.fromkeys(one.origins) if origin in other.origins]
        for a, b in combinations(shared, 2):
            gaps = [_gap(each, a, b) for each in (one, other)]
            if gaps[0][0] * gaps[1][0] < 0:
                up, down = (a, b) if gaps[0][0] > 0 else (b, a)
                found.append(
                    {
                        "first": up,
                        "second": down,
                        "liked first by": one.wording,
                        "liked second by": other.wording,
                        "ranks": {each.wording: [ranks[each.wording][o] for o in (up, down)] for each in (one, other)},
                        "sure": gaps[0][1] and gaps[1][1],
                    }
                )
    return found


def _gap(scored: Scored, a: str, b: str) -> tuple[float, bool]:
    """By how much one origin is liked better than another, and whether that is beyond its interval."""
    where = np.array(scored.origins)
    x, y = scored.mu[where == a], scored.mu[where == b]
    if min(x.size, y.size) < 2:
        return float(x.mean() - y.mean()), False
    e = welch(x, y)
    return e.value, e.low > 0 or e.high < 0


def square(pairs: Sequence[Mapping[str, Any]], wordings: Sequence[str], key: str) -> list[list[float | None]]:
    """`Pair.row`s as a square table [wordings][wordings], 1 on its diagonal, None where a pair is missing."""
    known = {(row["first"], row["second"]): row[key] for row in pairs}
    return [[1.0 if a == b else known.get((a, b), known.get((b, a))) for b in wordings] for a in wordings]


def plot(pairs: Sequence[Pair], ax: Axes) -> None:
    """Each pair of wordings with its correlation, plain and weighted, and both intervals."""
    for i, pair in enumerate(pairs):
        for name, shift, colour in (("pearson", -0.12, "#0072B2"), ("weighted", 0.12, "#D55E00")):
            e = getattr(pair, name)
            ax.errorbar(
                e.value, i + shift, xerr=[[e.value - e.low], [e.high - e.value]], fmt="o", color=colour, capsize=2,
                label=None if i else name,
            )  # fmt: skip
    ax.set_yticks(range(len(pairs)), [f"{pair.first}\n{pair.second}" for pair in pairs], fontsize=7)
    ax.set_ylim(len(pairs) - 0.5, -0.5)
    ax.axvline(0, color="0.6", linewidth=0.8)
    ax.set(xlabel="correlation of utilities", title=f"{pairs[0].pearson.n} tasks")
    ax.legend(fontsize=7)
