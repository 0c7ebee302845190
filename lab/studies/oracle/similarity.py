"""Similarity of answers that were given again: scores, clusters of equal answers, and what the pages measure.

A query is one question about one target, answered K times; a judge says from 1 to 10 how alike the answers are. Targets
are the units: what is claimed is claimed of other targets like these, and of these questions.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from lab.estimate import Estimate
from lab.record.kept import Kept
from lab.stats.checks import row, whole
from lab.stats.intervals import correlation, reweighted, student
from lab.stats.sequential import ConfidenceSequence

if TYPE_CHECKING:
    from matplotlib.axes import Axes

LOWEST, HIGHEST = 1.0, 10.0
"""Of a score of similarity."""


# Clusters of equal answers ----------------------------------------------------------------------------


def clusters(texts: Sequence[str], *, alike: float = 1.0) -> np.ndarray:
    """[k] the cluster of each answer, numbered as they come.

    Two answers are alike when their words, in lower case and without punctuation, overlap by at least `alike`
    (Jaccard's coefficient of sets; 1 takes equal texts alone, each word as often). An answer joins the first cluster
    whose first member it is like. Raises ValueError for no answer, or `alike` outside of 0 to 1.

    >>> clusters(["A cat.", "a cat", "A dog"]).tolist(), clusters(["the old cat", "the cat"], alike=0.6).tolist()
    ([0, 0, 1], [0, 0])
    """
    if not texts or not 0 < alike <= 1:
        raise ValueError(
            f"there are {len(texts)} answers and alike={alike:g}; give answers, and a share above 0 up to 1"
        )
    bags = [Counter(re.findall(r"\w+", text.casefold())) for text in texts]
    first: list[Counter[str]] = []
    found = []
    for bag in bags:
        at = next((i for i, other in enumerate(first) if _alike(bag, other, alike)), len(first))
        if at == len(first):
            first.append(bag)
        found.append(at)
    return np.array(found)


def _alike(a: Counter[str], b: Counter[str], share: float) -> bool:
    either = a.keys() | b.keys()
    return a == b if share == 1 or not either else len(a.keys() & b.keys()) >= share * len(either)


def semantic_entropy(labels: ArrayLike) -> float:
    """Entropy of the clusters [k] of a query's answers, in nats: 0 where all say the same, log(k) where none do.

    The discrete form of Farquhar et al. (2024, Nature 630: 625), which asks no judge. Raises ValueError for no answer.

    >>> round(semantic_entropy([0, 0, 1, 1]), 3)
    0.693
    """
    shares = np.unique(row(labels, "clusters"), return_counts=True)[1] / np.size(labels)
    return float(-(shares * np.log(shares)).sum() + 0.0)


# Scores -----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Similarity:
    """How alike the answers to one query are, over all queries.

    Attributes
    ----------
    mean
        Over targets, of each one's mean over its questions.
    by_target, by_question
        [t] and [q] means.
    low
        Share of queries with a score of 4 or less.
    unscored
        How many queries have no score.
    """

    mean: Estimate
    by_target: np.ndarray
    by_question: np.ndarray
    low: float
    unscored: int

    def plot(self, ax: Axes, names: Sequence[str] = ()) -> None:
        """The mean of each question, by name; equal ones in their own order."""
        order = np.argsort(self.by_question, kind="stable")  # numpy's default sorts ties by the CPU's instructions
        shown = list(names) or [f"question {i + 1}" for i in range(len(order))]
        ax.barh(range(len(order)), self.by_question[order], color="#0072B2")
        ax.set_yticks(range(len(order)), [shown[i] for i in order])
        ax.axvline(self.mean.value, color="#D55E00", linestyle="--", label=f"mean {self.mean.value:.2f}")
        ax.set(xlim=(1, 10), xlabel=f"similarity, 1 to 10 (mean over {len(self.by_target)} targets)")
        ax.legend(loc="lower left", bbox_to_anchor=(0, 1))


def similarity(scores: ArrayLike, *, seed: int = 0) -> Similarity:
    """Scores [targets, questions], NaN where the judge failed; the interval is Student's over targets.

    Where all targets have one mean, as of answers that never differ, it is that of hedged bets on numbers from 1 to 10,
    which has a width. Raises ValueError for fewer than two targets, a target without any score, or one outside 1 to 10.
    """
    x = _scores(scores)
    known = np.isfinite(x)
    if not known.any(1).all():
        raise ValueError(
            f"target {int(np.argmin(known.any(1)))} has no score at all; leave it out, or ask another judge"
        )
    each = np.nanmean(x, axis=1)
    mean = _mean(each, (LOWEST, HIGHEST), seed)
    columns = np.array([np.nanmean(c) if np.isfinite(c).any() else np.nan for c in x.T])
    low = float((x[known] <= 4).mean())
    return Similarity(mean, each, columns, low, int((~known).sum()))


@dataclass(frozen=True)
class Stability:
    """How alike answers are, and what goes with it.

    Attributes
    ----------
    similarity
        Of the scores.
    questions
        [q] names.
    entropy
        Mean semantic entropy of the queries.
    judge_and_entropy, spreads
        As of `agreement` and of `spreads`.
    """

    similarity: Similarity
    questions: Sequence[str]
    entropy: float
    judge_and_entropy: Estimate | None
    spreads: dict[str, Estimate]

    def kept(self) -> Kept:
        summary = {
            "low_similarity": self.similarity.low,
            "unscored": self.similarity.unscored,
            "entropy": self.entropy,
            "judge_and_entropy": self.judge_and_entropy,
        }
        plots = {"similarity": lambda ax: self.similarity.plot(ax, self.questions)}
        return Kept(summary=summary | self.spreads, plots=plots)


def stability(
    scores: ArrayLike, entropies: ArrayLike, own_scores: ArrayLike, questions: Sequence[str] = (), *, seed: int
) -> Stability:
    """Of scores and entropies [t, q], and scores [t] of the model's own answers. Raises ValueError as `similarity`."""
    result = similarity(scores, seed=seed)
    return Stability(
        result,
        questions,
        float(np.mean(np.asarray(entropies, dtype=float))),
        agreement(scores, entropies, seed=seed),
        spreads(result.by_target, own_scores),
    )


@dataclass(frozen=True)
class ByQuestion:
    """How much similarity depends on the question.

    Attributes
    ----------
    between
        Variance of the questions' means, in squared points of the scale, without what chance adds to it.
    null_95
        The 95th percentile of the same with each target's scores dealt anew among its questions.
    excess
        `between` less `null_95`.
    p
        Share of such deals that reach `between`.
    dealt
        `between` of one such deal, for a control: it is none.
    scores, questions
        [t, q] what it was found from, and [q] names.
    """

    between: Estimate
    null_95: float
    excess: Estimate
    p: float
    dealt: Estimate
    scores: np.ndarray = field(compare=False, repr=False)
    questions: Sequence[str] = field(compare=False, repr=False)

    def kept(self) -> Kept:
        plots = {"similarity": lambda ax: similarity(self.scores).plot(ax, self.questions)}
        return Kept(summary={"between_questions": self.between, "null_95": self.null_95}, plots=plots)


def by_question(scores: ArrayLike, questions: Sequence[str] = (), *, seed: int, permutations: int = 999) -> ByQuestion:
    """Of scores [targets, questions]; targets with a missing score are left out.

    The variance between questions is the mean, over pairs of different targets, of the covariance of their scores over
    questions: a U-statistic, so that what differs within a target by chance adds nothing on average. Its interval draws
    targets anew, without pairs of a target with itself. Where no target's scores differ at all, the upper end is what
    could still be: with 95 % confidence at most 1 - 0.05^(1/n) of targets are unlike these, and the variance is at most
    the square of that share times the scale's own.

    Raises ValueError for fewer than three complete targets, or fewer than two questions.
    """
    whole("permutations", permutations, 99)
    every = _scores(scores)
    x = every[np.isfinite(every).all(1)]
    if len(x) < 3 or x.shape[1] < 2:
        raise ValueError(f"{len(x)} targets with all of {x.shape[1]} scores are too few; score at least 3 with 2 each")
    rng = np.random.default_rng([seed, 6])
    deals = [rng.permuted(x, axis=1) for _ in range(permutations)]
    null = np.array([_between(deal) for deal in deals])
    found, at = _variance(x, seed), float(np.quantile(null, 0.95))
    p = (1 + int((null >= found.value).sum())) / (1 + permutations)
    return ByQuestion(
        between=replace(found, p=p),
        null_95=at,
        excess=replace(found, value=found.value - at, low=found.low - at, high=found.high - at, p=p),
        p=p,
        dealt=_variance(deals[0], seed),
        scores=every,
        questions=questions,
    )


def _covariances(x: np.ndarray) -> np.ndarray:
    """[t, t] of the targets' scores over questions."""
    centred = x - x.mean(1, keepdims=True)
    return np.asarray(centred @ centred.T / (x.shape[1] - 1))


def _between(x: np.ndarray) -> float:
    c, n = _covariances(x), len(x)
    return float((c.sum() - np.trace(c)) / (n * (n - 1)))


def _variance(x: np.ndarray, seed: int) -> Estimate:
    c, (n, q) = _covariances(x), x.shape
    if not np.diag(c).any():
        unlike = 1 - 0.05 ** (1 / n)
        most = unlike**2 * (HIGHEST - LOWEST) ** 2 / 4 * q / (q - 1)
        return Estimate(0.0, 0.0, most, n, "exact, all alike", unit="points²")
    own = np.diag(c)

    def statistic(w: np.ndarray) -> np.ndarray:
        pairs = np.einsum("mi,ij,mj->m", w, c, w) - w**2 @ own
        return np.asarray(pairs / (w.sum(1) ** 2 - (w**2).sum(1)))

    return reweighted(statistic, n, seed=seed, unit="points²")


def agreement(scores: ArrayLike, entropies: ArrayLike, *, seed: int) -> Estimate | None:
    """Spearman's correlation of the judge's scores [t, q] with the entropies [t, q] of the same queries.

    -1 where both order queries alike; None where one of the two never varies. A target's queries are drawn together.
    Raises ValueError for entropies of other queries.
    """
    x, y = _scores(scores), np.asarray(entropies, dtype=float)
    if x.shape != y.shape:
        raise ValueError(f"scores {x.shape} and entropies {y.shape} must be of the same queries")
    known = np.isfinite(x)
    if not (_varies(x[known]) and _varies(y[known])):
        return None
    member = np.broadcast_to(np.arange(len(x))[:, None], x.shape)
    return correlation(x[known], y[known], kind="Spearman", groups=member[known], seed=seed)


def spreads(oracle: ArrayLike, target: ArrayLike) -> dict[str, Estimate]:
    """Do targets that the model itself answers in many ways get many answers of the oracle? Both correlations.

    `oracle` and `target` [t]: similarity of the oracle's answers, mean over questions, and of the model's own answers
    to the target; NaN is left out. There is none where one of the two never varies, or of fewer than four targets.
    Raises ValueError for rows of other targets.
    """
    x, y = np.asarray(oracle, dtype=float), np.asarray(target, dtype=float)
    if x.shape != y.shape or x.ndim != 1:
        raise ValueError(f"both are of the same targets [t], not {x.shape} and {y.shape}")
    known = np.isfinite(x) & np.isfinite(y)
    if not (_varies(x[known]) and _varies(y[known])):
        return {}
    return {
        f"oracle_and_target_{kind.lower()}": correlation(x[known], y[known], kind=kind)
        for kind in ("Pearson", "Spearman")
    }


def _varies(x: np.ndarray) -> bool:
    return x.size >= 4 and bool(np.ptp(x) > 0)


def _scores(scores: ArrayLike) -> np.ndarray:
    x = np.asarray(scores, dtype=float)
    if x.ndim != 2 or len(x) < 2 or not x.shape[1]:
        raise ValueError(f"scores are [targets, questions] of two targets or more, not {x.shape}")
    known = x[np.isfinite(x)]
    if known.size and not LOWEST <= known.min() <= known.max() <= HIGHEST:
        raise ValueError(f"a score lies from 1 to 10; there are {known.min():g} and {known.max():g}")
    return x


# Reading ----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Reading:
    """Does an oracle say of an activation what is true of its target?

    Attributes
    ----------
    right, random
        Share of right answers about the targets' own activations, and about random vectors as long.
    excess
        The first less the second, target by target.
    chance
        Share that is right where each target's answers are held against every target's truth.
    beyond_chance
        `random` less `chance`. Answers and truths of all targets are held against one another, so both count as drawn.
    """

    right: Estimate
    random: Estimate
    excess: Estimate
    chance: float
    beyond_chance: Estimate

    def kept(self) -> Kept:
        summary = {"right": self.right, "right_of_random": self.random, "chance": self.chance}
        return Kept(summary=summary, plots={"reading": self.plot})

    def plot(self, ax: Axes) -> None:
        """Both shares with their intervals, and chance."""
        for i, (found, colour) in enumerate(((self.right, "#0072B2"), (self.random, "#E69F00"))):
            ends = [[found.value - found.low], [found.high - found.value]]
            ax.errorbar([i], [found.value], yerr=ends, fmt="os"[i], color=colour, capsize=4)
        ax.axhline(self.chance, color="0.4", linestyle="--", label=f"chance, {self.chance:.0%}")
        ax.set_xticks([0, 1], ["the target's\nactivation", "a random vector\nas long"])
        ax.set(xlim=(-0.6, 1.6), ylim=(0, 1.02), ylabel="right answers", title=f"{self.right.n} targets")
        ax.legend(loc="upper right")


def reading(own: ArrayLike, random: ArrayLike, truth: ArrayLike, *, seed: int = 0) -> Reading:
    """From what was said: cases [targets, questions, samples], -1 for no case, and the truth [targets, questions].

    Questions whose answer is unknown have a truth of -1, and are left out. The targets are the units, the
    intervals are as in `similarity`. Raises ValueError for other shapes, fewer than two targets, or a target without a
    question that has a known answer for it and for another one.
    """
    a, b, t = (np.asarray(given) for given in (own, random, truth))
    if t.ndim != 2 or a.ndim != 3 or b.ndim != 3 or a.shape[:2] != t.shape or b.shape[:2] != t.shape or len(t) < 2:
        raise ValueError(f"cases {a.shape} and {b.shape} must be of the targets and questions of the truth {t.shape}")
    known = t >= 0
    if not known.any(1).all():
        raise ValueError("a target has no question whose answer is known; leave it out, or ask one about its facts")

    def share(said: np.ndarray, right: np.ndarray) -> np.ndarray:
        both = known & (right >= 0)
        found = np.where(both, (said == right[..., None]).mean(-1), 0).sum(1)
        return np.asarray(np.divide(found, both.sum(1), out=np.full(len(t), np.nan), where=both.any(1)))

    hits, misses = share(a, t), share(b, t)
    by_any = np.array([share(b, truth_of_one) for truth_of_one in t])  # [i, j] answers about target j, truths of i
    np.fill_diagonal(by_any, np.nan)
    alone = np.isnan(by_any).all(0)
    if alone.any():
        raise ValueError(
            f"no question with a known answer for target {int(np.flatnonzero(alone)[0])} has one for another target; "
            "leave it out, or ask one that all can be asked"
        )
    level = float(np.nanmean(by_any))
    # Each target is in the chance level by its answers and by its truth: a U-statistic's contributions. One that says
    # the same to all then has no spread, where its hits alone would spread as the truths do.
    beyond = (misses - np.nanmean(by_any, axis=0) - np.nanmean(by_any, axis=1) + level).round(12)
    return Reading(
        right=_mean(hits, (0.0, 1.0), seed, "%"),
        random=_mean(misses, (0.0, 1.0), seed, "%"),
        excess=_mean(hits - misses, (-1.0, 1.0), seed, "%"),
        chance=level,
        beyond_chance=_mean(beyond, (-1.0, 1.0), seed, "%"),
    )


def _mean(values: np.ndarray, bounds: tuple[float, float], seed: int, unit: str = "") -> Estimate:
    """Student's interval within the bounds; of equal values that of hedged bets, which has a width."""
    if np.ptp(values) > 0:
        found = student(values, unit=unit)
        return replace(found, low=max(found.low, bounds[0]), high=min(found.high, bounds[1]), bounds=bounds)
    sequence = ConfidenceSequence(bounds=bounds)
    sequence.add(np.random.default_rng([seed, 5]).permutation(values))
    return replace(sequence.estimate, unit=unit)
