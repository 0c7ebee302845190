"""AUROC, a measure of how well scores separate two classes, with DeLong's interval."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike

from lab.estimate import Estimate
from lab.stats.checks import clusters, effective, flags, row, too_few, upper
from lab.stats.shares import wilson

_SEPARATED = "the classes are perfectly separated; does a feature give the label away, or is n too small?"


def delong(
    scores: ArrayLike,
    labels: ArrayLike,
    *,
    groups: ArrayLike | None = None,
    out_of_fold: bool = False,
    logit: bool = False,
    level: float = 0.95,
) -> Estimate:
    """Area under the ROC curve with DeLong's interval, by mid-ranks (DeLong 1988; Sun and Xu 2014).

    Parameters
    ----------
    scores
        [n], higher for the positive class. Only their order matters; ties count one half.
    labels
        [n], true for the positive class.
    groups
        [n] labels of rows that belong together. The variance is then Obuchowski's for clustered data
        (1997, Biometrics 53: 567), the quantile Student's as below, and `n` of the estimate counts groups.
    out_of_fold
        Whether the scores come from cross-validation, pooled over folds. Two rows of different folds
        then meet twice, each having taught the probe that scored the other, so the variance is twice
        DeLong's. Measured on pure noise (600 rows, base rate 25 %, 16 or 64 features): standard
        deviation 1.41 to 1.43 of DeLong's, coverage of its 95 % interval 83 to 85 %, with twice the
        variance 94 to 98 %; with a signal, 1.39 to 1.61 and 94 to 95 %.

    logit
        Whether the interval is made on the logit scale and turned back (Pepe 2003, section 5.2.4). The
        plain interval, which is what other software prints, lies too high near 1: with 40 of 160 rows
        positive and a true area of 0.90 it was wholly above the truth in 9.1 % of experiments where 2.5 %
        are due, on the logit scale in 4.0 %; at an area of 0.76, in 4.3 % and 2.1 %. Methods use it.

    On the logit scale or with groups the quantile is Student's with k - 1 degrees of freedom, k the members of
    the smaller class, or the effective number of groups that hold it (`checks.effective` of its members by
    group). The plain interval of single rows is z's, as in other software. Where k is below 5 the estimate is
    in doubt.

    p is of the two-sided test against 0.5. Perfect separation has no DeLong variance, and in measured
    things it is a leak more often than a finding: the estimate is in doubt, and no verdict on it decides.
    Its interval is then Wilson's for the smaller class, as if each of its members had been one success.

    Raises ValueError where a class has fewer than two members, for NaN, and for labels that are none.

        >>> print(delong([0.1, 0.4, 0.35, 0.8, 0.7, 0.2], [0, 0, 1, 1, 1, 0]))
        0.889 [0.581, 1] (n=6, DeLong)
    """
    from scipy.special import expit, stdtr, stdtrit

    v10, v01, y = _placements(scores, labels)
    area, n = float(v10.mean()), y.size
    tail, (units, member) = upper(level), clusters(groups, n)
    variance = _covariance(v10[None], v01[None], y, None if groups is None else member)[0, 0]
    variance *= 2 if out_of_fold else 1
    if variance <= 1e-300:
        if area not in (0.0, 1.0):  # all scores tied
            return Estimate(area, area, area, units, "DeLong", level, bounds=(0, 1))
        smaller = int(min(y.sum(), n - y.sum()))
        least = wilson(int(area * smaller), smaller, level=level)
        method = "Wilson, smaller class"
        return Estimate(area, least.low, least.high, units, method, level, bounds=(0, 1), doubt=_SEPARATED)
    freedom, doubt = _freedom(y, None if groups is None else member)
    if not logit and groups is None:
        freedom = math.inf
    half = float(stdtrit(freedom, tail)) * variance**0.5
    p = float(2 * stdtr(freedom, -abs(area - 0.5) / variance**0.5))
    kinds = {"logit": logit, "clustered": groups is not None, "out of fold": out_of_fold}
    method = ", ".join(["DeLong", *(kind for kind, is_so in kinds.items() if is_so)])
    low, high = max(area - half, 0.0), min(area + half, 1.0)
    if logit and 0 < area < 1:
        at, half = math.log(area / (1 - area)), half / (area * (1 - area))
        low, high = float(expit(at - half)), float(expit(at + half))
    return Estimate(area, low, high, units, method, level, p=p, bounds=(0, 1), doubt=doubt)


def delong_difference(
    first: ArrayLike,
    second: ArrayLike,
    labels: ArrayLike,
    *,
    groups: ArrayLike | None = None,
    out_of_fold: bool = False,
    level: float = 0.95,
) -> Estimate:
    """The difference of two AUROCs on the same rows, first minus second (DeLong, DeLong and Clarke-Pearson 1988).

    `first` and `second` are scores [n]; the rest is as in `delong`, so also twice the
    variance of scores out of fold, and the doubt where either separates the classes perfectly. p is of the
    two-sided test against 0.

        >>> y = [0, 0, 0, 0, 1, 1, 1, 1]
        >>> print(delong_difference([1, 2, 3, 5, 4, 6, 7, 8], [2, 6, 5, 4, 3, 7, 1, 8], y))
        0.375 [-0.115, 0.865] (n=8, DeLong paired)
    """
    from scipy.special import stdtr, stdtrit

    (one10, one01, y), (two10, two01, _) = _placements(first, labels), _placements(second, labels)
    tail, (units, member) = upper(level), clusters(groups, y.size)
    c = _covariance(np.stack([one10, two10]), np.stack([one01, two01]), y, None if groups is None else member)
    value = float(one10.mean() - two10.mean())
    kinds = {"clustered": groups is not None, "out of fold": out_of_fold}
    method = ", ".join(["DeLong paired", *(kind for kind, is_so in kinds.items() if is_so)])
    variance = float(c[0, 0] + c[1, 1] - 2 * c[0, 1]) * (2 if out_of_fold else 1)
    freedom, doubt = _freedom(y, None if groups is None else member)
    if any(side.mean() in (0.0, 1.0) for side in (one10, two10)):
        doubt = _SEPARATED
    if variance <= 1e-300:
        return Estimate(value, value, value, units, method, level, bounds=(-1, 1), doubt=doubt)
    if groups is None:
        freedom = math.inf
    half = float(stdtrit(freedom, tail)) * variance**0.5
    p = float(2 * stdtr(freedom, -abs(value) / variance**0.5))
    low, high = max(value - half, -1.0), min(value + half, 1.0)
    return Estimate(value, low, high, units, method, level, p=p, bounds=(-1, 1), doubt=doubt)


def area(scores: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """AUROC of each row of scores: [..., n] and labels [n] or [..., n] to [...]; ties count one half.

    For permutations and sweeps, where an interval each would cost more than it says. Raises ValueError
    where a class is empty.
    """
    from scipy.stats import rankdata

    x, y = np.broadcast_arrays(np.asarray(scores, dtype=float), np.asarray(labels, dtype=bool))
    m = y.sum(-1)
    n = y.shape[-1] - m
    if (m == 0).any() or (n == 0).any():
        raise ValueError("AUROC needs members of both classes")
    sums = (rankdata(x, axis=-1) * y).sum(-1)
    return np.asarray((sums - m * (m + 1) / 2) / (m * n))


def _placements(scores: ArrayLike, labels: ArrayLike) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Placement in [0, 1] of each member among the other class: [m] positives, [n] negatives; and the labels."""
    x, y = row(scores, "scores"), flags(labels)
    if x.shape != y.shape:
        raise ValueError(f"scores {x.shape} and labels {y.shape} must be two equally long rows")
    positive, negative = x[y], x[~y]
    m, n = positive.size, negative.size
    if m < 2 or n < 2:
        raise ValueError(f"AUROC needs two members of each class; there are {m} positive and {n} negative")
    return _below(positive, negative) / n, 1 - _below(negative, positive) / m, y


