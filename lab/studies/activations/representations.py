"""Representations of activations, one kind for each measure of similarity, and their comparison.

Every kind has the same three verbs: `take` some of its texts, `score` against another, and `permuted`,
the scores with the other's texts in other orders. A score needs no permutation of activations: pairs,
neighbours and directions are computed once and then looked up in another order.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Protocol, Self

import numpy as np
from numpy.typing import ArrayLike

from lab.stats.checks import finite
from lab.studies.activations.shuffles import Layout

_PART = 1 << 20
"""Numbers looked up at a time."""


class Representation(Protocol):
    """The activations of n texts, as one measure sees them."""

    def take(self, rows: np.ndarray) -> Self:
        """The same of some of the texts, or of texts in another order, with repeats."""
        ...

    def score(self, other: Any) -> float:
        """How alike the two are, 1 at best."""
        ...

    def permuted(self, other: Any, orders: np.ndarray) -> np.ndarray:
        """[m] the score with the other's texts in each of the orders [m, n], none of them repeated."""
        ...


@dataclass(frozen=True)
class Centring:
    """How a matrix of pairs is centred before two are compared.

    Attributes
    ----------
    apply
        [n, n] to the same, centred.
    inner
        The inner product of two centred matrices from what is summed before: the sum of products of
        elements, the sum of products of row sums, the product of the sums, and n. None where centring
        is not linear.
    diagonal
        Whether the diagonal counts.
    """

    apply: Callable[[np.ndarray], np.ndarray]
    inner: Callable[[np.ndarray, np.ndarray, np.ndarray, np.ndarray], np.ndarray] | None
    diagonal: bool


@dataclass(frozen=True)
class Pairs:
    """A number for each pair of texts: a kernel or a distance. Two are compared by their cosine once centred.

    Linear CKA (Kornblith 2019) is this with doubly centred kernels, unbiased CKA with U-centred ones (the
    inner product is then HSIC_1 of Song 2012; Szekely and Rizzo 2014), and RSA with centred distances.
    """

    raw: np.ndarray
    centring: Centring

    @cached_property
    def unit(self) -> np.ndarray:
        """[n, n] centred and of length 1."""
        centred = self.centring.apply(self.raw)
        length = float(np.linalg.norm(centred))
        if length <= 1e-12 * max(float(np.abs(self.raw).max()), 1e-300) * len(centred):
            raise ValueError("all texts are equally alike on one side, so there is nothing to compare; drop it")
        centred /= length
        return centred

    def take(self, rows: np.ndarray) -> Pairs:
        return replace(self, raw=self.raw.take(rows, 0).take(rows, 1))

    def score(self, other: Pairs) -> float:
        return float(np.vdot(self.unit, other.unit))

    def permuted(self, other: Pairs, orders: np.ndarray) -> np.ndarray:
        return np.array([np.vdot(self.unit, other.unit[np.ix_(order, order)]) for order in orders])


