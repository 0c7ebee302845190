"""Agreement of the ratings of several seeds, and how well they tell tasks apart."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np
from numpy.typing import ArrayLike

from lab.estimate import Estimate
from lab.stats.bootstrap import bootstrap, mean_of_finite, reweighted
from lab.stats.checks import pair, row
from lab.stats.correlations import fisher_z, pair_moments, pearson, weighted_r
from lab.stats.shares import wilson
from lab.stats.threads import one_thread


@one_thread
def variance_ratio(ratings: ArrayLike, *, seed: int = 0, level: float = 0.95) -> Estimate:
    """Variance of the tasks' means over itself plus the mean variance within tasks; both with ddof 1.

    This is not an ICC, though it has been called one: a task's mean carries 1/seeds of the noise within,
    so ratings that are noise alone give 1/(1 + seeds) and not 0. Here for comparison with results that used it.

    Parameters
    ----------
    ratings
        [tasks, seeds], NaN where missing; only tasks with at least two ratings count.

    The interval draws tasks (BCa bootstrap). In doubt where nothing varies. Raises ValueError for fewer than
    two such tasks.

        >>> print(variance_ratio([[1, 1, 2], [4, 5, 5], [3, 3, 3], [2, 1, np.nan], [5, 4, 5]]))
        0.898 [0.567, 0.912] (n=5, variance ratio, BCa bootstrap)
    """
    x = np.asarray(ratings, dtype=float)
    if x.ndim == 2:
        x = x[np.isfinite(x).sum(1) >= 2]
    if x.ndim != 2 or len(x) < 2:
        raise ValueError(f"a variance ratio needs two tasks with two ratings each in [tasks, seeds], not {x.shape}")
    n, means = len(x), np.nanmean(x, axis=1)
    within = np.nanvar(x, axis=1, ddof=1)
    noise = 1e-26 * np.nanmean(x * x)
    if means.var() <= noise and within.mean() <= noise:
        return Estimate(0, 0, 1, n, "variance ratio", level, bounds=(0, 1), doubt="the ratings do not vary at all")

    def of(sample: np.ndarray, axis: int) -> np.ndarray:
        tasks, inner = sample.shape[axis], sample[..., 1].mean(axis)
        outer = sample[..., 0].var(axis) * tasks / max(tasks - 1, 1)  # of two tasks the jackknife leaves one
        return np.asarray(outer / (outer + inner))

    with np.errstate(invalid="ignore"):  # a resample may be one task again and again, in which nothing varies
        found = bootstrap(np.stack([means, within], axis=1), of, seed=seed, level=level, bounds=(0, 1))
    return replace(found, method=f"variance ratio, {found.method}")


def _drawn(
    of: Callable[[np.ndarray], np.ndarray],
    n: int,
    seed: int,
    level: float,
    bounds: tuple[float, float],
    method: str,
    undefined: str,
) -> Estimate:
    """A statistic of weighted tasks, by bootstrap; in doubt where it is undefined."""
    if not np.isfinite(of(np.ones((1, n)))[0]):
        return Estimate(0.0, *bounds, n, method, level, bounds=bounds, doubt=undefined)
    found = reweighted(of, n, seed=seed, level=level, bounds=bounds)
    return replace(found, method=f"{method}, {found.method}")


@dataclass(frozen=True)
class CrossSeed:
    """The correlations between all pairs of seeds.

    Attributes
    ----------
    pairs
        The (first, second) column of each pair, all seeds (seeds - 1) / 2 of them.
    overlap
        [pairs] how many tasks both seeds have rated.
    pearson, spearman
        [pairs], NaN where undefined: a seed's ratings of those tasks are constant, or they are too few.
    n_pairs, n_undefined
        How many pairs there are, and how many of them are NaN. Undefined is neither 0 nor 1, and enters no mean.
    std, std_spearman
        Standard deviation (ddof 1) over the defined pairs; NaN for fewer than two.
    mean, mean_spearman
        Of the defined pairs, with an interval by drawing tasks, whose pairs are not independent. `n`
        counts tasks. In doubt where no pair is defined; the value is then a placeholder, 0.
        Where most ratings are at the mode, and fewer than 20 tasks lie beside it in both seeds of a pair, these few
        carry the correlation and a resample may lack them: the interval then holds Fisher's of one pair too. Measured
        on 150 tasks, 4 seeds, 92 % at the mode, r = 0.2: it lay below the truth in 12 to 14 % of tables, and now does
        in 1 %; at 80 % in 5 %, and now in 0.3 %.
    """

    pairs: tuple[tuple[int, int], ...]
    overlap: np.ndarray
    pearson: np.ndarray
    spearman: np.ndarray
    n_pairs: int
    n_undefined: int
    std: float
    std_spearman: float
    mean: Estimate
    mean_spearman: Estimate


@one_thread
def cross_seed(ratings: ArrayLike, *, least: int = 10, seed: int = 0, level: float = 0.95) -> CrossSeed:
    """Do seeds order the tasks alike? Pearson's and Spearman's correlation of every pair of seeds.

    Parameters
    ----------
    ratings
        [tasks, seeds], NaN where missing.
    least
        How many tasks a pair must share.
    seed
        Of the bootstrap. A resample keeps the ranks that Spearman's correlation has on all tasks.

    In doubt where two seeds gave the same ratings of all tasks. Raises ValueError for fewer than two tasks or seeds.

        >>> found = cross_seed(np.arange(20.0)[:, None] + [[0, 1, 0], [0, 0, 3]] * 10)
        >>> found.pearson.round(3).tolist(), found.n_undefined
        ([0.996, 0.969, 0.944], 0)
    """
    x = np.asarray(ratings, dtype=float)
    if x.ndim != 2 or min(x.shape) < 2:
        raise ValueError(f"correlations between seeds need [tasks, seeds] with two or more of each, not {x.shape}")
    from scipy.stats import rankdata

    pairs = tuple(combinations(range(x.shape[1]), 2))
    overlap, r, moments = [], np.full((2, len(pairs)), np.nan), np.zeros((2, len(x), len(pairs), 6))
    for at, (one, two) in enumerate(pairs):
        both = np.isfinite(x[:, one]) & np.isfinite(x[:, two])
        overlap.append(int(both.sum()))
        if overlap[-1] < max(least, 2):
            continue
        a, b = x[both, one], x[both, two]
        for kind, (left, right) in enumerate(((a, b), (rankdata(a), rankdata(b)))):
            r[kind, at] = pearson(left, right)
            moments[kind, both, at] = pair_moments(left, right)
    defined = np.isfinite(r[0])
    undefined = f"no pair of seeds has a correlation: all of {len(pairs)} have constant ratings or few common tasks"

    def mean_of(kind: int, name: str) -> Estimate:
        kept = np.ascontiguousarray(moments[kind][:, defined])
        found = _drawn(lambda w: _mean_r(w, kept), len(x), seed, level, (-1, 1), name, undefined)
        shared = int(np.median(np.array(overlap)[defined])) if defined.any() else 0
        if few and shared >= 4 and not found.doubt:
            one_pair = fisher_z(found.value, shared, kind=("Pearson", "Spearman")[kind], level=level)
            low, high = min(found.low, one_pair.low), max(found.high, one_pair.high)
            found = replace(found, low=low, high=high, method=f"{found.method}; Fisher z")
        return replace(found, doubt=found.doubt or copied)

    copied, few = _copies(x), _few_beside_the_mode(x, pairs)
    stds = [float(side[defined].std(ddof=1)) if defined.sum() > 1 else float("nan") for side in r]
    return CrossSeed(
        pairs,
        np.array(overlap),
        pearson=r[0],
        spearman=r[1],
        n_pairs=len(pairs),
        n_undefined=int((~defined).sum()),
        std=stds[0],
        std_spearman=stds[1],
        mean=mean_of(0, "mean Pearson"),
        mean_spearman=mean_of(1, "mean Spearman"),
    )


_ENOUGH = 20
"""Tasks beside the mode in both seeds from which a bootstrap of the mean r is left to itself."""


def _few_beside_the_mode(ratings: np.ndarray, pairs: Sequence[tuple[int, int]]) -> bool:
    """Whether most of [tasks, seeds] is the commonest rating, and few tasks have another in both seeds of a pair."""
    known = np.isfinite(ratings)
    if not known.any():
        return False
    off = known & (np.rint(ratings) != _mode(ratings[known]))
    both = np.mean([(off[:, one] & off[:, two]).sum() for one, two in pairs])
    return bool(off.sum() < 0.5 * known.sum() and both < _ENOUGH)


def _copies(ratings: np.ndarray) -> str:
    """Why [tasks, seeds] can decide nothing where two seeds rated all tasks the same, and not all alike."""
    for one, two in combinations(range(ratings.shape[1]), 2):
        a, b = ratings[:, one], ratings[:, two]
        if np.array_equal(a, b, equal_nan=True) and np.nanmin(a) < np.nanmax(a):
            return f"seeds {one} and {two} rated all tasks the same; is one a copy, or the temperature 0?"
    return ""


def _mean_r(w: np.ndarray, moments: np.ndarray) -> np.ndarray:
    """[m] the mean over pairs of the correlations of tasks weighted [m, tasks]; of `moments` [tasks, pairs, 6]."""
    return mean_of_finite(weighted_r((w @ moments.reshape(len(moments), -1)).reshape(len(w), -1, 6)))


# Tasks that are not at the mode --------------------------------------------------------------------------


@dataclass(frozen=True)
class Informative:
    """A correlation over the tasks that were not given the commonest rating twice, and what chance makes of it.

    Attributes
    ----------
    r
        Pearson's, over the kept tasks; NaN where fewer than two are kept or a side is constant.
    mode
        The commonest rounded rating of both seeds together; of several, the lowest.
    discrimination
        The share d of tasks that are kept.
    null_mean, null_low, null_high
        Mean and 95 % range of r when the pairing of the two seeds is permuted and the tasks are chosen
        anew. Dropping tasks by both ratings makes independent seeds correlate: at a mode at the end of the
        scale with 80 % of the ratings, r is -0.65.
    p
        Two-sided, of that permutation: how often r is as far from the null's mean. NaN where r is.
    excess
        r minus what independent seeds of the same ratings would give (from the margins, in closed form). The
        interval is the hull of a bootstrap over tasks and of r less the permuted range: of independent
        seeds the bootstrap alone lies wholly below 0 in 8 % of tables. This is what to hold against a bar; in
        doubt where r is undefined.
    """

    r: float
    mode: float
    discrimination: Estimate
    null_mean: float
    null_low: float
    null_high: float
    p: float
    excess: Estimate


@one_thread
def informative_correlation(
    first: ArrayLike, second: ArrayLike, seed: int = 0, *, permutations: int = 1999, level: float = 0.95
) -> Informative:
    """How do two seeds' ratings correlate where not both are the commonest one, and is that more than chance?

    Parameters
    ----------
    first, second
        [tasks] each, of the same tasks. A rating counts as modal when it rounds to the mode; r is of the ratings.
    seed
        Of permutations and bootstrap.

    With three seeds or more, `informative_correlation_by_third` needs no null.

    In doubt where the two are the same. Raises ValueError for rows that do not match, or NaN.

        >>> found = informative_correlation([5, 5, 4, 5, 2, 5, 1, 3], [5, 4, 4, 5, 1, 5, 2, 3])
        >>> round(found.r, 3), found.mode, round(found.discrimination.value, 3)
        (0.849, 5.0, 0.625)
    """
    x, y = pair(first, second, "ratings")
    n, mode = x.size, _mode(np.concatenate([x, y]))
    at_x, at_y = np.rint(x) == mode, np.rint(y) == mode
    kept = ~(at_x & at_y)
    share = discrimination_rate(x, y, level=level)
    # Both sides in standard deviations: correlations do not change, and sums keep their digits.
    a, b = ((side - side.mean()) / (side.std() or 1.0) for side in (x, y))
    inside = pair_moments(a, b, kept)
    margins = np.stack([a, a * a, at_x, a * at_x, a * a * at_x, b, b * b, at_y, b * at_y, b * b * at_y], axis=1)

    def excess(w: np.ndarray) -> np.ndarray:
        mx, mxx, px, dx, dxx, my, myy, py, dy, dyy = (w @ margins / w.sum(1, keepdims=True)).T
        # Moments of the kept tasks if the seeds were independent: all, less those where both are modal.
        parts = [1 - px * py, mx - dx * py, my - px * dy, mxx - dxx * py, myy - px * dyy, mx * my - dx * dy]
        return np.asarray(weighted_r(w @ inside) - weighted_r(np.stack(parts, axis=-1)))

    r = float(pearson(x[kept], y[kept])) if kept.sum() >= 2 else float("nan")
    if not np.isfinite(r):
        doubt = f"a correlation of the {int(kept.sum())} tasks that are not at the mode {mode:g} is undefined"
        nothing = Estimate(0.0, -2.0, 2.0, n, "excess over independence", level, bounds=(-2, 2), doubt=doubt)
        nan = float("nan")
        return Informative(r, mode, share, nan, nan, nan, nan, nothing)
    drawn = _permuted(a, b, at_x, at_y, permutations, np.random.default_rng(seed))
    drawn = drawn[np.isfinite(drawn)]
    centre = float(drawn.mean())
    p = float((1 + (np.abs(drawn - centre) >= abs(r - centre) * (1 - 1e-9)).sum()) / (1 + drawn.size))
    low, high = (float(end) for end in np.quantile(drawn, [0.025, 0.975]))
    over = _drawn(excess, n, seed, level, (-2, 2), "excess over independence", "there is no null to compare with")
    if copied := _copies(np.stack([x, y], axis=1)):
        over = replace(over, doubt=copied)
    if not over.doubt:
        tails = np.quantile(drawn, [(1 - level) / 2, (1 + level) / 2])
        ends = min(over.low, r - float(tails[1])), max(over.high, r - float(tails[0]))
        over = replace(over, low=ends[0], high=ends[1], method="excess over independence, bootstrap and permutation")
    return Informative(r, mode, share, centre, low, high, p, over)


def _permuted(
    x: np.ndarray, y: np.ndarray, at_x: np.ndarray, at_y: np.ndarray, permutations: int, rng: np.random.Generator
) -> np.ndarray:
    """[permutations] the correlation of the kept tasks when y is permuted and the tasks are chosen anew."""
    n, found = x.size, []
    of_x = np.stack([at_x, x * at_x, x * x * at_x], axis=1).astype(float)
    rows = max(1, (1 << 20) // n)
    for start in range(0, permutations, rows):
        order = rng.permuted(np.tile(np.arange(n), (min(rows, permutations - start), 1)), axis=1)
        paired, modal = y[order], at_y[order].astype(float)
        count, dx, dxx = (modal @ of_x).T
        dy, dxy = (paired * modal @ of_x[:, :2]).T
        dyy = paired**2 * modal @ of_x[:, 0]
        sums = [n - count, x.sum() - dx, y.sum() - dy, (x * x).sum() - dxx, (y * y).sum() - dyy, paired @ x - dxy]
        found.append(weighted_r(np.stack(sums, axis=-1)))
    return np.concatenate(found)


@one_thread
def informative_correlation_by_third(ratings: ArrayLike, seed: int = 0, *, level: float = 0.95) -> Estimate:
    """How do two seeds correlate over the tasks that a third seed does not rate at the mode?

    The third seed chooses the tasks and takes no part in the correlation, so independent seeds give 0 where
    `informative_correlation` gives less. The mean over every choosing seed and every pair of the others.

    Parameters
    ----------
    ratings
        [tasks, seeds] of three seeds or more, without gaps.
    seed
        Of the bootstrap over tasks.

    In doubt where no pair has two tasks that differ, where two seeds rated all tasks the same, and where chance
    alone would put fewer than five of the chosen tasks off the mode in both seeds. Measured on independent seeds
    with a mode of 80 % at the end of the scale, 1500 tasks: the interval lies above 0 in 3 % of tables and below 0
    in 8 %, so a negative correlation needs more than this. Raises ValueError for fewer than three seeds, or NaN.

        >>> ratings = [[5, 5, 5], [4, 3, 4], [5, 5, 4], [1, 2, 1], [2, 2, 2], [5, 5, 5], [3, 4, 3], [5, 4, 5]]
        >>> round(informative_correlation_by_third(ratings).value, 3)
        0.841
    """
    x = np.asarray(ratings, dtype=float)
    if x.ndim != 2 or len(x) < 2 or x.shape[1] < 3:
        raise ValueError(f"choosing tasks by a third seed needs ratings [tasks, 3 seeds or more], not {x.shape}")
    row(x.ravel(), "ratings")
    off = np.rint(x) != _mode(x)
    triples = [
        (third, one, two)
        for third in range(x.shape[1])
        for one, two in combinations([s for s in range(x.shape[1]) if s != third], 2)
    ]
    moments = np.stack([pair_moments(x[:, one], x[:, two], off[:, third]) for third, one, two in triples], axis=1)
    undefined = "no pair of seeds varies over the tasks that a third seed chooses"
    method = "chosen by a third seed"
    found = _drawn(lambda w: _mean_r(w, moments), len(x), seed, level, (-1, 1), method, undefined)
    sizes = np.maximum(off.sum(0), 1)
    both = float(np.mean([(off[off[:, c], a].sum() * off[off[:, c], b].sum()) / sizes[c] for c, a, b in triples]))
    if not found.doubt and (copied := _copies(x)):
        return replace(found, doubt=copied)
    if both < _LEAST_BOTH and found.doubt != undefined:
        doubt = f"of the chosen tasks only {both:.1f} would be off the mode in both seeds by chance, not {_LEAST_BOTH}"
        return replace(found, doubt=doubt)
    return found


_LEAST_BOTH = 5
"""Below this a resample seldom holds the tasks that carry the correlation. Measured, independent seeds with a mode
of 80 % at the end of the scale: the interval lay below 0 in 29 % of tables of 200 tasks (1.6 such tasks), in 8 % of
400 (3.2)."""


def discrimination_rate(first: ArrayLike, second: ArrayLike, *, level: float = 0.95) -> Estimate:
    """The share of tasks for which two seeds' ratings [tasks] are not both the commonest one.

    Raises ValueError for rows that do not match, or NaN.

        >>> print(discrimination_rate([5, 5, 4, 5], [5, 4, 4, 5]))
        50 % [15 %, 85 %] (n=4, Wilson)
    """
    x, y = pair(first, second, "ratings")
    mode = _mode(np.concatenate([x, y]))
    return wilson((np.rint(x) != mode) | (np.rint(y) != mode), level=level)


def _mode(ratings: np.ndarray) -> float:
    """The commonest rounded rating; of several, the lowest."""
    values, counts = np.unique(np.rint(ratings), return_counts=True)
    return float(values[counts.argmax()])
