"""Similarity of two models without their massive dimensions, the few of huge variance."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from lab.studies.activations.representations import Representation, shuffled
from lab.studies.activations.shuffles import Chance, Layout, chance


@dataclass(frozen=True)
class Massive:
    """The massive dimensions of two sides, and what is left of their score without them.

    Attributes
    ----------
    dims
        Dimensions of each side that alone carry over 10 % of what a linear kernel sees (their share of
        the squared variances), and vary over 10 times as much as the median dimension.
    without
        The score without those dimensions; None where there are none, or nothing can be scored without them.
    note
        What a reader should know; empty where there are none.
    doubt
        The same where the score stands above 95 % of its null with them and not without.
    """

    dims: tuple[tuple[int, ...], tuple[int, ...]]
    without: float | None = None
    note: str = ""
    doubt: str = ""


def against_chance(
    first: Representation, second: Representation, texts: Layout, permutations: int, seed: int
) -> tuple[float, np.ndarray, Chance]:
    """A score, its null [permutations], and the one held against the other."""
    value = first.score(second)
    null = shuffled([first], [second], texts, permutations, np.random.default_rng([seed, 1]))[:, 0, 0]
    return value, null, chance(null, value)


def massive(
    a: np.ndarray,
    b: np.ndarray,
    represent: Callable[[np.ndarray], Representation],
    value: float,
    percentile: float,
    texts: Layout,
    permutations: int,
    seed: int,
) -> Massive:
    """Scores two sides [n, d1] and [n, d2], as laid out, again without their massive dimensions.

    `value` and `percentile` are of the score with them. Two unrelated models that share one massive dimension
    have an unbiased CKA of .9999, and the null does not show it: the dimension is truly shared.
    """
    dims = _of(a), _of(b)
    if not any(dims):
        return Massive(dims)
    told = f"massive dimensions {list(dims[0])} of the first and {list(dims[1])} of the second; without them "
    try:
        first, second = (represent(np.delete(side, some, 1)) for side, some in zip((a, b), dims, strict=True))
        without, _, left = against_chance(first, second, texts, permutations, seed)
    except ValueError as fault:  # as where some texts have no other dimension that is not 0
        return Massive(dims, None, told + str(fault), told + str(fault))
    told += f"the score is {without:.3g} instead of {value:.3g}"
    if not percentile > 0.95 >= left.percentile.value:
        return Massive(dims, without, told)
    told += f", above {100 * left.percentile.value:.3g} % of its null"
    return Massive(dims, without, told, told)


def _of(x: np.ndarray) -> tuple[int, ...]:
    """Dimensions that could give a linear CKA of 0.1 all alone, and are no mere member of a small set of equals."""
    variance = x.var(0)
    share = variance**2 / (variance**2).sum()
    typical = float(np.median(variance[variance > 0]))
    return tuple(int(i) for i in np.flatnonzero((share > 0.1) & (variance > 10 * typical)))
