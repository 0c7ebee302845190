"""Linear prediction of one model's activations from another's, scored on texts the map has not met."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from lab.estimate import Estimate
from lab.stats.bootstrap import mean_of_finite
from lab.stats.checks import clusters, finite
from lab.stats.intervals import reweighted, student
from lab.stats.threads import one_thread
from lab.studies.activations.representations import repeated, same, sides
from lab.studies.activations.shuffles import Families, Scored, chance, enough, over

if TYPE_CHECKING:
    from matplotlib.axes import Axes


@dataclass(frozen=True)
class RidgeCorrelation(Scored):
    """How well held-out activations of each model are predicted from the other's.

    Attributes
    ----------
    score, r
        Mean over target dimensions of Pearson's r on held-out texts, averaged over both directions;
        the interval resamples held-out groups, p is that of the null.
    forward, backward
        The same for one direction each.
    r2
        Mean over target dimensions and directions of the share of held-out variance that the map
        explains; below 0 where it does worse than the mean. A share near r^2 says that the map has the
        right scale, one far below that it only ranks the texts.
    excess
        r minus the 95th percentile of the null.
    shuffled
        Mean r over maps that were fitted and tested with the pairing of texts shuffled, within the
        training and within the held-out part.
    null
        [permutations] r of each of them.
    null_95, percentile, calibrated
        See `shuffles.Chance`.
    constant_dims
        Target dimensions without variation on the held-out texts, dropped in each direction.
    per_dim
        [d2] and [d1] less those: r of every dimension, first to second and second to first.
    """

    score: Estimate
    forward: Estimate
    backward: Estimate
    r2: Estimate
    excess: Estimate
    shuffled: Estimate
    null: np.ndarray
    null_95: float
    percentile: Estimate
    calibrated: float
    constant_dims: tuple[int, int]
    per_dim: tuple[np.ndarray, np.ndarray]

    @property
    def r(self) -> Estimate:
        """The score, by the name of what it is."""
        return self.score

    def plot(self, ax: Axes) -> None:
        """r of every dimension in both directions, with the null's range and the mean."""
        for values, label in zip(self.per_dim, ("first to second", "second to first"), strict=True):
            ax.hist(values, bins=np.linspace(-0.5, 1, 31).tolist(), histtype="step", linewidth=1.4, label=label)
        ax.axvspan(float(self.null.min()), self.null_95, color="0.8", label="shuffled pairing, to its 95 %")
        ax.axvline(self.r.value, color="black", linewidth=1, label=f"mean r = {self.r.value:.2f}")
        title = f"Linear map between two models (n={self.r.n} held out)"
        ax.set(xlabel="Pearson r on held-out texts", ylabel="dimensions", title=title)
        ax.legend(fontsize=7)


@one_thread
def ridge_correlation(
    x: ArrayLike,
    y: ArrayLike,
    *,
    groups: ArrayLike | None = None,
    within: ArrayLike | None = None,
    covariates: ArrayLike | None = None,
    alpha: float = 1.0,
    test_share: float = 0.2,
    permutations: int = 100,
    seed: int = 0,
) -> RidgeCorrelation:
    """Fits a ridge map in both directions on one part of the texts and scores it on the rest.

    Parameters
    ----------
    x, y
        Activations [n, d1] and [n, d2] of two models on the same n texts, at least 20.
    groups
        [n] labels; every text is its own where None. A group is wholly in the training or wholly in the
        held-out part, so that a map cannot win by having met the same words before.
    within
        [n] labels of the texts' surface form. The training mean of each form is taken out of both
        sides, so that telling the forms apart earns nothing.
    covariates
        [n, c] what any model would hold of a text, such as its length. Its linear part, learnt on the
        training texts alone, is taken out of both sides. One shared number can give an r of 0.25, and
        the null does not protect against it: it is truly shared, and a shuffled pairing breaks it like
        everything else. Give powers of it as further columns where its effect may be curved.
    alpha
        Ridge penalty, on centred and otherwise unscaled activations. 0 is plain least squares.
    test_share
        Share of groups held out.
    permutations
        Size of the null, at least 19: the pairing of whole groups is permuted, because texts of one group
        are no independent draws, and the map is fitted and scored anew. Training groups meet training
        groups and held-out ones held-out ones. Across the two parts the directions would be scored on
        different pairs, while the observed ones share theirs (correlation of their r .83 to .90), so that
        the null was too narrow: p <= .05 in 10 % of experiments with nothing shared.

    Texts that stand twice in both models (same activations), in different groups, and two sides that are
    the same put everything in doubt. Raises ValueError for arrays that do not match, NaN, too few groups or
    permutations. Source of the measure: the execution plan's pre-mortem 1; constant dimensions are dropped
    and counted, never scored as 0.
    """
    enough(permutations)
    a, b = sides(x, y)
    k, member = clusters(groups, len(a))
    why, identical = repeated(a, b, member), np.array_equal(a, b)
    if alpha < 0:
        raise ValueError(f"alpha is {alpha}; a ridge penalty is 0 or more")
    rng = np.random.default_rng(seed)
    n_test = round(test_share * k)
    if n_test < 2 or k - n_test < 2:
        raise ValueError(f"{k} groups cannot be split into training and held-out parts; use more texts")
    drawn = rng.permutation(k)
    parts = drawn[:n_test], drawn[n_test:]
    test = np.isin(member, parts[0])
    forms = np.zeros(len(a), dtype=int) if within is None else clusters(within, len(a), least=1)[1]
    a, b = _centred(a, test, forms), _centred(b, test, forms)
    if covariates is not None:
        known = finite(np.asarray(covariates, dtype=float), "covariates")
        if len(known) != len(a) or known.ndim > 2:
            raise ValueError(f"{len(a)} texts need covariates [n] or [n, c], not shape {known.shape}")
        known = _centred(known.reshape(len(a), -1), test, forms)
        a, b = (side - known @ np.linalg.lstsq(known[~test], side[~test], rcond=None)[0] for side in (a, b))
    forward, backward = _Direction(a, b, test, member, alpha), _Direction(b, a, test, member, alpha)
    families = Families.of(member, forms)
    null = np.empty(permutations)
    partner = np.empty(k, dtype=int)
    for i in range(permutations):
        # One permutation pairs each group of one model with a group of the other, both ways.
        for part in parts:
            partner[part] = rng.permutation(part)
        there, back = families.partners(partner), families.partners(np.argsort(partner))
        null[i] = (forward.shuffled(there) + backward.shuffled(back)) / 2
    r, one_way, other_way, r2 = (
        replace(reweighted(statistic, n_test, seed=seed), method="cluster bootstrap")
        for statistic in (
            lambda w: (forward.r(w) + backward.r(w)) / 2,
            forward.r,
            backward.r,
            lambda w: (forward.r2(w) + backward.r2(w)) / 2,
        )
    )
    found = chance(null, r.value)
    why = why or same(1.0 if identical else r.value)
    r, one_way, other_way, r2 = (replace(e, doubt=why or e.doubt) for e in (r, one_way, other_way, r2))
    return RidgeCorrelation(
        score=replace(r, p=found.p),
        forward=one_way,
        backward=other_way,
        r2=r2,
        excess=over(r, found.null_95),
        shuffled=student(null),
        null=null,
        null_95=found.null_95,
        percentile=replace(found.percentile, doubt=why),
        calibrated=found.calibrated,
        constant_dims=(forward.constant, backward.constant),
        per_dim=(forward.each(np.ones((1, n_test)))[0], backward.each(np.ones((1, n_test)))[0]),
    )


