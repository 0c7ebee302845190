"""Risk and coverage of a model that may decline to answer, and abstention by a probe."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from lab.estimate import Estimate
from lab.stats.checks import clusters, flags, row
from lab.stats.intervals import reweighted, unpaired_difference, wilson
from lab.studies.activations.probing import permuted, widened

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_FEW = 10
"""Fewer groups than this on either side of the threshold, and a bootstrap's interval is too narrow."""


@dataclass(frozen=True)
class RiskCoverage:
    """How often answers are wrong, answering only the most confident share of questions.

    Attributes
    ----------
    coverage
        [n] k/n for k = 1 to n.
    risk
        [n] share of errors among the k most confident; where confidences tie, its mean over all orders.
    error
        Share of errors at full coverage: what random abstention has at any coverage.
    aurc
        Mean risk over k (Geifman and El-Yaniv 2017). Random order: `error`.
    oracle_aurc
        The same with all errors last, about r + (1 - r) ln(1 - r).
    excess_aurc
        `aurc` less `oracle_aurc`.
    augrc
        Mean of (errors among the k most confident) / n (Traub et al. 2024), which is
        (1 - AUROC) r (1 - r) + r^2 / 2 + r / 2n.
    """

    coverage: np.ndarray
    risk: np.ndarray
    error: float
    aurc: float
    oracle_aurc: float
    excess_aurc: float
    augrc: float

    def rows(self, *, most: int = 200) -> list[dict[str, float]]:
        """The curve as rows, to be drawn anew: at most `most` points of it, with the last."""
        kept = np.unique(np.linspace(0, self.risk.size - 1, min(most, self.risk.size)).round().astype(int))
        return [
            {"coverage": coverage, "risk": risk}
            for coverage, risk in zip(self.coverage[kept].tolist(), self.risk[kept].tolist(), strict=True)
        ]

    def plot(self, ax: Axes) -> None:
        """The curve between that of random abstention and an oracle's."""
        k = np.arange(1, self.coverage.size + 1)
        oracle = np.maximum(k - round((1 - self.error) * k.size), 0) / k
        ax.plot(100 * self.coverage, 100 * self.risk, label=f"AURC = {self.aurc:.3f}")
        ax.axhline(100 * self.error, color="0.6", linestyle=":", label="random")
        ax.plot(100 * self.coverage, 100 * oracle, color="0.6", linestyle="--", label=f"oracle, {self.oracle_aurc:.3f}")
        ax.set(xlabel="coverage, % of questions", ylabel="risk, % wrong", xlim=(0, 100), title="Risk and coverage")
        ax.legend(loc="upper left", fontsize=7)


def risk_coverage(confidence: ArrayLike, correct: ArrayLike) -> RiskCoverage:
    """The risk-coverage curve of answers.

    Parameters
    ----------
    confidence
        [n], higher for what is answered first; only the order matters.
    correct
        [n] whether the answer is right.

    Ties share their errors evenly: coarse confidences moved AURC from 0.087 to 0.105 with the order in
    which they happened to be stored. Raises ValueError for lengths that differ, no rows, or NaN.

        >>> print(f"{risk_coverage([0.9, 0.8, 0.7, 0.6], [True, True, False, True]).aurc:.3f}")
        0.146
    """
    said, right = row(confidence, "confidences"), flags(correct, "marks of being correct")
    if right.shape != said.shape:
        raise ValueError(f"{said.size} confidences need as many marks of being correct, not shape {right.shape}")
    n = said.size
    _, member = np.unique(-said, return_inverse=True)
    sizes, errors = np.bincount(member), np.bincount(member, ~right)
    k = np.arange(1, n + 1)
    wrong = np.cumsum(np.repeat(errors / sizes, sizes))
    best = np.maximum(k - int(right.sum()), 0) / k
    return RiskCoverage(
        coverage=k / n,
        risk=wrong / k,
        error=float((~right).mean()),
        aurc=float((wrong / k).mean()),
        oracle_aurc=float(best.mean()),
        excess_aurc=float((wrong / k).mean() - best.mean()),
        augrc=float(wrong.mean() / n),
    )


