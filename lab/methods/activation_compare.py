"""How do activations differ between runs, at which layers, and is it the data or the prompt that moves them?

A run is one data set read under one prompt: activations [n, layers, d_model]. What is kept of it are mean vectors;
what is claimed of two of them is held against the spread of the items and against chance.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import ArrayLike

from lab.estimate import Estimate
from lab.stats.checks import clusters
from lab.stats.resampling import reweighted_each
from lab.stats.threads import one_thread

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Mode = Literal["pairwise", "baseline"]
_PART = 1 << 22
"""Numbers turned to float64 at a time."""


# One run ---------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Summary:
    """Statistics of one run, layer by layer.

    Attributes
    ----------
    layers
        True layer indices.
    mean
        [layers, d_model] float64: mean vector over the items that contributed.
    norm_of_mean
        [layers] its norm.
    mean_of_norms
        [layers] mean norm of single items; never below the former, and far above it where items differ.
    std
        [layers] mean over dimensions of the population's standard deviation (ddof 0).
    n
        Items that contributed.
    left_out
        Items with activations that are not finite, by their place in the run; they contribute nothing.
    """

    layers: tuple[int, ...]
    mean: np.ndarray
    norm_of_mean: np.ndarray
    mean_of_norms: np.ndarray
    std: np.ndarray
    n: int
    left_out: tuple[int, ...] = ()

    def table(self) -> dict[str, Any]:
        """Norms and std by layer, and the count: what reports show. All but the mean vectors."""
        return {
            "norm of the mean vector": _by_layer(self.layers, self.norm_of_mean),
            "mean of norms": _by_layer(self.layers, self.mean_of_norms),
            "std": _by_layer(self.layers, self.std),
            "samples processed": self.n,
            "samples left out": list(self.left_out),
            "layers": list(self.layers),
        }

    def rows(self) -> list[dict[str, Any]]:
        """The same, a row a layer."""
        columns = (self.layers, self.norm_of_mean, self.mean_of_norms, self.std)
        names = ("layer", "norm of the mean vector", "mean of norms", "std")
        return [dict(zip(names, row, strict=True)) for row in zip(*columns, strict=True)]

    def arrays(self, run: str) -> dict[str, np.ndarray]:
        """What `evidence.arrays` keeps of a run: its mean vectors, float32, and their layers; `saved` reads them."""
        return {f"{run}/mean": self.mean.astype(np.float32), f"{run}/layers": np.array(self.layers, dtype=np.int64)}

    def plot(self, ax: Axes) -> None:
        """Both norms by layer. Where the lines are far apart, items cancel in the mean."""
        ax.plot(self.layers, self.mean_of_norms, "o-", color="C0", label="mean of norms")
        ax.plot(self.layers, self.norm_of_mean, "s--", color="C1", label="norm of the mean vector")
        ax.set(xlabel="layer", ylabel="norm", ylim=(0, None), title=f"Residual stream (n={self.n})")
        ax.set_xticks(_ticks(self.layers))
        ax.legend()


class Running:
    """Collects a run batch by batch, so that its activations need not be held at once.

        run = Running()
        for batch in batches:
            run.add(batch)  # [m, layers, d_model]
        run.summary

    Means and squared deviations are merged batch by batch (Chan, Golub and LeVeque 1983, The American Statistician
    37: 242): no difference of large squares, so a large common offset costs no digits.
    """

    def __init__(self, layers: Sequence[int] | None = None) -> None:
        self._layers = None if layers is None else tuple(int(layer) for layer in layers)
        self._n = self._seen = 0
        self._left_out: list[int] = []
        self._mean: np.ndarray = np.zeros(())
        self._squares: np.ndarray = np.zeros(())
        self._norms: np.ndarray = np.zeros(())

    def add(self, batch: ArrayLike) -> None:
        """Adds items [m, layers, d_model]. Raises ValueError for another shape than before."""
        x = np.asarray(batch)
        if x.ndim != 3 or 0 in x.shape[1:]:
            raise ValueError(f"activations must be [n, layers, d_model], not shape {x.shape}")
        if self._layers is None:
            self._layers = tuple(range(x.shape[1]))
        if len(self._layers) != x.shape[1] or (self._seen and x.shape[1:] != self._mean.shape):
            raise ValueError(f"a batch of shape {x.shape} does not fit {len(self._layers)} layers as seen before")
        if not self._seen:
            self._mean, self._squares = (np.zeros(x.shape[1:]) for _ in range(2))
            self._norms = np.zeros(x.shape[1])
        rows = max(1, _PART // x[:1].size)
        for start in range(0, len(x), rows):
            self._merge(x[start : start + rows].astype(np.float64))

    def _merge(self, x: np.ndarray) -> None:
        sound = np.isfinite(x).all(axis=(1, 2))
        self._left_out += [self._seen + int(i) for i in np.flatnonzero(~sound)]
        self._seen += len(x)
        x = x[sound]
        if not len(x):
            return
        mean, total = x.mean(0), self._n + len(x)
        apart = mean - self._mean
        self._squares = self._squares + ((x - mean) ** 2).sum(0) + apart**2 * (self._n * len(x) / total)
        self._mean = self._mean + apart * (len(x) / total)
        self._norms = self._norms + np.linalg.norm(x, axis=2).sum(0)
        self._n = total

    @property
    def summary(self) -> Summary:
        """What was collected so far. Raises ValueError where no item contributed."""
        if not self._n or self._layers is None:
            raise ValueError(f"none of {self._seen} items has finite activations; a mean needs one")
        return Summary(
            layers=self._layers,
            mean=self._mean,
            norm_of_mean=np.linalg.norm(self._mean, axis=1),
            mean_of_norms=self._norms / self._n,
            std=np.sqrt(self._squares / self._n).mean(1),
            n=self._n,
            left_out=tuple(self._left_out),
        )


def joined(batches: Sequence[ArrayLike]) -> np.ndarray:
    """The activations of a run that was read in batches: [n, layers, d_model]."""
    return np.concatenate([np.asarray(batch) for batch in batches])


def summarise(activations: ArrayLike, layers: Sequence[int] | None = None) -> Summary:
    """Statistics of activations [n, layers, d_model]; `layers` are their true indices. Raises ValueError."""
    run = Running(layers)
    run.add(activations)
    return run.summary


@dataclass(frozen=True, eq=False)
class Common:
    """How much of the residual stream is common to all items of a run (its anisotropy: Ethayarajh 2019, EMNLP, 55).

    Attributes
    ----------
    share
        Mean inner product of two different items over the mean squared norm, a layer each: 1 where all items
        give one vector, 0 where they share no direction. Unbiased in both parts.
    overall
        Their mean over the layers.
    """

    layers: tuple[int, ...]
    share: tuple[Estimate, ...]
    overall: Estimate

    def table(self) -> list[dict[str, Any]]:
        """A row a layer, the one where items differ most first."""
        found = sorted(zip(self.layers, self.share, strict=True), key=lambda pair: pair[1].value)
        return [{"layer": layer, "common share": e.value, "low": e.low, "high": e.high} for layer, e in found]


@one_thread
def common(
    activations: ArrayLike,
    *,
    layers: Sequence[int] | None = None,
    groups: ArrayLike | None = None,
    resamples: int = 2000,
    seed: int = 0,
) -> Common:
    """What the items of one run [n, layers, d_model] share, with intervals by drawing items, or groups, again.

    Takes 8 n^2 bytes a layer. Raises ValueError for another shape, values that are not finite, or only zeros.
    """
    x = _activations(activations, "one")
    named = tuple(range(x.shape[1])) if layers is None else tuple(int(layer) for layer in layers)
    products = _Products(clusters(groups, len(x))[1])
    parts = [(products.table(at, at), (at**2).sum(1)) for at in np.swapaxes(x, 0, 1)]
    if not all(size.any() for _, size in parts):
        raise ValueError("at some layer all activations are zero; nothing was read there")

    def statistic(w: np.ndarray) -> np.ndarray:
        shares = [products.mean(w, table) * w.sum(1) / (w @ size) for table, size in parts]
        return np.stack([*shares, np.mean(shares, axis=0)], axis=1)

    *share, overall = reweighted_each(statistic, len(x), groups=groups, seed=seed, resamples=resamples, unit="%")
    return Common(named, tuple(share), overall)


def random_signs(activations: ArrayLike, *, seed: int) -> np.ndarray:
    """The same items [n, layers, d_model], each turned round or not: their norms, and no direction in common."""
    x = np.asarray(activations)
    return np.asarray(x * np.random.default_rng([seed, 4]).choice([-1, 1], size=(len(x), 1, 1)).astype(x.dtype))


# Two runs, as they are -------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Comparison:
    """Two runs' mean vectors, layer by layer; description, no claim.

    Attributes
    ----------
    cosine
        [layers] cosine similarity; 0 where one of the vectors is zero, and then flagged in `zero`.
    l2, relative_l2
        [layers] Euclidean distance; and the same over the mean of the two norms (0 of two zero vectors).
    """

    first: str
    second: str
    layers: tuple[int, ...]
    cosine: np.ndarray
    l2: np.ndarray
    relative_l2: np.ndarray
    zero: np.ndarray

    @property
    def means(self) -> dict[str, float]:
        """Means over the layers."""
        measures = {"cosine": self.cosine, "l2": self.l2, "relative l2": self.relative_l2}
        return {f"mean {name}": float(values.mean()) for name, values in measures.items()}

    @property
    def same(self) -> bool:
        """Whether nothing tells the two apart: all distances are 0, and all cosines 1 but of zero vectors."""
        return not self.l2.any() and bool(np.allclose(self.cosine[~self.zero], 1, rtol=0, atol=1e-12))

    def rows(self) -> list[dict[str, Any]]:
        """A row a layer, and one with the means."""
        runs = f"{self.first} / {self.second}"
        columns = (map(str, self.layers), self.cosine, self.l2, self.relative_l2)
        rows = [(runs, *row) for row in zip(*columns, strict=True)] + [(runs, "mean", *self.means.values())]
        return [dict(zip(("runs", "layer", "cosine", "l2", "relative l2"), row, strict=True)) for row in rows]

    def table(self, *, per_layer: bool = True) -> dict[str, Any]:
        """As plain values; without the lists by layer where these are not wanted."""
        told: dict[str, Any] = {"runs": [self.first, self.second], "layers": list(self.layers), **self.means}
        if per_layer:
            told |= {
                "cosine": _by_layer(self.layers, self.cosine),
                "l2": _by_layer(self.layers, self.l2),
                "relative l2": _by_layer(self.layers, self.relative_l2),
            }
        told["zero vectors at layers"] = [layer for layer, zero in zip(self.layers, self.zero, strict=True) if zero]
        return told


def compare(
    first: Mapping[int, ArrayLike] | Summary, second: Mapping[int, ArrayLike] | Summary, *, names: tuple[str, str]
) -> Comparison:
    """Compares mean vectors, given by true layer index or as summaries, at the layers that both have.

    Raises ValueError where they have no layer in common, or differ in width.
    """
    a, b = _vectors(first), _vectors(second)
    layers = tuple(sorted(set(a) & set(b)))
    if not layers:
        raise ValueError(f"{names[0]} has layers {sorted(a)} and {names[1]} {sorted(b)}; none is in both")
    widths = {a[layer].shape for layer in layers} | {b[layer].shape for layer in layers}
    if len(widths) > 1:
        raise ValueError(f"{names[0]} and {names[1]} differ in width: {sorted(widths)}; compare runs of one model")
    x, y = (np.stack([side[layer] for layer in layers]).astype(np.float64) for side in (a, b))
    one, two, apart = (np.linalg.norm(v, axis=1) for v in (x, y, x - y))
    zero = (one == 0) | (two == 0)
    # of unit vectors, so that neither overflow nor underflow of a product of norms is possible
    unit = [v / np.where(norm > 0, norm, 1)[:, None] for v, norm in ((x, one), (y, two))]
    both = (one + two) / 2
    return Comparison(
        first=names[0],
        second=names[1],
        layers=layers,
        cosine=np.clip((unit[0] * unit[1]).sum(1), -1, 1),
        l2=apart,
        relative_l2=apart / np.where(both > 0, both, 1),
        zero=zero,
    )


def saved(arrays: Mapping[str, np.ndarray]) -> dict[str, dict[int, np.ndarray]]:
    """Mean vectors by run and layer, from what `Summary.arrays` kept. Raises ValueError where there are none."""
    names = [label.removesuffix("/mean") for label in arrays if label.endswith("/mean")]
    if not names or any(f"{name}/layers" not in arrays for name in names):
        raise ValueError(f"there are no mean vectors of runs among {', '.join(arrays) or 'no arrays'}")
    return {
        name: {
            int(layer): vector for layer, vector in zip(arrays[f"{name}/layers"], arrays[f"{name}/mean"], strict=True)
        }
        for name in names
    }


def pairs(names: Sequence[str], mode: Mode = "pairwise") -> list[tuple[str, str]]:
    """Which runs are compared: all pairs, or each with the first. Raises ValueError for another mode, or one run.

    >>> pairs(["a", "b", "c"], "baseline")
    [('a', 'b'), ('a', 'c')]
    """
    if mode not in ("pairwise", "baseline"):
        raise ValueError(f"comparison mode {mode!r}; choose pairwise or baseline")
    if len(names) < 2 or len(set(names)) < len(names):
        raise ValueError(f"a comparison needs two runs of different names, not {list(names)}")
    every = list(combinations(names, 2))
    return every if mode == "pairwise" else every[: len(names) - 1]


# Two runs, and what can be claimed -------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Divergence:
    """How far two runs are apart, at each layer.

    The estimates are of the truth behind the means: the noise of averaging n items, by which two draws of one
    run differ, is taken out (products of different items only, as in a U-statistic).

    Attributes
    ----------
    cosine_distance
        1 - cosine of the mean vectors, a layer each. p: relabelling items between the runs gives as large a
        value at any layer (Westfall and Young 1993), values being standardised layer by layer.
    relative_l2
        Their distance over the mean of their norms, a layer each, with p likewise.
    separation
        Squared distance of the mean vectors over the mean squared distance of items from their own run's
        mean, a layer each: at 1 the runs are as far apart as an item is from its like.
    overall
        "cosine distance", "relative l2", "separation": their means over the layers.
    null
        [permutations] largest standardised cosine distance over the layers, relabelled; the observed ones
        are in `standardised` [layers].
    """

    layers: tuple[int, ...]
    cosine_distance: tuple[Estimate, ...]
    relative_l2: tuple[Estimate, ...]
    separation: tuple[Estimate, ...]
    overall: Mapping[str, Estimate]
    null: np.ndarray
    standardised: np.ndarray

    def ranked(self, by: Literal["cosine_distance", "relative_l2"] = "cosine_distance") -> list[int]:
        """Layers from the most diverging one down."""
        values = [estimate.value for estimate in getattr(self, by)]
        return [self.layers[i] for i in np.argsort(values, kind="stable")[::-1]]

    def table(self, top: int | None = None) -> list[dict[str, Any]]:
        """A row a layer, most diverging first: both measures with interval and corrected p."""
        rows = []
        for layer in self.ranked()[:top]:
            i = self.layers.index(layer)
            row: dict[str, Any] = {"layer": layer}
            for name, e in (("1 - cosine", self.cosine_distance[i]), ("relative l2", self.relative_l2[i])):
                row |= {name: e.value, f"{name} low": e.low, f"{name} high": e.high, f"{name} p": e.p}
            rows.append(row | {"rank by relative l2": self.ranked("relative_l2").index(layer) + 1})
        return rows

    def plot(self, ax: Axes) -> None:
        """Both distances by layer, with their intervals."""
        aside = 0.01 * (self.layers[-1] - self.layers[0] or 1)  # so that no interval hides another
        for values, shift, colour, mark, name in (
            (self.cosine_distance, -aside, "C0", "o", "1 - cosine"),
            (self.relative_l2, aside, "C1", "s", "relative L2"),
        ):
            middle = np.array([e.value for e in values])
            reach = np.array([[e.value - e.low, e.high - e.value] for e in values]).T
            ax.errorbar(
                np.array(self.layers) + shift, middle, reach, fmt=f"{mark}-", color=colour, capsize=3, label=name
            )
        ax.set(xlabel="layer", ylabel="divergence", ylim=(0, None), xticks=_ticks(self.layers))
        ax.set_title(f"Divergence of two runs (n={self.cosine_distance[0].n})")
        ax.legend()


@one_thread
def diverging(
    first: ArrayLike,
    second: ArrayLike,
    *,
    paired: bool,
    layers: Sequence[int] | None = None,
    groups: ArrayLike | None = None,
    permutations: int = 1000,
    resamples: int = 2000,
    seed: int = 0,
) -> Divergence:
    """Which layers tell two runs apart, by how much, and is it more than chance?

    Parameters
    ----------
    first, second
        [n, layers, d_model] and [m, layers, d_model].
    paired
        Whether item i is the same in both, as where two prompts read one data set. Items are then drawn and
        relabelled as pairs.
    groups
        Labels of items that belong together: [n] where paired, else [n + m]; drawn and relabelled together.

    Takes 24 (n + m)^2 bytes a layer. Raises ValueError for shapes that do not fit, values that are not finite, or
    groups that stand in both unpaired runs.
    """
    a, b = (_activations(x, name) for x, name in ((first, "first"), (second, "second")))
    if a.shape[1:] != b.shape[1:] or (paired and len(a) != len(b)):
        raise ValueError(f"runs of shapes {a.shape} and {b.shape} do not fit; same layers, and same items where paired")
    if permutations < 200:
        raise ValueError(f"{permutations} permutations cannot tell a p of 0.05; use 200 or more")
    named = tuple(range(a.shape[1])) if layers is None else tuple(int(layer) for layer in layers)
    n, depth = len(a), a.shape[1]
    total = n if paired else n + len(b)
    k, member = clusters(groups, total)
    if not paired and set(member[:n]) & set(member[n:]):
        raise ValueError("a group stands in both runs; pair the items, or leave the group out of one run")
    parts = [_pair(a[:, at], b[:, at], member, paired) for at in range(depth)]

    def statistic(w: np.ndarray) -> np.ndarray:
        found = np.stack([part(w) for part in parts], axis=1)  # [m, layers, 3]
        return np.concatenate([found, found.mean(1, keepdims=True)], axis=1).reshape(len(w), -1)

    every = reweighted_each(statistic, total, groups=groups, seed=seed, resamples=resamples)
    cosine, l2, separation = (every[i::3] for i in range(3))
    nulls = [_relabelled(a[:, at], b[:, at], member, k, paired, permutations, seed) for at in range(depth)]
    shown = []
    for estimates, which in ((cosine, 0), (l2, 1)):
        z = _standardised(np.stack([null[which] for null in nulls], axis=1))
        largest = z[1:].max(1)
        p = [(1 + int((largest >= own - 1e-9).sum())) / (1 + permutations) for own in z[0]]
        shown.append((tuple(replace(e, p=one) for e, one in zip(estimates[:-1], p, strict=True)), largest, z[0]))
    return Divergence(
        layers=named,
        cosine_distance=shown[0][0],
        relative_l2=shown[1][0],
        separation=tuple(separation[:-1]),
        overall={"cosine distance": cosine[-1], "relative l2": l2[-1], "separation": separation[-1]},
        null=shown[0][1],
        standardised=shown[0][2],
    )


def _pair(x: np.ndarray, y: np.ndarray, member: np.ndarray, paired: bool) -> Callable[[np.ndarray], np.ndarray]:
    """At one layer: from weights [m, items] the cosine distance, relative L2 and separation, [m, 3]."""
    n = len(x)
    if paired:
        one = two = slice(None)
        centre = (x.mean(0) + y.mean(0)) / 2
    else:
        one, two = slice(0, n), slice(n, None)
        centre = np.concatenate([x, y]).mean(0)
    u, v = x - centre, y - centre
    own, other = _Products(member[one]), _Products(member[two])
    xx, yy, uu, vv = own.table(x, x), other.table(y, y), own.table(u, u), other.table(v, v)
    xy, dd = (own.table(x, y), own.table(u - v, u - v)) if paired else (x @ y.T, None)
    size_u, size_v, uv = (u**2).sum(1), (v**2).sum(1), u @ v.T

    def statistic(w: np.ndarray) -> np.ndarray:
        first, second = w[:, one], w[:, two]
        weights, others = first.sum(1), second.sum(1)
        aa, bb = own.mean(first, xx), other.mean(second, yy)
        spread_u, spread_v = own.mean(first, uu), other.mean(second, vv)
        if dd is not None:
            ab, apart = own.mean(first, xy), own.mean(first, dd)
        else:
            ab = ((first @ xy) * second).sum(1) / (weights * others)
            apart = spread_u + spread_v - 2 * ((first @ uv) * second).sum(1) / (weights * others)
        spread = (first @ size_u / weights - spread_u + second @ size_v / others - spread_v) / 2
        aa, bb = np.maximum(aa, 0), np.maximum(bb, 0)
        cosine = np.clip(_over(ab, np.sqrt(aa * bb)), -1, 1)
        relative = _over(np.sqrt(np.maximum(apart, 0)), (np.sqrt(aa) + np.sqrt(bb)) / 2)
        return np.stack([1 - cosine, relative, _over(apart, spread)], axis=1)

    return statistic


class _Products:
    """Mean inner products of items from different groups, by weights: unbiased for products of the true means."""

    def __init__(self, member: np.ndarray) -> None:
        _, self._member = np.unique(member, return_inverse=True)
        self._single = len(np.unique(member)) == len(member)
        self._apart = self._member[:, None] != self._member

    def table(self, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        return np.where(self._apart, x @ y.T, 0.0)

    def mean(self, w: np.ndarray, table: np.ndarray) -> np.ndarray:
        """[m] from weights [m, n]."""
        grouped = w if self._single else np.stack([np.bincount(self._member, row) for row in w])
        return _over(((w @ table) * w).sum(1), w.sum(1) ** 2 - (grouped**2).sum(1))


def _relabelled(
    x: np.ndarray, y: np.ndarray, member: np.ndarray, k: int, paired: bool, permutations: int, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """[1 + permutations] cosine distance and relative L2 of the mean vectors, as observed and with labels shuffled.

    Every layer draws the same labels, so that the largest over layers is one draw's.
    """
    rng, n = np.random.default_rng([seed, 2]), len(x)
    if paired:
        middle, half = ((x + y) / 2).mean(0), (x - y) / 2
        signs = np.concatenate([np.ones((1, k)), rng.choice([-1.0, 1.0], size=(permutations, k))])[:, member]
        moved = signs @ half / n
        a, b = middle + moved, middle - moved
    else:
        pooled = np.concatenate([x, y])
        labels = np.zeros(k)
        labels[member[:n]] = 1
        drawn = np.stack([labels, *(rng.permutation(labels) for _ in range(permutations))])[:, member]
        a, b = drawn @ pooled / drawn.sum(1, keepdims=True), (1 - drawn) @ pooled / (1 - drawn).sum(1, keepdims=True)
    one, two = np.linalg.norm(a, axis=1), np.linalg.norm(b, axis=1)
    cosine = np.clip(_over((a * b).sum(1), one * two), -1, 1)
    return 1 - cosine, _over(np.linalg.norm(a - b, axis=1), (one + two) / 2)


def _standardised(values: np.ndarray) -> np.ndarray:
    """[1 + permutations, layers] in units of each layer's own spread; a layer at which nothing moves stays at 0."""
    return np.asarray(_over(values - values.mean(0), values.std(0)))


