"""Consistency of a model's ratings, task by task, over the templates it was asked on."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from lab.estimate import Estimate
from lab.record.kept import Kept
from lab.stats.bootstrap import reweighted
from lab.stats.consistency import (
    across_models,
    at_ceiling,
    consistency_v1,
    consistency_v2,
    consistency_v3,
    intrinsic_or_specific,
    keep_top,
    percentiles,
    ranked,
    reached,
)
from lab.stats.correlations import pair_moments, weighted_r
from lab.stats.means import student
from lab.studies.shared.ratings import Ratings, row_means

if TYPE_CHECKING:
    from matplotlib.axes import Axes


@dataclass(frozen=True)
class TaskConsistency:
    """How consistently one model rates each of n tasks; on 0 to 1, by the templates' declared scales.

    Attributes
    ----------
    rater
        Whose ratings they are.
    tasks, origins
        [n] ids of the tasks, and where each comes from.
    templates
        What was asked.
    v1
        [n] 0.9 within seeds + 0.1 between templates, relative to this table; None for one template.
    v2
        [n] within seeds, relative to this table.
    v3
        [n] 1 less the deviation between seeds over 0.5, the most that there can be: the only one that may be compared.
    exact
        [n] as v3, of the exact deviation where all answers' probabilities are known; None where some were drawn. What
        seeds that were never drawn would say: it carries no noise of few seeds.
    mean
        [n] mean rating of each task as a share of the scale, over templates and seeds; NaN without any.
    ratings
        [n, templates, seeds] as shares of the scale; NaN where an answer was no rating.
    outcomes
        [n, templates, seeds] what each answer was.
    """

    rater: str
    tasks: tuple[str, ...]
    origins: tuple[str, ...]
    templates: tuple[str, ...]
    v1: np.ndarray | None
    v2: np.ndarray
    v3: np.ndarray
    exact: np.ndarray | None
    mean: np.ndarray
    ratings: np.ndarray
    outcomes: np.ndarray

    @property
    def overall(self) -> Estimate:
        """The mean over tasks, which are the units: exact where it is known, else as many seeds would say.

        v3 of few seeds makes a model look more consistent than it is, for their deviation (ddof 0) is too small: of
        four, 0.56 where the truth is 0.46. Here it is taken with ddof 1 and over c4, as of normal deviates, which comes
        within 0.01 for distributions over several points; next to constant ratings it still flatters, by up to 0.06.
        """
        found = 1 - _of_many_seeds(self.ratings) / 0.5 if self.exact is None else self.exact
        return student(found[np.isfinite(found)])

    @property
    def scored(self) -> np.ndarray:
        """v3 of the tasks that have it."""
        return np.asarray(self.v3[np.isfinite(self.v3)])

    @property
    def best_known(self) -> np.ndarray:
        """[n] exact where it is known, else v3."""
        return self.v3 if self.exact is None else self.exact

    def by_task(self) -> dict[str, float]:
        """v3 by task."""
        return dict(zip(self.tasks, self.v3.tolist(), strict=True))

    def metrics(self, keep: float) -> dict[str, Any]:
        """Counts at or above 0.5, 0.7 and 0.9, the share at the ceiling, percentiles 5 to 95, and what is kept.

        `keep` is the share of the tasks that a filter keeps; tasks without a score are dropped.
        """
        kept = keep_top(self.tasks, self.by_task(), keep, unknown="drop")
        return {
            "model": self.rater,
            "tasks": len(self.tasks),
            "scored": int(self.scored.size),
            "templates": list(self.templates),
            "seeds": int(self.ratings.shape[2]),
            "mean": float(self.scored.mean()),
            "mean v1": None if self.v1 is None else float(np.nanmean(self.v1)),
            "mean v2": float(np.nanmean(self.v2)),
            "mean exact": None if self.exact is None else float(self.exact.mean()),
            "reached": {f"{at:g}": share.value for at, share in reached(self.scored).items()},
            "at ceiling": at_ceiling(self.scored).value,
            "percentiles": {str(at): value for at, value in percentiles(self.scored).items()},
            "keep ratio": keep,
            "kept": len(kept),
            "tasks without a score": "dropped",
        }

    def rows(self, prompts: Mapping[str, str], keep: float) -> list[dict[str, Any]]:
        """The tasks from the most consistent down, each with its origin, prompt, scores and what is odd about it."""
        kept = set(keep_top(self.tasks, self.by_task(), keep, unknown="drop"))
        about = {
            task: {
                "origin": self.origins[i],
                "prompt": prompts[task],
                "v1": None if self.v1 is None else _known(self.v1[i]),
                "v2": _known(self.v2[i]),
                "exact": None if self.exact is None else _known(self.exact[i]),
                "mean rating": _known(self.mean[i]),
                "kept": task in kept,
                "reason": self._reason(i),
            }
            for i, task in enumerate(self.tasks)
        }
        return ranked(self.by_task(), about)

    def _reason(self, i: int) -> str:
        """Why a task stands where it does, as far as its answers tell."""
        said = []
        lost = Counter(str(outcome) for outcome in self.outcomes[i].ravel() if outcome != "rated")
        if lost:
            counted = ", ".join(f"{n} {outcome}" for outcome, n in sorted(lost.items()))
            said.append(f"{sum(lost.values())} of {self.outcomes[i].size} answers are no ratings: {counted}")
        low, high = _least(self.ratings[i]), _most(self.ratings[i])
        both = [name for name, a, b in zip(self.templates, low, high, strict=True) if a == 0 and b == 1]
        if both:
            said.append(f"from one end of the scale to the other between seeds on {', '.join(both)}")
        if np.isfinite(low).any() and np.nanmax(high - low) == 0:
            said.append("the same rating under every seed")
        return "; ".join(said)

    def plot(self, ax: Axes) -> None:
        """Each task by mean rating and consistency, coloured by origin."""
        colours = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
        for i, origin in enumerate(dict.fromkeys(self.origins)):
            these = np.array([each == origin for each in self.origins])
            style: Any = {"color": colours[i % len(colours)], "marker": "osD^vPX"[i % 7]}
            ax.scatter(self.mean[these], self.v3[these], s=12, alpha=0.7, label=origin, **style)
        ax.legend(fontsize=7)
        ax.set(
            xlabel="mean rating, share of the scale",
            ylabel="consistency (v3)",
            title=f"{self.rater}: {self.scored.size} tasks, {len(self.templates)} templates, "
            f"{self.ratings.shape[2]} seeds",
        )


def task_consistency(runs: Sequence[Ratings]) -> TaskConsistency:
    """Scores of tasks that one model rated on one template or several, under the same seeds.

    Raises ValueError for runs over other tasks or numbers of seeds, fewer than two seeds, or no run.
    """
    if not runs:
        raise ValueError("there is no run to score; rate the tasks on a template at least")
    first = runs[0]
    for run in runs:
        if run.tasks != first.tasks or run.values.shape != first.values.shape or run.asked.rater != first.asked.rater:
            raise ValueError(f"{run.name} and {first.name} are of other tasks, seeds or raters; score them apart")
    if first.values.shape[1] < 2:
        raise ValueError("one rating of each task says nothing of its consistency; ask under two seeds or more")
    shares = np.stack([run.shares for run in runs], axis=1)
    exact = None
    if all(run.exact for run in runs):
        exact = 1 - np.mean([deviation(run) for run in runs], axis=0) / 0.5
    return TaskConsistency(
        rater=first.asked.rater,
        tasks=first.tasks,
        origins=first.origins,
        templates=tuple(run.asked.template for run in runs),
        v1=consistency_v1(shares) if len(runs) > 1 else None,
        v2=consistency_v2(shares),
        v3=consistency_v3(shares),
        exact=exact,
        mean=row_means(shares.reshape(len(shares), -1)),
        ratings=shares,
        outcomes=np.stack([run.outcomes for run in runs], axis=1),
    )


def deviation(run: Ratings) -> np.ndarray:
    """[n] standard deviation of each task's exact distribution as a share of the scale, banned answers left out.

    Raises ValueError where no probabilities are known.
    """
    if run.probabilities is None:
        raise ValueError(f"{run.name} was sampled; ask with exact=True for exact deviations")
    form = run.template
    p = np.where(np.isin(form.answers, form.banned), 0.0, run.probabilities)
    p = p / p.sum(1, keepdims=True)
    low, high = min(form.values), max(form.values)
    x = (np.array(form.values) - low) / (high - low)
    return np.asarray(np.sqrt(np.maximum(p @ x**2 - (p @ x) ** 2, 0)))


def _of_many_seeds(ratings: np.ndarray) -> np.ndarray:
    """[n] mean deviation between the seeds of [n, templates, seeds], without what few seeds make it too small by."""
    from scipy.special import gammaln

    seeds = np.isfinite(ratings).sum(2)
    k = np.where(seeds >= 2, seeds, np.nan)
    means = row_means(ratings.reshape(-1, ratings.shape[2])).reshape(seeds.shape)
    apart = ratings - means[:, :, None]
    c4 = np.sqrt(2 / (k - 1)) * np.exp(gammaln(k / 2) - gammaln((k - 1) / 2))
    return row_means(np.sqrt(np.nansum(apart**2, axis=2) / (k - 1)) / c4)


def _least(ratings: np.ndarray) -> np.ndarray:
    """[templates] the lowest of [templates, seeds] that is there."""
    return np.asarray(np.where(np.isnan(ratings).all(1), np.nan, np.min(np.nan_to_num(ratings, nan=2.0), axis=1)))


def _most(ratings: np.ndarray) -> np.ndarray:
    """[templates] the highest of [templates, seeds] that is there."""
    return np.asarray(np.where(np.isnan(ratings).all(1), np.nan, np.max(np.nan_to_num(ratings, nan=-1.0), axis=1)))


def _known(x: float) -> float | None:
    return None if x != x else round(float(x), 6)


# Two models ----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Between:
    """Whether two models are consistent on the same tasks.

    Attributes
    ----------
    scores
        By model: consistency of each task, exact where it is known, else v3.
    n
        Tasks of which both have a score.
    pearson, spearman
        Of those scores; in doubt where a model's are constant or fewer than four tasks have both.
    conclusion
        "intrinsic to the tasks" where the whole interval of Pearson's r lies above 0.5, "specific to the model" where
        it lies below 0.3, else "undecided".
    at_ceiling
        By model: the share of tasks whose v3 is 1.
    """

    scores: dict[str, dict[str, float]]
    n: int
    pearson: Estimate
    spearman: Estimate
    conclusion: str
    at_ceiling: dict[str, Estimate]

    def kept(self) -> Kept:
        """Both scores of each task, the correlations, and the plot."""
        return Kept(
            rows={"consistency of two": self.rows()},
            summary={
                "pearson": self.pearson,
                "spearman": self.spearman,
                "tasks": self.n,
                "conclusion": self.conclusion,
                "at_ceiling": {name: share.value for name, share in self.at_ceiling.items()},
            },
            plots={"consistency_of_two": self.plot},
        )

    def rows(self) -> list[dict[str, Any]]:
        """Both scores of each task, as plain data."""
        one, other = self.scores.values()
        return [
            {"task": task, "first": _known(value), "second": _known(other.get(task, float("nan")))}
            for task, value in one.items()
        ]

    def plot(self, ax: Axes) -> None:
        """Each task by both models' consistencies."""
        (first, one), (second, other) = self.scores.items()
        common = [task for task in one if task in other]
        ax.scatter([one[t] for t in common], [other[t] for t in common], s=12, alpha=0.7, color="#0072B2")
        shown = f"r = {self.pearson.value:.2f} [{self.pearson.low:.2f}, {self.pearson.high:.2f}]"
        ax.set(xlabel=f"consistency, {first}", ylabel=second, title=f"{self.n} tasks, {shown}")


