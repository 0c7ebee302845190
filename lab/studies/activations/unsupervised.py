"""Directions of truth found without labels: CCS on contrast pairs, beside its baselines."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from lab.estimate import Estimate
from lab.record.kept import Kept
from lab.stats.auroc import area
from lab.stats.checks import clusters, finite, flags
from lab.stats.intervals import delong, ratio, student, wilson
from lab.stats.threads import one_thread
from lab.studies.activations import probing

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_CONVENTION = "its sign rests on a convention, that most statements are true; pass `model_says` to have it told"

_BEST_SIGN = "its sign was chosen by the test labels; use accuracy, or auroc_sign_free"


@dataclass(frozen=True)
class Direction:
    """What one way of scoring the held-out statements comes to.

    Attributes
    ----------
    scores
        [n_test], above 0 for what it calls true, after its label-free sign.
    auroc, accuracy, balanced_accuracy
        With the sign it was given without labels. In doubt where nothing but a convention gave it. Accuracy is above
        one half for calling all statements true where most are; its mean over the two classes is not.
    auroc_sign_free
        max(a, 1 - a), at least 0.5 by construction, so compare it with what random directions get
        (`Unsupervised.random`). Its interval is DeLong's of half the error, folded at 0.5, which passes noise
        no more often than an ordinary one.
    accuracy_best_sign
        max(a, 1 - a): the sign that the test labels like best, as Burns et al. report it. It uses labels and
        is at least 0.5 by construction, so it is always in doubt.
    """

    scores: np.ndarray
    auroc: Estimate
    accuracy: Estimate
    balanced_accuracy: Estimate
    auroc_sign_free: Estimate
    accuracy_best_sign: Estimate


@dataclass(frozen=True)
class RandomDirections:
    """What directions drawn at random get by the same rules.

    Attributes
    ----------
    aurocs, accuracies
        [directions] sign-free and best-sign, as the rest is judged.
    mean, low, high
        Mean and central 95 % of `aurocs`.
    p
        Share of directions at least as good as CCS by sign-free AUROC, with CCS counted among them.
    """

    aurocs: np.ndarray
    accuracies: np.ndarray
    mean: float
    low: float
    high: float
    p: float


@dataclass(frozen=True)
class Unsupervised:
    """CCS and what stands beside it, all on the same held-out pairs.

    Attributes
    ----------
    test
        [n] which pairs were held out. Nothing was fitted, normalised or signed by them.
    ccs, pca
        The restart with the lowest loss on the training pairs; the first principal component of the
        training pairs' differences (CRC-TPC).
    supervised
        A logistic probe on the differences, taught by the training labels; its sign is known.
    random
        Random directions.
    losses, restart_aurocs
        [restarts] CCS's loss on the training pairs, ascending, and the sign-free AUROC of each on the
        held-out ones. Where they differ much, the loss does not tell truth from something else.
    ratio, ratio_above_chance
        Best-sign accuracy of CCS over accuracy of the supervised probe, as they are and less the share of
        the more frequent class (0.5 where the classes are equal). In doubt where the supervised probe is
        not above chance itself: two coins have the ratio 1. The sign of CCS is the one that the test labels
        like best, which favours it a little.
    ratio_balanced
        The same of balanced accuracies, as they are. Decide by this one: where 80 % of the statements are true, a
        direction that follows an unrelated label as frequent had 85 % of the accuracy of a probe that knows.
    distractor
        Sign-free AUROC of CCS on the `distractor`, where one was given: what it found instead.
    duplicates
        Pairs whose activations are those of a pair in another group, value by value; a leak where their labels agree
        too, and then every estimate that rests on the labels is in doubt.
    name
        Of the data set.
    """

    test: np.ndarray
    ccs: Direction
    pca: Direction
    supervised: Direction
    random: RandomDirections
    losses: np.ndarray
    restart_aurocs: np.ndarray
    ratio: Estimate
    ratio_above_chance: Estimate
    ratio_balanced: Estimate
    distractor: Estimate | None
    duplicates: int
    name: str = ""

    def kept(self) -> Kept:
        """What each method reached, under the name of the data set."""
        told = {
            "supervised": self.supervised.accuracy,
            "CCS": self.ccs.accuracy,
            "CCS, AUROC": self.ccs.auroc,
            "plain accuracy over the supervised probe's": self.ratio,
            "CCS best sign": self.ccs.accuracy_best_sign,
            "PCA": self.pca.accuracy,
            "random directions, AUROC": self.random.mean,
            "random directions as good as CCS, p": self.random.p,
            "ratio above chance": self.ratio_above_chance,
            "distractor (long texts), AUROC": self.distractor,
        }
        return Kept(
            summary={f"{method}, {self.name}": value for method, value in told.items()},
            plots={f"unsupervised_{self.name}": self.plot},
        )

    def rows(self) -> list[dict[str, Any]]:
        """One row a method, for tables."""
        named = {"CCS": self.ccs, "PCA of differences": self.pca, "supervised": self.supervised}
        rows: list[dict[str, Any]] = [
            {
                "method": name,
                "accuracy": found.accuracy.value,
                "balanced_accuracy": found.balanced_accuracy.value,
                "accuracy_best_sign": found.accuracy_best_sign.value,
                "auroc": found.auroc.value,
                "auroc_sign_free": found.auroc_sign_free.value,
                "n": int(self.test.sum()),
            }
            for name, found in named.items()
        ]
        chance = {"accuracy_best_sign": float(self.random.accuracies.mean()), "auroc_sign_free": self.random.mean}
        return [*rows, {"method": "random directions"} | chance]

    def negative_result(self, tried: str) -> dict[str, Any]:
        """A search that did not find the truth as a row: what was tried, the numbers, and the likely reason."""
        if self.supervised.auroc.low <= 0.5:
            reason = "no linear probe reads it here, with labels or without: try another layer or wording"
        elif self.pca.auroc_sign_free.low > self.random.high:
            reason = "the truth is the direction of most variance, but not the most consistent one: use the PCA"
        else:
            reason = "a supervised probe reads it, but it is neither the most consistent nor the widest direction"
        numbers = {
            "ccs_auroc": self.ccs.auroc.value,
            "ccs_accuracy": self.ccs.accuracy.value,
            "ccs_balanced_accuracy": self.ccs.balanced_accuracy.value,
            "pca_accuracy": self.pca.accuracy.value,
            "supervised_accuracy": self.supervised.accuracy.value,
            "ratio": self.ratio.value,
            "ratio_above_chance": self.ratio_above_chance.value,
            "ratio_balanced": self.ratio_balanced.value,
            "random_p": self.random.p,
            "loss": float(self.losses[0]),
            "n": int(self.test.sum()),
        }
        return {"tried": tried, "numbers": numbers, "likely_reason": reason}

    def plot(self, ax: Axes) -> None:
        """Sign-free AUROC of each, with the range of random directions as a band."""
        ax.axhspan(self.random.low, self.random.high, color="0.85", label="random directions, 95 %")
        for i, e in enumerate(d.auroc_sign_free for d in (self.ccs, self.pca, self.supervised)):
            ax.errorbar(i, e.value, yerr=[[e.value - e.low], [e.high - e.value]], fmt="o", capsize=3, color=f"C{i}")
        ax.plot(np.zeros(len(self.losses)), self.restart_aurocs, "x", color="0.4", label="CCS, every restart")
        ax.set_xticks(range(3), ["CCS", "PCA of differences", "supervised"], fontsize=7)
        ax.set(ylabel="AUROC, sign-free", ylim=(0.45, 1.02), title="Truth without labels")
        ax.legend(loc="lower right", fontsize=7)


@one_thread
def ccs(
    yes: ArrayLike,
    no: ArrayLike,
    labels: ArrayLike,
    *,
    groups: ArrayLike | None = None,
    model_says: ArrayLike | None = None,
    distractor: ArrayLike | None = None,
    held_out: float = 0.4,
    restarts: int = 10,
    directions: int = 200,
    name: str = "",
    seed: int = 0,
) -> Unsupervised:
    """Contrast-consistent search (Burns et al. 2023, arXiv 2212.03827) with its baselines.

    With p1 and p0 a linear probe's probabilities of the yes and the no side of a statement, the loss is
    mean((p1 - (1 - p0))^2) + mean(min(p0, p1)^2). Each side is standardised by its own mean and spread on
    the training pairs alone; with test statistics and the better of two signs, noise is above chance.

    Parameters
    ----------
    yes, no
        [n, d] activations of each statement completed by yes and by no.
    labels
        [n] whether the statement is true. CCS, PCA and random directions are judged by them, never fitted.
    groups
        [n] labels of pairs that belong together, as those of one text; a group is never split between training and
        test, and counts once.
    model_says
        [n] whether the model itself says yes. On the training pairs it tells the direction's sign: the one
        that agrees with the model more often. Without it the sign is the one that calls most training
        pairs true, and what depends on it is in doubt.
    distractor
        [n] another label that the pairs carry, to see whether CCS found that one.
    held_out
        Share of the pairs, or groups, to test on.
    restarts
        Random starts of CCS; the lowest loss is kept.
    seed
        Of split, restarts and random directions.

    Raises ValueError for shapes that do not match, values that are not finite, or where a class has fewer
    than two members, or groups, in training or test.
    """
    sides, y = _pairs(yes, no), flags(labels)
    n = len(sides[0])
    told = None if model_says is None else flags(model_says, "model_says")
    other = None if distractor is None else flags(distractor, "distractor")
    for what, given in (("labels", y), ("model_says", told), ("distractor", other)):
        if given is not None and given.shape != (n,):
            raise ValueError(f"{n} pairs need {n} values of {what}, not shape {given.shape}")
    k, member = clusters(groups, n, least=4)
    rng = np.random.default_rng(seed)
    test = (rng.permutation(k) < round(held_out * k))[member]
    for part in (test, ~test):
        if min(np.unique(member[part & kind]).size for kind in (y, ~y)) < 2:
            raise ValueError("a class has fewer than two members, or groups, in training or test; use more pairs")
    units = None if groups is None else member[test]
    apart = np.split(np.argsort(member, kind="stable"), np.cumsum(np.bincount(member))[:-1])
    duplicates, leak = probing.twins(np.hstack(sides), y, apart, "group")

    one, zero = (_standard(side, ~test) for side in sides)
    starts = [_fit(one[~test], zero[~test], rng) for _ in range(restarts)]
    starts.sort(key=lambda start: start[0])
    found = np.stack([_belief(one, zero, weights) for _, weights in starts])
    difference = one - zero
    top = np.linalg.svd(difference[~test], full_matrices=False)[2][0]
    drawn = difference[test] @ rng.standard_normal((difference.shape[1], directions))
    probe = probing.fit(difference[~test], y[~test], groups=None if groups is None else member[~test])

    def judged(scores: np.ndarray) -> Direction:
        sign = _sign(scores[~test], None if told is None else told[~test])
        return _direction(sign * scores[test], y[test], units, leak, "" if told is not None else _CONVENTION)

    def compared(chance: float, *, balanced: bool = False) -> Estimate:
        return _ratio(own, supervised, y[test], units, leak, chance=chance, balanced=balanced)

    own, supervised = judged(found[0]), _direction(probe.scores(difference[test]), y[test], units, leak, "")
    by_chance = _folded(area(drawn.T, y[test]))
    return Unsupervised(
        test=test,
        ccs=own,
        pca=judged(difference @ top),
        supervised=supervised,
        random=RandomDirections(
            aurocs=by_chance,
            accuracies=_folded(((drawn > 0) == y[test][:, None]).mean(0)),
            mean=float(by_chance.mean()),
            low=float(np.quantile(by_chance, 0.025)),
            high=float(np.quantile(by_chance, 0.975)),
            p=float((1 + (by_chance >= own.auroc_sign_free.value - 1e-12).sum()) / (1 + directions)),
        ),
        losses=np.array([loss for loss, _ in starts]),
        restart_aurocs=_folded(area(found[:, test], y[test])),
        ratio=compared(0.0),
        ratio_above_chance=compared(max(y[test].mean(), 1 - y[test].mean())),
        ratio_balanced=compared(0.0, balanced=True),
        distractor=None if other is None else _sign_free(found[0][test], other[test], units),
        duplicates=duplicates,
        name=name,
    )


def contrast(
    options: Sequence[str] | Sequence[Sequence[str]], key: ArrayLike, *, seed: int = 0
) -> tuple[list[tuple[str, str]], np.ndarray]:
    """Two answers to each question, and [n] whether the first of them is the right one.

    Parameters
    ----------
    options
        Two texts for all questions, which keep their order; or a list of two or more for each, of which the
        right one and a wrong one are taken, in random order.
    key
        [n] index of the right option.
    seed
        Of what is drawn.

    Raises ValueError for a question with fewer than two options, or lists that do not match.
    """
    right, rng = np.asarray(key), np.random.default_rng(seed)
    if all(isinstance(option, str) for option in options):
        if len(options) != 2:
            raise ValueError(f"a contrast has two sides; there are {len(options)} options: give each question a list")
        return [(str(options[0]), str(options[1]))] * right.size, right == 0
    if len(options) != right.size:
        raise ValueError(f"{right.size} questions need as many lists of options, not {len(options)}")
    if min(map(len, options)) < 2:
        raise ValueError("a question has fewer than two options, and so nothing to hold against the right one")
    first = rng.random(right.size) < 0.5
    pairs = []
    for texts, at, true in zip(options, right.tolist(), first.tolist(), strict=True):
        wrong = texts[(at + int(rng.integers(1, len(texts)))) % len(texts)]
        pairs.append((texts[at], wrong) if true else (wrong, texts[at]))
    return pairs, first


def _pairs(yes: ArrayLike, no: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    one, zero = np.asarray(yes, dtype=float), np.asarray(no, dtype=float)
    if one.ndim != 2 or one.shape != zero.shape:
        raise ValueError(f"contrast pairs need two sides [n, d] of the same statements, not {one.shape}, {zero.shape}")
    return finite(one, "activations"), finite(zero, "activations")


def _standard(side: np.ndarray, train: np.ndarray) -> np.ndarray:
    """[n, d] by the mean and spread of the training rows; a feature that is constant there is left out as 0."""
    mean, spread = side[train].mean(0), side[train].std(0)
    spread[spread <= 1e-12 * np.abs(mean)] = np.inf
    return np.asarray((side - mean) / spread)


def _fit(one: np.ndarray, zero: np.ndarray, rng: np.random.Generator) -> tuple[float, np.ndarray]:
    """Loss and [d + 1] weights (the bias last) from one random start."""
    from scipy.optimize import minimize
    from scipy.special import expit

    n, d = one.shape

    def loss(weights: np.ndarray) -> tuple[float, np.ndarray]:
        p1, p0 = expit(one @ weights[:d] + weights[d]), expit(zero @ weights[:d] + weights[d])
        gap, least = p1 + p0 - 1, np.minimum(p0, p1)
        up = 2 * (gap + least * (p1 <= p0)) * p1 * (1 - p1) / n
        down = 2 * (gap + least * (p0 < p1)) * p0 * (1 - p0) / n
        slope = np.append(one.T @ up + zero.T @ down, up.sum() + down.sum())
        return float((gap**2).mean() + (least**2).mean()), slope

    start = rng.standard_normal(d + 1)
    found = minimize(loss, start / np.linalg.norm(start), jac=True, method="L-BFGS-B", options={"maxiter": 1000})
    return float(found.fun), found.x


def _belief(one: np.ndarray, zero: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """[n] (p1 + 1 - p0) / 2 less one half, above 0 for true."""
    from scipy.special import expit

    p1, p0 = (expit(side @ weights[:-1] + weights[-1]) for side in (one, zero))
    return np.asarray((p1 - p0) / 2)


def _sign(scores: np.ndarray, told: np.ndarray | None) -> float:
    """1 or -1, without labels: as the model says, or else so that most are true."""
    says = scores > 0
    agreed = says.mean() if told is None else (says == told).mean()
    return 1.0 if agreed >= 0.5 else -1.0


def _direction(scores: np.ndarray, y: np.ndarray, groups: np.ndarray | None, leak: str, sign: str) -> Direction:
    """`leak` puts all that rests on the labels in doubt, `sign` what rests on the direction's sign."""
    right = (scores > 0) == y

    def doubted(e: Estimate, doubt: str = "") -> Estimate:
        return replace(e, doubt=e.doubt or leak or doubt)

    return Direction(
        scores=scores,
        auroc=doubted(delong(scores, y, groups=groups, logit=True), sign),
        accuracy=doubted(wilson(right, groups=groups), sign),
        balanced_accuracy=doubted(_balanced(right, y, groups), sign),
        auroc_sign_free=doubted(_sign_free(scores, y, groups)),
        accuracy_best_sign=replace(wilson(right if right.mean() >= 0.5 else ~right, groups=groups), doubt=_BEST_SIGN),
    )


