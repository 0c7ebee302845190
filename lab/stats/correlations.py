"""Intervals of a correlation, and of the difference of two."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from lab.estimate import Estimate
from lab.stats.bootstrap import reweighted
from lab.stats.checks import clusters, pair, upper

Kind = Literal["Pearson", "Spearman"]

_PERFECT = "the correlation is perfect; is one of the two computed from the other?"


def fisher_z(r: float, n: int, *, kind: Kind = "Pearson", level: float = 0.95) -> Estimate:
    """A correlation of n pairs with Fisher's z interval (Fisher 1915).

    The standard error of z is 1/sqrt(n - 3) for Pearson's r, and sqrt((1 + r^2/2)/(n - 3)) for Spearman's
    (Bonett and Wright 2000). p is of Student's test against 0. At |r| = 1 the estimate is in doubt: z is
    infinite, and a perfect correlation of measured things is a fault more often than a finding.

    Raises ValueError for |r| > 1, n < 4, another kind (case does not matter), or rows in the place of r and n.

        >>> print(fisher_z(0.5, 30))
        0.5 [0.17, 0.729] (n=30, Fisher z)
    """
    from scipy.special import ndtri, stdtr

    kind = _known(kind)
    if np.ndim(r) or np.ndim(n):
        raise ValueError("fisher_z takes r and n; of rows use correlation(x, y)")
    if not abs(r) <= 1:
        raise ValueError(f"a correlation lies between -1 and 1, not at {r}")
    if not (n >= 4 and int(n) == n):
        raise ValueError(f"a correlation with an interval needs at least four pairs, not {n}")
    method = "Fisher z" if kind == "Pearson" else "Spearman, Fisher z"
    if _perfect(r):
        return Estimate(round(r), round(r), round(r), n, method, level, bounds=(-1, 1), doubt=_PERFECT)
    error = np.sqrt((1.0 if kind == "Pearson" else 1 + r * r / 2) / (n - 3))
    half = float(ndtri(upper(level))) * error
    z = np.arctanh(r)
    p = float(2 * stdtr(n - 2, -abs(r) * np.sqrt((n - 2) / (1 - r * r))))
    return Estimate(float(r), float(np.tanh(z - half)), float(np.tanh(z + half)), n, method, level, p=p, bounds=(-1, 1))


def _perfect(r: float) -> bool:
    """Whether |r| is 1, or misses it by rounding."""
    return abs(r) > 1 - 1e-12


def _known(kind: str) -> Kind:
    """The kind as it is written."""
    kinds: dict[str, Kind] = {"pearson": "Pearson", "spearman": "Spearman"}
    if kind.lower() not in kinds:
        raise ValueError(f"a correlation is of kind 'Pearson' or 'Spearman', not {kind!r}")
    return kinds[kind.lower()]


def correlation(
    first: ArrayLike,
    second: ArrayLike,
    *,
    kind: Kind = "Pearson",
    groups: ArrayLike | None = None,
    seed: int = 0,
    level: float = 0.95,
) -> Estimate:
    """Pearson's or Spearman's correlation of paired rows [n].

    With Fisher's z interval; with `groups` [n], the rows of each are drawn together by a cluster
    bootstrap, and `n` of the estimate counts groups. A perfect one is in doubt, as in `fisher_z`.

    Raises ValueError for fewer than four pairs, or where one of the two is constant: the correlation is
    then undefined, neither 0 nor 1.

        >>> print(correlation([1, 2, 3, 4, 5, 6], [2, 1, 4, 3, 6, 5]))
        0.829 [0.0519, 0.981] (n=6, Fisher z)
    """
    kind = _known(kind)
    x, y = pair(first, second, "values of a correlation", least=4)
    for side in (x, y):
        if (side == side[0]).all():
            raise ValueError(f"one of the two rows is constant (all {side[0]:g}); their correlation is undefined")
    if kind == "Spearman":
        from scipy.stats import rankdata

        x, y = rankdata(x), rankdata(y)
    r = float(np.clip(pearson(x, y), -1, 1))
    if groups is None:
        return fisher_z(r, x.size, kind=kind, level=level)
    k, _ = clusters(groups, x.size)
    if _perfect(r):
        return Estimate(round(r), round(r), round(r), k, "cluster bootstrap", level, bounds=(-1, 1), doubt=_PERFECT)
    moments = pair_moments(x, y)
    return reweighted(lambda w: weighted_r(w @ moments), x.size, groups=groups, seed=seed, level=level, bounds=(-1, 1))


def pearson(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Pearson's r along the last axis, [..., n] and [..., n] to [...]; NaN where either is constant.

    Two passes, so that a large common offset costs no digits. A side counts as constant where its spread
    is below 1e-13 of its size.
    """
    a, b = x - x.mean(-1, keepdims=True), y - y.mean(-1, keepdims=True)
    norms = []
    for side, centred in ((x, a), (y, b)):
        norm = np.sqrt((centred * centred).sum(-1))
        noise = 1e-13 * np.sqrt((side * side).sum(-1))
        norms.append(np.where(norm > noise, norm, np.nan))
    return np.asarray((a * b).sum(-1) / (norms[0] * norms[1]))


