"""Tests of whether runs differ by more than items and chance allow, at which layers, by data or by prompt.

A run is one data set read under one prompt: activations [n, layers, d_model]. Its items need not stand in one run
alone: labels say which rows belong together, be it one item under two prompts or a text that the data hold twice.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import ArrayLike

from lab.estimate import Estimate
from lab.record.kept import Kept
from lab.stats.bootstrap import reweighted_each
from lab.stats.checks import clusters
from lab.stats.threads import one_thread
from lab.studies.activations import activation_compare
from lab.studies.activations.activation_compare import Comparison, Mode, ticks
from lab.studies.activations.representations import equal_rows

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from lab.studies.activations.reading import Read

_LEAST = 12
"""Fewer groups than this in a run, and an interval by drawing them again is too narrow."""


def together(*labels: Sequence[Hashable]) -> np.ndarray:
    """[n] the number of each row's group, from 0 as they appear: rows that have a label in common belong together.

    Each of `labels` is a column [n]. Of runs to be compared, one behind the other, what an item is and what was put
    to the model say together which rows are no new evidence:

    >>> together(["a", "b", "c", "a"], ["a text", "another", "a text", "a text put otherwise"]).tolist()
    [0, 1, 0, 0]
    """
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    n, nodes = len(labels[0]), len(labels[0])
    edges = []
    for column in labels:
        known = {label: nodes + i for i, label in enumerate(dict.fromkeys(column))}
        edges += [(row, known[label]) for row, label in enumerate(column)]
        nodes += len(known)
    rows, ends = np.array(edges).T
    graph = coo_array((np.ones(len(edges)), (rows, ends)), shape=(nodes, nodes))
    return np.asarray(connected_components(graph, directed=False)[1][:n])


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
        ax.set(xlabel="layer", ylabel="divergence", ylim=(0, None), xticks=ticks(self.layers))
        ax.set_title(f"Divergence of two runs (n={self.cosine_distance[0].n})")
        ax.legend()


@one_thread
def diverging(
    first: ArrayLike,
    second: ArrayLike,
    *,
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
    groups
        [n + m] labels of rows that belong together (see `together`): copies of a text in one run, and in both an item
        that two prompts read. They are drawn together, and no product of two of them counts. Labels of a group in one
        run are dealt anew among such groups; the rows of one in both runs change sides.

    All estimates are in doubt where rows are equal and in different groups (of 20 texts that each stood five times in
    a run, a separation on its bar came to PASS in 55 % of experiments), and where a run has fewer than 12 groups. Of
    300 simulations with a separation on its bar, 0.3 to 2 % came to PASS below it and 1 to 7 % above it, the most
    with lognormal activations and 150 items a run.

    Takes 24 (n + m)^2 bytes a layer. Raises ValueError for shapes that do not fit, values that are not finite, or a
    run of one group.
    """
    a, b = (_activations(x, name) for x, name in ((first, "first"), (second, "second")))
    if a.shape[1:] != b.shape[1:]:
        raise ValueError(f"runs of shapes {a.shape} and {b.shape} do not fit; read the same layers of one model")
    if permutations < 200:
        raise ValueError(f"{permutations} permutations cannot tell a p of 0.05; use 200 or more")
    named = tuple(range(a.shape[1])) if layers is None else tuple(int(layer) for layer in layers)
    n, total, depth = len(a), len(a) + len(b), a.shape[1]
    k, member = clusters(groups, total)
    pairs = _Pairs(member, n)
    parts = [_distances(a[:, at], b[:, at], pairs) for at in range(depth)]

    def statistic(w: np.ndarray) -> np.ndarray:
        counts = pairs.counts(w)
        found = np.stack([part(w, counts) for part in parts], axis=1)  # [m, layers, 3]
        return np.concatenate([found, found.mean(1, keepdims=True)], axis=1).reshape(len(w), -1)

    every = reweighted_each(statistic, total, groups=groups, seed=seed, resamples=resamples)
    doubt = pairs.doubt or _repeated(a, b, member)
    every = [replace(e, doubt=e.doubt or doubt) for e in every]
    cosine, l2, separation = (every[i::3] for i in range(3))
    sides = _relabelled(member, n, k, permutations, seed)
    nulls = [_distances_relabelled(a[:, at], b[:, at], sides) for at in range(depth)]
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


