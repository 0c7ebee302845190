"""Intervals of a share, and of the difference of two."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike

from lab.estimate import Estimate
from lab.stats.checks import clusters, flags, too_few, upper
from lab.stats.means import clustered


def wilson(
    successes: ArrayLike, n: int | None = None, *, groups: ArrayLike | None = None, level: float = 0.95
) -> Estimate:
    """A share with Wilson's score interval (Wilson 1927).

    (k + z^2/2 -+ z sqrt(k(n - k)/n + z^2/4)) / (n + z^2), z the normal quantile of the level.

    Parameters
    ----------
    successes
        Booleans, one a unit; or a count, with `n` units.
    groups
        [n] labels of units that belong together; `n` of the estimate counts groups. The interval is then
        Wilson's of n / D units, with Student's quantile instead of z (Korn and Graubard 1998, Survey
        Methodology 24: 193, for the exact interval). D, the design effect, is the variance clustered as in
        `student` over p(1 - p)/(n - 1), or 1 + (sum n_g^2 / n - 1) ICC by analysis of variance (Kish 1965),
        whichever is larger, and at least 1: with 30 groups of 60, 30, 20 ... units and a share of 90 % the
        first alone was wholly above the truth in 6.3 % of experiments, both together in 1.9 %. Degrees of
        freedom and doubt are those of `student`. A share of 0 or 1 tells of no design effect: each
        effective group then counts as one unit.
    level
        Coverage.

    Of fewer than 5 units in doubt: 4 of 4 lie wholly above a share of 0.5 by it, which happens in 6.3 % of experiments.
    A bar nearer to 0 or 1 than a few units in n is for `clopper_pearson`: one success of n lies wholly above 0.17 / n
    by Wilson's interval, and 16 % of experiments with that share have one.

    Raises ValueError for no units, or a count that is none or outside 0 to n.

        >>> print(wilson(81, 263))
        30.8 % [25.5 %, 36.6 %] (n=263, Wilson)
    """
    from scipy.special import ndtri, stdtrit

    tail = upper(level)
    if groups is None:
        k, n = _count(successes, n)
        ends, doubt = _score(k, n, float(ndtri(tail))), too_few(n, "units")
        return Estimate(k / n, *ends, n, "Wilson", level, unit="%", bounds=(0, 1), doubt=doubt)
    told = flags(successes, "successes")
    units, member = clusters(groups, told.size)
    share = float(told.mean())
    error, equal = clustered(told - share, member)
    single = share * (1 - share) / (told.size - 1)
    among = told.size / max(error**2 / single, _design_effect(told, member), 1.0) if single else equal
    low, high = _score(share * among, among, float(stdtrit(max(equal - 1, 1.0), tail)))
    doubt = too_few(equal, "groups, counting large ones for more")
    return Estimate(share, low, high, units, "Wilson, clustered", level, unit="%", bounds=(0, 1), doubt=doubt)


def _design_effect(told: np.ndarray, member: np.ndarray) -> float:
    """1 + (sum n_g^2 / n - 1) ICC, with the ICC(1) of unequal groups by analysis of variance."""
    sizes = np.bincount(member)
    n, k, size = told.size, sizes.size, float((sizes**2).sum()) / told.size
    if n == k:
        return 1.0
    means = np.bincount(member, told) / sizes
    between = float((sizes * (means - told.mean()) ** 2).sum()) / (k - 1)
    within = float(((told - means[member]) ** 2).sum()) / (n - k)
    typical = (n - size) / (k - 1)
    return 1 + (size - 1) * (between - within) / (between + (typical - 1) * within)


def _score(k: float, n: float, z: float) -> tuple[float, float]:
    """Wilson's interval of k successes of n, for the quantile z."""
    centre, half = k + z * z / 2, z * math.sqrt(k * (n - k) / n + z * z / 4)
    # At k = 0 and k = n one end is the share itself, which rounding misses by 1e-17.
    return (centre - half) / (n + z * z) if k else 0.0, (centre + half) / (n + z * z) if k < n else 1.0