# Two data sets under two prompts ---------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Split:
    """What moves the mean vectors of a 2 x 2 design: the data set, the prompt, or both together.

    Sums of squares of the four mean vectors about their grand mean, each part without the noise of averaging
    (as in `Divergence`), over their sum: the three shares of a layer add up to 1. Intervals resample items.

    Attributes
    ----------
    data, prompt, interaction
        Shares, a layer each.
    overall
        "data", "prompt", "interaction": means of the shares over layers.
    data_over_prompt
        Share of the data set less share of the prompt, mean over layers.
    """

    layers: tuple[int, ...]
    data: tuple[Estimate, ...]
    prompt: tuple[Estimate, ...]
    interaction: tuple[Estimate, ...]
    overall: Mapping[str, Estimate]
    data_over_prompt: Estimate

    @property
    def told(self) -> str:
        """The answer in a sentence."""
        data, prompt, both = (self.overall[name] for name in ("data", "prompt", "interaction"))
        return (
            f"Of the divergence, {data.shown} {data.interval} goes with the data set, {prompt.shown} {prompt.interval} "
            f"with the prompt, and {both.shown} {both.interval} with their combination; by layer:"
        )

    def table(self) -> list[dict[str, Any]]:
        """A row a layer: the three shares with their intervals."""
        rows = []
        for i, layer in enumerate(self.layers):
            row: dict[str, Any] = {"layer": layer}
            for name in ("data", "prompt", "interaction"):
                e = getattr(self, name)[i]
                row |= {name: e.value, f"{name} low": e.low, f"{name} high": e.high}
            rows.append(row)
        return rows

    def plot(self, ax: Axes) -> None:
        """The shares, stacked, by layer."""
        bottom = np.zeros(len(self.layers))
        ticks = range(len(self.layers))
        for name, colour, hatch in (("data", "C0", ""), ("prompt", "C1", "//"), ("interaction", "0.7", "..")):
            share = np.array([100 * e.value for e in getattr(self, name)])
            label = {"data": "data set"}.get(name, name)
            ax.bar(ticks, share, bottom=bottom, color=colour, hatch=hatch, edgecolor="white", label=label)
            bottom += share
        step = 1 + len(self.layers) // 12
        ax.set_xticks(list(ticks)[::step], [str(layer) for layer in self.layers[::step]])
        ax.set(xlabel="layer", ylabel="% of divergence", ylim=(0, 100))
        ax.set_title(f"What moves the mean activation (n={self.data_over_prompt.n})", pad=22)
        ax.legend(ncols=3, loc="lower center", bbox_to_anchor=(0.5, 1.0), fontsize=8)


