"""Measures of how much of a scale answers use: divergence from the uniform distribution."""

from __future__ import annotations

import warnings
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from lab.estimate import Estimate
from lab.stats.checks import row


def kl_from_uniform(ratings: ArrayLike, scale: Sequence[float], seed: int = 0, *, level: float = 0.95) -> Estimate:
    """How far, in nats, are the answers from using every point of the scale alike? 0 to ln K of K points.

    The divergence of the answers' distribution from the uniform one, ln K - H, less (m - 1)/(2n) for the m
    points that occur (Miller and Madow 1955), and no less than 0. Never above ln K; exactly that where all
    answers are the same, and then in doubt: a parser that finds one number everywhere reads alike.

    The interval inverts a test: of distributions between the uniform one and the observed one, sharpened
    further (its powers), those of which 2.5 % of samples of n diverge as much, or as little, as the data. It
    holds 0 where 2.5 % of uniform samples do. Measured at K 5 and 7, n 10 to 200, six truths: on either side
    it misses the truth in at most 4 % (a bootstrap of the divergence in up to 59 %). p is the share of uniform
    samples that diverge as much.

    Parameters
    ----------
    ratings
        [n], one a task: answers to one task by many seeds are not n units.
    scale
        The declared points, as `[1, 2, 3, 4, 5]` or `range(1, 6)`. A pair `(1, 5)` stands for the whole
        numbers from one to the other where ratings lie between; where none does it is refused.
    seed
        Of the samples.

    Raises ValueError for ratings off the scale, listing them, and for NaN.

        >>> print(kl_from_uniform([3, 4, 4, 4, 5, 4, 4, 2, 4, 4], range(1, 6)))
        0.519 nats [0.0477, 1.189] (n=10, KL, test inversion)
    """
    from scipy.special import xlogy

    counts = _counts(ratings, scale)
    n, k, plugin = int(counts.sum()), counts.size, _kl(counts)
    most = float(np.log(k))
    occupied = int((counts > 0).sum())
    value = most if occupied == 1 else max(float(plugin) - (occupied - 1) / (2 * n), 0.0)
    powers = np.concatenate([[0.0], np.geomspace(0.05, 8, 23)])
    family = np.exp(np.outer(powers, np.log(counts + 0.5)))
    family /= family.sum(1, keepdims=True)
    truths = most + xlogy(family, family).sum(1)
    drawn = _kl(np.random.default_rng(seed).multinomial(n, family[:, None], size=(len(powers), _SAMPLES)))
    above, below = (drawn >= plugin - 1e-12).mean(1), (drawn <= plugin + 1e-12).mean(1)
    low = _crossing(above, truths, (1 - level) / 2, 0.0)
    high = _crossing(below[::-1], truths[::-1], (1 - level) / 2, most)
    p = (1 + above[0] * _SAMPLES) / (1 + _SAMPLES)
    doubt = "every answer is the same" if occupied == 1 else ""
    return Estimate(
        value,
        min(low, value),
        max(high, value),
        n,
        "KL, test inversion",
        level,
        p=p,
        unit="nats",
        bounds=(0, most),
        doubt=doubt,
    )


_SAMPLES = 1000
"""Samples at each of the 24 distributions."""


def _crossing(tail: np.ndarray, truths: np.ndarray, alpha: float, end: float) -> float:
    """Where along the truths the tail first rises above alpha; `end` where it does so at once."""
    risen = np.flatnonzero(tail > alpha)
    if not risen.size:
        return float(truths[-1])
    at = int(risen[0])
    return end if at == 0 else float(np.interp(alpha, tail[at - 1 : at + 1], truths[at - 1 : at + 1]))


def kl_plugin(ratings: ArrayLike, scale: Sequence[float]) -> float:
    """`kl_from_uniform` without correction: ln K - H of the observed shares, in nats. Too large by about `kl_bias`.

    >>> bits = kl_plugin([1, 1, 2, 3, 1, 2, 4, 1], range(1, 5)) / np.log(2)  # 2 bits less an entropy of 1.75
    >>> round(float(bits), 12)
    0.25
    """
    return float(_kl(_counts(ratings, scale)))


def kl_bias(n: int, k: int) -> float:
    """By how much `kl_plugin` of n answers on k points is too large when all are used alike: (k - 1)/(2n) nats.

    To first order (Miller 1955); measured 0.166 for n = 20, k = 7, and 0.36 for n = 10, where this gives 0.3.

        >>> kl_bias(20, 7)
        0.15
    """
    if n < 1 or k < 2:
        raise ValueError(f"the bias needs at least one answer and two points, not {n} and {k}")
    return (k - 1) / (2 * n)


def kl_observed_range(ratings: ArrayLike, scale: Sequence[float] | None = None) -> float:
    """The divergence from uniform over the range that was observed, in nats: for comparison with results that used it.

    Ratings are rounded, the bins are every integer from the lowest to the highest observed, shares are
    clipped at 1e-10; NaN where all ratings are equal. One stray rating stretches the range: of ratings on 1 to
    5 an 850 makes it 5 and more, above ln 5. With a declared scale a range beyond it is warned of.

    Raises ValueError for no ratings, or NaN.

        >>> round(kl_observed_range([1, 2, 2, 3]), 4)
        0.0589
    """
    rounded = np.rint(row(ratings, "ratings")).astype(int)
    least, most = int(rounded.min()), int(rounded.max())
    if scale is not None and (least < min(scale) or most > max(scale)):
        warnings.warn(
            f"ratings from {least} to {most} exceed the declared scale {min(scale):g} to {max(scale):g}; "
            "the divergence over the observed range means nothing then",
            stacklevel=2,
        )
    if least == most:
        return float("nan")
    shares = np.clip(np.bincount(rounded - least) / rounded.size, 1e-10, None)
    return float((shares * np.log(shares * shares.size)).sum())


def _counts(ratings: ArrayLike, scale: Sequence[float]) -> np.ndarray:
    """[K] how often each point of the scale was given."""
    if np.ndim(scale) != 1:
        raise ValueError(f"a scale is the row of its points, as range(1, 6), not {scale!r}")
    x = row(ratings, "ratings")
    points = np.unique(row(list(scale), "points of a scale", least=2))
    if isinstance(scale, tuple) and len(scale) == 2 and points[-1] - points[0] > 1:
        every = np.arange(points[0], points[-1] + 1)
        if not ((points[0] < x) & (x < points[-1])).any():
            raise ValueError(
                f"{scale} may be two points or the ends of {every.size}; write {list(scale)} or {every.tolist()}"
            )
        points = every
    if points.size < 2:
        raise ValueError("a scale needs at least two points")
    nearest = np.abs(x[:, None] - points).argmin(1)
    strays = np.unique(x[np.abs(points[nearest] - x) > 1e-9])
    if strays.size:
        raise ValueError(
            f"ratings off the scale {points[0]:g} to {points[-1]:g}: {', '.join(f'{s:g}' for s in strays[:10])}"
            f"{', ...' if strays.size > 10 else ''}; a parser's error is no answer, so drop or reread them first"
        )
    return np.bincount(nearest, minlength=points.size).astype(float)


def _kl(counts: np.ndarray) -> np.ndarray:
    """[..., K] counts to ln K - H [...], in nats."""
    from scipy.special import xlogy

    shares = counts / counts.sum(-1, keepdims=True)
    return np.asarray(np.log(counts.shape[-1]) + xlogy(shares, shares).sum(-1))