def _by_class(right: np.ndarray, y: np.ndarray) -> np.ndarray:
    """[n] with the mean of both classes' shares of what is right, and as rows the spread that it has over samples.

    Each row's influence: the mean, and n / (2 n_class) of what the row lies off its class's share.
    """
    shares = np.array([right[~y].mean(), right[y].mean()])
    sizes = np.array([(~y).sum(), y.sum()])
    of = y.astype(int)
    return np.asarray(shares.mean() + y.size / (2 * sizes[of]) * (right - shares[of]))


def _balanced(right: np.ndarray, y: np.ndarray, groups: np.ndarray | None) -> Estimate:
    """Balanced accuracy: Student's interval of its rows' influence, or that of Wilson's of the classes where wider.

    The second has a width where all of a class are right, or none. Without bounds, at which a family of claims would
    know no p beyond the interval's own end (`families.p_against`).
    """
    e = student(_by_class(right, y), groups=groups, unit="%")
    parts = [wilson(right[part], groups=None if groups is None else groups[part]) for part in (y, ~y)]
    down = 0.5 * math.hypot(*(part.value - part.low for part in parts))
    up = 0.5 * math.hypot(*(part.high - part.value for part in parts))
    low, high = max(min(e.low, e.value - down), 0.0), min(max(e.high, e.value + up), 1.0)
    method = f"{e.method}, and Wilson's by class"
    doubt = e.doubt or next((part.doubt for part in parts if part.doubt), "")
    return replace(e, low=low, high=high, p=None, method=method, doubt=doubt)


