"""Intervals of a mean, of the difference of two, and of a ratio."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from lab.estimate import Estimate
from lab.stats.checks import clusters, effective, pair, row, too_few, upper


def student(values: ArrayLike, *, groups: ArrayLike | None = None, level: float = 0.95, unit: str = "") -> Estimate:
    """A mean with Student's interval; p is of the two-sided test against 0.

    Of paired data pass the differences. Constant values have an interval without width, which no
    verdict accepts.

    Parameters
    ----------
    values
        [n]
    groups
        [n] labels of values that belong together (by item, by seed, by model). The standard error is then
        the cluster-robust one, each group's share of the variance over 1 - n_g/n (CR2; Bell and McCaffrey
        2002), which for k equal groups is the factor k/(k-1). Student's t has k* - 1 degrees of freedom,
        k* = (sum n_g)^2 / sum n_g^2 the effective number of groups (Carter, Schnepel and Steigerwald
        2017): all k where they are equal. `n` of the estimate counts the k groups; below 5 effective ones
        it is in doubt.

    Raises ValueError for fewer than two values or groups, or NaN.

        >>> print(student([1.0, 2.0, 3.0, 4.0]))
        2.5 [0.446, 4.554] (n=4, Student)
    """
    from scipy.special import stdtr, stdtrit

    x = row(values, "values of a mean", least=2)
    k, member = clusters(groups, x.size)
    centre = float(x.mean())
    tail, freedom, doubt = upper(level), float(k - 1), ""
    if groups is None:
        error = float(x.std(ddof=1) / np.sqrt(k))
    else:
        error, units = clustered(x - centre, member)
        freedom, doubt = max(units - 1, 1.0), too_few(units, "groups, counting large ones for more")
    half = float(stdtrit(freedom, tail)) * error
    p = float(2 * stdtr(freedom, -abs(centre) / error)) if error else None
    method = "Student" if groups is None else "Student, clustered"
    return Estimate(centre, centre - half, centre + half, k, method, level, p=p, unit=unit, doubt=doubt)


def clustered(residual: np.ndarray, member: np.ndarray) -> tuple[float, float]:
    """Standard error of a mean from residuals [n] and the group of each, and the effective number of groups."""
    sizes = np.bincount(member)
    share = sizes / residual.size
    return float(np.sqrt((np.bincount(member, residual) ** 2 / (1 - share)).sum()) / residual.size), effective(sizes)


def welch(first: ArrayLike, second: ArrayLike, *, level: float = 0.95, unit: str = "") -> Estimate:
    """The difference of the means of two separate samples, first minus second (Welch 1947).

    `n` counts both; p is of the two-sided test against 0. Of the same units take `student` of their
    differences instead. Raises ValueError for fewer than two values in either.

        >>> print(welch([5.0, 6.0, 7.0, 8.0], [1.0, 2.0, 3.0, 7.0]))
        3.25 [-0.686, 7.186] (n=8, Welch)
    """
    from scipy.special import stdtr, stdtrit

    tail = upper(level)
    a, b = row(first, "values of a mean", least=2), row(second, "values of a mean", least=2)
    one, two = float(a.var(ddof=1)) / a.size, float(b.var(ddof=1)) / b.size
    difference, error, n = float(a.mean() - b.mean()), float(np.sqrt(one + two)), a.size + b.size
    if not error:
        return Estimate(difference, difference, difference, n, "Welch", level, unit=unit)
    freedom = (one + two) ** 2 / (one**2 / (a.size - 1) + two**2 / (b.size - 1))
    half = float(stdtrit(freedom, tail)) * error
    p = float(2 * stdtr(freedom, -abs(difference) / error))
    return Estimate(difference, difference - half, difference + half, n, "Welch", level, p=p, unit=unit)


def ratio(
    numerator: ArrayLike,
    denominator: ArrayLike,
    *,
    groups: ArrayLike | None = None,
    level: float = 0.95,
    unit: str = "",
) -> Estimate:
    """The ratio of two means measured on the same units, with Fieller's interval (Fieller 1954).

    A ratio of means, not a mean of ratios: a single unit whose denominator is near 0 cannot carry it off.

    Parameters
    ----------
    numerator, denominator
        [n], unit by unit.
    groups
        [n] labels of units that belong together; sums by group then take the place of the units, and `n`
        of the estimate counts groups.

    Where the denominator's mean cannot be told from 0, a ratio has no finite interval: the estimate is in
    doubt, and no verdict on it decides. Raises ValueError for rows that do not match, or a denominator
    whose mean is 0.

        >>> print(ratio([2.0, 3.0, 4.0, 5.0], [4.1, 5.9, 8.2, 9.8]))
        0.5 [0.468, 0.52] (n=4, Fieller)
    """
    from scipy.special import stdtrit

    a, b = pair(numerator, denominator, "values of a ratio")
    k, member = clusters(groups, a.size)
    a, b = np.bincount(member, a, k), np.bincount(member, b, k)
    top, bottom = float(a.mean()), float(b.mean())
    if bottom == 0:
        raise ValueError("the denominator of a ratio has mean 0; there is no ratio")
    value, method = top / bottom, "Fieller" if groups is None else "Fieller, clustered"
    covariance = np.cov(a, b) / k
    t2 = float(stdtrit(k - 1, upper(level))) ** 2
    # (top - r bottom)^2 <= t2 Var(top - r bottom), a quadratic in r
    square, linear, constant = (
        bottom**2 - t2 * covariance[1, 1],
        top * bottom - t2 * covariance[0, 1],
        top**2 - t2 * covariance[0, 0],
    )
    if square <= 0:
        doubt = "the mean of its denominator cannot be told from 0, so the ratio has no finite interval"
        return Estimate(value, value, value, k, method, level, unit=unit, doubt=doubt)
    root = float(np.sqrt(max(linear**2 - square * constant, 0.0)))
    low, high = (linear - root) / square, (linear + root) / square
    return Estimate(value, min(low, value), max(high, value), k, method, level, unit=unit)