def clopper_pearson(successes: ArrayLike, n: int | None = None, *, level: float = 0.95) -> Estimate:
    """A share with the exact interval (Clopper and Pearson 1934), which never covers less than its level.

    Wider than Wilson's; where a share near 0 or 1 must not be overstated at any n, it is the one to use.
    Its ends are quantiles of Beta(k, n - k + 1) and Beta(k + 1, n - k). Parameters and errors as `wilson`.

        >>> print(clopper_pearson(0, 20))
        0 % [0 %, 16.8 %] (n=20, Clopper-Pearson)
    """
    from scipy.special import betainccinv, betaincinv

    k, n = _count(successes, n)
    tail = 1 - upper(level)
    low = float(betaincinv(k, n - k + 1, tail)) if k else 0.0
    high = float(betainccinv(k + 1, n - k, tail)) if k < n else 1.0
    return Estimate(k / n, low, high, n, "Clopper-Pearson", level, unit="%", bounds=(0, 1))


def _count(successes: ArrayLike, n: int | None) -> tuple[int, int]:
    """How many successes of how many units."""
    if n is None:
        told = flags(successes, "successes")
        successes, n = int(told.sum()), told.size
    if n < 1:
        raise ValueError("a share needs at least one unit; there are none")
    count = float(np.asarray(successes))
    if not 0 <= count <= n:
        raise ValueError(f"{count:g} successes of {n} units is no share")
    k = round(count)
    if k != count:
        raise ValueError(
            f"{count:g} is no count of successes; pass {round(count * n) if count < 1 else k}, or booleans"
        )
    return k, n


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
    from scipy.special import bdtr

    a, b = flags(first, "paired shares"), flags(second, "paired shares")
    if a.shape != b.shape or a.ndim != 1 or a.size < 1:
        raise ValueError(f"paired shares need two equally long rows, not shapes {a.shape} and {b.shape}")
    n = a.size
    n11, n10, n01, n00 = (int(x.sum()) for x in (a & b, a & ~b, ~a & b, ~a & ~b))
    one, two = wilson(a, level=level), wilson(b, level=level)
    margins = float(n11 + n10) * (n01 + n00) * (n11 + n01) * (n10 + n00)
    cross = n11 * n00 - n10 * n01
    phi = 0.0 if margins == 0 else (max(cross - n / 2, 0) if cross > 0 else cross) / np.sqrt(margins)
    low1, high1, low2, high2 = one.value - one.low, one.high - one.value, two.value - two.low, two.high - two.value
    difference = one.value - two.value
    low = difference - np.sqrt(max(low1**2 - 2 * phi * low1 * high2 + high2**2, 0))
    high = difference + np.sqrt(max(low2**2 - 2 * phi * low2 * high1 + high1**2, 0))
    p = min(2 * float(bdtr(min(n10, n01), n10 + n01, 0.5)), 1.0)
    doubt = too_few(n, "pairs")
    return Estimate(difference, low, high, n, "Newcombe paired", level, p=p, unit="%", bounds=(-1, 1), doubt=doubt)


def unpaired_difference(first: ArrayLike, second: ArrayLike, *, level: float = 0.95) -> Estimate:
    """The difference of two shares measured on different units, first minus second.

    Newcombe's square-and-add of the two Wilson intervals (1998, Statistics in Medicine 17: 873, method
    10); p is Fisher's exact test. `n` counts both.

        >>> print(unpaired_difference([1] * 56 + [0] * 14, [1] * 48 + [0] * 32))
        20 % [5.24 %, 33.4 %] (n=150, Newcombe)
    """
    from scipy.stats import fisher_exact

    a, b = flags(first, "shares"), flags(second, "shares")
    one, two = wilson(a, level=level), wilson(b, level=level)
    difference = one.value - two.value
    low = difference - np.hypot(one.value - one.low, two.high - two.value)
    high = difference + np.hypot(one.high - one.value, two.value - two.low)
    p = fisher_exact([[int(a.sum()), int((~a).sum())], [int(b.sum()), int((~b).sum())]]).pvalue
    n, doubt = one.n + two.n, one.doubt or two.doubt
    return Estimate(difference, low, high, n, "Newcombe", level, p=float(p), unit="%", bounds=(-1, 1), doubt=doubt)
