"""Do two models hold the same information? A ridge map from the activations of one to those of the other."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from lab.estimate import Estimate
from lab.stats.intervals import reweighted, student

if TYPE_CHECKING:
    from matplotlib.axes import Axes


@dataclass(frozen=True)
class CrossModelMap:
    """How well held-out activations of each model are predicted from the other's.

    Attributes
    ----------
    r
        Mean over target dimensions of Pearson's r on held-out texts, averaged over both directions;
        the interval resamples held-out groups, p is that of the null.
    forward, backward
        The same for one direction each.
    excess
        r minus the 95th percentile of the null.
    shuffled
        Mean r over maps that were fitted and tested with the pairing of texts shuffled.
    null
        [shuffles] r of each of them.
    null_95
        Its 95th percentile.
    constant_dims
        Target dimensions without variation on the held-out texts, dropped in each direction.
    """

    r: Estimate
    forward: Estimate
    backward: Estimate
    excess: Estimate
    shuffled: Estimate
    null: np.ndarray
    null_95: float
    constant_dims: tuple[int, int]
    per_dim: tuple[np.ndarray, np.ndarray]

    def plot(self, ax: Axes) -> None:
        """r of every dimension in both directions, with the null's range and the mean."""
        for values, label in zip(self.per_dim, ("first to second", "second to first"), strict=True):
            ax.hist(values, bins=np.linspace(-0.5, 1, 31).tolist(), histtype="step", linewidth=1.4, label=label)
        ax.axvspan(float(self.null.min()), self.null_95, color="0.8", label="shuffled pairing, to its 95 %")
        ax.axvline(self.r.value, color="black", linewidth=1, label=f"mean r = {self.r.value:.2f}")
        ax.set(xlabel="Pearson r on held-out texts", ylabel="dimensions", title="Linear map between two models")
        ax.legend(fontsize=7)


def cross_model_map(
    first: np.ndarray,
    second: np.ndarray,
    *,
    groups: np.ndarray,
    within: np.ndarray | None = None,
    alpha: float = 1.0,
    test_share: float = 0.2,
    shuffles: int = 100,
    seed: int,
) -> CrossModelMap:
    """Fits a ridge map in both directions on one part of the texts and scores it on the rest.

    Parameters
    ----------
    first, second
        Activations [n, d1] and [n, d2] of two models on the same n texts.
    groups
        [n] labels. A group is wholly in the training or wholly in the held-out part, so that a map
        cannot win by having met the same words before.
    within
        [n] labels of the texts' surface form. The training mean of each form is taken out of both
        sides, so that telling the forms apart earns nothing.
    alpha
        Ridge penalty, on centred and otherwise unscaled activations.
    test_share
        Share of groups held out.
    shuffles
        Size of the null: the pairing of whole groups is permuted, because texts of one group are no
        independent draws, and the map is fitted and scored anew.

    Raises ValueError for arrays that do not match or too few groups. Source of the measure: the
    execution plan's pre-mortem 1; constant dimensions are dropped and counted, never scored as 0.
    """
    from threadpoolctl import threadpool_limits

    x, y = np.asarray(first, dtype=float), np.asarray(second, dtype=float)
    groups = np.asarray(groups)
    if x.ndim != 2 or y.ndim != 2 or len(x) != len(y) or len(groups) != len(x):
        raise ValueError(f"activations {x.shape} and {y.shape} and groups {groups.shape} must have the same n")
    rng = np.random.default_rng(seed)
    names = rng.permutation(np.unique(groups))
    n_test = round(test_share * len(names))
    if n_test < 2 or len(names) - n_test < 2:
        raise ValueError(f"{len(names)} groups cannot be split into training and held-out parts; use more texts")
    test = np.isin(groups, names[:n_test])
    x, y = (_centred(side, test, within) for side in (x, y))
    with threadpool_limits(1, user_api="blas"):
        forward, backward = _Direction(x, y, test, alpha), _Direction(y, x, test, alpha)
        rows = _rows(groups, within)
        null = np.empty(shuffles)
        for i in range(shuffles):
            # One permutation pairs each group of one model with another group of the other, both ways.
            partner = rng.permutation(len(names))
            there, back = _rows_of_partners(rows, partner), _rows_of_partners(rows, np.argsort(partner))
            null[i] = (forward.shuffled(there) + backward.shuffled(back)) / 2
        held_out, n_rows = groups[test], int(test.sum())
        r, one_way, other_way = (
            reweighted(statistic, n_rows, groups=held_out, seed=seed)
            for statistic in (lambda w: (forward.r(w) + backward.r(w)) / 2, forward.r, backward.r)
        )
    r = replace(r, p=float((1 + (null >= r.value).sum()) / (1 + shuffles)))
    null_95 = float(np.quantile(null, 0.95))
    excess = Estimate(r.value - null_95, r.low - null_95, r.high - null_95, r.n, r.method, r.level)
    return CrossModelMap(
        r=r,
        forward=one_way,
        backward=other_way,
        excess=excess,
        shuffled=student(null),
        null=null,
        null_95=null_95,
        constant_dims=(forward.constant, backward.constant),
        per_dim=(forward.each(np.ones((1, n_rows)))[0], backward.each(np.ones((1, n_rows)))[0]),
    )