@dataclass(frozen=True)
class Abstention:
    """What abstaining below a threshold does.

    Attributes
    ----------
    answered
        [n] whether the question was answered.
    coverage
        Share of questions answered.
    accuracy
        Before, over all questions.
    effective_accuracy
        Share right of what is answered.
    improvement
        Effective accuracy less accuracy. Random abstention at the same coverage has the expectation 0,
        so this is the gain over it, and p is one-sided against it: how often as many of the answered
        would be right if as many had been chosen at random.
    aurc_gain
        The error rate, which is the AURC of random abstention, less the AURC: what the order is worth at all
        thresholds together. Decided also where the threshold declines nothing, or everything.
    curve
        Risk and coverage at every other threshold.
    """

    answered: np.ndarray
    coverage: Estimate
    accuracy: Estimate
    effective_accuracy: Estimate
    improvement: Estimate
    aurc_gain: Estimate
    curve: RiskCoverage

    def plot(self, ax: Axes) -> None:
        """The risk-coverage curve, with the threshold's point on it."""
        self.curve.plot(ax)
        e = self.effective_accuracy
        if not e.doubt:
            error = [[100 * (e.high - e.value)], [100 * (e.value - e.low)]]
            ax.errorbar(100 * self.coverage.value, 100 * (1 - e.value), yerr=error, fmt="o", color="C3", capsize=3)