def pair_moments(x: np.ndarray, y: np.ndarray, kept: np.ndarray | None = None) -> np.ndarray:
    """[n, 6] what a weighted Pearson is made of: 1, x, y, xx, yy, xy, centred and scaled; 0 in rows not kept."""
    sides = []
    for side in (x, y):
        centred = side - side.mean()
        deviation = centred.std()
        sides.append(centred / deviation if deviation > 0 else centred)
    a, b = sides
    found = np.stack([np.ones_like(a), a, b, a * a, b * b, a * b], axis=1)
    return found if kept is None else found * kept[:, None]


def weighted_r(sums: np.ndarray) -> np.ndarray:
    """[..., 6] weighted sums of `pair_moments` to Pearson's r [...]; NaN where a side has no spread."""
    w, x, y, xx, yy, xy = np.moveaxis(sums, -1, 0)
    spread = (w * xx - x * x), (w * yy - y * y)
    live = (spread[0] > 1e-12 * w * w) & (spread[1] > 1e-12 * w * w)
    root = np.sqrt(np.where(live, spread[0] * spread[1], np.nan))
    return np.asarray((w * xy - x * y) / root)


def correlation_difference(outcome: ArrayLike, first: ArrayLike, second: ArrayLike, *, level: float = 0.95) -> Estimate:
    """How much better does `first` correlate with `outcome` than `second` does, on the same units?

    The interval is Zou's for two dependent, overlapping correlations (Zou 2007, Psychological Methods 12:
    399), from the two Fisher intervals and the correlation of the two estimates.

    In doubt where one of the three correlations is perfect. Raises ValueError as `correlation`.

        >>> x = np.arange(12.0)
        >>> print(correlation_difference(x, x + np.tile([1, -1], 6), x + np.tile([4, -4], 6)))
        0.371 [0.163, 0.914] (n=12, Zou)
    """
    one, two = (correlation(outcome, side, level=level) for side in (first, second))
    between = correlation(first, second, level=level).value
    r1, r2 = one.value, two.value
    if any(_perfect(r) for r in (r1, r2, between)):
        doubt = "one of the three correlations is perfect; is one row computed from another?"
        return Estimate(r1 - r2, -2.0, 2.0, one.n, "Zou", level, bounds=(-2, 2), doubt=doubt)
    # Correlation of the two estimates (Pearson and Filon 1898, as in Zou's equation 15).
    numerator = (between - r1 * r2 / 2) * (1 - r1**2 - r2**2 - between**2) + between**3
    c = numerator / ((1 - r1**2) * (1 - r2**2))
    value = r1 - r2
    low = value - np.sqrt(max((r1 - one.low) ** 2 + (two.high - r2) ** 2 - 2 * c * (r1 - one.low) * (two.high - r2), 0))
    high = value + np.sqrt(
        max((one.high - r1) ** 2 + (r2 - two.low) ** 2 - 2 * c * (one.high - r1) * (r2 - two.low), 0)
    )
    return Estimate(value, float(low), float(high), one.n, "Zou", level, bounds=(-2, 2))
