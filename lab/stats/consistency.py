"""Scores of how consistently tasks are rated, pooled over templates and models.

Everything here works on scores from 0 to 1 (`normalise`), so that scales are never mixed raw.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from itertools import combinations
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike

from lab.estimate import Bar, Estimate
from lab.stats.checks import row
from lab.stats.correlations import correlation
from lab.stats.shares import wilson

_SLACK = 1e-9
"""What rounding may take from a score of exactly 0.7, or 1."""


# Scores from 0 to 1 --------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Normalised:
    """Ratings as shares of their scale.

    Attributes
    ----------
    scores
        In the ratings' shape, 0 at the scale's low end and 1 at its high end; NaN where a rating was missing
        or off the scale.
    outliers
        (index, rating) of each that was off the scale. They enter nothing.
    """

    scores: np.ndarray
    outliers: tuple[tuple[tuple[int, ...], float], ...]


def normalise(ratings: ArrayLike, low: float, high: float) -> Normalised:
    """(rating - low) / (high - low), by the declared scale; ratings beyond it are excluded and listed.

    Raises ValueError for a scale whose low end is not below its high end.

        >>> found = normalise([1, 3, 850, 5], 1, 5)
        >>> found.scores.tolist(), found.outliers
        ([0.0, 0.5, nan, 1.0], (((2,), 850.0),))
    """
    if not low < high:
        raise ValueError(f"a scale's low end must be below its high end, not {low} and {high}")
    x = np.asarray(ratings, dtype=float)
    off = (x < low) | (x > high)
    listed = tuple((tuple(int(i) for i in at), float(x[tuple(at)])) for at in np.argwhere(off))
    return Normalised(np.where(off, np.nan, (x - low) / (high - low)), listed)


@dataclass(frozen=True)
class Rated:
    """One rating, with all that tells it from the others.

    Attributes
    ----------
    scale
        (low, high), as the template declared it.
    """

    task: str
    seed: int
    model: str
    template: str
    rating: float
    scale: tuple[float, float]


@dataclass(frozen=True)
class Pooled:
    """Scores of one model over its templates, or of one template over its models.

    Two aggregates can be made of them, and are not the same: `pooled(statistic)` of the pooled scores, and
    `mean(statistic)`, the mean of each part's own.

    Attributes
    ----------
    tasks, seeds
        What the rows and columns are.
    scores
        [tasks, seeds] from 0 to 1: the mean over the parts that have this cell; NaN where none does.
    parts
        [tasks, seeds] of each template (or model) by its name; repeated ratings of a cell are averaged.
    outliers
        The ratings off their scale, which entered nothing.
    """

    tasks: tuple[str, ...]
    seeds: tuple[int, ...]
    scores: np.ndarray
    parts: dict[str, np.ndarray]
    outliers: tuple[Rated, ...]

    def pooled(self, statistic: Callable[[np.ndarray], float]) -> float:
        """The statistic of the pooled scores [tasks, seeds]."""
        return float(statistic(self.scores))

    def mean(self, statistic: Callable[[np.ndarray], float]) -> float:
        """The mean of the parts' statistics."""
        return float(np.mean([statistic(part) for part in self.parts.values()]))


def by_model(ratings: Iterable[Rated]) -> dict[str, Pooled]:
    """Each model's scores, pooled over its templates.

    Every rating counts: rows are told apart by task, seed, model and template, and none takes another's place.
    """
    return _pooled(ratings, lambda rated: (rated.model, rated.template))


def by_template(ratings: Iterable[Rated]) -> dict[str, Pooled]:
    """Each template's scores, pooled over the models; as `by_model`."""
    return _pooled(ratings, lambda rated: (rated.template, rated.model))


