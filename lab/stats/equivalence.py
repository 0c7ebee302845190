"""Tests of whether a difference is small enough not to matter: two one-sided tests (TOST).

`student(x - y).within(low, high)` asks the same of a 95 % interval, that is with 2.5 % a side: it passes
exactly where `tost_paired(x, y, low, high, alpha=0.025)` rejects. These functions give the p-values, and
the customary 5 % a side.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from lab.estimate import Estimate
from lab.stats.checks import pair
from lab.stats.means import student, welch


@dataclass(frozen=True)
class Tost:
    """Two one-sided tests (Schuirmann 1987).

    Attributes
    ----------
    estimate
        The difference with its interval of level 1 - 2 alpha: wholly between the bounds exactly where
        p < alpha, so `tost.estimate.within(low, high)` is the test's verdict.
    p_lower
        Of "the difference is not above the lower bound".
    p_upper
        Of "the difference is not below the upper bound".
    p
        The larger of the two: of "the difference is not between the bounds". NaN, as both, where the
        values have no variation; nothing is then decided.
    """

    estimate: Estimate
    p_lower: float
    p_upper: float
    p: float


def tost_paired(x: ArrayLike, y: ArrayLike, low: float, high: float, *, alpha: float = 0.05, unit: str = "") -> Tost:
    """Is the mean of x - y, of pairs [n], between `low` and `high` (in the values' unit)? By paired t.

    Raises ValueError for bounds in the wrong order, fewer than two pairs, or NaN.

        >>> found = tost_paired([3.0, 4.1, 5.2, 6.0], [3.1, 4.0, 5.0, 6.1], -0.5, 0.5)
        >>> print(found.estimate, round(found.p, 4))
        0.025 [-0.152, 0.202] (n=4, Student, 90 %) 0.004
    """
    a, b = pair(x, y, "values of a TOST")
    return _tost(student(a - b, level=1 - 2 * _half(alpha), unit=unit), a.size - 1, low, high)


def tost_independent(
    x: ArrayLike, y: ArrayLike, low: float, high: float, *, alpha: float = 0.05, unit: str = ""
) -> Tost:
    """Is mean x - mean y, of separate samples [m] and [n], between `low` and `high`? By Welch's t.

    The bounds are in the values' unit. Raises ValueError as `tost_paired`.

        >>> found = tost_independent([3.0, 4.1, 5.2, 6.0], [3.1, 4.0, 5.0, 6.1], -2, 2)
        >>> print(found.estimate, round(found.p, 4))
        0.025 [-1.761, 1.811] (n=8, Welch, 90 %) 0.0376
    """
    estimate = welch(x, y, level=1 - 2 * _half(alpha), unit=unit)
    one, two = (np.var(side, ddof=1) / len(side) for side in (np.asarray(x, float), np.asarray(y, float)))
    m, n = np.size(x), np.size(y)
    freedom = (one + two) ** 2 / (one**2 / (m - 1) + two**2 / (n - 1)) if one + two else np.nan
    return _tost(estimate, float(freedom), low, high)


def _half(alpha: float) -> float:
    if not 0 < alpha < 0.5:
        raise ValueError(f"alpha of each one-sided test lies between 0 and 0.5, not at {alpha}")
    return alpha


def _tost(estimate: Estimate, freedom: float, low: float, high: float) -> Tost:
    """The two p-values, by the standard error that the interval was made of."""
    from scipy.special import stdtr, stdtrit

    if not low < high:
        raise ValueError(f"the lower bound of an equivalence must be below the upper one, not {low} and {high}")
    if estimate.without_width:
        return Tost(estimate, np.nan, np.nan, np.nan)
    error = (estimate.high - estimate.low) / 2 / float(stdtrit(freedom, (1 + estimate.level) / 2))
    lower = float(stdtr(freedom, -(estimate.value - low) / error))
    upper = float(stdtr(freedom, (estimate.value - high) / error))
    return Tost(estimate, lower, upper, max(lower, upper))
