"""Circles among choices between two, over all triples of items."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import ArrayLike

from lab.estimate import Estimate
from lab.stats.checks import too_few, upper
from lab.stats.intervals import clopper_pearson
from lab.studies.preferences.comparisons import Comparisons, count

_LEAST = 12
"""Items below which a jackknife over them is too narrow."""


@dataclass(frozen=True)
class Transitivity:
    """How far choices go in circles.

    Attributes
    ----------
    soft
        Mean over triples of P(i>j) P(j>k) P(k>i) + P(i>k) P(k>j) P(j>i): how likely three independent choices are to
        go in a circle. One quarter for coins, 0 where every choice is certain and none goes in a circle.
    hard
        Share of triples that go in a circle by the more frequent answer; one quarter for coins. Triples with a tie
        are left out; None where all have one, as where only the place of a task counts.
    triples, ties
        How many triples all three of whose pairs were compared were looked at, and how many of them had a tie.

    Intervals speak of new items like these: a jackknife over items (Arvesen 1969), as triples share them. Choices drawn
    few times each add to both.
    """

    soft: Estimate
    hard: Estimate | None
    triples: int
    ties: int


def transitivity(
    first: ArrayLike,
    second: ArrayLike,
    chose_first: ArrayLike,
    n_items: int,
    weights: ArrayLike | None = None,
    *,
    most: int = 100_000,
    seed: int = 0,
) -> Transitivity:
    """Looks at all triples of items all three of whose pairs were compared, or at `most` of them at random.

    Parameters as in `comparisons.count`; the probability of a pair is the mean over its two orders, so that position
    bias cancels where both were asked. Raises ValueError where no triple is whole.
    """
    p = _shares(count(first, second, chose_first, n_items, weights))
    i, j, k = _triples(~np.isnan(p), most, np.random.default_rng(seed))
    if not len(i):
        raise ValueError("there are no three items that were all compared with each other; compare more pairs")
    ij, jk, ki = p[i, j], p[j, k], p[k, i]
    soft = ij * jk * ki + (1 - ij) * (1 - jk) * (1 - ki)
    sides = np.sign(np.stack([ij, jk, ki]) - 0.5)
    whole = (sides != 0).all(0)
    circle = (np.abs(sides.sum(0)) == 3).astype(float)
    members = np.stack([i, j, k])
    return Transitivity(
        soft=_over_items(soft, members, n_items),
        hard=_over_items(circle[whole], members[:, whole], n_items) if whole.any() else None,
        triples=len(i),
        ties=int((~whole).sum()),
    )


def _shares(counted: Comparisons) -> np.ndarray:
    """[items, items] how often the row's item is chosen over the column's, both orders alike; NaN if never asked."""
    n = counted.n_items
    by_order = np.full((n, n), np.nan)
    by_order[counted.first, counted.second] = counted.for_first / (counted.for_first + counted.for_second)
    known = np.stack([by_order, 1 - by_order.T])
    weight = (~np.isnan(known)).sum(0)
    with np.errstate(invalid="ignore"):
        return np.asarray(np.nansum(known, axis=0) / weight)


def _triples(known: np.ndarray, most: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Items i < j < k of triples that are whole: all, or at most `most` of those that are drawn at random."""
    n = len(known)
    if n * (n - 1) * (n - 2) // 6 <= 20 * most:
        found = np.array(list(combinations(range(n), 3)), dtype=int).reshape(-1, 3)
    else:
        found = np.unique(np.sort(rng.integers(n, size=(20 * most, 3)), axis=1), axis=0)
        found = found[(found[:, 0] < found[:, 1]) & (found[:, 1] < found[:, 2])]
    i, j, k = found.T
    found = found[known[i, j] & known[j, k] & known[i, k]]
    if len(found) > most:
        found = found[rng.choice(len(found), most, replace=False)]
    return found[:, 0], found[:, 1], found[:, 2]


def _over_items(values: np.ndarray, members: np.ndarray, n_items: int, level: float = 0.95) -> Estimate:
    """Mean of triples [triples], with a jackknife over items; `members` [3, triples]."""
    from scipy.special import stdtrit

    total, k = values.sum(), len(values)
    own, number = (np.bincount(members.ravel(), w, n_items) for w in (np.tile(values, 3), np.ones(3 * k)))
    used = np.flatnonzero((number > 0) & (number < k))
    items, mean = len(np.flatnonzero(number)), float(total / k)
    doubt = too_few(items, "items in whole triples", least=_LEAST)
    if values.min() == values.max() and values[0] in (0.0, 1.0):
        # Without one circle a jackknife has no width: the exact interval of as many triples as share no item.
        e = clopper_pearson(int(total * (items // 3) / k), max(1, items // 3), level=level)
        return Estimate(
            mean,
            e.low,
            e.high,
            max(1, items // 3),
            "Clopper-Pearson, separate triples",
            level,
            unit="%",
            bounds=(0, 1),
            doubt=doubt,
        )
    without = (total - own[used]) / (k - number[used])
    m = len(used)
    pseudo = m * mean - (m - 1) * without
    half = float(stdtrit(max(1, m - 1), upper(level)) * pseudo.std(ddof=1) / np.sqrt(m)) if m > 1 else 0.0
    return Estimate(
        mean,
        max(0.0, mean - half),
        min(1.0, mean + half),
        items,
        "jackknife by item",
        level,
        unit="%",
        bounds=(0, 1),
        doubt=doubt,
    )
