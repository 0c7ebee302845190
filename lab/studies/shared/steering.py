"""Effects on behaviour of steering along a direction, beside those of random directions, and its side effects."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from lab.estimate import Estimate
from lab.stats.checks import finite, flags, row, upper, whole
from lab.stats.intervals import paired_difference, student, wilson
from lab.stats.sequential import ConfidenceSequence

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def difference_in_means(plain: ArrayLike, toward: ArrayLike) -> np.ndarray:
    """The direction [d_model] from activations [n, d_model] without a trait to those [m, d_model] with it.

    All zeros where they have the same mean. Raises ValueError for other shapes, or NaN.
    """
    here, there = (finite(np.asarray(side, dtype=float), "activations") for side in (plain, toward))
    if here.ndim != 2 or there.ndim != 2 or here.shape[1:] != there.shape[1:] or not len(here) or not len(there):
        raise ValueError(f"a direction needs activations [n, d_model] twice, not {here.shape} and {there.shape}")
    return np.asarray(there.mean(0) - here.mean(0))


def random_directions(direction: ArrayLike, k: int, *, seed: int) -> np.ndarray:
    """k random directions [k, d_model], each as long as `direction` [d_model]."""
    whole("random directions", k, 1)
    v = row(direction, "direction")
    drawn: np.ndarray = np.random.default_rng([seed, 4]).standard_normal((k, v.size))  # a stream of its own
    return np.asarray(drawn * (np.linalg.norm(v) / np.linalg.norm(drawn, axis=1, keepdims=True)))


def beyond_random(
    change: float, random: ArrayLike, *, symmetric: bool, unit: str = "", level: float = 0.95
) -> Estimate:
    """By how much a change exceeds those along random directions, as one more of them.

    Units alone cannot say that a direction does more than one drawn at random, however many they are: a direction is
    drawn once. So the interval is over directions, whose changes are taken to be normal, and `n` counts them.

    Parameters
    ----------
    change
        The mean change along the direction.
    random
        [r] mean changes along random directions of the same length.
    symmetric
        Whether the sign of a random direction means nothing, as where the change is that from one end of a sweep to
        the other. Their changes then have mean 0: the interval is Student's t of r degrees of freedom times their root
        mean square. Else it is that of a prediction: the change less their mean, +- t of r - 1 degrees of freedom times
        their deviation times sqrt(1 + 1/r).

    The fewer there are, the wider it is: t is 12.7 for one degree of freedom, 4.3 for two, 2.8 for four. In doubt for
    one direction whose mean is not known. Raises ValueError for no direction, or NaN.

        >>> print(beyond_random(0.5, [0.1, -0.1, 0.1, -0.1], symmetric=True))
        0.5 [0.222, 0.778] (n=4, Student, random directions)
        >>> print(beyond_random(0.5, [0.3, 0.1, 0.3, 0.1], symmetric=False))
        0.3 [-0.111, 0.711] (n=4, Student, random directions)
    """
    from scipy.special import stdtr, stdtrit

    drawn, method = row(random, "changes along random directions"), "Student, random directions"
    r, value = drawn.size, float(change - (0.0 if symmetric else drawn.mean()))
    if r == 1 and not symmetric:
        doubt = "one random direction does not say how far they differ; draw two or more"
        return Estimate(value, value, value, r, method, level, unit=unit, doubt=doubt)
    size, freedom = float(np.sqrt(np.mean(drawn**2))), r
    if not symmetric:
        size, freedom = float(drawn.std(ddof=1) * np.sqrt(1 + 1 / r)), r - 1
    half = float(stdtrit(freedom, upper(level))) * size
    p = 2 * float(stdtr(freedom, -abs(value) / size)) if size else None
    return Estimate(value, value - half, value + half, r, method, level, p=p, unit=unit)


@dataclass(frozen=True)
class BehaviourEdit:
    """What an edit did to the scores of answers, prompt by prompt.

    Attributes
    ----------
    before, after
        Mean score without and with the edit.
    change
        After less before.
    random
        [k] mean change by each random direction.
    random_change
        The change by that random direction which raised the score most.
    excess
        The edit's change less that one's. The interval holds that of `paired_change` over prompts, and reaches to that
        of `beyond_random`, in which the edit is one more direction. Where it was no more than one more, whose changes
        are uniform or exponential, it was "beyond" two random ones in 3 to 5 % of experiments, and by prompts alone in
        12 to 15 %; beyond five in 1 to 6 %. In doubt for one random direction.
    share
        Share of answers whose score the edit raised.
    """

    before: Estimate
    after: Estimate
    change: Estimate
    random: np.ndarray
    random_change: Estimate
    excess: Estimate
    share: Estimate

    def plot(self, ax: Axes) -> None:
        """Mean scores before and after, and the change by the direction beside those by random ones."""
        for x, (e, colour) in enumerate(((self.before, "0.6"), (self.after, "C0"))):
            ax.bar(x, e.value, yerr=_arms(e), capsize=3, color=colour)
        ax.bar(2, self.change.value, yerr=_arms(self.change), capsize=3, color="C0", hatch="//", edgecolor="white")
        spread = 3 + np.linspace(-0.15, 0.15, len(self.random)) if len(self.random) > 1 else np.array([3.0])
        ax.plot(spread, self.random, "o", color="C1", markersize=4)
        ax.axhline(0, color="0.4", linewidth=0.8)
        ax.set_xticks(range(4), ["before", "after", "change", f"change by {len(self.random)}\nrandom directions"])
        ax.set(ylabel="mean score", title=f"Editing a behaviour (n={self.change.n})", xlim=(-0.6, 3.6))


def behaviour(before: ArrayLike, after: ArrayLike, random: ArrayLike, *, seed: int = 0) -> BehaviourEdit:
    """Compares scores of answers without an edit, with it, and with random directions of its size.

    Parameters
    ----------
    before, after
        [n] scores between 0 and 1 of answers to the same n prompts.
    random
        [k, n] scores with k random directions.
    seed
        Of the order in which the intervals take the prompts.

    Intervals as of `paired_change`. Raises ValueError for shapes that do not match, NaN, or a score outside of 0 to 1.
    """
    base, edited, noise = _scores(before), _scores(after), np.asarray(random, dtype=float)
    if base.shape != edited.shape or noise.ndim != 2 or noise.shape[1:] != base.shape or not len(noise):
        raise ValueError(
            f"scores must be of the same prompts, [n], [n] and [k, n], not {base.shape}, {edited.shape}, {noise.shape}"
        )
    noise = np.stack([_scores(one) for one in noise])
    means = noise.mean(1) - base.mean()
    strongest = noise[int(means.argmax())]
    change = paired_change(base, edited, seed=seed)
    return BehaviourEdit(
        before=mean_score(base, seed=seed),
        after=mean_score(edited, seed=seed),
        change=change,
        random=means,
        random_change=paired_change(base, strongest, seed=seed),
        excess=_hull(paired_change(strongest, edited, seed=seed), beyond_random(change.value, means, symmetric=False)),
        share=wilson(edited > base),
    )


def mean_score(scores: ArrayLike, *, seed: int = 0) -> Estimate:
    """The mean of scores between 0 and 1, with the interval of `paired_change`."""
    return _bounded(_scores(scores), (0.0, 1.0), seed)


def paired_change(before: ArrayLike, after: ArrayLike, *, seed: int = 0) -> Estimate:
    """The mean change of scores between 0 and 1, after less before, prompt by prompt.

    An edit may move all answers alike, or none; Student's interval has then no width, and can decide nothing. So
    the interval is that of hedged bets on a bounded mean (Waudby-Smith and Ramdas 2024, JRSS B 86: 1), which
    holds for any n and any distribution within -1 to 1, and is wider than Student's where that one is right. It
    takes the prompts one by one, in an order drawn from `seed`. p is of the sign test (exact binomial, ties left
    out): one half of the changes that are not 0 go up.

    The prompt is the unit. Answers to different prompts may well be equal, and count each; the same prompt twice is
    one unit, and has to be dropped first (`health.no_duplicates`): of 20 prompts asked five times each, a
    change on the bar of 0.1 was decided in 14 % of experiments, of 10 asked ten times in 41 %, of 100 in none.

    Parameters
    ----------
    before, after
        [n] scores of n different prompts, the same ones in both.

    Raises ValueError for rows that do not match, NaN, or a score outside of 0 to 1.

        >>> print(paired_change([0.5] * 60, [0.9] * 60))
        0.4 [0.242, 0.468] (n=60, confidence sequence, betting)
    """
    from scipy.special import bdtr

    base, edited = _scores(before), _scores(after)
    if base.shape != edited.shape:
        raise ValueError(f"scores must be of the same prompts, not {base.size} and {edited.size} of them")
    difference = edited - base
    ups, downs = int((difference > 0).sum()), int((difference < 0).sum())
    p = min(2 * float(bdtr(min(ups, downs), ups + downs, 0.5)), 1.0) if ups + downs else 1.0
    return replace(_bounded(difference, (-1.0, 1.0), seed), p=p)


@dataclass(frozen=True)
class SideEffects:
    """What an edit did to what it was not meant to change.

    Attributes
    ----------
    perplexity_before, perplexity_after
        Of the neutral texts, a token: exp of the mean over texts of the mean nats a token.
    perplexity_ratio
        After over before: the geometric mean over texts, with Student's interval of the differences in nats,
        exponentiated. 1 is no effect. p is of the paired t-test.
    accuracy_before, accuracy_after
        Share of questions answered rightly.
    accuracy_change
        After less before, paired by question.
    """

    perplexity_before: float
    perplexity_after: float
    perplexity_ratio: Estimate
    accuracy_before: Estimate
    accuracy_after: Estimate
    accuracy_change: Estimate

    @property
    def row(self) -> dict[str, float]:
        """The two changes with their intervals, for a table."""
        return _cells("perplexity_ratio", self.perplexity_ratio) | _cells("accuracy_change", self.accuracy_change)


def side_effects(
    *, nats_before: ArrayLike, nats_after: ArrayLike, right_before: ArrayLike, right_after: ArrayLike
) -> SideEffects:
    """Compares what a model foresees and knows without an edit and with it.

    Parameters
    ----------
    nats_before, nats_after
        [m] log-probability a token of the same neutral texts, in nats.
    right_before, right_after
        [q] whether the same questions were answered rightly.

    Raises ValueError for rows that do not match, or NaN.
    """
    plain, edited = row(nats_before, "nats before", least=2), row(nats_after, "nats after", least=2)
    known, kept = flags(right_before, "right answers before"), flags(right_after, "right answers after")
    if plain.shape != edited.shape or known.shape != kept.shape:
        raise ValueError("texts and questions must be the same ones before and after the edit")
    worse = student(plain - edited)
    ratio = (float(np.exp(x)) for x in (worse.value, worse.low, worse.high))
    value, low, high = ratio
    return SideEffects(
        perplexity_before=float(np.exp(-plain.mean())),
        perplexity_after=float(np.exp(-edited.mean())),
        perplexity_ratio=replace(worse, value=value, low=low, high=high, method="Student of log perplexities"),
        accuracy_before=wilson(known),
        accuracy_after=wilson(kept),
        accuracy_change=paired_difference(kept, known),
    )


@dataclass(frozen=True)
class Comparison:
    """Two ways to the same goal, on the same prompts and by the same scorer.

    `first` and `second` are the changes that each made, `difference` the first's less the second's; `names` says
    what they are called.
    """

    names: tuple[str, str]
    first: Estimate
    second: Estimate
    difference: Estimate

    def rows(self) -> list[dict[str, Any]]:
        """One row a way, for a table."""
        changes = (self.first, self.second)
        return [{"way": name} | _cells("change", e) for name, e in zip(self.names, changes, strict=True)]

    def plot(self, ax: Axes) -> None:
        """Both changes and their difference, with intervals."""
        shown = (self.first, self.second, self.difference)
        for x, (e, colour) in enumerate(zip(shown, ("C0", "C1", "0.6"), strict=True)):
            ax.bar(x, e.value, yerr=_arms(e), capsize=3, color=colour)
        ax.axhline(0, color="0.4", linewidth=0.8)
        ax.set_xticks(range(3), [*self.names, f"{self.names[0]}\nless {self.names[1]}"])
        ax.set(ylabel="change in mean score", title=f"Two ways to one goal (n={self.first.n})")


def against(
    before: ArrayLike, first: ArrayLike, second: ArrayLike, *, names: tuple[str, str], seed: int = 0
) -> Comparison:
    """Compares two ways of changing a behaviour.

    Parameters
    ----------
    before, first, second
        [n] scores between 0 and 1 of the same prompts: untouched, and changed in each way.
    names
        What the ways are called.

    Intervals as of `paired_change`. Raises ValueError as it does.
    """
    return Comparison(
        names=names,
        first=paired_change(before, first, seed=seed),
        second=paired_change(before, second, seed=seed),
        difference=paired_change(second, first, seed=seed),
    )


def _hull(prompts: Estimate, directions: Estimate) -> Estimate:
    """What is found over prompts, with an interval that holds the one over directions too, within -1 to 1.

    p is the larger one, as neither alone tells whether it is 0.
    """
    low, high = max(min(prompts.low, directions.low), -1.0), min(max(prompts.high, directions.high), 1.0)
    p = None if prompts.p is None or directions.p is None else max(prompts.p, directions.p)
    method = f"{prompts.method}; {directions.method}"
    return replace(prompts, low=low, high=high, p=p, method=method, doubt=directions.doubt)


def _scores(scores: ArrayLike) -> np.ndarray:
    x = row(scores, "scores", least=2)
    if x.min() < 0 or x.max() > 1:
        raise ValueError(f"a score lies between 0 and 1, and there is {x[(x < 0) | (x > 1)][0]:g}; rescale the scorer")
    return x


def _bounded(values: np.ndarray, bounds: tuple[float, float], seed: int) -> Estimate:
    sequence = ConfidenceSequence(bounds=bounds)
    sequence.add(np.random.default_rng([seed, 5]).permutation(values))
    return sequence.estimate


def _cells(name: str, e: Estimate) -> dict[str, float]:
    return {name: e.value, f"{name}_low": e.low, f"{name}_high": e.high}


def _arms(e: Estimate) -> list[list[float]]:
    return [[e.value - e.low], [e.high - e.value]]
