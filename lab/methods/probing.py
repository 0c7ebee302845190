"""Can a label be read off a model's activations by a linear probe?"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from lab.estimate import Estimate
from lab.stats.intervals import delong, reweighted, student

if TYPE_CHECKING:
    from matplotlib.axes import Axes


@dataclass(frozen=True)
class Shuffled:
    """What the same probe finds in shuffled labels: `auroc` is the mean over shuffles, `each` [shuffles] lists them."""

    auroc: Estimate
    each: np.ndarray


@dataclass(frozen=True)
class Probe:
    """Out-of-fold results of a cross-validated probe; every row was scored by a probe that never saw its group.

    Attributes
    ----------
    scores
        [n] decision values of the held-out folds.
    labels
        [n] what was to be found.
    auroc
        With DeLong's interval, clustered by group and widened for cross-validation. Unlike accuracy, it
        owes nothing to the base rate.
    accuracy, balanced_accuracy, base_rate
        At the probe's own threshold, with bootstrap intervals over groups; the base rate is the share of
        the more frequent class.
    shuffled
        The control: the same probe on permuted labels.
    """

    scores: np.ndarray
    labels: np.ndarray
    auroc: Estimate
    accuracy: Estimate
    balanced_accuracy: Estimate
    base_rate: float
    shuffled: Shuffled

    def plot_roc(self, ax: Axes) -> None:
        """The ROC curve, with its area in the legend."""
        order = np.argsort(-self.scores, kind="stable")
        # One point per distinct score, so that ties are a slope and not a step.
        last = np.append(np.flatnonzero(np.diff(self.scores[order])), len(order) - 1)
        hits, misses = np.cumsum(self.labels[order])[last], np.cumsum(~self.labels[order])[last]
        e = self.auroc
        label = f"AUROC = {e.value:.3f} [{e.low:.3f}, {e.high:.3f}]"
        ax.plot(np.append(0, misses / misses[-1]), np.append(0, hits / hits[-1]), label=label)
        ax.plot([0, 1], [0, 1], color="0.6", linestyle=":", label="chance")
        ax.set(xlabel="false positive rate", ylabel="true positive rate", aspect="equal", title="Probe, out of fold")
        ax.legend(loc="lower right", fontsize=7)


def logistic(
    features: np.ndarray,
    labels: np.ndarray,
    *,
    folds: int = 5,
    groups: np.ndarray | None = None,
    penalty: float = 1.0,
    shuffles: int = 10,
    seed: int,
) -> Probe:
    """A logistic probe, cross-validated and weighted so that both classes count the same.

    Parameters
    ----------
    features
        [n, d] activations; standardised inside each fold.
    labels
        [n] true or false.
    folds
        Stratified folds.
    groups
        [n] labels; a group is never split over folds. Pass one where rows share their subject matter.
    penalty
        Inverse of the regularisation: larger values regularise less.
    shuffles
        How often the labels are permuted for the control; at least 2.

    Raises ValueError for shapes that do not match, or a class with fewer members than folds.
    """
    from threadpoolctl import threadpool_limits

    x, y = np.asarray(features, dtype=float), np.asarray(labels, dtype=bool)
    if x.ndim != 2 or y.shape != (len(x),):
        raise ValueError(f"features {x.shape} and labels {y.shape} do not match; they need [n, d] and [n]")
    least = int(min(y.sum(), (~y).sum()))
    if least < max(folds, 2):
        raise ValueError(f"the rarer class has {least} members, too few for {folds} folds; use more rows")
    rng = np.random.default_rng(seed)
    # With two BLAS threads and a busy neighbour this fit was measured fifty times slower.
    with threadpool_limits(1, user_api="blas"):
        splits = _splits(x, y, folds, groups, seed)
        scores = _out_of_fold(x, y, splits, penalty)
        permuted = [rng.permutation(y) for _ in range(shuffles)]
        null = np.array([delong(_out_of_fold(x, labels, splits, penalty), labels).value for labels in permuted])
    right = (scores > 0) == y

    def balanced(w: np.ndarray) -> np.ndarray:
        return np.asarray(((w @ (right & y)) / (w @ y) + (w @ (right & ~y)) / (w @ ~y)) / 2)

    return Probe(
        scores=scores,
        labels=y,
        auroc=delong(scores, y, groups=groups, out_of_fold=True),
        accuracy=reweighted(lambda w: w @ right / w.sum(1), len(y), groups=groups, seed=seed, unit="%"),
        balanced_accuracy=reweighted(balanced, len(y), groups=groups, seed=seed, unit="%"),
        base_rate=float(max(y.mean(), 1 - y.mean())),
        shuffled=Shuffled(student(null), null),
    )


_Splits = list[tuple[np.ndarray, np.ndarray]]


def _splits(x: np.ndarray, y: np.ndarray, folds: int, groups: np.ndarray | None, seed: int) -> _Splits:
    from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold

    splitter = StratifiedKFold if groups is None else StratifiedGroupKFold
    return list(splitter(folds, shuffle=True, random_state=seed).split(x, y, groups))


def _out_of_fold(x: np.ndarray, y: np.ndarray, splits: _Splits, penalty: float) -> np.ndarray:
    """[n] decision values, each of a probe that was fitted on the other folds."""
    from sklearn.linear_model import LogisticRegression

    # Newton's steps solve a [d, d] system: fewer and cheaper than L-BFGS's for a narrow model, not for a wide one.
    solver = "newton-cholesky" if x.shape[1] <= 512 else "lbfgs"
    scores = np.empty(len(y))
    for train, test in splits:
        if y[train].all() or not y[train].any():
            raise ValueError("a fold's training part holds one class only; use more rows or fewer folds")
        mean, spread = x[train].mean(0), x[train].std(0)
        spread[spread == 0] = 1.0
        probe = LogisticRegression(C=penalty, class_weight="balanced", max_iter=1000, solver=solver)
        probe.fit((x[train] - mean) / spread, y[train])
        scores[test] = probe.decision_function((x[test] - mean) / spread)
    return scores