@one_thread
def split(
    cells: Sequence[Sequence[ArrayLike]],
    *,
    layers: Sequence[int] | None = None,
    groups: Sequence[ArrayLike] | None = None,
    resamples: int = 2000,
    seed: int = 0,
) -> Split:
    """Splits divergence between two data sets, each read under two prompts, into its parts.

    Parameters
    ----------
    cells
        `cells[data][prompt]` [n of that data set, layers, d_model]; the items of a data set are the same, in the
        same order, under both prompts.
    groups
        [n] labels for each data set, of items that belong together.

    Takes 32 n^2 bytes a layer. Raises ValueError for shapes that do not fit, or four means that are all the same.
    """
    if len(cells) != 2 or any(len(row) != 2 for row in cells):
        raise ValueError("a 2 x 2 design has two data sets, each under two prompts: cells[data][prompt]")
    (a, b), (c, d) = (
        [_activations(x, f"data set {i}, prompt {j}") for j, x in enumerate(row)] for i, row in enumerate(cells)
    )
    if a.shape != b.shape or c.shape != d.shape or a.shape[1:] != c.shape[1:]:
        raise ValueError(f"cells of shapes {[x.shape for x in (a, b, c, d)]} do not fit; same items under both prompts")
    n, depth = len(a), a.shape[1]
    members = [clusters(None if groups is None else groups[i], len(x))[1] for i, x in enumerate((a, c))]
    joined = np.concatenate([members[0], members[1] + members[0].max() + 1])
    own, other = (_Products(member) for member in members)
    tables = []
    for at in range(depth):
        sides = [((p[:, at] + q[:, at]) / 2, p[:, at] - q[:, at]) for p, q in ((a, b), (c, d))]
        centre = np.concatenate([sides[0][0], sides[1][0]]).mean(0)
        (x, e), (y, f) = ((middle - centre, apart) for middle, apart in sides)
        tables.append((own.table(x, x), other.table(y, y), x @ y.T, own.table(e, e), other.table(f, f), e @ f.T))

    def statistic(w: np.ndarray) -> np.ndarray:
        one, two = w[:, :n], w[:, n:]
        both = one.sum(1) * two.sum(1)
        found = []
        for xx, yy, xy, ee, ff, ef in tables:
            data = own.mean(one, xx) + other.mean(two, yy) - 2 * ((one @ xy) * two).sum(1) / both
            same, cross = own.mean(one, ee) + other.mean(two, ff), 2 * ((one @ ef) * two).sum(1) / both
            parts = np.maximum(np.stack([data, (same + cross) / 4, (same - cross) / 4], axis=1), 0)
            with np.errstate(invalid="ignore"):
                found.append(parts / parts.sum(1, keepdims=True))
        shares = np.stack(found, axis=1)  # [m, layers, 3]
        mean = shares.mean(1)
        return np.concatenate([shares.reshape(len(w), -1), mean, mean[:, :1] - mean[:, 1:2]], axis=1)

    if not np.isfinite(statistic(np.ones((1, len(joined))))).all():
        raise ValueError("at some layer the four mean vectors differ by no more than noise; there is nothing to split")
    every = reweighted_each(
        statistic, len(joined), groups=None if groups is None else joined, seed=seed, resamples=resamples, unit="%"
    )
    shares = [replace(e, bounds=(0, 1)) for e in every[:-1]]
    data, prompt, interaction = (tuple(shares[i : 3 * depth : 3]) for i in range(3))
    return Split(
        layers=tuple(range(depth)) if layers is None else tuple(int(layer) for layer in layers),
        data=data,
        prompt=prompt,
        interaction=interaction,
        overall=dict(zip(("data", "prompt", "interaction"), shares[-3:], strict=True)),
        data_over_prompt=replace(every[-1], bounds=(-1, 1)),
    )