@dataclass(frozen=True)
class Neighbours:
    """The k nearest of each text by cosine, itself excluded (Huh, Cheung, Wang and Isola 2024).

    Mutual k-NN counts the neighbours that two models agree on; `weighted` is CKNNA, unbiased HSIC of the
    cosines of those neighbours alone.

    Attributes
    ----------
    likeness
        [n, n] cosines.
    nearness
        [n, n] the order of the cosines, without ties.
    """

    likeness: np.ndarray
    nearness: np.ndarray
    k: int
    weighted: bool

    @cached_property
    def near(self) -> np.ndarray:
        """[n, k] the nearest texts of each."""
        others = self.nearness.copy()
        np.fill_diagonal(others, -np.inf)
        return np.argpartition(others, -self.k, axis=1)[:, -self.k :].astype(np.int32)

    @cached_property
    def mask(self) -> np.ndarray:
        """[n, n] whether the second is one of the nearest of the first."""
        mask = np.zeros(self.likeness.shape, dtype=bool)
        np.put_along_axis(mask, self.near, True, axis=1)
        return mask

    @cached_property
    def own(self) -> float:
        """HSIC with itself."""
        return float(self._hsic(self, np.arange(len(self.near), dtype=np.int32)[None])[0])

    def take(self, rows: np.ndarray) -> Neighbours:
        likeness, nearness = (pairs.take(rows, 0).take(rows, 1) for pairs in (self.likeness, self.nearness))
        return replace(self, likeness=likeness, nearness=nearness)

    def score(self, other: Neighbours) -> float:
        return float(self.permuted(other, np.arange(len(self.near), dtype=np.int32)[None])[0])

    def permuted(self, other: Neighbours, orders: np.ndarray) -> np.ndarray:
        if not self.weighted:
            text, _, _, _ = self._agreed(other, orders)
            return np.asarray(np.bincount(text, minlength=len(orders)) / self.near.size)
        if self.own <= 0 or other.own <= 0:
            raise ValueError(f"HSIC of the {self.k} nearest neighbours is not positive on one side; take a larger k")
        return np.asarray(self._hsic(other, orders) / np.sqrt(self.own * other.own))

    def _agreed(self, other: Neighbours, orders: np.ndarray) -> tuple[np.ndarray, ...]:
        """Where both have j near i: which order, i, j, and the place of (i, j) among the other's pairs."""
        n, k = self.near.shape
        place = orders[:, :, None] * np.int32(n) + orders[:, self.near]
        hit = np.flatnonzero(other.mask.ravel().take(place.reshape(-1)))
        which, at = np.divmod(hit, n * k)
        return which, at // k, self.near.ravel()[at], place.reshape(-1)[hit]

    def _hsic(self, other: Neighbours, orders: np.ndarray) -> np.ndarray:
        """[m] HSIC_1 (Song 2012, equation 5), but for its factor, of two masked kernels: k^2 pairs of n^2."""
        m, n = len(orders), len(self.near)
        which, i, j, place = self._agreed(other, orders)
        mine, theirs = self.likeness[i, j], other.likeness.ravel()[place]
        back = self.mask[j, i] & other.mask[orders[which, j], orders[which, i]]

        def by(key: np.ndarray, value: np.ndarray, size: int) -> np.ndarray:
            return np.bincount(key, value, size)

        trace = by(which, mine * theirs * back, m)
        columns, rows = by(which * n + j, mine, m * n), by(which * n + i, theirs, m * n)
        both = (columns * rows).reshape(m, n).sum(1)
        return np.asarray(trace + by(which, mine, m) * by(which, theirs, m) / ((n - 1) * (n - 2)) - 2 * both / (n - 2))


@dataclass(frozen=True)
class Directions:
    """The space of the leading principal components of the standardised activations (SVCCA, Raghu 2017)."""

    x: np.ndarray
    keep: int | float

    @cached_property
    def basis(self) -> np.ndarray:
        """[n, r] orthonormal."""
        from scipy.linalg import eigh

        z = self.x - self.x.mean(0)
        spread = z.std(0)
        varies = spread > 1e-12 * np.abs(self.x).max(0)
        z = z[:, varies] / spread[varies]
        wide = z.shape[1] > len(z)
        gram = z @ z.T if wide else z.T @ z
        d = len(gram)
        leading = [d - min(self.keep, d), d - 1] if isinstance(self.keep, int) else None
        values, vectors = eigh(gram, subset_by_index=leading)
        values, vectors = values[::-1], vectors[:, ::-1]
        r = int((values > 1e-10 * values[0]).sum())
        if not isinstance(self.keep, int):
            r = min(r, 1 + int(np.searchsorted(np.cumsum(values) / values.sum(), self.keep)))
        return np.asarray(np.linalg.qr(vectors[:, :r] if wide else z @ vectors[:, :r])[0])

    def take(self, rows: np.ndarray) -> Directions:
        return replace(self, x=self.x[rows])

    def score(self, other: Directions) -> float:
        return float(self._mean_correlation(self.basis.T @ other.basis))

    def permuted(self, other: Directions, orders: np.ndarray) -> np.ndarray:
        return self._mean_correlation(self.basis.T @ np.take(other.basis, orders, axis=0))

    def _mean_correlation(self, products: np.ndarray) -> np.ndarray:
        """Canonical correlations are the singular values of Qx'Qy (Bjorck and Golub 1973); their mean."""
        return np.asarray(np.minimum(np.linalg.svd(products, compute_uv=False), 1).mean(-1))