def _centred(side: np.ndarray, test: np.ndarray, within: np.ndarray | None) -> np.ndarray:
    """Takes the training mean out, form by form."""
    forms = np.zeros(len(side), dtype=int) if within is None else np.unique(within, return_inverse=True)[1]
    centred = np.empty_like(side)
    for form in np.unique(forms):
        rows = forms == form
        if not (rows & ~test).any():
            raise ValueError("a form of text has no training text; use more texts or fewer forms")
        centred[rows] = side[rows] - side[rows & ~test].mean(0)
    return centred


def _rows(groups: np.ndarray, within: np.ndarray | None) -> list[np.ndarray]:
    """Row indices of each group, ordered by form."""
    forms = np.zeros(len(groups)) if within is None else np.unique(within, return_inverse=True)[1]
    order = np.lexsort((np.arange(len(groups)), forms, np.unique(groups, return_inverse=True)[1]))
    return np.split(order, np.cumsum(np.unique(groups, return_counts=True)[1])[:-1])


def _rows_of_partners(rows: list[np.ndarray], partner: np.ndarray) -> np.ndarray:
    """[n] for each row, the row of the partner group that stands at its place; a short partner begins again."""
    order = np.empty(sum(len(own) for own in rows), dtype=int)
    for own, other in zip(rows, partner, strict=True):
        order[own] = np.resize(rows[other], len(own))
    return order


class _Direction:
    """A ridge map from one side to the other, with its held-out predictions."""

    def __init__(self, source: np.ndarray, target: np.ndarray, test: np.ndarray, alpha: float) -> None:
        self.source, self.target, self.test = source, target, test
        train = source[~test]
        gram = train.T @ train + alpha * np.eye(source.shape[1])
        self._to_weights = np.linalg.solve(gram, train.T)
        predicted, true = self._predict(target)
        varies = (true.std(0) > 1e-12) & (predicted.std(0) > 1e-12)
        self.constant = int((~varies).sum())
        if not varies.any():
            raise ValueError("no target dimension varies on the held-out texts")
        a, b = predicted[:, varies], true[:, varies]
        self._moments = [a - a.mean(0), b - b.mean(0)]

    def _predict(self, target: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Prediction and truth on the held-out texts, both [n_test, d]."""
        return self.source[self.test] @ (self._to_weights @ target[~self.test]), target[self.test]

    def each(self, weights: np.ndarray) -> np.ndarray:
        """Pearson's r of every varying dimension with the held-out texts so weighted, [m, n_test] to [m, d]."""
        a, b = self._moments
        w = weights / weights.sum(1, keepdims=True)
        mean_a, mean_b = w @ a, w @ b
        with np.errstate(invalid="ignore", divide="ignore"):
            spread = np.sqrt((w @ (a * a) - mean_a**2) * (w @ (b * b) - mean_b**2))
            return np.asarray((w @ (a * b) - mean_a * mean_b) / spread)

    def r(self, weights: np.ndarray) -> np.ndarray:
        """Mean of r over the dimensions, [m, n_test] to [m]."""
        return np.asarray(np.nanmean(self.each(weights), axis=1))

    def shuffled(self, order: np.ndarray) -> float:
        """Mean r of the map that is fitted and tested on a permuted target."""
        a, b = self._predict(self.target[order])
        a, b = a - a.mean(0), b - b.mean(0)
        with np.errstate(invalid="ignore", divide="ignore"):
            return float(np.nanmean((a * b).sum(0) / np.sqrt((a * a).sum(0) * (b * b).sum(0))))
