"""Checks of the data that a statistic is given. Each is made once, where the data come in."""

from __future__ import annotations

import operator

import numpy as np
from numpy.typing import ArrayLike


def row(values: ArrayLike, what: str = "values", *, least: int = 1) -> np.ndarray:
    """[n] finite floats. Raises ValueError for another shape, fewer than `least`, or any that is not finite."""
    x = np.asarray(values, dtype=float)
    if x.ndim != 1 or x.size < least:
        wanted = {1: "at least one value", 2: "at least two values"}.get(least, f"at least {least} values")
        raise ValueError(f"{what} need {wanted} in one row, not shape {x.shape}")
    return finite(x, what)


def finite(x: np.ndarray, what: str = "values") -> np.ndarray:
    """`x` itself. Raises ValueError, with the count, where some of it is not finite."""
    if not np.isfinite(x).all():
        raise ValueError(f"{int((~np.isfinite(x)).sum())} of {x.size} {what} are not finite; drop or impute them first")
    return x


def pair(first: ArrayLike, second: ArrayLike, what: str = "values", *, least: int = 2) -> tuple[np.ndarray, np.ndarray]:
    """Two rows [n] that belong together, unit by unit. Raises ValueError for lengths that differ."""
    a, b = row(first, what, least=least), row(second, what, least=least)
    if a.shape != b.shape:
        raise ValueError(f"paired {what} must be of the same units, not {a.size} and {b.size} of them")
    return a, b


def flags(labels: ArrayLike, what: str = "labels") -> np.ndarray:
    """[n] booleans, from true and false or 0 and 1. Raises ValueError for anything else."""
    y = np.asarray(labels)
    if y.dtype != bool:
        known = np.isin(y, (0, 1))
        if not known.all():
            wrong = y[~known].tolist()[0]
            raise ValueError(f"{what} must be true or false (or 1 and 0), not values such as {wrong!r}")
        y = y.astype(bool)
    return y


def clusters(groups: ArrayLike | None, n: int, *, least: int = 2) -> tuple[int, np.ndarray]:
    """How many groups there are, and [n] the number of each row's own; every row is one where groups is None.

    Raises ValueError where labels do not match the rows, or there are fewer than `least` groups.
    """
    if groups is None:
        member = np.arange(n)
    else:
        labels = np.asarray(groups)
        if labels.shape != (n,):
            raise ValueError(f"{n} rows need {n} group labels, not shape {labels.shape}")
        member = np.unique(labels, return_inverse=True)[1].reshape(-1)
    k = int(member.max()) + 1 if n else 0
    if k < least:
        said = "two" if least == 2 else str(least)
        raise ValueError(f"there are {k} groups of rows (or single rows); at least {said} groups are needed")
    return k, member


def whole(what: str, given: int, least: int) -> None:
    """Raises ValueError for what is no whole number, or less than `least`."""
    try:
        number = operator.index(given)
    except TypeError:
        raise ValueError(f"{what} must be a whole number, not {given!r}") from None
    if number < least:
        raise ValueError(f"{what} must be at least {least}, not {number}")


def upper(level: float) -> float:
    """(1 + level) / 2, the quantile at the upper end of an interval. Raises ValueError for a level outside 0 to 1."""
    if not 0 < level < 1:
        raise ValueError(f"the level of an interval lies between 0 and 1, not at {level}; write 0.95 for 95 %")
    return (1 + level) / 2


def effective(sizes: np.ndarray) -> float:
    """How many equal groups would say as much as groups of these sizes [k]: (sum n)^2 / sum n^2.

    k where they are equal. Carter, Schnepel and Steigerwald (2017, Review of Economics and Statistics 99: 698)
    take it, for a mean, for the number of groups that Student's t can count on.
    """
    return float(sizes.sum() ** 2 / (sizes**2).sum())


def too_few(units: float, what: str, *, least: int = 5) -> str:
    """The doubt of an interval from fewer than `least` units, or none."""
    return f"there are only {units:.2g} {what}; an interval needs {least}" if units < least - 1e-9 else ""