def _sign_free(scores: np.ndarray, y: np.ndarray, groups: np.ndarray | None) -> Estimate:
    """max(a, 1 - a) with an interval of its own: both signs could have been the better, so each has half the error."""
    e = delong(scores, y, groups=groups, logit=True, level=0.975)
    if e.value < 0.5:
        e = delong(-scores, y, groups=groups, logit=True, level=0.975)
    high = max(e.high, 1 - e.low)
    return replace(e, low=max(e.low, 0.5), high=high, level=0.95, p=None, method=e.method + ", sign-free")


def _ratio(
    own: Direction,
    other: Direction,
    y: np.ndarray,
    groups: np.ndarray | None,
    leak: str,
    *,
    chance: float,
    balanced: bool,
) -> Estimate:
    """Mean of what is right, or of both classes' means, less chance, over the same of the supervised probe; paired."""

    def judged(right: np.ndarray) -> np.ndarray:
        return _by_class(right, y) if balanced else right.astype(float)

    top, bottom = ((d.scores > 0) == y for d in (own, other))
    top = top if judged(top).mean() >= 0.5 else ~top
    doubt = leak or ("" if other.auroc.low > 0.5 else "the supervised probe is not above chance itself")
    if np.isclose(judged(bottom).mean(), chance):
        n = int(clusters(groups, y.size)[0])
        return Estimate(0.0, 0.0, 0.0, n, "Fieller", doubt="the supervised probe is at chance, so there is no ratio")
    e = ratio(judged(top) - chance, judged(bottom) - chance, groups=groups)
    if e.without_width:  # as where both are always right: no row tells how sure that is, but their number does
        one, two = (_balanced(r, y, groups) if balanced else wilson(r, groups=groups) for r in (top, bottom))
        low, high = (one.low - chance) / (two.high - chance), (one.high - chance) / (two.low - chance)
        e = Estimate(e.value, min(low, e.value), max(high, e.value), e.n, f"of two {one.method} intervals")
    return replace(e, doubt=e.doubt or doubt)


def _folded(shares: np.ndarray) -> np.ndarray:
    return np.asarray(np.maximum(shares, 1 - shares))
