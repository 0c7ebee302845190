"""How sure can one be of a share, a mean, a difference, or any statistic? Intervals that hold their level."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike

from lab.estimate import Estimate


def proportion(successes: ArrayLike, n: int | None = None, *, level: float = 0.95) -> Estimate:
    """A share with Wilson's score interval (Wilson 1927).

    Parameters
    ----------
    successes
        Booleans, one a unit; or a count, with `n` units.
    level
        Coverage.

    Raises ValueError for no units.

        >>> print(proportion(81, 263))
        30.8 % [25.5 %, 36.6 %] (n=263, Wilson)
    """
    from scipy.stats import binomtest

    if n is None:
        flags = np.asarray(successes, dtype=bool)
        successes, n = int(flags.sum()), flags.size
    if n < 1:
        raise ValueError("a share needs at least one unit; there are none")
    k = int(np.asarray(successes))
    interval = binomtest(k, n).proportion_ci(level, method="wilson")
    # Wilson's centre is pulled inwards, so at k = 0 and k = n rounding may leave the share outside by 1e-17.
    return Estimate(k / n, min(interval.low, k / n), max(interval.high, k / n), n, "Wilson", level, unit="%")


def mean(values: ArrayLike, *, level: float = 0.95, unit: str = "") -> Estimate:
    """A mean with Student's interval; p is of the two-sided test against 0.

    Of paired data pass the differences. Constant values have an interval without width, which no
    verdict accepts. Raises ValueError for fewer than two values or NaN.

        >>> print(mean([1.0, 2.0, 3.0, 4.0]))
        2.5 [0.446, 4.554] (n=4, Student)
    """
    from scipy import stats

    x = np.asarray(values, dtype=float)
    if x.ndim != 1 or x.size < 2:
        raise ValueError(f"a mean with an interval needs at least two values in one row, not shape {x.shape}")
    if not np.isfinite(x).all():
        raise ValueError(f"{int((~np.isfinite(x)).sum())} of {x.size} values are not finite; drop or impute them first")
    centre, error = float(x.mean()), float(x.std(ddof=1) / np.sqrt(x.size))
    half = float(stats.t.ppf((1 + level) / 2, x.size - 1)) * error
    p = float(2 * stats.t.sf(abs(centre) / error, x.size - 1)) if error else None
    return Estimate(centre, centre - half, centre + half, x.size, "Student", level, p=p, unit=unit)


def paired_difference(first: ArrayLike, second: ArrayLike, *, level: float = 0.95) -> Estimate:
    """The difference of two shares measured on the same units, first minus second.

    The interval is Newcombe's square-and-add of the two Wilson intervals with the correlation of the
    pairs (Newcombe 1998, Statistics in Medicine 17: 2635, method 10); p is McNemar's exact test.

    Parameters
    ----------
    first, second
        Booleans of equal length, unit by unit.

        >>> print(paired_difference([1] * 9 + [0] * 21, [1] * 3 + [0] * 27))
        20 % [3.87 %, 36.5 %] (n=30, Newcombe paired)
    """
    from scipy.stats import binomtest

    a, b = np.asarray(first, dtype=bool), np.asarray(second, dtype=bool)
    if a.shape != b.shape or a.ndim != 1 or a.size < 1:
        raise ValueError(f"paired shares need two equally long rows, not shapes {a.shape} and {b.shape}")
    n = a.size
    n11, n10, n01, n00 = (int(x.sum()) for x in (a & b, a & ~b, ~a & b, ~a & ~b))
    one, two = proportion(a, level=level), proportion(b, level=level)
    margins = float(n11 + n10) * (n01 + n00) * (n11 + n01) * (n10 + n00)
    cross = n11 * n00 - n10 * n01
    phi = 0.0 if margins == 0 else (max(cross - n / 2, 0) if cross > 0 else cross) / np.sqrt(margins)
    low1, high1, low2, high2 = one.value - one.low, one.high - one.value, two.value - two.low, two.high - two.value
    difference = one.value - two.value
    low = difference - np.sqrt(max(low1**2 - 2 * phi * low1 * high2 + high2**2, 0))
    high = difference + np.sqrt(max(low2**2 - 2 * phi * low2 * high1 + high1**2, 0))
    p = binomtest(n10, n10 + n01).pvalue if n10 + n01 else 1.0
    return Estimate(difference, low, high, n, "Newcombe paired", level, p=float(p), unit="%")


def bootstrap(
    statistic: Callable[[np.ndarray], np.ndarray],
    n: int,
    *,
    groups: ArrayLike | None = None,
    seed: int,
    resamples: int = 2000,
    level: float = 0.95,
    unit: str = "",
) -> Estimate:
    """Any statistic of n rows, with a percentile bootstrap interval (Efron and Tibshirani 1993, chapter 13).

    Parameters
    ----------
    statistic
        Takes weights [m, n], how often each row was drawn in each of m resamples, and returns [m]
        numbers. A weighted mean is `lambda w: w @ x / w.sum(1)`.
    groups
        Labels [n]. Rows of one group are drawn together (cluster bootstrap), and `n` of the estimate
        counts groups: the units that were sampled independently.
    seed
        Of the resampling.

    Raises ValueError for fewer than two groups, or where the statistic is not finite on a resample.

        >>> x = np.array([1.0, 2.0, 4.0, 8.0, 16.0])
        >>> print(bootstrap(lambda w: w @ x / w.sum(1), 5, seed=0))
        6.2 [2, 11.4] (n=5, bootstrap)
    """
    labels = np.arange(n) if groups is None else np.asarray(groups)
    if labels.shape != (n,):
        raise ValueError(f"{n} rows need {n} group labels, not shape {labels.shape}")
    names, member = np.unique(labels, return_inverse=True)
    k = len(names)
    if k < 2:
        raise ValueError("a bootstrap needs at least two groups of rows to draw from")
    rng = np.random.default_rng(seed)
    draws = np.empty(resamples)
    for start in range(0, resamples, 256):  # in parts, so that the weights stay in the cache
        drawn = draws[start : start + 256]
        chosen = rng.integers(k, size=(len(drawn), k)) + k * np.arange(len(drawn))[:, None]
        counts = np.bincount(chosen.ravel(), minlength=k * len(drawn)).reshape(-1, k).astype(float)
        drawn[:] = statistic(counts[:, member])
    if not np.isfinite(draws).all():
        raise ValueError(f"the statistic was not finite on {int((~np.isfinite(draws)).sum())} of {resamples} resamples")
    value = float(statistic(np.ones((1, n)))[0])
    low, high = np.quantile(draws, [(1 - level) / 2, (1 + level) / 2])
    method = "bootstrap" if groups is None else "cluster bootstrap"
    # A percentile interval of a skewed statistic may leave the value out; it is then stretched to it.
    return Estimate(value, min(float(low), value), max(float(high), value), k, method, level, unit=unit)
