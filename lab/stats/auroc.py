"""How well do scores separate two classes? AUROC with DeLong's interval."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from lab.estimate import Estimate
from lab.stats.intervals import proportion


def auroc(
    scores: ArrayLike,
    labels: ArrayLike,
    *,
    groups: ArrayLike | None = None,
    out_of_fold: bool = False,
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
        (1997, Biometrics 53: 567), and `n` of the estimate counts groups.
    out_of_fold
        Whether the scores come from cross-validation, pooled over folds. Two rows of different folds
        then meet twice, each having taught the probe that scored the other, so the variance is twice
        DeLong's. Measured on pure noise (600 rows, base rate 25 %, 16 or 64 features): standard
        deviation 1.41 to 1.43 of DeLong's, coverage of its 95 % interval 83 to 85 %, with twice the
        variance 94 to 98 %; with a signal, 1.39 to 1.61 and 94 to 95 %.

    p is of the two-sided test against 0.5. Perfect separation has no DeLong variance: its interval is
    then Wilson's for the smaller class, as if each of its members had been one success.

    Raises ValueError where a class has fewer than two members, or for NaN.

        >>> print(auroc([0.1, 0.4, 0.35, 0.8, 0.7, 0.2], [0, 0, 1, 1, 1, 0]))
        0.889 [0.581, 1] (n=6, DeLong)
    """
    from scipy import stats

    x, y = np.asarray(scores, dtype=float), np.asarray(labels, dtype=bool)
    if x.shape != y.shape or x.ndim != 1:
        raise ValueError(f"scores {x.shape} and labels {y.shape} must be two equally long rows")
    if not np.isfinite(x).all():
        raise ValueError("a score is not finite")
    positive, negative = x[y], x[~y]
    m, n = positive.size, negative.size
    if m < 2 or n < 2:
        raise ValueError(f"AUROC needs two members of each class; there are {m} positive and {n} negative")
    ranks = stats.rankdata(np.concatenate([positive, negative]))
    # Placement of each member among the other class, in [0, 1].
    v10 = (ranks[:m] - stats.rankdata(positive)) / n
    v01 = 1 - (ranks[m:] - stats.rankdata(negative)) / m
    area = float(v10.mean())
    units = m + n if groups is None else len(np.unique(groups))
    variance = _variance(v10, v01, area, y, groups) * (2 if out_of_fold else 1)
    if variance == 0:
        if area not in (0.0, 1.0):  # all scores tied
            return Estimate(area, area, area, units, "DeLong", level)
        least = proportion(int(area * min(m, n)), min(m, n), level=level)
        return Estimate(area, least.low, least.high, units, "Wilson, smaller class", level)
    z = float(stats.norm.ppf((1 + level) / 2)) * variance**0.5
    p = float(2 * stats.norm.sf(abs(area - 0.5) / variance**0.5))
    method = "DeLong" + (", clustered" if groups is not None else "") + (", out of fold" if out_of_fold else "")
    return Estimate(area, max(area - z, 0.0), min(area + z, 1.0), units, method, level, p=p)


def _variance(v10: np.ndarray, v01: np.ndarray, area: float, y: np.ndarray, groups: ArrayLike | None) -> float:
    """Variance of the area from the placements of positives [m] and negatives [n]."""
    m, n = v10.size, v01.size
    if groups is None:
        return float(v10.var(ddof=1) / m + v01.var(ddof=1) / n)
    member = np.unique(np.asarray(groups), return_inverse=True)[1]
    k = member.max() + 1
    if member.shape != y.shape or k < 2:
        raise ValueError("AUROC of clustered rows needs a group label for each row, and two groups")
    # How far each group's placements lie from what its size would give.
    positive = np.bincount(member[y], v10 - area, minlength=k)
    negative = np.bincount(member[~y], v01 - area, minlength=k)
    holds_positive, holds_negative = len(np.unique(member[y])), len(np.unique(member[~y]))
    scale = [held / max(held - 1, 1) for held in (holds_positive, holds_negative, k)]
    return float(
        scale[0] * (positive**2).sum() / m**2
        + scale[1] * (negative**2).sum() / n**2
        + 2 * scale[2] * (positive * negative).sum() / (m * n)
    )