def between(models: Mapping[str, TaskConsistency]) -> Between:
    """How two models' consistencies go together, task by task. Raises ValueError for other than two models."""
    if len(models) != 2:
        raise ValueError(f"two models are compared, not {len(models)}; take them in pairs")
    scores = {name: dict(zip(each.tasks, each.best_known.tolist(), strict=True)) for name, each in models.items()}
    [pair] = across_models(scores)
    pearson, spearman = (_defined(pair.n, r) for r in (pair.pearson, pair.spearman))
    return Between(
        scores,
        n=pair.n,
        pearson=pearson,
        spearman=spearman,
        conclusion=intrinsic_or_specific(pearson),
        at_ceiling={name: at_ceiling(each.scored) for name, each in models.items()},
    )


def agrees_with_itself(runs: Sequence[Ratings]) -> Estimate:
    """How one model's consistency on every second template goes with that on the others, over tasks: Pearson's r.

    Of one template alone, on every second seed and on the others.
    In doubt where a half is constant. Raises ValueError for one template under fewer than four seeds.
    """
    one, other = _halves(runs)
    both = np.isfinite(one) & np.isfinite(other)
    [pair] = across_models(
        {name: {str(i): half[i] for i in np.flatnonzero(both)} for name, half in (("one", one), ("other", other))}
    )
    return _defined(pair.n, pair.pearson)