def _centred(side: np.ndarray, test: np.ndarray, forms: np.ndarray) -> np.ndarray:
    """Takes the training mean out, form by form."""
    counts = np.bincount(forms, ~test)
    if (counts == 0).any():
        raise ValueError("a form of text has no training text; use more texts or fewer forms")
    centred = np.empty_like(side)
    for form in range(len(counts)):
        rows = forms == form
        centred[rows] = side[rows] - side[rows & ~test].mean(0)
    return centred


class _Direction:
    """A ridge map from one side to the other, with its held-out predictions."""

    def __init__(
        self, source: np.ndarray, target: np.ndarray, test: np.ndarray, member: np.ndarray, alpha: float
    ) -> None:
        self._target, self._train, self._test = target, np.flatnonzero(~test), np.flatnonzero(test)
        train, held_out = source[self._train], source[self._test]
        if alpha:
            self._to_weights = np.linalg.solve(train.T @ train + alpha * np.eye(source.shape[1]), train.T)
        else:
            self._to_weights = np.linalg.pinv(train)
        # The held-out texts enter a shuffled map by their centred sums alone.
        self._held_out = held_out - held_out.mean(0)
        self._scatter = self._held_out.T @ self._held_out
        predicted, true = held_out @ (self._to_weights @ target[self._train]), target[self._test]
        varies = (true.std(0) > 1e-12) & (predicted.std(0) > 1e-12)
        self.constant = int((~varies).sum())
        if not varies.any():
            raise ValueError("no target dimension varies on the held-out texts")
        a, b = predicted[:, varies], true[:, varies]
        error = (b - a) ** 2
        a, b = a - a.mean(0), b - b.mean(0)
        # Sums by group, which is all that resampled groups need.
        _, place, self._sizes = np.unique(member[self._test], return_inverse=True, return_counts=True)
        order = np.argsort(place, kind="stable")
        starts = np.cumsum(self._sizes) - self._sizes
        self._sums = np.add.reduceat(np.concatenate([a, b, a * a, b * b, a * b, error], axis=1)[order], starts)

    def _moments(self, weights: np.ndarray) -> tuple[np.ndarray, ...]:
        """Weighted means [m, d] of a, b, a^2, b^2, ab and the squared error."""
        means = weights @ self._sums / (weights @ self._sizes)[:, None]
        return tuple(np.split(means, 6, axis=1))

    def each(self, weights: np.ndarray) -> np.ndarray:
        """Pearson's r of every varying dimension with the held-out groups so weighted, [m, groups] to [m, d]."""
        a, b, aa, bb, ab, _ = self._moments(weights)
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.asarray((ab - a * b) / np.sqrt((aa - a**2) * (bb - b**2)))

    def r(self, weights: np.ndarray) -> np.ndarray:
        """Mean of r over the dimensions, [m, groups] to [m]."""
        return mean_of_finite(self.each(weights))

    def r2(self, weights: np.ndarray) -> np.ndarray:
        """Mean over the dimensions of the explained share of variance, [m, groups] to [m]."""
        _, b, _, bb, _, error = self._moments(weights)
        with np.errstate(invalid="ignore", divide="ignore"):
            return mean_of_finite(1 - error / (bb - b**2))

    def shuffled(self, order: np.ndarray) -> float:
        """Mean r of the map that is fitted and tested on a permuted target."""
        weights = self._to_weights @ self._target.take(order[self._train], axis=0)
        b = self._target.take(order[self._test], axis=0)
        b -= b.mean(0)
        together = (weights * (self._held_out.T @ b)).sum(0)
        with np.errstate(invalid="ignore", divide="ignore"):
            spread = np.sqrt((weights * (self._scatter @ weights)).sum(0) * np.einsum("ij,ij->j", b, b))
            return float(np.nanmean(together / spread))