# At the door -----------------------------------------------------------------------------------------


def _activations(x: ArrayLike, name: str) -> np.ndarray:
    """[n, layers, d_model] float64, finite. Raises ValueError."""
    found = np.asarray(x, dtype=np.float64)
    if found.ndim != 3 or len(found) < 2 or 0 in found.shape:
        raise ValueError(f"activations of the {name} run must be [n, layers, d_model] of two items or more, not shape "
                         f"{found.shape}")  # fmt: skip
    if not np.isfinite(found).all():
        bad = np.flatnonzero(~np.isfinite(found).all(axis=(1, 2)))
        raise ValueError(f"{len(bad)} items of the {name} run are not finite, as item {bad[0]}; leave them out")
    return found


def _vectors(means: Mapping[int, ArrayLike] | Summary) -> dict[int, np.ndarray]:
    if isinstance(means, Summary):
        return dict(zip(means.layers, means.mean.astype(np.float32), strict=True))  # as they are kept on disk
    return {int(layer): np.asarray(vector) for layer, vector in means.items()}


def _over(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """x / y, and 0 where y is 0 or less."""
    return np.asarray(np.divide(x, y, out=np.zeros(np.broadcast_shapes(x.shape, y.shape)), where=y > 0))


def _by_layer(layers: Sequence[int], values: np.ndarray) -> dict[str, float]:
    return {str(layer): float(value) for layer, value in zip(layers, values, strict=True)}


def _ticks(layers: Sequence[int]) -> Sequence[int]:
    """A dozen of the layers at most, for an axis."""
    return layers[:: 1 + len(layers) // 12]