def most_between(models: Mapping[str, Sequence[Ratings]], *, seed: int = 0) -> Estimate:
    """How far the consistencies of models could correlate, if they were all the tasks' doing.

    The geometric mean of the models' reliabilities (Spearman 1904); each is that of `agrees_with_itself`, raised from
    one half to all templates, 2r / (1 + r) (Spearman 1910, Brown 1910), and at least 0. Below a bar that the models'
    correlation is held against, nothing could have reached the bar: a low correlation is then the measure's own doing.

    Parameters
    ----------
    models
        By name: each one's runs over the same tasks.
    seed
        Of the bootstrap over tasks.

    In doubt where a half is constant, or fewer than four tasks have all scores. Raises ValueError as
    `agrees_with_itself` does.
    """
    halves = np.array([_halves(runs) for runs in models.values()])
    halves = halves[:, :, np.isfinite(halves).all((0, 1))]
    n, method = halves.shape[2], "geometric mean of split halves"
    if n < 4 or (np.ptp(halves, axis=2) < 1e-9).any():
        doubt = "consistency on one half of the templates is constant, or too few tasks have it on both"
        return Estimate(0.0, 0, 1, max(n, 1), method, bounds=(0, 1), doubt=doubt)
    moments = np.stack([pair_moments(one, other) for one, other in halves], axis=1)

    def of(w: np.ndarray) -> np.ndarray:
        r = np.maximum(weighted_r((w @ moments.reshape(n, -1)).reshape(len(w), -1, 6)), 0)
        return np.asarray(np.prod(2 * r / (1 + r), axis=1) ** (1 / len(halves)))

    found = reweighted(of, n, seed=seed, bounds=(0, 1))
    return replace(found, method=f"{method}, {found.method}")