def _below(x: np.ndarray, others: np.ndarray) -> np.ndarray:
    """For each of x, how many of the others lie below it; ties count one half."""
    others = np.sort(others)
    return np.asarray((np.searchsorted(others, x, "left") + np.searchsorted(others, x, "right")) / 2)


def _freedom(y: np.ndarray, member: np.ndarray | None) -> tuple[float, str]:
    """Student's degrees of freedom by the class with fewer members, or with fewer effective groups; and the doubt."""
    if member is None:
        least, what = float(min(y.sum(), (~y).sum())), "members of one class"
    else:
        least = min(effective(np.bincount(member[side])) for side in (y, ~y))
        what = "groups that hold one of the classes, counting large ones for more"
    return max(least - 1, 1.0), too_few(least, what)


def _covariance(v10: np.ndarray, v01: np.ndarray, y: np.ndarray, member: np.ndarray | None) -> np.ndarray:
    """[s, s] covariance of s areas, from the placements of positives [s, m] and negatives [s, n]."""
    m, n = v10.shape[1], v01.shape[1]
    a, b = v10 - v10.mean(1, keepdims=True), v01 - v01.mean(1, keepdims=True)
    if member is None:
        return np.asarray(a @ a.T / (m * (m - 1)) + b @ b.T / (n * (n - 1)))
    k = int(member.max()) + 1
    # How far each group's placements lie from what its size would give.
    positive = np.stack([np.bincount(member[y], side, k) for side in a])
    negative = np.stack([np.bincount(member[~y], side, k) for side in b])
    held = [len(np.unique(member[y])), len(np.unique(member[~y])), k]
    scale = [h / max(h - 1, 1) for h in held]
    cross = positive @ negative.T
    return np.asarray(
        scale[0] * positive @ positive.T / m**2
        + scale[1] * negative @ negative.T / n**2
        + scale[2] * (cross + cross.T) / (m * n)
    )