_Counts = tuple[np.ndarray, np.ndarray, np.ndarray]
_Tables = tuple[np.ndarray, np.ndarray, np.ndarray]


class _Pairs:
    """Pairs of rows from different groups, within the first run, within the second, and between them.

    The mean inner product over such pairs is unbiased for the product of the true means: no noise is multiplied by
    itself. `doubt` says why too few groups let nothing be decided.
    """

    def __init__(self, member: np.ndarray, n: int) -> None:
        self._n, self._sides = n, (member[:n], member[n:])
        few = min(len(np.unique(side)) for side in self._sides)
        if few < 2:
            raise ValueError("all items of a run are one group; a spread needs two groups or more in each run")
        self.doubt = f"a run has only {few} groups; collect {_LEAST} or more" if few < _LEAST else ""

    def tables(self, x: np.ndarray, y: np.ndarray) -> _Tables:
        """Inner products of rows x [n, d] and y [m, d]: [n, n], [m, m] and [n, m], with 0 inside groups."""
        one, two = self._sides
        first, second, between = (
            np.where(p[:, None] != q, u @ v.T, 0.0)
            for u, p, v, q in ((x, one, x, one), (y, two, y, two), (x, one, y, two))
        )
        return first, second, between

    def split(self, w: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Weights [m, rows] of the first run and of the second."""
        return w[:, : self._n], w[:, self._n :]

    def counts(self, w: np.ndarray) -> _Counts:
        """[m] how many pairs there are of each kind, by weights [m, rows]."""
        k = 1 + max(int(side.max()) for side in self._sides)
        one, two = (part @ np.eye(k)[side] for part, side in zip(self.split(w), self._sides, strict=True))
        first, second, between = (p.sum(1) * q.sum(1) - (p * q).sum(1) for p, q in ((one, one), (two, two), (one, two)))
        return first, second, between

    def means(self, w: np.ndarray, counts: _Counts, tables: _Tables) -> _Counts:
        """[m] the mean of each table over its pairs."""
        one, two = self.split(w)
        first, second, between = (
            _over(((p @ table) * q).sum(1), count)
            for p, q, table, count in zip((one, two, one), (one, two, two), tables, counts, strict=True)
        )
        return first, second, between


def _distances(x: np.ndarray, y: np.ndarray, pairs: _Pairs) -> Callable[[np.ndarray, _Counts], np.ndarray]:
    """At one layer: from weights [m, items] the cosine distance, relative L2 and separation, [m, 3]."""
    centre = (x.mean(0) + y.mean(0)) / 2
    u, v = x - centre, y - centre
    products, centred = pairs.tables(x, y), pairs.tables(u, v)
    size_u, size_v = (u**2).sum(1), (v**2).sum(1)

    def statistic(w: np.ndarray, counts: _Counts) -> np.ndarray:
        first, second = pairs.split(w)
        aa, bb, ab = pairs.means(w, counts, products)
        uu, vv, uv = pairs.means(w, counts, centred)
        apart = uu + vv - 2 * uv
        spread = (_over(first @ size_u, first.sum(1)) - uu + _over(second @ size_v, second.sum(1)) - vv) / 2
        aa, bb = np.maximum(aa, 0), np.maximum(bb, 0)
        cosine = np.clip(_over(ab, np.sqrt(aa * bb)), -1, 1)
        relative = _over(np.sqrt(np.maximum(apart, 0)), (np.sqrt(aa) + np.sqrt(bb)) / 2)
        return np.stack([1 - cosine, relative, _over(apart, spread)], axis=1)

    return statistic


def _repeated(x: np.ndarray, y: np.ndarray, member: np.ndarray) -> str:
    """Why rows of two runs that are equal, in different groups [n + m], let nothing be decided; or nothing.

    At the last layer that was read: where texts differ at all, they do there.
    """
    label = equal_rows(np.concatenate([x[:, -1], y[:, -1]]))
    copies = len(np.unique(np.stack([label, member]), axis=1).T) - label.max() - 1
    return f"{copies} of {len(label)} items are copies; pass groups that join them, or drop them" if copies else ""


def _relabelled(member: np.ndarray, n: int, k: int, permutations: int, seed: int) -> np.ndarray:
    """[1 + permutations, rows] which rows are the first run's: as observed, and as they may be if nothing differs."""
    rng = np.random.default_rng([seed, 2])
    observed = np.arange(len(member)) < n
    first, second = (np.isin(np.arange(k), member[side]) for side in (observed, ~observed))
    alone = np.flatnonzero(first != second)
    labels = np.tile(first, (permutations, 1))
    labels[:, alone] = rng.permuted(labels[:, alone], axis=1)
    turned = rng.random((permutations, k)) < 0.5
    both = (first & second)[member]
    return np.concatenate([observed[None], np.where(both, observed ^ turned[:, member], labels[:, member])]).astype(
        float
    )


def _distances_relabelled(x: np.ndarray, y: np.ndarray, sides: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """[1 + permutations] cosine distance and relative L2 of the mean vectors, for each way to part the rows.

    Every layer has the same ones, so that the largest over layers is one draw's.
    """
    pooled = np.concatenate([x, y])
    a, b = (_over(w @ pooled, w.sum(1, keepdims=True)) for w in (sides, 1 - sides))
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

    def kept(self) -> Kept:
        """The shares over all layers, and their plot."""
        shares = {f"share of {part}": share for part, share in self.overall.items()}
        return Kept(summary=shares, plots={"data set or prompt": self.plot})

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
    groups: ArrayLike | None = None,
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
        [n + m] labels of the first data set's items and then the second's: which belong together (see `together`).

    In doubt as `diverging` is. Takes 48 n^2 bytes a layer. Raises ValueError for shapes that do not fit, or four means
    that are all the same.
    """
    if len(cells) != 2 or any(len(row) != 2 for row in cells):
        raise ValueError("a 2 x 2 design has two data sets, each under two prompts: cells[data][prompt]")
    (a, b), (c, d) = (
        [_activations(x, f"data set {i}, prompt {j}") for j, x in enumerate(row)] for i, row in enumerate(cells)
    )
    if a.shape != b.shape or c.shape != d.shape or a.shape[1:] != c.shape[1:]:
        raise ValueError(f"cells of shapes {[x.shape for x in (a, b, c, d)]} do not fit; same items under both prompts")
    total, depth = len(a) + len(c), a.shape[1]
    _, member = clusters(groups, total)
    pairs = _Pairs(member, len(a))
    tables = []
    for at in range(depth):
        sides = [((p[:, at] + q[:, at]) / 2, p[:, at] - q[:, at]) for p, q in ((a, b), (c, d))]
        centre = np.concatenate([sides[0][0], sides[1][0]]).mean(0)
        (x, e), (y, f) = ((middle - centre, apart) for middle, apart in sides)
        tables.append((pairs.tables(x, y), pairs.tables(e, f)))

    def statistic(w: np.ndarray) -> np.ndarray:
        counts, found = pairs.counts(w), []
        for middles, moves in tables:
            xx, yy, xy = pairs.means(w, counts, middles)
            ee, ff, ef = pairs.means(w, counts, moves)
            squares = [xx + yy - 2 * xy, (ee + ff + 2 * ef) / 4, (ee + ff - 2 * ef) / 4]  # data, prompt, interaction
            parts = np.maximum(np.stack(squares, axis=1), 0)
            with np.errstate(invalid="ignore"):
                found.append(parts / parts.sum(1, keepdims=True))
        shares = np.stack(found, axis=1)  # [m, layers, 3]
        mean = shares.mean(1)
        return np.concatenate([shares.reshape(len(w), -1), mean, mean[:, :1] - mean[:, 1:2]], axis=1)

    if not np.isfinite(statistic(np.ones((1, total)))).all():
        raise ValueError("at some layer the four mean vectors differ by no more than noise; there is nothing to split")
    every = reweighted_each(statistic, total, groups=groups, seed=seed, resamples=resamples, unit="%")
    doubt = pairs.doubt or _repeated(a, c, member)
    every = [replace(e, doubt=e.doubt or doubt) for e in every]
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


# Runs as a model has read them -----------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Among:
    """Runs compared pair by pair: their mean vectors as they are, and what can be claimed of them.

    `mode` says which pairs; `per_layer` whether lists by layer are kept of the mean vectors.
    """

    reads: tuple[Read, ...]
    mode: Mode
    per_layer: bool
    described: tuple[Comparison, ...]
    divergences: Mapping[tuple[str, str], Divergence]

    @property
    def separations(self) -> dict[str, Estimate]:
        """Of each pair, the mean over the layers."""
        return {f"separation of {a} and {b}": each.overall["separation"] for (a, b), each in self.divergences.items()}

    @property
    def told(self) -> str:
        """Which runs they are, in words."""
        runs = [read.run for read in self.reads]
        return " and ".join(f"{run.name} ({run.dataset} under {run.prompt})" for run in runs)

    def kept(self) -> Kept:
        """Every run, every comparison of mean vectors, and a plot of each divergence."""
        return Kept(
            summary={
                "runs": [r.run.told() | r.summary.table() | {"truncated": r.truncated} for r in self.reads],
                "comparisons": [one.table(per_layer=self.per_layer) for one in self.described],
                "samples processed": sum(read.summary.n for read in self.reads),
                "num_runs": len(self.reads),
                "num_layers": len(self.reads[0].layers),
                "comparison_mode": self.mode,
                "pair_count": len(self.described),
            },
            plots={f"divergence {a} {b}": found.plot for (a, b), found in self.divergences.items()},
        )


def among(reads: Sequence[Read], mode: Mode, *, per_layer: bool = True, seed: int = 0) -> Among:
    """Compares runs, all pairs or each with the first. Raises ValueError as `pairs` and `diverging` do."""
    named = {read.run.name: read for read in reads}
    chosen = activation_compare.pairs(list(named), mode)
    described = tuple(activation_compare.compare(named[a].summary, named[b].summary, names=(a, b)) for a, b in chosen)
    found = {(a, b): between(named[a], named[b], seed=seed) for a, b in chosen}
    return Among(tuple(reads), mode, per_layer, described, found)


def between(first: Read, second: Read, *, seed: int = 0) -> Divergence:
    """How far two runs are apart, as `diverging` tells it; equal items and equal prompts belong together."""
    return diverging(first.resid, second.resid, groups=_groups(first, second), layers=first.layers, seed=seed)


def halves(read: Read, *, seed: int = 0) -> Divergence:
    """How far the first half of a run is from its second; equal items and equal prompts stay in one half."""
    groups = _groups(read)
    early = groups <= groups.max() // 2
    ordered = [*groups[early], *groups[~early]]
    return diverging(read.resid[early], read.resid[~early], groups=ordered, layers=read.layers, seed=seed)


def under_one_prompt(cells: Sequence[Sequence[Read]], *, seed: int = 0) -> dict[str, Estimate]:
    """How far two data sets are apart under the first's prompt and under the second's; `cells[prompt][data set]`."""
    return {
        f"separation of the data under the prompt of {pair[i].run.name}": between(*pair, seed=seed).overall[
            "separation"
        ]
        for i, pair in enumerate(cells)
    }


def crossed(cells: Sequence[Sequence[Read]], *, seed: int = 0) -> Split:
    """What of the divergence goes with the data set and what with the prompt; `cells[prompt][data set]`."""
    by_data = [[cell.resid for cell in row] for row in zip(*cells, strict=True)]
    first, second = cells[0][0], cells[1][1]
    return split(by_data, groups=_groups(first, second), layers=first.layers, seed=seed)


def _groups(*reads: Read) -> np.ndarray:
    """[n] the group of each item of these runs, one behind the other."""
    runs = [read.run for read in reads]
    return together(sum((run.items for run in runs), ()), sum((run.prompts for run in runs), ()))


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


def _over(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """x / y, and 0 where y is 0 or less."""
    return np.asarray(np.divide(x, y, out=np.zeros(np.broadcast_shapes(x.shape, y.shape)), where=y > 0))