@dataclass(frozen=True)
class Cloud:
    """The activations as points, centred and scaled to length 1, to be turned onto others (Procrustes)."""

    x: np.ndarray

    @cached_property
    def unit(self) -> np.ndarray:
        """[n, d]"""
        z = self.x - self.x.mean(0)
        return np.asarray(z / np.linalg.norm(z))

    def take(self, rows: np.ndarray) -> Cloud:
        return Cloud(self.x[rows])

    def score(self, other: Cloud) -> float:
        from scipy.linalg import svdvals

        return float(svdvals(self.unit.T @ other.unit).sum())

    def permuted(self, other: Cloud, orders: np.ndarray) -> np.ndarray:
        from scipy.linalg import svdvals

        return np.array([svdvals(self.unit.T @ other.unit[order]).sum() for order in orders])


def left_out(first: Representation, second: Representation, texts: Layout) -> np.ndarray:
    """[blocks] the score without each of the blocks of the jackknife."""
    if isinstance(first, Pairs) and isinstance(second, Pairs) and first.centring.inner is not None:
        return _left_out_sums(first, second, texts)
    return np.array([first.take(rows).score(second.take(rows)) for rows in texts.without_blocks()])


def _left_out_sums(first: Pairs, second: Pairs, texts: Layout) -> np.ndarray:
    """The same from sums over blocks, one pass for all of them (0.2 s instead of 3 at n = 2000)."""
    inner, starts = first.centring.inner, texts.block_starts
    assert inner is not None
    kernels, rests = [], []
    n = len(first.raw)
    block = np.repeat(np.arange(len(starts)), np.diff([*starts, n]))
    kept = block[:, None] != np.arange(len(starts))
    for side in (first, second):
        kernel = side.raw
        if not side.centring.diagonal:
            kernel = kernel.copy()
            np.fill_diagonal(kernel, 0)
        kernels.append(kernel)
        by_block = np.add.reduceat(kernel, starts, axis=1)
        rests.append((by_block.sum(1, keepdims=True) - by_block) * kept)  # row sums over the texts that are left

    def product(i: int, j: int) -> np.ndarray:
        blocks = np.add.reduceat(np.add.reduceat(kernels[i] * kernels[j], starts, axis=1), starts, axis=0)
        elements = blocks.sum() - blocks.sum(0) - blocks.sum(1) + np.diagonal(blocks)
        rows, total = (rests[i] * rests[j]).sum(0), rests[i].sum(0) * rests[j].sum(0)
        return inner(elements, rows, total, kept.sum(0))

    return np.asarray(product(0, 1) / np.sqrt(product(0, 0) * product(1, 1)))