def _pooled(ratings: Iterable[Rated], keys: Callable[[Rated], tuple[str, str]]) -> dict[str, Pooled]:
    """By the first of two keys, over the second."""
    by_key: dict[str, list[tuple[str, Rated]]] = {}
    for rated in ratings:
        key, part = keys(rated)
        by_key.setdefault(key, []).append((part, rated))
    found = {}
    for key, members in by_key.items():
        tasks = {task: at for at, task in enumerate(sorted({rated.task for _, rated in members}))}
        seeds = {seed: at for at, seed in enumerate(sorted({rated.seed for _, rated in members}))}
        names = {name: at for at, name in enumerate(sorted({part for part, _ in members}))}
        total, count = np.zeros((2, len(names), len(tasks), len(seeds)))
        outliers = []
        for part, rated in members:
            score = normalise(rated.rating, *rated.scale)
            if score.outliers:
                outliers.append(rated)
            elif np.isfinite(score.scores):
                cell = names[part], tasks[rated.task], seeds[rated.seed]
                total[cell] += score.scores
                count[cell] += 1
        each = np.divide(total, count, out=np.full_like(total, np.nan), where=count > 0)
        parts = {name: each[at] for name, at in names.items()}
        found[key] = Pooled(tuple(tasks), tuple(seeds), _mean(each, 0), parts, tuple(outliers))
    return found


def _mean(x: np.ndarray, axis: int) -> np.ndarray:
    """The mean without NaN; NaN, and no warning, where there is nothing else."""
    known = np.isfinite(x)
    count = known.sum(axis)
    total = np.where(known, x, 0).sum(axis)
    return np.asarray(np.divide(total, count, out=np.full(total.shape, np.nan), where=count > 0))


# How consistent a task is --------------------------------------------------------------------------------


def consistency_v1(scores: ArrayLike) -> np.ndarray:
    """[tasks] from 0 to 1: 0.9 (1 - min(intra / p95, 1)) + 0.1 (1 - min(inter / p95, 1)).

    `intra` is a task's standard deviation between seeds, averaged over templates; `inter` that of its
    templates' means. The 95th percentile is that of single deviations: of every task on every template, and of
    every task. Deviations have ddof 0. A relative score: how consistent others are moves a task's own, so it
    compares tasks of one table only. Published scores come out of the published deviations to 1e-12
    (github.com/oscar-gilg/probing-persona-preferences, commit abd3e35e).

    Parameters
    ----------
    scores
        [tasks, templates, seeds] from 0 to 1, two templates or more; NaN where missing.

    NaN where no template has two seeds, or fewer than two templates have any. Where the percentile is 0,
    tasks with no deviation have 1 and others 0. Raises ValueError for another shape or scores beyond 0 to 1.

        >>> scores = [[[0.5, 0.5], [0.5, 0.5]], [[0.0, 1.0], [0.5, 0.5]], [[0.5, 0.6], [0.9, 0.8]]]
        >>> consistency_v1(scores).round(3).tolist()
        [1.0, 0.419, 0.784]
    """
    x = _scores(scores)
    if x.shape[1] < 2:
        raise ValueError("consistency v1 compares templates; scores must be [tasks, two or more templates, seeds]")
    between = _deviation(_mean(x, 2))
    return 0.9 * _within_p95(_deviation(x)) + 0.1 * _within_p95(between[:, None])


def consistency_v2(scores: ArrayLike) -> np.ndarray:
    """[tasks] from 0 to 1: 1 - min(deviation / p95, 1), the deviation being that between seeds as in v1.

    Of one model; p95 is that of all tasks' deviations on all templates, so it compares tasks of one table only.
    `scores` are [tasks, seeds] or [tasks, templates, seeds]; the rest is as in `consistency_v1`.

        >>> consistency_v2([[0.5, 0.5], [0.0, 1.0], [0.5, 0.6]]).round(3).tolist()
        [1.0, 0.0, 0.89]
    """
    return _within_p95(_deviation(_scores(scores)))


def consistency_v3(scores: ArrayLike) -> np.ndarray:
    """[tasks] from 0 to 1: 1 - deviation / 0.5, the deviation being that between seeds as in v1.

    Absolute, since no deviation (ddof 0) of scores from 0 to 1 exceeds 0.5. `scores` are [tasks, seeds] or
    [tasks, templates, seeds]; the rest is as in `consistency_v1`.

        >>> consistency_v3([[0.5, 0.5], [0.0, 1.0], [0.5, 0.6]]).round(3).tolist()
        [1.0, 0.0, 0.9]
    """
    return 1 - _mean(_deviation(_scores(scores)), 1) / 0.5