def abstain(
    p_correct: ArrayLike,
    correct: ArrayLike,
    *,
    threshold: float = 0.3,
    groups: ArrayLike | None = None,
    out_of_fold: bool = False,
    seed: int = 0,
) -> Abstention:
    """Answers only where the probability of being right is at least the threshold.

    Parameters
    ----------
    p_correct
        [n] probabilities of a right answer, 0 to 1, from a probe that did not see the row, or its group:
        `Probe.probabilities`, for one.
    correct
        [n] whether the answer is right.
    threshold
        Fixed before the data.
    groups
        [n] labels of rows that belong together. Without them the improvement's interval is Newcombe's of
        answered less declined, times the share declined, which is the same quantity, and p is
        hypergeometric. With them the interval is a cluster bootstrap's, and p is of 2000 permutations
        that move the answers of a group as one block.
    out_of_fold
        Whether the probabilities come from cross-validation, pooled over folds, as a `Probe`'s do. Each row
        has then taught the probe that judged the others, which doubles the variance (`delong`): p and the
        intervals of what depends on the choice are widened by it. Measured on features of noise, the better
        half answered: improvement above 0 in 5.3 % of experiments with 300 rows (64 features: 7.1 %), in
        7.2 % with 75 groups of 4, in 12.5 % with 40 groups of one label each; widened in 0.7 % (0.4 %), 0.7 %
        and 3.6 %.
    seed
        Of bootstrap and permutations.

    Where nothing or everything is declined, or fewer than 10 groups have answered or declined rows, the
    improvement is in doubt. Raises ValueError for probabilities outside 0 to 1, or lengths that differ.
    """
    from scipy.special import ndtr, ndtri
    from scipy.stats import hypergeom

    said, right = row(p_correct, "probabilities", least=2), flags(correct, "marks of being correct")
    if not ((said >= 0) & (said <= 1)).all():
        raise ValueError(f"probabilities lie between 0 and 1; these reach from {said.min():g} to {said.max():g}")
    curve, kept, n = risk_coverage(said, right), said >= threshold, said.size
    k, member = clusters(groups, n)
    coverage, accuracy = wilson(kept, groups=groups), wilson(right, groups=groups)
    by_order = reweighted(_aurc_gain(said, ~right), n, groups=groups, seed=seed, unit="%", bounds=(-1, 1))
    by_order = widened(by_order) if out_of_fold else by_order

    def result(effective: Estimate, improvement: Estimate) -> Abstention:
        if out_of_fold:
            effective, improvement = widened(effective), widened(improvement)
        return Abstention(kept, coverage, accuracy, effective, improvement, by_order, curve)

    if kept.all() or not kept.any():
        extreme = f"lowest is {said.min():.3g}" if kept.all() else f"highest is {said.max():.3g}"
        what = "nothing" if kept.all() else "every question"
        doubt = f"{what} was declined at the threshold {threshold:g}, where the {extreme}"
        effective = accuracy if kept.all() else replace(accuracy, doubt=doubt)
        return result(effective, Estimate(0.0, 0.0, 0.0, k, "none", doubt=doubt, unit="%", bounds=(-1, 1)))

    gain, wide = float(right[kept].mean() - right.mean()), 2**0.5 if out_of_fold else 1.0
    if groups is None:
        apart, declined = unpaired_difference(right[kept], right[~kept]), float((~kept).mean())
        p = float(hypergeom.sf(int(right[kept].sum()) - 1, n, int(right.sum()), int(kept.sum())))
        p = float(ndtr(ndtri(p) / wide))
        low, high = apart.low * declined, apart.high * declined
        found = Estimate(gain, low, high, n, "Newcombe, answered - declined", p=p, unit="%", bounds=(-1, 1))
        return result(wilson(right[kept]), found)

    def improved(w: np.ndarray) -> np.ndarray:
        answered = w @ kept
        better = w @ (kept & right) / np.maximum(answered, 1) - w @ right / w.sum(1)
        return np.where(answered, better, 0.0)  # of 10 answered groups, one draw in 20,000 holds none

    sides = [np.unique(member[side]).size for side in (kept, ~kept)]
    if min(sides) < _FEW:
        doubt = f"only {sides[0]} groups have answered rows and {sides[1]} have declined ones; {_FEW} are needed"
        effective = wilson(right[kept], groups=member[kept]) if sides[0] > 1 else replace(accuracy, doubt=doubt)
        return result(effective, Estimate(gain, gain, gain, k, "none", doubt=doubt, unit="%", bounds=(-1, 1)))
    drawn = permuted(kept, 2000, np.random.default_rng(seed), groups=member)
    chance = (drawn & right).sum(1) / np.maximum(drawn.sum(1), 1) - right.mean()
    p = float((1 + (wide * chance >= gain - 1e-12).sum()) / (1 + chance.size))
    found = replace(reweighted(improved, n, groups=member, seed=seed, unit="%", bounds=(-1, 1)), p=p)
    return result(wilson(right[kept], groups=member[kept]), found)


def _aurc_gain(confidence: np.ndarray, wrong: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
    """The error rate less the AURC, of answers that count as often as their weights [m, n] say.

    Of C answers with E errors that come before a tie of w answers with e errors, the risks within the tie add up to
    e + (E - C e/w)(H(C + w) - H(C)), H the harmonic numbers; their mean over all answers is the AURC.
    """
    order = np.argsort(-confidence, kind="stable")
    starts = np.flatnonzero(np.diff(confidence[order], prepend=np.inf))

    def gain(w: np.ndarray) -> np.ndarray:
        counts = np.add.reduceat(w[:, order], starts, axis=1)
        errors = np.add.reduceat(w[:, order] * wrong[order], starts, axis=1)
        covered, missed = counts.cumsum(1), errors.cumsum(1)
        total = covered[:, -1]
        harmonic = np.concatenate([[0.0], np.cumsum(1 / np.arange(1, int(total.max()) + 1))])
        spread = harmonic[covered.astype(int)] - harmonic[(covered - counts).astype(int)]
        rate = errors / np.maximum(counts, 1)
        before = (missed - errors) - (covered - counts) * rate
        return np.asarray(missed[:, -1] / total - (errors + before * spread).sum(1) / total)

    return gain
