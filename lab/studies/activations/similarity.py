"""Measures of how similarly two models represent the same texts, each beside what chance would give.

    >>> rng = np.random.default_rng(0)
    >>> truth = rng.normal(size=(100, 4))
    >>> x, y = (truth @ rng.normal(size=(4, 30)) + rng.normal(size=(100, 30)) for _ in range(2))
    >>> found = cka(x, y)
    >>> print(found.percentile > 0.95)
    PASS: 100 % [99.6 %, 100 %] (n=1000, Clopper-Pearson over permutations) is above 95 %

A score alone says nothing: linear CKA of unrelated activations is .81 at n = 200 with 768 and 1024
dimensions, and CCA is 1. So every result carries its null, made by pairing the texts of one side anew,
and `percentile > 0.95` or `excess > 0` is the claim to test. The null protects against what a measure
finds between unrelated texts; it does not protect against a trivial thing that both models hold (the
length of a text): for that give `ridge_correlation` its `covariates`. Where something trivial is seen, as
texts that stand twice, a model compared with itself, or massive dimensions alone, the estimates are in doubt.

The interval of a score is a delete-a-block jackknife over 20 blocks of groups, see `shuffles.jackknife`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import ArrayLike

from lab.estimate import Estimate
from lab.stats.threads import one_thread
from lab.studies.activations.layers import LayerSearch, search
from lab.studies.activations.massive import against_chance, massive
from lab.studies.activations.representations import KINDS, doubt, left_out, repeated, same, sides
from lab.studies.activations.ridge import RidgeCorrelation, ridge_correlation
from lab.studies.activations.shuffles import Scored, enough, jackknife, layout, over

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = [
    "LayerSearch",
    "RidgeCorrelation",
    "Similarity",
    "cka",
    "cknna",
    "mutual_knn",
    "procrustes",
    "ridge_correlation",
    "rsa",
    "search",
    "svcca",
]


@dataclass(frozen=True)
class Similarity(Scored):
    """How alike two sets of activations are, and how alike chance would have made them.

    Attributes
    ----------
    score
        The measure, with an interval over texts or groups; p is that of the permutations.
    null
        [permutations] the measure with the pairing of whole groups of texts shuffled.
    null_95, percentile, calibrated
        See `shuffles.Chance`: `percentile > 0.95` is the test that two models share more than chance.
    excess
        The score less `null_95`.
    outliers
        Massive dimensions of each side, see `massive.Massive`.
    without_outliers
        The score without those dimensions; None where there are none, or nothing can be scored without them.
        Where it is no longer above 95 % of its own null, the estimates are in doubt.
    constant_dims
        Dimensions of each side that do not vary at all.
    notes
        What a reader should know before he believes the score.
    """

    measure: str
    score: Estimate
    null: np.ndarray
    null_95: float
    percentile: Estimate
    excess: Estimate
    calibrated: float
    outliers: tuple[tuple[int, ...], tuple[int, ...]]
    without_outliers: float | None
    constant_dims: tuple[int, int]
    notes: tuple[str, ...]

    def plot(self, ax: Axes) -> None:
        """The null as a histogram, and the score with its interval beside it."""
        ax.hist(self.null, bins=40, color="0.75", label=f"{len(self.null)} shuffled pairings")
        ax.axvline(self.null_95, color="0.4", linestyle=":", label=f"their 95 %: {self.null_95:.3f}")
        ax.axvspan(self.score.low, self.score.high, color="C0", alpha=0.2)
        ax.axvline(self.value, color="C0", label=f"observed: {self.value:.3f}, p = {self.p:.3g}")
        if self.without_outliers is not None:
            label = f"without outlier dimensions: {self.without_outliers:.3f}"
            ax.axvline(self.without_outliers, color="C1", linestyle="--", label=label)
        ax.set(xlabel=self.measure, ylabel="pairings", title=f"{self.measure} against chance (n={self.score.n})")
        ax.legend(fontsize=7)


@one_thread
def cka(
    x: ArrayLike,
    y: ArrayLike,
    *,
    unbiased: bool = True,
    permutations: int = 1000,
    groups: ArrayLike | None = None,
    seed: int = 0,
) -> Similarity:
    """Linear centred kernel alignment (Kornblith, Norouzi, Lee and Hinton 2019).

    Parameters
    ----------
    x, y
        Activations [n, d1] and [n, d2] of the same n texts, at least 20.
    unbiased
        With HSIC_1 of Song et al. 2012 (equation 5), whose null is about 0 for any n and d. The biased
        one, ||X'Y||^2 / (||X'X|| ||Y'Y||), has sqrt(d1 d2 / ((d1 + n)(d2 + n))) for unrelated Gaussians.
    permutations, seed
        Size of the null, at least 19, and of its randomness and of the jackknife's blocks.
    groups
        [n] labels of texts that are no independent draws, as those of one family. Whole groups are
        permuted and left out, and the n of the estimates counts them; at least 5. Groups of one size are
        cheap; where sizes differ, every permutation computes the second side anew (30 ms at n = 1000).

    In doubt are: two sides that are the same (a score of 1), texts that stand twice on both sides in
    different groups, and a score that only massive dimensions lift above chance.

    Raises ValueError for activations that do not match, hold NaN, do not vary, or are fewer than 20, and
    for fewer than 19 permutations.
    """
    name, bounds = ("CKA, unbiased", (-1.0, 1.0)) if unbiased else ("CKA, biased", (0.0, 1.0))
    return _compare(name, "cka", {"unbiased": unbiased}, x, y, permutations, groups, seed, bounds)


@one_thread
def svcca(
    x: ArrayLike,
    y: ArrayLike,
    *,
    keep: int | float = 10,
    permutations: int = 1000,
    groups: ArrayLike | None = None,
    seed: int = 0,
) -> Similarity:
    """Mean canonical correlation of the leading principal components (Raghu, Gilmer, Yosinski and Sohl-Dickstein 2017).

    Dimensions are standardised, as in platonic-rep; the canonical correlations are singular values, not
    an iteration's, so the same data give the same digits.

    Parameters
    ----------
    keep
        How many components of each side; or, below 1, the share of variance they shall hold (0.99).

    The rest is as in `cka`. Where the components of both sides number n or more, canonical correlations
    are 1 whatever the data, and the score is in doubt.
    """
    return _compare("SVCCA", "svcca", {"keep": keep}, x, y, permutations, groups, seed, (0.0, 1.0))


@one_thread
def mutual_knn(
    x: ArrayLike,
    y: ArrayLike,
    *,
    k: int = 10,
    permutations: int = 1000,
    groups: ArrayLike | None = None,
    seed: int = 0,
) -> Similarity:
    """Share of each text's k nearest texts that two models agree on (Huh, Cheung, Wang and Isola 2024).

    Nearest by cosine, the text itself excluded. Unrelated activations agree on k / (n - 1), so scores at
    different n do not compare; `calibrated` does. Equally near texts are taken in random order, and
    activations of one dimension are refused: a cosine sees nothing but their sign. The rest is as in `cka`.
    """
    return _compare(f"mutual {k}-NN", "mutual_knn", {"k": k}, x, y, permutations, groups, seed, (0.0, 1.0))


@one_thread
def cknna(
    x: ArrayLike,
    y: ArrayLike,
    *,
    k: int = 10,
    permutations: int = 1000,
    groups: ArrayLike | None = None,
    seed: int = 0,
) -> Similarity:
    """Kernel alignment of the nearest neighbours that two models agree on (CKNNA; Huh et al. 2024, appendix A).

    As platonic-rep computes it, unbiased, on rows of length 1, but without its 1e-6 in the denominator.
    Parameters are those of `mutual_knn`. Neighbourhood is not mutual, so that HSIC is of matrices that are
    not symmetric: which side is first moves the score (by .006 at n = 40), and 1 is no strict upper bound.
    """

    return _compare(f"CKNNA, k = {k}", "cknna", {"k": k}, x, y, permutations, groups, seed, None)


@one_thread
def rsa(
    x: ArrayLike,
    y: ArrayLike,
    *,
    kind: Literal["Spearman", "Pearson"] = "Spearman",
    permutations: int = 1000,
    groups: ArrayLike | None = None,
    seed: int = 0,
) -> Similarity:
    """Correlation of the two matrices of distances between texts (Kriegeskorte, Mur and Bandettini 2008).

    A distance is 1 - Pearson's r of two texts' activations; the null is Mantel's (1967). The rest is as
    in `cka`.
    """
    return _compare(f"RSA, {kind}", "rsa", {"kind": kind}, x, y, permutations, groups, seed, (-1.0, 1.0))


@one_thread
def procrustes(
    x: ArrayLike,
    y: ArrayLike,
    *,
    permutations: int = 100,
    groups: ArrayLike | None = None,
    seed: int = 0,
) -> Similarity:
    """How well one cloud of texts can be turned onto the other: ||X'Y||_* / (||X|| ||Y||), centred (Schoenemann 1966).

    Its square is 1 less scipy's Procrustes disparity. Every permutation costs the singular values of a
    [d1, d2] matrix, so the null is small by default. The rest is as in `cka`.
    """
    return _compare("Procrustes", "procrustes", {}, x, y, permutations, groups, seed, (0.0, 1.0))


def _compare(
    measure: str,
    kind: str,
    options: dict[str, Any],
    x: ArrayLike,
    y: ArrayLike,
    permutations: int,
    groups: ArrayLike | None,
    seed: int,
    bounds: tuple[float, float] | None,
) -> Similarity:
    enough(permutations)
    a, b = sides(x, y)
    represent = partial(KINDS[kind], **options)
    texts = layout(len(a), groups, seed)
    a, b = a[texts.order], b[texts.order]
    first, second = represent(a), represent(b)

    value, null, found = against_chance(first, second, texts, permutations, seed)
    score = jackknife(value, left_out(first, second, texts), texts, bounds)
    why = doubt(first, second) or same(value) or repeated(a, b, texts.member)
    lifted = massive(a, b, represent, value, found.percentile.value, texts, permutations, seed)
    notes = tuple(note for note in (why, lifted.note) if note)
    why = why or lifted.doubt
    score = replace(score, p=found.p, doubt=why)
    return Similarity(
        measure=measure,
        score=score,
        null=null,
        null_95=found.null_95,
        percentile=replace(found.percentile, doubt=why),
        excess=over(score, found.null_95),
        calibrated=found.calibrated,
        outliers=lifted.dims,
        without_outliers=lifted.without,
        constant_dims=(int((np.ptp(a, axis=0) == 0).sum()), int((np.ptp(b, axis=0) == 0).sum())),
        notes=notes,
    )
