"""Transfer of activations from one model to another by a linear map, and how it changes answers."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from lab.estimate import Estimate
from lab.stats.checks import clusters, finite, flags
from lab.stats.correlations import pearson
from lab.stats.intervals import paired_difference, ratio, student, wilson
from lab.stats.threads import one_thread

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_WEAK = 0.3
"""A map whose predictions correlate less with held-out activations carries little: the bar of pre-mortem 1."""


def held_out(groups: ArrayLike, *, share: float = 0.5, seed: int = 0) -> np.ndarray:
    """[n] whether each item is held out; a group [n] is wholly on one side.

    Raises ValueError for a share that leaves a side without groups.
    """
    labels = np.asarray(groups)
    k, member = clusters(labels, labels.size)
    count = round(share * k)
    if not 0 < count < k:
        raise ValueError(f"share={share:g} of {k} groups leaves one side empty; choose another share, or more items")
    return np.asarray((np.random.default_rng(seed).permutation(k) < count)[member])


@dataclass(frozen=True)
class Map:
    """A linear map from one model's activations to another's, as `fit` makes it.

    Attributes
    ----------
    mean, spread
        [d_source] by which a source activation is standardised.
    weights
        [d_source, d_target]
    centre
        [d_target] what a source activation at its mean is mapped to.
    n
        Items that it was taught on.
    """

    mean: np.ndarray
    spread: np.ndarray
    weights: np.ndarray
    centre: np.ndarray
    n: int

    def __call__(self, source: ArrayLike) -> np.ndarray:
        """[n, d_target] of source activations [n, d_source]. Raises ValueError for another width."""
        x = np.asarray(source, dtype=float)
        if x.ndim != 2 or x.shape[1] != self.mean.size:
            raise ValueError(f"the map was taught activations [n, {self.mean.size}]; these are {x.shape}")
        return np.asarray((x - self.mean) / self.spread @ self.weights + self.centre)

    def correlation(self, source: ArrayLike, target: ArrayLike) -> float:
        """Mean over target dimensions of Pearson's r between mapped and true activations of other items.

        A dimension without variation counts for nothing; 0 where none varies.
        """
        mapped, true = self(source), np.asarray(target, dtype=float)
        if mapped.shape != true.shape:
            raise ValueError(f"the map gives {mapped.shape}, the target's activations are {true.shape}")
        varies = (mapped.std(0) > 1e-12) & (true.std(0) > 1e-12)
        return float(np.nanmean(pearson(mapped[:, varies].T, true[:, varies].T))) if varies.any() else 0.0


@one_thread
def fit(source: ArrayLike, target: ArrayLike, *, alpha: float = 10.0) -> Map:
    """A ridge map from source activations [n, d_source] to the target's [n, d_target] of the same items.

    Source dimensions are standardised, so that `alpha` means the same in every model; the intercept is not
    penalised. Give it training items alone. Raises ValueError for shapes that do not match, values that are not
    finite, fewer than two items, or an alpha that is not above 0.
    """
    x, y = (np.asarray(side, dtype=float) for side in (source, target))
    if x.ndim != 2 or y.ndim != 2 or len(x) != len(y):
        raise ValueError(f"a map needs activations [n, d] of the same items on both sides, not {x.shape} and {y.shape}")
    if len(x) < 2:
        raise ValueError(f"a map cannot be taught on {len(x)} items; use more, or a source and a target that know more")
    if not alpha > 0:
        raise ValueError(f"alpha is {alpha:g}; a ridge penalty is above 0")
    finite(x, "source activations")
    finite(y, "target activations")
    mean, spread, centre = x.mean(0), x.std(0), y.mean(0)
    spread[spread <= 1e-12 * np.abs(mean)] = np.inf
    z = (x - mean) / spread
    weights = np.linalg.solve(z.T @ z + alpha * np.eye(z.shape[1]), z.T @ (y - centre))
    return Map(mean, spread, weights, centre, len(x))


@dataclass(frozen=True)
class Transferred:
    """What injected activations did to the target's answers, item by item; all items were held out.

    Attributes
    ----------
    source, target, transfer
        Accuracies: of the source, of the target as it is, and of the target with what was carried over.
    improvement
        Transfer less target, in points, paired by item and clustered by group. The interval holds Student's and the
        square-and-add of Wilson's intervals of `gained` and `lost` (Zou and Donner 2008, Statistics in Medicine
        27: 1693): where few answers change, Student's alone is too narrow, and so is Newcombe's (of 200 items, each
        gained with probability 0.02, either is wholly below 2 points in 7 to 9 % of experiments). p is the larger one
        of Student's and McNemar's.
    mcnemar
        The same difference, its interval Newcombe's of single items and its p McNemar's exact one.
    relative
        The improvement over the target's accuracy.
    shuffled
        The improvement with a map that was taught on shuffled pairs: what any disturbance of that kind does.
    beyond_shuffled
        Transfer less that, paired.
    gained, lost
        Shares of items that became right, and that became wrong.
    headroom
        Share of items that the source alone answers rightly: all that there is to gain.
    moved
        Share of items whose being right changed.
    map_r
        Mean Pearson's r of the map on held-out items.
    """

    source: Estimate
    target: Estimate
    transfer: Estimate
    improvement: Estimate
    mcnemar: Estimate
    relative: Estimate
    shuffled: Estimate
    beyond_shuffled: Estimate
    gained: Estimate
    lost: Estimate
    headroom: Estimate
    map_r: float

    @property
    def moved(self) -> float:
        return self.gained.value + self.lost.value

    def likely_reason(self, least: float) -> str:
        """Why it failed to improve by `least` (a share), as far as these figures tell."""
        if self.headroom.value <= least:
            return f"there was little to gain: the source alone is right on {self.headroom.shown} of the items"
        if self.map_r < _WEAK:
            return f"the map carries little: its r on held-out activations is {self.map_r:.2f}"
        if not self.source.value > self.target.value - least:
            return f"the source knows less than the target: {self.source.shown} against {self.target.shown}"
        if self.moved <= least:
            return f"the answer was hardly touched: {100 * self.moved:.3g} % of the items changed; inject earlier"
        return (
            f"it disturbs nearly as much as it helps: {self.gained.shown} of the items became right and "
            f"{self.lost.shown} wrong"
        )

    def negative_result(self, tried: str, least: float) -> dict[str, Any]:
        """A failed transfer as a row: what was tried, the numbers, and the likely reason."""
        return {
            "tried": tried,
            "numbers": {
                "source": self.source.value,
                "target": self.target.value,
                "transfer": self.transfer.value,
                "improvement": self.improvement.value,
                "improvement_low": self.improvement.low,
                "improvement_high": self.improvement.high,
                "p_mcnemar": self.mcnemar.p,
                "shuffled": self.shuffled.value,
                "headroom": self.headroom.value,
                "map_r": self.map_r,
                "n": self.mcnemar.n,
            },
            "likely_reason": self.likely_reason(least),
        }

    def plot(self, ax: Axes) -> None:
        """The accuracies, with the one that shuffled pairs gave."""
        bars = {"source": self.source, "target": self.target, "target with\ntransfer": self.transfer}
        for i, e in enumerate(bars.values()):
            error = [[100 * (e.value - e.low)], [100 * (e.high - e.value)]]
            ax.bar(i, 100 * e.value, yerr=error, capsize=3, color=("0.6", "C0", "C1")[i])
        by_chance = 100 * (self.target.value + self.shuffled.value)
        ax.hlines(by_chance, 1.6, 2.4, color="black", linestyle=":", label=f"map of shuffled pairs: {by_chance:.1f} %")
        gain, least, most = (100 * x for x in (self.improvement.value, self.improvement.low, self.improvement.high))
        ax.set_xticks(range(len(bars)), list(bars))
        title = f"Improvement {gain:+.1f} points [{least:+.1f}, {most:+.1f}] (n={self.mcnemar.n} held out)"
        ax.set(ylabel="right answers, %", ylim=(0, 100), title=title)
        ax.legend(loc="upper left", fontsize=7)


def compare(
    *,
    source: ArrayLike,
    target: ArrayLike,
    transfer: ArrayLike,
    shuffled: ArrayLike,
    map_r: float,
    groups: ArrayLike | None = None,
) -> Transferred:
    """Holds the target's answers with carried activations against those without, on held-out items.

    Parameters
    ----------
    source, target, transfer
        [n] whether each item is answered rightly: by the source, by the target, by the target with the carried
        activations.
    shuffled
        [n] the same with a map that was taught on shuffled pairs.
    map_r
        `Map.correlation` on the held-out items.
    groups
        [n] labels of items that belong together.

    Raises ValueError for lengths that differ.
    """
    named = {"source": source, "target": target, "transfer": transfer, "shuffled": shuffled}
    right = {name: flags(given, f"answers of {name}") for name, given in named.items()}
    if len({given.shape for given in right.values()}) != 1:
        shapes = ", ".join(f"{name} {given.shape}" for name, given in right.items())
        raise ValueError(f"all answers must be to the same items, one each; there are {shapes}")
    before, after, by_chance = right["target"], right["transfer"], right["shuffled"]

    def share(told: np.ndarray) -> Estimate:
        return wilson(told, groups=groups)

    def gain(first: np.ndarray, second: np.ndarray) -> Estimate:
        """Paired, in shares."""
        e = student(first.astype(float) - second, groups=groups, unit="%")
        up, down, single = share(first & ~second), share(second & ~first), paired_difference(first, second)
        low = e.value - math.hypot(up.value - up.low, down.high - down.value)
        high = e.value + math.hypot(up.high - up.value, down.value - down.low)
        return replace(
            e,
            low=max(min(e.low, low), -1.0),
            high=min(max(e.high, high), 1.0),
            p=single.p if e.p is None or single.p is None else max(e.p, single.p),
            method=f"{e.method}, and Wilson's of what changed",
            bounds=single.bounds,
        )

    return Transferred(
        source=share(right["source"]),
        target=share(before),
        transfer=share(after),
        improvement=gain(after, before),
        mcnemar=paired_difference(after, before),
        relative=ratio(after.astype(float) - before, before.astype(float), groups=groups, unit="%"),
        shuffled=gain(by_chance, before),
        beyond_shuffled=gain(after, by_chance),
        gained=share(after & ~before),
        lost=share(~after & before),
        headroom=share(right["source"] & ~before),
        map_r=float(map_r),
    )