def shuffled(
    firsts: Sequence[Representation],
    seconds: Sequence[Representation],
    texts: Layout,
    permutations: int,
    rng: np.random.Generator,
) -> np.ndarray:
    """[permutations, firsts, seconds] scores with the texts of the second side paired anew, group by group.

    One permutation serves all pairs, so that the largest of them is a draw of the largest.
    """
    null = np.empty((permutations, len(firsts), len(seconds)))
    if not texts.even:  # a short group begins again, so the second side itself changes
        for at, order in enumerate(texts.orders(permutations, 1, rng)):
            others = [second.take(order[0]) for second in seconds]
            null[at] = [[first.score(other) for other in others] for first in firsts]
        return null
    units = [side.unit for side in (*firsts, *seconds) if isinstance(side, Pairs)]
    if units:
        return _by_shifts(units[: len(firsts)], units[len(firsts) :], texts, permutations, rng)
    done = 0
    for orders in texts.orders(permutations, max(1, _PART // (10 * len(texts.order))), rng):
        for i, first in enumerate(firsts):
            for j, second in enumerate(seconds):
                null[done : done + len(orders), i, j] = first.permuted(second, orders)
        done += len(orders)
    return null


def _by_shifts(
    firsts: list[np.ndarray],
    seconds: list[np.ndarray],
    texts: Layout,
    permutations: int,
    rng: np.random.Generator,
) -> np.ndarray:
    """[permutations, firsts, seconds] inner products of matrices [n, n] whose groups are paired anew.

    Looking up one permuted matrix costs n^2 memory reads, 3 ms at n = 1000. Here G groups are put in one
    random order and then shifted against the first side by 0 to G - 1 places: along each diagonal the G
    inner products are one circular correlation, so the Fourier transforms of n/2 diagonals give G
    permutations at once, 10,000 of them in 0.1 s. Each is uniformly drawn; those of one order are not
    independent of each other, but as good as: the share of a null beyond its 95 % varied between nulls by
    0.88 to 1.05 of the binomial variance (n = 100, 1000 permutations, Gaussian, rank-1, trended and
    clustered texts). That needs texts in random order, see `Layout`.
    """
    from scipy.fft import irfft, rfft

    k, size = len(texts.sizes), int(texts.sizes[0])
    n, half = k * size, k // 2
    ahead = (np.arange(k)[:, None] + np.arange(half + 1)) % k
    inside = n * np.arange(size)[:, None] + np.arange(size)
    # The diagonals beyond the half are the same pairs again; the one in the middle of an even k is its own.
    weight = np.where((np.arange(half + 1) == 0) | (2 * np.arange(half + 1) == k), 1.0, 2.0)

    def spectra(sides: list[np.ndarray], order: np.ndarray) -> np.ndarray:
        """[frequencies, sides, pairs at each distance]"""
        corner = size * (n * order[:, None] + order[ahead])
        where = (corner[:, :, None, None] + inside).reshape(k, -1)
        return np.stack([rfft(side.ravel().take(where), axis=0) for side in sides], axis=1)

    mine = np.conj(spectra(firsts, np.arange(k))) * np.repeat(weight, size * size)
    null = np.empty((permutations, len(firsts), len(seconds)))
    for start in range(0, permutations, k):
        theirs = spectra(seconds, rng.permutation(k))
        products = irfft(mine @ theirs.swapaxes(1, 2), n=k, axis=0)
        null[start : start + k] = products[: permutations - start]
    return null


# What each measure makes of activations [n, d] -------------------------------------------------------


def kernel(x: np.ndarray, *, unbiased: bool = True) -> Pairs:
    """Inner products of the texts, for CKA."""
    z = x - x.mean(0)
    return Pairs(z @ z.T, _U if unbiased else _DOUBLE)


def distances(x: np.ndarray, *, kind: str = "Spearman") -> Pairs:
    """1 - Pearson's r between the texts, for RSA; by rank for Spearman."""
    if kind not in ("Spearman", "Pearson"):
        raise ValueError(f"kind is {kind!r}; write 'Spearman' or 'Pearson'")
    z = x - x.mean(1, keepdims=True)
    apart = 1 - _unit_rows(z, "do not vary over their dimensions") @ _unit_rows(z, "").T
    if kind == "Pearson":
        return Pairs(apart, _MEAN)
    # Rounded, so that pairs which tie but for rounding have one rank.
    levels = np.unique(np.round(apart, 12), return_inverse=True)[1].reshape(apart.shape)
    return Pairs(levels, _RANKS)


def neighbours(x: np.ndarray, *, k: int = 10, weighted: bool = False) -> Neighbours:
    """The nearest texts of each by cosine, for mutual k-NN and CKNNA.

    Equally near ones are taken in random order, another on each side. By number, the two sides would agree on
    the first or last texts whatever they hold: unrelated sides of 3 binary features then stood above the 95 %
    of their null in 54 % of experiments (CKNNA 31 %), of 12 one-hot ones in 71 %, of one sign in all.
    """
    if x.shape[1] < 2:
        raise ValueError(
            "the cosine of one dimension is 1 or -1, which tells no nearest texts; use cka, or more dimensions"
        )
    if not 2 <= k <= len(x) // 4:  # the jackknife may leave half of the texts
        raise ValueError(f"k is {k}; of {len(x)} texts take 2 to {len(x) // 4} neighbours, or use more texts")
    z = _unit_rows(x, "are 0 in every dimension")
    likeness = z @ z.T
    # Cosines of 12 digits, which tie in spite of rounding, and a random fraction. Its seed comes from the
    # activations as laid out, so it differs between sides and follows the caller's seed.
    rng = np.random.default_rng(zlib.crc32(x.tobytes()))
    return Neighbours(likeness, np.rint(1e12 * likeness) + rng.random(likeness.shape), k, weighted)


def _unit_rows(x: np.ndarray, fault: str) -> np.ndarray:
    length = np.linalg.norm(x, axis=1, keepdims=True)
    if (length <= 1e-12 * max(float(length.max()), 1e-300)).any():
        raise ValueError(
            f"{int((length <= 1e-12 * length.max()).sum())} texts {fault}, so they have no direction; drop them"
        )
    return np.asarray(x / length)


def _doubly_centred(raw: np.ndarray) -> np.ndarray:
    mean = raw.mean(0)
    return np.asarray(raw - mean - mean[:, None] + mean.mean())


def _u_centred(raw: np.ndarray) -> np.ndarray:
    n = len(raw)
    sums = raw.sum(0) - np.diagonal(raw)
    mean = sums / (n - 2)
    centred = raw - mean
    centred -= (mean - sums.sum() / ((n - 1) * (n - 2)))[:, None]
    np.fill_diagonal(centred, 0)
    return np.asarray(centred)


def _off_diagonal(raw: np.ndarray) -> np.ndarray:
    n = len(raw)
    centred = raw - (raw.sum() - np.trace(raw)) / (n * (n - 1))
    np.fill_diagonal(centred, 0)
    return np.asarray(centred)


def _ranked(levels: np.ndarray) -> np.ndarray:
    """Mean ranks of the pairs, from the number of each one's level; the ranks of a part need no new sorting."""
    counts = np.bincount(levels.ravel())
    counts -= np.bincount(np.diagonal(levels), minlength=len(counts))
    ranks = np.cumsum(counts) - (counts - 1) / 2
    return _off_diagonal(ranks[levels])


_DOUBLE = Centring(_doubly_centred, lambda s, r, t, n: s - 2 * r / n + t / n**2, True)
_U = Centring(_u_centred, lambda s, r, t, n: s - 2 * r / (n - 2) + t / ((n - 1) * (n - 2)), False)
_MEAN = Centring(_off_diagonal, lambda s, r, t, n: s - t / (n * (n - 1)), False)
_RANKS = Centring(_ranked, None, False)


def components(x: np.ndarray, *, keep: int | float = 10) -> Directions:
    """The leading principal components, for SVCCA: so many, or, below 1, so large a share of the variance."""
    if not ((isinstance(keep, int) and keep >= 1) or 0 < keep < 1):
        raise ValueError(f"keep is {keep}; write a number of components, or a share of variance below 1")
    return Directions(x, keep)


KINDS: dict[str, Callable[..., Representation]] = {
    "cka": kernel,
    "svcca": components,
    "mutual_knn": neighbours,
    "cknna": lambda x, **options: neighbours(x, weighted=True, **options),
    "rsa": distances,
    "procrustes": Cloud,
}
"""By the names of the measures."""


def activations(x: ArrayLike, name: str) -> np.ndarray:
    """[n, d], checked. Raises ValueError for another shape, fewer than 20 texts, NaN, or no variation."""
    a = finite(np.asarray(x, dtype=float), f"{name} activations")
    if a.ndim != 2:
        raise ValueError(f"the {name} activations must be [n, d], one row a text, not {a.shape}")
    if len(a) < 20:
        raise ValueError(f"{len(a)} texts are too few to tell likeness from chance; use at least 20")
    if (np.ptp(a, axis=0) == 0).all():
        raise ValueError(f"the {name} activations are the same for all texts, so there is nothing to compare")
    return a


def sides(x: ArrayLike, y: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    """Activations [n, d1] and [n, d2] of the same n texts, checked. Raises ValueError as `activations`."""
    if np.shape(x)[:1] != np.shape(y)[:1]:
        raise ValueError(f"activations {np.shape(x)} and {np.shape(y)} must be of the same n texts")
    return activations(x, "first"), activations(y, "second")


def doubt(first: Representation, second: Representation) -> str:
    """Why the score of the two can decide nothing, where that is so."""
    if isinstance(first, Directions) and isinstance(second, Directions):
        n, p, q = len(first.x), first.basis.shape[1], second.basis.shape[1]
        if p + q >= n:
            ones = f"{p + q - n + 1} canonical correlations are 1 whatever the data"
            return f"p + q >= n: of {p} + {q} components on {n} texts {ones}; keep fewer"
    return ""


def same(value: float) -> str:
    """Why a score of 1 can decide nothing."""
    if value < 1 - 1e-9:
        return ""
    return "the two sides are the same up to rotation and scale (a score of 1); is it one model twice?"


def repeated(x: np.ndarray, y: np.ndarray, member: np.ndarray) -> str:
    """Why texts that stand twice on both sides, in different groups [n], let nothing be decided.

    Any two models agree that a text is like itself, and a shuffled pairing does not: with 10 of 60 texts
    repeated unrelated sides stood above the 95 % of their null in all experiments by CKNNA, 95 % by Procrustes,
    88 % by CKA, 38 % by SVCCA, and 18 and 23 % by Spearman's RSA and mutual k-NN. Features of few values repeat
    by chance too; what counts is that more pairs of texts are equal on both sides than half-way from what
    chance gives to all that are so on one.
    """
    n = len(x)

    def kinds(label: np.ndarray) -> tuple[int, float]:
        """How many different labels there are, and how many pairs of texts have the same."""
        counts = np.unique(label, return_counts=True)[1]
        return len(counts), float((counts * (counts - 1) / 2).sum())

    def between(label: np.ndarray) -> tuple[int, float]:
        """The same of different groups: labels met again, and pairs."""
        (labels, pairs), (parts, inside) = kinds(label), kinds(label * n + member)
        return parts - labels, pairs - inside

    first, second = equal_rows(x), equal_rows(y)
    again, pairs = between(first * n + second)
    (_, one), (_, other), (_, all_pairs) = between(first), between(second), between(np.zeros(n, dtype=int))
    if pairs <= (one * other / all_pairs + min(one, other)) / 2:
        return ""
    return f"{again} of {n} texts are repeated on both sides; pass groups that join them, or drop them"


def equal_rows(x: np.ndarray) -> np.ndarray:
    """[n] a number for each text that it shares with those of equal activations, but for float32 rounding."""
    z = x - x.mean(0)
    along = np.argsort(z @ np.random.default_rng(0).normal(size=z.shape[1]))
    apart = np.linalg.norm(np.diff(z[along], axis=0), axis=1) > 1e-5 * np.linalg.norm(z) / np.sqrt(len(z))
    label = np.empty(len(z), dtype=int)
    label[along] = np.concatenate([[0], np.cumsum(apart)])
    return label