def _scores(scores: ArrayLike) -> np.ndarray:
    """[tasks, templates, seeds] within 0 to 1."""
    x = np.asarray(scores, dtype=float)
    if x.ndim == 2:
        x = x[:, None]
    if x.ndim != 3 or 0 in x.shape:
        raise ValueError(f"scores must be [tasks, seeds] or [tasks, templates, seeds], not of shape {np.shape(scores)}")
    if (x < 0).any() or (x > 1).any():
        raise ValueError(f"scores run from {np.nanmin(x):g} to {np.nanmax(x):g}, not from 0 to 1; normalise them first")
    return x


def _deviation(x: np.ndarray) -> np.ndarray:
    """Standard deviation (ddof 0) along the last axis of what is there; NaN of fewer than two."""
    squares = _mean((x - _mean(x, -1)[..., None]) ** 2, -1)
    found = np.where(np.isfinite(x).sum(-1) >= 2, np.sqrt(squares), np.nan)
    return np.where(found < 1e-12, 0.0, found)  # rounding, as of 0.1 + 0.1 + 0.1


def _within_p95(deviations: np.ndarray) -> np.ndarray:
    """[tasks] 1 - min(mean deviation / p95, 1) of deviations [tasks, parts], p95 being that of all of them."""
    known = deviations[np.isfinite(deviations)]
    p95 = float(np.percentile(known, 95)) if known.size else 1.0
    mean = _mean(deviations, 1)
    relative = mean / p95 if p95 > 0 else np.where(mean > 0, 1.0, mean)
    return np.asarray(1 - np.minimum(relative, 1))


# What follows from scores --------------------------------------------------------------------------------


def reached(scores: ArrayLike, thresholds: Iterable[float] = (0.5, 0.7, 0.9)) -> dict[float, Estimate]:
    """The share of tasks at or above each threshold, of scores [tasks] without NaN; rounding takes nothing away.

    >>> print(reached([0.4, 0.7, 0.9, 1.0])[0.7])
    75 % [30.1 %, 95.4 %] (n=4, Wilson)
    """
    x = row(scores, "scores")
    return {threshold: wilson(x >= threshold - _SLACK) for threshold in thresholds}


def at_ceiling(scores: ArrayLike) -> Estimate:
    """The share of tasks whose score [tasks] is 1, within 1e-9: a score that says nothing more can be told by.

    >>> print(at_ceiling([1 - 1e-12, 1.0, 0.9, 0.2]))
    50 % [15 %, 85 %] (n=4, Wilson)
    """
    return reached(scores, (1.0,))[1.0]


def percentiles(scores: ArrayLike) -> dict[int, float]:
    """The 5th, 10th, ... 95th percentile of scores [tasks].

    >>> percentiles([0.0, 0.5, 1.0])[25]
    0.25
    """
    steps = range(5, 100, 5)
    return dict(zip(steps, np.percentile(row(scores, "scores"), steps).tolist(), strict=True))


def keep_top(
    tasks: Iterable[str], scores: Mapping[str, float], ratio: float = 0.7, *, unknown: Literal["keep", "drop"]
) -> list[str]:
    """The tasks whose score is among the top `ratio` of all scores, in their order; ties with the last are kept.

    Parameters
    ----------
    unknown
        What becomes of tasks without a score (or with NaN): there is no default, because a filter that keeps
        what it has never seen lets half a new data set through unnoticed.

        >>> keep_top(["a", "b", "c", "new"], {"a": 0.9, "b": 0.1, "c": 0.6}, 0.5, unknown="drop")
        ['a', 'c']
    """
    if not 0 < ratio <= 1 or unknown not in ("keep", "drop"):
        raise ValueError(f"ratio lies in (0, 1] and unknown is 'keep' or 'drop', not {ratio} and {unknown!r}")
    known = {task: score for task, score in scores.items() if np.isfinite(score)}
    least = float(np.percentile(row(list(known.values()), "scores"), 100 * (1 - ratio))) - _SLACK
    return [task for task in tasks if (known[task] >= least if task in known else unknown == "keep")]