def _halves(runs: Sequence[Ratings]) -> tuple[np.ndarray, np.ndarray]:
    """[n] one model's consistency on every second template and on the others; of one template, by its seeds."""
    if len(runs) > 1:
        halves = [task_consistency(runs[start::2]) for start in (0, 1)]
    elif runs and runs[0].values.shape[1] >= 4:
        halves = [task_consistency([_of_seeds(runs[0], start)]) for start in (0, 1)]
    else:
        raise ValueError("to agree with itself consistency needs two templates, or four seeds of one")
    one, other = (half.best_known for half in halves)
    return one, other


def _of_seeds(run: Ratings, start: int) -> Ratings:
    """Every second seed's draws, without what is known of the others."""
    return replace(
        run,
        seeds=run.seeds[start::2],
        values=run.values[:, start::2],
        outcomes=run.outcomes[:, start::2],
        probabilities=None,
        on_scale=None,
        paths=run.paths[:, start::2],
    )


def _defined(n: int, r: Estimate | None) -> Estimate:
    """The correlation, or one in doubt where there is none."""
    if r is not None:
        return r
    doubt = "a correlation of consistencies is undefined: one side is constant, or too few tasks have both"
    return Estimate(0.0, -1, 1, max(n, 1), "Fisher z", bounds=(-1, 1), doubt=doubt)