def ranked(scores: Mapping[str, float], about: Mapping[str, Mapping[str, Any]] | None = None) -> list[dict[str, Any]]:
    """The tasks from the most consistent down, each a dict of rank, task, score and what is said about it.

    `about` may hold prompt, origin, or a reason (why a task must fail). Ties are in the order of their
    names; tasks with NaN come last, with score None and no rank. Plain data, ready for JSON.

        >>> ranked({"a": 0.2, "b": 0.9}, {"b": {"origin": "maths"}})
        [{'rank': 1, 'task': 'b', 'score': 0.9, 'origin': 'maths'}, {'rank': 2, 'task': 'a', 'score': 0.2}]
    """
    known = sorted((task for task in scores if np.isfinite(scores[task])), key=lambda task: (-scores[task], task))
    rows: list[dict[str, Any]] = [
        {"rank": at, "task": task, "score": float(scores[task])} for at, task in enumerate(known, 1)
    ]
    rows += [{"rank": None, "task": task, "score": None} for task in sorted(set(scores) - set(known))]
    return [item | dict((about or {}).get(item["task"], {})) for item in rows]


def extremes(rows: list[dict[str, Any]], count: int = 10) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """The `count` most and the `count` least consistent of `ranked` tasks, the extreme one first."""
    scored = [item for item in rows if item["rank"] is not None]
    return scored[:count], scored[::-1][:count]


@dataclass(frozen=True)
class ModelPair:
    """How alike two models' consistencies are.

    Attributes
    ----------
    first, second
        The models.
    n
        How many tasks both have a score of.
    pearson, spearman
        With interval and p; None where there are fewer than four common tasks, or a model's scores are constant.
    """

    first: str
    second: str
    n: int
    pearson: Estimate | None
    spearman: Estimate | None


def across_models(scores: Mapping[str, Mapping[str, float]]) -> list[ModelPair]:
    """Each pair of models' correlation of consistency over the tasks that both have: {model: {task: score}}.

    >>> easy = {str(t): t / 10 for t in range(10)}
    >>> [pair] = across_models({"x": easy, "y": {t: s**2 for t, s in easy.items()}})
    >>> pair.n, round(pair.pearson.value, 3)
    (10, 0.963)
    """
    found = []
    for first, second in combinations(scores, 2):
        one, two = scores[first], scores[second]
        common = sorted(task for task in one.keys() & two.keys() if np.isfinite([one[task], two[task]]).all())
        a, b = ([side[task] for task in common] for side in (one, two))
        if len(common) < 4 or len(set(a)) == 1 or len(set(b)) == 1:
            found.append(ModelPair(first, second, len(common), None, None))
        else:
            both = correlation(a, b), correlation(a, b, kind="Spearman")
            found.append(ModelPair(first, second, len(common), *both))
    return found


def intrinsic_or_specific(
    r: Estimate, bar: Bar | None = None
) -> Literal["intrinsic to the tasks", "specific to the model", "undecided"]:
    """Is consistency a property of the tasks or of the model? By the interval of the models' correlation.

    Intrinsic where the whole interval lies above `bar.passes`, specific where it lies below `bar.fails`
    (0.5 and 0.3 unless given), else undecided; so is a correlation in doubt.

        >>> from lab.stats.correlations import fisher_z
        >>> intrinsic_or_specific(fisher_z(0.1, 500)), intrinsic_or_specific(fisher_z(0.1, 20))
        ('specific to the model', 'undecided')
    """
    outcome = (r > (bar or Bar(passes=0.5, fails=0.3))).outcome
    said: dict[str, Literal["intrinsic to the tasks", "specific to the model", "undecided"]] = {
        "PASS": "intrinsic to the tasks",
        "FAIL": "specific to the model",
        "INCONCLUSIVE": "undecided",
    }
    return said[outcome]
